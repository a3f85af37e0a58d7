//! What a registry gets from strangers: each is answered as the specification says, and nothing falls over.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use airlift::{
    oci::{Algorithm, Digest, media_type},
    server::{Changes, Config},
    store::Store,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Serving, Tmpfs,
    artifacts::noise,
    http::{Answer, Caller},
    with,
};

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
    // RFC 9112, section 6.3: the encoding says where the body ends, and the length nothing. What follows is not a request.
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
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": {}}),
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
    // Two are expected; a list that leads in a circle must not hold the test up.
    while pages.len() < 5 {
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

/// Requests of every kind, good and bad, with the status and the code each gets from a store that holds `r:v1`.
fn requests(manifest: Digest, blob: Digest) -> Vec<(Method, String, u16, &'static str)> {
    let absent = Digest::sha256(b"absent");
    let long = "a".repeat(129);
    let name = |path: &str| format!("/v2/r/{path}");
    vec![
        (Method::GET, "/v2/".to_owned(), 200, ""),
        (Method::GET, name("manifests/v1"), 200, ""),
        (Method::HEAD, name(&format!("manifests/{manifest}")), 200, ""),
        (Method::GET, name(&format!("blobs/{blob}")), 200, ""),
        (Method::GET, name("tags/list?n=4611686018427387904"), 200, ""),
        (Method::GET, name(&format!("referrers/{absent}")), 200, ""),
        (Method::GET, "/v2/_catalog".to_owned(), 200, ""),
        (Method::GET, "/v2/_catalog?n=-1".to_owned(), 400, "UNSUPPORTED"),
        (Method::GET, name("tags/list?n=-1"), 400, "UNSUPPORTED"),
        (Method::GET, name("manifests/.hidden"), 400, "MANIFEST_INVALID"),
        (Method::GET, name("manifests/a%20b"), 400, "DIGEST_INVALID"),
        (Method::GET, name(&format!("manifests/{long}")), 400, "MANIFEST_INVALID"),
        (Method::GET, name("manifests/sha256:12"), 400, "DIGEST_INVALID"),
        (Method::GET, name(&format!("blobs/sha256:{}", "G".repeat(64))), 400, "DIGEST_INVALID"),
        (Method::GET, name(&format!("blobs/md5:{}", "0".repeat(32))), 400, "DIGEST_INVALID"),
        (Method::GET, name(&format!("blobs/{absent}")), 404, "BLOB_UNKNOWN"),
        (Method::GET, name("manifests/v2"), 404, "MANIFEST_UNKNOWN"),
        (Method::GET, "/v2/other/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        (Method::GET, "/v2/..%2f..%2fetc/tags/list".to_owned(), 400, "NAME_INVALID"),
    ]
}

#[test]
fn answers_are_the_same_over_tls_with_a_password_and_from_a_store_that_may_only_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    crate::support::tls::write(folder.path());
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(path("users"), format!("ann:{hash}\n")).unwrap();
    let filled = Serving::new(Config::store(Store::open(&path("store")).unwrap()));
    let (config, layer) = (filled.push_blob("r", b"{}"), filled.push_blob("r", b"layer"));
    let document =
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer]});
    filled.push_manifest("r", "v1", &document).success();
    let manifest = Digest::sha256(document.to_string().as_bytes());
    drop(filled);

    let secured = with(Config::default(), |config| {
        config.tls =
            Some(airlift::server::Certificate { chain: path("server.pem"), key: path("server.key"), client_ca: None });
        config.htpasswd = Some(path("users"));
    });
    let read_only = with(Config::default(), |config| config.changes = Changes::None);
    let mut answers = Vec::new();
    for (scheme, config) in [("http", Config::default()), ("https", secured), ("http", read_only)] {
        let changes = config.changes;
        let serving = Serving::new(with(config, |config| config.store = Some(Store::open(&path("store")).unwrap())));
        let basic = (scheme == "https").then(|| ("ann".to_owned(), "secret".to_owned()));
        let ca = (scheme == "https").then(|| std::fs::read(path("ca.pem")).unwrap());
        let caller = Caller { ca, basic, ..Caller::default() };
        let send = |method: &Method, path: &str| {
            caller.send(method.clone(), &format!("{scheme}://{}{path}", serving.address()), &[], "")
        };
        let mut seen = Vec::new();
        for (method, path, status, expected) in requests(manifest, layer.digest) {
            let answer = send(&method, &path);
            assert_eq!(answer.status.as_u16(), status, "{scheme} {method} {path}");
            if !expected.is_empty() {
                assert_eq!(code(&answer), expected, "{scheme} {method} {path}");
            }
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
            let kept = ["content-type", "content-length", "docker-content-digest", "etag", "cache-control", "link"];
            seen.push((path, text, kept.map(|name| answer.header(name).to_owned())));
        }
        answers.push(seen);
        if changes == Changes::None {
            let upload = "/v2/r/blobs/uploads/6ba7b810-9dad-11d1-80b4-00c04fd430c8";
            for (method, path) in [
                (Method::PUT, "/v2/r/manifests/v2"),
                (Method::DELETE, "/v2/r/manifests/v1"),
                (Method::DELETE, &format!("/v2/r/blobs/{}", layer.digest)),
                (Method::POST, "/v2/r/blobs/uploads/"),
                (Method::PATCH, upload),
                (Method::PUT, &format!("{upload}?digest={}", layer.digest)),
                (Method::DELETE, upload),
            ] {
                let answer = send(&method, path);
                assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (405, "UNSUPPORTED"), "{method} {path}");
            }
        }
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}
