//! Imports that only trusted bundles pass, that nothing leads back, and that are recorded.

use std::fs;

use serde_json::Value;

use super::{bundle, site};
use crate::support::{Airlift, Options, Ran, Registry, needs, process::files_below};

/// Exports nothing and signs `name` as `sequence` of the stream hq/site-7.
fn sign(airlift: &Airlift, name: &str, sequence: &str) {
    let members = ["--key", "alice.key", "--stream", "hq/site-7", "--sequence", sequence];
    airlift.run(["sign", name].into_iter().chain(members)).success();
}

fn import(airlift: &Airlift, name: &str, registry: &Registry, more: &[&str]) -> Ran {
    let fixed = ["import", name, "--to", registry.address(), "--trust", "trust.toml", "--overwrite-tags"];
    airlift.run(fixed.iter().chain(more))
}

/// The lines of the record in the state folder.
fn record(airlift: &Airlift) -> Vec<Value> {
    let text = fs::read_to_string(airlift.home().join(".local/state/airlift/record.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pushed_of_a_bundle_that_is_not_trusted() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = site("").await;
    bundle(&airlift, "good.tar", 2).await;
    sign(&airlift, "good.tar", "1");
    for (how, token) in [("unsigned", "trust.unsigned"), ("stranger", "trust.signer")] {
        if how == "stranger" {
            airlift.run(["keygen", "-o", "eve"]).success();
            airlift.run(["sign", "u.tar", "--key", "eve.key"]).success();
        }
        // Nor of the good one that is named with it.
        let both = ["import", "good.tar", "u.tar", "--to", registry.address(), "--keep-host", "--trust", "trust.toml"];
        for more in [[].as_slice(), &["--dry-run"]] {
            airlift.run(both.iter().chain(more)).exits(4).says(&[token, "u.tar is not trusted"]);
        }
        assert_eq!(registry.repositories(), Vec::<String>::new(), "{how}");
    }
    let results: Vec<_> = record(&airlift).iter().map(|line| line["result"].clone()).collect();
    assert_eq!(results, ["trust.unsigned", "trust.unsigned", "trust.signer", "trust.signer"]);
    import(&airlift, "good.tar", &registry, &[]).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_back_but_with_a_reason_that_is_recorded() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = site("").await;
    for (name, seed, sequence) in [("n7.tar", 7, "7"), ("n9.tar", 9, "9"), ("other9.tar", 99, "9")] {
        bundle(&airlift, name, seed).await;
        sign(&airlift, name, sequence);
    }
    import(&airlift, "n9.tar", &registry, &[]).success();
    let there = registry.manifest("app", "1").unwrap().digest();
    // The same bundle again is not a step back; another one of the same number is.
    import(&airlift, "n9.tar", &registry, &[]).success();
    import(&airlift, "other9.tar", &registry, &[]).exits(4).says(&["trust.older", "sequence 9"]);
    let older = import(&airlift, "n7.tar", &registry, &[]).exits(4);
    let older = older.says(&["trust.older", "sequence 7", "older than 9", "--allow-older REASON"]);
    assert_eq!(registry.manifest("app", "1").unwrap().digest(), there, "{older}");
    import(&airlift, "n7.tar", &registry, &["--allow-older", "9 breaks the scanner"]).success();
    assert_ne!(registry.manifest("app", "1").unwrap().digest(), there);
    // A step back does not lower the mark.
    import(&airlift, "n7.tar", &registry, &[]).exits(4).says(&["trust.older"]);

    let lines = record(&airlift);
    let last = &lines[lines.len() - 2];
    assert_eq!((&last["reason"], &last["result"]), (&"9 breaks the scanner".into(), &"done".into()));
    assert_eq!((&last["signers"], &last["sequence"]), (&serde_json::json!(["alice"]), &7.into()));
    assert_eq!(lines.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_found_and_not_continued() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = site("").await;
    sign(&airlift, "u.tar", "1");
    for _ in 0..3 {
        import(&airlift, "u.tar", &registry, &["--record", "r.jsonl"]).success();
    }
    let shown = airlift.run(["record", "show", "r.jsonl"]).success().stdout;
    assert!(shown.contains("hq/site-7 1") && shown.contains("3 lines, head sha256:"), "{shown}");
    let head = airlift.json(["record", "verify", "r.jsonl", "--json"])["head"].as_str().unwrap().to_owned();
    airlift.run(["record", "verify", "r.jsonl", "--head", &head]).success();

    let path = airlift.home().join("r.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"result\":\"done\"", "\"result\":\"nope\"", 1)).unwrap();
    airlift.run(["record", "verify", "r.jsonl"]).exits(4).says(&["record.damaged"]);
    let said = airlift.run(["record", "verify", "r.jsonl"]).stdout;
    assert!(said.contains("line 2 does not follow"), "{said}");
    // A cut at the end is found by the head beside it, and hidden from nobody by a new line.
    fs::write(&path, text.split_inclusive('\n').take(1).collect::<String>()).unwrap();
    airlift.run(["record", "verify", "r.jsonl"]).exits(4);
    import(&airlift, "u.tar", &registry, &["--record", "r.jsonl"]).exits(4).says(&["record.damaged", "record verify"]);
    assert!(files_below(airlift.home()).contains(&"r.jsonl.head".to_owned()));
}
