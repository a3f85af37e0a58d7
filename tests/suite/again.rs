//! The same command again: after success, or after a kill between the last rename and the exit, it says so and ends well.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    support::{
        Airlift, Options, Registry,
        artifacts::{Artifact, Blob},
        needs,
        process::files_below,
    },
    volumes::{contents, export, exported, source},
};

/// Two artifacts of one layer each, and a bundle of the first at `b.tar`.
fn bundle() -> (Registry, Vec<String>, Airlift) {
    let registry = Registry::start(Options::default());
    let references: Vec<String> = ["one:v1", "two:v1"].map(|name| registry.reference(name)).to_vec();
    for (seed, name) in [(1, "one"), (2, "two")] {
        Artifact::image("linux/amd64", vec![Blob::layer(seed, 200_000)]).push(&registry, name, Some("v1"));
    }
    let airlift = Airlift::new();
    airlift.run(["export", &references[0], "-o", "b.tar"]).success();
    (registry, references, airlift)
}

fn states(report: &Value) -> Vec<&str> {
    let artifacts = report["artifacts"].as_array().unwrap().iter();
    artifacts.map(|artifact| artifact["state"].as_str().unwrap()).collect()
}

/// Changes one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_export_to_a_file_that_has_it_says_already_there_and_moves_nothing() {
    needs!("docker-registry");
    let (_registry, references, airlift) = bundle();
    let path = airlift.home().join("b.tar");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    // As a run that was killed after it gave the name leaves it.
    fs::write(airlift.home().join("b.tar.partial.journal"), "{}\n").unwrap();

    let report = airlift.json(["export", &references[0], "-o", "b.tar", "--json"]);
    assert_eq!(states(&report), ["already-there"]);
    assert_eq!((&report["bytes_moved"], &report["output"]), (&0.into(), &"b.tar".into()));
    assert_eq!(report["output_bytes"].as_u64(), Some(fs::metadata(&path).unwrap().len()));
    let said = airlift.run(["export", &references[0], "-o", "b.tar"]).success().stdout;
    assert!(said.contains("already there"), "{said}");
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written, "it was written again");
    assert_eq!(files_below(airlift.home()), ["b.tar"], "the journal of the killed run is left");
}

#[test]
fn an_export_to_a_file_with_other_content_is_refused_and_changes_nothing() {
    needs!("docker-registry");
    let (_registry, references, airlift) = bundle();
    let path = airlift.home().join("b.tar");
    let sound = fs::read(&path).unwrap();
    airlift.run(["export", &references[1], "-o", "b.tar"]).exits(1).says(&["output.exists", "b.tar"]);
    let both = ["export", &references[0], &references[1], "-o", "b.tar"];
    airlift.run(both).exits(1).says(&["output.exists", "b.tar"]);
    assert!(fs::read(&path).unwrap() == sound);

    // Of the right size and with the right head, and still not the same.
    flip(&path);
    let damaged = fs::read(&path).unwrap();
    airlift.run(["export", &references[0], "-o", "b.tar"]).exits(1).says(&["output.exists", "b.tar"]);
    assert!(fs::read(&path).unwrap() == damaged, "a refused export changed the file");
    // Longer by a byte that nothing vouches for.
    fs::write(&path, [&sound[..], b"!"].concat()).unwrap();
    airlift.run(["export", &references[0], "-o", "b.tar"]).exits(1).says(&["output.exists", "b.tar"]);
    fs::write(&path, "no bundle").unwrap();
    airlift.run(["export", &references[0], "-o", "b.tar"]).exits(1).says(&["output.exists", "b.tar"]);
    assert_eq!(fs::read(&path).unwrap(), b"no bundle");
    assert_eq!(files_below(airlift.home()), ["b.tar"]);
}

#[test]
fn an_export_with_recovery_data_that_has_both_says_already_there() {
    needs!("docker-registry");
    let (_registry, references, airlift) = bundle();
    let protected = ["export", &references[0], "-o", "b.tar", "--recovery", "10", "--json"];
    for _ in 0..2 {
        let report = airlift.json(protected);
        assert_eq!(states(&report), ["already-there"]);
        assert_eq!(report["recovery"], serde_json::json!(["b.tar.recovery"]));
    }
    let more = ["export", &references[0], "-o", "b.tar", "--recovery", "30"];
    airlift.run(more).exits(1).says(&["output.exists", "b.tar.recovery"]);
    flip(&airlift.home().join("b.tar.recovery"));
    airlift.run(protected).exits(1).says(&["output.exists", "b.tar.recovery"]);
}

#[test]
fn an_export_of_a_set_that_is_there_says_already_there_and_another_is_refused() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let folder = airlift.home().join("set");
    let set = contents(&folder);
    fs::write(folder.join("release.vol001.tar.partial.journal"), "{}\n").unwrap();
    let again = export(&references, &["-o", "set/release"]);
    let report = airlift.json(again.iter().copied().chain(["--json"]));
    assert_eq!(states(&report), ["already-there"; 3]);
    assert_eq!(report["output"], "set/release.set.json");
    assert!(contents(&folder) == set);
    // One volume of it, as it is made once more for a lost disc.
    let one = airlift.json(export(&references, &["-o", "set/release", "--only-volume", "2", "--json"]));
    assert_eq!(states(&one), ["already-there"; 3]);
    assert!(contents(&folder) == set);

    airlift.run(export(&references[..2], &["-o", "set/release"])).exits(1).says(&["output.exists", "release.set.json"]);
    for name in ["release.vol003.tar", "SHA256SUMS", "release.set.json"] {
        flip(&folder.join(name));
        let before = contents(&folder);
        airlift.run(&again).exits(1).says(&["output.exists", "release.set.json"]);
        assert!(contents(&folder) == before, "a refused export changed the set");
        fs::write(folder.join(name), &set[name]).unwrap();
    }
    fs::remove_file(folder.join("release.vol004.tar")).unwrap();
    airlift.run(&again).exits(1).says(&["output.exists", "release.set.json"]);
}

#[test]
fn a_copy_of_a_file_that_is_there_says_already_there_and_other_content_is_refused() {
    needs!("docker-registry");
    let (_registry, _, airlift) = bundle();
    let copy = ["copy", "b.tar", "c.tar"];
    assert_eq!(airlift.json(copy.into_iter().chain(["--json"]))["already_there"], false);
    let again = airlift.json(copy.into_iter().chain(["--json"]));
    assert_eq!((&again["already_there"], &again["bytes_reused"]), (&true.into(), &again["bytes"]));
    let said = airlift.run(copy).success().stdout;
    assert!(said.contains("already there"), "{said}");

    flip(&airlift.home().join("c.tar"));
    let other = fs::read(airlift.home().join("c.tar")).unwrap();
    airlift.run(copy).exits(1).says(&["output.exists", "c.tar"]);
    airlift.run(copy.into_iter().chain(["--delete-source"])).exits(1).says(&["output.exists"]);
    assert!(fs::read(airlift.home().join("c.tar")).unwrap() == other);
    // A move that was killed between the name of the copy and the removal of the source.
    fs::copy(airlift.home().join("b.tar"), airlift.home().join("c.tar")).unwrap();
    airlift.run(copy.into_iter().chain(["--delete-source"])).success();
    assert_eq!(files_below(airlift.home()), ["c.tar"]);
}

#[test]
fn a_copy_of_a_set_that_is_there_says_already_there_and_other_content_is_refused() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let usb = airlift.home().join("usb");
    fs::create_dir(&usb).unwrap();
    let copy = ["copy", "set", "usb", "--json"];
    assert_eq!(airlift.json(copy)["already_there"], false);
    let set = contents(&usb);
    let again = airlift.json(copy);
    assert_eq!((&again["already_there"], &again["bytes_reused"]), (&true.into(), &again["bytes"]));
    assert!(contents(&usb) == set);

    flip(&usb.join("release.vol002.tar"));
    let other = contents(&usb);
    airlift.run(copy).exits(1).says(&["output.exists", "release.vol002.tar"]);
    assert!(contents(&usb) == other, "a refused copy changed something");
    fs::create_dir(airlift.home().join("fewer")).unwrap();
    airlift.run(export(&references[..2], &["-o", "fewer/release"])).success();
    airlift.run(["copy", "fewer", "usb"]).exits(1).says(&["output.exists", "usb"]);
    assert!(contents(&usb) == other);
}
