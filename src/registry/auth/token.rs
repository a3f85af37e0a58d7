//! Tokens of token services (distribution, "Token Authentication Specification" and its form for `OAuth2`).
//!
//! One token serves every call of the same need; while one is being fetched, all others that need it wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{
    super::{
        error::{At, Error},
        transport::{Call, Payload, Transport, authority},
    },
    Grant, basic,
    challenge::Bearer,
    credentials::Credential,
    refused,
    scope::Scopes,
    unauthorized,
};

/// Largest answer of a token service, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Life of a token whose service does not say; the token specification's own default.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);

/// No token is used for longer, whatever its service says.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// A token counts as spent so long before its end, or after nine tenths of its life if that is later.
const MARGIN: Duration = Duration::from_secs(10);

/// By this name we are known to token services.
const CLIENT: &str = "airlift";

/// What tokens are shared by.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    registry: String,
    realm: String,
    service: Option<String>,
    scopes: Scopes,
}

type TokenSlot = Arc<tokio::sync::Mutex<Option<CachedToken>>>;

/// Tokens in use.
#[derive(Default)]
pub(crate) struct Tokens {
    slots: Mutex<HashMap<Key, TokenSlot>>,
    /// Identity tokens that a service gave in exchange for older ones, by registry.
    renewed: Mutex<HashMap<String, String>>,
}

struct CachedToken {
    header: HeaderValue,
    good_until: Instant,
}

/// What a token service gave.
#[derive(Debug, PartialEq, Eq)]
struct Given {
    token: String,
    refresh_token: Option<String>,
    life: Duration,
}

impl Given {
    /// Reads an answer, in which services leave out, null and misspell what they like. `None` if there is no token in it.
    fn read(answer: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| {
            let text = answer.get(key).and_then(Value::as_str).map(str::trim);
            // It travels in a header.
            text.filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())).map(str::to_owned)
        };
        Some(Self {
            token: text("token").or_else(|| text("access_token"))?,
            refresh_token: text("refresh_token"),
            life: answer.get("expires_in").map_or(DEFAULT_LIFE, life),
        })
    }
}

/// For how long a token is good by its service's own words.
fn life(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    let seconds = seconds.filter(|seconds: &f64| *seconds > 0.0);
    seconds.map_or(DEFAULT_LIFE, |seconds| Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())))
}

impl Tokens {
    fn slot(&self, key: Key) -> TokenSlot {
        Arc::clone(self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    fn renewed(&self, registry: &str) -> Option<String> {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).get(registry).cloned()
    }

    fn renew(&self, registry: &str, identity: String) {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), identity);
    }
}

impl Transport {
    /// A token for `scopes` as an `Authorization`: one that is still good and was not `rejected`, or a new one.
    pub(super) async fn token(
        &self,
        grant: &Grant,
        bearer: &Bearer,
        scopes: &Scopes,
        rejected: Option<&HeaderValue>,
        at: &At,
    ) -> Result<HeaderValue, Error> {
        let key = Key {
            registry: grant.key(),
            realm: bearer.realm.clone(),
            service: bearer.service.clone(),
            scopes: scopes.clone(),
        };
        let slot = self.auth.tokens.slot(key);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.as_ref()
            && token.good_until > Instant::now()
            && rejected != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        let token = self.new_token(grant, bearer, scopes, at).await?;
        let header = token.header.clone();
        *slot = Some(token);
        Ok(header)
    }

    async fn new_token(&self, grant: &Grant, bearer: &Bearer, scopes: &Scopes, at: &At) -> Result<CachedToken, Error> {
        let credential = self.credential(grant, at).await?;
        let caller = at;
        let via = bearer.realm.parse().ok().map(|url| authority(&url));
        let at = At { what: format!("token for {}", at.what), via, ..at.clone() };
        let call = self.token_call(grant, bearer, scopes, credential.as_deref(), &at)?;
        let mut waits = self.waits();
        let given = loop {
            let asked = async {
                // Boxed, for this is a call within a call; it has no grant, so there is no third.
                let answer = Box::pin(self.send(call.clone())).await?.expect(&[StatusCode::OK]).await?;
                answer.document(MAX_ANSWER).await?.expect_no_page()
            };
            match asked.await {
                Ok(given) => break given,
                Err(error) => waits
                    .after(refusal(error, credential.as_deref()), &at, &self.settings.progress)
                    .await
                    .map_err(|error| exhausted(error, caller))?,
            }
        };
        // The parser's complaint could quote the token.
        let given: Map<String, Value> = serde_json::from_slice(&given.body).map_err(|_| Error::Protocol {
            at: at.clone(),
            reason: "the token service's answer cannot be read".into(),
        })?;
        let given = Given::read(&given).ok_or_else(|| refused(&at, "the token service gave no token"))?;
        for secret in given.refresh_token.iter().chain([&given.token]) {
            self.secrets.keep(secret, false);
        }
        if let Some(refresh_token) = given.refresh_token
            && matches!(credential.as_deref(), Some(Credential::IdentityToken(_)))
        {
            self.auth.tokens.renew(&grant.registry, refresh_token);
        }
        let life = given.life;
        let good_until = Instant::now() + life.saturating_sub(MARGIN).max(life * 9 / 10);
        Ok(CachedToken { header: super::secret(&format!("Bearer {}", given.token)), good_until })
    }

    fn token_call(
        &self,
        grant: &Grant,
        bearer: &Bearer,
        scopes: &Scopes,
        credential: Option<&Credential>,
        at: &At,
    ) -> Result<Call, Error> {
        let wrong = |reason: &str| Error::Protocol { at: at.clone(), reason: reason.to_owned() };
        let mut url: Url = bearer.realm.parse().map_err(|_| wrong("a token realm that is no URL"))?;
        let registry: Url = format!("{}://{}/", grant.origin.0, grant.registry)
            .parse()
            .map_err(|_| wrong("a registry without a URL"))?;
        // Credentials go there; a realm without TLS is for registries without TLS.
        self.check(&url, &registry, at)?;
        let mut query: Vec<(&str, String)> = Vec::new();
        query.extend(bearer.service.clone().map(|service| ("service", service)));
        let mut headers = HeaderMap::new();
        let (method, payload) = match credential {
            Some(Credential::IdentityToken(stored)) => {
                let identity = self.auth.tokens.renewed(&grant.registry).unwrap_or_else(|| stored.clone());
                self.secrets.keep(&identity, false);
                query.push(("scope", scopes.to_string()));
                query.push(("grant_type", "refresh_token".to_owned()));
                query.push(("client_id", CLIENT.to_owned()));
                query.push(("refresh_token", identity));
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish();
                (Method::POST, Payload::Document(form.into()))
            }
            other => {
                query.extend(scopes.texts().map(|scope| ("scope", scope)));
                if let Some(Credential::Password { user, password }) = other {
                    query.push(("account", user.clone()));
                    headers.insert(reqwest::header::AUTHORIZATION, basic(user, password));
                }
                query.push(("client_id", CLIENT.to_owned()));
                url.query_pairs_mut().extend_pairs(&query);
                (Method::GET, Payload::None)
            }
        };
        Ok(Call { method, url, headers, payload, grant: None, at: at.clone(), patience: self.settings.retry.answer })
    }
}

/// A failure that was waited for with all patience: the call that needs the token must not wait for it again.
fn exhausted(error: Error, at: &At) -> Error {
    if error.may_pass() { Error::TokenService { at: at.clone(), source: Box::new(error) } } else { error }
}

/// What a token service's refusal means.
fn refusal(error: Error, credential: Option<&Credential>) -> Error {
    let reason = match credential {
        Some(Credential::Password { .. }) => "the token service refuses user and password",
        Some(Credential::IdentityToken(_)) => "the token service refuses the stored identity token; log in again",
        None => "the token service gives nothing without credentials",
    };
    match error {
        Error::Refused { at, status: 400, detail } => Error::Unauthorized { at, reason: reason.to_owned(), detail },
        error => unauthorized(error, reason),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_life_of_a_token_is_taken_for_what_it_can_mean() {
        let day = 24 * 60 * 60;
        for (expires_in, seconds) in [
            (json!(null), 60),
            (json!(0), 60),
            (json!(-5), 60),
            (json!("soon"), 60),
            (json!("NaN"), 60),
            (json!([300]), 60),
            (json!(300), 300),
            (json!("300"), 300),
            (json!(300.0), 300),
            (json!("300.0"), 300),
            (json!(u64::MAX), day),
            (json!(1e300), day),
            (json!("inf"), day),
            (json!("99999999999999999999999"), day),
        ] {
            assert_eq!(life(&expires_in), Duration::from_secs(seconds), "{expires_in}");
        }
    }

    #[test]
    fn a_token_is_found_beside_members_that_are_null_or_something_else() {
        let parse = |answer: Value| Given::read(answer.as_object().unwrap());
        let given = |token: &str| Given { token: token.to_owned(), refresh_token: None, life: DEFAULT_LIFE };
        assert_eq!(parse(json!({"token": null, "access_token": "a", "refresh_token": null})), Some(given("a")));
        assert_eq!(parse(json!({"token": "", "access_token": " a\n", "refresh_token": 5})), Some(given("a")));
        assert_eq!(parse(json!({"token": "t", "access_token": null, "expires_in": null})), Some(given("t")));
        for none in [json!({}), json!({"token": null}), json!({"token": 5}), json!({"token": "a\r\nb"})] {
            assert_eq!(parse(none.clone()), None, "{none}");
        }
    }
}
