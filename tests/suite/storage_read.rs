//! inspect, verify and import straight from a storage: ranges of one version, and nothing of a secret in what is said.

use std::{fs, sync::Arc};

use airlift::{
    bundle::{Format, Reader},
    content::{Class, Code, Fault, Source},
    storage::{self, Finish, Location, Object, Pinned, Settings, conformance},
};
use bytes::Bytes;
use futures::TryStreamExt;
use tempfile::TempDir;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    azurite::{self, Account, Azurite, Grant},
    compare,
    http::block_on,
    moto::Moto,
    needs,
    packed::Packed,
    proxy::Proxy,
    with,
};

/// Bytes of a layer: large beside the head, which is read in pieces of one MiB.
const LAYER: usize = 6 << 20;

fn artifact() -> Artifact {
    Artifact::image("linux/amd64", vec![Blob::layer(1, LAYER), Blob::layer(2, 5000)])
}

/// A bundle of one artifact, `registry.example/team/app:v1`.
fn bundle() -> Bytes {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("b.tar");
    block_on(Packed::new().with("registry.example/team/app:v1", artifact()).write(&path));
    fs::read(path).unwrap().into()
}

fn put(location: &Location, settings: &Settings, content: &Bytes) -> Arc<dyn Object> {
    let object = storage::open(location, settings).unwrap();
    let finish = Finish { overwrite: true, ..Finish::default() };
    block_on(conformance::put(&*object, content, finish)).unwrap();
    object
}

/// Azurite with `content` as the blob `b.tar`.
fn azure(content: &Bytes) -> Azurite {
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    put(&azurite.location(Account::A, "box", "b.tar", &Grant::default()), &Settings::default(), content);
    azurite
}

#[test]
fn a_bundle_in_azure_is_inspected_by_its_head_verified_imported_and_then_removed() {
    needs!("azurite-blob", "docker-registry");
    let content = bundle();
    let azurite = azure(&content);
    let wire = Proxy::before(azurite.address());
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::default());
    let (airlift, secret) = (Airlift::new(), azurite::signature(&url));
    fs::write(airlift.home().join("here.tar"), &content).unwrap();
    let ran = airlift.run(["inspect", &url, "--json", "--log", "trace"]).success();
    assert_eq!(ran.stdout, airlift.run(["inspect", "here.tar", "--json"]).success().stdout);
    assert!(!ran.stderr.contains(&secret) && ran.stderr.contains("b.tar"), "{ran}");
    assert!(wire.downloaded() < 2 << 20, "inspect brought {} bytes", wire.downloaded());

    let ran = airlift.run(["verify", &url, "--log", "trace"]).success();
    assert!(!format!("{ran}").replace(&url, "").contains(&secret), "{ran}");
    let moved = wire.downloaded();
    assert!(moved < content.len() as u64 + (4 << 20), "inspect and verify brought {moved} bytes");

    let (source, target) = (Registry::start(Options::default()), Registry::start(Options::default()));
    artifact().push(&source, "team/app", Some("v1"));
    let import = ["import", &url, "--to", target.address(), "--delete-source", "--log", "trace"];
    // Without the right to delete the bundle stays, and what was imported is imported.
    let weak = azurite.url(Account::A, "box", "b.tar", &Grant::only("rl"));
    let refused = airlift.run(import.map(|arg| if arg == url { &weak } else { arg })).exits(5);
    assert!(refused.stderr.contains("storage.permission") && refused.stderr.contains("delete (d)"), "{refused}");
    let ran = airlift.run(import).success();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&secret), "{ran}");
    compare::same((&source, "team/app"), (&target, "team/app"), "v1");
    let gone = airlift.run(["inspect", &url]).exits(1);
    assert!(gone.stderr.contains("storage.not-found") && !gone.stderr.contains(&secret), "{gone}");
}

#[test]
fn a_bundle_in_s3_is_verified_and_imported() {
    needs!("moto_server", "docker-registry");
    let moto = Moto::start();
    moto.create("box");
    let folder = TempDir::new().unwrap();
    let state = Some(folder.path().to_owned());
    let settings = with(Settings::default(), |it| {
        it.variables = moto.variables();
        it.state = state;
    });
    put(&Location::parse("s3://box/some/b.tar").unwrap(), &settings, &bundle());
    let mut airlift = Airlift::new();
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    airlift.run(["verify", "s3://box/some/b.tar"]).success();
    let (source, target) = (Registry::start(Options::default()), Registry::start(Options::default()));
    artifact().push(&source, "team/app", Some("v1"));
    airlift.run(["import", "s3://box/some/b.tar", "--to", target.address(), "--delete-source"]).success();
    compare::same((&source, "team/app"), (&target, "team/app"), "v1");
    airlift.run(["inspect", "s3://box/some/b.tar"]).exits(1).says(&["storage.not-found"]);
}

#[test]
fn an_object_that_was_replaced_is_never_mixed_with_the_new_one() {
    needs!("azurite-blob");
    let content = bundle();
    let azurite = azure(&content);
    let location = azurite.location(Account::A, "box", "b.tar", &Grant::default());
    let layer = artifact().root.layers()[0].clone();
    block_on(async {
        let object = storage::open(&location, &Settings::default()).unwrap();
        let reader = Reader::open_on(Arc::new(Pinned::open(object).await.unwrap())).await.unwrap();
        assert_eq!(reader.format(), Format::Bundle);
        let sound: Vec<Bytes> = reader.fetch(&layer, 0).await.unwrap().try_collect().await.unwrap();
        assert_eq!(sound.concat().len(), LAYER);
        // The same bytes again, but another object: nobody can know that without reading all of it.
        put(&location, &Settings::default(), &content);
        let failed = match reader.fetch(&layer, 0).await {
            Ok(stream) => stream.try_collect::<Vec<_>>().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(failed.code(), Code::StorageChanged, "{failed:?}");
    });
}

#[test]
fn damage_and_refusal_are_told_apart() {
    needs!("azurite-blob");
    let content = bundle();
    let azurite = azure(&content);
    let airlift = Airlift::new();
    let replace = |content: Bytes| {
        put(&azurite.location(Account::A, "box", "b.tar", &Grant::default()), &Settings::default(), &content);
    };
    let url = azurite.url(Account::A, "box", "b.tar", &Grant::only("r"));
    replace(content.slice(..content.len() - 600));
    airlift.run(["verify", &url]).exits(4).says(&["bundle.truncated"]);
    let mut flipped = content.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    replace(flipped.into());
    let found = airlift.run(["verify", &url]).exits(4);
    assert!(found.stdout.contains("digest"), "{found}");
    let unreadable = azurite.url(Account::A, "box", "b.tar", &Grant::only("wl"));
    airlift.run(["verify", &unreadable]).exits(5).says(&["storage.permission", "read (r)"]);
    assert_eq!(Code::StoragePermission.class(), Class::Unauthorized);
}
