//! What a set is read from: its volumes, and segments that were put aside.

use std::{path::PathBuf, sync::Arc};

use super::{Layout, random_access::RandomAccess};
use crate::oci::Digest;

/// A volume that is open.
#[derive(Clone, Debug)]
pub(super) struct VolumeFile {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) file: RandomAccess,
    pub(super) layout: Arc<Layout>,
}

/// A segment in a file of its own.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    pub(super) digest: Digest,
    pub(super) from: u64,
    pub(super) size: u64,
    pub(super) file: RandomAccess,
}
