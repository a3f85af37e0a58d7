//! From the name of a registry to its base URL.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, StatusCode, header::HeaderMap};
use tokio::sync::OnceCell;
use url::Url;

use super::{
    error::{At, Error, tls_cause},
    policy,
    transport::{Call, Payload, Transport},
};

/// The base URLs found so far, by the registry's name.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<HashMap<String, Arc<OnceCell<Url>>>>);

impl Endpoints {
    fn of(&self, registry: &str) -> Arc<OnceCell<Url>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(registry.to_owned()).or_default())
    }
}

impl Transport {
    /// The base URL of `registry`, ending in `/`. The first call for a loopback host finds out whether TLS is spoken.
    ///
    /// Where it is down, the first call waits for it as long as any call may take, and the others wait with it.
    pub(super) async fn endpoint(&self, registry: &str, at: &At) -> Result<Url, Error> {
        let base = self.endpoints.of(registry);
        base.get_or_try_init(|| self.find(registry, at)).await.cloned()
    }

    async fn find(&self, registry: &str, at: &At) -> Result<Url, Error> {
        // docker.io is the name in references; the API has lived elsewhere since its beginning.
        let host = if matches!(registry, "docker.io" | "index.docker.io") { "registry-1.docker.io" } else { registry };
        let base = |scheme: &str| {
            let url = format!("{scheme}://{host}/").parse::<Url>().ok();
            // A host with a path, a user or a query would be a way to talk to somebody else.
            url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none())
                .filter(|url| url.username().is_empty() && url.password().is_none() && !host.contains(['@', '/']))
        };
        let (Some(plain), Some(secure)) = (base("http"), base("https")) else {
            return Err(Error::Name { at: at.clone() });
        };
        self.named.add(host);
        if self.is_plain(&plain) {
            return Ok(plain);
        }
        if !policy::is_loopback(&plain) {
            return Ok(secure);
        }
        let retry = &self.settings.retry;
        let mut waits = self.waits();
        loop {
            let given_up = self.given_up.has(registry);
            let patience = if given_up { retry.answer.min(retry.connect) } else { retry.answer };
            match self.probe(&plain, &secure, patience, at).await {
                Ok(true) => return Ok(plain),
                Ok(false) => return Ok(secure),
                Err(error) => waits.after(error, at, &self.settings.progress).await?,
            }
        }
    }

    /// Whether a loopback host is to be spoken to without TLS: it answers so, and does not ask for TLS by its answer.
    async fn probe(&self, plain: &Url, secure: &Url, patience: Duration, at: &At) -> Result<bool, Error> {
        let answered = self.ping(plain, patience, at).await;
        // Servers of TLS answer plain requests with 400 and an explanation, with a redirect, or by hanging up.
        if answered.as_ref().is_ok_and(|status| *status != StatusCode::BAD_REQUEST && !status.is_redirection()) {
            return Ok(true);
        }
        match self.ping(secure, patience, at).await {
            Ok(_) => Ok(false),
            Err(error) if is_certificate(&error) => Ok(false),
            Err(_) => answered.map(|_| true),
        }
    }

    async fn ping(&self, base: &Url, patience: Duration, at: &At) -> Result<StatusCode, Error> {
        let mut url = base.clone();
        url.set_path("/v2/");
        let call = Call {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            grant: None,
            at: at.clone(),
            patience,
        };
        self.send(call).await.map(|answer| answer.status())
    }
}

/// Whether TLS was spoken, and only the certificate (theirs or ours) was found wanting.
fn is_certificate(error: &Error) -> bool {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    let Error::Tls { source, .. } = error else { return false };
    matches!(tls_cause(source), Some(InvalidCertificate(_) | AlertReceived(_) | NoCertificatesPresented))
}
