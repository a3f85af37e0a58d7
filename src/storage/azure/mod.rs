//! Azure Blob Storage by the official SDK, over an HTTP client of our own.

mod credential;
mod failure;
mod identity;
mod metadata;
mod transport;
mod upload;

use std::{collections::BTreeMap, num::NonZero, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, headers::Headers},
};
use azure_storage_blob::{
    BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions,
    models::{BlobClientDeleteOptions, BlobClientDownloadOptions, BlobContainerClientListBlobsOptions},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, TryStreamExt};
use jiff::{Timestamp, fmt::rfc2822};

pub use self::identity::{AzureIdentity, Credentials};
use self::{credential::Chain, failure::AzureRequest, transport::Signing};
use super::{
    Abandoned, Chunks, ListedObject, Location, Object, PartLimits, Settings, Stat, Upload, UploadSpec, Version,
    error::{Error, Result},
    location::Azure,
    pace,
    renewal::Current,
    sas::Permission,
};

/// Azure's limits of a block blob since service version 2019-12-12: blocks, and bytes of a block.
const LIMITS: PartLimits = PartLimits { parts: 50_000, smallest: 0, largest: 4000 << 20 };

/// Who signs: the SAS within the transport, or a token.
struct AzureAccess {
    place: Azure,
    options: ClientOptions,
    credential: Option<Arc<dyn TokenCredential>>,
}

impl AzureAccess {
    fn of(place: &Azure, settings: &Settings) -> Result<Self> {
        let what = Location::Azure(place.clone()).to_string();
        let sas = place.sas.clone().or_else(|| settings.sas.clone());
        let plain = place.endpoint.scheme() == "http";
        if plain && sas.as_ref().is_some_and(super::Sas::https_only) {
            return Err(Error::HttpsOnly { what });
        }
        let Some(sas) = sas else {
            if plain {
                let reason = "a token goes over https only, and the address is plain http".to_owned();
                return Err(Error::Credential { what, reason });
            }
            let (options, credential) = entrance(settings, &what)?;
            return Ok(Self { place: place.clone(), options, credential: Some(credential) });
        };
        let signature = Current::new(sas.clone(), settings.renew.clone());
        let options = Signing::options(Some(signature), settings, &what)?;
        Ok(Self { place: Azure { sas: Some(sas), ..place.clone() }, options, credential: None })
    }
}

/// What clients of Azure's SDK are made with where no signature lets us in: our own HTTP client, and who we are. `what` is
/// whom they talk to.
///
/// # Errors
/// A file of authorities cannot be read, or the TLS stack of this machine cannot be used.
pub fn entrance(settings: &Settings, what: &str) -> Result<(ClientOptions, Arc<dyn TokenCredential>)> {
    let options = Signing::options(None, settings, what)?;
    let chain = || Ok::<_, Error>(Arc::new(Chain::new(settings, &options, what)?) as Arc<dyn TokenCredential>);
    let credential = settings.credentials.of(&settings.identity, chain)?;
    Ok((options, credential))
}

/// A blob, there or not.
#[derive(Clone)]
pub(crate) struct AzureBlob {
    location: Location,
    what: String,
    place: Azure,
    client: Arc<BlobClient>,
    silence: Duration,
}

impl AzureBlob {
    pub(crate) fn new(place: &Azure, settings: &Settings) -> Result<Self> {
        let AzureAccess { place, options, credential } = AzureAccess::of(place, settings)?;
        let location = Location::Azure(place.clone());
        let what = location.to_string();
        let options = BlobClientOptions { client_options: options, ..BlobClientOptions::default() };
        let client = BlobClient::new(place.blob_url(), credential, Some(options))
            .map_err(|error| AzureRequest { place: &place, what: &what, needs: Permission::Read }.failed(&error))?;
        Ok(Self { location, what, place, client: Arc::new(client), silence: settings.silence })
    }

    fn asked(&self, needs: Permission) -> AzureRequest<'_> {
        AzureRequest { place: &self.place, what: &self.what, needs }
    }

    /// What is wrong with a token: the answer to a HEAD has no body that could say it, so a byte is asked for.
    async fn refusal(&self) -> Option<Error> {
        let options =
            BlobClientDownloadOptions { range: Some((0_u64..1).into()), ..BlobClientDownloadOptions::default() };
        let error = self.asked(Permission::Read).failed(&self.client.download(Some(options)).await.err()?);
        matches!(error, Error::Refused { .. }).then_some(error)
    }
}

impl std::fmt::Debug for AzureBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AzureBlob({})", self.what)
    }
}

#[async_trait]
impl Object for AzureBlob {
    fn location(&self) -> &Location {
        &self.location
    }

    fn limits(&self) -> PartLimits {
        LIMITS
    }

    async fn stat(&self) -> Result<Stat> {
        let answer = match self.client.get_properties(None).await {
            Ok(answer) => answer,
            Err(error) => {
                let error = self.asked(Permission::Read).failed(&error);
                let by_identity = self.place.sas.is_none() && matches!(error, Error::Refused { .. });
                return Err(if by_identity { self.refusal().await.unwrap_or(error) } else { error });
            }
        };
        stat_of(answer.headers(), &self.what)
    }

    async fn read(&self, version: &Version, range: Range<u64>) -> Result<Chunks> {
        let whole = usize::try_from(range.end - range.start).ok().and_then(NonZero::new);
        let options = BlobClientDownloadOptions {
            if_match: Some(version.0.as_str().into()),
            range: Some(range.into()),
            // One request, streamed: the SDK's own cutting would hold whole partitions in memory.
            partition_size: whole,
            parallel: NonZero::new(1),
            ..BlobClientDownloadOptions::default()
        };
        let answer = self.client.download(Some(options)).await.map_err(|error| {
            let error = self.asked(Permission::Read).failed(&error);
            // What was there a moment ago and is not any more was taken away in mid-read.
            if error.is_not_found() { Error::Changed { what: self.what.clone() } } else { error }
        })?;
        let (place, what) = (self.place.clone(), self.what.clone());
        let failed = move |error: azure_core::Error| {
            AzureRequest { place: &place, what: &what, needs: Permission::Read }.failed(&error)
        };
        Ok(pace::at_least(answer.body.map_err(failed).boxed(), self.silence, self.what.clone()))
    }

    async fn delete(&self, version: &Version) -> Result<()> {
        let if_match = Some(version.0.as_str().into());
        let options = BlobClientDeleteOptions { if_match, ..BlobClientDeleteOptions::default() };
        match self.client.delete(Some(options)).await {
            Ok(_) => Ok(()),
            Err(error) => match self.asked(Permission::Delete).failed(&error) {
                Error::NotFound { what } => Err(Error::Changed { what }),
                error => Err(error),
            },
        }
    }

    fn reaches(&self, source: &dyn Object) -> bool {
        upload::signed_url(source).is_some()
    }

    /// Azure does not offer to remove blocks one by one; it drops them a week after the last of them was written.
    async fn abandon(&self) -> Result<Abandoned> {
        let left = upload::left(self).await?;
        Ok(Abandoned { uploads: u64::from(left > 0), removed: 0, left })
    }

    async fn upload(&self, draft: &UploadSpec) -> Result<Box<dyn Upload>> {
        Ok(Box::new(upload::Blocks::open(self, draft).await?))
    }
}

fn stat_of(headers: &Headers, what: &str) -> Result<Stat> {
    let get = |name: &'static str| headers.get_optional_str(&name.into());
    let missing =
        |header: &str| Error::Protocol { what: what.to_owned(), reason: format!("the answer has no {header}") };
    let size = get("content-length").and_then(|size| size.parse().ok()).ok_or_else(|| missing("content-length"))?;
    let version = Version(get("etag").ok_or_else(|| missing("etag"))?.to_owned());
    let modified = get("last-modified").and_then(|text| rfc2822::parse(text).ok()).map(|zoned| zoned.timestamp());
    let md5 = get("content-md5").and_then(|text| BASE64_STANDARD.decode(text).ok()?.try_into().ok());
    let metadata: BTreeMap<_, _> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-ms-meta-")?;
            Some((name.to_ascii_lowercase(), value.as_str().to_owned()))
        })
        .collect();
    Ok(Stat { size, version, modified, metadata, md5 })
}

/// A container, or what has a common prefix in it.
pub(crate) struct AzureContainer {
    location: Location,
    what: String,
    place: Azure,
    client: BlobContainerClient,
    settings: Settings,
}

impl AzureContainer {
    pub(crate) fn new(place: &Azure, settings: &Settings) -> Result<Self> {
        let AzureAccess { place, options, credential } = AzureAccess::of(place, settings)?;
        let location = Location::Azure(place.clone());
        let what = location.to_string();
        let options = BlobContainerClientOptions { client_options: options, ..BlobContainerClientOptions::default() };
        let client = BlobContainerClient::new(place.container_url(), credential, Some(options))
            .map_err(|error| AzureRequest { place: &place, what: &what, needs: Permission::List }.failed(&error))?;
        Ok(Self { location, what, place, client, settings: settings.clone() })
    }

    fn failed(&self, error: &azure_core::Error) -> Error {
        AzureRequest { place: &self.place, what: &self.what, needs: Permission::List }.failed(error)
    }
}

impl std::fmt::Debug for AzureContainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AzureContainer({})", self.what)
    }
}

#[async_trait]
impl super::Folder for AzureContainer {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn list(&self) -> Result<Vec<ListedObject>> {
        let prefix = match self.place.name.as_str() {
            "" => String::new(),
            name => format!("{name}/"),
        };
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.clone()).filter(|prefix| !prefix.is_empty()),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let mut pages = self.client.list_blobs(Some(options)).map_err(|error| self.failed(&error))?.into_pages();
        let mut found = Vec::new();
        while let Some(page) = pages.try_next().await.map_err(|error| self.failed(&error))? {
            let page = page.into_model().map_err(|error| self.failed(&error))?;
            for blob in page.blob_items {
                let Some(name) = blob.name.as_deref().and_then(|name| name.strip_prefix(&prefix)) else { continue };
                let properties = blob.properties.unwrap_or_default();
                let modified = properties.last_modified.and_then(|at| Timestamp::new(at.unix_timestamp(), 0).ok());
                let size = properties.content_length.unwrap_or_default();
                let version = properties.etag.map(|etag| Version(etag.to_string()));
                found.push(ListedObject { name: name.to_owned(), size, modified, version });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn object(&self, name: &str) -> Result<Arc<dyn Object>> {
        super::open(&self.location.join(name), &self.settings)
    }
}
