//! From a request to its handler.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header::ALLOW};

use super::{
    Incoming, Registry,
    answer::{self, Answer, Failure, Outcome},
    pull::without_body_for,
    query::Query,
    route::{self, Mistake, Resource, Route},
    shelf::At,
};
use crate::oci::error_code::ErrorCode;

/// Which host's repositories the request was answered from (distribution-spec, "Registry Proxying").
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// Prometheus' text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How Docker's clients tell a registry from any other server.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

impl Registry {
    /// Answers one request, and notes that it did.
    pub(super) async fn answer(self: &Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let (method, path, began) = (request.method().clone(), request.uri().path().to_owned(), Instant::now());
        let (user, outcome) = match self.admit(&request).await {
            Ok(user) => (user, self.dispatch(request).await),
            Err(failure) => (None, Err(failure)),
        };
        let mut answer = match outcome {
            Ok(answer) => answer,
            Err(failure) => without_body_for(&method, failure.into_answer()),
        };
        answer::disarm(&mut answer);
        answer.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        let (status, bytes) = (answer.status().as_u16(), http_body::Body::size_hint(answer.body()).exact());
        self.metrics.answered(method.as_str(), status);
        // The query is left out: what stands there is nobody's secret today, but this line is kept for long.
        let (user, milliseconds) = (user.as_deref().unwrap_or("-"), began.elapsed().as_millis());
        tracing::info!(target: "airlift::access", %peer, user, %method, path, status, bytes, milliseconds);
        answer
    }

    /// Who asks, where that matters.
    async fn admit(&self, request: &Request<Incoming>) -> Result<Option<String>, Failure> {
        let Some(door) = &self.door else { return Ok(None) };
        // Whatever watches the server has no password, and clients change theirs for a token at the door.
        if matches!(request.uri().path(), "/healthz" | "/token") {
            return Ok(None);
        }
        door.admit(request.headers(), self.scheme()).await.map(Some)
    }

    async fn dispatch(self: &Arc<Self>, request: Request<Incoming>) -> Outcome {
        let (parts, body) = request.into_parts();
        let (method, query) = (&parts.method, Query::of(&parts.uri));
        let reading = method == Method::GET || method == Method::HEAD;
        match route::parse(parts.uri.path()).map_err(mistaken)? {
            Route::Repository(repository, resource) if reading => {
                let namespace = query.get("ns").filter(|namespace| !namespace.is_empty());
                let at = At { repository, namespace };
                let mut answer = self.read(method, at, resource, &query, &parts.headers).await?;
                if let Some(namespace) = namespace {
                    answer::set(&mut answer, NAMESPACE, namespace);
                }
                Ok(answer)
            }
            Route::Repository(repository, resource) => {
                self.change(method, repository, resource, &query, &parts.headers, body).await
            }
            Route::Base if reading => Ok(without_body_for(method, base())),
            Route::Health if reading => {
                Ok(without_body_for(method, answer::bytes(StatusCode::OK, "text/plain", "ok\n".into())))
            }
            Route::Catalog if reading => self.catalog(method, &query),
            Route::Metrics if reading => Ok(without_body_for(method, self.metrics_page())),
            Route::Token => match &self.door {
                Some(door) if reading => door.token(&parts.headers).await,
                // Clients that try the other form of the protocol first fall back to this one.
                Some(_) => Err(not_here("GET, HEAD")),
                None => Err(mistaken(Mistake::Unknown)),
            },
            Route::Page if reading => Ok(without_body_for(method, self.page(&parts.headers).await?)),
            Route::Page | Route::Base | Route::Health | Route::Catalog | Route::Metrics => Err(not_here("GET, HEAD")),
        }
    }

    fn metrics_page(&self) -> Answer {
        answer::bytes(StatusCode::OK, METRICS_TYPE, self.metrics.page(self.checked.damaged().len()).into())
    }

    /// `GET` and `HEAD`.
    async fn read(
        &self,
        method: &Method,
        at: At<'_>,
        resource: Resource<'_>,
        query: &Query<'_>,
        headers: &HeaderMap,
    ) -> Outcome {
        match resource {
            Resource::Manifest(name) => self.pull_manifest(method, at, &name, headers),
            Resource::Blob(digest) => self.pull_blob(method, at, &digest, headers).await,
            Resource::Upload(id) => self.upload_state(at.repository, id).await,
            Resource::Tags => self.tags(method, at, query),
            Resource::Referrers(subject) => self.referrers(method, at, &subject, query),
            Resource::Uploads => Err(not_here("POST")),
        }
    }

    /// Everything else.
    async fn change(
        &self,
        method: &Method,
        repository: &str,
        resource: Resource<'_>,
        query: &Query<'_>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Outcome {
        match (resource, method.as_str()) {
            (Resource::Manifest(name), "PUT") => self.push_manifest(repository, &name, query, headers, body).await,
            (Resource::Manifest(name), "DELETE") => self.delete_manifest(repository, &name).await,
            (Resource::Manifest(_), _) => Err(not_here("GET, HEAD, PUT, DELETE")),
            (Resource::Blob(digest), "DELETE") => self.delete_blob(repository, digest).await,
            (Resource::Blob(_), _) => Err(not_here("GET, HEAD, DELETE")),
            (Resource::Uploads, "POST") => self.start_upload(repository, query, headers, body).await,
            (Resource::Uploads, _) => Err(not_here("POST")),
            (Resource::Upload(id), "PATCH") => self.continue_upload(repository, id, headers, body).await,
            (Resource::Upload(id), "PUT") => self.finish_upload(repository, id, query, headers, body).await,
            (Resource::Upload(id), "DELETE") => self.cancel_upload(repository, id).await,
            (Resource::Upload(_), _) => Err(not_here("GET, HEAD, PATCH, PUT, DELETE")),
            (Resource::Tags | Resource::Referrers(_), _) => Err(not_here("GET, HEAD")),
        }
    }
}

fn base() -> Answer {
    answer::bytes(StatusCode::OK, "application/json", "{}".into())
}

fn not_here(allowed: &'static str) -> Failure {
    Failure::not_allowed("the method is none of this resource's").with(ALLOW, HeaderValue::from_static(allowed))
}

fn mistaken(mistake: Mistake) -> Failure {
    let (status, code) = match mistake {
        Mistake::Unknown => (StatusCode::NOT_FOUND, ErrorCode::Unsupported),
        Mistake::Name => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
        Mistake::Digest => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
        Mistake::Reference => (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
    };
    Failure::new(status, code, mistake.to_string())
}
