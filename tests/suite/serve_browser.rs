//! What a browser makes of the registry's answers: nothing but the page is a document to it.

use airlift::{
    bundle::Reader,
    oci::{Manifest, media_type},
    server::Config,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    Serving,
    artifacts::{Artifact, Blob},
    http::{Answer, block_on},
    packed::Packed,
};

const SCRIPT: &str = "<script>alert(1)</script>";

fn is_harmless(answer: &Answer, path: &str) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox", "{path}");
}

#[test]
fn a_manifest_that_a_browser_would_show_is_not_taken() {
    let serving = Serving::empty();
    let config = serving.push_blob("r", b"{}");
    let document = |media_type: &str| {
        json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [],
        "annotations": {"x": SCRIPT}})
    };
    for active in ["text/html", "image/svg+xml", "application/xhtml+xml"] {
        let refused = serving.push_manifest("r", "v1", &document(active));
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{active}");
        is_harmless(&refused, active);
        // Also one that hides behind a header that says nothing.
        let headers = [("content-type", "application/json")];
        let body = document(active).to_string();
        let hidden = serving.send(Method::PUT, "/v2/r/manifests/v1", &headers, body);
        assert_eq!(hidden.status, StatusCode::BAD_REQUEST, "{active}");
    }
    let raw = serving.send(Method::PUT, "/v2/r/manifests/v1", &[("content-type", "text/html")], SCRIPT);
    assert_eq!(raw.status, StatusCode::BAD_REQUEST);
    serving.push_manifest("r", "v1", &document(media_type::OCI_MANIFEST)).success();
}

#[test]
fn a_manifest_in_a_bundle_that_a_browser_would_show_is_only_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let page = Manifest::parse(SCRIPT.into(), Some("text/html")).unwrap();
    let mut image = Artifact::image("linux/amd64", vec![Blob::layer(1, 100)]);
    image.root = page.clone();
    image.blobs.clear();
    block_on(Packed::new().with("a.example/app:1", image).write(&path));
    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()]));
    for name in ["1", &page.digest().to_string()] {
        let answer = serving.get(&format!("/v2/app/manifests/{name}")).success();
        assert_eq!((answer.header("content-type"), &answer.body[..]), ("application/octet-stream", SCRIPT.as_bytes()));
        is_harmless(&answer, name);
    }
}

#[test]
fn every_answer_but_the_page_is_sandboxed() {
    let serving = Serving::empty();
    let blob = serving.push_blob("r", SCRIPT.as_bytes());
    for path in [
        &format!("/v2/r/blobs/{}", blob.digest),
        "/v2/",
        "/v2/_catalog",
        "/v2/r/tags/list",
        "/v2/R/tags/list",
        "/nothing",
        "/healthz",
        "/metrics",
        "/token",
    ] {
        is_harmless(&serving.get(path), path);
    }
    let page = serving.get("/");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("content-security-policy").contains("style-src 'unsafe-inline'"));
}
