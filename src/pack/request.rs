//! What is packed, how, and what came of it.

use std::{path::PathBuf, sync::Arc};

use super::{frames::BaseContents, volumes::volume_path};
use crate::oci::{Descriptor, Digest};

/// The level of zstd if nothing else is said.
pub const LEVEL: i32 = 8;

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct PackRequest {
    /// Where the packed file is to be, or what its volumes are named after ([`volume_path`]); without one the result is only
    /// measured.
    pub output: Option<PathBuf>,
    /// Bytes that a volume may have, where there are to be volumes.
    pub volume: Option<u64>,
    /// Whether a file that is there may be replaced.
    pub overwrite: bool,
    /// Threads.
    pub jobs: usize,
    /// Bytes of memory that reading the packed file may take, and coding it, if a single frame does not need more.
    pub memory: u64,
    /// The level of zstd, 1 to 22.
    pub level: i32,
    /// Layers that the receiver has.
    pub base: BaseOffer,
}

/// Layers that the receiver has, and where they can be read; none by default.
#[derive(Clone, Debug, Default)]
pub struct BaseOffer {
    /// Their descriptors.
    pub layers: Vec<Descriptor>,
    /// What reads them.
    pub contents: Option<Arc<dyn BaseContents>>,
}

impl PackRequest {
    /// To pack to `output`, with the usual settings.
    pub fn new(output: Option<PathBuf>, jobs: usize) -> Self {
        let base = BaseOffer::default();
        Self { output, volume: None, overwrite: false, jobs, memory: super::MEMORY, level: LEVEL, base }
    }

    /// The file by which the packed file is read: of volumes the first.
    pub fn path(&self) -> Option<PathBuf> {
        let output = self.output.as_ref()?;
        Some(if self.volume.is_some() { volume_path(output, 1) } else { output.clone() })
    }
}

/// How a blob was coded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedOutcome {
    /// The blob.
    pub blob: Descriptor,
    /// Bytes of it in the packed file; of one that is coded together with others, its share.
    pub packed: u64,
    /// How.
    pub coding: BlobCoding,
}

/// A way to code a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobCoding {
    /// A gzip stream, as its content and a recipe.
    Recipe,
    /// Compressed as it is.
    Plain,
    /// A gzip stream that no known encoder makes, as it is.
    Unknown,
    /// As it is, since coding would save less than a twentieth.
    Dense,
}

/// A bundle that was packed, or measured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackReport {
    /// The packed file, if one was written; of volumes the first.
    pub path: Option<PathBuf>,
    /// The volumes, where it is cut.
    pub volumes: Vec<PathBuf>,
    /// Its bytes, or what they would be.
    pub packed: u64,
    /// Bytes of the bundle.
    pub size: u64,
    /// The bundle id.
    pub id: Digest,
    /// Each config and layer, in the order of the bundle; empty where nothing had to be done.
    pub blobs: Vec<PackedOutcome>,
    /// Whether the packed file was there already.
    pub already_there: bool,
}
