//! A copy that has all of its bytes and no name.

use std::sync::Arc;

use crate::{
    bundle,
    files::{blocking::off_reactor, disk, partial::PartialFile},
    oci::Digest,
    storage::{self, Finish, Location, Pinned, Settings, Upload},
    transfer::send::Sent,
};

use super::error::Error;

/// A copy that has all of its bytes and no name.
pub(super) enum Unfinished {
    /// A file of this machine, of so many bytes.
    Partial(Arc<PartialFile>, u64),
    /// An upload in parts.
    Parts(Arc<dyn Upload>, Sent),
}

/// What was carried and has no name yet.
pub(super) struct Carried {
    pub(super) unfinished: Unfinished,
    pub(super) reused: u64,
    /// The SHA-256 of the whole, where it passed by here.
    pub(super) learnt: Option<Digest>,
}

impl Unfinished {
    /// What was written, brought to the medium, so that what is read of it comes from there; `None` where it can be read under
    /// its name only.
    pub(super) async fn open(&self, settings: &Settings) -> Result<Option<Pinned>, Error> {
        let object = match self {
            Self::Parts(upload, _) => upload.unfinished().await?,
            Self::Partial(partial, size) => {
                let (partial, size) = (Arc::clone(partial), *size);
                let path = partial.path().to_owned();
                let settled = off_reactor(move || {
                    let file = partial.file();
                    file.set_len(size).and_then(|()| disk::settle(file))
                });
                settled.await.map_err(bundle::Error::write(&path))?;
                Some(storage::open(&Location::Path(path), settings)?)
            }
        };
        Ok(match object {
            Some(object) => Some(Pinned::open(object).await?),
            None => None,
        })
    }

    /// Makes it visible under its name.
    pub(super) async fn publish(&self, overwrite: bool) -> Result<(), Error> {
        match self {
            Self::Partial(partial, size) => {
                let (partial, size) = (Arc::clone(partial), *size);
                Ok(off_reactor(move || partial.give_name(size, overwrite)).await?)
            }
            Self::Parts(upload, sent) => {
                upload.commit(&sent.notes, &Finish { overwrite, md5: Some(sent.md5) }).await?;
                Ok(())
            }
        }
    }

    /// Whether the provider's own SHA-256 is that of what was sent; `None` where it has none.
    pub(super) async fn attest(&self) -> Result<Option<bool>, Error> {
        match self {
            Self::Partial(..) => Ok(None),
            Self::Parts(upload, sent) => Ok(upload.attest(&sent.notes).await?),
        }
    }

    /// Gives it up. A partial file stays: the next run compares it with the source.
    pub(super) async fn abandon(&self) -> Result<(), Error> {
        match self {
            Self::Partial(..) => Ok(()),
            Self::Parts(upload, _) => Ok(upload.abandon().await?),
        }
    }
}
