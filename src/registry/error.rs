//! Everything that can go wrong with a registry, each with its token.

use std::{fmt, path::PathBuf, time::Duration};

use url::Url;

use crate::{
    content::{self, Code, Fault, UnusableProxy, proxies},
    oci::{Digest, ManifestError},
};

use super::{detail::Detail, redact::Redacted};

/// Where something happened and what was being done: `host/repository: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The registry as the person wrote it.
    pub registry: String,
    /// The repository, where one is concerned.
    pub repository: Option<String>,
    /// What was being done: "blob sha256:…", "manifest v1", "login".
    pub what: String,
    /// The host that was asked, where it is not the registry itself: a token service, a storage, an upload location.
    pub via: Option<String>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.registry)?;
        if let Some(repository) = &self.repository {
            write!(f, "/{repository}")?;
        }
        write!(f, ": {}", self.what)?;
        match &self.via {
            Some(via) if !self.what.contains(via.as_str()) => write!(f, " (at {via})"),
            _ => Ok(()),
        }
    }
}

/// Why a registry could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no connection: unknown host, refused, cut before an answer.
    #[error("{at}: no connection to the registry{}", proxies::told(via.as_deref()))]
    Unreachable {
        /// Where and what.
        at: At,
        /// The proxy that the call went to, without its password.
        via: Option<String>,
        /// The transport's reason, without URL.
        source: reqwest::Error,
    },
    /// The connection broke while content was on its way.
    #[error("{at}: the connection broke after {bytes} bytes")]
    Broken {
        /// Where and what.
        at: At,
        /// Bytes that had passed.
        bytes: u64,
        /// The transport's reason, without URL; absent where the other side just closed.
        source: Option<reqwest::Error>,
    },
    /// TLS failed.
    #[error("{at}: no trusted TLS connection")]
    Tls {
        /// Where and what.
        at: At,
        /// Unknown authority, wrong name, expired.
        source: reqwest::Error,
    },
    /// No answer, or bytes came slower than the minimum rate.
    #[error("{at}: nothing usable came within {} seconds ({bytes} bytes)", waited.as_secs_f32())]
    Stalled {
        /// Where and what.
        at: At,
        /// How long was waited.
        waited: Duration,
        /// Bytes that came in that time.
        bytes: u64,
    },
    /// 401 after everything was tried.
    #[error("{at}: not authorised ({reason}){detail}")]
    Unauthorized {
        /// Where and what.
        at: At,
        /// Which credentials were tried.
        reason: String,
        /// The registry's words.
        detail: Detail,
    },
    /// Credentials are stored but cannot be used.
    #[error("{at}: the stored credentials cannot be used")]
    Credentials {
        /// Where and what.
        at: At,
        /// Why not.
        source: super::credentials::Error,
    },
    /// 403.
    #[error("{at}: access denied{detail}")]
    Denied {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// A definite 404.
    #[error("{at}: not found{detail}")]
    NotFound {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// 429.
    #[error("{at}: the registry limits the rate of requests{}{detail}", asked(*after))]
    RateLimited {
        /// Where and what.
        at: At,
        /// How long it asks to wait.
        after: Option<Duration>,
        /// The registry's words.
        detail: Detail,
    },
    /// 5xx.
    #[error("{at}: the registry failed with status {status}{detail}")]
    Server {
        /// Where and what.
        at: At,
        /// HTTP status.
        status: u16,
        /// How long it asks to wait.
        after: Option<Duration>,
        /// The registry's words.
        detail: Detail,
    },
    /// An answer that the specification does not allow.
    #[error("{at}: {reason}")]
    Protocol {
        /// Where and what.
        at: At,
        /// What is wrong with it.
        reason: String,
    },
    /// A page for people in the place of a registry's answer: a captive portal, a proxy, a wrong address.
    #[error("{at}: a web page came instead of the registry's answer{detail}")]
    WebPage {
        /// Where and what.
        at: At,
        /// The page's title.
        detail: Detail,
    },
    /// An address that the registry sent us to and that we do not go to.
    #[error("{at}: the registry leads to {url}, {reason}")]
    Policy {
        /// Where and what.
        at: At,
        /// The address.
        url: Redacted,
        /// Why not.
        reason: String,
    },
    /// Any other refusal.
    #[error("{at}: refused with status {status}{detail}")]
    Refused {
        /// Where and what.
        at: At,
        /// HTTP status.
        status: u16,
        /// The registry's words.
        detail: Detail,
    },
    /// The registry does not take a manifest whose layers have `urls`.
    #[error(
        "{at}: the registry refuses a manifest with foreign layers{detail}; allow their addresses there \
         (distribution: validation.manifests.urls.allow) or rewrite the manifest"
    )]
    ForeignRefused {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// The registry does not take an index of which some manifests are absent.
    #[error("{at}: the registry refuses an index with absent manifests{detail}")]
    SparseRefused {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// The registry took a tag and does not give back what it was given.
    #[error("{at}: the registry took it, but {}", found.map_or_else(
        || format!("does not have it: expected {expected}, got nothing"),
        |found| format!("has something else: expected {expected}, got {found}"),
    ))]
    NotStored {
        /// Where and what.
        at: At,
        /// The digest of what was put.
        expected: Digest,
        /// The digest of what is there.
        found: Option<Digest>,
    },
    /// 404 for a push: the repository must be created first.
    #[error("{at}: the repository does not exist, and the registry does not create it by a push{detail}")]
    NoRepository {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// The tag must not be written again.
    #[error("{at}: the registry does not let this tag be written again{detail}")]
    TagImmutable {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// The registry does not take a manifest with a subject or an artifact type.
    #[error(
        "{at}: the registry does not take artifacts of this kind{detail}; `import --no-referrers` leaves out what is attached"
    )]
    AttachedRefused {
        /// Where and what.
        at: At,
        /// The registry's words.
        detail: Detail,
    },
    /// 413, however small the chunks of an upload are.
    #[error("{at}: a proxy at {proxy} does not take a body of {bytes} bytes{detail}")]
    BodyLimit {
        /// Where and what.
        at: At,
        /// The address that answered.
        proxy: String,
        /// Size of the refused body.
        bytes: u64,
        /// The proxy's words.
        detail: Detail,
    },
    /// No token could be had, with all patience.
    #[error("{at}: no token from the token service")]
    TokenService {
        /// Where and what.
        at: At,
        /// What happened there, with its address.
        source: Box<Error>,
    },
    /// The header and the bytes disagree.
    #[error("{at}: the registry claims the digest {claimed}, but the bytes have {actual}")]
    DigestHeader {
        /// Where and what.
        at: At,
        /// `Docker-Content-Digest`, as it came.
        claimed: String,
        /// Of the bytes.
        actual: Digest,
    },
    /// The bytes are others than were asked for.
    #[error("{at}: asked for {expected}, got bytes with the digest {actual}")]
    DigestMismatch {
        /// Where and what.
        at: At,
        /// Asked for.
        expected: Digest,
        /// Of the bytes.
        actual: Digest,
    },
    /// A document read whole is over its limit.
    #[error("{at}: larger than the limit of {limit} bytes")]
    TooLarge {
        /// Where and what.
        at: At,
        /// Bytes allowed.
        limit: u64,
    },
    /// A manifest is not one that can be carried.
    #[error("{at}: the manifest cannot be carried")]
    Manifest {
        /// Where and what.
        at: At,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The name of a registry or repository has no valid form.
    #[error("{at}: not the name of a registry and repository")]
    Name {
        /// Where and what.
        at: At,
    },
    /// A certificate or key given by the person cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A proxy that the environment names cannot be used.
    #[error(transparent)]
    Proxy(#[from] UnusableProxy),
    /// The certificates to trust, or our own, cannot be used.
    #[error("the certificates cannot be used")]
    Trust(#[source] rustls::Error),
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => Code::RegistryUnreachable,
            Self::Tls { .. } | Self::Trust(_) => Code::RegistryTls,
            Self::Stalled { .. } => Code::RegistryStalled,
            Self::Unauthorized { .. } => Code::RegistryUnauthorized,
            Self::Denied { .. } => Code::RegistryDenied,
            Self::Credentials { .. } => Code::RegistryCredentials,
            Self::NotFound { .. } => Code::RegistryNotFound,
            Self::RateLimited { .. } => Code::RegistryRateLimited,
            Self::Server { .. } => Code::RegistryServer,
            Self::Protocol { .. } | Self::WebPage { .. } => Code::RegistryProtocol,
            Self::Policy { .. } => Code::RegistryPolicy,
            Self::Refused { .. } => Code::RegistryRefused,
            Self::ForeignRefused { .. } => Code::RegistryForeignRefused,
            Self::SparseRefused { .. } => Code::RegistrySparseRefused,
            Self::NotStored { .. } => Code::RegistryNotStored,
            Self::NoRepository { .. } => Code::RegistryNoRepository,
            Self::TagImmutable { .. } => Code::RegistryTagImmutable,
            Self::AttachedRefused { .. } => Code::RegistryAttachedRefused,
            Self::BodyLimit { .. } => Code::RegistryBodyLimit,
            Self::TokenService { source, .. } => source.code(),
            Self::DigestHeader { .. } | Self::DigestMismatch { .. } => Code::ContentDigestMismatch,
            Self::TooLarge { .. } => Code::ContentTooLarge,
            Self::Manifest { source, .. } => source.code(),
            Self::Name { .. } => Code::UsageReference,
            Self::File { .. } => Code::UsageFile,
            Self::Proxy(error) => error.code(),
            Self::Setup(_) => Code::Internal,
        }
    }
}

impl From<Error> for content::Error {
    fn from(error: Error) -> Self {
        Self::place(error)
    }
}

impl Error {
    /// Whether the same call may succeed later.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Broken { .. }
                | Self::Stalled { .. }
                | Self::RateLimited { .. }
                | Self::Server { .. }
        )
    }

    /// Where an address, and not perhaps one document or blob of it, does not do its work.
    pub(super) const fn down(&self) -> Option<&At> {
        match self {
            Self::Unreachable { at, .. } | Self::Stalled { at, bytes: 0, .. } | Self::Server { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether the registry is well and only wants to be asked less.
    pub(super) const fn is_limit(&self) -> bool {
        matches!(self, Self::RateLimited { .. })
    }

    /// Whether there is no such host. The resolver's own type is not public; its words are.
    pub(super) fn is_unknown_host(&self) -> bool {
        let Self::Unreachable { source, .. } = self else { return false };
        std::iter::successors(Some(source as &dyn std::error::Error), |error| error.source())
            .any(|error| error.to_string().contains("dns error"))
    }

    /// How long the registry asks to wait.
    pub(super) const fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } | Self::Server { after, .. } => *after,
            _ => None,
        }
    }

    /// Puts a transport failure into its class. The URL, which may carry a signature, is dropped.
    pub(super) fn transport(at: At, source: reqwest::Error, waited: Duration) -> Self {
        let source = source.without_url();
        if tls_cause(&source).is_some() {
            return Self::Tls { at, source };
        }
        if source.is_timeout() && !source.is_connect() {
            return Self::Stalled { at, waited, bytes: 0 };
        }
        Self::Unreachable { at, via: None, source }
    }

    /// Itself, or what it means that the answer of a plain address was no HTTP: a server of TLS answers with an alert.
    pub(super) fn without_http(self, url: &Url) -> Self {
        match self {
            Self::Unreachable { at, source, .. } if url.scheme() == "http" && is_no_http(&source) => {
                let reason = "the answer is no HTTP; if the registry speaks TLS, leave out --plain-http".to_owned();
                Self::Protocol { at, reason }
            }
            error => error,
        }
    }

    /// With the proxy that was on the way, where that is what may have failed.
    pub(super) fn by_way_of(mut self, proxy: impl FnOnce() -> Option<String>) -> Self {
        if let Self::Unreachable { via, .. } = &mut self {
            *via = proxy();
        }
        self
    }
}

/// Whether the first bytes of the answer were no HTTP.
fn is_no_http(error: &reqwest::Error) -> bool {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
        .any(|error| error.downcast_ref().is_some_and(hyper::Error::is_parse))
}

/// The wait that a registry asks for, as a part of a sentence.
fn asked(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" and asks to wait {} s", after.as_secs()))
}

/// The TLS failure that is the cause, at whatever depth. It stands inside an `io::Error`, or two of them, which does not
/// show it as its source.
pub(super) fn tls_cause(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(each) = cause {
        if let Some(tls) = each.downcast_ref() {
            return Some(tls);
        }
        let inner = each.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => each.source(),
        };
    }
    None
}
