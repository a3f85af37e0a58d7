//! Who may enter: `--htpasswd` with bcrypt, by Basic authentication or by a token got for it.

use std::{
    collections::{HashMap, HashSet},
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    ServerError,
    answer::{self, Failure, Outcome},
};
use crate::oci::{Digest, error_code::ErrorCode};

/// How long a token is good: a client asks for the next one by itself.
const TOKEN_LIFE: Duration = Duration::from_mins(5);

/// Tokens and verified passwords that are remembered; beyond that the oldest work is done again.
const MAX_REMEMBERED: usize = 4096;

/// Compared where there is no such user, so that an unknown user takes as long as a wrong password. It opens nothing.
const DECOY: &str = "$2y$10$GXvCWEl/bA7PZODyfEgVmOnAp1X4ft/I05uLUTlgn3J9f0blxkrpW";

/// The door.
pub(super) struct Door {
    path: PathBuf,
    users: RwLock<HashMap<String, String>>,
    memory: Mutex<Memory>,
    /// Makes the remembered passwords useless outside this process.
    salt: Uuid,
}

#[derive(Default)]
struct Memory {
    /// Salted hashes of user and password that bcrypt has found right; it takes a tenth of a second each time.
    verified: HashSet<Digest>,
    /// Until when, by the hash of the token.
    tokens: HashMap<Digest, (Instant, String)>,
}

/// What stands in `Authorization`.
enum Claim {
    Password(String, String),
    Token(String),
    None,
}

impl Door {
    pub(super) fn new(path: &Path) -> Result<Self, ServerError> {
        let users = RwLock::new(read(path)?);
        Ok(Self { path: path.to_owned(), users, memory: Mutex::default(), salt: Uuid::new_v4() })
    }

    /// Reads the file again; whoever is no longer in it is out at once. What cannot be read changes nothing.
    pub(super) fn reload(&self) -> Result<(), ServerError> {
        let users = read(&self.path)?;
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users;
        *self.memory() = Memory::default();
        Ok(())
    }

    /// Who asks; the refusal tells how to ask. `scheme` is that of the server's own URLs.
    pub(super) async fn admit(&self, headers: &HeaderMap, scheme: &str) -> Result<String, Failure> {
        let user = match claim(headers) {
            Claim::Token(token) => self.holder(&token),
            Claim::Password(user, password) => self.known(user, password).await?,
            Claim::None => None,
        };
        user.ok_or_else(|| challenge(headers, scheme))
    }

    /// A token for whoever shows the password (the Docker registry's token protocol).
    pub(super) async fn token(&self, headers: &HeaderMap) -> Outcome {
        let user = match claim(headers) {
            Claim::Password(user, password) => self.known(user, password).await?,
            Claim::Token(_) | Claim::None => None,
        };
        let user = user.ok_or_else(|| refused().with(WWW_AUTHENTICATE, basic()))?;
        // Two of them: 244 random bits.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let mut memory = self.memory();
        let now = Instant::now();
        memory.tokens.retain(|_, (until, _)| *until > now);
        if memory.tokens.len() >= MAX_REMEMBERED {
            memory.tokens.clear();
        }
        memory.tokens.insert(Digest::sha256(token.as_bytes()), (now + TOKEN_LIFE, user));
        drop(memory);
        let document = json!({ "token": token, "access_token": token, "expires_in": TOKEN_LIFE.as_secs() });
        Ok(answer::json(StatusCode::OK, "application/json", &document))
    }

    fn holder(&self, token: &str) -> Option<String> {
        let memory = self.memory();
        let (until, user) = memory.tokens.get(&Digest::sha256(token.as_bytes()))?;
        (*until > Instant::now()).then(|| user.clone())
    }

    async fn known(&self, user: String, password: String) -> Result<Option<String>, Failure> {
        let mark = Digest::sha256(format!("{}\0{user}\0{password}", self.salt).as_bytes());
        if self.memory().verified.contains(&mark) {
            return Ok(Some(user));
        }
        let hash = self.users.read().unwrap_or_else(PoisonError::into_inner).get(&user).cloned();
        let good = tokio::task::spawn_blocking(move || {
            let matches = bcrypt::verify(&password, hash.as_deref().unwrap_or(DECOY)).unwrap_or(false);
            matches && hash.is_some()
        });
        if !good.await.map_err(|error| Failure::internal(&error))? {
            return Ok(None);
        }
        let mut memory = self.memory();
        if memory.verified.len() >= MAX_REMEMBERED {
            memory.verified.clear();
        }
        memory.verified.insert(mark);
        Ok(Some(user))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Users and their hashes, as `htpasswd -B` writes them. Other kinds of hashes are refused: they are not safe.
fn read(path: &Path) -> Result<HashMap<String, String>, ServerError> {
    let bad = |reason: String| ServerError::Credentials { path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    let mut users = HashMap::new();
    for (number, line) in text.lines().enumerate().map(|(number, line)| (number + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or_else(|| bad(format!("line {number} is not USER:HASH")))?;
        if !["$2y$", "$2b$", "$2a$"].iter().any(|kind| hash.starts_with(kind)) {
            return Err(bad(format!("line {number} has no bcrypt hash; htpasswd -B makes one")));
        }
        users.insert(user.to_owned(), hash.to_owned());
    }
    Ok(users)
}

fn claim(headers: &HeaderMap) -> Claim {
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, rest)) = value.and_then(|value| value.split_once(' ')) else { return Claim::None };
    if scheme.eq_ignore_ascii_case("bearer") {
        return Claim::Token(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Claim::None;
    }
    let decoded = BASE64_STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((user, password)) => Claim::Password(user.to_owned(), password.to_owned()),
        None => Claim::None,
    }
}

fn refused() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, "who are you? Log in and ask again")
}

fn basic() -> HeaderValue {
    HeaderValue::from_static("Basic realm=\"airlift\"")
}

/// Both ways of asking; clients take the first that they know.
fn challenge(headers: &HeaderMap, scheme: &str) -> Failure {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let plain = |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    let bearer = host.filter(plain).and_then(|host| {
        let text = format!("Bearer realm=\"{scheme}://{host}/token\",service=\"airlift\"");
        HeaderValue::try_from(text).ok()
    });
    let failure = refused();
    let failure = match bearer {
        Some(bearer) => failure.with(WWW_AUTHENTICATE, bearer),
        None => failure,
    };
    failure.with(WWW_AUTHENTICATE, basic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(text: &str) -> Result<Door, ServerError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("htpasswd");
        fs::write(&path, text).unwrap();
        Door::new(&path)
    }

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("r.example:5000"));
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    fn password(user: &str, password: &str) -> HeaderMap {
        headers(&format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
    }

    #[tokio::test]
    async fn a_password_opens_and_so_does_a_token_got_for_it() {
        let hash = bcrypt::hash("right:one", 4).unwrap();
        let door = door(&format!("# people\n\nann:{hash}\n")).unwrap();
        assert_eq!(door.admit(&password("ann", "right:one"), "https").await.unwrap(), "ann");
        assert_eq!(door.admit(&password("ann", "right:one"), "https").await.unwrap(), "ann");
        for bad in [
            password("ann", "wrong"),
            password("bob", "right:one"),
            headers("Bearer x"),
            headers("Basic !"),
            HeaderMap::new(),
        ] {
            let failure = door.admit(&bad, "https").await.unwrap_err();
            assert_eq!(failure.status, StatusCode::UNAUTHORIZED);
        }
        let refusal = door.admit(&headers("Bearer x"), "https").await.unwrap_err();
        let ways: Vec<_> = refusal.headers.iter().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(
            ways,
            ["Bearer realm=\"https://r.example:5000/token\",service=\"airlift\"", "Basic realm=\"airlift\""]
        );

        let answer = door.token(&password("ann", "right:one")).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        let token = serde_json::from_slice::<serde_json::Value>(&body).unwrap()["token"].as_str().unwrap().to_owned();
        assert_eq!(door.admit(&headers(&format!("Bearer {token}")), "https").await.unwrap(), "ann");
        assert!(door.token(&password("ann", "wrong")).await.is_err());
    }

    #[test]
    fn only_bcrypt_is_taken() {
        for bad in ["ann", "ann:{SHA}xxxx", "ann:$apr1$x$y", "ann:plain"] {
            let error = door(bad).unwrap_err().to_string();
            assert!(error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn the_decoy_is_a_hash_and_costs_what_a_real_one_does() {
        assert!(!bcrypt::verify("anything", DECOY).unwrap());
    }
}
