//! What an unfinished upload leaves in a storage, given up.

use std::collections::BTreeMap;

use airlift::{
    oci::Digest,
    storage::{self, Location, PartCheckpoint, Parts, Settings, UploadSpec},
};
use reqwest::Method;

use crate::{
    storage_move::azurite,
    support::{
        Airlift,
        azurite::{Account, Grant},
        http::{Caller, block_on},
        moto::Moto,
        needs, with,
    },
};

/// Begins an upload to `place` as a run does that is killed after its first part.
fn begin(place: &str, settings: &Settings) {
    let object = storage::open(&Location::parse(place).unwrap(), settings).unwrap();
    let parts = Parts::of(12 << 20, 8 << 20, &object.limits(), object.location()).unwrap();
    let draft = UploadSpec { identity: Digest::sha256(b"x"), parts, metadata: BTreeMap::new() };
    block_on(async {
        let upload = object.upload(&draft).await.unwrap();
        upload.put(0, PartCheckpoint([7; storage::parts::NOTE]), vec![1; 8 << 20].into()).await.unwrap();
    });
}

#[test]
fn parts_that_were_left_in_s3_are_removed_and_nothing_else() {
    needs!("moto_server");
    let (moto, mut airlift) = (Moto::start(), Airlift::new());
    moto.create("box");
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    let state = airlift.home().join(".local/state/airlift/uploads");
    let settings = with(Settings::default(), |it| {
        it.variables = moto.variables();
        it.state = Some(state.clone());
    });
    for key in ["a.tar", "sets/one/v1.tar", "sets/one/v2.tar", "sets/other.tar"] {
        begin(&format!("s3://box/{key}"), &settings);
    }
    let uploads = || {
        let answer =
            Caller::default().send(Method::GET, &format!("{}/box?uploads", moto.endpoint()), &[], "").success();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        text.match_indices("<Key>")
            .map(|(at, _)| text[at + 5..].split('<').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(uploads().len(), 4);
    let answer = airlift.json(["abandon", "s3://box/a.tar", "--json"]);
    assert_eq!((answer["uploads"].as_u64(), answer["parts_removed"].as_u64()), (Some(1), Some(1)), "{answer}");
    let said = airlift.run(["abandon", "s3://box/sets/one"]).success().stdout;
    assert!(said.contains("2 parts removed"), "{said}");
    assert_eq!(uploads(), ["sets/other.tar"], "what lies elsewhere is left alone");
    assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1, "journals go with their uploads");
    let said = airlift.run(["abandon", "s3://box/a.tar"]).success().stdout;
    assert!(said.contains("nothing unfinished"), "{said}");
    // One that is under way is not abandoned.
    let object = storage::open(&Location::parse("s3://box/sets/other.tar").unwrap(), &settings).unwrap();
    let parts = Parts::of(12 << 20, 8 << 20, &object.limits(), object.location()).unwrap();
    let draft = UploadSpec { identity: Digest::sha256(b"x"), parts, metadata: BTreeMap::new() };
    let under_way = block_on(object.upload(&draft)).unwrap();
    airlift.run(["abandon", "s3://box/sets"]).exits(1).says(&["output.busy"]);
    drop(under_way);
    airlift.run(["abandon", "-"]).exits(2).says(&["usage.argument", "airlift abandon DEST"]);
}

#[test]
fn what_an_export_left_on_this_machine_is_removed() {
    let airlift = Airlift::new();
    let here = |name: &str| airlift.home().join(name);
    for name in ["a.tar.partial", "a.tar.partial.journal", "b.tar"] {
        std::fs::write(here(name), name).unwrap();
    }
    let answer = airlift.json(["abandon", "a.tar", "--json"]);
    assert_eq!(answer["files_removed"].as_array().map(Vec::len), Some(2), "{answer}");
    assert!(!here("a.tar.partial").exists() && here("b.tar").exists());
    let said = airlift.run(["abandon", "."]).success().stdout;
    assert!(said.contains("nothing unfinished"), "{said}");
}

#[test]
fn blocks_that_were_left_in_azure_are_told_of() {
    needs!("azurite-blob");
    let (azurite, airlift) = (azurite(), Airlift::new());
    let at = |name: &str| azurite.url(Account::A, "box", name, &Grant::default());
    begin(&at("a.tar"), &Settings::default());
    let answer = airlift.json(["abandon", &at("a.tar"), "--json"]);
    assert_eq!((answer["parts_removed"].as_u64(), answer["parts_left"].as_u64()), (Some(0), Some(1)), "{answer}");
    airlift.run(["abandon", &at("a.tar")]).success().stdout.contains("a week").then_some(()).unwrap();
    let said = airlift.run(["abandon", &at("b.tar")]).success().stdout;
    assert!(said.contains("nothing unfinished"), "{said}");
}
