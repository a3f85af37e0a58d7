//! S3, what speaks like it, and Google Cloud Storage, by `object_store`.

mod client;
mod connector;
mod failure;
mod google;
mod journal;
mod signed;
mod upload;

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::{
    Attribute, ClientOptions, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3Builder, Checksum},
    multipart::MultipartStore,
    path::Path,
    signer::Signer,
};

use self::{
    client::{CONNECT, RETRIES, SENDING},
    connector::Connector,
    failure::CloudRequest,
    journal::UploadJournal,
    signed::Signed,
};
use super::{
    Abandoned, Chunks, ListedObject, Location, PartLimits, Settings, Stat, Upload, UploadSpec, Version,
    error::{Error, Result},
    pace,
};

use crate::content::proxies;

/// S3's limits of a multipart upload.
const LIMITS: PartLimits = PartLimits { parts: 10_000, smallest: 5 << 20, largest: 5 << 30 };

/// Both kinds of store that a provider's client is.
trait BucketStore: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> BucketStore for T {}

/// A client of a bucket.
struct BucketClient {
    store: Arc<dyn BucketStore>,
    path: Path,
    /// Signs what `object_store` has no call for at S3.
    signer: Option<Arc<dyn Signer>>,
    /// Does what it has no call for at Google.
    google: Option<google::Api>,
}

/// A client of the bucket at `location`, and the key there.
fn client(location: &Location, settings: &Settings, connector: Connector) -> Result<BucketClient> {
    proxies::check()?;
    let asked = CloudRequest { what: location.to_string() };
    let failed = |error: object_store::Error| asked.failed(&error);
    let options = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled()
        .with_read_timeout(settings.silence * SENDING)
        // The endpoint is the person's word; without one it is the provider's, and HTTPS.
        .with_allow_http(true);
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: settings.patience, ..RetryConfig::default() };
    let variables = settings.variables.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let (store, signer, google, key): (Arc<dyn BucketStore>, Option<Arc<dyn Signer>>, _, _) = match location {
        Location::S3(place) => {
            let keys = variables.filter_map(|(name, value)| Some((name.parse().ok()?, value)));
            let builder = keys.fold(AmazonS3Builder::new(), |builder, (key, value)| builder.with_config(key, value));
            let builder = builder.with_bucket_name(&place.bucket).with_client_options(options).with_retry(retry);
            // Only where it is asked for: not every provider that speaks like S3 keeps checksums.
            let builder = if settings.attest { builder.with_checksum_algorithm(Checksum::SHA256) } else { builder };
            let store = Arc::new(builder.with_http_connector(connector).build().map_err(failed)?);
            (Arc::clone(&store) as _, Some(store as _), None, &place.key)
        }
        Location::Gcs(place) => {
            let (store, api) = google::clients(place, settings, (options, retry), &asked)?;
            (store, None, Some(api), &place.key)
        }
        _ => return Err(Error::Location { text: location.to_string(), reason: "it is in no bucket" }),
    };
    let path = Path::parse(key);
    let path = path.map_err(|_| Error::Location { text: location.to_string(), reason: "the key has an empty part" })?;
    Ok(BucketClient { store, path, signer, google })
}

/// An object in a bucket, there or not.
#[derive(Clone)]
pub(crate) struct CloudObject {
    location: Location,
    path: Path,
    store: Arc<dyn BucketStore>,
    /// A client whose commits are create-only.
    creating: Arc<dyn BucketStore>,
    signed: Option<Signed>,
    google: Option<google::Api>,
    settings: Settings,
}

impl CloudObject {
    pub(crate) fn new(location: &Location, settings: &Settings) -> Result<Self> {
        let BucketClient { store, path, signer, google } = client(location, settings, Connector::Replacing)?;
        let creating = client(location, settings, Connector::Creating)?.store;
        let sign = |signer| Signed::new(signer, location.to_string(), settings);
        let signed = signer.map(sign).transpose()?;
        Ok(Self { location: location.clone(), path, store, creating, signed, google, settings: settings.clone() })
    }

    fn failed(&self, error: &object_store::Error) -> Error {
        CloudRequest { what: self.location.to_string() }.failed(error)
    }

    async fn head(&self) -> Result<GetResult> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        self.store.get_opts(&self.path, options).await.map_err(|error| self.failed(&error))
    }

    /// Removes what [`CloudObject::head`] has found, where it is still there: looked and removed, since there is no conditional removal
    /// that everything that speaks like S3 knows. Google knows one.
    async fn remove(&self, found: &ObjectMeta) -> Result<()> {
        match (&self.google, &self.location, &found.version) {
            (Some(google), Location::Gcs(place), Some(generation)) => {
                google.delete_current(&place.key, generation).await.map_err(|error| match error {
                    Error::Exists { .. } | Error::NotFound { .. } => self.changed(),
                    error => error,
                })
            }
            _ => self.store.delete(&self.path).await.map_err(|error| self.failed(&error)),
        }
    }

    fn changed(&self) -> Error {
        Error::Changed { what: self.location.to_string() }
    }
}

impl fmt::Debug for CloudObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudObject({})", self.location)
    }
}

#[async_trait]
impl super::Object for CloudObject {
    fn location(&self) -> &Location {
        &self.location
    }

    fn limits(&self) -> PartLimits {
        if self.google.is_some() { google::LIMITS } else { LIMITS }
    }

    async fn stat(&self) -> Result<Stat> {
        let found = self.head().await?;
        let metadata = found.attributes.iter().filter_map(|(name, value)| match name {
            Attribute::Metadata(name) => Some((name.to_ascii_lowercase().replace('-', "_"), value.to_string())),
            _ => None,
        });
        let no_etag =
            || Error::Protocol { what: self.location.to_string(), reason: "the answer has no etag".to_owned() };
        Ok(Stat {
            size: found.meta.size,
            modified: modified(&found.meta),
            metadata: metadata.collect(),
            version: Version(found.meta.e_tag.ok_or_else(no_etag)?),
            md5: None,
        })
    }

    async fn read(&self, version: &Version, range: Range<u64>) -> Result<Chunks> {
        let if_match = Some(version.0.clone());
        let options = GetOptions { if_match, range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let got = self.store.get_opts(&self.path, options).await.map_err(|error| match self.failed(&error) {
            Error::NotFound { .. } => self.changed(),
            error => error,
        })?;
        // A server that does not know the condition answers with whatever is there.
        if got.meta.e_tag.as_ref().is_some_and(|tag| *tag != version.0) {
            return Err(self.changed());
        }
        let object = self.clone();
        let chunks = got.into_stream().map_err(move |error| object.failed(&error)).boxed();
        Ok(pace::at_least(chunks, self.settings.silence, self.location.to_string()))
    }

    async fn delete(&self, version: &Version) -> Result<()> {
        match self.head().await {
            Ok(found) if found.meta.e_tag.as_ref() == Some(&version.0) => self.remove(&found.meta).await,
            Ok(_) | Err(Error::NotFound { .. }) => Err(self.changed()),
            Err(error) => Err(error),
        }
    }

    /// The journals here know them; what another machine has begun is not told from what is under way there.
    async fn abandon(&self) -> Result<Abandoned> {
        let (here, below) = (self.location.to_string(), format!("{}/", self.location));
        let mut abandoned = Abandoned::default();
        for (object, journal) in UploadJournal::all(&self.settings.state, |one| one == here || one.starts_with(&below))?
        {
            let location = Location::parse(&object)?;
            let (Location::S3(place) | Location::Gcs(place)) = &location else { continue };
            let path = Path::parse(&place.key);
            let path = path.map_err(|_| Error::Location { text: object, reason: "the key has an empty part" })?;
            if let (Some(google), Some(folder)) = (&self.google, journal.upload()) {
                abandoned.removed += google::remove(google, folder).await?;
                abandoned.uploads += 1;
            } else if let Some(upload) = journal.upload() {
                match self.store.abort_multipart(&path, &upload.to_owned()).await.map_err(|error| self.failed(&error)) {
                    Ok(()) => abandoned.removed += journal.parts().len() as u64,
                    // It was finished or given up elsewhere.
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
                abandoned.uploads += 1;
            }
            journal.remove()?;
        }
        Ok(abandoned)
    }

    /// One set of credentials signs for both; where the source is elsewhere after all, S3 says so.
    fn reaches(&self, source: &dyn super::Object) -> bool {
        matches!((&self.location, source.location()), (Location::S3(_), Location::S3(_)))
    }

    async fn upload(&self, draft: &UploadSpec) -> Result<Box<dyn Upload>> {
        Ok(match &self.google {
            Some(api) => Box::new(google::Composed::open(self, api, draft).await?),
            None => Box::new(upload::Multipart::open(self, draft).await?),
        })
    }
}

fn modified(meta: &ObjectMeta) -> Option<Timestamp> {
    Timestamp::from_second(meta.last_modified.timestamp()).ok()
}

/// A bucket, or what has a common prefix in it.
pub(crate) struct CloudFolder {
    location: Location,
    path: Path,
    store: Arc<dyn BucketStore>,
    settings: Settings,
}

impl CloudFolder {
    pub(crate) fn new(location: &Location, settings: &Settings) -> Result<Self> {
        let BucketClient { store, path, .. } = client(location, settings, Connector::Replacing)?;
        Ok(Self { location: location.clone(), path, store, settings: settings.clone() })
    }
}

impl fmt::Debug for CloudFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudFolder({})", self.location)
    }
}

#[async_trait]
impl super::Folder for CloudFolder {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn list(&self) -> Result<Vec<ListedObject>> {
        let asked = CloudRequest { what: self.location.to_string() };
        let metas: Vec<ObjectMeta> =
            self.store.list(Some(&self.path)).try_collect().await.map_err(|error| asked.failed(&error))?;
        let front = self.path.as_ref();
        let mut found: Vec<_> = metas
            .iter()
            .filter(|meta| !google::is_part(meta.location.as_ref()))
            .filter_map(|meta| {
                let name = meta.location.as_ref().strip_prefix(front)?.trim_start_matches('/');
                let version = meta.e_tag.clone().map(Version);
                Some(ListedObject { name: name.to_owned(), size: meta.size, modified: modified(meta), version })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn object(&self, name: &str) -> Result<Arc<dyn super::Object>> {
        super::open(&self.location.join(name), &self.settings)
    }
}
