//! Runs in which some artifacts fail.

use std::fs;

use airlift::oci::Digest;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    compare, needs,
};

/// Fifty references, of which every fifth names nothing.
fn fifty(registry: &Registry) -> (Vec<String>, Vec<String>) {
    let (mut good, mut missing) = (Vec::new(), Vec::new());
    for n in 0..50 {
        let name = format!("app-{n:02}");
        if n % 5 == 3 {
            missing.push(registry.reference(&format!("{name}:v1")));
        } else {
            Artifact::small(1000 + n, 5_000).push(registry, &name, Some("v1"));
            good.push(registry.reference(&format!("{name}:v1")));
        }
    }
    (good, missing)
}

#[test]
fn ten_of_fifty_missing_stop_the_run_or_are_reported_by_name() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let (good, missing) = fifty(&registry);
    let airlift = Airlift::new();
    let list = good.iter().chain(&missing).cloned().collect::<Vec<_>>().join("\n");
    fs::write(airlift.home().join("list.txt"), format!("# fifty\n{list}\n")).unwrap();

    let stopped = airlift.run(["export", "-f", "list.txt", "-o", "b.tar"]).exits(1);
    for reference in &missing {
        assert!(stopped.stderr.contains(reference), "{stopped}");
    }
    assert!(!airlift.home().join("b.tar").exists());

    let args = ["export", "-f", "list.txt", "-o", "b.tar", "--continue-on-errors", "--report", "report.json"];
    airlift.run(args).exits(3).says(&["transfer.partial"]);
    airlift.run(["verify", "b.tar"]).success();
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(airlift.home().join("report.json")).unwrap()).unwrap();
    let named = |state: &str| {
        let artifacts = report["artifacts"].as_array().unwrap().iter();
        artifacts.filter(|artifact| artifact["state"] == state).cloned().collect::<Vec<_>>()
    };
    assert_eq!(named("done").len(), 40);
    let failed = named("failed");
    let mut absent: Vec<&str> = failed.iter().map(|artifact| artifact["reference"].as_str().unwrap()).collect();
    absent.sort_unstable();
    assert_eq!(absent, missing);
    assert!(failed.iter().all(|artifact| artifact["reason"]["token"] == "registry.not-found"), "{failed:?}");

    // The file that retries just those.
    for n in (0..50).filter(|n| n % 5 == 3) {
        Artifact::small(2000 + n, 500).push(&registry, &format!("app-{n:02}"), Some("v1"));
    }
    airlift.run(["export", "-f", "report.json.retry.txt", "-o", "rest.tar"]).success();
    let target = Registry::start(Options::default());
    airlift.run(["import", "b.tar", "rest.tar", "--to", target.address()]).success();
    assert_eq!(target.repositories().len(), 50);
    compare::same((&registry, "app-00"), (&target, "app-00"), "v1");
}

#[test]
fn a_blob_that_turns_out_damaged_is_planned_out_and_the_rest_is_packed() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let (good, bad) = (Artifact::small(1, 300_000), Artifact::small(2, 400_000));
    good.push(&registry, "good", Some("v1"));
    bad.push(&registry, "bad", Some("v1"));
    let layer = bad.root.layers()[0].digest;
    let file = registry.blob_file(&layer);
    let mut content = fs::read(&file).unwrap();
    content[200_000] ^= 1;
    fs::write(&file, content).unwrap();
    let airlift = Airlift::new();
    let references = [registry.reference("good:v1"), registry.reference("bad:v1")];
    let args = ["export", "-o", "b.tar", &references[0], &references[1]];

    let stopped = airlift.run(args).exits(4);
    stopped.says(&["content.digest-mismatch", &references[1], &layer.to_string(), "source"]);
    assert!(!airlift.home().join("b.tar").exists());

    airlift.run(args.into_iter().chain(["--continue-on-errors"])).exits(3);
    airlift.run(["verify", "b.tar"]).success();
    // The same bytes as if the damaged artifact had never been asked for.
    airlift.run(["export", "-o", "alone.tar", &references[0]]).success();
    let read = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(read("b.tar") == read("alone.tar"));
}

/// Changes a bit of what the bundle has under `digest`.
fn damage(airlift: &Airlift, bundle: &str, digest: &Digest) {
    let path = airlift.home().join(bundle);
    let mut bytes = fs::read(&path).unwrap();
    let name = format!("blobs/sha256/{}", digest.hex());
    let header = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    // A tar's header has 512 bytes.
    bytes[header + 512 + 50] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_signature_that_hangs_on_a_tag_does_not_arrive_without_its_image() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let (good, bad) = (Artifact::small(1, 30_000), Artifact::small(2, 40_000));
    for (name, image) in [("good", &good), ("bad", &bad)] {
        image.push(&registry, name, Some("v1"));
        let signature =
            Artifact::attached("application/x.cosign", Blob::layer(image.digest().hex().len() as u64, 500), None);
        signature.push(&registry, name, Some(&format!("sha256-{}.sig", image.digest().hex())));
        // A signature of the signature.
        let second = Artifact::attached("application/x.cosign", Blob::layer(9, 700), None);
        second.push(&registry, name, Some(&format!("sha256-{}.sig", signature.digest().hex())));
    }
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar", &registry.reference("good:v1"), &registry.reference("bad:v1")]).success();
    damage(&airlift, "b.tar", &bad.root.layers()[0].digest);

    let target = Registry::start(Options::default());
    let args = ["import", "b.tar", "--to", target.address(), "--continue-on-errors", "--report", "r.json"];
    airlift.run(args).exits(3);
    assert!(target.tags("bad").is_empty(), "{:?}", target.tags("bad"));
    assert_eq!(target.tags("good").len(), 3);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(airlift.home().join("r.json")).unwrap()).unwrap();
    let artifacts = report["artifacts"].as_array().unwrap().iter();
    let mut tokens: Vec<&str> = artifacts.filter_map(|artifact| artifact["reason"]["token"].as_str()).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, ["bundle.digest-mismatch", "transfer.subject", "transfer.subject"]);
}

#[test]
fn fifty_one_artifacts_are_a_usage_error_that_names_the_limit() {
    let airlift = Airlift::new();
    let names: Vec<String> = (0..51).map(|n| format!("r.example/app-{n}")).collect();
    let refused = airlift.run(["export", "-o", "b.tar"].into_iter().chain(names.iter().map(String::as_str))).exits(2);
    refused.says(&["usage.too-many-artifacts", "50", "51", "--max-artifacts"]);
}
