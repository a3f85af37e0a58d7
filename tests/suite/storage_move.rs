//! Bundles on their way into and between storages: without a file here, killed at any moment, through trouble.

use std::fs;

use airlift::storage::{self, Settings};
use tempfile::TempDir;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    azurite::{self, Account, Azurite, Grant},
    compare,
    faults::{self, Faults},
    http::block_on,
    moto::Moto,
    needs,
    proxy::Proxy,
};

/// Bytes of a part.
const PART: u64 = 8 << 20;

/// Bytes of the largest layer: the bundle has four parts.
const LARGEST: usize = 20_000_001;

/// A registry with an image whose layers are no multiples of parts, and cross them.
pub(crate) fn source() -> Registry {
    let registry = Registry::start(Options::default());
    let layers = vec![Blob::layer(1, LARGEST), Blob::layer(2, 100), Blob::layer(3, 9_000_003)];
    Artifact::image("linux/amd64", layers).push(&registry, "team/app", Some("v1"));
    Artifact::multi_platform(4, 300_000).push(&registry, "team/tool", Some("v2"));
    registry
}

pub(crate) fn references(registry: &Registry) -> [String; 2] {
    ["team/app:v1", "team/tool:v2"].map(|name| registry.reference(name))
}

pub(crate) fn same(source: &Registry, target: &Registry) {
    compare::same((source, "team/app"), (target, "team/app"), "v1");
    compare::same((source, "team/tool"), (target, "team/tool"), "v2");
}

fn read(url: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("read.tar");
    Airlift::new().run(["copy", url, path.to_str().unwrap()]).success();
    fs::read(path).unwrap()
}

pub(crate) fn azurite() -> Azurite {
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    azurite.create(Account::B, "box");
    azurite
}

pub(crate) fn with_source<'a>(command: &[&'a str], references: &'a [String]) -> Vec<&'a str> {
    command.iter().copied().chain(references.iter().map(String::as_str)).collect()
}

#[test]
fn an_export_into_azure_is_the_same_bundle_and_is_committed_only_once() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, airlift) = (azurite(), source(), Airlift::new());
    let references = references(&registry);
    airlift.run(with_source(&["export", "-o", "here.tar"], &references)).success();
    let url = azurite.url(Account::A, "box", "dir/b.tar", &Grant::only("rw"));
    let ran = airlift.run(with_source(&["export", "-o", &url, "--log", "trace"], &references)).success();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&azurite::signature(&url)), "{ran}");
    let here = fs::read(airlift.home().join("here.tar")).unwrap();
    assert!(read(&url) == here, "another bundle");
    let stat = block_on(async {
        let location = azurite.location(Account::A, "box", "dir/b.tar", &Grant::only("r"));
        storage::open(&location, &Settings::default()).unwrap().stat().await.unwrap()
    });
    assert_eq!(stat.metadata.get("category").map(String::as_str), Some("acr-transfer-blob"));
    assert_eq!(stat.metadata.get("airlift_format").map(String::as_str), Some("1"));
    assert!(stat.metadata.contains_key("airlift_bundle"));
    assert_eq!(stat.md5.unwrap(), md5_of(&here), "Azure keeps the MD5 of the whole");
    // The very same is not a conflict; another bundle is.
    airlift.run(with_source(&["export", "-o", &url], &references)).success();
    let other = airlift.run(with_source(&["export", "-o", &url], &references[..1])).exits(1);
    assert!(other.stderr.contains("output.exists"), "{other}");
    assert!(read(&url) == here, "a refused export changed something");
    airlift.run(with_source(&["export", "--overwrite", "-o", &url], &references[..1])).success();
    assert!(read(&url) != here);
}

fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(bytes).into()
}

#[test]
fn a_bundle_goes_through_s3_and_every_pair_of_places() {
    needs!("azurite-blob", "moto_server", "docker-registry");
    let (azurite, moto, registry) = (azurite(), Moto::start(), source());
    moto.create("box");
    let mut airlift = Airlift::new();
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    let references = references(&registry);
    airlift.run(with_source(&["export", "-o", "here.tar"], &references)).success();
    airlift.run(with_source(&["export", "-o", "s3://box/1.tar"], &references)).success();
    // The very same is not a conflict.
    airlift.run(with_source(&["export", "-o", "s3://box/1.tar"], &references)).success();
    let a = azurite.url(Account::A, "box", "2.tar", &Grant::default());
    airlift.run(["copy", "s3://box/1.tar", &a]).success();
    airlift.run(["copy", &a, "s3://box/3.tar", "--delete-source"]).success();
    airlift.run(["inspect", &a]).exits(1).says(&["storage.not-found"]);
    airlift.run(["copy", "s3://box/3.tar", "there.tar"]).success();
    let read = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(read("here.tar") == read("there.tar"), "another bundle came back");
    // So is the same content that came another way, and other content is a conflict, whatever its size.
    assert_eq!(airlift.json(["copy", "here.tar", "s3://box/3.tar", "--json"])["already_there"], true);
    let mut other = read("here.tar");
    let middle = other.len() / 2;
    other[middle] ^= 1;
    fs::write(airlift.home().join("other.tar"), other).unwrap();
    airlift.run(["copy", "s3://box/3.tar", "other.tar"]).exits(1).says(&["output.exists", "other.tar"]);
    assert_eq!(airlift.json(["copy", "s3://box/3.tar", "there.tar", "--json"])["already_there"], true);
    let target = Registry::start(Options::default());
    airlift.run(["import", "s3://box/3.tar", "--to", target.address()]).success();
    same(&registry, &target);
}

#[test]
fn a_storage_in_trouble_ends_well_or_leaves_nothing_half_visible() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, airlift) = (azurite(), source(), Airlift::new());
    let references = references(&registry);
    let wire = Faults::before(azurite.address());
    let url = |name: &str| azurite::url(&wire.address(), Account::A, "box", name, &Grant::default());
    wire.rule(|number, _| (number % 3 == 1).then(faults::busy));
    airlift.run(with_source(&["export", "-o", &url("busy.tar")], &references)).success();
    airlift.run(["verify", &url("busy.tar")]).success();
    assert!(wire.requests() > 6);

    // The signature ends in the middle: some parts are there by then.
    let parts = std::sync::atomic::AtomicUsize::new(0);
    wire.rule(move |_, head| {
        let is_part = head.starts_with("PUT") && head.contains("comp=block&");
        let number = if is_part { parts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) } else { 0 };
        (number >= 3).then(faults::forbidden)
    });
    // One after the other, so that the first three have arrived when the fourth is refused.
    let refused = airlift.run(with_source(&["export", "--jobs", "1", "-o", &url("late.tar")], &references)).exits(5);
    assert!(refused.stderr.contains("storage.refused"), "{refused}");
    wire.rule(|_, _| None);
    airlift.run(["inspect", &url("late.tar")]).exits(1).says(&["storage.not-found"]);
    let report = airlift.json(with_source(&["export", "--json", "-o", &url("late.tar")], &references));
    assert!(report["bytes_reused"].as_u64().unwrap() >= PART, "{report}");
    airlift.run(["verify", &url("late.tar")]).success();
}

#[test]
fn where_a_storage_can_take_from_another_nothing_goes_through_this_machine() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, airlift) = (azurite(), source(), Airlift::new());
    let references = references(&registry);
    let a = azurite.url(Account::A, "box", "a.tar", &Grant::default());
    airlift.run(with_source(&["export", "-o", &a], &references)).success();
    let (wire, azure) = (Proxy::before(azurite.address()), Faults::before(azurite.address()));
    let b = azurite::url(&azure.address(), Account::B, "box", "b.tar", &Grant::default());
    let ran = airlift.run(["copy", &a, &b, "--log", "trace"]).success();
    for url in [&a, &b] {
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&azurite::signature(url)), "{ran}");
    }
    // 29 MiB are one part of 64.
    assert_eq!(azure.took(), 1);
    assert!(read(&a) == read(&b), "another bundle");
    // To an account that cannot take, the same goes through this machine.
    let plain = azurite::url(&wire.address(), Account::B, "box", "c.tar", &Grant::default());
    airlift.run(["copy", &a, &plain, "--delete-source"]).success();
    assert!(wire.uploaded() > LARGEST as u64);
    airlift.run(["inspect", &a]).exits(1).says(&["storage.not-found"]);
}
