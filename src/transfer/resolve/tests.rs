use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::{
    content::{Assign, Sink, Verified, memory::Memory},
    oci::media_type,
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

async fn blob(place: &Memory, text: &str) -> Descriptor {
    let content = Bytes::copy_from_slice(text.as_bytes());
    let blob = Descriptor::of(LAYER, &content);
    place.push(&blob, Verified::bytes(blob.clone(), content)).await.unwrap();
    blob
}

async fn put(place: &Memory, document: Value) -> Manifest {
    let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    place.push(manifest.descriptor(), body).await.unwrap();
    manifest
}

fn named(manifest: &Manifest) -> Descriptor {
    let descriptor = manifest.descriptor();
    Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size)
}

/// An image of one layer, attached to `subject` if there is one.
async fn image(place: &Memory, text: &str, subject: Option<&Manifest>) -> Manifest {
    let mut document = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": blob(place, "{}").await, "layers": [blob(place, text).await],
    });
    if let Some(subject) = subject {
        document["subject"] = json!(named(subject));
    }
    put(place, document).await
}

async fn index(place: &Memory, children: &[(&Manifest, Value)]) -> Manifest {
    let manifests: Vec<Value> = children
        .iter()
        .map(|(child, more)| {
            let mut descriptor = json!(named(child));
            descriptor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            descriptor
        })
        .collect();
    put(place, json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests})).await
}

fn platform(text: &str) -> Value {
    let platform: Platform = text.parse().unwrap();
    json!({"platform": platform})
}

async fn run(place: Memory, root: &Manifest, selection: &Selection) -> Result<Resolved, Cause> {
    let tag: Tag = "v1".parse().unwrap();
    place.tag(&tag, root).await.unwrap();
    resolve(Arc::new(place), "r.example/app:v1".parse().unwrap(), selection, &Semaphore::new(4)).await
}

fn all() -> Selection {
    Selection { referrers: true, ..Selection::default() }
}

#[tokio::test]
async fn nested_indexes_are_followed_and_shared_blobs_count_once() {
    let place = Memory::new();
    let (a, b) = (image(&place, "a", None).await, image(&place, "b", None).await);
    let inner = index(&place, &[(&a, json!({})), (&b, json!({}))]).await;
    let outer = index(&place, &[(&inner, json!({})), (&a, json!({}))]).await;
    let resolved = run(place, &outer, &all()).await.unwrap();
    assert_eq!(resolved.root.digest, outer.digest());
    assert_eq!(resolved.manifests.len(), 4);
    // The config `{}`, and a layer each.
    assert_eq!(resolved.blobs().len(), 3);
}

#[tokio::test]
async fn what_is_attached_is_followed_recursively_by_subject_and_by_tag() {
    let place = Memory::new();
    let child = image(&place, "child", None).await;
    let root = index(&place, &[(&child, json!({}))]).await;
    let sbom = image(&place, "sbom of the child", Some(&child)).await;
    let signature = image(&place, "signature of the sbom", Some(&sbom)).await;
    let cosign = image(&place, "cosign's signature of the root", None).await;
    let [sig, ..] = Tag::cosign(&root.digest());
    place.tag(&sig, &cosign).await.unwrap();
    let of_cosign = image(&place, "attached to what is attached by tag", Some(&cosign)).await;

    let resolved = run(place, &root, &all()).await.unwrap();
    let attached: HashSet<Digest> = resolved.attached.iter().map(|one| one.digest).collect();
    assert_eq!(attached, [&sbom, &signature, &of_cosign].map(Manifest::digest).into());
    assert_eq!(resolved.tagged, [(sig, cosign.descriptor().clone())]);
    assert_eq!(resolved.manifests.len(), 6);
}

#[tokio::test]
async fn without_referrers_only_the_artifact_itself_travels() {
    let place = Memory::new();
    let root = image(&place, "root", None).await;
    image(&place, "sbom", Some(&root)).await;
    let resolved = run(place, &root, &Selection::default()).await.unwrap();
    assert_eq!((resolved.manifests.len(), resolved.attached.len()), (1, 0));
}

#[tokio::test]
async fn a_platform_filter_keeps_the_attestations_of_what_it_keeps() {
    let place = Memory::new();
    let (amd64, arm64) = (image(&place, "amd64", None).await, image(&place, "arm64", None).await);
    let of_amd64 = image(&place, "attestation of amd64", None).await;
    let of_arm64 = image(&place, "attestation of arm64", None).await;
    let attestation = |of: &Manifest| {
        json!({
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.digest": of.digest().to_string()},
        })
    };
    let root = index(
        &place,
        &[
            (&amd64, platform("linux/amd64")),
            (&arm64, platform("linux/arm64")),
            (&of_amd64, attestation(&amd64)),
            (&of_arm64, attestation(&arm64)),
        ],
    )
    .await;
    let selection = Selection { platforms: vec!["linux/arm64".parse().unwrap()], ..all() };
    let resolved = run(place, &root, &selection).await.unwrap();
    let kept: HashSet<Digest> = resolved.manifests.keys().copied().collect();
    assert_eq!(kept, [&root, &arm64, &of_arm64].map(Manifest::digest).into());
    let absent: HashSet<Digest> = resolved.absent.iter().map(|absent| absent.digest).collect();
    assert_eq!(absent, [&amd64, &of_amd64].map(Manifest::digest).into());
    assert!(resolved.absent.iter().all(|absent| absent.reason == Reason::Platform));
}

#[tokio::test]
async fn a_platform_that_nobody_offers_is_an_error_that_names_what_there_is() {
    let place = Memory::new();
    let amd64 = image(&place, "amd64", None).await;
    let root = index(&place, &[(&amd64, platform("linux/amd64"))]).await;
    let selection = Selection { platforms: vec!["plan9/mips".parse().unwrap()], ..all() };
    let error = run(place, &root, &selection).await.unwrap_err();
    assert!(error.to_string().contains("linux/amd64"), "{error}");
}

#[tokio::test]
async fn a_single_image_of_another_platform_is_an_error_that_names_its_own() {
    for (media_type, config, filter, is_wanted) in [
        (media_type::IMAGE_CONFIGS[0], r#"{"os":"linux","architecture":"arm64"}"#, "linux/amd64", false),
        (media_type::IMAGE_CONFIGS[1], r#"{"os":"linux","architecture":"arm64"}"#, "linux/amd64", false),
        (media_type::IMAGE_CONFIGS[0], r#"{"os":"linux","architecture":"arm64"}"#, "linux/arm64/v8", true),
        (media_type::IMAGE_CONFIGS[0], r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#, "linux/arm64", true),
        (media_type::IMAGE_CONFIGS[0], "{}", "linux/amd64", true),
        ("application/vnd.cncf.helm.config.v1+json", r#"{"os":"x","architecture":"y"}"#, "linux/amd64", true),
    ] {
        let place = Memory::new();
        let content = Bytes::copy_from_slice(config.as_bytes());
        let config = Descriptor::of(media_type, &content);
        place.push(&config, Verified::bytes(config.clone(), content)).await.unwrap();
        let layers = [blob(&place, "layer").await];
        let document =
            json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers});
        let root = put(&place, document).await;
        let selection = Selection { platforms: vec![filter.parse().unwrap()], ..all() };
        match run(place, &root, &selection).await {
            Ok(_) => assert!(is_wanted, "{config:?} {filter}"),
            Err(error) => {
                assert!(!is_wanted && error.to_string().contains("linux/arm64"), "{error}: {config:?} {filter}");
            }
        }
    }
}

#[tokio::test]
async fn an_index_of_blobs_is_carried_as_build_caches_are() {
    let place = Memory::new();
    let layer = blob(&place, "a cached layer").await;
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [layer]});
    let root = put(&place, document).await;
    let resolved = run(place, &root, &all()).await.unwrap();
    assert_eq!(resolved.manifests.len(), 1);
    assert_eq!(resolved.blobs().iter().map(|blob| (**blob).clone()).collect::<Vec<_>>(), [layer]);
}

#[tokio::test]
async fn chains_and_crowds_of_attached_artifacts_end_at_their_limits() {
    let place = Memory::new();
    let root = image(&place, "root", None).await;
    let mut last = root.clone();
    for n in 0..4 {
        last = image(&place, &format!("link {n}"), Some(&last)).await;
    }
    let limits = ReferrerLimits { depth: 3, ..ReferrerLimits::default() };
    let error = run(place, &root, &Selection { limits, ..all() }).await.unwrap_err();
    assert!(matches!(error, Cause::Limit { limit: 3, .. }), "{error}");

    let place = Memory::new();
    let root = image(&place, "root", None).await;
    for n in 0..5 {
        image(&place, &format!("crowd {n}"), Some(&root)).await;
    }
    let limits = ReferrerLimits { manifests: 4, ..ReferrerLimits::default() };
    let error = run(place, &root, &Selection { limits, ..all() }).await.unwrap_err();
    assert!(matches!(error, Cause::Limit { limit: 4, .. }), "{error}");
}

#[tokio::test]
async fn a_child_of_another_size_than_the_index_says_is_refused() {
    let place = Memory::new();
    let child = image(&place, "child", None).await;
    let mut descriptor = named(&child);
    descriptor.size += 1;
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [descriptor]});
    let root = put(&place, document).await;
    let error = run(place, &root, &all()).await.unwrap_err();
    assert!(matches!(error, Cause::Content(content::Error::SizeMismatch { .. })), "{error}");
}
