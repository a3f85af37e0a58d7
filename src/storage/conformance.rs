//! What every provider must do, as checks that its tests call. They panic where it does not.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;
use md5::Digest as _;

use super::{
    Error, Finish, Folder, Location, Object, PartCheckpoint, Parts, Pinned, Result, Sums, UploadSpec, parts::NOTE,
};
use crate::{
    content::{Class, Fault, ReadAt, read_at::read_whole},
    oci::Digest,
};

/// Bytes that do not repeat and are the same at each run; `seed` makes them others.
pub fn sample(seed: u64, size: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed.wrapping_add(1) << 32);
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// A note that says which part of which try it belongs to.
fn note(number: u32, try_: u8) -> PartCheckpoint {
    let mut note = [try_; NOTE];
    note[..4].copy_from_slice(&number.to_be_bytes());
    PartCheckpoint(note)
}

fn draft(object: &dyn Object, content: &[u8]) -> UploadSpec {
    let parts = Parts::of(content.len() as u64, 1, &object.limits(), object.location()).expect("small enough");
    let said = [("category", "conformance"), ("two_words", "are kept")];
    let metadata = BTreeMap::from(said.map(|(name, value)| (name.to_owned(), value.to_owned())));
    UploadSpec { identity: Digest::sha256(content), parts, metadata }
}

fn part(parts: &Parts, content: &Bytes, number: u32) -> Bytes {
    let range = parts.range(number);
    content.slice(usize::try_from(range.start).expect("small")..usize::try_from(range.end).expect("small"))
}

/// Puts `content` by parts and commits it.
///
/// # Errors
/// Those of the provider.
pub async fn put(object: &dyn Object, content: &Bytes, finish: Finish) -> Result<()> {
    let draft = draft(object, content);
    let upload = object.upload(&draft).await?;
    let mut notes = Vec::new();
    for number in 0..draft.parts.count() {
        notes.push(note(number, 0));
        upload.put(number, note(number, 0), part(&draft.parts, content, number).into()).await?;
    }
    upload.commit(&notes, &finish).await.map(drop)
}

async fn read_all(pinned: &Pinned) -> Bytes {
    read_whole(pinned, 0..pinned.size()).await.expect("what is there can be read")
}

async fn pin(object: &Arc<dyn Object>) -> Pinned {
    Pinned::open(Arc::clone(object)).await.expect("it is there")
}

/// An object that is not there: parts, commits, reads, versions, removal. It is gone again in the end.
///
/// # Panics
/// Where the provider does not do that.
pub async fn object(object: Arc<dyn Object>) {
    let missing = object.stat().await.expect_err("nothing is there yet");
    assert!(missing.is_not_found(), "{missing:?}");
    let size = usize::try_from(object.limits().smallest.max(1 << 20)).expect("small");
    let content = sample(1, 2 * size + 12_345);
    resumable_parts(&*object, &content).await;
    reads(&object, &content).await;
    let second = sample(2, size + 1);
    versions(&object, &content, &second).await;
    put(&*object, &Bytes::new(), Finish::default()).await.expect("an empty object is an object");
    assert_eq!(object.stat().await.expect("it is there").size, 0);
    pin(&object).await.delete().await.expect("it can be removed");
}

/// Parts come in any order, are found again by a later run, and nothing is visible before the commit.
async fn resumable_parts(object: &dyn Object, content: &Bytes) {
    let draft = draft(object, content);
    assert_eq!(draft.parts.count(), 3, "three parts: a first, a middle, and a short last one");
    let first = object.upload(&draft).await.expect("an upload begins");
    assert_eq!(first.present(), []);
    for (number, try_) in [(2, 0), (0, 1)] {
        first
            .put(number, note(number, try_), part(&draft.parts, content, number).into())
            .await
            .expect("a part is taken");
    }
    drop(first);
    assert!(object.stat().await.expect_err("nothing is visible before the commit").is_not_found());

    let other = UploadSpec { identity: Digest::sha256(b"something else"), ..draft.clone() };
    let strange = object.upload(&other).await.expect("another upload begins");
    assert_eq!(strange.present(), [], "parts of another identity are not seen");
    strange.abandon().await.expect("it can be abandoned");
    drop(strange);

    let again = object.upload(&draft).await.expect("the upload goes on");
    assert_eq!(again.present(), [(0, note(0, 1)), (2, note(2, 0))]);
    again.put(1, note(1, 7), part(&draft.parts, content, 1).into()).await.expect("a part is taken");
    let notes = [note(0, 1), note(1, 7), note(2, 0)];
    let committed = again.commit(&notes, &Finish::default()).await.expect("a commit");
    let stat = object.stat().await.expect("it is there");
    assert_eq!((stat.size, &stat.version), (content.len() as u64, &committed.version));
    if !matches!(object.location(), Location::Path(_)) {
        assert_eq!(stat.metadata, draft.metadata);
    }
}

/// A provider that takes parts from another of its objects: the same bytes, of one version, held against our checksums.
/// `target` is not there; both are gone in the end.
///
/// # Panics
/// Where the provider does not do that.
pub async fn server_side(source: Arc<dyn Object>, target: Arc<dyn Object>) {
    let size = usize::try_from(target.limits().smallest.max(1 << 20)).expect("small");
    let content = sample(4, 2 * size + 54_321);
    put(&*source, &content, Finish::default()).await.expect("the source is put");
    let from = pin(&source).await;
    assert!(target.reaches(&*source));
    let draft = draft(&*target, &content);
    let sums = |number| {
        let part = part(&draft.parts, &content, number);
        Sums { md5: md5::Md5::digest(&part).into(), sha256: Digest::sha256(&part) }
    };
    let upload = target.upload(&draft).await.expect("an upload begins");
    let taker = upload.takes_from().expect("it takes parts");
    let wrong = taker.take(0, note(0, 0), &from, draft.parts.range(0), &sums(1)).await;
    assert!(wrong.is_err(), "a part was taken that is not what it was said to be");
    let mut notes = Vec::new();
    for number in 0..draft.parts.count() {
        notes.push(note(number, 0));
        let range = draft.parts.range(number);
        taker.take(number, note(number, 0), &from, range, &sums(number)).await.expect("a part is taken");
    }
    upload.commit(&notes, &Finish::default()).await.expect("a commit");
    assert_eq!(read_all(&pin(&target).await).await, content);
    pin(&target).await.delete().await.expect("it can be removed");

    put(&*source, &content, Finish { overwrite: true, ..Finish::default() }).await.expect("it is replaced");
    let upload = target.upload(&draft).await.expect("an upload begins");
    let taker = upload.takes_from().expect("it takes parts");
    let replaced = taker.take(0, note(0, 1), &from, draft.parts.range(0), &sums(0)).await;
    assert!(from.stat().version == pin(&source).await.stat().version || replaced.is_err(), "another version was taken");
    upload.abandon().await.expect("it can be abandoned");
    pin(&source).await.delete().await.expect("it can be removed");
}

/// A provider that keeps SHA-256: it attests what was put, also where an earlier run put a part of it. It is gone again in
/// the end.
///
/// # Panics
/// Where the provider does not do that.
pub async fn attested(object: Arc<dyn Object>) {
    let size = usize::try_from(object.limits().smallest.max(1 << 20)).expect("small");
    let content = sample(5, size + 4321);
    let draft = draft(&*object, &content);
    let first = object.upload(&draft).await.expect("an upload begins");
    first.put(0, note(0, 0), part(&draft.parts, &content, 0).into()).await.expect("a part is taken");
    drop(first);
    let again = object.upload(&draft).await.expect("the upload goes on");
    again.put(1, note(1, 0), part(&draft.parts, &content, 1).into()).await.expect("a part is taken");
    let notes = [note(0, 0), note(1, 0)];
    again.commit(&notes, &Finish::default()).await.expect("a commit");
    assert_eq!(again.attest(&notes).await.expect("an answer"), Some(true));
    put(&*object, &sample(6, size), Finish { overwrite: true, ..Finish::default() }).await.expect("it is replaced");
    assert_eq!(again.attest(&notes).await.expect("an answer"), Some(false), "something else has the same checksum");
    pin(&object).await.delete().await.expect("it can be removed");
}

/// Any range of what is there, and an end to every read.
async fn reads(object: &Arc<dyn Object>, content: &Bytes) {
    let pinned = pin(object).await;
    let end = content.len();
    for (from, to) in [(0, 0), (0, 1), (0, end), (end - 1, end), (511, 513), (end / 3, end / 2), (end, end)] {
        let got = read_whole(&pinned, from as u64..to as u64).await.expect("a range is read");
        assert_eq!(got, content.slice(from..to), "{from}..{to}");
    }
}

/// A create-only commit leaves alone what is there; a replaced object is an error for a reader.
async fn versions(object: &Arc<dyn Object>, first: &Bytes, second: &Bytes) {
    let old = pin(object).await;
    let refused = put(&**object, second, Finish::default()).await.expect_err("something is there");
    assert!(matches!(refused, Error::Exists { .. }), "{refused:?}");
    assert_eq!(read_all(&old).await, first, "a refused commit changes nothing");

    put(&**object, second, Finish { overwrite: true, ..Finish::default() }).await.expect("it is replaced");
    assert_eq!(read_all(&pin(object).await).await, second);
    let mixed = match old.chunks(10..20).await {
        Ok(stream) => stream.try_collect::<Vec<_>>().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(mixed, Err(Error::Changed { .. })), "{mixed:?}");
    assert!(matches!(old.delete().await, Err(Error::Changed { .. })), "another version must not be removed");
    pin(object).await.delete().await.expect("it can be removed");
    assert!(object.stat().await.expect_err("it is gone").is_not_found());
    let gone = old.chunks(0..1).await.err();
    assert!(matches!(gone, None | Some(Error::Changed { .. })), "{gone:?}");
}

/// A folder in which nothing is: what is put there is listed.
///
/// # Panics
/// Where the provider does not do that.
pub async fn folder(folder: &dyn Folder) {
    let mut wanted = Vec::new();
    for (name, size) in [("a.tar", 10), ("b/c.tar", 20), ("d e.tar", 30)] {
        let object = folder.object(name).expect("a place");
        put(&*object, &sample(3, size), Finish::default()).await.expect("it is put");
        wanted.push((name.to_owned(), size as u64));
    }
    let listed = folder.list().await.expect("a list");
    let found: Vec<_> = listed.iter().map(|listed| (listed.name.clone(), listed.size)).collect();
    assert_eq!(found, wanted);
    assert!(listed.iter().all(|listed| listed.modified.is_some()));
}

/// A provider that refuses: the right class of error, and no secret in it.
///
/// # Panics
/// Where the error is of another class, or `secret` is in its words.
pub fn refusal(error: &(impl Fault + ?Sized), secret: &str) {
    assert_eq!(error.code().class(), Class::Unauthorized, "{error:?}");
    assert!(!format!("{error} {error:?}").contains(secret), "an error shows a secret");
}
