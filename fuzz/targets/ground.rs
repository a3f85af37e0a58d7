//! A small bundle of our own, which targets damage, and what is in it.

use std::{cell::OnceCell, path::PathBuf};

use airlift::{
    bundle::{Contents, Index, Root, StreamWriter},
    content::{Sink, Verified, memory::Memory},
    oci::{Descriptor, Manifest},
};
use tokio::runtime::{Builder, Runtime};

/// What the targets stand on; made once in each process.
pub(crate) struct Ground {
    pub(crate) runtime: Runtime,
    pub(crate) contents: Contents,
    /// Every blob of the bundle.
    pub(crate) source: std::sync::Arc<Memory>,
    /// The bytes of the bundle.
    pub(crate) sound: Vec<u8>,
}

thread_local! {
    static GROUND: OnceCell<Ground> = const { OnceCell::new() };
}

/// Calls `test` with the bundle.
pub(crate) fn with(test: impl FnOnce(&Ground)) {
    GROUND.with(|ground| test(ground.get_or_init(Ground::new)));
}

impl Ground {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let layer: Vec<u8> = (0..3000_u32).map(|n| (n * n % 251) as u8).collect();
        let blobs = [("application/vnd.oci.empty.v1+json", b"{}".to_vec()), ("application/octet-stream", layer)];
        let [config, layer] = blobs.each_ref().map(|(kind, content)| Descriptor::of(*kind, content));
        let described = |blob: &Descriptor| {
            format!(r#"{{"mediaType":"{}","digest":"{}","size":{}}}"#, blob.media_type, blob.digest, blob.size)
        };
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
            described(&config),
            described(&layer)
        );
        let manifest = Manifest::parse(text.into(), None).expect("a manifest of our own");
        let reference = "r.example/a:1".parse().expect("a reference");
        let index = Index::new(vec![Root { reference, descriptor: manifest.descriptor().clone() }], Vec::new());
        let manifests = [(manifest.digest(), manifest)].into();
        let contents = Contents { index, manifests, absent: [].into() };
        let (source, mut sound) = (Memory::new(), Vec::new());
        runtime.block_on(async {
            for (blob, (_, content)) in [&config, &layer].into_iter().zip(&blobs) {
                let body = Verified::bytes(blob.clone(), content.clone().into());
                source.push(blob, body).await.expect("memory takes it");
            }
            let mut writer = StreamWriter::new(&contents, &mut sound).expect("a plan");
            let order: Vec<Descriptor> = writer.layout().blobs().iter().map(|place| place.descriptor()).collect();
            for blob in order {
                let (_, content) = &blobs[usize::from(blob.digest == layer.digest)];
                writer.push(&blob, Verified::bytes(blob.clone(), content.clone().into())).await.expect("a blob");
            }
            writer.finish().await.expect("the end");
        });
        Self { runtime, contents, source: source.into(), sound }
    }
}

/// A path for this process alone.
pub(crate) fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("airlift-fuzz-{name}-{}", std::process::id()))
}

/// Exchanges bytes of `sound`: each three bytes of `changes` are a place, taken round the end, and what to put there.
pub(crate) fn exchanged(sound: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for &[low, high, byte] in changes.as_chunks().0 {
        let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len();
        bytes[at] = byte;
    }
    bytes
}
