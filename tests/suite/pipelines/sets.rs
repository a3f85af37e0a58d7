//! Pipelines of sets of volumes: an export that writes one, imports of one, and its removal.

use std::fs;

use serde_json::{Value, json};

use super::{Site, fails, response};
use crate::support::{artifacts::Artifact, compare, needs};

/// What lies in the container.
fn names(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.airlift.home().join("transfer")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A site with a set of three volumes or more in its folder; what the export said, and the digest of the set.
fn exported() -> (Site, Value, String) {
    let site = Site::folder();
    Artifact::small(1, 250_000).push(&site.from, "app", Some("v1"));
    let up = site.up(&["--volume-size", "100KiB"]);
    assert_eq!(up["properties"]["volumeSize"], "102400");
    let run = site.airlift.json(site.export("up", "x.tar", &["app:v1"]));
    let digest = response(&run)["catalogDigest"].as_str().unwrap().to_owned();
    (site, run, digest)
}

#[test]
fn a_set_goes_through_a_folder_and_is_held_to_what_its_export_said() {
    needs!("docker-registry");
    let (site, run, digest) = exported();
    let there = names(&site);
    assert!(there.len() >= 5 && there.iter().any(|name| name == "x.vol003.tar"), "{there:?}");
    assert!(response(&run)["target"]["uri"].as_str().unwrap().ends_with("/transfer/x.set.json"), "{run:#}");
    let transfer = site.airlift.home().join("transfer");
    // The digest of the set is that of its manifest, which has those of the volumes.
    assert_eq!(digest, airlift::oci::Digest::sha256(&fs::read(transfer.join("x.set.json")).unwrap()).to_string());
    site.down(&["-z", "DeleteSourceBlobOnSuccess"]);
    let held = |name: &'static str, digest: &str| {
        let words = site.import(name, "x.set.json").into_iter().map(str::to_owned);
        words.chain(["--catalog-digest".to_owned(), digest.to_owned()]).collect::<Vec<_>>()
    };
    let wrong = held("other", &airlift::oci::Digest::sha256(b"another").to_string());
    let strs = |words: &[String]| words.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let refused = |words: &[String]| {
        let text = strs(words);
        let words: Vec<&str> = text.split('\n').collect();
        fails(&site, &site.to, &words, 4, "pipeline.catalog-digest", &["x."]);
        assert_eq!(site.to.repositories(), Vec::<String>::new(), "nothing is published of another set");
    };
    refused(&wrong);
    // A byte of padding, which no blob has.
    let volume = transfer.join("x.vol002.tar");
    let sound = fs::read(&volume).unwrap();
    let mut changed = sound.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(&volume, changed).unwrap();
    refused(&held("padded", &digest));
    fs::write(&volume, sound).unwrap();
    let done = site.airlift.json(held("right", &digest));
    assert_eq!((&response(&done)["status"], &response(&done)["catalogDigest"]), (&json!("Succeeded"), &json!(digest)));
    compare::same((&site.from, "app"), (&site.to, "app"), "v1");
    assert_eq!(names(&site), Vec::<String>::new());
}

#[test]
fn sets_are_written_to_folders_and_replaced_with_overwrite_blobs() {
    needs!("docker-registry");
    let (site, _, first) = exported();
    Artifact::small(2, 250_000).push(&site.from, "app", Some("v1"));
    fails(&site, &site.from, &site.export("again", "x.tar", &["app:v1"]), 1, "output.exists", &["x.set.json"]);
    site.up(&["--volume-size", "100KiB", "-z", "OverwriteBlobs"]);
    let second = site.airlift.json(site.export("second", "x.tar", &["app:v1"]));
    assert_ne!(response(&second)["catalogDigest"], first);
    site.airlift.run(["verify", "transfer"]).success();
    let words = ["export-pipeline", "create", "-r", "r.site", "-n", "up", "-c", "s3://box/in", "--volume-size"];
    let refused = |size: &str, says: &str| {
        let ran = site.airlift.run(words.into_iter().chain([size])).exits(2);
        ran.says(&["properties.volumeSize", says]);
    };
    refused("dvd", "folders");
    refused("four", "fat32");
}

#[test]
fn of_a_set_that_was_being_removed_the_rest_goes_too() {
    needs!("docker-registry");
    for (name, left) in [("x.vol001.tar", 2), ("x.set.json", 2), ("x.set.json", 1)] {
        let (site, ..) = exported();
        site.down(&[]);
        let words = site.import("in", name);
        site.airlift.run(&words).success();
        site.down(&["-z", "DeleteSourceBlobOnSuccess"]);
        // As a process leaves it that is killed while it removes: confirmed and not ended, the named file the last to go.
        let state = site.airlift.home().join(".local/state/airlift/pipelines.db");
        let database = rusqlite::Connection::open(state).unwrap();
        let change = "UPDATE run SET status = 'Running', response = json_set(response, '$.status', 'Running',
                      '$.confirmed', json('true')) WHERE name = 'in'";
        assert_eq!(database.execute(change, []).unwrap(), 1);
        let transfer = site.airlift.home().join("transfer");
        let mut going = names(&site);
        going.retain(|file| file != name);
        for file in &going[..going.len() + 1 - left] {
            fs::remove_file(transfer.join(file)).unwrap();
        }
        assert_eq!(names(&site).len(), left);
        let asked = site.to.requests().len();
        let done = site.airlift.json(&words);
        let said = response(&done);
        assert_eq!((&said["status"], said["importedArtifacts"].as_array().unwrap().len()), (&json!("Succeeded"), 1));
        assert_eq!(site.to.requests().len(), asked, "nothing is asked again");
        assert_eq!(names(&site), Vec::<String>::new(), "{name} {left}");
    }
}
