//! What a storage shows under a name was proven before, and how its far end is proven then.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob},
    azurite::{self, Account, Azurite, Grant},
    faults::Faults,
    http::block_on,
    moto::{self, Moto},
    needs,
    packed::Packed,
    proxy::Proxy,
};

/// Bytes of the layer: more than two parts.
const LAYER: usize = 20 << 20;

/// HTTP's own bytes and the head of a bundle, generously.
const SMALL: u64 = 2 << 20;

/// A home with a bundle `here.tar` in it.
fn home() -> Airlift {
    let airlift = Airlift::new();
    let artifact = Artifact::image("linux/amd64", vec![Blob::layer(1, LAYER), Blob::layer(2, 5000)]);
    block_on(Packed::new().with("registry.example/team/app:v1", artifact).write(&airlift.home().join("here.tar")));
    airlift
}

fn s3(airlift: &mut Airlift, endpoint: &str) {
    for (name, value) in moto::variables(endpoint) {
        airlift.set(&name, value);
    }
}

fn azurite() -> Azurite {
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    azurite
}

fn is_block(head: &str) -> bool {
    head.starts_with("PUT") && head.contains("comp=block&")
}

fn is_commit(head: &str) -> bool {
    head.starts_with("PUT") && head.contains("comp=blocklist")
}

#[test]
fn s3_takes_from_s3_by_itself_and_proves_what_it_has() {
    needs!("moto_server");
    let (moto, mut airlift) = (Moto::start(), home());
    moto.create("box");
    let wire = Proxy::before(&moto.endpoint()["http://".len()..]);
    s3(&mut airlift, &format!("http://{}", wire.address()));
    let size = fs::metadata(airlift.home().join("here.tar")).unwrap().len();

    let sent = airlift.json(["copy", "--json", "here.tar", "s3://box/a b.tar", "--trust-checksums"]);
    assert_eq!(sent["proof"], "checksum", "{sent}");
    assert!(wire.downloaded() < SMALL, "{} bytes were read back", wire.downloaded());
    let (up, down) = (wire.uploaded(), wire.downloaded());
    let taken = airlift.json(["copy", "--json", "s3://box/a b.tar", "s3://box/c.tar", "--trust-checksums"]);
    assert_eq!(taken["proof"], "checksum", "{taken}");
    assert!(wire.uploaded() - up < SMALL, "{} bytes went through this machine", wire.uploaded() - up);
    assert!(wire.downloaded() - down < size + SMALL, "the copy was read back as well");

    let plain = airlift.json(["copy", "--json", "s3://box/c.tar", "s3://box/d.tar"]);
    assert_eq!(plain["proof"], "read-back", "{plain}");
    assert!(wire.uploaded() - up < 2 * SMALL);
    airlift.run(["copy", "s3://box/d.tar", "there.tar"]).success();
    let read = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(read("here.tar") == read("there.tar"), "another bundle came back");
}

#[test]
fn weaker_checksums_are_not_trusted() {
    needs!("azurite-blob");
    let (azurite, airlift) = (azurite(), home());
    let wire = Proxy::before(azurite.address());
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::default());
    let sent = airlift.json(["copy", "--json", "here.tar", &url, "--trust-checksums"]);
    assert_eq!(sent["proof"], "read-back", "{sent}");
    assert!(wire.downloaded() > LAYER as u64);
}

#[test]
fn a_part_that_arrives_as_something_else_is_sent_again() {
    needs!("azurite-blob");
    let (azurite, airlift) = (azurite(), home());
    let wire = Faults::before(azurite.address());
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::default());
    let blocks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&blocks);
    wire.flip(move |head| is_block(head) && counted.fetch_add(1, SeqCst) == 1);
    airlift.run(["copy", "here.tar", &url]).success();
    assert_eq!(blocks.load(SeqCst), 4, "three parts, one of them twice");
    airlift.run(["verify", &azurite.url(Account::A, "box", "b.tar", &Grant::only("r"))]).success();
}

#[test]
fn a_damaged_bundle_is_never_committed() {
    needs!("azurite-blob");
    let (azurite, airlift) = (azurite(), home());
    let wire = Faults::before(azurite.address());
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::default());
    let content = fs::read(airlift.home().join("here.tar")).unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&commits);
    wire.rule(move |_, head| {
        counted.fetch_add(usize::from(is_commit(head)), SeqCst);
        None
    });
    // In the index, in a layer, in a header or the padding, at the very end.
    for at in [3 << 9, content.len() / 2, content.len() - 7000, content.len() - 1] {
        let mut damaged = content.clone();
        damaged[at] ^= 1;
        fs::write(airlift.home().join("damaged.tar"), damaged).unwrap();
        let refused = airlift.run(["copy", "damaged.tar", &url, "--delete-source"]).exits(4);
        assert!(refused.stderr.contains("damaged.tar"), "{refused}");
        assert_eq!(commits.load(SeqCst), 0, "what is damaged at byte {at} was visible for a moment");
        assert!(airlift.home().join("damaged.tar").exists());
    }
    // Out of a storage: nothing stands under the name, and nothing beside it.
    let mut damaged = content.clone();
    damaged[content.len() / 2] ^= 1;
    fs::write(airlift.home().join("plain"), [b"no bundle: ", &damaged[..]].concat()).unwrap();
    airlift.run(["copy", "plain", &url]).success();
    assert_eq!(commits.load(SeqCst), 1, "what is not a bundle is copied as it is");
    airlift.run(["copy", &url, "came.back"]).success();
    let read = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(read("plain") == read("came.back"));
}

#[test]
fn a_copy_out_of_a_storage_is_proven_before_it_has_its_name() {
    needs!("azurite-blob");
    let (azurite, airlift) = (azurite(), home());
    let content = fs::read(airlift.home().join("here.tar")).unwrap();
    let mut damaged = content.clone();
    damaged[content.len() / 2] ^= 1;
    let location = azurite.location(Account::A, "box", "b.tar", &Grant::default());
    block_on(async {
        use airlift::storage::{self, Finish, Settings, conformance};
        let object = storage::open(&location, &Settings::default()).unwrap();
        conformance::put(&*object, &damaged.into(), Finish::default()).await.unwrap();
    });
    let url = azurite.url(Account::A, "box", "b.tar", &Grant::only("rd"));
    let refused = airlift.run(["copy", &url, "out/b.tar", "--delete-source"]).exits(4);
    assert!(refused.stderr.contains("bundle.digest-mismatch"), "{refused}");
    assert!(!airlift.home().join("out/b.tar").exists());
    airlift.run(["inspect", &url]).success();
}
