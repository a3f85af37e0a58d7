//! A bundle that is served straight out of a storage.

use std::fs;

use airlift::storage::{self, Finish, Settings, conformance};
use reqwest::Method;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    azurite::{self, Account, Azurite, Grant},
    compare,
    http::{Caller, block_on, get},
    needs,
    packed::Packed,
    process::Process,
    proxy::Proxy,
};

/// Bytes of the layer.
const LAYER: usize = 6 << 20;

fn artifact() -> Artifact {
    Artifact::image("linux/amd64", vec![Blob::layer(1, LAYER), Blob::layer(2, 5000)])
}

fn put(azurite: &Azurite, content: Vec<u8>) {
    let location = azurite.location(Account::A, "box", "b.tar", &Grant::default());
    let finish = Finish { overwrite: true, ..Finish::default() };
    block_on(async {
        let object = storage::open(&location, &Settings::default()).unwrap();
        conformance::put(&*object, &content.into(), finish).await.unwrap();
    });
}

/// The bundle, and a storage that has it.
fn stored() -> (Vec<u8>, Azurite) {
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    block_on(Packed::new().with("registry.example/team/app:v1", artifact()).write(&path));
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    let content = fs::read(path).unwrap();
    put(&azurite, content.clone());
    (content, azurite)
}

pub(crate) fn serve(airlift: &Airlift, url: &str) -> (Process, String) {
    let process = airlift.start(["serve", url, "--listen", "127.0.0.1:0", "--log", "trace"]);
    let line = process.wait_for_line("Serving on http://");
    let address = line.rsplit("http://").next().unwrap().trim().to_owned();
    (process, address)
}

#[test]
fn a_bundle_in_a_storage_is_a_registry_and_only_what_is_pulled_is_read() {
    needs!("azurite-blob", "docker-registry", "skopeo");
    let (content, azurite) = stored();
    let (airlift, wire) = (Airlift::new(), Proxy::before(azurite.address()));
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::only("r"));
    let (process, address) = serve(&airlift, &url);
    assert!(wire.downloaded() < 2 << 20, "{} bytes were read before anybody asked", wire.downloaded());

    let layer = artifact().root.layers()[0].clone();
    let blob = format!("http://{address}/v2/team/app/blobs/{}", layer.digest);
    let ask = |method, headers: &[(&str, &str)]| Caller::default().send(method, &blob, headers, "");
    assert_eq!(ask(Method::HEAD, &[]).success().header("content-length"), LAYER.to_string());
    let before = wire.downloaded();
    let part = ask(Method::GET, &[("range", "bytes=1000-1999")]);
    let start = content.windows(1000).position(|window| window == &part.body[..]).unwrap();
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 1000));
    assert!(wire.downloaded() - before < 1 << 20, "a range brought {} bytes", wire.downloaded() - before);
    let whole = ask(Method::GET, &[]).success();
    assert!(whole.body == content[start - 1000..start - 1000 + LAYER]);
    let end = ask(Method::GET, &[("range", "bytes=-10")]);
    assert_eq!(&end.body[..], &whole.body[LAYER - 10..]);
    assert_eq!(
        Caller::default().send(Method::POST, &format!("http://{address}/v2/x/blobs/uploads/"), &[], "").status,
        405
    );

    let (source, target) = (Registry::start(Options::default()), Registry::start(Options::default()));
    artifact().push(&source, "team/app", Some("v1"));
    let from = format!("{address}/team/app:v1");
    airlift.run(["export", &from, "-o", "again.tar"]).success();
    airlift.run(["import", "again.tar", "--to", target.address()]).success();
    compare::same((&source, "team/app"), (&target, "team/app"), "v1");
    assert!(!process.log().contains(&azurite::signature(&url)), "a signature was said");
}

#[test]
fn what_is_damaged_or_replaced_in_a_storage_is_never_served_to_its_end() {
    needs!("azurite-blob");
    let (content, azurite) = stored();
    let airlift = Airlift::new();
    let layer = artifact().root.layers()[0].clone();
    let url = azurite.url(Account::A, "box", "b.tar", &Grant::only("r"));
    let mut damaged = content.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    put(&azurite, damaged);
    let told = airlift.run(["serve", &url, "--listen", "127.0.0.1:0", "--verify-on-start"]).exits(4).stderr;
    let (log, message) = told.split_once("error[").unwrap();
    assert!([log, message].iter().all(|text| text.contains("registry.example/team/app:v1")), "{told}");
    let (mut process, address) = serve(&airlift, &url);
    let got = pull(&address, &layer.digest.to_string());
    assert!(got < LAYER, "all {got} bytes of a damaged layer came");
    assert!(process.wait_for_line("no client gets the end").contains("team/app:v1"));
    let page = get(&format!("http://{address}/")).success();
    assert!(String::from_utf8_lossy(&page.body).contains("damaged: 1 of 3 blobs"), "the page tells it, too");
    process.kill();

    put(&azurite, content.clone());
    let (_process, address) = serve(&airlift, &url);
    assert_eq!(pull(&address, &layer.digest.to_string()), LAYER);
    put(&azurite, content);
    assert_eq!(pull(&address, &layer.digest.to_string()), 0, "another object was read");
}

/// How many bytes of the blob came before the connection ended.
fn pull(address: &str, digest: &str) -> usize {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut all = Vec::new();
    // A reset is an end like any other here.
    let _ = stream.read_to_end(&mut all);
    if !all.starts_with(b"HTTP/1.1 200") {
        return 0;
    }
    let head = all.windows(4).position(|window| window == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    all.len() - head
}
