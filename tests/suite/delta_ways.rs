//! Deltas by every way that a bundle takes: as volumes, into storages, through pipelines, watched folders and `serve`.

use std::fs;

use airlift::{bundle::Reader, server::Config};

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    compare,
    http::block_on,
    moto::Moto,
    needs,
    packed::Packed,
    serving::Serving,
    with,
};

/// Bytes of a layer here.
const LAYER: usize = 150_000;

fn image(layers: &[u64]) -> Artifact {
    Artifact::image("linux/amd64", layers.iter().map(|&seed| Blob::layer(seed, LAYER)).collect())
}

/// `v1.tar`, and `v2.tar` with two layers more, the second of which lies in another repository.
fn versions(airlift: &Airlift) -> (Artifact, Artifact) {
    let (app, other) = (image(&[1, 2, 3]), image(&[1, 4]));
    let v1 = Packed::new().with("r.example/app:1", image(&[1, 2]));
    let v2 = Packed::new().with("r.example/app:2", app.clone()).with("r.example/other:1", other.clone());
    block_on(v1.write(&airlift.home().join("v1.tar")));
    block_on(v2.write(&airlift.home().join("v2.tar")));
    (app, other)
}

#[test]
fn a_delta_travels_as_volumes() {
    let airlift = Airlift::new();
    versions(&airlift);
    let size = (LAYER + 60_000).to_string();
    let args = ["export", "--from", "v2.tar", "-o", "discs/delta", "--volume-size", &size, "--base", "v1.tar"];
    fs::create_dir(airlift.home().join("discs")).unwrap();
    airlift.run(args).success();
    assert!(airlift.home().join("discs/delta.vol002.tar").exists());
    airlift.run(args).success().answers("already there");
    airlift.run(["verify", "discs"]).success().answers("needs: 2 blobs");
    airlift.run(["import", "discs", "--store", "site"]).exits(4).says(&["delta.base-missing"]);
    airlift.run(["import", "v1.tar", "--store", "site"]).success();
    airlift.run(["import", "discs", "--store", "site", "--receipt", "receipt.json"]).success();
    airlift.run(["export", "--from", "v2.tar", "-o", "nothing.tar", "--base", "receipt.json"]).success();
    assert_eq!(airlift.json(["inspect", "nothing.tar", "--json"])["needs"]["blobs"], 6, "four layers and two configs");
}

#[test]
fn a_delta_goes_straight_into_a_storage_and_comes_from_there() {
    needs!("moto_server");
    let moto = Moto::start();
    let mut airlift = Airlift::new();
    moto.create("box");
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    let (app, _) = versions(&airlift);
    let args = ["export", "--from", "v2.tar", "-o", "s3://box/delta.tar", "--base", "v1.tar"];
    airlift.run(args).success();
    airlift.run(args).success().answers("already there");
    airlift.run(["import", "v1.tar", "--store", "site"]).success();
    airlift.run(["import", "s3://box/delta.tar", "--store", "site"]).success();
    // A bundle in a storage is a base, too.
    airlift.run(["export", "--from", "v2.tar", "-o", "none.tar", "--base", "s3://box/delta.tar"]).success();
    assert_eq!(airlift.json(["inspect", "none.tar", "--json"])["needs"]["blobs"], 6);
    assert_eq!(airlift.json(["diff", "v2.tar", "site", "--json"])["new_blobs"], 1, "the first config");
    assert!(app.blobs.len() == 4);
}

#[test]
fn a_delta_that_lands_before_its_base_waits_for_it() {
    needs!("docker-registry");
    let (from, to) = (Registry::start(Options::default()), Registry::start(Options::default()));
    let airlift = Airlift::new();
    image(&[1, 2]).push(&from, "app", Some("1"));
    image(&[1, 2, 3]).push(&from, "app", Some("2"));
    fs::create_dir(airlift.home().join("aside")).unwrap();
    fs::create_dir(airlift.home().join("source")).unwrap();
    let create = ["export-pipeline", "create", "-r", from.address(), "-n", "up", "-c", "aside"];
    airlift.run(create).success();
    airlift.run(["import-pipeline", "create", "-r", to.address(), "-n", "down", "-c", "source"]).success();
    let export = |name: &str, tag: &str, more: &[&str]| {
        let blob = format!("{name}.tar");
        let run = ["pipeline-run", "create", "-r", from.address(), "-n", name, "-p", "up", "-t", "export", "-b", &blob];
        airlift.run(run.iter().chain(&["-a", tag]).chain(more)).success();
    };
    export("base", "app:1", &[]);
    export("delta", "app:2", &["--base", "aside/base.tar"]);
    let size = |name: &str| fs::metadata(airlift.home().join("aside").join(name)).unwrap().len();
    assert!(size("delta.tar") < size("base.tar"), "{} and {}", size("delta.tar"), size("base.tar"));

    // Nothing is listed or tried again within the test but for what lands.
    let watch = airlift.start(["watch", "--json", "--interval", "1h"]);
    watch.wait_for_line("\"watching\"");
    let land = |name: &str| {
        fs::rename(airlift.home().join("aside").join(name), airlift.home().join("source").join(name)).unwrap();
    };
    land("delta.tar");
    watch.wait_for_line("\"event\":\"ended\",\"blob\":\"delta.tar\",\"status\":\"Failed\"");
    watch.wait_for_line("\"event\":\"waiting\"");
    assert!(to.manifest("app", "2").is_none());
    land("base.tar");
    watch.wait_for_line("\"event\":\"ended\",\"blob\":\"base.tar\",\"status\":\"Succeeded\"");
    watch.wait_for_line("\"event\":\"ended\",\"blob\":\"delta.tar\",\"status\":\"Succeeded\"");
    compare::same((&from, "app"), (&to, "app"), "2");
}

#[test]
fn a_delta_is_served_over_its_base_and_alone_says_what_it_lacks() {
    let airlift = Airlift::new();
    let (app, _) = versions(&airlift);
    airlift.run(["export", "--from", "v2.tar", "-o", "delta.tar", "--base", "v1.tar"]).success();
    let open = |names: &[&str]| {
        let readers = names.iter().map(|name| block_on(Reader::open(&airlift.home().join(name))).unwrap());
        Serving::new(with(Config::default(), |config| config.bundles = readers.collect()))
    };
    let both = open(&["v1.tar", "delta.tar"]);
    for blob in &app.blobs {
        let answer = both.get(&format!("/v2/app/blobs/{}", blob.descriptor.digest)).success();
        assert_eq!(Some(&answer.body), blob.content.as_ref());
    }
    let alone = airlift.start(["serve", "delta.tar", "--listen", "127.0.0.1:0"]);
    let id = airlift.json(["inspect", "v1.tar", "--json"])["bundle"].as_str().unwrap().to_owned();
    let line = alone.wait_for_line("is a delta");
    assert!(line.contains("2 of its blobs") && line.contains(&id), "{line}");
    let missing = open(&["delta.tar"]).get(&format!("/v2/app/blobs/{}", app.blobs[1].descriptor.digest));
    assert_eq!(missing.status, 404);
}
