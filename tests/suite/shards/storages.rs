//! What goes wrong in a bucket that many machines write one set into: each by its name, and nothing that looks complete.

use std::fs;

use airlift::storage::{self, Finish, Location, Settings, conformance};

use super::{SIZE, planned, source};
use crate::{
    storage_sets::{remove, stored},
    support::{
        google::{self, Google},
        http::block_on,
        needs, with,
    },
};

fn put(place: &str, content: &[u8], settings: &Settings) {
    let object = storage::open(&Location::parse(place).unwrap(), settings).unwrap();
    let finish = Finish { overwrite: true, ..Finish::default() };
    block_on(conformance::put(&*object, &content.to_vec().into(), finish)).unwrap();
}

#[test]
fn a_bucket_with_two_plans_a_changed_plan_or_a_lost_volume_is_never_a_set() {
    needs!("fake-gcs-server", "docker-registry");
    let google = Google::start();
    google.create("bucket");
    let (_registry, references) = source();
    let (mut airlift, set) = planned(&references);
    for (name, value) in google::variables(google.address()) {
        airlift.set(&name, value);
    }
    let state = tempfile::tempdir().unwrap();
    let settings = with(Settings::default(), |it| {
        it.variables = google::variables(google.address());
        it.state = Some(state.path().to_owned());
    });
    let here = || stored("gs://bucket/2026-11", &settings);
    let is_no_set = || assert!(!here().contains_key("release.set.json") && !here().contains_key("SHA256SUMS"));
    let (plan, to) = ("gs://bucket/2026-11/plan.json", "gs://bucket/2026-11/release");
    let share = |plan: &str, shard: &str| airlift.run(["export", "--plan", plan, "--shard", shard, "-o", to]);
    let seal = |plan: &str| airlift.run(["seal", plan, to]);

    airlift.run(["plan", "-f", "list.txt", "--volume-size", SIZE, "-o", plan]).success();
    let text = here().remove("plan.json").unwrap();
    assert!(text == fs::read(airlift.home().join("plan.json")).unwrap());
    let changed = |from: &str, to: &str| String::from_utf8(text.clone()).unwrap().replacen(from, to, 1);
    for (other, says) in [
        (changed("\"version\":1}", "\"version\":2}"), ["plan.version", "version 2"]),
        (changed("\"volume\":2", "\"volume\":3"), ["plan.malformed", "expected the id"]),
    ] {
        put(plan, other.as_bytes(), &settings);
        share(plan, "0/2").exits(4).says(&says);
        seal(plan).exits(4).says(&says);
    }
    put(plan, &text, &settings);
    share(plan, "2/2").exits(2).says(&["usage.argument", "no shard 2 of 2"]);
    assert_eq!(here().into_keys().collect::<Vec<_>>(), ["plan.json"]);

    fs::write(airlift.home().join("other.txt"), references[1..].join("\n")).unwrap();
    airlift.run(["plan", "-f", "other.txt", "--volume-size", SIZE, "-o", plan]).exits(2).says(&["plan.other-list"]);
    airlift.run(["plan", "-f", "other.txt", "--volume-size", SIZE, "-o", "other.json"]).success();
    share(plan, "0/2").success();
    share("other.json", "1/2").exits(4).says(&["plan.other", "release.unsealed.json"]);
    seal("other.json").exits(4).says(&["plan.other"]);
    share(plan, "1/2").success();

    let volume = "gs://bucket/2026-11/release.vol002.tar";
    remove(volume, &settings);
    seal(plan).exits(1).says(&["plan.unfinished", "missing: release.vol002.tar"]);
    is_no_set();
    airlift.run(["verify", "gs://bucket/2026-11/release.vol001.tar"]).exits(1).says(&["bundle.unsealed"]);
    fs::create_dir(airlift.home().join("elsewhere")).unwrap();
    let second = ["export", "--plan", "other.json", "--only-volume", "2", "-o", "elsewhere/release"];
    airlift.run(second).success();
    put(volume, &fs::read(airlift.home().join("elsewhere/release.vol002.tar")).unwrap(), &settings);
    seal(plan).exits(4).says(&["plan.other", "release.vol002.tar"]);
    is_no_set();

    airlift.run(["export", "--plan", plan, "--only-volume", "2", "--overwrite", "-o", to]).success();
    seal(plan).success();
    let mut files = here();
    files.remove("plan.json");
    assert!(files == set, "{:?}", files.keys());
    remove(volume, &settings);
    let refused = airlift.run(["import", to, "--to", "127.0.0.1:1"]).exits(4);
    refused.says(&["bundle.volume-missing", "release.vol002.tar"]);
}
