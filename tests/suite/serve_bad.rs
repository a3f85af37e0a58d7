//! What a registry gets from strangers: each is answered as the specification says, and nothing falls over.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use airlift::{
    oci::{Algorithm, Digest, media_type},
    server::Config,
    store::Store,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Serving, Tmpfs, artifacts::noise, http::Answer};

/// What comes back on a connection of its own, until it closes.
fn raw(serving: &Serving, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(serving.address()).unwrap();
    // The other side may answer and close before it has read everything.
    let _ = stream.write_all(request);
    // A server that neither answers nor closes fails the test instead of stopping it.
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn code(answer: &Answer) -> String {
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap();
    envelope["errors"][0]["code"].as_str().unwrap().to_owned()
}

fn begin(serving: &Serving, repository: &str) -> String {
    let begun = serving.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], "");
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    begun.header("location").to_owned()
}

#[test]
fn requests_that_are_no_http_end_in_an_answer_and_the_next_one_is_served() {
    let serving = Serving::empty();
    let large = format!("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(raw(&serving, large.as_bytes()).starts_with("HTTP/1.1 431"));
    let both = "POST /v2/r/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    // RFC 9112, section 6.3: the encoding says where the body ends, and the length nothing. What follows is no request.
    let answer = raw(&serving, both.as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    for garbage in [&b"\0\0\0\0"[..], b"GET\r\n\r\n", b"GET /v2/ HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00"] {
        raw(&serving, garbage);
    }
    for path in [
        "/v2/../../etc/passwd",
        "/v2/a/../manifests/x",
        "/v2/%2e%2e/tags/list",
        "/v2/a/blobs/..%2f..%2fx",
        "//",
        "/v2//",
    ] {
        let answer = raw(&serving, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
        let status: u16 = answer[9..12].parse().unwrap();
        assert!((400..500).contains(&status), "{path}: {answer}");
        assert!(!answer.contains("/tmp"), "no path of this machine: {answer}");
    }
    serving.get("/v2/").success();
}

#[test]
fn an_upload_belongs_to_its_repository_and_ends_with_a_wrong_digest() {
    let serving = Serving::empty();
    let location = begin(&serving, "one");
    let elsewhere = location.replace("/one/", "/two/");
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let answer = serving.send(method.clone(), &elsewhere, &[], "x");
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
    let good = Digest::sha256(b"content");
    let put = serving.send(Method::PUT, &format!("{location}?digest={good}"), &[], "other");
    assert_eq!((put.status, code(&put).as_str()), (StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
    assert_eq!(serving.get(&location).status, StatusCode::NOT_FOUND);
    for digest in [good, Digest::sha256(b"other")] {
        assert_eq!(serving.get(&format!("/v2/one/blobs/{digest}")).status, StatusCode::NOT_FOUND);
    }
}

#[test]
fn a_full_disk_is_said_and_the_upload_goes_on_when_there_is_room() {
    let Some(tmpfs) = Tmpfs::mount(4 << 20) else { return };
    let serving = Serving::new(Config::store(Store::open(&tmpfs.path().join("store")).unwrap()));
    let filler = tmpfs.path().join("filler");
    std::fs::write(&filler, vec![0; 2 << 20]).unwrap();
    let content = noise(1, 3 << 20);
    let location = begin(&serving, "r");
    let full = serving.send(Method::PATCH, &location, &[], content.clone());
    assert_eq!(full.status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(code(&full), "UNKNOWN");
    std::fs::remove_file(&filler).unwrap();
    let state = serving.get(&location).success();
    let received = state.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!(received < content.len());
    let rest = content[received..].to_vec();
    let digest = Digest::sha256(&content);
    assert_eq!(
        serving.send(Method::PUT, &format!("{location}?digest={digest}"), &[], rest).status,
        StatusCode::CREATED
    );
    assert!(serving.get(&format!("/v2/r/blobs/{digest}")).success().body == content);
}

#[test]
fn chunks_out_of_order_or_of_another_length_change_nothing() {
    let serving = Serving::empty();
    let location = begin(&serving, "r");
    let patch =
        |range: &str, body: &'static str| serving.send(Method::PATCH, &location, &[("content-range", range)], body);
    assert_eq!(patch("0-3", "abcd").status, StatusCode::ACCEPTED);
    let early = patch("8-11", "xxxx");
    assert_eq!(early.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!((early.header("range"), early.header("location")), ("0-3", location.as_str()));
    assert_eq!(patch("0-3", "abcd").status, StatusCode::RANGE_NOT_SATISFIABLE);
    for range in ["4-9", "4", "x-y", "4-3", "4-18446744073709551615"] {
        assert_eq!(patch(range, "efgh").status, StatusCode::BAD_REQUEST, "{range}");
    }
    let digest = Digest::of(Algorithm::Sha512, b"abcdefgh");
    let put = serving.send(Method::PUT, &format!("{location}?digest={digest}"), &[("content-range", "4-7")], "efgh");
    assert_eq!(put.status, StatusCode::CREATED);
    assert_eq!(serving.get(&format!("/v2/r/blobs/{digest}")).success().body, "abcdefgh");
}

#[test]
fn manifests_are_taken_up_to_their_limit_and_refused_above_it() {
    let serving = Serving::empty();
    let config = serving.push_blob("r", b"{}");
    let of_size = |size: usize| {
        let document = |padding: usize| {
            json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [],
                "annotations": {"padding": "x".repeat(padding)}})
        };
        document(size - document(0).to_string().len())
    };
    serving.push_manifest("r", "fits", &of_size(4 << 20)).success();
    let refused = serving.push_manifest("r", "more", &of_size((4 << 20) + 1));
    assert_eq!((refused.status, code(&refused).as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"));
    for bad in [
        json!({"schemaVersion": 1, "name": "x", "fsLayers": []}),
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [], "manifests": []}),
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX}),
    ] {
        let answer = serving.push_manifest("r", "bad", &bad);
        assert_eq!((answer.status, code(&answer).as_str()), (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"), "{bad}");
    }
    let tags: Vec<String> = (0..101).map(|n| format!("tag=t{n}")).collect();
    let document = of_size(1000);
    let digest = Digest::sha256(document.to_string().as_bytes());
    let many = serving.push_manifest("r", &format!("{digest}?{}", tags.join("&")), &document);
    assert_eq!(many.status, StatusCode::URI_TOO_LONG);
}

#[test]
fn pages_of_names_are_capped_and_lead_on() {
    let serving = Serving::empty();
    let config = serving.push_blob("r", b"{}");
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": []});
    for tag in ["b", "a", "C", "d"] {
        serving.push_manifest("r", tag, &document).success();
    }
    let mut path = "/v2/r/tags/list?n=3".to_owned();
    let mut pages = Vec::new();
    loop {
        let page = serving.get(&path).success();
        let names: Value = serde_json::from_slice(&page.body).unwrap();
        pages.push(names["tags"].clone());
        let Some(next) = page.header("link").strip_prefix('<').and_then(|link| link.split_once(">; rel=\"next\""))
        else {
            break;
        };
        path = next.0.to_owned();
    }
    assert_eq!(pages, [json!(["C", "a", "b"]), json!(["d"])]);
    assert_eq!(serving.get("/v2/r/tags/list?n=0").success().body, r#"{"name":"r","tags":[]}"#);
    for bad in ["-1", "x", "", "1.5"] {
        assert_eq!(serving.get(&format!("/v2/r/tags/list?n={bad}")).status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
