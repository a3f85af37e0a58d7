//! What one client may use up, and how a server ends: bounded connections, slow peers, a graceful stop, stale uploads.

use std::{
    fs::OpenOptions,
    io::{self, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use airlift::{
    bundle::Reader,
    oci::Digest,
    server::{Config, ServeLimits},
    store::Store,
};
use reqwest::{Method, StatusCode};

use crate::support::{
    Airlift, Serving,
    artifacts::{Artifact, Blob},
    http::block_on,
    packed::Packed,
    process::{PATIENCE, until},
    with,
};

/// More than the buffers of both ends hold, so that a client that does not read holds the server up.
const LARGE: usize = 48 << 20;

fn bundle(folder: &Path) -> (PathBuf, Blob) {
    let path = folder.join("b.tar");
    let image = Artifact::image("linux/amd64", vec![Blob::layer(1, LARGE)]);
    block_on(Packed::new().with("a.example/app:1", image.clone()).write(&path));
    (path, image.blobs[1].clone())
}

fn bundles(path: &Path) -> Config {
    Config::bundles(vec![block_on(Reader::open(path)).unwrap()])
}

fn url(blob: &Blob) -> String {
    format!("/v2/app/blobs/{}", blob.descriptor.digest)
}

/// A connection on which `request` was sent; a server that neither answers nor closes fails the test.
fn ask(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn get(address: &str, path: &str) -> TcpStream {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

/// Reads up to the end of the head, and not a byte of what follows.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// What comes until the other side closes; a reset is an end like any other.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => rest,
    }
}

fn body(stream: &mut TcpStream) -> String {
    let head = head(stream).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn a_connection_above_the_limit_takes_the_place_of_the_longest_idle_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, blob) = bundle(folder.path());
    let limits = with(ServeLimits::default(), |limits| limits.connections = 2);
    let serving = Serving::new(with(bundles(&path), |config| config.limits = limits));
    // More silent ones than there is room for lock nobody out, however long they would stay.
    let silent: Vec<_> = (0..20).map(|_| ask(serving.address(), "")).collect();
    let mut first = get(serving.address(), "/v2/");
    assert_eq!(body(&mut first), "{}");
    for mut stream in silent.into_iter().take(18) {
        assert!(rest(&mut stream).is_empty(), "it was let go");
    }
    // Two pulls that are not read hold both places; the next one waits until one of them ends.
    let mut pulls: Vec<_> = (0..2).map(|_| get(serving.address(), &url(&blob))).collect();
    for pull in &mut pulls {
        assert!(head(pull).starts_with("HTTP/1.1 200"));
    }
    let mut waiting = get(serving.address(), "/v2/");
    waiting.set_nonblocking(true).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    waiting.set_nonblocking(false).unwrap();
    assert_eq!(rest_of(&mut pulls.remove(0), LARGE), LARGE);
    assert_eq!(body(&mut waiting), "{}");
}

/// Bytes read, at the most `size`.
fn rest_of(stream: &mut TcpStream, size: usize) -> usize {
    io::copy(&mut stream.take(size as u64), &mut io::sink()).unwrap().try_into().unwrap()
}

#[test]
fn a_connection_without_a_request_and_one_above_the_share_of_its_address_are_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let (path, blob) = bundle(folder.path());
    let limits = with(ServeLimits::default(), |limits| {
        limits.share = 1;
        limits.head = Duration::from_millis(200);
    });
    let serving = Serving::new(with(bundles(&path), |config| config.limits = limits));
    rest(&mut ask(serving.address(), "GET /v2/ HTTP/1.1\r\n"));
    let mut busy = get(serving.address(), &url(&blob));
    head(&mut busy);
    assert!(rest(&mut ask(serving.address(), "")).is_empty());
    assert_eq!(rest_of(&mut busy, LARGE), LARGE);
}

#[test]
fn unfinished_uploads_and_large_blobs_have_limits() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::store(Store::open(folder.path()).unwrap());
    let limits = with(ServeLimits::default(), |limits| {
        limits.uploads = [3, 9, 9];
        limits.max_upload = 10;
    });
    let serving = Serving::new(with(config, |config| config.limits = limits));
    let begin = || serving.send(Method::POST, "/v2/r/blobs/uploads/", &[], "");
    let locations: Vec<_> = (0..3).map(|_| begin().header("location").to_owned()).collect();
    assert_eq!(begin().status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(serving.send(Method::DELETE, &locations[0], &[], "").status, StatusCode::NO_CONTENT);
    assert_eq!(serving.send(Method::PATCH, &locations[1], &[], "0123456789x").status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(serving.get(&locations[1]).status, StatusCode::NOT_FOUND, "what is too large is not kept");
    assert_eq!(serving.send(Method::PATCH, &locations[2], &[], "0123456789").status, StatusCode::ACCEPTED);
    assert_eq!(serving.send(Method::PATCH, &locations[2], &[], "x").status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(folder.path().join("uploads").read_dir().unwrap().count(), 0);
    serving.push_blob("r", b"0123456789");
    assert_eq!(begin().status, StatusCode::ACCEPTED);
}

#[test]
fn manifests_that_are_received_at_once_have_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::store(Store::open(folder.path()).unwrap());
    let limits = with(ServeLimits::default(), |limits| limits.manifests = 1 << 20);
    let serving = Serving::new(with(config, |config| config.limits = limits));
    let put = |size: usize| {
        let document = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [], "annotations": {"x": "y".repeat(size)}});
        serving.push_manifest("r", "v1", &document)
    };
    assert_eq!(put(2 << 20).status, StatusCode::TOO_MANY_REQUESTS);
    put(900 << 10).success();
    put(900 << 10).success();
}

#[test]
fn a_client_that_sends_or_reads_too_slowly_is_let_go_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (path, blob) = bundle(folder.path());
    let store = Store::open(&folder.path().join("store")).unwrap();
    let limits = with(ServeLimits::default(), |limits| {
        limits.idle = Duration::from_secs(1);
        limits.stall = Duration::from_secs(1);
    });
    let serving = Serving::new(with(bundles(&path), |config| {
        config.store = Some(store);
        config.limits = limits;
    }));
    // A head that does not end, and a connection on which nothing is asked.
    for begun in ["GET /v2/ HTTP/1.1\r\nHost: x\r\n", ""] {
        rest(&mut ask(serving.address(), begun));
    }
    // A body that does not come: what came is kept.
    let begun = serving.send(Method::POST, "/v2/r/blobs/uploads/", &[], "");
    let location = begun.header("location").to_owned();
    let slow = format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0123456789");
    rest(&mut ask(serving.address(), &slow));
    let state = serving.get(&location);
    assert_eq!((state.status, state.header("range")), (StatusCode::NO_CONTENT, "0-9"));
    // A body that is not taken: the connection is closed, and the client has not the whole of it.
    let mut lazy = get(serving.address(), &url(&blob));
    let alone = |text: &str| text.contains("\nairlift_connections 1\n");
    let metrics = || String::from_utf8(serving.get("/metrics").success().body.to_vec()).unwrap();
    until("the lazy client is let go", || alone(&metrics()));
    assert!(rest(&mut lazy).len() < LARGE);
    serving.get("/v2/").success();
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_it_has_begun() {
    let airlift = Airlift::new();
    let (path, blob) = bundle(airlift.home());
    let mut server = airlift.start(["serve", path.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let address = server.wait_for_line("Serving on ").split_once("http://").unwrap().1.trim().to_owned();
    let mut pulls: Vec<_> = (0..4).map(|_| get(&address, &url(&blob))).collect();
    let heads: Vec<_> = pulls.iter_mut().map(head).collect();
    assert!(heads.iter().all(|head| head.starts_with("HTTP/1.1 200")), "{heads:?}");
    server.signal(rustix::process::Signal::TERM);
    // Nobody else is let in; those who wait in the system's queue are turned away, too.
    until("nobody is let in", || TcpStream::connect(&address).is_err());
    for pull in &mut pulls {
        assert_eq!(Digest::sha256(&rest(pull)), blob.descriptor.digest);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_does_not_end_in_time_is_broken_off_when_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (path, blob) = bundle(folder.path());
    let limits = with(ServeLimits::default(), |limits| limits.grace = Duration::ZERO);
    let serving = Serving::new(with(bundles(&path), |config| config.limits = limits));
    let mut pull = get(serving.address(), &url(&blob));
    head(&mut pull);
    drop(serving);
    assert!(rest(&mut pull).len() < LARGE);
}

#[test]
fn an_upload_that_nobody_continues_goes_while_the_store_is_served() {
    let upload = |limits: ServeLimits| {
        let folder = tempfile::tempdir().unwrap();
        let serving =
            Serving::new(with(Config::store(Store::open(folder.path()).unwrap()), |config| config.limits = limits));
        let begun = serving.send(Method::POST, "/v2/r/blobs/uploads/", &[], "");
        (begun.header("location").to_owned(), serving, folder)
    };
    let sweep = Duration::from_millis(1);
    let (location, serving, folder) = upload(with(ServeLimits::default(), |limits| {
        limits.upload = Duration::ZERO;
        limits.sweep = sweep;
    }));
    until("the upload is gone", || serving.get(&location).status == StatusCode::NOT_FOUND);
    assert_eq!(folder.path().join("uploads").read_dir().unwrap().count(), 0);
    let (location, serving, _folder) = upload(with(ServeLimits::default(), |limits| limits.sweep = sweep));
    for _ in 0..20 {
        assert_eq!(serving.get(&location).status, StatusCode::NO_CONTENT, "a day has not gone by");
    }
}

#[test]
fn a_bundle_that_is_cut_or_changed_in_the_middle_of_a_transfer_is_never_given_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (path, blob) = bundle(folder.path());
    let offset = block_on(Reader::open(&path)).unwrap().offset(&blob.descriptor.digest).unwrap();
    let good = std::fs::read(&path).unwrap();
    for verified in [false, true] {
        for cut in [false, true] {
            std::fs::write(&path, &good).unwrap();
            let serving = Serving::new(bundles(&path));
            if verified {
                serving.get(&url(&blob)).success();
            }
            let mut pull = get(serving.address(), &url(&blob));
            assert!(head(&mut pull).starts_with("HTTP/1.1 200"));
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            if cut {
                file.set_len(offset + 1000).unwrap();
            } else {
                use std::os::unix::fs::FileExt as _;
                file.write_all_at(&[0; 4096], offset + LARGE as u64 - 9000).unwrap();
            }
            let came = rest(&mut pull);
            assert!(came.len() < LARGE, "verified before: {verified}, cut: {cut}");
            assert!(blob.content.as_ref().unwrap().starts_with(&came), "and no wrong byte of it");
            serving.get("/v2/app/manifests/1").success();
        }
    }
}
