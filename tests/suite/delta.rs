//! Deltas: what the receiver has is left out, and looked for before anything is pushed.

use std::{fs, path::Path};

use airlift::oci::Digest;
use serde_json::Value;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    compare,
    http::block_on,
    needs,
    packed::Packed,
};

/// Bytes of a layer here: large beside manifests and headers.
const LAYER: usize = 200_000;

fn image(layers: &[u64]) -> Artifact {
    Artifact::image("linux/amd64", layers.iter().map(|&seed| Blob::layer(seed, LAYER)).collect())
}

/// `v1.tar` with two artifacts, and `v2.tar` in which one has a new layer, one is gone, and one is new.
fn versions(airlift: &Airlift) {
    let v1 = Packed::new().with("r.example/team/app:1", image(&[1, 2])).with("r.example/team/old:1", image(&[3]));
    let v2 = Packed::new()
        .with("r.example/team/app:1", image(&[1, 2]))
        .with("r.example/team/app:2", image(&[1, 2, 4]))
        .with("r.example/team/new:1", image(&[3, 5]));
    block_on(v1.write(&airlift.home().join("v1.tar")));
    block_on(v2.write(&airlift.home().join("v2.tar")));
}

fn id(airlift: &Airlift, bundle: &str) -> String {
    airlift.json(["inspect", bundle, "--json"])["bundle"].as_str().unwrap().to_owned()
}

fn read(airlift: &Airlift, name: &str) -> Vec<u8> {
    fs::read(airlift.home().join(name)).unwrap()
}

fn size(airlift: &Airlift, name: &str) -> u64 {
    fs::metadata(airlift.home().join(name)).unwrap().len()
}

/// Fails unless the store `site` has every artifact of `bundle` whole.
#[track_caller]
fn has_all(airlift: &Airlift, site: &str, bundle: &str) {
    let out = format!("{site}-{bundle}");
    airlift.run(["export", "--from", site, "-o", &out, "--overwrite"]).success();
    let found: Value = airlift.json(["diff", &out, bundle, "--json"]);
    assert_eq!(found["new_blobs"], 0, "{found}");
    let names = |bundle: &str| {
        let found = airlift.json(["inspect", bundle, "--json"]);
        let artifacts = found["artifacts"].as_array().unwrap().clone();
        let mut names: Vec<String> = artifacts
            .iter()
            .map(|one| format!("{} {}", one["reference"].as_str().unwrap().split_once('/').unwrap().1, one["digest"]))
            .collect();
        names.sort();
        names
    };
    let there = names(&out);
    assert!(names(bundle).iter().all(|name| there.contains(name)), "{there:?}");
}

#[test]
fn a_delta_leaves_out_what_a_receipt_proves_and_arrives_whole() {
    let airlift = Airlift::new();
    versions(&airlift);
    let imported = airlift.run(["import", "v1.tar", "--store", "site", "--receipt", "receipt.json"]).success();
    let line = imported.stderr.lines().find(|line| line.starts_with("airlift-receipt/1 ")).unwrap();
    let text = read(&airlift, "receipt.json");
    assert!(line.len() < 300 && line.contains("2/2"), "{line}");
    assert!(line.ends_with(&Digest::sha256(&text).hex()), "{line}");
    let receipt: Value = serde_json::from_slice(&text).unwrap();
    let v1 = id(&airlift, "v1.tar");
    assert_eq!(receipt["bundles"][0]["id"], v1.as_str());
    assert_eq!(receipt["artifacts"][0]["result"], "done");
    assert_eq!(receipt["holdings"][0]["source"], "r.example/team/app");

    let export = ["export", "--from", "v2.tar", "-o", "delta.tar", "--base", "receipt.json"];
    airlift.run(export).success().answers("left out: the receiver has them");
    // Two new layers of five; what else is in it is small.
    let (new, all) = (2 * LAYER as u64, size(&airlift, "delta.tar"));
    assert!(all > new && all < new + new / 10, "{all}");
    airlift.run(export).success();
    airlift.run(["export", "--from", "v2.tar", "-o", "again.tar", "--base", "receipt.json", "--jobs", "1"]).success();
    assert_eq!(read(&airlift, "delta.tar"), read(&airlift, "again.tar"));

    let found = airlift.json(["inspect", "delta.tar", "--json"]);
    assert_eq!(found["needs"]["bundles"], serde_json::json!([v1]));
    assert!(found["absent"].as_array().unwrap().iter().all(|one| one["reason"] == "delta"), "{found}");
    airlift.run(["inspect", "delta.tar"]).success().answers(&format!("of bundle {v1}"));
    airlift.run(["verify", "delta.tar"]).success().answers("sound").answers(&format!("of bundle {v1}"));

    airlift.run(["import", "delta.tar", "--store", "site"]).success();
    has_all(&airlift, "site", "v2.tar");
    airlift.run(["import", "delta.tar", "--store", "site"]).success().answers("already there");

    // The statement names the base, and so does the page.
    airlift.run(["sign", "delta.tar", "--statement-only", "--stream", "hq/site-7", "--sequence", "2"]).success();
    let statement: Value = serde_json::from_slice(&read(&airlift, "delta.tar.transfer.json")).unwrap();
    assert_eq!(statement["base"], serde_json::json!([v1]));
    airlift.run(["inspect", "delta.tar", "--html", "page.html"]).success();
    let page = String::from_utf8(read(&airlift, "page.html")).unwrap();
    assert!(page.contains("stream hq/site-7, sequence 2") && page.contains("delta.tar.transfer.json"), "{page}");
}

#[test]
fn a_delta_without_its_base_is_refused_before_anything_is_pushed() {
    let airlift = Airlift::new();
    versions(&airlift);
    airlift.run(["export", "--from", "v2.tar", "-o", "delta.tar", "--base", "v1.tar"]).success();
    let v1 = id(&airlift, "v1.tar");
    let refused = ["import", "delta.tar", "--store", "site"];
    airlift.run(refused).exits(4).says(&["delta.base-missing", &v1, "airlift import BASE DELTA"]);
    assert!(blobs(&airlift, "site").is_empty());
    airlift.run(["import", "delta.tar", "--store", "site", "--dry-run"]).exits(4).says(&["delta.base-missing"]);

    airlift.run(["import", "delta.tar", "v1.tar", "--store", "both"]).success();
    has_all(&airlift, "both", "v2.tar");

    // What the target had, and has no more.
    airlift.run(["import", "v1.tar", "--store", "site", "--receipt", "receipt.json"]).success();
    airlift.run(["export", "--from", "v2.tar", "-o", "proven.tar", "--base", "receipt.json"]).success();
    fs::remove_dir_all(airlift.home().join("site")).unwrap();
    airlift.run(["import", "proven.tar", "--store", "site"]).exits(4).says(&["delta.base-missing", &v1]);
    assert!(blobs(&airlift, "site").is_empty());
}

#[test]
fn a_receipt_that_is_not_true_of_the_target_is_found_before_the_first_push() {
    let airlift = Airlift::new();
    versions(&airlift);
    airlift.run(["import", "v1.tar", "--store", "other", "--receipt", "other.json"]).success();
    let v3 = Packed::new().with("r.example/team/more:1", image(&[9]));
    block_on(v3.write(&airlift.home().join("v3.tar")));
    airlift.run(["import", "v3.tar", "--store", "site", "--receipt", "own.json"]).success();
    let before = blobs(&airlift, "site");

    // The receipt of the target itself, to which somebody has added what another target has.
    let [mut forged, other] =
        ["own.json", "other.json"].map(|name| serde_json::from_slice::<Value>(&read(&airlift, name)).unwrap());
    let holdings = other["holdings"].as_array().unwrap().clone();
    forged["holdings"].as_array_mut().unwrap().extend(holdings);
    forged["holdings"].as_array_mut().unwrap().sort_by_key(|one| one["repository"].to_string());
    fs::write(airlift.home().join("forged.json"), forged.to_string()).unwrap();
    for receipt in ["other.json", "forged.json"] {
        airlift.run(["export", "--from", "v2.tar", "-o", "delta.tar", "--base", receipt, "--overwrite"]).success();
        let refused = airlift.run(["import", "delta.tar", "--store", "site"]).exits(4);
        refused.says(&["delta.base-missing", &id(&airlift, "v1.tar"), "airlift import BASE DELTA"]);
        assert_eq!(blobs(&airlift, "site"), before, "{receipt}");
    }

    // An older receipt of the target leaves out less, or what is there no more.
    airlift.run(["import", "v1.tar", "--store", "site", "--receipt", "newer.json"]).success();
    airlift.run(["export", "--from", "v2.tar", "-o", "older.tar", "--base", "own.json"]).success();
    airlift.run(["import", "older.tar", "--store", "site"]).success();
    has_all(&airlift, "site", "v2.tar");

    // What the server's own clients have deleted since.
    airlift.run(["export", "--from", "v2.tar", "-o", "newer.tar", "--base", "newer.json"]).success();
    fs::remove_dir_all(airlift.home().join("site")).unwrap();
    airlift.run(["import", "v3.tar", "--store", "site"]).success();
    airlift.run(["import", "newer.tar", "--store", "site"]).exits(4).says(&["delta.base-missing"]);
    assert_eq!(blobs(&airlift, "site").len(), before.len());
}

/// Every blob in a store, by its name.
fn blobs(airlift: &Airlift, store: &str) -> Vec<String> {
    fn below(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                below(&entry.path(), found);
            } else if name.len() == 64 {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    below(&airlift.home().join(store), &mut found);
    found
}

#[test]
fn every_kind_of_base_leaves_the_same_out() {
    let airlift = Airlift::new();
    versions(&airlift);
    airlift.run(["head", "v1.tar", "-o", "v1.head"]).success();
    assert!(size(&airlift, "v1.head") < 20_000);
    fs::create_dir(airlift.home().join("layout")).unwrap();
    let mut unpacking = tar::Archive::new(fs::File::open(airlift.home().join("v1.tar")).unwrap());
    unpacking.unpack(airlift.home().join("layout")).unwrap();
    airlift.run(["import", "v1.tar", "--store", "site"]).success();
    let delta = |base: &str, name: &str| {
        airlift.run(["export", "--from", "v2.tar", "-o", name, "--base", base]).success();
        let found = airlift.json(["inspect", name, "--json"]);
        let absent = found["absent"].as_array().unwrap();
        absent.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let expected = delta("v1.tar", "by-bundle.tar");
    assert_eq!(expected.len(), 4, "three layers and a config");
    assert_eq!(delta("v1.head", "by-head.tar"), expected);
    assert_eq!(read(&airlift, "by-head.tar"), read(&airlift, "by-bundle.tar"));
    assert_eq!(delta("sent:v1.head", "by-sent.tar"), expected);
    for (base, name) in [("layout", "by-layout.tar"), ("site", "by-store.tar")] {
        assert_eq!(delta(base, name), expected, "{base}");
    }
    // A head of a delta stands for the delta and for its base.
    airlift.run(["head", "by-bundle.tar", "-o", "v2.head"]).success();
    assert_eq!(delta("v2.head", "nothing-new.tar").len(), 8);
    airlift.run(["import", "v1.head", "--store", "other"]).exits(1).says(&["bundle.not-a-bundle", "export --base"]);
}

#[test]
fn a_blob_that_another_repository_of_the_target_has_is_mounted() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = Airlift::new();
    versions(&airlift);
    let to = format!("{}/mirror", registry.address());
    airlift.run(["import", "v1.tar", "--to", &to, "--receipt", "receipt.json"]).success();
    airlift.run(["export", "--from", "v2.tar", "-o", "delta.tar", "--base", "receipt.json"]).success();
    airlift.run(["import", "delta.tar", "--to", &to]).success();
    for (repository, tag) in [("mirror/team/new", "1"), ("mirror/team/app", "2")] {
        let missing = compare::missing_below(&registry, repository, tag);
        assert!(missing.is_empty(), "{repository}: {missing:?}");
    }
    // The registry itself as the base, which is asked.
    airlift.run(["export", "--from", "v2.tar", "-o", "asked.tar", "--base", &to]).success();
    assert_eq!(airlift.json(["inspect", "asked.tar", "--json"])["needs"]["blobs"], 8);
    airlift.run(["diff", "v2.tar", &to]).success().answers("0 added, 0 removed, 0 moved, 3 unchanged");
    airlift.run(["diff", "v1.tar", &to]).success().answers("0 added, 0 removed, 0 moved, 2 unchanged");

    // A receipt of another target proves nothing of this one.
    let other = Registry::start(Options::default());
    airlift.run(["import", "delta.tar", "--to", other.address()]).exits(4).says(&["delta.base-missing"]);
    assert!(other.manifest("team/app", "2").is_none());
}

#[test]
fn a_receipt_that_cannot_be_written_or_read_is_refused_before_the_run() {
    let airlift = Airlift::new();
    versions(&airlift);
    fs::create_dir(airlift.home().join("folder")).unwrap();
    for (place, token) in [("no/such/receipt.json", "io.write"), ("folder", "io.write")] {
        airlift.run(["import", "v1.tar", "--store", "site", "--receipt", place]).exits(1).says(&[token]);
        assert!(blobs(&airlift, "site").is_empty());
    }
    airlift.run(["import", "v1.tar", "--store", "site", "--receipt", "receipt.json"]).success();
    let receipt = String::from_utf8(read(&airlift, "receipt.json")).unwrap();
    for (forged, what) in [
        (receipt.replacen("\"version\":1", "\"version\":2", 1), "version"),
        (receipt.replacen("[\"sha256:", "[ \"sha256:", 1), "canonical"),
        (receipt[..receipt.len() - 9].to_owned(), "receipt"),
    ] {
        fs::write(airlift.home().join("forged.json"), forged).unwrap();
        let ran = airlift.run(["export", "--from", "v2.tar", "-o", "delta.tar", "--base", "forged.json"]);
        ran.exits(2).says(&["usage.file", "forged.json", what]);
        assert!(!airlift.home().join("delta.tar").exists());
    }
}

#[test]
fn a_series_is_whole_at_first_and_repeats_what_may_be_lost() {
    let airlift = Airlift::new();
    fs::create_dir(airlift.home().join("out")).unwrap();
    let week = |name: &str, number: u64, options: &[&str]| {
        let layers: Vec<u64> = (1..=number).collect();
        let source = format!("source-{number}.tar");
        block_on(Packed::new().with("r.example/team/app:1", image(&layers)).write(&airlift.home().join(&source)));
        let out = format!("out/{name}-{number}.tar");
        let args = ["export", "--from", &source, "-o", &out];
        airlift.run(args.iter().chain(options)).success();
        // The same command again is the same turn.
        airlift.run(args.iter().chain(options)).success().answers("already there");
        let layers = usize::try_from(size(&airlift, &out)).unwrap().div_ceil(LAYER) - 1;
        fs::remove_file(airlift.home().join(&source)).unwrap();
        layers
    };
    let carried: Vec<_> = (1..=4).map(|number| week("week", number, &["--full-every", "4"])).collect();
    assert_eq!(carried, [1, 1, 1, 1], "layers");
    assert_eq!(week("week", 5, &["--full-every", "4"]), 5);
    let repeated: Vec<_> = (1..=4).map(|number| week("b", number, &["--overlap", "1", "--series", "b"])).collect();
    assert_eq!(repeated, [1, 2, 2, 2], "each layer twice");
    airlift.run(["export", "--from", "out/week-1.tar", "-o", "-", "--series", "b"]).exits(2);
}

#[test]
fn a_difference_names_what_is_new_gone_and_moved() {
    let airlift = Airlift::new();
    versions(&airlift);
    let moved = Packed::new().with("r.example/team/app:1", image(&[1, 9]));
    block_on(moved.write(&airlift.home().join("v3.tar")));
    airlift.run(["head", "v1.tar", "-o", "v1.head"]).success();
    let found = airlift.json(["diff", "v1.head", "v2.tar", "--json"]);
    let names = |list: &str| {
        let list = found[list].as_array().unwrap().iter();
        list.map(|one| one["reference"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("added"), ["r.example/team/app:2", "r.example/team/new:1"]);
    assert_eq!(names("removed"), ["r.example/team/old:1"]);
    assert_eq!((&found["unchanged"], &found["new_blobs"]), (&1.into(), &4.into()));
    assert!(found["new_bytes"].as_u64().unwrap() > 2 * LAYER as u64);
    let moved = airlift.json(["diff", "v1.tar", "v3.tar", "--json"]);
    assert_eq!(moved["moved"][0]["reference"], "r.example/team/app:1");
    assert_ne!(moved["moved"][0]["from"], moved["moved"][0]["to"]);
    airlift.run(["diff", "v1.tar", "v1.head"]).success().answers("0 added, 0 removed, 0 moved, 2 unchanged");
    airlift.run(["diff", "registry.site:5000", "other.site:5000"]).exits(2).says(&["usage.argument"]);
}
