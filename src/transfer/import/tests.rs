//! The engine on places in memory, of which one watches and refuses.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;

use super::Request;
use crate::{
    content::{
        Assign, Error, Lookup, Referrers, Resolve, Result, Sink, Target, Targets, Verified,
        memory::{Memories, Memory},
    },
    oci::{Descriptor, Digest, Manifest, Name, Reference, Repository, Tag, media_type},
    progress::Progress,
    transfer::{
        self, ArtifactState, Report, Side,
        destination::RegistryPrefix,
        export::{self, Foreign},
        mirror,
        resolve::ReferrerLimits,
    },
};

/// A target that notes what it is asked, and refuses one blob.
#[derive(Clone, Default)]
struct WatchedTarget {
    inner: Memories,
    asked: Arc<Mutex<Vec<String>>>,
    refused: Option<Digest>,
    attaching: Arc<AtomicUsize>,
    most_attaching: Arc<AtomicUsize>,
}

struct WatchedRepository(WatchedTarget, Arc<Memory>);

impl WatchedTarget {
    fn note(&self, question: String) {
        self.asked.lock().unwrap().push(question);
    }

    /// What was asked since the last call, in order.
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort();
        asked
    }
}

impl Targets for WatchedTarget {
    fn target(&self, repository: &Repository) -> Arc<dyn Target> {
        Arc::new(WatchedRepository(self.clone(), self.inner.repository(repository)))
    }
}

#[async_trait]
impl Lookup for WatchedRepository {
    async fn contains(&self, content: &Descriptor) -> Result<bool> {
        self.0.note(format!("contains {}", content.digest));
        self.1.contains(content).await
    }
}

#[async_trait]
impl Sink for WatchedRepository {
    async fn push(&self, content: &Descriptor, body: Verified) -> Result<()> {
        if self.0.refused == Some(content.digest) {
            return Err(Error::NotFound { what: "the repository".to_owned() });
        }
        self.1.push(content, body).await
    }
}

#[async_trait]
impl Resolve for WatchedRepository {
    async fn resolve(&self, name: &Name) -> Result<Manifest> {
        self.0.note(format!("resolve {name}"));
        self.1.resolve(name).await
    }
}

#[async_trait]
impl Assign for WatchedRepository {
    async fn tag(&self, tag: &Tag, manifest: &Manifest) -> Result<()> {
        self.1.tag(tag, manifest).await
    }
}

#[async_trait]
impl Referrers for WatchedRepository {
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.0.note(format!("referrers {subject}"));
        self.1.referrers(subject).await
    }
}

#[async_trait]
impl Target for WatchedRepository {
    async fn attach(&self, subject: &Digest, manifests: &[Manifest]) -> Result<()> {
        self.0.note(format!("attach {} to {subject}", manifests.len()));
        let now = self.0.attaching.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_attaching.fetch_max(now, Ordering::SeqCst);
        // Every other that may begin begins now.
        tokio::task::yield_now().await;
        self.0.attaching.fetch_sub(1, Ordering::SeqCst);
        self.1.attach(subject, manifests).await
    }
}

const NAME: &str = "r.example/team/app:v1";

/// An artifact of one layer, put into `place` under its digest.
async fn put(place: &Memory, layer: &'static [u8], subject: Option<&Manifest>) -> Manifest {
    let mut blobs = Vec::new();
    for content in [&b"{}"[..], layer] {
        let blob = Descriptor::of("application/octet-stream", content);
        place.push(&blob, Verified::bytes(blob.clone(), Bytes::from_static(content))).await.unwrap();
        blobs.push(blob);
    }
    let mut document = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": blobs[0], "layers": [blobs[1]],
    });
    if let Some(subject) = subject {
        document["subject"] = json!(subject.descriptor());
    }
    let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    place.push(manifest.descriptor(), body).await.unwrap();
    manifest
}

/// A source with one artifact, two things attached to it, and one attached to each of these.
async fn source() -> (Memories, Manifest) {
    let source = Memories::default();
    let reference: Reference = NAME.parse().unwrap();
    let place = source.repository(reference.context());
    let app = put(&place, b"the layer", None).await;
    for (layer, below) in [(&b"a"[..], &b"aa"[..]), (b"b", b"bb")] {
        let attached = put(&place, layer, Some(&app)).await;
        put(&place, below, Some(&attached)).await;
    }
    place.tag(&"v1".parse().unwrap(), &app).await.unwrap();
    (source, app)
}

async fn run(
    source: &Memories,
    target: &WatchedTarget,
    check_blobs: bool,
) -> std::result::Result<Report, transfer::Error> {
    let what = export::Request {
        artifacts: vec![NAME.parse().unwrap()],
        platforms: Vec::new(),
        foreign: Foreign::Include,
        referrers: true,
        continue_on_errors: true,
        jobs: 4,
        bases: Arc::default(),
        small_jobs: 4,
        limits: ReferrerLimits::default(),
    };
    let how = Request {
        to: RegistryPrefix::local(),
        keep_host: false,
        map: Vec::new(),
        overwrite_tags: false,
        continue_on_errors: true,
        rewrite_foreign: false,
        verify_first: false,
        delete_source: false,
        check_blobs,
        receipt: false,
        jobs: 4,
        small_jobs: 4,
    };
    mirror::run(source, target, &what, &how, &Progress::silent()).await
}

#[tokio::test]
async fn what_is_attached_goes_up_by_subject_and_subjects_side_by_side() {
    let (source, app) = source().await;
    let target = WatchedTarget::default();
    let report = run(&source, &target, false).await.unwrap();
    assert_eq!(report.artifacts[0].state, ArtifactState::Done);
    let asked = target.asked();
    assert!(asked.contains(&format!("attach 2 to {}", app.digest())), "{asked:?}");
    assert_eq!(asked.iter().filter(|asked| asked.starts_with("attach 1 ")).count(), 2, "{asked:?}");
    assert_eq!(target.most_attaching.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn where_the_tag_is_right_only_what_is_attached_is_asked_for() {
    let (source, app) = source().await;
    let target = WatchedTarget::default();
    run(&source, &target, false).await.unwrap();
    target.asked();

    let report = run(&source, &target, false).await.unwrap();
    assert_eq!((report.artifacts[0].state, report.bytes_moved), (ArtifactState::AlreadyThere, 0));
    let asked = target.asked();
    assert!(asked.contains(&"resolve v1".to_owned()) && asked.contains(&format!("referrers {}", app.digest())));
    assert_eq!(asked.len(), 4, "the tag, and three subjects: {asked:?}");

    let report = run(&source, &target, true).await.unwrap();
    assert_eq!(report.artifacts[0].state, ArtifactState::AlreadyThere);
    assert_eq!(target.asked().iter().filter(|asked| asked.starts_with("contains ")).count(), 6);
}

#[tokio::test]
async fn a_failure_knows_its_side_whatever_its_token() {
    let (source, app) = source().await;
    let layer = app.layers()[0].digest;
    let side = |report: &Report| report.artifacts[0].reason.as_ref().map(|reason| (reason.token, reason.side));

    let refusing = WatchedTarget { refused: Some(layer), ..WatchedTarget::default() };
    let report = run(&source, &refusing, false).await.unwrap();
    assert_eq!(side(&report), Some(("content.not-found", Side::Target)));
    assert!(refusing.inner.repository(&"localhost/team/app".parse().unwrap()).tags().is_empty());

    let reference: Reference = NAME.parse().unwrap();
    source.repository(reference.context()).forget(&layer);
    let report = run(&source, &WatchedTarget::default(), false).await.unwrap();
    assert_eq!(side(&report), Some(("content.not-found", Side::Source)));
}
