//! Where to copy a set.

use crate::storage::Location;

/// Where to copy a set, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// A local folder, which must be there, or a container, a bucket or a prefix of one.
    pub to: Location,
    /// Whether a set that is there may be replaced.
    pub overwrite: bool,
    /// Whether the source goes once all of the copy has been proven.
    pub delete_source: bool,
    /// See [`super::super::relay::Request::trust_checksums`].
    pub trust_checksums: bool,
    /// Parts in memory at once; at least one.
    pub jobs: usize,
}
