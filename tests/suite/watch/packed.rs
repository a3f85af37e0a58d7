//! Packed bundles that land.

use std::fs;

use super::{Site, ended, told};
use crate::support::{
    artifacts::{Artifact, Blob, LAYER, noise},
    http::block_on,
    needs,
    packed::Packed,
};

/// Writes the bundles `v1` and `v2` aside, and `v2.pack`, which is packed against `v1`. Returns the artifact of the second.
fn update(site: &Site) -> Artifact {
    // Two versions that differ in a hundredth.
    let version = |seed| {
        let layer = [noise(1, 200_000), noise(seed, 2000)].concat();
        Artifact::image("linux/amd64", vec![Blob::new(LAYER, layer)])
    };
    for (name, seed) in [("v1", 2), ("v2", 3)] {
        let reference = format!("up.example/app:{name}");
        block_on(Packed::new().with(&reference, version(seed)).write(&site.aside.join(name)));
    }
    site.airlift.run(["pack", "aside/v2", "-o", "aside/v2.pack", "--base", "aside/v1"]).success();
    let length = fs::metadata(site.aside.join("v2.pack")).unwrap().len();
    assert!(length < 50_000, "it was not packed against its base");
    version(3)
}

#[test]
fn a_packed_update_that_lands_takes_its_base_from_the_target() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let second = update(&site);
    let watch = site.watch(&[]);
    site.land(&site.aside.join("v1"));
    ended(&watch, "v1", "Succeeded");
    site.land(&site.aside.join("v2.pack"));
    ended(&watch, "v2.pack", "Succeeded");
    assert_eq!(site.registry.manifest("app", "v2").unwrap(), second.root);
}

#[test]
fn a_packed_update_that_lands_before_its_base_waits_for_it() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let second = update(&site);
    // One that waits is looked at again when a bundle has landed, or else after this time: not within this test.
    let watch = site.airlift.start(["watch", "--json", "--interval", "30m"]);
    watch.wait_for_line("\"watching\"");
    site.land(&site.aside.join("v2.pack"));
    let waiting = watch.wait_for_line("\"waiting\"");
    for part in ["v2.pack was packed against", "sha256:", "when a bundle has landed"] {
        assert!(waiting.contains(part), "{waiting}");
    }
    assert!(site.runs().is_empty(), "there was nothing to run yet: {:?}", site.runs());
    site.land(&site.aside.join("v1"));
    ended(&watch, "v1", "Succeeded");
    ended(&watch, "v2.pack", "Succeeded");
    assert_eq!(site.registry.manifest("app", "v2").unwrap(), second.root);
    assert_eq!(told(&watch, "began"), ["v1", "v2.pack"]);
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
