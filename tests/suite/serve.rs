//! The registry of our own, over a store: what the specification says, through clients that are not ours.

use airlift::oci::{Descriptor, Digest, media_type};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Serving, http::Answer};

/// The codes of an error's envelope.
fn codes(answer: &Answer) -> Vec<String> {
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    envelope["errors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap().to_owned()).collect()
}

fn image(config: &Descriptor, layers: &[&Descriptor]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers})
}

#[test]
fn what_was_pushed_is_pulled_by_tag_and_by_digest() {
    let serving = Serving::empty();
    let (config, layer) = (serving.push_blob("a/b", b"{}"), serving.push_blob("a/b", b"layer"));
    let document = image(&config, &[&layer]);
    let pushed = serving.push_manifest("a/b", "v1", &document).success();
    let digest = pushed.header("docker-content-digest").to_owned();
    for name in ["v1", &digest] {
        let pulled = serving.get(&format!("/v2/a/b/manifests/{name}")).success();
        assert_eq!(pulled.body, document.to_string());
        assert_eq!(pulled.header("docker-content-digest"), digest);
        assert_eq!(pulled.header("content-type"), media_type::OCI_MANIFEST);
    }
    let blob = serving.get(&format!("/v2/a/b/blobs/{}", layer.digest)).success();
    assert_eq!((blob.body, blob.headers["content-length"].to_str().unwrap()), ("layer".into(), "5"));
    let tags: Value = serde_json::from_slice(&serving.get("/v2/a/b/tags/list").body).unwrap();
    assert_eq!(tags, json!({"name": "a/b", "tags": ["v1"]}));
}

#[test]
fn a_manifest_that_names_absent_content_is_refused_with_each_of_it() {
    let serving = Serving::empty();
    let config = serving.push_blob("r", b"{}");
    let absent = Descriptor::of("application/octet-stream", b"absent");
    let mut foreign = absent.clone();
    foreign.media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar".to_owned();

    let refused = serving.push_manifest("r", "v1", &image(&config, &[&absent, &absent]));
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(codes(&refused), ["MANIFEST_BLOB_UNKNOWN"; 2]);
    assert_eq!(serving.get("/v2/r/manifests/v1").status, StatusCode::NOT_FOUND);

    let mut attached = image(&config, &[&foreign]);
    attached["subject"] = json!(absent);
    let taken = serving.push_manifest("r", "v1", &attached).success();
    assert_eq!(taken.header("oci-subject"), absent.digest.to_string());
    let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
        "manifests": [Descriptor::of(media_type::OCI_MANIFEST, b"absent")]});
    assert_eq!(codes(&serving.push_manifest("r", "v2", &index)), ["MANIFEST_BLOB_UNKNOWN"]);
}

#[test]
fn ranges_conditions_and_heads_are_answered_as_http_says() {
    let serving = Serving::empty();
    let content: Vec<u8> = (0..=255).collect();
    let blob = serving.push_blob("r", &content);
    let path = format!("/v2/r/blobs/{}", blob.digest);
    let ask = |headers: &[(&str, &str)]| serving.send(Method::GET, &path, headers, "");
    for (range, from, to) in [("bytes=10-19", 10, 20), ("bytes=-6", 250, 256), ("bytes=250-999", 250, 256)] {
        let part = ask(&[("range", range)]);
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.body, &content[from..to]);
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/256", to - 1));
    }
    let outside = ask(&[("range", "bytes=256-")]);
    assert_eq!((outside.status, outside.header("content-range")), (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */256"));
    let storm = format!("bytes={}", vec!["0-1"; 1000].join(","));
    assert_eq!(ask(&[("range", &storm)]).body, content);
    let stale = ask(&[("range", "bytes=10-19"), ("if-range", "\"other\"")]);
    assert_eq!((stale.status, stale.body.len()), (StatusCode::OK, 256));
    let etag = ask(&[]).header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", blob.digest));
    assert_eq!(ask(&[("if-none-match", &etag)]).status, StatusCode::NOT_MODIFIED);
    let head = serving.send(Method::HEAD, &path, &[], "").success();
    assert_eq!((head.header("content-length"), head.body.len()), ("256", 0));
}

#[test]
fn an_unknown_verb_or_a_malformed_name_gets_the_code_for_it() {
    let serving = Serving::empty();
    let digest = Digest::sha256(b"absent");
    for (method, path, status, code) in [
        (Method::GET, format!("/v2/r/blobs/{digest}"), 404, "BLOB_UNKNOWN"),
        (Method::GET, "/v2/r/manifests/v1".to_owned(), 404, "MANIFEST_UNKNOWN"),
        (Method::GET, "/v2/r/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        (Method::GET, "/v2/R/tags/list".to_owned(), 400, "NAME_INVALID"),
        (Method::GET, "/v2/a%2f..%2fb/tags/list".to_owned(), 400, "NAME_INVALID"),
        (Method::GET, "/v2/r/blobs/sha256:12".to_owned(), 400, "DIGEST_INVALID"),
        (Method::GET, "/v2/r/referrers/nothing".to_owned(), 400, "DIGEST_INVALID"),
        (Method::GET, "/v2/_catalog?n=-1".to_owned(), 400, "UNSUPPORTED"),
        (Method::PATCH, format!("/v2/r/blobs/{digest}"), 405, "UNSUPPORTED"),
        (
            Method::PATCH,
            "/v2/r/blobs/uploads/6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
            404,
            "BLOB_UPLOAD_UNKNOWN",
        ),
        (Method::PUT, "/v2/r/blobs/uploads/nonsense?digest=sha256:1".to_owned(), 400, "DIGEST_INVALID"),
        (Method::PUT, "/v2/r/manifests/v1".to_owned(), 400, "MANIFEST_INVALID"),
        (Method::POST, "/v2/r/blobs/uploads/?digest-algorithm=md5".to_owned(), 400, "DIGEST_INVALID"),
        (Method::GET, "/etc/passwd".to_owned(), 404, "UNSUPPORTED"),
    ] {
        let answer = serving.send(method.clone(), &path, &[], "");
        assert_eq!((answer.status.as_u16(), codes(&answer)), (status, vec![code.to_owned()]), "{method} {path}");
    }
    let everything = serving.get(&format!("/v2/_catalog?n={}", 1_u64 << 62)).success();
    assert_eq!(everything.body, r#"{"repositories":[]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oci_client_crate_pushes_and_pulls() {
    use oci_distribution::{
        Client, Reference,
        client::{ClientConfig, ClientProtocol, Config, ImageLayer},
        secrets::RegistryAuth,
    };
    let serving = tokio::task::spawn_blocking(Serving::empty).await.unwrap();
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..Default::default() });
    let image: Reference = format!("{}/library/x:1", serving.address()).parse().unwrap();
    let layer = ImageLayer::oci_v1(vec![7; 1 << 20], None);
    let config = Config::oci_v1(b"{}".to_vec(), None);
    client.push(&image, std::slice::from_ref(&layer), config, &RegistryAuth::Anonymous, None).await.unwrap();
    let accepted = vec![oci_distribution::manifest::IMAGE_LAYER_MEDIA_TYPE];
    let pulled = client.pull(&image, &RegistryAuth::Anonymous, accepted).await.unwrap();
    assert_eq!(pulled.layers.len(), 1);
    assert_eq!(pulled.layers[0].data, layer.data);
    tokio::task::spawn_blocking(move || drop(serving)).await.unwrap();
}
