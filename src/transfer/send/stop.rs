//! Why sending stopped.

use tokio::task::JoinError;

use crate::{bundle, content, oci::Digest, storage};

/// Why sending stopped.
pub(in crate::transfer) enum Stop {
    /// A blob cannot be had.
    Blob(Digest, content::Error),
    /// What is sent cannot be as planned, or what is read is not.
    Bundle(bundle::Error),
    /// A storage failed.
    Storage(storage::Error),
}

impl From<bundle::Error> for Stop {
    fn from(error: bundle::Error) -> Self {
        Self::Bundle(error)
    }
}

impl From<storage::Error> for Stop {
    fn from(error: storage::Error) -> Self {
        Self::Storage(error)
    }
}

pub(in crate::transfer) fn broken_task(error: &JoinError) -> Stop {
    Stop::Storage(storage::Error::Protocol { what: "the upload".to_owned(), reason: error.to_string() })
}
