//! Google's JSON interface, as far as `object_store` has no call for it.

use std::{collections::BTreeMap, fmt, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use object_store::gcp::GcpCredentialProvider;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder, Response};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use uuid::Uuid;

use super::super::{
    super::{
        Body, Settings,
        error::{Error, Result, cause_on_way, redact},
        location::Bucket,
    },
    client::{RETRIES, client_of_ours},
    failure::CloudRequest,
};

/// Bytes of an answer that are read: a page of a list has a thousand objects.
const ANSWER: usize = 16 << 20;

/// How long after a failure it is tried again; then twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(100);

/// Objects that one composition takes.
pub(super) const SOURCES: usize = 32;

/// An object, in the version that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Stored {
    pub(super) name: String,
    /// Google counts writes by it; a decimal number.
    pub(super) generation: String,
}

/// An object that is to be, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewObject<'a> {
    pub(super) name: &'a str,
    pub(super) content_type: &'a str,
    pub(super) metadata: &'a BTreeMap<String, String>,
    /// Something that is there stays, and the call fails with [`Error::Exists`].
    pub(super) creates: bool,
}

impl NewObject<'_> {
    fn condition(&self) -> &'static str {
        if self.creates { "ifGenerationMatch=0" } else { "" }
    }
}

/// Sends, and tries again.
#[derive(Clone)]
pub(in crate::storage::cloud) struct Api {
    http: Client,
    base: String,
    bucket: String,
    /// `None` where no credential is asked for.
    credentials: Option<GcpCredentialProvider>,
    patience: Duration,
    what: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    items: Vec<Stored>,
    next_page_token: Option<String>,
}

impl Api {
    pub(super) fn new(
        base: String,
        place: &Bucket,
        credentials: Option<GcpCredentialProvider>,
        settings: &Settings,
    ) -> Result<Self> {
        let what = format!("gs://{}/{}", place.bucket, place.key);
        let http = client_of_ours(settings, &what)?;
        let bucket = encoded(&place.bucket);
        Ok(Self { http, base, bucket, credentials, patience: settings.patience, what })
    }

    /// Puts a whole object; Google takes only what has the MD5 that is sent ahead.
    pub(super) async fn insert(&self, target: &NewObject<'_>, body: Body) -> Result<Stored> {
        let sum = BASE64_STANDARD.encode(body.md5().await);
        let body = body.bytes;
        // Unforeseeable, so that no content can have it.
        let boundary = Uuid::new_v4().simple().to_string();
        let said = json!({
            "name": target.name, "contentType": target.content_type, "metadata": target.metadata, "md5Hash": sum,
        });
        let front = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{said}\r\n\
             --{boundary}\r\nContent-Type: {}\r\n\r\n",
            target.content_type
        );
        let parts = [Bytes::from(front), body, Bytes::from(format!("\r\n--{boundary}--\r\n"))];
        let length: usize = parts.iter().map(Bytes::len).sum();
        let url = format!(
            "{}/upload/storage/v1/b/{}/o?uploadType=multipart&name={}&{}",
            self.base,
            self.bucket,
            encoded(target.name),
            target.condition()
        );
        self.send(|| {
            let body = reqwest::Body::wrap_stream(stream::iter(parts.clone().map(Ok::<_, std::io::Error>)));
            let kind = format!("multipart/related; boundary={boundary}");
            self.http.post(&url).header(CONTENT_TYPE, kind).header(CONTENT_LENGTH, length).body(body)
        })
        .await
    }

    /// Makes one object of several, in order: at once, and without their bytes passing here. They stay.
    pub(super) async fn compose(&self, sources: &[Stored], target: &NewObject<'_>) -> Result<Stored> {
        let sources: Vec<_> =
            sources.iter().map(|one| json!({"name": one.name, "generation": one.generation})).collect();
        let asked = json!({
            "sourceObjects": sources,
            "destination": {"contentType": target.content_type, "metadata": target.metadata},
        });
        let url = format!("{}/compose?{}", self.object(target.name), target.condition());
        self.send(|| self.http.post(&url).header(CONTENT_TYPE, "application/json").body(asked.to_string())).await
    }

    /// Everything whose name begins so.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let next = token.take().map(|token| format!("&pageToken={}", encoded(&token))).unwrap_or_default();
            let url = format!("{}/storage/v1/b/{}/o?prefix={}{next}", self.base, self.bucket, encoded(prefix));
            let page: Page = self.send(|| self.http.get(&url)).await?;
            found.extend(page.items);
            token = page.next_page_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Removes this version for good, also where the bucket keeps old ones.
    pub(super) async fn delete(&self, stored: &Stored) -> Result<()> {
        let url = format!("{}?generation={}", self.object(&stored.name), stored.generation);
        self.ask(|| self.http.delete(&url)).await.map(drop)
    }

    /// Removes what has this name, if it is still of this generation; [`Error::Exists`] if it is another.
    pub(in crate::storage::cloud) async fn delete_current(&self, name: &str, generation: &str) -> Result<()> {
        let url = format!("{}?ifGenerationMatch={}", self.object(name), encoded(generation));
        self.ask(|| self.http.delete(&url)).await.map(drop)
    }

    fn object(&self, name: &str) -> String {
        format!("{}/storage/v1/b/{}/o/{}", self.base, self.bucket, encoded(name))
    }

    async fn send<T: DeserializeOwned>(&self, request: impl Fn() -> RequestBuilder + Sync) -> Result<T> {
        let text = self.ask(request).await?;
        serde_json::from_str(&text).map_err(|error| self.protocol(format!("the answer cannot be read: {error}")))
    }

    async fn ask(&self, request: impl Fn() -> RequestBuilder + Sync) -> Result<String> {
        let retry = ExponentialBuilder::default().with_min_delay(PAUSE).with_max_times(RETRIES);
        let retry = retry.with_total_delay(Some(self.patience)).with_jitter();
        let once = || self.once(request());
        once.retry(retry).sleep(tokio::time::sleep).when(Error::is_transient).await
    }

    async fn once(&self, request: RequestBuilder) -> Result<String> {
        let request = match &self.credentials {
            Some(credentials) => request.bearer_auth(self.credential(credentials).await?),
            None => request,
        };
        self.read(request.send().await.map_err(|error| self.unanswered(error))?).await
    }

    async fn credential(&self, credentials: &GcpCredentialProvider) -> Result<String> {
        let asked = CloudRequest { what: self.what.clone() };
        Ok(credentials.get_credential().await.map_err(|error| asked.failed(&error))?.bearer.clone())
    }

    async fn read(&self, mut answer: Response) -> Result<String> {
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unanswered(error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER {
                return Err(self.protocol("the answer has no end".to_owned()));
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let what = self.what.clone();
        let reason = || reason(&text).unwrap_or_else(|| format!("HTTP {status}"));
        match status.as_u16() {
            200..300 => Ok(text),
            401 | 403 => Err(Error::Refused { what, reason: reason() }),
            404 => Err(Error::NotFound { what }),
            409 | 412 => Err(Error::Exists { what }),
            status @ (408 | 429 | 500..) => Err(Error::Server { what, status, reason: reason() }),
            _ => Err(self.protocol(reason())),
        }
    }

    fn protocol(&self, reason: String) -> Error {
        Error::Protocol { what: self.what.clone(), reason }
    }

    fn unanswered(&self, error: reqwest::Error) -> Error {
        let (what, connecting) = (self.what.clone(), error.is_connect());
        let url = error.url().map(ToString::to_string).filter(|_| connecting);
        let source = cause_on_way(url.as_deref(), &error.without_url());
        if connecting { Error::Unreachable { what, source } } else { Error::Stalled { what, source } }
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api({})", self.what)
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// What Google says is wrong, in one line.
fn reason(text: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(text).ok()?;
    let message = answer.pointer("/error/message")?.as_str()?;
    Some(redact(message.lines().next().unwrap_or_default()))
}
