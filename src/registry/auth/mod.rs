//! Who we are to a registry: challenges, tokens, credentials.
//!
//! A registry is first asked without authorization, unless it is known what it wants. Authorization is bound to the
//! registry's own scheme, host and port.

pub(super) mod challenge;
mod credential;
pub mod credentials;
mod helper;
pub(super) mod scope;
pub(super) mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};

use url::Url;

use challenge::Challenge;
use credentials::{Credential, Keychain};
use scope::Scopes;
use token::Tokens;

use super::{
    answer::Answer,
    detail::Detail,
    error::{At, Error},
    transport::{Call, Payload, Transport, WebOrigin, authority, origin},
};
use crate::files::blocking::caught;

/// What a call may do, and where that counts.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) registry: String,
    pub(super) origin: WebOrigin,
    pub(super) scopes: Scopes,
    /// For a registry that another one led to: it gets nothing of ours, and we take the token that it gives to everybody.
    pub(super) is_guest: bool,
}

impl Grant {
    /// For the registry that a redirect leads to at `url`.
    pub(super) fn guest(url: &Url) -> Self {
        Self { registry: authority(url), origin: origin(url), scopes: Scopes::default(), is_guest: true }
    }

    /// What is learnt of a registry as a guest does not hold for who is known there.
    fn key(&self) -> String {
        if self.is_guest { format!("guest of {}", self.registry) } else { self.registry.clone() }
    }
}

/// What was learnt of registries.
pub(super) struct Auth {
    known: Mutex<HashMap<String, Known>>,
    pub(super) tokens: Tokens,
    keychain: Keychain,
    /// Credentials found so far, by registry and repository; helpers are programs and take their time.
    found: tokio::sync::Mutex<HashMap<String, Option<Arc<Credential>>>>,
}

struct Known {
    challenge: Challenge,
    /// Where a registry wanted more than we asked for.
    widened: HashMap<Scopes, Scopes>,
}

impl Auth {
    pub(super) fn new(keychain: Keychain) -> Self {
        Self { known: Mutex::default(), tokens: Tokens::default(), keychain, found: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the registry is known to want of calls with these scopes.
    fn wants(&self, grant: &Grant) -> Option<(Challenge, Scopes)> {
        let known = self.known();
        let registry = known.get(&grant.key())?;
        let scopes = registry.widened.get(&grant.scopes).unwrap_or(&grant.scopes);
        Some((registry.challenge.clone(), scopes.clone()))
    }

    fn learn(&self, grant: &Grant, challenge: Challenge) {
        let asked = match &challenge {
            Challenge::Bearer(bearer) => bearer.scope.clone(),
            Challenge::Basic => None,
        };
        let mut known = self.known();
        let registry = known
            .entry(grant.key())
            .and_modify(|registry| registry.challenge = challenge.clone())
            .or_insert_with(|| Known { challenge, widened: HashMap::new() });
        if let Some(asked) = asked {
            let before = registry.widened.get(&grant.scopes).unwrap_or(&grant.scopes).clone();
            let wider = before.clone().with(&asked);
            if wider != before {
                registry.widened.insert(grant.scopes.clone(), wider);
            }
        }
    }
}

impl Transport {
    /// The `Authorization` for a call; `None` while the registry has not asked for any.
    ///
    /// `rejected` is one that the registry has just not taken.
    pub(super) async fn authorization(
        &self,
        grant: &Grant,
        rejected: Option<&HeaderValue>,
        at: &At,
    ) -> Result<Option<HeaderValue>, Error> {
        let Some((challenge, scopes)) = self.auth.wants(grant) else { return Ok(None) };
        match challenge {
            Challenge::Bearer(bearer) => self.token(grant, &bearer, &scopes, rejected, at).await.map(Some),
            Challenge::Basic => Ok(match self.credential(grant, at).await?.as_deref() {
                Some(Credential::Password { user, password }) => Some(basic(user, password)),
                Some(Credential::IdentityToken(_)) | None => None,
            }),
        }
    }

    /// Learns from an answer 401 to a call that had `sent` as its authorization. An error if no other will do better; that
    /// is so for the second such answer to one call.
    pub(super) async fn challenged(
        &self,
        grant: &Grant,
        sent: Option<&HeaderValue>,
        is_second: bool,
        answer: Answer,
    ) -> Result<(), Error> {
        let at = answer.at.clone();
        let Some(challenge) = Challenge::parse(answer.lines(WWW_AUTHENTICATE)) else {
            return Err(answer.failure().await);
        };
        let is_basic = challenge == Challenge::Basic;
        self.auth.learn(grant, challenge);
        if !is_basic && !is_second {
            return Ok(());
        }
        let reason = match (self.credential(grant, &at).await?.as_deref(), sent) {
            (Some(_), Some(_)) if !is_basic => {
                "the registry refuses the token that its own service gave for these credentials"
            }
            (None, Some(_)) if !is_basic => "the registry wants credentials, and none are known for it",
            (Some(Credential::Password { .. }), None) => return Ok(()),
            (Some(Credential::Password { .. }), Some(_)) => "the registry refuses user and password",
            (Some(Credential::IdentityToken(_)), _) => "the registry wants a password, and only a token is stored",
            (None, _) => "no credentials for this registry are known",
        };
        Err(unauthorized(answer.failure().await, reason))
    }

    /// The credentials for a grant, looked up once.
    pub(super) async fn credential(&self, grant: &Grant, at: &At) -> Result<Option<Arc<Credential>>, Error> {
        if grant.is_guest {
            return Ok(None);
        }
        let repository = at.repository.clone().unwrap_or_default();
        let key = format!("{}/{repository}", grant.registry);
        let mut found = self.auth.found.lock().await;
        if let Some(known) = found.get(&key) {
            return Ok(known.clone());
        }
        let (keychain, registry) = (self.auth.keychain.clone(), grant.registry.clone());
        let looked = caught(move || keychain.find(&registry, &repository)).await;
        let credential = looked
            .map_err(|_| credentials::Error::Interrupted)
            .and_then(|found| found)
            .map_err(|source| Error::Credentials { at: at.clone(), source })?
            .map(Arc::new);
        found.insert(key, credential.clone());
        Ok(credential)
    }

    /// Whether the registry takes user and password.
    pub(super) async fn login(&self, registry: &str, user: &str, password: &str) -> Result<(), Error> {
        let at = At { registry: registry.to_owned(), repository: None, what: "login".to_owned(), via: None };
        let base = self.endpoint(registry, &at).await?;
        let mut url = base.clone();
        url.set_path("/v2/");
        let grant =
            Grant { registry: registry.to_owned(), origin: origin(&base), scopes: Scopes::default(), is_guest: false };
        let credential = Credential::Password { user: user.to_owned(), password: password.to_owned() };
        self.auth.found.lock().await.insert(format!("{registry}/"), Some(Arc::new(credential)));
        let call = Call {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            grant: Some(grant.clone()),
            at,
            patience: self.settings.retry.answer,
        };
        let mut waits = self.waits();
        loop {
            let error = match self.send(call.clone()).await {
                Ok(answer) if answer.status() == StatusCode::OK => return Ok(()),
                Ok(answer) => answer.failure().await,
                Err(error) => error,
            };
            waits.after(error, &call.at, &self.settings.progress).await?;
        }
    }
}

/// The same failure with a better reason.
pub(super) fn unauthorized(error: Error, reason: &str) -> Error {
    match error {
        Error::Unauthorized { at, detail, .. } | Error::Denied { at, detail } => {
            Error::Unauthorized { at, reason: reason.to_owned(), detail }
        }
        error => error,
    }
}

/// No answer led to authorization, for `reason`.
pub(super) fn refused(at: &At, reason: &str) -> Error {
    Error::Unauthorized { at: at.clone(), reason: reason.to_owned(), detail: Detail::default() }
}

pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

/// A header that is never printed.
pub(super) fn secret(text: &str) -> HeaderValue {
    let mut header = super::transport::value(text);
    header.set_sensitive(true);
    header
}
