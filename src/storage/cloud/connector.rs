//! The HTTP client below `object_store`, with what its interface cannot say: that a multipart upload must create, and by
//! which proxy a request went.

use async_trait::async_trait;
use http::{HeaderValue, Method, header::IF_NONE_MATCH};
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};

use super::client::{CONNECT, client_for_metadata, client_of_ours};
use crate::{
    content::proxies,
    storage::{
        Settings,
        error::{Cause, Error, cause_on_way},
    },
};

/// What becomes of an object that is there when an upload is completed.
#[derive(Clone, Copy, Debug)]
pub(super) enum OnCompletion {
    /// It is replaced.
    Replacing,
    /// It stays, and the completion fails.
    Creating,
}

/// Makes the clients of `object_store`.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    on_completion: OnCompletion,
    /// For the provider. `object_store` would make a client with names and authorities of its own.
    ordinary: reqwest::Client,
    /// For what tells this machine who it is.
    metadata: reqwest::Client,
}

impl Connector {
    /// # Errors
    /// A file of certificates cannot be read.
    pub(super) fn new(on_completion: OnCompletion, settings: &Settings, what: &str) -> Result<Self, Error> {
        let ordinary = client_of_ours(settings, what)?;
        let metadata = client_for_metadata(settings, what)?;
        Ok(Self { on_completion, ordinary, metadata })
    }
}

/// How long connecting may take, as `object_store` says it.
fn patience(options: &ClientOptions) -> Option<String> {
    options.get_config_value(&ClientConfigKey::ConnectTimeout)
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let is_ordinary = patience(options) == patience(&ClientOptions::new().with_connect_timeout(CONNECT));
        let client = if is_ordinary { &self.ordinary } else { &self.metadata };
        let inner = HttpClient::new(client.clone());
        Ok(HttpClient::new(Service { inner, create: matches!(self.on_completion, OnCompletion::Creating) }))
    }
}

#[derive(Debug)]
struct Service {
    inner: HttpClient,
    create: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let completes = self.create
            && request.method() == Method::POST
            && request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("uploadId=")));
        if completes {
            // It is not among the headers that a signature covers.
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let url = request.uri().to_string();
        self.inner.execute(request).await.map_err(|error| told(error, &url))
    }
}

/// A failure to connect, with the proxy that was on the way.
fn told(error: HttpError, url: &str) -> HttpError {
    if error.kind() != HttpErrorKind::Connect || proxies::on_the_way_to(url).is_none() {
        return error;
    }
    HttpError::new(HttpErrorKind::Connect, Told(cause_on_way(Some(url), &error)))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(Cause);
