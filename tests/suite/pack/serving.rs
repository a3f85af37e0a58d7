//! Packed files behind `serve`: ranges, damage, several at once, in a storage.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use airlift::oci::Digest;
use reqwest::Method;

use super::{base::versions, sample::Sample};
use crate::support::{
    http::{Caller, get},
    moto::Moto,
    needs,
    process::Process,
};

/// A server of packed files, and its address.
fn serve(sample: &Sample, args: &[&str]) -> (Process, String) {
    let server = sample.airlift.start([&["serve", "--listen", "127.0.0.1:0"], args].concat());
    let address = server.wait_for_line("Serving on ").split_once("http://").unwrap().1.trim().to_owned();
    (server, address)
}

/// The digests of a bundle's configs and layers, and their sizes.
fn blobs(sample: &Sample, bundle: &str) -> Vec<(Digest, u64)> {
    let told = sample.airlift.json(["inspect", bundle, "--sums", "--json"]);
    let blobs = told["blobs"].as_array().unwrap().iter();
    blobs.map(|blob| (blob["digest"].as_str().unwrap().parse().unwrap(), blob["size"].as_u64().unwrap())).collect()
}

/// The address of a blob.
fn url(address: &str, digest: &Digest) -> String {
    format!("http://{address}/v2/team/app/blobs/{digest}")
}

/// The body of a blob, however far it comes, and whether the answer was complete by its own length.
fn body(address: &str, digest: &Digest) -> (Vec<u8>, bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // That the connection ends early may be an error, too.
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let body = answer[end..].to_vec();
    let is_complete = head.starts_with("http/1.1 200") && length == Some(body.len());
    (body, is_complete)
}

/// Fetches each blob: those that come complete have their digest. Returns how many do not.
fn broken(sample: &Sample, bundle: &str, address: &str) -> usize {
    let fetched = blobs(sample, bundle).into_iter().filter(|(digest, _)| {
        let manifest = get(&format!("http://{address}/v2/team/app/manifests/{digest}")).status.is_success();
        if manifest {
            return false;
        }
        let (body, is_complete) = body(address, digest);
        assert!(!is_complete || Digest::sha256(&body) == *digest, "{digest} came complete and wrong");
        !is_complete
    });
    fetched.count()
}

#[test]
fn a_damaged_layer_of_a_packed_file_never_comes_complete() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let (_server, address) = serve(&sample, &["b.pack"]);
    assert_eq!(broken(&sample, "b.tar", &address), 0);
    let mut bytes = sample.read("b.pack");
    let place = bytes.len() - 1000;
    bytes[place] ^= 4;
    fs::write(sample.path("bad.pack"), bytes).unwrap();
    let (server, address) = serve(&sample, &["bad.pack"]);
    assert!(broken(&sample, "b.tar", &address) > 0, "nothing of it is damaged");
    let told = server.wait_for_line("bad.pack is damaged");
    assert!(told.contains("sha256:"), "{told}");
}

#[test]
fn a_blob_that_a_damaged_base_makes_wrong_never_comes_complete() {
    let sample = versions();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let mut base = sample.read("v1.tar");
    let begin = base.len() / 3;
    base[begin..].iter_mut().step_by(2000).for_each(|byte| *byte ^= 1);
    fs::write(sample.path("v1.tar"), base).unwrap();
    let (server, address) = serve(&sample, &["v2.pack", "--base", "v1.tar"]);
    assert!(broken(&sample, "v2.tar", &address) > 0, "nothing needs what is damaged");
    server.wait_for_line("in v1.tar is damaged");
}

#[test]
fn a_blob_of_a_packed_file_is_described_and_comes_in_ranges() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let (_server, address) = serve(&sample, &["b.pack"]);
    for (name, digest) in &sample.layers {
        let url = url(&address, digest);
        let whole = get(&url).success().body;
        assert_eq!(Digest::sha256(&whole), *digest, "{name}");
        let described = Caller::default().send(Method::HEAD, &url, &[], "").success();
        assert_eq!(described.header("content-length"), whole.len().to_string(), "{name}");
        assert_eq!(described.header("docker-content-digest"), digest.to_string(), "{name}");
        let half = whole.len() / 2;
        for (range, part) in
            [("bytes=0-9", 0..10), ("bytes=-10", whole.len() - 10..whole.len()), ("half", half..whole.len())]
        {
            let range = if range == "half" { format!("bytes={half}-") } else { range.to_owned() };
            let answer = Caller::default().send(Method::GET, &url, &[("range", &range)], "");
            assert_eq!(answer.status, 206, "{name} {range}");
            assert!(answer.body == whole[part], "{name} {range}");
        }
        let beyond = format!("bytes={}-", whole.len());
        assert_eq!(Caller::default().send(Method::GET, &url, &[("range", &beyond)], "").status, 416, "{name}");
    }
}

#[test]
fn two_packed_files_and_a_base_are_served_together() {
    let sample = versions();
    sample.airlift.run(["pack", "v1.tar", "-o", "v1.pack"]).success();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.pack"]).success();
    let (_server, address) = serve(&sample, &["v1.pack", "v2.pack", "--base", "v1.pack"]);
    let tags =
        String::from_utf8(get(&format!("http://{address}/v2/team/app/tags/list")).success().body.to_vec()).unwrap();
    assert!(tags.contains("\"1\"") && tags.contains("\"2\""), "{tags}");
    let all: BTreeSet<_> = ["v1.tar", "v2.tar"].into_iter().flat_map(|bundle| blobs(&sample, bundle)).collect();
    assert!(all.len() > 15, "{}", all.len());
    for bundle in ["v1.tar", "v2.tar"] {
        assert_eq!(broken(&sample, bundle, &address), 0, "{bundle}");
    }
}

#[test]
fn a_packed_file_in_a_storage_is_inspected_and_served_from_there() {
    needs!("moto_server");
    let mut sample = versions();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let moto = Moto::start();
    moto.create("packs");
    for (name, value) in moto.variables() {
        sample.airlift.set(&name, value);
    }
    let place = "s3://packs/v2.pack";
    sample.airlift.run(["copy", "v2.pack", place]).success();
    let sums = |bundle: &str| sample.airlift.run(["inspect", bundle, "--sums"]).success().stdout;
    assert_eq!(sums(place), sums("v2.tar"));
    let (_server, address) = serve(&sample, &[place, "--base", "v1.tar"]);
    assert_eq!(broken(&sample, "v2.tar", &address), 0);
}
