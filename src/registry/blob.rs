//! Blobs of a registry: whether they are there, and the doors by which they leave (distribution-spec 1.1, "Pulling
//! blobs"), foreign layers included.

use futures::{FutureExt, StreamExt, stream};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, RANGE},
};
use url::Url;

use crate::{
    content::{self, ByteStream},
    oci::Descriptor,
};

use super::{
    detail::Detail,
    download::{BlobOrigin, Download},
    error::{At, Error},
    head::Subject,
    redact::Redacted,
    repository::RemoteRepository,
    transport::{Call, Payload, authority},
};

impl RemoteRepository {
    /// Whether the registry has the blob, or for a foreign layer whether one of its `urls` does.
    pub(super) async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        if self.head_blob(blob).await? {
            return Ok(true);
        }
        let mut doubt = None;
        for url in foreign_urls(blob) {
            match self.head_stranger(blob, url).await {
                Ok(()) => return Ok(true),
                Err(Error::NotFound { .. }) => {}
                Err(error) => doubt = Some(error),
            }
        }
        doubt.map_or(Ok(false), Err)
    }

    /// Whether the registry itself has the blob.
    pub(super) async fn head_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let (head, get) = (self.blob_by_head(blob).boxed(), self.blob_by_get(blob).boxed());
        let found = self.transport.courtesies.head_or_get(self.registry(), Subject::Blob, head, get).await?;
        Ok(found.is_some())
    }

    async fn blob_by_head(&self, blob: &Descriptor) -> Result<Option<()>, Error> {
        let call = self.call(Method::HEAD, &format!("blobs/{}", blob.digest), &self.blob_at(blob)).await?;
        self.persist(&[StatusCode::OK], call).await.map(|_| Some(()))
    }

    /// Asks for the first byte, and where ranges are refused for the blob, of which nothing is read.
    async fn blob_by_get(&self, blob: &Descriptor) -> Result<Option<()>, Error> {
        let mut call = self.call(Method::GET, &format!("blobs/{}", blob.digest), &self.blob_at(blob)).await?;
        call.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut first = call.clone();
        first.headers.insert(RANGE, HeaderValue::from_static("bytes=0-0"));
        let asked = match self.persist(&[StatusCode::OK, StatusCode::PARTIAL_CONTENT], first).await {
            Err(Error::Refused { .. }) => self.persist(&[StatusCode::OK], call).await,
            asked => asked,
        };
        match asked {
            Ok(_) => Ok(Some(())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The blob from byte `from` on: from the registry, and a foreign layer that is definitely not there from its
    /// `urls`, in their order.
    pub(super) async fn fetch_blob(&self, blob: &Descriptor, from: u64) -> content::Result<ByteStream> {
        if from > 0 && from >= blob.size {
            // There is no byte to ask for, but whether the blob is there is a fair question.
            if self.has_blob(blob).await? {
                return Ok(stream::empty().boxed());
            }
            return Err(Error::NotFound { at: self.blob_at(blob), detail: Detail::default() }.into());
        }
        match Download::open(self, BlobOrigin::Registry, blob, from).await {
            Ok(download) => Ok(download.into_stream()),
            Err(absent @ Error::NotFound { .. }) => Ok(self.fetch_foreign(blob, from, absent).await?.into_stream()),
            Err(error) => Err(error.into()),
        }
    }

    async fn fetch_foreign(&self, blob: &Descriptor, from: u64, absent: Error) -> Result<Download, Error> {
        let mut outcome = Err(absent);
        for url in foreign_urls(blob) {
            match Download::open(self, BlobOrigin::Stranger(url), blob, from).await {
                Ok(download) => return Ok(download),
                // The reason why one address could not be asked says more than that another has nothing.
                Err(Error::NotFound { .. }) => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    async fn head_stranger(&self, blob: &Descriptor, url: Url) -> Result<(), Error> {
        let at = self.stranger_at(blob, &url);
        let call = self.stranger_call(Method::HEAD, url.clone(), &at)?;
        match self.persist(&[StatusCode::OK], call).await {
            // Storage that is asked with a signature for GET refuses HEAD; the beginning of the content is asked for instead.
            Err(Error::Denied { .. } | Error::Refused { .. } | Error::Unauthorized { .. } | Error::NotFound { .. }) => {
                Download::open(self, BlobOrigin::Stranger(url), blob, 0).await.map(drop)
            }
            asked => asked.map(drop),
        }
    }

    /// A call to an address that a manifest names: by the policy, and without anything of ours.
    pub(super) fn stranger_call(&self, method: Method, url: Url, at: &At) -> Result<Call, Error> {
        self.transport.check(&url, &url, at)?;
        Ok(Call {
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            grant: None,
            at: at.clone(),
            patience: self.transport.settings.retry.answer,
        })
    }

    pub(super) fn blob_at(&self, blob: &Descriptor) -> At {
        self.at(format!("blob {}", blob.digest))
    }

    pub(super) fn stranger_at(&self, blob: &Descriptor, url: &Url) -> At {
        let at = self.at(format!("blob {} from {}", blob.digest, Redacted::new(url)));
        At { via: Some(authority(url)), ..at }
    }
}

/// Where else a foreign layer may be had. Other content has no business to be anywhere but in the registry.
fn foreign_urls(blob: &Descriptor) -> impl Iterator<Item = Url> {
    let urls = if blob.is_foreign() { blob.urls.as_slice() } else { &[] };
    urls.iter().filter_map(|text| text.parse().ok())
}
