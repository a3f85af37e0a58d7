//! Events: what the engine reports while it works. The observer decides what to show; nothing here prints.

use std::{fmt, sync::Arc, time::Duration};

use crate::oci::{Digest, Reference};

/// What a run is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// References become graphs.
    Resolving,
    /// Source and target are asked what they have.
    Planning,
    /// Bytes move.
    Transferring,
    /// Content is read again and re-hashed.
    Verifying,
    /// Recovery data is made.
    Protecting,
    /// What is damaged or missing is rebuilt from recovery data.
    Repairing,
    /// Manifests and tags are published, files get their final names.
    Publishing,
}

/// One thing that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new phase began.
    Phase(Phase),
    /// An artifact's graph is known: content in it, in pieces and bytes, before sharing.
    Resolved {
        /// Which artifact.
        artifact: Reference,
        /// Manifests, configs and layers.
        pieces: u64,
        /// Bytes of all of them.
        bytes: u64,
    },
    /// The plan is fixed. `present` bytes of `bytes` are in place already.
    Planned {
        /// Blobs that the run needs.
        blobs: u64,
        /// Bytes that the run needs.
        bytes: u64,
        /// Bytes that need not move.
        present: u64,
    },
    /// A blob began to move.
    Started {
        /// Which blob.
        blob: Digest,
        /// Its bytes.
        size: u64,
    },
    /// More bytes of a blob arrived.
    Advanced {
        /// Which blob.
        blob: Digest,
        /// How many more.
        bytes: u64,
    },
    /// A blob failed on the way; the bytes told of it do not count.
    Abandoned {
        /// Which blob.
        blob: Digest,
    },
    /// A blob is complete and verified.
    Finished {
        /// Which blob.
        blob: Digest,
    },
    /// A call failed and will be tried again.
    Retried {
        /// What was tried, without secrets.
        what: String,
        /// Why it failed.
        cause: String,
        /// Which try comes next, from 2.
        attempt: u32,
        /// How long until then.
        wait: Duration,
    },
    /// An artifact is complete where it goes.
    Completed {
        /// Which artifact, as it is named there.
        artifact: Reference,
    },
    /// An artifact failed, and the run continues without it.
    Failed {
        /// Which artifact.
        artifact: Reference,
        /// Why.
        reason: String,
    },
    /// Something the person should know.
    Warned(String),
}

/// An observer of a run. Called from many tasks, often; must be quick.
pub trait Observe: Send + Sync {
    /// Takes notice of an event.
    fn observe(&self, event: Event);
}

/// The engine's handle to its observer, if there is one.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Observe>>);

impl Progress {
    /// Reports to `observer`.
    pub fn to(observer: Arc<dyn Observe>) -> Self {
        Self(Some(observer))
    }

    /// Reports to no observer.
    pub const fn silent() -> Self {
        Self(None)
    }

    /// Reports `event`.
    pub fn tell(&self, event: Event) {
        if let Some(observer) = &self.0 {
            observer.observe(event);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress(observed)" } else { "Progress(silent)" })
    }
}
