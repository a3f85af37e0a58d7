//! Copies whatever is named to wherever it is named: a file, an object or a set, here or in a storage, with its companions.
//!
//! Two files of this machine are copied by `copy`, which is faster; everything else goes by
//! `relay`, and a set file by file (`copy_set`).

use std::path::Path;

use super::{companions, copy, copy_set, error::Error, packed_copy::PackedCheck, relay, sets::FoundSet};
use crate::{
    bundle::volume::SetManifest,
    oci::Digest,
    pack::ReadSettings,
    progress::Progress,
    storage::{self, Location, Pinned, Settings},
};

/// What to copy, and how.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[non_exhaustive]
pub struct CopyRequest {
    /// A bundle or another file, or a set by its folder, its manifest or a volume.
    pub from: Location,
    /// A name, or a folder, container or bucket, in which everything keeps its name.
    pub to: Location,
    /// Whether `to` was written as a folder, with a slash at its end.
    pub to_folder: bool,
    /// Whether what is there may be replaced.
    pub overwrite: bool,
    /// Whether the source and its companions go once the copy has been proven.
    pub delete_source: bool,
    /// See [`relay::Request::trust_checksums`].
    pub trust_checksums: bool,
    /// Parts in memory at once; at least one.
    pub jobs: usize,
    /// How a packed file is read.
    #[doc(hidden)]
    pub read: ReadSettings,
}

/// A copy that was proven.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyReport {
    /// Where it is; of a set its manifest.
    pub location: Location,
    /// Its bytes, of a set those of all files.
    pub bytes: u64,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
    /// The bundle id, where it is a bundle of ours.
    pub bundle: Option<Digest>,
    /// SHA-256 of the whole file, where it is known.
    pub file: Option<Digest>,
    /// How the packed file was checked, where it is one.
    #[doc(hidden)]
    pub packed: Option<PackedCheck>,
    /// Whether all of it was there under its name already.
    pub already_there: bool,
    /// How the far end was proven.
    pub proof: CopyProof,
    /// The set, where it is one.
    pub set: Option<CopiedSet>,
    /// File names of the companions that were copied with it.
    pub companions: Vec<String>,
}

/// A set that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopiedSet {
    /// Where its files are.
    pub folder: Location,
    /// Its volumes.
    pub volumes: usize,
    /// Its files of recovery data.
    pub recovery: usize,
}

/// How a copy was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyProof {
    /// It was read back.
    ReadBack,
    /// The provider's own SHA-256 is that of what was sent.
    Attested,
}

/// Copies what `request` names. Run again after a break it resumes.
///
/// # Errors
/// See [`copy::Error`]; the source is untouched then.
pub async fn copy(request: &CopyRequest, settings: &Settings, progress: &Progress) -> Result<CopyReport, Error> {
    if request.may_be_set()
        && let Some(found) = FoundSet::of(std::slice::from_ref(&request.from), settings).await?
    {
        return Ok(request.set(found, settings, progress).await?);
    }
    Ok(request.file(settings, progress).await?)
}

impl CopyRequest {
    /// A copy from one place to another; nothing is replaced and the source stays.
    pub fn new(from: Location, to: Location) -> Self {
        let read = ReadSettings::default();
        let (to_folder, overwrite, delete_source, trust_checksums) = (false, false, false, false);
        Self { from, to, to_folder, overwrite, delete_source, trust_checksums, jobs: 1, read }
    }

    /// Whether `to` is a place that things go into, and not the name of what is to be there.
    fn is_into_folder(&self) -> bool {
        self.to_folder || self.to.path().map_or_else(|| self.to.split().is_none(), |path| path.is_dir())
    }

    /// Whether a set may be meant. A volume that gets a name is copied alone.
    fn may_be_set(&self) -> bool {
        let name = self.from.split().map(|(_, name)| name).unwrap_or_default();
        let is_file = match &self.from {
            Location::Path(path) => path.is_file(),
            Location::Standard => return false,
            _ => Path::new(&name).extension().is_some_and(|extension| extension == "tar"),
        };
        self.is_into_folder() || !is_file || SetManifest::set_name(&name).is_some()
    }

    async fn set(&self, found: FoundSet, settings: &Settings, progress: &Progress) -> Result<CopyReport, copy::Error> {
        let request = copy_set::Request {
            to: self.to.clone(),
            overwrite: self.overwrite,
            delete_source: self.delete_source,
            trust_checksums: self.trust_checksums,
            jobs: self.jobs,
        };
        let id = found.set.reader.id();
        let report = copy_set::copy(found, &request, settings, progress).await?;
        let copy_set::Report { folder, manifest, volumes, recovery, bytes, reused, already_there, companions } = report;
        Ok(CopyReport {
            location: manifest,
            bytes,
            reused,
            bundle: Some(id),
            file: None,
            packed: None,
            already_there,
            proof: CopyProof::ReadBack,
            set: Some(CopiedSet { folder, volumes, recovery }),
            companions,
        })
    }

    /// Copies a file with its companions. The source goes last of all: by it the rest is found, should this be killed.
    async fn file(&self, settings: &Settings, progress: &Progress) -> Result<CopyReport, copy::Error> {
        // Of a prefix only the slash at its end says that it is one.
        let name =
            self.from.split().filter(|_| self.is_into_folder() && self.to.path().is_none()).map(|(_, name)| name);
        let to = name.map_or_else(|| self.to.clone(), |name| self.to.join(&name));
        // Only the version that was there before goes in the end. Why there is none, the copy says better.
        let source = Pinned::open(storage::open(&self.from, settings)?).await;
        if let Location::Path(path) = &self.from {
            companions::refuse_links(path)?;
        }
        let mut report = self.one(&self.from, &to, settings, progress).await?;
        let beside = companions::of_file(&self.from, settings).await?;
        let old = self.from.split().map(|(_, name)| name).unwrap_or_default();
        let (folder, new) = report.location.split().unwrap_or_else(|| (report.location.clone(), old.clone()));
        for companion in &beside {
            let name = companion.renamed(&old, &new);
            let from = companion.pinned.object().location();
            let copied = self.one(from, &folder.join(&name), settings, progress).await?;
            report.already_there &= copied.already_there;
            report.companions.push(name);
        }
        if self.delete_source {
            companions::remove(&beside).await?;
            source?.delete().await?;
        }
        Ok(report)
    }

    async fn one(
        &self,
        from: &Location,
        to: &Location,
        settings: &Settings,
        progress: &Progress,
    ) -> Result<CopyReport, copy::Error> {
        let (overwrite, delete_source) = (self.overwrite, false);
        if let (Location::Path(source), Location::Path(destination)) = (from, to) {
            let (source, destination) = (source.clone(), destination.clone());
            let request = copy::Request { source, destination, overwrite, delete_source };
            let copy::Report { path, bytes, digest, reused, bundle, packed, already_there } =
                copy::copy_read(request, &self.read, progress).await?;
            return Ok(CopyReport {
                location: Location::Path(path),
                bytes,
                reused,
                bundle,
                file: Some(digest),
                packed,
                already_there,
                proof: CopyProof::ReadBack,
                set: None,
                companions: Vec::new(),
            });
        }
        let (from, to, trust_checksums, jobs) = (from.clone(), to.clone(), self.trust_checksums, self.jobs);
        let read = self.read.clone();
        let request = relay::Request { from, to, overwrite, delete_source, trust_checksums, jobs, read };
        let relay::Report { location, bytes, reused, bundle, digest, packed, already_there, attested } =
            relay::relay(&request, settings, progress).await?;
        let proof = if attested { CopyProof::Attested } else { CopyProof::ReadBack };
        let (set, companions) = (None, Vec::new());
        Ok(CopyReport { location, bytes, reused, bundle, file: digest, packed, already_there, proof, set, companions })
    }
}
