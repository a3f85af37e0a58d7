//! Pipelines and the watch import only what is trusted.

use std::fs;

use super::bundle;
use crate::support::{Airlift, Options, Registry, needs, process::Process};

/// A home with a key, a trust file, and the folder `source`.
fn receiver() -> Airlift {
    let airlift = Airlift::new();
    airlift.run(["keygen", "-o", "ops"]).success();
    fs::write(airlift.home().join("trust.toml"), "[[signer]]\nname = 'ops'\nkey = 'ops.pub'\n").unwrap();
    fs::create_dir(airlift.home().join("source")).unwrap();
    airlift
}

fn pipeline(airlift: &Airlift, registry: &Registry, more: &[&str]) {
    let source = airlift.home().join("source").display().to_string();
    let fixed = ["import-pipeline", "create", "-r", registry.address(), "-n", "down", "-c", &source];
    airlift.run(fixed.iter().chain(more)).success();
}

async fn land(airlift: &Airlift, name: &str, seed: u64, sequence: Option<&str>) {
    bundle(airlift, name, seed).await;
    if let Some(sequence) = sequence {
        let members = ["--key", "ops.key", "--stream", "hq", "--sequence", sequence];
        airlift.run(["sign", name].iter().chain(&members)).success();
    }
    // The bundle last: it is what the watch looks for.
    for end in [".transfer.json.sigstore.json", ".transfer.json", ""] {
        let file = format!("{name}{end}");
        if airlift.home().join(&file).exists() {
            fs::rename(airlift.home().join(&file), airlift.home().join("source").join(&file)).unwrap();
        }
    }
}

fn ended(watch: &Process, blob: &str, status: &str) -> String {
    watch.wait_for_line(&format!("\"event\":\"ended\",\"blob\":\"{blob}\",\"status\":\"{status}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_imports_what_is_trusted_and_records_every_run() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = receiver();
    pipeline(&airlift, &registry, &["-z", "OverwriteTags"]);
    airlift.run(["watch", "--trust", "gone.toml"]).exits(2).says(&["gone.toml does not exist"]);
    let watch = airlift.start(["watch", "--json", "--interval", "1s", "--trust", "trust.toml"]);
    watch.wait_for_line("\"watching\"");
    land(&airlift, "b9", 9, Some("9")).await;
    ended(&watch, "b9", "Succeeded");
    let there = registry.manifest("app", "1").unwrap().digest();
    land(&airlift, "anybody", 1, None).await;
    assert!(ended(&watch, "anybody", "Failed").contains("there is no statement"));
    land(&airlift, "b8", 8, Some("8")).await;
    assert!(ended(&watch, "b8", "Failed").contains("older than 9"));
    assert_eq!(registry.manifest("app", "1").unwrap().digest(), there);
    drop(watch);
    let shown = airlift.json(["record", "show", "--json"]);
    let results: Vec<_> =
        shown["entries"].as_array().unwrap().iter().map(|leg| leg["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["done", "trust.unsigned", "trust.older"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_has_a_trust_file_of_its_own() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = receiver();
    pipeline(&airlift, &registry, &["--trust", "trust.toml"]);
    let shown = airlift.json(["import-pipeline", "show", "-r", registry.address(), "-n", "down", "-o", "json"]);
    let path = airlift.home().join("trust.toml").display().to_string();
    assert_eq!(shown["properties"]["trust"], path);
    let run = |name: &str| {
        let fixed = ["pipeline-run", "create", "-r", registry.address(), "-n", name, "-p", "down", "-t", "import"];
        airlift.run(fixed.iter().chain(&["-b", name]))
    };
    land(&airlift, "anybody", 1, None).await;
    run("anybody").exits(4).says(&["trust.unsigned"]);
    assert_eq!(registry.repositories(), Vec::<String>::new());
    land(&airlift, "good", 2, Some("1")).await;
    run("good").success();
}
