//! One file from anywhere to anywhere: what is there is compared, what is missing is carried, and all of it is proven before
//! it has its name, or where a storage cannot be read before that, directly after.

use std::{path::PathBuf, sync::Arc};

use super::{
    super::complete::there,
    error::Error,
    prove::{Proof, prove},
    pump::pump,
    report::{CopyProof, CopyReport},
    request::CopyRequest,
    unfinished::Carried,
};
use crate::{
    bundle::{
        self, Reader,
        stack::{Look, look_at},
    },
    content::Fault,
    files::{self, blocking::off_reactor, disk, name, open::check_goal},
    oci::Digest,
    progress::{Event, Phase, Progress},
    storage::{self, Error as StorageError, Location, Object, Pinned, Settings, Stat},
};

/// The metadata key by which a later run knows that an object is its own copy.
pub(super) const MARK: &str = "airlift_copy";

/// A file to be copied, and the place that it goes to.
pub(super) struct FileCopy<'a> {
    pub(super) source: Pinned,
    /// Reads the source, where it is a bundle of ours.
    pub(super) reader: Option<Reader>,
    pub(super) target: Arc<dyn Object>,
    pub(super) request: &'a CopyRequest,
    settings: &'a Settings,
    pub(super) progress: &'a Progress,
}

/// What has its name.
struct Placed {
    by: WrittenBy,
    reused: u64,
    learnt: Option<Digest>,
    /// How it was proven, if it is.
    proof: Option<Proof>,
}

/// Who wrote what is in the place of the copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WrittenBy {
    ThisRun,
    EarlierRun,
    /// It may be something else.
    Unknown,
}

/// What is to be copied from `from`, in the version that is there now.
pub(super) async fn open(from: &Location, settings: &Settings) -> Result<Pinned, Error> {
    if let Location::Path(path) = from {
        let found = tokio::fs::metadata(path).await.map_err(bundle::Error::read(path))?;
        if !found.is_file() {
            return Err(Error::NotAFile { path: path.clone() });
        }
    }
    Ok(Pinned::open(storage::open(from, settings)?).await?)
}

impl<'a> FileCopy<'a> {
    /// A copy of `source` to the place `to`.
    ///
    /// # Errors
    /// There can be no file, or it is the source; the source is a bundle whose head is damaged.
    pub(super) async fn open(
        source: Pinned,
        to: &Location,
        request: &'a CopyRequest,
        settings: &'a Settings,
        progress: &'a Progress,
    ) -> Result<Self, Error> {
        let target = storage::open(to, settings)?;
        let from = source.object().location();
        if from == to || from.path().is_some() && is_at(to, &*target, &source).await {
            let path = |location: &Location| PathBuf::from(location.to_string());
            return Err(Error::SameFile { from: path(from), to: path(to) });
        }
        if let Location::Path(path) = to {
            check_goal(path, true)?;
            check_limit(path, source.stat().size)?;
        }
        let reader = reader_of(&source).await?;
        Ok(Self { source, reader, target, request, settings, progress })
    }

    /// Copies it, or finds that an earlier run has.
    ///
    /// # Errors
    /// See [`Error`]. A copy that cannot be proven is removed.
    pub(super) async fn run(self) -> Result<CopyReport, Error> {
        let placed = match self.found().await? {
            Some(placed) => placed,
            None => self.carry().await?,
        };
        let Placed { by, reused, learnt, proof } = placed;
        let proof = match proof {
            Some(proof) => proof,
            None => self.read_back(learnt, by).await?,
        };
        let (inside, packed) = match proof {
            Proof::Digest(_, packed) => packed.unzip(),
            _ => (None, None),
        };
        Ok(CopyReport {
            location: self.target.location().clone(),
            bytes: self.source.stat().size,
            reused,
            bundle: self.reader.as_ref().map(Reader::id).or(inside),
            packed,
            file: if let Proof::Digest(digest, _) = proof { Some(digest) } else { learnt },
            already_there: by != WrittenBy::ThisRun,
            proof: if matches!(proof, Proof::Attested) { CopyProof::Attested } else { CopyProof::ReadBack },
            set: None,
            companions: Vec::new(),
        })
    }

    /// What says of an object that it is the copy of this very version, whichever way its parts came.
    pub(super) fn mark(&self) -> String {
        Digest::sha256(self.what().as_bytes()).short()
    }

    /// What an upload of this copy is known by, besides its parts.
    pub(super) fn what(&self) -> String {
        let Stat { size, version, .. } = self.source.stat();
        format!("copy\n{}\n{version}\n{size}", self.source.object().location())
    }

    /// What is in the place already and may be the copy.
    ///
    /// # Errors
    /// It is something else, and may not be replaced.
    async fn found(&self) -> Result<Option<Placed>, Error> {
        let Some(stat) = there(&*self.target).await? else { return Ok(None) };
        let (size, overwrite) = (self.source.stat().size, self.request.overwrite);
        let by = match stat.metadata.get(MARK) {
            // A run that was killed after its commit.
            Some(mark) if stat.size == size && *mark == self.mark() => WrittenBy::EarlierRun,
            // The very same content is not a conflict; all of it is read to see that.
            _ if stat.size == size && (!overwrite || self.is_said(&stat)) => WrittenBy::Unknown,
            _ if overwrite => return Ok(None),
            _ => return Err(self.exists()),
        };
        Ok(Some(Placed { by, reused: size, learnt: None, proof: None }))
    }

    /// Carries what is missing, by the storages themselves where they can.
    async fn carry(&self) -> Result<Placed, Error> {
        if let (Some(from), Some(to)) = (self.source.object().location().path(), self.target.location().path()) {
            let pumped = pump(from.clone(), to.clone(), self.request.overwrite, self.progress.clone()).await?;
            return self.finish(pumped).await;
        }
        let taken = self.target.reaches(&**self.source.object());
        match self.relay(taken).await {
            Err(Error::Storage(error)) if taken && is_refusal(&error) => {
                tracing::info!(%error, "the storage does not take parts from the source; they go through this machine");
                self.relay(false).await
            }
            placed => placed,
        }
    }

    async fn relay(&self, taken: bool) -> Result<Placed, Error> {
        let sent = self.send(taken).await?;
        self.finish(sent).await
    }

    /// Proves what can be proven before it has its name, and gives it the name.
    async fn finish(&self, carried: Carried) -> Result<Placed, Error> {
        let Carried { unfinished, reused, learnt } = carried;
        let mut proof = None;
        if let Some(written) = unfinished.open(self.settings).await? {
            match self.prove(&written, learnt).await {
                Err(error @ (Error::Mismatch { .. } | Error::Damaged { .. })) => {
                    unfinished.abandon().await?;
                    return Err(error);
                }
                proven => proof = Some(proven?),
            }
        }
        self.progress.tell(Event::Phase(Phase::Publishing));
        unfinished.publish(self.request.overwrite).await?;
        if proof.is_none() && self.request.trust_checksums {
            match unfinished.attest().await? {
                Some(true) => proof = Some(Proof::Attested),
                // What is wrong with it is found by reading it.
                Some(false) => tracing::warn!("the storage has another checksum than what was sent; it is read back"),
                None => tracing::info!("the storage keeps no checksum as strong as ours; the copy is read back"),
            }
        }
        Ok(Placed { by: WrittenBy::ThisRun, reused, learnt, proof })
    }

    /// Proves what is there. What this copy wrote and turns out to be something else is removed.
    async fn read_back(&self, learnt: Option<Digest>, by: WrittenBy) -> Result<Proof, Error> {
        let copied = Pinned::open(Arc::clone(&self.target)).await?;
        let error = match self.prove(&copied, learnt).await {
            Err(error @ (Error::Mismatch { .. } | Error::Damaged { .. })) => error,
            proof => return proof,
        };
        match by {
            WrittenBy::Unknown if self.request.overwrite => Err(error),
            WrittenBy::Unknown => {
                // Where it is damaged as the source is, the source is what must be reported.
                if let Error::Damaged { .. } = error {
                    self.prove(&self.source, None).await?;
                }
                Err(self.exists())
            }
            WrittenBy::ThisRun | WrittenBy::EarlierRun => {
                copied.delete().await?;
                Err(error)
            }
        }
    }

    async fn prove(&self, copied: &Pinned, learnt: Option<Digest>) -> Result<Proof, Error> {
        let reading = (&self.request.read, self.request.jobs);
        prove(&self.source, self.reader.as_ref(), copied, learnt, reading, self.progress).await
    }

    fn exists(&self) -> Error {
        match self.target.location() {
            Location::Path(path) => files::Error::Exists { path: path.clone() }.into(),
            location => StorageError::Exists { what: location.to_string() }.into(),
        }
    }
}

/// Whether `to` leads to the file that is copied, by a link perhaps.
async fn is_at(to: &Location, target: &dyn Object, source: &Pinned) -> bool {
    to.path().is_some() && target.stat().await.is_ok_and(|found| found.version == source.stat().version)
}

/// What reads `source`, where it is a bundle of ours.
async fn reader_of(source: &Pinned) -> Result<Option<Reader>, Error> {
    let location = source.object().location();
    let look = match location.path().cloned() {
        None => look_at(Arc::new(source.clone())).await,
        Some(path) => {
            let of = path.clone();
            let is_ours = off_reactor(move || Reader::is_bundle(&of)).await?;
            if is_ours { Reader::open(&path).await.map_or_else(Look::Damaged, Look::Bundle) } else { Look::Other }
        }
    };
    match look {
        Look::Bundle(reader) => Ok(Some(reader)),
        Look::Other => Ok(None),
        // That it cannot be read now says nothing about what it is.
        Look::Damaged(error @ bundle::Error::File(files::Error::Read { .. })) => Err(error.into()),
        Look::Damaged(error) => {
            let (path, code) = (PathBuf::from(location.to_string()), error.code());
            Err(Error::Damaged { path, count: 1, first: error.to_string(), code })
        }
    }
}

/// Checks that a file of `size` bytes can be at `path`, before the first of them is written.
fn check_limit(path: &std::path::Path, size: u64) -> Result<(), Error> {
    let folder = name::folder_of(path);
    // Where there is no such folder yet, it is made later, and its file system is not known yet.
    let Ok(Some(limit)) = disk::largest_file(folder) else { return Ok(()) };
    if size <= limit {
        return Ok(());
    }
    Err(files::Error::FileLimit { path: path.to_owned(), needed: size, limit }.into())
}

/// Whether a storage may refuse so because it cannot take parts, as against the source being gone or changed.
const fn is_refusal(error: &StorageError) -> bool {
    !matches!(error, StorageError::Changed { .. } | StorageError::Exists { .. } | StorageError::Busy { .. })
}
