//! The store as a place, and what only it promises.

use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::{
    content::{Assign, Lookup, Sink, Verified, conformance},
    oci::{Algorithm, Descriptor, Digest, Manifest, media_type},
};

fn open() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

#[tokio::test]
async fn a_repository_is_a_place() {
    let (_dir, store) = open();
    let repository = store.repository("a/b");
    conformance::content(&repository).await;
    conformance::names(&repository).await;
}

#[tokio::test]
async fn a_blob_of_one_repository_is_not_another_ones_until_it_is_mounted() {
    let (_dir, store) = open();
    let (one, two) = (store.repository("one"), store.repository("two"));
    let content = Bytes::from_static(b"content");
    let blob = Descriptor::of("a/b", &content);
    one.push(&blob, Verified::bytes(blob.clone(), content)).await.unwrap();
    assert!(!two.contains(&blob).await.unwrap());
    assert!(!two.mount(blob.digest, Some("three")).await.unwrap());
    assert!(two.mount(blob.digest, Some("one")).await.unwrap());
    assert!(two.contains(&blob).await.unwrap());
    assert!(one.delete_blob(blob.digest).await.unwrap());
    assert!(!one.contains(&blob).await.unwrap() && two.contains(&blob).await.unwrap());
    assert_eq!(store.repositories(None, 10).unwrap(), ["one", "two"]);
}

#[test]
fn a_store_is_one_processes_at_a_time() {
    let (dir, store) = open();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Busy { .. })));
    drop(store);
    Store::open(dir.path()).unwrap();
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let (dir, store) = open();
    let upload = store.repository("r").begin(Algorithm::Sha256).await.unwrap();
    let id = upload.id().to_string();
    let mut writer = upload.writer().await.unwrap();
    writer.write(Bytes::from_static(b"one ")).await.unwrap();
    assert_eq!(writer.pause().await.unwrap(), 4);
    drop((upload, store));

    let store = Store::open(dir.path()).unwrap();
    assert!(store.repository("other").upload(&id).await.unwrap().is_none(), "it is the upload of another repository");
    let upload = store.repository("r").upload(&id).await.unwrap().unwrap();
    assert_eq!(upload.received(), 4);
    let mut writer = upload.writer().await.unwrap();
    writer.write(Bytes::from_static(b"two")).await.unwrap();
    let digest = Digest::sha256(b"one two");
    writer.finish(digest).await.unwrap();
    assert_eq!(store.repository("r").blob_size(&digest).unwrap(), Some(7));
    assert!(store.repository("r").upload(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_later_request_takes_an_upload_over() {
    let (_dir, store) = open();
    let upload = store.repository("r").begin(Algorithm::Sha256).await.unwrap();
    let mut first = upload.writer().await.unwrap();
    first.write(Bytes::from_static(b"lost")).await.unwrap();
    let (second, ()) = tokio::join!(upload.writer(), async {
        first.superseded().await;
        assert!(matches!(first.write(Bytes::from_static(b"x")).await, Err(StoreError::Superseded)));
        drop(first);
    });
    let mut second = second.unwrap();
    assert_eq!(second.received(), 0, "what was only gathered is not received");
    // Named by an algorithm that was not announced.
    second.write(Bytes::from_static(b"kept")).await.unwrap();
    let digest = Digest::of(Algorithm::Sha512, b"kept");
    second.finish(digest).await.unwrap();
    assert_eq!(store.repository("r").blob_size(&digest).unwrap(), Some(4));
}

#[tokio::test]
async fn content_of_another_digest_is_not_kept() {
    let (dir, store) = open();
    let upload = store.repository("r").begin(Algorithm::Sha256).await.unwrap();
    let mut writer = upload.writer().await.unwrap();
    writer.write(Bytes::from_static(b"b")).await.unwrap();
    let wrong = writer.finish(Digest::sha256(b"a")).await;
    assert!(matches!(wrong, Err(StoreError::Mismatch { .. })));
    assert!(matches!(upload.writer().await, Err(StoreError::Superseded)));
    assert_eq!(std::fs::read_dir(dir.path().join("uploads")).unwrap().count(), 0);
    assert_eq!(store.repository("r").blob_size(&Digest::sha256(b"b")).unwrap(), None);
}

#[tokio::test]
async fn a_sweep_takes_what_no_manifest_names_and_nothing_else() {
    let (dir, store) = open();
    let repository = store.repository("r");
    let mut blobs = Vec::new();
    for content in [&b"{}"[..], b"layer", b"unnamed"] {
        let blob = Descriptor::of("a/b", content);
        repository.push(&blob, Verified::bytes(blob.clone(), Bytes::copy_from_slice(content))).await.unwrap();
        blobs.push(blob);
    }
    let document = serde_json::json!({"schemaVersion": 2, "config": blobs[0], "layers": [blobs[1]]}).to_string();
    let manifest = Manifest::parse(document.into(), Some(media_type::OCI_MANIFEST)).unwrap();
    repository.tag(&"v1".parse().unwrap(), &manifest).await.unwrap();
    let stray = dir.path().join("blobs/sha256/00");
    std::fs::create_dir_all(&stray).unwrap();
    std::fs::write(stray.join("stray"), b"left by a crash").unwrap();
    repository.begin(Algorithm::Sha256).await.unwrap();
    drop((repository, store));

    let mut sweep = Sweep { uploads_older_than: Duration::ZERO, dry_run: true };
    let expected = Collected { blobs: 2, bytes: 22, uploads: 1 };
    assert_eq!(Store::sweep(dir.path(), sweep).unwrap(), expected);
    sweep.dry_run = false;
    assert_eq!(Store::sweep(dir.path(), sweep).unwrap(), expected);
    assert_eq!(Store::sweep(dir.path(), sweep).unwrap(), Collected::default());
    let repository = Store::open(dir.path()).unwrap().repository("r");
    let kept: Vec<_> = blobs.iter().map(|blob| repository.blob(&blob.digest).unwrap().is_some()).collect();
    assert_eq!(kept, [true, true, false]);
}
