//! Files that belong to a bundle: they travel with it, are listed with it, and go with it.

use std::fs;

use serde_json::Value;

use crate::{
    support::{Airlift, artifacts::Artifact, moto::Moto, needs, packed::Packed},
    volumes::{exported, source},
};

const BESIDE: [&str; 4] = ["recovery", "transfer.json", "transfer.json.alice.sig", "transfer.json.sigstore.json"];

/// A bundle at `b.tar`, its companions, and files whose names are only alike.
async fn ground() -> Airlift {
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    Packed::new().with("r.example/a:1", Artifact::small(3, 100_000)).write(&path).await;
    for end in BESIDE {
        fs::write(airlift.home().join(format!("b.tar.{end}")), format!("this is {end}")).unwrap();
    }
    for neighbour in ["b.tar2.recovery", "b.tar.note", "c.tar.transfer.json.sig"] {
        fs::write(airlift.home().join(neighbour), "a neighbour").unwrap();
    }
    airlift
}

fn names(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

#[track_caller]
fn has_all(airlift: &Airlift, bundle: &str) {
    for end in BESIDE {
        let text = fs::read_to_string(airlift.home().join(format!("{bundle}.{end}"))).unwrap();
        assert_eq!(text, format!("this is {end}"));
    }
}

#[track_caller]
fn has_neighbours_only(airlift: &Airlift) {
    let left = fs::read_dir(airlift.home()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<_> = left.filter(|name| name.starts_with("b.tar")).collect();
    left.sort();
    assert_eq!(left, ["b.tar.note", "b.tar2.recovery"]);
}

#[tokio::test]
async fn a_copy_takes_companions_along_and_leaves_neighbours() {
    let airlift = ground().await;
    fs::create_dir(airlift.home().join("media")).unwrap();
    let report = airlift.json(["copy", "b.tar", "media", "--json"]);
    assert_eq!(names(&report["companions"]), BESIDE.map(|end| format!("b.tar.{end}")));
    has_all(&airlift, "media/b.tar");
    assert_eq!(fs::read_dir(airlift.home().join("media")).unwrap().count(), 1 + BESIDE.len());
    let said = airlift.run(["copy", "b.tar", "media"]).success().stdout;
    assert!(said.contains("already there") && said.contains("with b.tar.recovery"), "{said}");

    // Companions are called as the bundle is.
    let said = airlift.run(["copy", "b.tar", "new.tar", "--delete-source"]).success().stdout;
    has_all(&airlift, "new.tar");
    has_neighbours_only(&airlift);
    let file = airlift::oci::Digest::sha256(&fs::read(airlift.home().join("new.tar")).unwrap());
    let bundle = airlift.json(["inspect", "new.tar", "--json"])["bundle"].as_str().unwrap().to_owned();
    assert!(said.ends_with(&format!("bundle {bundle}\nfile {file}\n")), "{said}");
}

#[tokio::test]
async fn a_companion_that_cannot_be_copied_keeps_the_source() {
    let airlift = ground().await;
    fs::create_dir(airlift.home().join("media")).unwrap();
    fs::write(airlift.home().join("media/b.tar.transfer.json"), "another statement").unwrap();
    airlift.run(["copy", "b.tar", "media", "--delete-source"]).exits(1).says(&["output.exists", "b.tar.transfer.json"]);
    has_all(&airlift, "b.tar");
    assert!(airlift.home().join("b.tar").exists());
    // The same with the word that allows it finishes.
    airlift.run(["copy", "b.tar", "media", "--delete-source", "--overwrite"]).success();
    has_all(&airlift, "media/b.tar");
    has_neighbours_only(&airlift);
}

#[tokio::test]
async fn inspect_lists_companions_and_an_import_removes_them_with_the_bundle() {
    let airlift = ground().await;
    let found = airlift.json(["inspect", "b.tar", "--json"]);
    let kinds: Vec<_> =
        found["companions"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["recovery", "statement", "signature", "signature"]);
    let said = airlift.run(["inspect", "b.tar"]).success().stdout;
    assert!(said.contains("beside it: b.tar.transfer.json, statement, 21 B\n"), "{said}");

    airlift.run(["import", "b.tar", "--store", "s"]).success();
    has_all(&airlift, "b.tar");
    airlift.run(["import", "b.tar", "--store", "s", "--delete-source"]).success();
    has_neighbours_only(&airlift);
}

#[tokio::test]
async fn companions_go_into_a_storage_and_back() {
    needs!("moto_server");
    let mut airlift = ground().await;
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    moto.create("box");
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    // What has a label of a person's own is found here, where names can be listed; a storage is asked for names by number.
    fs::rename(airlift.home().join("b.tar.transfer.json.alice.sig"), airlift.home().join("b.tar.transfer.json.sig"))
        .unwrap();
    let sent = airlift.json(["copy", "b.tar", "s3://box/in/", "--json", "--delete-source"]);
    assert_eq!(names(&sent["companions"]).len(), BESIDE.len());
    has_neighbours_only(&airlift);
    let back = airlift.json(["copy", "s3://box/in/b.tar", "back.tar", "--json", "--delete-source"]);
    assert_eq!(names(&back["companions"]).len(), BESIDE.len());
    let text = |end: &str| fs::read_to_string(airlift.home().join(format!("back.tar.{end}"))).unwrap();
    assert_eq!([text("recovery"), text("transfer.json")], ["this is recovery", "this is transfer.json"]);
    for gone in ["b.tar", "b.tar.recovery", "b.tar.transfer.json", "b.tar.transfer.json.sig"] {
        airlift.run(["copy", &format!("s3://box/in/{gone}"), "x"]).exits(1).says(&["storage.not-found"]);
    }
}

#[test]
fn the_statement_of_a_set_and_its_signatures_travel_with_it() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let beside = ["release.transfer.json", "release.set.json.transfer.json", "release.transfer.json.p7s"];
    for name in beside.iter().chain(&["other.transfer.json"]) {
        fs::write(airlift.home().join("set").join(name), *name).unwrap();
    }
    fs::create_dir(airlift.home().join("away")).unwrap();
    let report = airlift.json(["copy", "set", "away", "--json", "--delete-source"]);
    assert_eq!(names(&report["companions"]).len(), beside.len());
    for name in beside {
        assert_eq!(fs::read_to_string(airlift.home().join("away").join(name)).unwrap(), name);
    }
    let left: Vec<_> =
        fs::read_dir(airlift.home().join("set")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["other.transfer.json"]);
    airlift.run(["import", "away", "--store", "s", "--delete-source"]).success();
    assert_eq!(fs::read_dir(airlift.home().join("away")).unwrap().count(), 0);
}
