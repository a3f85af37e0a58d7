//! What a delta needs of its receiver.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    bundle::{Absent, Reason},
    oci::Digest,
};

/// What a delta needs of its receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Needs {
    /// Blobs that the receiver must have.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Ids of bundles that have them, as far as they are known.
    pub bundles: BTreeSet<Digest>,
}

/// What is needed beside a bundle that lacks `absent`; `None` if it is not a delta.
pub fn needs<'a>(absent: impl IntoIterator<Item = &'a Absent>) -> Option<Needs> {
    let mut needs = Needs { blobs: 0, bytes: 0, bundles: BTreeSet::new() };
    for one in absent.into_iter().filter(|one| one.reason == Reason::Delta) {
        needs.blobs += 1;
        needs.bytes = needs.bytes.saturating_add(one.size);
        needs.bundles.extend(&one.bundles);
    }
    (needs.blobs > 0).then_some(needs)
}
