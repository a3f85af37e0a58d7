//! What every place must do, as checks that an implementation's tests call. They panic where it does not.

use std::collections::HashSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::{Assign, Error, Referrers, Resolve, Sink, Source, Verified};
use crate::oci::{Descriptor, Digest, Manifest, Name, Tag, media_type};

/// Bytes of the largest blob used: several chunks of any implementation's reads.
const LARGE: usize = 3 << 20;

/// Bytes of the blobs used.
const SIZES: [usize; 6] = [0, 1, 511, 512, 513, LARGE];

fn sample(size: usize) -> Bytes {
    // A fixed generator: the same bytes at each run, and no repetition within a chunk.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        })
        .collect()
}

async fn read(place: &impl Source, content: &Descriptor, from: u64) -> Vec<u8> {
    let stream = place.fetch(content, from).await.expect("what was pushed can be fetched");
    stream
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
        .expect("a fetch that began well ends well")
}

/// The blobs that [`content`] pushes, for places that must know beforehand what comes.
pub fn planned() -> Vec<Descriptor> {
    let good = SIZES.map(|size| Descriptor::of("application/octet-stream", &sample(size)));
    good.into_iter().chain([never_pushed().0]).collect()
}

/// A blob that no attempt of [`content`] brings whole, and all of it but its end.
fn never_pushed() -> (Descriptor, Bytes) {
    let good = sample(LARGE);
    (Descriptor::of("application/octet-stream", &[&good[..], b"never pushed"].concat()), good)
}

/// Blobs: what was pushed is there, from any byte on; what was not verified is not.
///
/// # Panics
/// Where the place does not do that.
pub async fn content(place: &(impl Source + Sink)) {
    for size in SIZES {
        let bytes = sample(size);
        let blob = Descriptor::of("application/octet-stream", &bytes);
        assert!(!place.contains(&blob).await.expect("asking is not an error"), "nothing was pushed yet");
        assert!(matches!(place.fetch(&blob, 0).await, Err(error) if error.is_not_found()));
        place.push(&blob, Verified::bytes(blob.clone(), bytes.clone())).await.expect("good content is taken");
        assert!(place.contains(&blob).await.expect("asking is not an error"));
        for from in HashSet::from([0, size / 2, size.saturating_sub(1), size]) {
            assert_eq!(read(place, &blob, from as u64).await, &bytes[from..], "{size} bytes from {from}");
        }
        place.push(&blob, Verified::bytes(blob.clone(), bytes)).await.expect("the same content again is not an error");
    }
    let (blob, good) = never_pushed();
    for bad in [good.slice(1..), [&good[..], b"never pusheD"].concat().into()] {
        let pushed = place.push(&blob, Verified::bytes(blob.clone(), bad)).await;
        let code = super::Fault::code(&pushed.expect_err("bad content is refused"));
        assert_eq!(code.class(), super::Class::Unverified, "{code}");
        assert!(!place.contains(&blob).await.expect("asking is not an error"), "bad content must not become visible");
    }
    let broken = futures::stream::iter([Ok(good), Err(Error::NotFound { what: "the rest".to_owned() })]).boxed();
    place.push(&blob, Verified::new(blob.clone(), broken)).await.expect_err("a broken body is refused");
    assert!(!place.contains(&blob).await.expect("asking is not an error"));
}

/// Names: manifests by digest and by tag, tags that move, artifacts attached to them.
///
/// # Panics
/// Where the place does not do that.
pub async fn names(place: &(impl Source + Sink + Resolve + Assign + Referrers)) {
    let config = Bytes::from_static(b"{}");
    let empty = Descriptor::of(media_type::OCI_EMPTY, &config);
    place.push(&empty, Verified::bytes(empty.clone(), config)).await.expect("a config is taken");

    let first = manifest(&empty, "first", None);
    let second = manifest(&empty, "second", None);
    for each in [&first, &second] {
        let missing = place.resolve(&Name::Digest(each.digest())).await;
        assert!(missing.expect_err("not pushed yet").is_not_found());
        push(place, each).await;
        let resolved = place.resolve(&Name::Digest(each.digest())).await.expect("by digest");
        assert_eq!(resolved.raw(), each.raw(), "manifests are kept byte for byte");
    }
    let tag: Tag = "v1".parse().expect("a tag");
    let by_tag = Name::Tag(tag.clone());
    assert!(place.resolve(&by_tag).await.expect_err("no tag yet").is_not_found());
    for each in [&first, &second] {
        place.tag(&tag, each).await.expect("a tag is given");
        assert_eq!(place.resolve(&by_tag).await.expect("by tag").digest(), each.digest());
    }

    assert_eq!(place.referrers(&first.digest()).await.expect("none is not an error"), []);
    let attached = [manifest(&empty, "a", Some(&first)), manifest(&empty, "b", Some(&first))];
    for each in &attached {
        push(place, each).await;
    }
    let found: HashSet<Digest> =
        place.referrers(&first.digest()).await.expect("referrers").iter().map(|found| found.digest).collect();
    assert_eq!(found, attached.iter().map(Manifest::digest).collect());
    assert_eq!(place.referrers(&second.digest()).await.expect("none is not an error"), []);
}

async fn push(place: &impl Sink, manifest: &Manifest) {
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    place.push(manifest.descriptor(), body).await.expect("a manifest is taken");
}

fn manifest(config: &Descriptor, note: &str, subject: Option<&Manifest>) -> Manifest {
    let subject = subject.map(|subject| {
        let subject = subject.descriptor();
        Descriptor::new(subject.media_type.clone(), subject.digest, subject.size)
    });
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": "application/vnd.airlift.test",
        "config": config,
        "layers": [config],
        "annotations": {"note": note},
    });
    if let Some(subject) = subject {
        document["subject"] = serde_json::json!(subject);
    }
    Manifest::parse(document.to_string().into(), Some(media_type::OCI_MANIFEST)).expect("a manifest of our own")
}
