//! Storage as a place for whole bundles: local files, Azure Blob, S3 and Google Cloud Storage, behind one trait.
//!
//! A [`Location`] says where; [`open`] gives the [`Object`] there, which may or may not exist yet. Reading pins the version
//! that [`Object::stat`] found ([`Pinned`]). Writing goes in parts that a later run finds again ([`Upload`]), and nothing
//! is visible before [`Upload::commit`]. Nothing here knows what a bundle is.

pub mod error;
pub mod location;
pub mod parts;
pub mod pinned;
pub mod renewal;
pub mod sas;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

mod azure;
mod cloud;
mod local;
mod pace;
mod settings;
mod trusted;

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use md5::{Digest as _, Md5};

pub use azure::{AzureIdentity, Credentials, entrance};
pub use error::{Error, Result};
pub use location::Location;
pub use parts::{PartCheckpoint, PartLimits, Parts};
pub use pinned::Pinned;
pub use renewal::Renew;
pub use sas::{Permission, Sas};
pub use settings::Settings;

use crate::{files::blocking::off_reactor, oci::Digest};

/// Bytes on their way out of a storage.
pub type Chunks = BoxStream<'static, Result<Bytes>>;

/// What distinguishes an object from what is written over it: an `ETag`, or what a file system has instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub(crate) String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of an object without reading it.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Its bytes.
    pub size: u64,
    /// Which one it is.
    pub version: Version,
    /// When it was last written.
    pub modified: Option<Timestamp>,
    /// What its writer said of it; keys are lower case.
    pub metadata: BTreeMap<String, String>,
    /// The MD5 of its content, where the provider keeps one.
    pub md5: Option<[u8; 16]>,
}

/// The place of one object, whether it is there or not.
#[async_trait]
pub trait Object: Send + Sync + fmt::Debug {
    /// Where it is.
    fn location(&self) -> &Location;

    /// How it may be cut into parts.
    fn limits(&self) -> PartLimits;

    /// What is there; [`Error::NotFound`] only for a definite "nothing".
    async fn stat(&self) -> Result<Stat>;

    /// The bytes of `range` of that version, by one request: the stream may break, and [`Pinned`] goes on where it does.
    /// [`Error::Changed`] where the version is no longer there.
    async fn read(&self, version: &Version, range: Range<u64>) -> Result<Chunks>;

    /// Removes that version; [`Error::Changed`] if another one is there.
    async fn delete(&self, version: &Version) -> Result<()>;

    /// Gives up the uploads to it, and to what lies below it, that were begun here and not finished, and removes their parts
    /// where the provider lets them be removed.
    ///
    /// # Errors
    /// [`Error::Busy`] where one of them is under way.
    async fn abandon(&self) -> Result<Abandoned> {
        Ok(Abandoned::default())
    }

    /// Whether this storage could take parts from `source` by itself ([`Upload::takes_from`]).
    fn reaches(&self, source: &dyn Object) -> bool {
        let _ = source;
        false
    }

    /// Begins to write, or goes on where a killed run stopped.
    async fn upload(&self, draft: &UploadSpec) -> Result<Box<dyn Upload>>;
}

/// Uploads that were given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abandoned {
    /// How many there were.
    pub uploads: u64,
    /// Parts that are gone.
    pub removed: u64,
    /// Parts that the provider keeps for a while, and then removes by itself.
    pub left: u64,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct UploadSpec {
    /// Stands for the content and the way it is cut: parts of another identity are not seen.
    pub identity: Digest,
    /// How it is cut.
    pub parts: Parts,
    /// What to say of the object; keys are lower-case words with `_` between them. Local files keep none.
    pub metadata: BTreeMap<String, String>,
}

/// An object that is being written, in parts that come in any order. Dropping it keeps the parts for a later run.
#[async_trait]
pub trait Upload: Send + Sync + fmt::Debug {
    /// The parts that an earlier run left, with the notes they came with. A part may be there more than once.
    fn present(&self) -> &[(u32, PartCheckpoint)];

    /// Puts part `number`, which is there with `note` once this returns: the provider has held what arrived against a
    /// checksum that was made here. Retries are the storage's own business.
    async fn put(&self, number: u32, note: PartCheckpoint, body: Body) -> Result<()>;

    /// Makes the object of the parts that have these notes, one a part, in order; it becomes visible at once and whole.
    ///
    /// # Errors
    /// [`Error::Exists`] if something is there and `finish.overwrite` is not set.
    async fn commit(&self, notes: &[PartCheckpoint], finish: &Finish) -> Result<Stat>;

    /// Removes the parts, where the provider lets them be removed; others drop them after some days.
    async fn abandon(&self) -> Result<()>;

    /// What was put so far as an object that can be read before the commit, where there is such a thing.
    async fn unfinished(&self) -> Result<Option<Arc<dyn Object>>> {
        Ok(None)
    }

    /// Whether the provider's own SHA-256 of the object that was committed is that of the parts that were put. `None` where
    /// it keeps none: a CRC or an MD5 proves nothing against intent.
    async fn attest(&self, notes: &[PartCheckpoint]) -> Result<Option<bool>> {
        let _ = notes;
        Ok(None)
    }

    /// The capability to take parts from another object without this machine's help.
    fn takes_from(&self) -> Option<&dyn TakeFrom> {
        None
    }
}

/// An upload that the provider can feed by itself.
#[async_trait]
pub trait TakeFrom: Send + Sync {
    /// Puts part `number`: the bytes of `range` of `source`, which must have these `sums`. Where what came is something
    /// else the part counts as not put.
    async fn take(
        &self,
        number: u32,
        note: PartCheckpoint,
        source: &Pinned,
        range: Range<u64>,
        sums: &Sums,
    ) -> Result<()>;
}

/// The bytes of a part.
#[derive(Clone, Debug)]
pub struct Body {
    /// All of them.
    pub bytes: Bytes,
    /// Their MD5, if it is known: Azure and Google hold them against it.
    pub md5: Option<[u8; 16]>,
}

impl Body {
    /// Their MD5, made where it is not known.
    async fn md5(&self) -> [u8; 16] {
        match (self.md5, self.bytes.clone()) {
            (Some(md5), _) => md5,
            (None, hashed) => off_reactor(move || Md5::digest(&hashed).into()).await,
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, md5: None }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

/// What the bytes of a part hash to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// What Azure compares.
    pub md5: [u8; 16],
    /// What S3 compares.
    pub sha256: Digest,
}

/// What an object is committed with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish {
    /// Replaces what is there.
    pub overwrite: bool,
    /// The MD5 of the whole, if it is known; kept where the provider has a place for it.
    pub md5: Option<[u8; 16]>,
}

/// An object as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its name, relative to the folder.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<Timestamp>,
    /// Which one it is, where the list says so; quotes that the object's own version has may be missing.
    pub version: Option<Version>,
}

/// A container, a bucket or a prefix of them, or a local folder.
#[async_trait]
pub trait Folder: Send + Sync + fmt::Debug {
    /// Where it is.
    fn location(&self) -> &Location;

    /// What is in it, at any depth, sorted by name.
    async fn list(&self) -> Result<Vec<ListedObject>>;

    /// As [`Folder::list`], without what cannot be read, and why that cannot: a folder of another user on a disk must not
    /// hide the rest.
    async fn list_readable(&self) -> Result<(Vec<ListedObject>, Vec<Error>)> {
        Ok((self.list().await?, Vec::new()))
    }

    /// The place of `name` in it.
    fn object(&self, name: &str) -> Result<Arc<dyn Object>>;
}

/// The object at `location`. No request is made yet.
///
/// # Errors
/// [`Error::Location`] where it names no single object, [`Error::HttpsOnly`], and those of building a client.
pub fn open(location: &Location, settings: &Settings) -> Result<Arc<dyn Object>> {
    let fail = |reason| Err(Error::Location { text: location.to_string(), reason });
    match location {
        Location::Path(path) => Ok(Arc::new(local::LocalFile::new(path))),
        Location::Azure(azure) if azure.name.is_empty() => fail("the blob's name is missing"),
        Location::Azure(azure) => Ok(Arc::new(azure::AzureBlob::new(azure, settings)?)),
        Location::S3(bucket) | Location::Gcs(bucket) if bucket.key.is_empty() => fail("the object's key is missing"),
        Location::S3(_) | Location::Gcs(_) => Ok(Arc::new(cloud::CloudObject::new(location, settings)?)),
        Location::Standard => fail("standard input and output are no storage"),
    }
}

/// The folder at `location`. No request is made yet.
///
/// # Errors
/// As [`open`].
pub fn open_folder(location: &Location, settings: &Settings) -> Result<Arc<dyn Folder>> {
    match location {
        Location::Path(path) => Ok(Arc::new(local::LocalFolder::new(path))),
        Location::Azure(azure) => Ok(Arc::new(azure::AzureContainer::new(azure, settings)?)),
        Location::S3(_) | Location::Gcs(_) => Ok(Arc::new(cloud::CloudFolder::new(location, settings)?)),
        Location::Standard => {
            Err(Error::Location { text: location.to_string(), reason: "standard input and output are no folder" })
        }
    }
}
