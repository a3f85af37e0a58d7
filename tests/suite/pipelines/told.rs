//! Where a run's secret may come from, and what the run says of each artifact.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use super::{Place, Site, response};
use crate::support::{
    artifacts::Artifact,
    compare,
    faults::{self, Faults},
    needs,
};

fn keep(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_secret_comes_from_a_file_or_from_a_command_and_is_fetched_at_each_run() {
    needs!("docker-registry", "azurite-blob");
    let site = Site::azurite();
    let Place::Azurite(azurite) = &site.place else { unreachable!() };
    Artifact::small(1, 10_000).push(&site.from, "app", Some("v1"));
    let home = site.airlift.home();
    let (kept, uri) = (home.join("sas"), format!("http://{}/accounta/transfer", azurite.address()));
    let container = |reference: &str| vec!["-c".to_owned(), uri.clone(), "-s".to_owned(), reference.to_owned()];
    let pipeline = |command: &str, registry: &str, name: &str, reference: &str| {
        let fixed = [command, "create", "-r", registry, "-n", name].map(str::to_owned);
        site.airlift.run(fixed.into_iter().chain(container(reference))).success();
    };
    // What the group may read, as secrets of containers and units are; with the end of line that editors leave.
    keep(&kept, &format!("{}\n", site.token), 0o640);
    pipeline("export-pipeline", site.from.address(), "up", &format!("file:{}", kept.display()));
    pipeline("import-pipeline", site.to.address(), "down", &format!("exec:echo aside >&2; cat '{}'", kept.display()));
    site.airlift.run(site.export("out", "x.tar", &["app:v1"])).success();
    site.airlift.run(site.import("in", "x.tar")).success();
    compare::same((&site.from, "app"), (&site.to, "app"), "v1");
    // Nothing of it was remembered: with the file gone there is none.
    fs::remove_file(&kept).unwrap();
    site.airlift.run(site.export("again", "y.tar", &["app:v1"])).exits(1).says(&["secret.not-found"]);
    site.airlift.run(site.import("again", "x.tar")).exits(1).says(&["secret.command"]);
}

#[test]
fn a_run_says_of_each_artifact_how_often_its_calls_were_made_again() {
    needs!("docker-registry");
    let site = Site::folder();
    for (seed, name) in [(1, "shaky"), (2, "steady")] {
        Artifact::small(seed, 10_000).push(&site.from, name, Some("v1"));
    }
    let wire = Faults::before(site.from.address());
    // The manifest is refused twice, and then given.
    let refused = std::sync::atomic::AtomicUsize::new(0);
    wire.rule(move |_, head| {
        let concerned = head.contains(" /v2/shaky/manifests/v1 ");
        let left = concerned && refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2;
        left.then(faults::busy)
    });
    let address = wire.address();
    site.pipeline("export-pipeline", &address, "up", &[]);
    let words = ["pipeline-run", "create", "-r", &address, "-n", "run", "-p", "up", "-t", "export", "-b", "x.tar"];
    let run = site.airlift.json(words.into_iter().chain(["-a", "shaky:v1", "steady:v1"]));
    let artifacts = response(&run)["artifacts"].as_array().unwrap();
    let of = |name: &str| artifacts.iter().find(|one| one["name"].as_str().unwrap().contains(name)).unwrap();
    let retries = |one: &Value| one["retries"].clone();
    assert_eq!((retries(of("shaky")), retries(of("steady"))), (json!(2), json!(0)), "{run:#}");
    for one in artifacts {
        assert_eq!((&one["status"], &one["sourceDigest"]), (&json!("Done"), &one["targetDigest"]), "{one:#}");
        assert!(one["bytes"].as_u64().unwrap() > 10_000 && one.get("reason").is_none(), "{one:#}");
    }
}
