//! What the samples are built of: layers, manifests and an index that have the same bytes at every run.

use std::io::{self, Write};

use airlift::oci::{Descriptor, Manifest, media_type};
use bytes::Bytes;
use flate2::{Compression, GzBuilder, write::GzEncoder};
use serde_json::{Map, Value, json};
use tar::{Builder, EntryType, Header};

/// image-spec 1.1, *layer.md*.
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer that may not be pushed to other registries (image-spec 1.0, "Non-Distributable Layers").
pub(super) const FOREIGN_LAYER: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// image-spec 1.1, *config.md*.
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A file of a layer: path, mode, content.
pub(super) type File<'a> = (&'a str, u32, Bytes);

/// Content with the descriptor that a manifest names it by.
#[derive(Clone, Debug)]
pub(super) struct SampleBlob {
    pub(super) descriptor: Descriptor,
    pub(super) content: Bytes,
}

impl SampleBlob {
    pub(super) fn new(media_type: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self { descriptor: Descriptor::of(media_type, &content), content }
    }
}

/// A layer and the digest of its uncompressed tar, which an image's config names.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) blob: SampleBlob,
    diff_id: String,
}

impl Layer {
    /// Packs files in the order given, the folders above them first.
    pub(super) fn new(media_type: &str, files: &[File<'_>]) -> Self {
        let tar = in_memory(pack(files));
        let diff_id = Descriptor::of("", &tar).digest.to_string();
        Self { blob: SampleBlob::new(media_type, in_memory(compress(&tar))), diff_id }
    }
}

/// Writes to memory are refused for lack of memory only, and that does not return.
fn in_memory(result: io::Result<Vec<u8>>) -> Vec<u8> {
    result.expect("names are short and memory takes every write")
}

fn pack(files: &[File<'_>]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut folders = Vec::new();
    for (path, mode, content) in files {
        for (at, _) in path.match_indices('/') {
            let folder = &path[..=at];
            if !folders.contains(&folder) {
                builder.append_data(&mut header(EntryType::Directory, 0o755, 0), folder, io::empty())?;
                folders.push(folder);
            }
        }
        builder.append_data(&mut header(EntryType::Regular, *mode, content.len() as u64), path, content.as_ref())?;
    }
    builder.into_inner()
}

/// No time and no owner of the machine that packs.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn compress(tar: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    encoder.write_all(tar)?;
    encoder.finish()
}

/// An image for Linux on `architecture`: its config, and the manifest over it.
pub(super) fn image(architecture: &str, entrypoint: &str, layers: &[&Layer]) -> (Manifest, SampleBlob) {
    let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Entrypoint": [entrypoint], "User": "1000" },
        "rootfs": { "type": "layers", "diff_ids": ids },
    });
    let config = SampleBlob::new(CONFIG, config.to_string());
    let layers: Vec<&SampleBlob> = layers.iter().map(|layer| &layer.blob).collect();
    (manifest(&config, &layers, None, None), config)
}

/// A manifest over any config and layers, attached to `subject` if there is one.
pub(super) fn manifest(
    config: &SampleBlob,
    layers: &[&SampleBlob],
    artifact_type: Option<&str>,
    subject: Option<&Manifest>,
) -> Manifest {
    let layers: Vec<&Descriptor> = layers.iter().map(|layer| &layer.descriptor).collect();
    let mut document = Map::new();
    document.insert("schemaVersion".to_owned(), json!(2));
    document.insert("mediaType".to_owned(), json!(media_type::OCI_MANIFEST));
    document.insert("config".to_owned(), json!(config.descriptor));
    document.insert("layers".to_owned(), json!(layers));
    if let Some(artifact_type) = artifact_type {
        document.insert("artifactType".to_owned(), json!(artifact_type));
    }
    if let Some(subject) = subject {
        document.insert("subject".to_owned(), json!(named(subject)));
    }
    parse(&Value::Object(document))
}

/// An index over images for Linux, each with its architecture.
pub(super) fn index(children: &[(&str, &Manifest)]) -> Manifest {
    let children: Vec<Value> = children
        .iter()
        .map(|(architecture, child)| {
            let mut descriptor = json!(named(child));
            descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
            descriptor
        })
        .collect();
    parse(&json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children }))
}

/// How another manifest names this one.
fn named(manifest: &Manifest) -> Descriptor {
    Descriptor::new(manifest.media_type(), manifest.digest(), manifest.raw().len() as u64)
}

fn parse(document: &Value) -> Manifest {
    Manifest::parse(document.to_string().into(), None).expect("a document built above is well-formed")
}

/// `size` bytes that no compression makes smaller and that follow from `seed` alone (xorshift64).
pub(super) fn noise(seed: u64, size: usize) -> Bytes {
    // The golden ratio spreads neighbouring seeds; the generator must not start at zero.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + size_of::<u64>());
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}
