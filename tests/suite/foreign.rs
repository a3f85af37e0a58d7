//! Non-distributable layers, end to end.

use std::fs;

use airlift::oci::media_type;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob, noise},
    compare,
    files::Files,
    needs,
};

/// A source that has an image whose second layer lies on another server only.
fn source(files: &Files) -> (Registry, Artifact, String) {
    let registry = Registry::start(willing());
    let content = noise(7, 70_000);
    let url = files.put("/windows/base.tar.gz", content.clone());
    let image = Artifact::image("windows/amd64", vec![Blob::layer(8, 9_000), Blob::foreign(content, &url)]);
    image.push(&registry, "win/app", Some("v1"));
    let reference = registry.reference("win/app:v1");
    (registry, image, reference)
}

fn willing() -> Options {
    Options { allow_urls: vec!["^http://127\\.0\\.0\\.1".into()], ..Options::default() }
}

#[test]
fn a_layer_that_lies_at_its_urls_only_arrives_in_the_target() {
    needs!("docker-registry");
    let files = Files::start();
    let (source, image, reference) = source(&files);
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar", &reference]).success();
    assert!(files.asked().contains(&"GET /windows/base.tar.gz".to_owned()));
    airlift.run(["verify", "b.tar"]).success();
    let target = Registry::start(willing());
    airlift.run(["import", "b.tar", "--to", target.address()]).success();
    compare::same((&source, "win/app"), (&target, "win/app"), "v1");
    let layer = image.blobs[2].descriptor.digest;
    assert!(target.blob("win/app", &layer).is_some(), "the foreign layer lies in the target itself");
}

#[test]
fn a_target_that_refuses_urls_gets_the_explained_error_and_keeps_no_tag() {
    needs!("docker-registry");
    let files = Files::start();
    let (_source, image, reference) = source(&files);
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar", &reference]).success();
    let strict = Registry::start(Options::default());
    let refused = airlift.run(["import", "b.tar", "--to", strict.address()]).exits(1);
    refused.says(&["registry.foreign-refused", "win/app", "validation.manifests.urls.allow", "--rewrite-foreign"]);
    assert!(strict.tags("win/app").is_empty());

    let report = airlift.json(["import", "b.tar", "--json", "--rewrite-foreign", "--to", strict.address()]);
    let manifest = strict.manifest("win/app", "v1").unwrap();
    assert_ne!(manifest.digest(), image.digest());
    assert!(
        manifest.layers().iter().all(|layer| layer.urls.is_empty() && !media_type::is_foreign_layer(&layer.media_type))
    );
    assert!(strict.blob("win/app", &image.blobs[2].descriptor.digest).is_some());
    let outcome = &report["artifacts"][0];
    assert_eq!(outcome["digest"], image.digest().to_string());
    assert_eq!(outcome["rewritten"], manifest.digest().to_string());
    assert!(report["warnings"][0].as_str().unwrap().contains(&manifest.digest().to_string()));
}

#[test]
fn foreign_layers_can_be_left_out_and_the_bundle_says_so() {
    needs!("docker-registry");
    let files = Files::start();
    let (_source, image, reference) = source(&files);
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar", "--foreign", "skip", &reference]).success();
    assert!(!files.asked().iter().any(|asked| asked.starts_with("GET")), "{:?}", files.asked());
    airlift.run(["verify", "b.tar"]).success();
    assert!(fs::metadata(airlift.home().join("b.tar")).unwrap().len() < 70_000);
    let target = Registry::start(willing());
    airlift.run(["import", "b.tar", "--to", target.address()]).success();
    assert_eq!(target.manifest("win/app", "v1").unwrap().digest(), image.digest());
    assert!(target.blob("win/app", &image.blobs[2].descriptor.digest).is_none());
}
