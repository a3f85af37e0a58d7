//! The HTTP client below the SDK. It alone knows the signature: the SDK sees, logs and reports addresses without it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    error::{Error, ErrorKind},
    http::{
        AsyncRawResponse, Body, ClientOptions, ExponentialRetryOptions, HttpClient, Request, RetryOptions, Transport,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use futures::{StreamExt, stream};

use crate::content::proxies;

use super::super::{
    error::{Error as StorageError, cause},
    renewal::Current,
    sas::Sas,
    settings::Settings,
    trusted::trusting,
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(20);

/// Bytes a second that an upload must keep up on average, beyond the silence, before it counts as stalled.
const SLOWEST: u64 = 32 << 10;

/// How often one request is tried again at most.
const RETRIES: u32 = 10;

/// A client that signs with a SAS, if there is one.
pub(super) struct Signing {
    http: reqwest::Client,
    signature: Option<Current>,
    /// How long nothing may arrive.
    silence: Duration,
}

impl Signing {
    /// Options that make an SDK client use this one. `what` is who it is for.
    ///
    /// # Errors
    /// A file of authorities cannot be read, or the TLS stack of this machine cannot be used.
    pub(super) fn options(
        signature: Option<Current>,
        settings: &Settings,
        what: &str,
    ) -> Result<ClientOptions, StorageError> {
        proxies::check()?;
        let http = build(builder(settings)?, what)?;
        Ok(options(Arc::new(Self { http, signature, silence: settings.silence }), settings))
    }

    /// A client for what is on this machine or one hop away: it goes past the proxies of the environment.
    ///
    /// # Errors
    /// As [`Self::options`].
    pub(super) fn direct(settings: &Settings, what: &str) -> Result<Self, StorageError> {
        let http = build(builder(settings)?.no_proxy(), what)?;
        Ok(Self { http, signature: None, silence: settings.silence })
    }

    /// Sends it; where the signature is refused and there is another by now, with that one.
    async fn signed(&self, request: &Request) -> Result<reqwest::Response, Error> {
        let Some(signature) = &self.signature else { return self.send(request, None).await };
        let sas = signature.fresh().await;
        let answer = self.send(request, Some(&sas)).await?;
        if !matches!(answer.status().as_u16(), 401 | 403) {
            return Ok(answer);
        }
        match signature.instead_of(&sas).await {
            Some(other) => self.send(request, Some(&other)).await,
            None => Ok(answer),
        }
    }

    async fn send(&self, request: &Request, sas: Option<&Sas>) -> Result<reqwest::Response, Error> {
        let mut url = request.url().clone();
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| Error::with_error(ErrorKind::Other, error, "the method is not a word"))?;
        if let Some(sas) = sas {
            let query = url.query().map_or_else(|| sas.query().to_owned(), |own| format!("{own}&{}", sas.query()));
            url.set_query(Some(&query));
        }
        let mut outgoing = self.http.request(method, url);
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body().clone() else {
            return Err(Error::with_message(ErrorKind::Other, "a body that is a stream is never sent here"));
        };
        let patience = self.silence + Duration::from_secs(body.len() as u64 / SLOWEST);
        match tokio::time::timeout(patience, outgoing.body(body).send()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let is_connect = error.is_connect();
                let way = is_connect.then(|| proxies::on_the_way_to(request.url().as_str())).flatten();
                let kind = if is_connect { ErrorKind::Connection } else { ErrorKind::Io };
                let said = format!("the request failed{}", proxies::told(way.as_deref()));
                Err(Error::with_error(kind, error.without_url(), said))
            }
            Err(_) => Err(Error::with_message(ErrorKind::Io, "no answer came in time")),
        }
    }
}

#[async_trait]
impl HttpClient for Signing {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let answer = self.signed(request).await?;
        let status = answer.status().as_u16().into();
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
            }
        }
        let silence = self.silence;
        let body = stream::unfold(Some(answer), move |answer| async move {
            let mut answer = answer?;
            match tokio::time::timeout(silence, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => Some((Ok(chunk), Some(answer))),
                Ok(Ok(None)) => None,
                Ok(Err(error)) => {
                    Some((Err(Error::with_error(ErrorKind::Io, error.without_url(), "the answer broke")), None))
                }
                Err(_) => Some((Err(Error::with_message(ErrorKind::Io, "the answer stopped coming")), None)),
            }
        });
        Ok(AsyncRawResponse::new(status, headers, body.boxed()))
    }
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signing({:?})", self.signature)
    }
}

/// Options that make an SDK client use `client`.
pub(super) fn options(client: Arc<dyn HttpClient>, settings: &Settings) -> ClientOptions {
    let max_total_elapsed = settings.patience.try_into().unwrap_or(azure_core::time::Duration::MAX);
    let retry = ExponentialRetryOptions { max_retries: RETRIES, max_total_elapsed, ..Default::default() };
    let transport = Some(Transport::new(client));
    ClientOptions { transport, retry: RetryOptions::exponential(retry), ..ClientOptions::default() }
}

fn builder(settings: &Settings) -> Result<reqwest::ClientBuilder, StorageError> {
    // A signature must not follow a redirect, and the protocol has none.
    Ok(trusting(settings)?.connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none()))
}

fn build(http: reqwest::ClientBuilder, what: &str) -> Result<reqwest::Client, StorageError> {
    http.build().map_err(|error| StorageError::Protocol { what: what.to_owned(), reason: cause(&error).to_string() })
}
