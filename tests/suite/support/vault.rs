//! A key vault and the endpoint of managed identities, as Azure documents them: REST over TLS with an authority of its
//! own, a challenge before the first answer, tokens that only the identity endpoint gives out.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, ToSpan};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::{Airlift, tls};

/// What the identity endpoint wants to see of whoever asks it.
pub(crate) const HEADER: &str = "identity-header-CANARY";

/// The token that it gives out, and that the vault wants.
pub(crate) const TOKEN: &str = "bearer-token-CANARY";

/// A secret, and what the vault says of it.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) value: String,
    pub(crate) enabled: bool,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) begins: Option<Timestamp>,
}

impl Kept {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), enabled: true, expires: None, begins: None }
    }
}

/// What a test of pipelines needs of a vault, whoever plays it.
pub(crate) trait Keeper {
    /// Keeps a secret under a name; another one of that name becomes an old version.
    fn keep(&self, name: &str, secret: Kept);

    /// The reference to a secret.
    fn reference(&self, name: &str) -> String;

    /// PEM of the authority of its certificate.
    fn authority(&self) -> PathBuf;

    /// Gives `airlift` a managed identity that the vault knows.
    fn identify(&self, airlift: &mut Airlift);

    /// What must be seen nowhere: tokens, and what they are got with.
    fn secrets(&self) -> Vec<String>;
}

/// A running vault.
pub(crate) struct Vault {
    folder: TempDir,
    secrets: SocketAddr,
    identity: SocketAddr,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct State {
    /// The versions of each secret that are still to be given out; the last one stays.
    secrets: Mutex<HashMap<String, VecDeque<Kept>>>,
    /// Whether the identity has lost its right.
    refuses: Mutex<bool>,
    /// The one client id that tokens are given to, if it matters.
    client: Mutex<Option<String>>,
    /// What the challenge says the token is to be for.
    resource: Mutex<Option<String>>,
    asked: Mutex<Vec<String>>,
}

impl Vault {
    /// Starts it on free ports, empty.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("airlift-vault-").unwrap();
        tls::write(folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(State::default());
        let (vault, identity) = runtime.block_on(async {
            let (vault, identity) = (listen().await, listen().await);
            let addresses = (vault.local_addr().unwrap(), identity.local_addr().unwrap());
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server(folder.path())));
            let (of_vault, of_identity) = (Arc::clone(&state), Arc::clone(&state));
            tokio::spawn(async move {
                while let Ok((stream, _)) = vault.accept().await {
                    let (acceptor, state) = (acceptor.clone(), Arc::clone(&of_vault));
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            answer(TokioIo::new(stream), move |request| state.vault(request)).await;
                        }
                    });
                }
            });
            tokio::spawn(async move {
                while let Ok((stream, _)) = identity.accept().await {
                    let state = Arc::clone(&of_identity);
                    tokio::spawn(answer(TokioIo::<TcpStream>::new(stream), move |request| state.identity(request)));
                }
            });
            addresses
        });
        Self { folder, secrets: vault, identity, state, _runtime: runtime }
    }

    /// Keeps another secret under the name once the one that is there was asked for.
    pub(crate) fn then(&self, name: &str, secret: Kept) {
        lock(&self.state.secrets).entry(name.to_owned()).or_default().push_back(secret);
    }

    /// Says no from now on, or yes again.
    pub(crate) fn refuse(&self, refuses: bool) {
        *lock(&self.state.refuses) = refuses;
    }

    /// Gives tokens to this user-assigned identity only.
    pub(crate) fn only_for(&self, client: &str) {
        *lock(&self.state.client) = Some(client.to_owned());
    }

    /// Asks for tokens for something else than vaults.
    pub(crate) fn ask_for(&self, resource: &str) {
        *lock(&self.state.resource) = Some(resource.to_owned());
    }

    /// The variables by which a machine with a managed identity knows its endpoint.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        let endpoint = format!("http://{}/metadata/identity/oauth2/token", self.identity);
        [("IDENTITY_ENDPOINT", endpoint), ("IDENTITY_HEADER", HEADER.to_owned())]
    }

    /// `identity` and `vault NAME`, for each request that was let in.
    pub(crate) fn asked(&self) -> Vec<String> {
        lock(&self.state.asked).clone()
    }

    /// How often the vault was asked for a secret, by whoever may.
    pub(crate) fn fetches(&self) -> usize {
        self.asked().iter().filter(|asked| asked.starts_with("vault")).count()
    }
}

impl Keeper for Vault {
    fn keep(&self, name: &str, secret: Kept) {
        lock(&self.state.secrets).insert(name.to_owned(), VecDeque::from([secret]));
    }

    fn reference(&self, name: &str) -> String {
        format!("https://{}/secrets/{name}", self.secrets)
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn identify(&self, airlift: &mut Airlift) {
        for (name, value) in self.variables() {
            airlift.set(name, value);
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned(), HEADER.to_owned()]
    }
}

impl State {
    fn identity(&self, request: &Request<Incoming>) -> (u16, Value) {
        if request.headers().get("x-identity-header").is_none_or(|header| header != HEADER) {
            return (401, json!({ "error": "no identity header" }));
        }
        let query = request.uri().query().unwrap_or_default();
        let fields: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let client = lock(&self.client).clone();
        if client.is_some() && fields.get("client_id") != client.as_ref() {
            return (400, json!({ "error": "invalid_request", "error_description": "no such identity" }));
        }
        lock(&self.asked).push(format!("identity {}", fields.get("resource").map_or("", String::as_str)));
        let end = (Timestamp::now() + 1.hour()).as_second();
        let answer = json!({
            "access_token": TOKEN, "expires_on": end.to_string(), "resource": fields.get("resource"), "token_type": "Bearer",
        });
        (200, answer)
    }

    fn vault(&self, request: &Request<Incoming>) -> (u16, Value) {
        let error = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } });
        let bearer = format!("Bearer {TOKEN}");
        let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if shown != Some(&bearer) {
            let mut challenge = error("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.");
            let resource = lock(&self.resource).clone();
            challenge["resource"] = json!(resource.unwrap_or_else(|| "https://vault.azure.net".to_owned()));
            return (401, challenge);
        }
        if *lock(&self.refuses) {
            let message = "Caller is not authorized to perform action on resource. Action: getSecret/action";
            return (403, error("Forbidden", message));
        }
        let mut parts = request.uri().path().trim_matches('/').split('/');
        let (Some("secrets"), Some(name)) = (parts.next(), parts.next()) else {
            return (400, error("BadParameter", "no such path"));
        };
        let next = |versions: &mut VecDeque<Kept>| {
            if versions.len() > 1 { versions.pop_front() } else { versions.front().cloned() }
        };
        let Some(secret) = lock(&self.secrets).get_mut(name).and_then(next) else {
            let message = format!("A secret with (name/id) {name} was not found in this key vault.");
            return (404, error("SecretNotFound", &message));
        };
        if !secret.enabled {
            let mut answer = error("Forbidden", "Operation get is not allowed on a disabled secret.");
            answer["error"]["innererror"] = json!({ "code": "SecretDisabled" });
            return (403, answer);
        }
        lock(&self.asked).push(format!("vault {name}"));
        let mut attributes = json!({ "enabled": true, "created": 1_700_000_000, "updated": 1_700_000_000 });
        for (key, at) in [("exp", secret.expires), ("nbf", secret.begins)] {
            if let Some(at) = at {
                attributes[key] = json!(at.as_second());
            }
        }
        (
            200,
            json!({ "value": secret.value, "id": format!("https://vault/secrets/{name}/1"), "attributes": attributes }),
        )
    }
}

pub(super) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(super) fn server(folder: &Path) -> rustls::ServerConfig {
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let chain = CertificateDer::pem_slice_iter(&read("server.pem")).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&read("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

async fn answer<S>(stream: S, respond: impl Fn(&Request<Incoming>) -> (u16, Value))
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (status, body) = respond(&request);
        async move {
            let answer = Response::builder().status(status).header("content-type", "application/json");
            let answer = if status == 401 {
                // Said in the header only, as the real one has it.
                let resource = body["resource"].as_str().unwrap_or_default();
                let authority = "https://login.microsoftonline.com/tenant";
                answer.header(
                    "www-authenticate",
                    format!("Bearer authorization=\"{authority}\", resource=\"{resource}\""),
                )
            } else {
                answer
            };
            answer.body(Full::new(Bytes::from(body.to_string())))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
