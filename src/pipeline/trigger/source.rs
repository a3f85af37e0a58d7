//! The source of a pipeline, as the trigger sees it: what lies there, and whether it is whole.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    bundle::Reader,
    content::{Class, Code, Fault},
    oci::Digest,
    pipeline::{
        error::{Error, Result},
        execute::access,
        resource::ImportPipeline,
    },
    progress::Progress,
    storage::{self, Folder, Location, Settings, Version},
    transfer::{self, Opened, verify},
};

/// How long a file that looks unfinished must have been left alone before it is taken for a damaged one.
const PATIENCE: Duration = Duration::from_mins(5);

/// Hashers at once while a file is looked through; imports have the machine first.
const HASHERS: usize = 1;

/// A source that can be looked at.
#[derive(Debug)]
pub(super) struct Source {
    folder: Arc<dyn Folder>,
    location: Location,
    settings: Settings,
}

/// Something in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its name in the source.
    pub(super) name: String,
    /// Which one it is.
    pub(super) version: String,
}

/// Whether something can be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It is a bundle, or an archive of an image layout, and whole as far as can be told; with its [`plan`].
    Whole(String),
    /// It begins like a bundle and is not whole: somebody may be writing it.
    Unfinished(String),
    /// It is whole no more and nobody writes it: a run will say what is wrong with it.
    Damaged,
    /// It is something else, which is nobody's business here.
    Foreign,
    /// It is not there any more.
    Gone,
}

impl Source {
    /// Opens the source; its secret is fetched, and fetched again when it ends.
    pub(super) async fn open(pipeline: &ImportPipeline, settings: &Settings) -> Result<Self> {
        let settings = access(&pipeline.source, &pipeline.identity, settings).await?;
        let location = pipeline.source.folder()?;
        let folder = storage::open_folder(&location, &settings)?;
        Ok(Self { folder, location, settings })
    }

    /// The local folder, where it is one.
    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.location.path()
    }

    /// What lies there that may be a bundle.
    pub(super) async fn list(&self) -> Result<Vec<Candidate>> {
        let mut found = Vec::new();
        for listed in self.folder.list().await? {
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
            found.push(Candidate { name: listed.name, version });
        }
        Ok(found)
    }

    /// Which one lies under `name` now; `None` if nothing does.
    pub(super) async fn version(&self, name: &str) -> Result<Option<String>> {
        match self.folder.object(name)?.stat().await {
            Ok(stat) => Ok(Some(mark(&stat.version))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `name` can be imported. `closed` says that its writer is known to have ended: of any other local file all
    /// content is hashed first, for one that is being written may have its full size, and its beginning, from the start.
    /// So it is with what has the plan that was `imported` from here before: only if every byte of it is as planned it is
    /// the same once more, and not a damaged copy.
    pub(super) async fn check(&self, name: &str, closed: bool, imported: Option<&str>) -> Result<Readiness> {
        let opened = match Opened::open(&self.location.join(name), &self.settings).await {
            Ok(opened) => opened,
            Err(error) => return self.judge(name, closed, error).await,
        };
        let reader = opened.reader();
        let plan = plan(reader)?;
        let may_grow = self.path().is_some() && !closed;
        if may_grow || imported == Some(&plan) {
            let found = verify::verify(reader, HASHERS, &Progress::default()).await.map_err(transfer::Error::from)?;
            match found.findings.first() {
                Some(first) if may_grow => return self.unfinished(name, first.message.clone()).await,
                Some(_) => return Ok(Readiness::Damaged),
                None => {}
            }
        }
        Ok(Readiness::Whole(plan))
    }

    async fn judge(&self, name: &str, closed: bool, error: transfer::Error) -> Result<Readiness> {
        match error.code() {
            Code::StorageNotFound => Ok(Readiness::Gone),
            Code::IoRead if self.version(name).await?.is_none() => Ok(Readiness::Gone),
            Code::BundleUnknown if closed || self.path().is_none() => Ok(Readiness::Foreign),
            Code::BundleUnknown => match self.unfinished(name, error.to_string()).await? {
                Readiness::Damaged => Ok(Readiness::Foreign),
                other => Ok(other),
            },
            code if code.class() == Class::Unverified => self.unfinished(name, error.to_string()).await,
            _ => Err(error.into()),
        }
    }

    /// In a storage nothing is visible before it is whole; a local file may be one that grows.
    async fn unfinished(&self, name: &str, why: String) -> Result<Readiness> {
        if self.path().is_none() {
            return Ok(Readiness::Damaged);
        }
        let modified = match self.folder.object(name)?.stat().await {
            Ok(stat) => stat.modified,
            Err(error) if error.is_not_found() => return Ok(Readiness::Gone),
            Err(error) => return Err(Error::from(error)),
        };
        let left_alone = modified.is_none_or(|modified| modified + PATIENCE <= Timestamp::now());
        Ok(if left_alone { Readiness::Damaged } else { Readiness::Unfinished(why) })
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
/// hidden files), and blobs within layout folders, are not looked at.
pub(super) fn may_be_bundle(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    let unfinished = last.ends_with(".partial") || last.contains(".partial.") || last.contains(".airlift-");
    !last.is_empty() && !last.starts_with('.') && !unfinished && !format!("/{name}").contains("/blobs/sha")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_not_finished_is_not_looked_at() {
        for good in ["bundle.tar", "2026/11/bundle", "a.b.c", "blob"] {
            assert!(may_be_bundle(good), "{good}");
        }
        for bad in
            ["b.tar.partial", "b.tar.partial.journal", "x/.b.tar.Xy12", "b.airlift-0a1b", "lay/blobs/sha256/00", ""]
        {
            assert!(!may_be_bundle(bad), "{bad}");
        }
    }
}
