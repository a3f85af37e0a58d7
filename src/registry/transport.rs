//! One call: where it goes, by which connection, with which authorization, and along which redirects.

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use reqwest::{
    Body, ClientBuilder, Identity, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION},
    redirect,
};
use url::Url;

use super::{
    answer::Answer,
    auth::{Auth, Grant, credentials::Keychain},
    endpoint::Endpoints,
    error::{At, Error},
    head::Courtesies,
    learnt::Learnt,
    limit::{Load, RequestLimits},
    policy::{self, Guard, NamedHosts},
    redact::{Redacted, Secrets},
    retry::{GivenUpAddresses, Waits},
    settings::Settings,
};
use crate::content::{client, proxies, trust::Trust};

/// Redirects followed for one call; storage behind a registry needs one, a mirror in front of it another.
const MAX_HOPS: usize = 5;

/// What a call carries.
#[derive(Clone)]
pub(super) enum Payload {
    /// Nothing.
    None,
    /// A document.
    Document(Bytes),
}

/// A call to make, as often as it takes.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
    /// Which registry may see our authorization, and what for; `None` for strangers.
    pub(super) grant: Option<Grant>,
    pub(super) at: At,
    /// How long the head of the answer may take.
    pub(super) patience: Duration,
}

/// Connections by who is at their other end. Each is built when it is first needed.
#[derive(Default)]
struct Clients {
    /// Hosts that the person named.
    named: OnceLock<reqwest::Client>,
    /// Loopback: never through a proxy.
    loopback: OnceLock<reqwest::Client>,
    /// Hosts that a registry named: strict TLS, without our identity, never to inner addresses.
    strangers: OnceLock<reqwest::Client>,
}

/// What all calls share.
pub(super) struct Transport {
    pub(super) settings: Settings,
    pub(super) named: NamedHosts,
    pub(super) endpoints: Endpoints,
    pub(super) learnt: Learnt,
    pub(super) secrets: Arc<Secrets>,
    pub(super) courtesies: Courtesies,
    pub(super) given_up: GivenUpAddresses,
    limits: RequestLimits,
    clients: Clients,
    pub(super) auth: Auth,
    trust: Trust,
    /// Our certificate chain and key, as PEM.
    identity: Option<Vec<u8>>,
}

impl Transport {
    pub(super) fn new(settings: Settings) -> Result<Self, Error> {
        let named = NamedHosts::default();
        for host in settings.named_hosts.iter().chain(&settings.plain_http) {
            named.add(host);
        }
        let mut trust = Trust::default();
        for path in &settings.ca_certs {
            if !trust.add(&read(path)?) {
                return Err(Error::File { path: path.clone(), reason: "holds no PEM certificate".to_owned() });
            }
        }
        let identity = settings.client_identity.as_ref().map(|(chain, key)| identity(chain, key)).transpose()?;
        Ok(Self {
            named,
            endpoints: Endpoints::default(),
            learnt: Learnt::default(),
            secrets: Arc::default(),
            courtesies: Courtesies::default(),
            given_up: GivenUpAddresses::default(),
            limits: RequestLimits::new(settings.requests),
            clients: Clients::default(),
            auth: Auth::new(Keychain::from_environment(settings.authfile.as_deref())),
            settings,
            trust,
            identity,
        })
    }

    /// The waits between the tries of one call.
    pub(super) fn waits(&self) -> Waits {
        self.settings.retry.waits(&self.given_up)
    }

    fn answer(&self, response: reqwest::Response, url: Url, at: At) -> Answer {
        if !response.status().is_server_error() {
            self.given_up.remove(at.address());
        }
        Answer::new(response, url, at, Arc::clone(&self.secrets), self.settings.retry.document)
    }

    /// Makes the call once, with authorization where it belongs, following redirects. The answer may have any status.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let Call { method, mut url, mut headers, payload, mut grant, at, patience } = call;
        let own = grant.as_ref().map_or_else(|| origin(&url), |grant| grant.origin.clone());
        let mut rejected = None;
        let mut was_challenged = false;
        for _ in 0..=MAX_HOPS {
            let at = at.by_way_of(&url, &own);
            let sent = match &grant {
                Some(grant) if grant.origin == origin(&url) => {
                    self.authorization(grant, rejected.as_ref(), &at).await?
                }
                _ => None,
            };
            let mut request = self.client_for(&url)?.request(method.clone(), url.clone()).headers(headers.clone());
            request = match &payload {
                Payload::None if is_write(&method) => request.header(CONTENT_LENGTH, 0),
                Payload::None => request,
                Payload::Document(bytes) => request.body(bytes.clone()),
            };
            if let Some(authorization) = sent.as_ref().or_else(|| headers.get(AUTHORIZATION)) {
                self.secrets.keep_authorization(authorization);
            }
            if let Some(authorization) = &sent {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            let answer = self
                .placed(&url, tokio::time::timeout(patience, request.send()))
                .await
                .map_err(|_| Error::Stalled { at: at.clone(), waited: patience, bytes: 0 })?
                .map_err(|error| Error::transport(at.clone(), error, patience).by_way_of(|| self.proxy(&url)))
                .map_err(|error| error.without_http(&url))?;
            if answer.status() == StatusCode::UNAUTHORIZED
                && let Some(grant) = grant.as_ref().filter(|grant| grant.origin == origin(&url))
            {
                let answer = self.answer(answer, url.clone(), at.clone());
                self.challenged(grant, sent.as_ref(), was_challenged, answer).await?;
                (was_challenged, rejected) = (true, sent);
                continue;
            }
            let Some(next) = redirect_target(&answer) else { return Ok(self.answer(answer, url, at)) };
            let next = next.map_err(|reason| Error::Protocol { at: at.clone(), reason })?;
            let next = Some(restored(&next, &url, false)).filter(|restored| *restored != url).unwrap_or(next);
            self.check(&next, &url, &at)?;
            if origin(&next) != origin(&url) {
                if is_write(&method) {
                    let reason = format!("a write is redirected to another host, {}", Redacted::new(&next));
                    return Err(Error::Protocol { at, reason });
                }
                // For good: who leads away could also lead back. Another registry may want a token as everybody gets it.
                grant = grant.map(|_| Grant::guest(&next));
                (rejected, was_challenged) = (None, false);
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(Error::Protocol { at, reason: format!("more than {MAX_HOPS} redirects") })
    }

    /// Makes a request once there is a place for it at its host.
    async fn placed<E>(
        &self,
        url: &Url,
        request: impl Future<Output = Result<Result<reqwest::Response, reqwest::Error>, E>>,
    ) -> Result<Result<reqwest::Response, reqwest::Error>, E> {
        let place = self.limits.of(&url.origin()).enter().await;
        let answered = request.await;
        let is_fine =
            answered.as_ref().is_ok_and(|answer| answer.as_ref().is_ok_and(|answer| !is_overload(answer.status())));
        place.leave(if is_fine { Load::Fine } else { Load::TooMuch });
        answered
    }

    /// Makes the call once with content on its way, which cannot be sent again: no redirects and no patience here. An
    /// answer 401 means that the token ran out; the call by which the caller asks how far it got brings a new one.
    pub(super) async fn send_content(&self, call: Call, body: Body, length: u64) -> Result<Answer, Error> {
        let Call { method, url, headers, grant, at, .. } = call;
        let at = grant.as_ref().map_or_else(|| at.clone(), |grant| at.by_way_of(&url, &grant.origin));
        let mut request = self.client_for(&url)?.request(method, url.clone()).headers(headers);
        let failed = |error| Error::transport(at.clone(), error, Duration::ZERO).by_way_of(|| self.proxy(&url));
        if let Some(grant) = grant.filter(|grant| grant.origin == origin(&url))
            && let Some(authorization) = self.authorization(&grant, None, &at).await?
        {
            self.secrets.keep_authorization(&authorization);
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.header(CONTENT_LENGTH, length).body(body);
        let answer = request.send().await.map_err(failed)?;
        Ok(self.answer(answer, url, at))
    }

    /// Where the `Location` of an answer leads, if we go there.
    pub(super) fn follow(&self, answer: &Answer, what: &str) -> Result<Url, Error> {
        let next = location(answer.headers(), &answer.url, what);
        let next = next.map_err(|reason| Error::Protocol { at: answer.at.clone(), reason })?;
        let next = restored(&next, &answer.url, true);
        self.check(&next, &answer.url, &answer.at)?;
        Ok(next)
    }

    /// Whether we go to `next`, which the answer of `from` names.
    pub(super) fn check(&self, next: &Url, from: &Url, at: &At) -> Result<(), Error> {
        let downgrade = || {
            let plain = self.is_plain(next) || policy::is_loopback(next);
            (from.scheme() == "https" && next.scheme() == "http" && !plain).then(|| "without TLS".to_owned())
        };
        match policy::objection(next, &self.named).or_else(downgrade) {
            Some(reason) => Err(Error::Policy { at: at.clone(), url: Redacted::new(next), reason }),
            None => Ok(()),
        }
    }

    /// Whether the person wants this host to be spoken to without TLS.
    pub(super) fn is_plain(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        self.settings.plain_http.iter().any(|plain| {
            plain == host || Some(plain.as_str()) == url.port().map(|port| format!("{host}:{port}")).as_deref()
        })
    }

    /// The proxy through which `url` is reached.
    fn proxy(&self, url: &Url) -> Option<String> {
        let direct = policy::is_loopback(url) && url.host_str().is_some_and(|host| self.named.has(host));
        if direct { None } else { proxies::on_the_way_to(url.as_str()) }
    }

    fn client_for(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        let is_named = url.host_str().is_some_and(|host| self.named.has(host));
        let is_loopback = policy::is_loopback(url);
        let slot = match (is_named, is_loopback) {
            (true, true) => &self.clients.loopback,
            (true, false) => &self.clients.named,
            (false, _) => &self.clients.strangers,
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        if !(is_named && is_loopback) {
            proxies::check()?;
        }
        let builder = match (is_named, is_loopback) {
            (true, true) => self.own_builder()?.no_proxy(),
            (true, false) => self.own_builder()?,
            (false, _) => {
                let strict = client::builder(&self.trust, None).map_err(Error::Trust)?;
                self.with_habits(strict).dns_resolver(Guard::new(&self.named))
            }
        };
        let client = builder.build().map_err(Error::Setup)?;
        Ok(slot.get_or_init(|| client))
    }

    fn own_builder(&self) -> Result<ClientBuilder, Error> {
        if !self.settings.insecure {
            let verifying = client::builder(&self.trust, self.identity.as_deref()).map_err(Error::Trust)?;
            return Ok(self.with_habits(verifying));
        }
        let builder = self.with_habits(client::builder_without_verification());
        match &self.identity {
            Some(pem) => Ok(builder.identity(Identity::from_pem(pem).map_err(Error::Setup)?)),
            None => Ok(builder),
        }
    }

    fn with_habits(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
            .user_agent(concat!("airlift/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // One HTTP/2 connection is slower than several of HTTP/1.1 for a few large bodies, and costs more CPU.
            .http1_only()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(self.settings.requests)
            .connect_timeout(self.settings.retry.connect)
    }
}

/// Whether an answer means that there are more requests than the host copes with.
fn is_overload(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

fn is_write(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// `next`, which an answer of `asked` names, at the address by which the registry was reached: one behind a proxy often
/// does not know of TLS, or of the port, and names itself without. The host must be the same. `upgrades` says whether a
/// change to TLS is such a slip, too, and not meant.
fn restored(next: &Url, asked: &Url, upgrades: bool) -> Url {
    let is_same_host = next.host_str() == asked.host_str();
    let is_same_port = next.port() == asked.port();
    let downgrades = asked.scheme() == "https" && next.scheme() == "http" && (is_same_port || next.port().is_none());
    let lost_its_port = next.port().is_none() && asked.port().is_some() && next.path().starts_with("/v2/");
    let is_own = downgrades || lost_its_port && (upgrades || next.scheme() == asked.scheme());
    if !is_same_host || !is_own {
        return next.clone();
    }
    let mut own = asked.clone();
    own.set_path(next.path());
    own.set_query(next.query());
    own.set_fragment(None);
    own
}

/// Where a redirect leads; `None` if the answer is none.
fn redirect_target(answer: &reqwest::Response) -> Option<Result<Url, String>> {
    let redirects = matches!(
        answer.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    redirects.then(|| location(answer.headers(), answer.url(), "a redirect"))
}

/// The `Location` of an answer to `asked`, absolute or relative.
pub(super) fn location(headers: &HeaderMap, asked: &Url, what: &str) -> Result<Url, String> {
    let text = headers.get(LOCATION).ok_or_else(|| format!("{what} without a Location"))?;
    let text = text.to_str().map_err(|_| format!("{what} with a Location that is not text"))?;
    asked.join(text).map_err(|error| format!("{what} with a Location that is no URL: {error}"))
}

/// Scheme, host and port: what authorization is bound to.
pub(super) type WebOrigin = (String, Option<String>, Option<u16>);

/// The origin of a URL.
pub(super) fn origin(url: &Url) -> WebOrigin {
    (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
}

/// `host[:port]` of a URL.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl At {
    /// Itself, with the host of `url` where that is not of the `own` origin.
    fn by_way_of(&self, url: &Url, own: &WebOrigin) -> Self {
        let via = if origin(url) == *own { self.via.clone() } else { Some(authority(url)) };
        Self { via, ..self.clone() }
    }
}

/// A header's value from text of ours.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::File { path: path.to_owned(), reason: error.to_string() })
}

fn file(path: &Path, error: &reqwest::Error) -> Error {
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Error::File { path: path.to_owned(), reason }
}

fn identity(chain: &Path, key: &Path) -> Result<Vec<u8>, Error> {
    let mut pem = read(chain)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    Identity::from_pem(&pem).map_err(|error| file(key, &error))?;
    Ok(pem)
}
