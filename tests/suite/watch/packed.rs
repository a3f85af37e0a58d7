//! Packed bundles that land.

use std::fs;

use super::{Site, ended};
use crate::support::{
    artifacts::{Artifact, Blob, LAYER, noise},
    http::block_on,
    needs,
    packed::Packed,
};

#[test]
fn a_packed_update_that_lands_takes_its_base_from_the_target() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    // Two versions that differ in a hundredth.
    let version = |seed| {
        let layer = [noise(1, 200_000), noise(seed, 2000)].concat();
        Artifact::image("linux/amd64", vec![Blob::new(LAYER, layer)])
    };
    for (name, seed) in [("v1", 2), ("v2", 3)] {
        let reference = format!("up.example/app:{name}");
        block_on(Packed::new().with(&reference, version(seed)).write(&site.aside.join(name)));
    }
    let packed = site.aside.join("v2.pack");
    site.airlift.run(["pack", "aside/v2", "-o", "aside/v2.pack", "--base", "aside/v1"]).success();
    assert!(fs::metadata(&packed).unwrap().len() < 50_000, "it was not packed against its base");
    let watch = site.watch(&[]);
    site.land(&site.aside.join("v1"));
    ended(&watch, "v1", "Succeeded");
    site.land(&packed);
    ended(&watch, "v2.pack", "Succeeded");
    assert_eq!(site.registry.manifest("app", "v2").unwrap(), version(3).root);
}

#[test]
fn a_packed_file_in_volumes_lands_when_all_of_them_are_there_and_once() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let image = || Artifact::image("linux/amd64", vec![Blob::new(LAYER, noise(5, 200_000))]);
    block_on(Packed::new().with("up.example/app:v1", image()).write(&site.aside.join("v1.tar")));
    site.airlift.run(["pack", "aside/v1.tar", "-o", "aside/v1.pack", "--volume-size", "90KB"]).success();
    let watch = site.watch(&[]);
    // The last first: what there is leads nowhere yet.
    for number in [3, 2] {
        site.land(&site.aside.join(format!("v1.vol00{number}.pack")));
    }
    watch.wait_for_line("v1.vol001.pack");
    site.land(&site.aside.join("v1.vol001.pack"));
    ended(&watch, "v1.vol001.pack", "Succeeded");
    assert_eq!(site.registry.manifest("app", "v1").unwrap(), image().root);
    let runs = site.airlift.run(["pipeline-run", "list"]).success().stdout;
    assert_eq!(runs.matches("Succeeded").count(), 1, "{runs}");
}
