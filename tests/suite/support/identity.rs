//! Who gives tokens: the endpoint of managed identities and the one of an authority host, as Azure documents them. What they
//! give out are tokens (RFC 7519) that Azurite looks into: for whom, from whom, from when to when.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Airlift, tls,
    vault::{listen, lock, server},
};

/// What the endpoint of managed identities wants to see of whoever asks it.
pub(crate) const HEADER: &str = "identity-header-CANARY";

/// What a cluster gives a workload to prove who it is.
pub(crate) const ASSERTION: &str = "federated-assertion-CANARY";

/// The tenant of the workload's identity.
const TENANT: &str = "99999999-8888-7777-6666-555555555555";

/// The client id of the workload's identity.
pub(crate) const WORKLOAD: &str = "aaaaaaaa-1111-2222-3333-444444444444";

/// Seconds of an hour.
const HOUR: i64 = 3600;

/// What is wrong with the tokens, if anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flaw {
    #[default]
    None,
    /// They are for another service.
    Audience,
    /// Their time was over before they were given out.
    Ended,
}

/// The running endpoints.
pub(crate) struct Identity {
    folder: TempDir,
    managed: SocketAddr,
    authority: SocketAddr,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct State {
    flaw: Mutex<Flaw>,
    asked: Mutex<Vec<String>>,
}

type Fields = BTreeMap<String, String>;

impl Identity {
    /// Starts them on free ports, with an authority of certificates of their own.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("airlift-identity-").unwrap();
        tls::write(folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(State::default());
        let (managed, authority) = runtime.block_on(async {
            let (managed, authority) = (listen().await, listen().await);
            let addresses = (managed.local_addr().unwrap(), authority.local_addr().unwrap());
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server(folder.path())));
            let (of_managed, of_authority) = (Arc::clone(&state), Arc::clone(&state));
            tokio::spawn(async move {
                while let Ok((stream, _)) = managed.accept().await {
                    tokio::spawn(answer(TokioIo::new(stream), Arc::clone(&of_managed), State::managed));
                }
            });
            tokio::spawn(async move {
                while let Ok((stream, _)) = authority.accept().await {
                    let (acceptor, state) = (acceptor.clone(), Arc::clone(&of_authority));
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            answer(TokioIo::new(stream), state, State::authority).await;
                        }
                    });
                }
            });
            addresses
        });
        Self { folder, managed, authority, state, _runtime: runtime }
    }

    /// Where the certificates lie, as [`tls::write`] names them; other peers may show the same.
    pub(crate) fn certificates(&self) -> &Path {
        self.folder.path()
    }

    /// PEM of the authority of all certificates.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Gives out such tokens from now on.
    pub(crate) fn flawed(&self, flaw: Flaw) {
        *lock(&self.state.flaw) = flaw;
    }

    /// What was asked since the last time: `managed CLIENT RESOURCE` (`-` for the machine's own), `workload CLIENT SCOPE`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.state.asked))
    }

    /// The variables of a machine with managed identities.
    pub(crate) fn machine(&self, airlift: &mut Airlift) {
        airlift.set("IDENTITY_ENDPOINT", format!("http://{}/metadata/identity/oauth2/token", self.managed));
        airlift.set("IDENTITY_HEADER", HEADER);
    }

    /// The variables and the file of a workload in a cluster.
    pub(crate) fn workload(&self, airlift: &mut Airlift) {
        let file = airlift.home().join("federated-token");
        std::fs::write(&file, ASSERTION).unwrap();
        airlift.set("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap());
        airlift.set("AZURE_TENANT_ID", TENANT).set("AZURE_CLIENT_ID", WORKLOAD);
        airlift.set("AZURE_AUTHORITY_HOST", format!("https://{}/", self.authority));
    }

    /// What must be seen nowhere: of every token its first part and its last, and what tokens are got with.
    pub(crate) fn secrets() -> [String; 4] {
        let token = token("resource", "client", Flaw::None);
        let (head, _) = token.split_once('.').unwrap();
        let (_, signature) = token.rsplit_once('.').unwrap();
        [head.to_owned(), signature.to_owned(), HEADER.to_owned(), ASSERTION.to_owned()]
    }
}

/// A token of `client` for `resource`; nobody here checks its signature.
pub(crate) fn token(resource: &str, client: &str, flaw: Flaw) -> String {
    let now = Timestamp::now().as_second();
    let ends = if flaw == Flaw::Ended { now - 60 } else { now + HOUR };
    let resource = if flaw == Flaw::Audience { "https://graph.microsoft.com" } else { resource };
    let head = json!({ "typ": "JWT", "alg": "RS256", "kid": "token-CANARY" });
    let claims = json!({
        "aud": resource, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now - HOUR, "nbf": now - HOUR, "exp": ends,
        "appid": client, "tid": TENANT,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&head), part(&claims), BASE64_URL_SAFE_NO_PAD.encode("signature-CANARY"))
}

impl State {
    fn managed(&self, header: Option<&str>, _path: &str, fields: &Fields) -> (u16, Value) {
        if header != Some(HEADER) {
            return (401, json!({ "error": "no identity header" }));
        }
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let client = ["client_id", "mi_res_id"].map(field).into_iter().find(|id| !id.is_empty()).unwrap_or("-");
        let resource = field("resource");
        lock(&self.asked).push(format!("managed {client} {resource}"));
        let token = token(resource, client, *lock(&self.flaw));
        // As App Service has it: a text.
        let ends = (Timestamp::now().as_second() + HOUR).to_string();
        (200, json!({ "access_token": token, "expires_on": ends, "resource": resource, "token_type": "Bearer" }))
    }

    fn authority(&self, _header: Option<&str>, path: &str, fields: &Fields) -> (u16, Value) {
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let refused = |said: &str| (401, json!({ "error": "invalid_client", "error_description": said }));
        if path != format!("/{TENANT}/oauth2/v2.0/token") {
            return (404, json!({ "error": "not_found" }));
        }
        if field("client_assertion") != ASSERTION || field("grant_type") != "client_credentials" {
            return refused("AADSTS700211: No matching federated identity record found.");
        }
        let (client, scope) = (field("client_id"), field("scope"));
        lock(&self.asked).push(format!("workload {client} {scope}"));
        let token = token(scope.trim_end_matches("/.default"), client, *lock(&self.flaw));
        (200, json!({ "token_type": "Bearer", "expires_in": HOUR, "ext_expires_in": HOUR, "access_token": token }))
    }
}

async fn answer<S, R>(stream: S, state: Arc<State>, respond: R)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    R: Fn(&State, Option<&str>, &str, &Fields) -> (u16, Value) + Copy + Send + Sync,
{
    let service = service_fn(|request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let query = head.uri.query().unwrap_or_default().as_bytes();
            let pairs = [query, &body[..]].into_iter().flat_map(url::form_urlencoded::parse);
            let fields: Fields = pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
            let header = head.headers.get("x-identity-header").and_then(|value| value.to_str().ok());
            let (status, body) = respond(&state, header, head.uri.path(), &fields);
            let answer = Response::builder().status(status).header("content-type", "application/json");
            Ok::<_, hyper::Error>(answer.body(Full::new(Bytes::from(body.to_string()))).unwrap())
        }
    });
    let _ = http1::Builder::new().serve_connection(stream, service).await;
}
