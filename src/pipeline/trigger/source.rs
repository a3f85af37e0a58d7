//! The source of a pipeline, as the trigger sees it: what lies there, and whether it is whole.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::writers::Writers;
use crate::{
    bundle::{Reader, volume::SUMS},
    content::{Class, Code, Fault},
    files::name::is_unfinished,
    oci::Digest,
    pack::ReadSettings,
    pipeline::{
        context::RunContext,
        error::{Error, Result},
        execute::{access, reading},
        resource::ImportPipeline,
    },
    progress::Progress,
    recovery,
    registry::Client,
    storage::{self, Folder, Location, Settings, Version},
    transfer::{self, Opened, verify},
};

/// How long a file that looks unfinished must have been left alone before it is taken for a damaged one.
const PATIENCE: Duration = Duration::from_mins(5);

/// Hashers at once while a file is looked through; imports have the machine first.
const HASHERS: usize = 1;

/// A source that can be looked at.
#[derive(Debug)]
pub(super) struct WatchedSource {
    folder: Arc<dyn Folder>,
    location: Location,
    settings: Settings,
    /// How packed files are read.
    read: ReadSettings,
}

/// Something in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceEntry {
    /// Its name in the source.
    pub(super) name: String,
    /// Which one it is.
    pub(super) version: String,
}

/// Whether something can be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It is a bundle, or an archive of an image layout, and whole as far as can be told.
    Whole {
        /// Its [`plan`].
        plan: String,
        /// Of a set, what stands for its files as they were looked at.
        mark: Option<String>,
    },
    /// It is of a set, all of which is there, and which goes by the name of its first volume.
    PartOf {
        /// That volume.
        first: String,
        /// As of the whole.
        plan: String,
        /// What stands for the files of the set as they were looked at.
        mark: String,
    },
    /// It is of a set of which volumes are not there yet, however long that takes.
    Wanting(String),
    /// It begins like a bundle and is not whole: somebody may be writing it.
    Unfinished(String),
    /// It is not whole and not being written: a run will say what is wrong with it.
    Damaged,
    /// It is something else, which is ignored.
    Foreign,
    /// It is not there any more.
    Gone,
}

impl WatchedSource {
    /// Opens the source; its secret is fetched, and fetched again when it ends.
    pub(super) async fn open(pipeline: &ImportPipeline, with: &RunContext) -> Result<Self> {
        let settings = access(&pipeline.source, &pipeline.identity, &with.storage).await?;
        let read = reading(&Client::new(with.registry.clone())?, &pipeline.registry)?;
        let location = pipeline.source.folder()?;
        let folder = storage::open_folder(&location, &settings)?;
        Ok(Self { folder, location, settings, read })
    }

    /// The local folder, where it is one.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.location.path()
    }

    /// What is there that may be a bundle, and why other parts of it cannot be read.
    pub(super) async fn list(&self) -> Result<(Vec<SourceEntry>, Vec<storage::Error>)> {
        let mut found = Vec::new();
        let (all, unreadable) = self.folder.list_readable().await?;
        for listed in all {
            if !may_be_bundle(&listed.name) || listed.size == 0 {
                continue;
            }
            let version = match listed.version {
                Some(version) => mark(&version),
                None => match self.version(&listed.name).await? {
                    Some(version) => version,
                    None => continue,
                },
            };
            found.push(SourceEntry { name: listed.name, version });
        }
        Ok((found, unreadable))
    }

    /// Which one lies under `name` now; `None` if nothing does.
    pub(super) async fn version(&self, name: &str) -> Result<Option<String>> {
        match self.folder.object(name)?.stat().await {
            Ok(stat) => Ok(Some(mark(&stat.version))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `name` can be imported. Of a local file whose writer is not known to have ended all content is hashed first,
    /// for one that is being written may have its full size, and its beginning, from the start. So it is with what has the
    /// plan that was `imported` from here before: only if every byte of it is as planned it is the same once more, and not
    /// a damaged copy.
    pub(super) async fn check(&self, name: &str, writers: &Writers, imported: Option<&str>) -> Result<Readiness> {
        let place = self.location.join(name);
        let surveyed = Opened::survey_read(std::slice::from_ref(&place), &self.settings, &self.read).await;
        let (opened, set) = match surveyed {
            Ok(found) => found,
            Err(error) => return self.judge(name, writers.is_closed(name), error).await,
        };
        let reader = opened.reader();
        let missing: Vec<String> = match &set {
            Some(set) => set.missing(),
            None => reader.missing_volumes().into_iter().map(|number| reader.volume_name(number)).collect(),
        };
        if !missing.is_empty() {
            return Ok(Readiness::Wanting(format!("of its set {} is not there yet", missing.join(", "))));
        }
        let plan = plan(reader)?;
        let cut = opened.pack_volumes();
        let files = match &set {
            Some(set) => self.names(&set.files),
            None if cut.is_empty() => vec![name.to_owned()],
            None => self.names(cut),
        };
        let mark = if set.is_some() || !cut.is_empty() { Some(self.mark_of(&files).await?) } else { None };
        let volumes = if cut.is_empty() { self.names(reader.volumes().values()) } else { files.clone() };
        if let (Some(mark), Some(first)) = (&mark, volumes.first())
            && first != name
        {
            return Ok(Readiness::PartOf { first: first.clone(), plan, mark: mark.clone() });
        }
        if let Some(written) = files.iter().find(|file| writers.is_written(file)) {
            return Ok(Readiness::Unfinished(format!("{written} is being written")));
        }
        let may_grow = self.path().is_some() && !files.iter().all(|file| writers.is_closed(file));
        if may_grow || imported == Some(&plan) {
            let found = verify::verify(reader, HASHERS, &Progress::default()).await.map_err(transfer::Error::from)?;
            match found.findings.first() {
                Some(first) if may_grow => return self.unfinished(&files, first.message.clone()).await,
                Some(_) => return Ok(Readiness::Damaged),
                None => {}
            }
        }
        Ok(Readiness::Whole { plan, mark })
    }

    /// Files of the folder, or objects below the place, by their names in it.
    fn names(&self, files: impl IntoIterator<Item = impl AsRef<Path>>) -> Vec<String> {
        let root = self.path().cloned().unwrap_or_else(|| PathBuf::from(self.location.to_string()));
        let name = |file: &Path| Some(file.strip_prefix(&root).ok()?.to_str()?.to_owned());
        files.into_iter().filter_map(|file| name(file.as_ref())).collect()
    }

    /// Stands for the files of a set as they are now.
    async fn mark_of(&self, files: &[String]) -> Result<String> {
        let mut marks = Vec::with_capacity(files.len());
        for file in files {
            marks.push(format!("{file} {}", self.version(file).await?.unwrap_or_default()));
        }
        marks.sort();
        Ok(marks.join("\n"))
    }

    async fn judge(&self, name: &str, closed: bool, error: transfer::Error) -> Result<Readiness> {
        let own = || vec![name.to_owned()];
        match error.code() {
            Code::StorageNotFound => Ok(Readiness::Gone),
            Code::IoRead if self.version(name).await?.is_none() => Ok(Readiness::Gone),
            Code::BundleUnknown if closed || self.path().is_none() => Ok(Readiness::Foreign),
            Code::BundleUnknown => match self.unfinished(&own(), error.to_string()).await? {
                Readiness::Damaged => Ok(Readiness::Foreign),
                other => Ok(other),
            },
            Code::BundleVolumeMissing | Code::PackVolumeMissing => Ok(Readiness::Wanting(error.to_string())),
            code if code.class() == Class::Unverified => self.unfinished(&own(), error.to_string()).await,
            _ => Err(error.into()),
        }
    }

    /// In a storage nothing is visible before it is whole; a local file may be one that grows.
    async fn unfinished(&self, files: &[String], why: String) -> Result<Readiness> {
        if self.path().is_none() {
            return Ok(Readiness::Damaged);
        }
        for name in files {
            let modified = match self.folder.object(name)?.stat().await {
                Ok(stat) => stat.modified,
                Err(error) if error.is_not_found() => return Ok(Readiness::Gone),
                Err(error) => return Err(Error::from(error)),
            };
            if modified.is_some_and(|modified| modified + PATIENCE > Timestamp::now()) {
                return Ok(Readiness::Unfinished(why));
            }
        }
        Ok(Readiness::Damaged)
    }
}

/// What fixes every byte of a sound bundle: the SHA-256 of its `airlift.json`, which has that of `index.json`, what is absent
/// on purpose, and of a set how it is cut; everything else follows from these. The bundle id alone would not do: with and
/// without a platform filter it is the same. Of an archive made by others, the SHA-256 of its index and of what is there.
fn plan(reader: &Reader) -> Result<String> {
    if let Some(facts) = reader.facts() {
        return Ok(facts.set_id().to_string());
    }
    let order = reader.contents().order().map_err(transfer::Error::from)?;
    let there =
        order.blobs.iter().filter(|blob| reader.offset(&blob.digest).is_some()).map(|blob| blob.digest.to_string());
    let all: Vec<String> = std::iter::once(reader.id().to_string()).chain(there).collect();
    Ok(Digest::sha256(all.join("\n").as_bytes()).to_string())
}

/// An etag in lists is the one of the object itself, but for the quotes that only headers have.
fn mark(version: &Version) -> String {
    version.to_string().trim_matches('"').to_owned()
}

/// Names that programs give to what they have not finished (ours: `.partial` and `.airlift-…`; browsers, rsync and others:
/// hidden files), blobs within layout folders, and what lies beside bundles and sets for other purposes, are not looked at.
pub(super) fn may_be_bundle(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    let unfinished = is_unfinished(last);
    let beside = last == SUMS || last.ends_with(recovery::SUFFIX);
    !last.is_empty() && !last.starts_with('.') && !unfinished && !beside && !format!("/{name}").contains("/blobs/sha")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_not_finished_is_not_looked_at() {
        for good in ["bundle.tar", "2026/11/bundle", "a.b.c", "blob"] {
            assert!(may_be_bundle(good), "{good}");
        }
        for bad in [
            "b.tar.partial",
            "b.tar.partial.journal",
            "x/.b.tar.Xy12",
            "b.airlift-0a1b",
            "lay/blobs/sha256/00",
            "",
            "SHA256SUMS",
            "b.tar.recovery",
        ] {
            assert!(!may_be_bundle(bad), "{bad}");
        }
    }
}
