//! `airlift inspect`: what a person sees of a bundle, and what scripts get.

use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob},
    packed::Packed,
};

/// Two artifacts that share a layer, an SBOM attached by subject, and a signature attached by tag.
fn sample() -> Packed {
    let image = Artifact::multi_platform(1, 3000);
    let payload = Blob::new("application/spdx+json", &b"{\"spdx\":1}"[..]);
    let sbom = Artifact::attached("application/spdx+json", payload, Some(&image));
    let signature = Artifact::image("linux/amd64", vec![Blob::layer(7, 100)]);
    let tag = format!("r.example/team/app:sha256-{}.sig", image.digest().hex());
    Packed::new()
        .with("r.example/base:2", Artifact::image("linux/amd64", vec![Blob::layer(1, 3000), Blob::layer(9, 512)]))
        .with(&tag, signature)
        .with("r.example/team/app:1", image)
        .attached("r.example/team/app", sbom)
}

async fn with_bundle() -> Airlift {
    let airlift = Airlift::new();
    sample().write(&airlift.home().join("b.tar")).await;
    airlift
}

#[tokio::test]
async fn people_see_artifacts_and_trees() {
    let airlift = with_bundle().await;
    let shown = |more: &[&str]| {
        let ran = airlift.run(["inspect", "b.tar"].iter().chain(more)).success();
        assert_eq!(ran.stderr, "");
        ran.stdout
    };
    // The order of fields in the samples' documents, and so their digests, hangs on features of the JSON library.
    insta::with_settings!({filters => [("[0-9a-f]{64}", "DIGEST"), ("[0-9a-f]{12}", "SHORT")]}, {
        insta::assert_snapshot!("summary", shown(&[]));
        insta::assert_snapshot!("tree", shown(&["--tree"]));
    });
}

#[tokio::test]
async fn the_sums_are_what_other_tools_find_in_the_unpacked_bundle() {
    let airlift = with_bundle().await;
    let sums = airlift.run(["inspect", "b.tar", "--sums"]).success().stdout;
    let unpacked = airlift.home().join("unpacked");
    tar::Archive::new(std::fs::File::open(airlift.home().join("b.tar")).unwrap()).unpack(&unpacked).unwrap();
    for line in sums.lines() {
        let (hex, name) = line.split_once("  ").unwrap();
        let content = std::fs::read(unpacked.join(name)).unwrap();
        assert_eq!(airlift::oci::Digest::sha256(&content).hex(), hex, "{name}");
    }
    let files = crate::support::process::files_below(&unpacked);
    // Neither the marker nor the seal is content.
    assert_eq!(sums.lines().count(), files.len() - 2, "{files:#?}");
}

#[tokio::test]
async fn a_single_image_says_what_it_runs_on_by_its_config() {
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    let image = Artifact::image("linux/arm64", vec![Blob::layer(1, 100)]);
    let other = Artifact::attached("application/x-thing", Blob::new("a/b", "x"), None);
    Packed::new().with("r.example/a:1", image.clone()).with("r.example/thing:1", other).write(&path).await;
    let shown = || airlift.json(["inspect", "b.tar", "--json"])["artifacts"].clone();
    let platform = serde_json::json!([{"architecture": "arm64", "os": "linux"}]);
    assert_eq!((&shown()[0]["platforms"], &shown()[1]["platforms"]), (&platform, &serde_json::json!([])));
    assert!(airlift.run(["inspect", "b.tar"]).success().stdout.contains("linux/arm64"));
    // What is damaged says nothing, and is not a failure of an inspection.
    let config = image.root.config().unwrap();
    let at = airlift::bundle::Reader::open(&path).await.unwrap().offset(&config.digest).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[usize::try_from(at).unwrap() + 2] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(shown()[0]["platforms"], serde_json::json!([]));
}

#[tokio::test]
async fn scripts_get_everything_with_offsets() {
    let airlift = with_bundle().await;
    let found = airlift.json(["inspect", "b.tar", "--json"]);
    assert_eq!(found["format"], "bundle");
    let names: Vec<_> = found["artifacts"].as_array().unwrap().iter().map(|one| &one["reference"]).collect();
    assert_eq!(names, ["r.example/base:2", "r.example/team/app:1"]);
    assert_eq!(found["artifacts"][1]["attached"].as_array().unwrap().len(), 2);
    let bundle = std::fs::read(airlift.home().join("b.tar")).unwrap();
    assert_eq!(found["size"], bundle.len());
    for blob in found["blobs"].as_array().unwrap() {
        let number = |name: &str| usize::try_from(blob[name].as_u64().unwrap()).unwrap();
        let content = &bundle[number("offset")..][..number("size")];
        assert_eq!(airlift::oci::Digest::sha256(content).to_string(), blob["digest"].as_str().unwrap());
    }
}
