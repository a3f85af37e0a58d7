//! Blobs on their way into a registry (distribution-spec 1.1, "Pushing blobs").

use reqwest::{Body, Method, StatusCode};

use crate::{
    content::{self, Verified},
    oci::Descriptor,
};

use super::{error::Error, repository::Repository, transport::location};

impl Repository {
    pub(super) async fn mount_blob(&self, _blob: &Descriptor, _from: &str) -> Result<bool, Error> {
        Ok(false)
    }

    pub(super) async fn push_blob(&self, blob: &Descriptor, body: Verified) -> content::Result<()> {
        let at = self.blob_at(blob);
        let begin = self.call(Method::POST, "blobs/uploads/", &at).await?;
        let begun = self.persist(&[StatusCode::ACCEPTED], begin).await?;
        let mut url = location(begun.headers(), &begun.url, "an upload").map_err(|reason| Error::Protocol { at: at.clone(), reason })?;
        self.transport.check(&url, &begun.url, &at)?;
        url.query_pairs_mut().append_pair("digest", &blob.digest.to_string());
        let mut call = self.call(Method::PUT, "", &at).await?;
        call.url = url;
        call.headers.insert("content-type", reqwest::header::HeaderValue::from_static("application/octet-stream"));
        self.transport.send_content(call, Body::wrap_stream(body), blob.size).await?.expect(&[StatusCode::CREATED]).await?;
        Ok(())
    }
}
