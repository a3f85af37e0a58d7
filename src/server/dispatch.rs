//! From a request to its handler.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode,
    header::{ALLOW, AUTHORIZATION, LOCATION},
    request::Parts,
};

use super::{
    answer::{self, Handled, Refusal, Reply},
    auth::Caller,
    backend::Requested,
    frontend::{Frontend, Incoming},
    policy::Action,
    pull::without_body_for,
    push::PushRequest,
    query::Query,
    route::{self, Endpoint, Route, RouteError},
    scopes::TokenScopes,
};
use crate::oci::{
    error_code::ErrorCode,
    reference::{host_as_part, is_repository},
};

/// Which host's repositories the request was answered from (distribution-spec, "Registry Proxying").
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How Docker's clients tell a registry from any other server.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Frontend {
    /// Answers one request, and notes that it did.
    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Reply {
        let (method, path, began) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
        let is_ping = matches!(path.as_str(), "/v2/" | "/v2") && !request.headers().contains_key(AUTHORIZATION);
        let (user, outcome) = match self.admit(&request).await {
            Ok(caller) => (caller.user.clone(), self.dispatch(request, &caller, peer).await),
            Err(failure) => (None, Err(failure)),
        };
        let mut answer = match outcome {
            Ok(answer) => answer,
            Err(failure) => without_body_for(&method, failure.into_answer()),
        };
        answer::disarm(&mut answer);
        answer.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if let Some(path) = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok()) {
            let whole = self.locate(path);
            answer::set(&mut answer, LOCATION, &whole);
        }
        let (status, bytes) = (answer.status().as_u16(), http_body::Body::size_hint(answer.body()).exact());
        self.metrics.answered(method.as_str(), status);
        // The query is left out: no secret is in it today, but this line is kept for long.
        let (user, milliseconds) = (user.as_deref().unwrap_or("-"), began.elapsed().as_millis());
        if let Some(action) = audited(&method, answer.status()).filter(|_| !is_ping) {
            let digest = answer.headers().get(answer::CONTENT_DIGEST).and_then(|digest| digest.to_str().ok());
            let digest = digest.unwrap_or("-");
            tracing::info!(target: "airlift::audit", action, %peer, user, %method, path, status, digest);
        }
        tracing::info!(target: "airlift::access", %peer, user, %method, path, status, bytes, milliseconds);
        answer
    }

    /// Who asks, where that matters.
    async fn admit(&self, request: &Request<Incoming>) -> Result<Caller, Refusal> {
        // What watches the server has no password, and clients change theirs for a token at the door.
        let door = self.door.as_ref().filter(|_| !matches!(request.uri().path(), "/healthz" | "/token"));
        match door {
            Some(door) => door.caller(request.headers(), &self.address(request.headers())).await,
            None => Ok(Caller::default()),
        }
    }

    /// Refuses what the caller may not do.
    fn authorise(&self, caller: &Caller, parts: &Parts, route: &Route<'_>, query: &Query<'_>) -> Result<(), Refusal> {
        let (Some(door), realm) = (&self.door, self.address(&parts.headers)) else { return Ok(()) };
        let (repository, endpoint) = match route {
            Route::Health | Route::Token => return Ok(()),
            Route::Page => return door.authorise_any(caller, false, true, &realm),
            Route::Catalog => return door.authorise_any(caller, true, true, &realm),
            // Answered with a challenge also where strangers may pull: it is how clients learn to log in.
            Route::Base => return door.authorise_any(caller, false, false, &realm),
            Route::Metrics => return door.authorise_user(caller, &realm),
            Route::Repository(repository, endpoint) => (*repository, endpoint),
        };
        let action = match (parts.method.as_str(), endpoint) {
            (_, Endpoint::Upload(_) | Endpoint::Uploads) => Action::Push,
            ("GET" | "HEAD", _) => Action::Pull,
            ("DELETE", _) => Action::Delete,
            _ => Action::Push,
        };
        let mounts = matches!(endpoint, Endpoint::Uploads) && query.get("mount").is_some();
        let from = query.get("from").filter(|from| mounts && is_repository(from));
        door.authorise(caller, (action, repository), from, &realm)?;
        // The namespace is a second name, by which another repository may be found.
        match query.get("ns").filter(|namespace| !namespace.is_empty()) {
            Some(namespace) if door.has_policy() => {
                let full = format!("{}/{repository}", host_as_part(namespace));
                if door.allows(caller.user.as_deref(), action, &full) {
                    Ok(())
                } else {
                    Err(Refusal::name_unknown(&full))
                }
            }
            _ => Ok(()),
        }
    }

    async fn dispatch(self: &Arc<Self>, request: Request<Incoming>, caller: &Caller, peer: SocketAddr) -> Handled {
        let (parts, body) = request.into_parts();
        let (method, query) = (&parts.method, Query::of(&parts.uri));
        let reading = method == Method::GET || method == Method::HEAD;
        let route = route::parse(parts.uri.path()).map_err(mistaken)?;
        self.authorise(caller, &parts, &route, &query)?;
        match route {
            Route::Repository(repository, resource) if reading => {
                let namespace = query.get("ns").filter(|namespace| !namespace.is_empty());
                let at = Requested { repository, namespace };
                let mut answer = self.read(method, at, resource, &query, &parts.headers).await?;
                if let Some(namespace) = namespace {
                    answer::set(&mut answer, NAMESPACE, namespace);
                }
                Ok(answer)
            }
            Route::Repository(repository, resource) => {
                let client = caller.user.as_ref().map_or_else(|| peer.ip().to_string(), |user| format!("user {user}"));
                let push = PushRequest { repository, query: &query, headers: &parts.headers, caller, client: &client };
                self.change(method, resource, push, body).await
            }
            Route::Base if reading => Ok(without_body_for(method, base())),
            Route::Health if reading => {
                Ok(without_body_for(method, answer::bytes(StatusCode::OK, "text/plain", "ok\n".into())))
            }
            Route::Catalog if reading => self.catalog(method, &query, caller).await,
            Route::Metrics if reading => Ok(without_body_for(method, self.metrics_page())),
            Route::Token => match &self.door {
                Some(door) if reading => door.token(&parts.headers, TokenScopes::parse(query.all("scope"))).await,
                // Clients that try the other form of the protocol first fall back to this one.
                Some(_) => Err(not_here("GET, HEAD")),
                None => Err(mistaken(RouteError::Unknown)),
            },
            Route::Page if reading && query.get("review").is_some() => {
                Ok(without_body_for(method, self.review(caller).await?))
            }
            Route::Page if reading => {
                Ok(without_body_for(method, self.page(&parts.headers, query.get("q"), caller).await?))
            }
            Route::Page | Route::Base | Route::Health | Route::Catalog | Route::Metrics => Err(not_here("GET, HEAD")),
        }
    }

    fn metrics_page(&self) -> Reply {
        answer::bytes(StatusCode::OK, METRICS_TYPE, self.metrics.page(self.checked.damaged().len()).into())
    }

    /// `GET` and `HEAD`.
    async fn read(
        &self,
        method: &Method,
        at: Requested<'_>,
        resource: Endpoint<'_>,
        query: &Query<'_>,
        headers: &HeaderMap,
    ) -> Handled {
        match resource {
            Endpoint::Manifest(name) => self.pull_manifest(method, at, name, headers).await,
            Endpoint::Blob(digest) => self.pull_blob(method, at, &digest, headers).await,
            Endpoint::Upload(id) => self.upload_state(at.repository, id).await,
            Endpoint::Tags => self.tags(method, at, query).await,
            Endpoint::Referrers(subject) => self.referrers(method, at, subject, query).await,
            Endpoint::Uploads => Err(not_here("POST")),
        }
    }

    /// Everything else.
    async fn change(&self, method: &Method, resource: Endpoint<'_>, push: PushRequest<'_>, body: Incoming) -> Handled {
        match (resource, method.as_str()) {
            (Endpoint::Manifest(name), "PUT") => self.push_manifest(push, &name, body).await,
            (Endpoint::Manifest(name), "DELETE") => self.delete_manifest(push.repository, &name).await,
            (Endpoint::Manifest(_), _) => Err(not_here("GET, HEAD, PUT, DELETE")),
            (Endpoint::Blob(digest), "DELETE") => self.delete_blob(push.repository, digest).await,
            (Endpoint::Blob(_), _) => Err(not_here("GET, HEAD, DELETE")),
            (Endpoint::Uploads, "POST") => self.start_upload(push, body).await,
            (Endpoint::Uploads, _) => Err(not_here("POST")),
            (Endpoint::Upload(id), "PATCH") => self.continue_upload(push, id, body).await,
            (Endpoint::Upload(id), "PUT") => self.finish_upload(push, id, body).await,
            (Endpoint::Upload(id), "DELETE") => self.cancel_upload(push.repository, id).await,
            (Endpoint::Upload(_), _) => Err(not_here("GET, HEAD, PATCH, PUT, DELETE")),
            (Endpoint::Tags | Endpoint::Referrers(_), _) => Err(not_here("GET, HEAD")),
        }
    }
}

/// What of an answer the log keeps without being asked: what was changed, and what was refused.
fn audited(method: &Method, status: StatusCode) -> Option<&'static str> {
    let is_change = !matches!(*method, Method::GET | Method::HEAD);
    match (status.as_u16(), method.as_str()) {
        (201, "PUT" | "POST") => Some("push"),
        (202 | 204, "DELETE") => Some("delete"),
        (401 | 403 | 429, _) => Some("refuse"),
        (400.., _) if is_change => Some("refuse"),
        _ => None,
    }
}

fn base() -> Reply {
    answer::bytes(StatusCode::OK, "application/json", "{}".into())
}

fn not_here(allowed: &'static str) -> Refusal {
    Refusal::not_allowed("the method is none of this resource's").with(ALLOW, HeaderValue::from_static(allowed))
}

fn mistaken(mistake: RouteError) -> Refusal {
    let (status, code) = match mistake {
        RouteError::Unknown => (StatusCode::NOT_FOUND, ErrorCode::Unsupported),
        RouteError::Name => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
        RouteError::Digest => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
        RouteError::Reference => (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
    };
    Refusal::new(status, code, mistake.to_string())
}
