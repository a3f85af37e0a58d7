//! Requests to S3 that `object_store` has no call for, signed by its signer and sent by a client of our own.

use std::{ops::Range, sync::Arc, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, HeaderValue, Method};
use object_store::{
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Response};

use super::{
    super::{
        Pinned, Settings, Sums,
        error::{Error, Result, cause_on_way, redact},
        location::Bucket,
    },
    client::{RETRIES, client_of_ours},
    failure::{CloudRequest, element},
};

/// How long a signature is good for: as long as the slowest request may take.
const GOOD_FOR: Duration = Duration::from_mins(15);

/// What stays as it is in the name of a copy's source; S3's "URI encoding", but for the slash.
const KEPT: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Bytes of an answer that are read: a few elements.
const ANSWER: usize = 64 << 10;

/// Signs and sends.
#[derive(Clone)]
pub(super) struct Signed {
    signer: Arc<dyn Signer>,
    http: Client,
    patience: Duration,
    what: String,
}

impl Signed {
    pub(super) fn new(signer: Arc<dyn Signer>, what: String, settings: &Settings) -> Result<Self> {
        let http = client_of_ours(settings, &what)?;
        Ok(Self { signer, http, patience: settings.patience, what })
    }

    /// `UploadPartCopy`: S3 takes `range` of `source` as part `number` of `upload`. The id of the part.
    pub(super) async fn copy_part(
        &self,
        path: &Path,
        upload: &str,
        number: u32,
        source: (&Bucket, &Pinned),
        range: &Range<u64>,
        sums: &Sums,
    ) -> Result<String> {
        let (bucket, pinned) = source;
        let query =
            [("partNumber".to_owned(), (u64::from(number) + 1).to_string()), ("uploadId".to_owned(), upload.into())];
        let from = format!("/{}/{}", bucket.bucket, utf8_percent_encode(&bucket.key, &KEPT));
        let headers = [
            ("x-amz-copy-source", from),
            ("x-amz-copy-source-if-match", pinned.stat().version.to_string()),
            ("x-amz-copy-source-range", format!("bytes={}-{}", range.start, range.end.saturating_sub(1))),
        ];
        let answer = self.send(Method::PUT, path, &query, &headers).await.map_err(|error| match error {
            Error::Exists { .. } => Error::Changed { what: pinned.object().location().to_string() },
            error => error,
        })?;
        let protocol = |reason: &str| Error::Protocol { what: self.what.clone(), reason: reason.to_owned() };
        // Errors may come under the status 200, for a copy can take long.
        let tag = element(&answer.text, "ETag").ok_or_else(|| protocol("the answer to a copied part has no ETag"))?;
        let tag = tag.replace("&quot;", "\"").replace("&#34;", "\"");
        // Of a part that is stored plainly the tag is its MD5, as hex.
        let is_md5 = |tag: &str| tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ours = format!("{:032x}", u128::from_be_bytes(sums.md5));
        let theirs = element(&answer.text, "ChecksumSHA256");
        let same = match theirs {
            Some(theirs) => theirs == BASE64_STANDARD.encode(sums.sha256.raw()),
            None => !is_md5(tag.trim_matches('"')) || tag.trim_matches('"').eq_ignore_ascii_case(&ours),
        };
        if same { Ok(tag) } else { Err(protocol("the part that was copied is not what was asked for")) }
    }

    /// S3's own SHA-256 of the object: of the parts' SHA-256, one after the other. `None` where it has none.
    pub(super) async fn sha256(&self, path: &Path) -> Result<Option<String>> {
        let answer = self.send(Method::HEAD, path, &[], &[("x-amz-checksum-mode", "ENABLED".to_owned())]).await?;
        // Behind it stands the number of parts.
        let sum = answer.checksum.map(|sum| sum.split_once('-').map_or(sum.clone(), |(sum, _)| sum.to_owned()));
        Ok(sum)
    }

    async fn send(
        &self,
        method: Method,
        path: &Path,
        query: &[(String, String)],
        headers: &[(&'static str, String)],
    ) -> Result<SignedAnswer> {
        let retry =
            ExponentialBuilder::default().with_max_times(RETRIES).with_total_delay(Some(self.patience)).with_jitter();
        let once = || self.once(method.clone(), path, query, headers);
        once.retry(retry).sleep(tokio::time::sleep).when(Error::is_transient).await
    }

    async fn once(
        &self,
        method: Method,
        path: &Path,
        query: &[(String, String)],
        headers: &[(&'static str, String)],
    ) -> Result<SignedAnswer> {
        let asked = CloudRequest { what: self.what.clone() };
        let mut options = SignedUrlOptions::default().with_query(query.iter().cloned());
        let mut request = http::HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::try_from(value).map_err(|_| self.unsendable())?;
            let name = HeaderName::from_static(name);
            options = options.with_signed_header(name.clone(), value.clone());
            request.insert(name, value);
        }
        let url = self.signer.signed_url_opts(method.clone(), path, GOOD_FOR, &options).await;
        let url = url.map_err(|error| asked.failed(&error))?;
        let sent = self.http.request(method, url).headers(request).header("content-length", "0").send().await;
        let answer = sent.map_err(|error| self.unanswered(error))?;
        self.read(answer).await
    }

    async fn read(&self, answer: Response) -> Result<SignedAnswer> {
        let status = answer.status();
        let checksum = answer.headers().get("x-amz-checksum-sha256").and_then(|value| value.to_str().ok());
        let checksum = checksum.map(str::to_owned);
        let mut answer = answer;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unanswered(error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER {
                break;
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let what = self.what.clone();
        let code = element(&text, "Code").unwrap_or_default();
        let reason = match element(&text, "Message") {
            Some(message) => redact(&format!("{code}: {message}")),
            None => format!("HTTP {status}"),
        };
        match status.as_u16() {
            200..300 if element(&text, "Error").is_some() || !code.is_empty() => {
                Err(Error::Server { what, status: status.as_u16(), reason })
            }
            200..300 => Ok(SignedAnswer { text, checksum }),
            401 | 403 => Err(Error::Refused { what, reason }),
            404 => Err(Error::NotFound { what }),
            409 | 412 => Err(Error::Exists { what }),
            status @ (408 | 429 | 500..) => Err(Error::Server { what, status, reason }),
            _ => Err(Error::Protocol { what, reason }),
        }
    }

    fn unsendable(&self) -> Error {
        Error::Protocol { what: self.what.clone(), reason: "the name of the source cannot be sent".to_owned() }
    }

    fn unanswered(&self, error: reqwest::Error) -> Error {
        let (what, connecting) = (self.what.clone(), error.is_connect());
        let url = error.url().map(ToString::to_string).filter(|_| connecting);
        let source = cause_on_way(url.as_deref(), &error.without_url());
        if connecting { Error::Unreachable { what, source } } else { Error::Stalled { what, source } }
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({})", self.what)
    }
}

/// What is looked at in an answer.
struct SignedAnswer {
    text: String,
    checksum: Option<String>,
}
