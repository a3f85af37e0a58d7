//! Letting clients in: by name and password, by a token got for them, or as anybody where the policy allows it.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{
    answer::{self, Handled, Refusal},
    error::ServerError,
    passwords::{self, MAX_PASSWORD, Passwords},
    policy::{Action, Policy},
    scopes::TokenScopes,
};
use crate::oci::{Digest, error_code::ErrorCode};

/// How long a token is good: a client asks for the next one by itself.
const TOKEN_LIFE: Duration = Duration::from_mins(5);

/// Tokens, and verified passwords, that are remembered.
const MAX_REMEMBERED: usize = 4096;

/// The door.
pub(super) struct Door {
    files: (Option<PathBuf>, Option<PathBuf>),
    rules: RwLock<Arc<Rules>>,
    /// Salted hashes of user, password and the user's line in the file that bcrypt has found right; it takes a tenth of a
    /// second each time. With another line they are worth nothing, so a reload need not find them.
    verified: Mutex<HashSet<Digest>>,
    /// Of users and of anybody, so that strangers cannot push users' tokens out; by the hash of the token.
    tokens: [Mutex<HashMap<Digest, IssuedToken>>; 2],
    /// Passwords that are compared at once: more would only keep all cores from everything else.
    comparing: Semaphore,
    /// Makes the remembered passwords useless outside this process.
    salt: Uuid,
}

/// What the files say.
#[derive(Debug)]
struct Rules {
    /// `None`: logging in is not possible.
    passwords: Option<Passwords>,
    policy: Option<Policy>,
}

#[derive(Clone)]
struct IssuedToken {
    until: Instant,
    /// The user and the hash of the password it was given for.
    owner: Option<(String, Arc<str>)>,
    scopes: Arc<TokenScopes>,
}

/// Who asks, and by what.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    /// `None` for a client that is not logged in.
    pub(super) user: Option<String>,
    /// Where a token was shown: what it is good for.
    scopes: Option<Arc<TokenScopes>>,
}

/// What is in `Authorization`.
enum Claim {
    Password(String, String),
    Token(String),
    None,
}

impl Door {
    pub(super) fn new(htpasswd: Option<&Path>, policy: Option<&Path>) -> Result<Self, ServerError> {
        let files = (htpasswd.map(Path::to_owned), policy.map(Path::to_owned));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            rules: RwLock::new(Arc::new(Rules::read(&files)?)),
            files,
            verified: Mutex::default(),
            tokens: Default::default(),
            comparing: Semaphore::new(cores),
            salt: Uuid::new_v4(),
        })
    }

    /// Reads the files again; a user that is no longer in them is out at once. What cannot be read changes nothing.
    pub(super) fn reload(&self) -> Result<(), ServerError> {
        let fresh = Arc::new(Rules::read(&self.files)?);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Users that the policy names and that have no password.
    pub(super) fn strangers(&self) -> Vec<String> {
        let rules = self.rules();
        let known = |user: &&str| rules.passwords.as_ref().is_some_and(|passwords| passwords.hash(user).is_some());
        let named = rules.policy.iter().flat_map(Policy::users);
        let mut strangers: Vec<_> = named.filter(|user| !known(user)).map(str::to_owned).collect();
        strangers.sort();
        strangers
    }

    /// Who asks. Credentials that are wrong are refused, also where none are needed.
    pub(super) async fn caller(&self, headers: &HeaderMap, realm: &str) -> Result<Caller, Refusal> {
        match claim(headers) {
            Claim::None => Ok(Caller::default()),
            Claim::Token(token) => self.holder(&token).ok_or_else(|| challenge(realm, "")),
            Claim::Password(user, password) => match self.known(&user, password).await? {
                Some(_) => Ok(Caller { user: Some(user), scopes: None }),
                None => Err(challenge(realm, "")),
            },
        }
    }

    /// Refuses a caller that may not do this with the repository. A mount wants to pull `from` another one, too: a client
    /// that may is asked for a token that says so, and for one that may not it is an upload.
    pub(super) fn authorise(
        &self,
        caller: &Caller,
        (action, repository): (Action, &str),
        from: Option<&str>,
        realm: &str,
    ) -> Result<(), Refusal> {
        let wanted = if action == Action::Push { "pull,push" } else { action.name() };
        let source = from.map_or_else(String::new, |from| format!(" repository:{from}:pull"));
        let scope = format!("repository:{repository}:{wanted}{source}");
        let user = caller.user.as_deref();
        let lacks = |scopes: &Arc<TokenScopes>| {
            let lacks_source = |from| !scopes.has(Action::Pull, from) && self.allows(user, Action::Pull, from);
            !scopes.has(action, repository) || from.is_some_and(lacks_source)
        };
        if caller.scopes.as_ref().is_some_and(lacks) {
            return Err(challenge(realm, &scope));
        }
        match (self.allows(caller.user.as_deref(), action, repository), &caller.user) {
            (true, _) => Ok(()),
            (false, None) => Err(challenge(realm, &scope)),
            (false, Some(user)) => {
                let message = format!("{user} may not {} here", action.name());
                Err(Refusal::new(StatusCode::FORBIDDEN, ErrorCode::Denied, message))
            }
        }
    }

    /// Refuses a caller that nothing is known of, for what is not a single repository's. With `open`, clients that have not
    /// logged in come in where the policy lets them have anything.
    pub(super) fn authorise_any(&self, caller: &Caller, catalog: bool, open: bool, realm: &str) -> Result<(), Refusal> {
        let scope = if catalog { "registry:catalog:*" } else { "" };
        if catalog && caller.scopes.as_ref().is_some_and(|scopes| !scopes.has_catalog()) {
            return Err(challenge(realm, scope));
        }
        let rules = self.rules();
        let is_known = caller.user.is_some() || caller.scopes.is_some() || rules.passwords.is_none();
        if is_known || (open && rules.has_anonymous()) { Ok(()) } else { Err(challenge(realm, scope)) }
    }

    /// Refuses a caller that has not logged in, where one can.
    pub(super) fn authorise_user(&self, caller: &Caller, realm: &str) -> Result<(), Refusal> {
        let logged_in = caller.user.is_some() || self.rules().passwords.is_none();
        if logged_in { Ok(()) } else { Err(challenge(realm, "")) }
    }

    /// Whether the policy lets the user do it.
    pub(super) fn allows(&self, user: Option<&str>, action: Action, repository: &str) -> bool {
        let rules = self.rules();
        match &rules.policy {
            Some(policy) => policy.allows(user, action, repository),
            None => user.is_some() || rules.passwords.is_none(),
        }
    }

    /// Whether repositories differ in what callers may do with them.
    pub(super) fn has_policy(&self) -> bool {
        self.rules().policy.is_some()
    }

    /// A token for a client that shows a password, or for anybody where the policy has something for them.
    pub(super) async fn token(&self, headers: &HeaderMap, scopes: TokenScopes) -> Handled {
        let owner = match claim(headers) {
            Claim::Password(user, password) => {
                let hash = self.known(&user, password).await?;
                Some((user, hash.ok_or_else(|| refused().with(WWW_AUTHENTICATE, basic()))?))
            }
            Claim::None if self.rules().has_anonymous() => None,
            Claim::Token(_) | Claim::None => return Err(refused().with(WWW_AUTHENTICATE, basic())),
        };
        // Two of them: 244 random bits.
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let now = Instant::now();
        let mut tokens = lock(&self.tokens[usize::from(owner.is_none())]);
        tokens.retain(|_, token| token.until > now);
        if tokens.len() >= MAX_REMEMBERED
            && let Some(oldest) = tokens.iter().min_by_key(|(_, token)| token.until).map(|(mark, _)| *mark)
        {
            tokens.remove(&oldest);
        }
        let kept = IssuedToken { until: now + TOKEN_LIFE, owner, scopes: Arc::new(scopes) };
        tokens.insert(Digest::sha256(token.as_bytes()), kept);
        drop(tokens);
        let document = json!({ "token": token, "access_token": token, "expires_in": TOKEN_LIFE.as_secs() });
        Ok(answer::json(StatusCode::OK, "application/json", &document))
    }

    fn holder(&self, token: &str) -> Option<Caller> {
        let mark = Digest::sha256(token.as_bytes());
        let token = self.tokens.iter().find_map(|tokens| lock(tokens).get(&mark).cloned())?;
        let user = match token.owner {
            // The password may have been changed, or the user be gone, since.
            Some((user, hash)) if self.hash(&user).as_ref() == Some(&hash) => Some(user),
            Some(_) => return None,
            None => None,
        };
        (token.until > Instant::now()).then_some(Caller { user, scopes: Some(token.scopes) })
    }

    /// The user's hash in the file, if the password is right.
    async fn known(&self, user: &str, password: String) -> Result<Option<Arc<str>>, Refusal> {
        if password.len() > MAX_PASSWORD {
            tracing::warn!("a password of more than {MAX_PASSWORD} bytes was refused: bcrypt ignores the rest of it");
        }
        let hash = self.hash(user);
        let line = hash.as_deref().unwrap_or_default();
        let mark = Digest::sha256(format!("{}\0{user}\0{password}\0{line}", self.salt).as_bytes());
        if lock(&self.verified).contains(&mark) {
            return Ok(hash);
        }
        let highest = self.rules().passwords.as_ref().map_or(4, Passwords::cost);
        let _turn = self.comparing.acquire().await.map_err(|error| Refusal::internal(&error))?;
        let compared = hash.clone();
        let right = tokio::task::spawn_blocking(move || passwords::is_right(&password, compared.as_deref(), highest));
        if !right.await.map_err(|error| Refusal::internal(&error))? {
            return Ok(None);
        }
        let mut verified = lock(&self.verified);
        if verified.len() >= MAX_REMEMBERED {
            verified.clear();
        }
        verified.insert(mark);
        drop(verified);
        // The file may have been read again meanwhile.
        Ok(hash.filter(|hash| self.hash(user).as_ref() == Some(hash)))
    }

    fn hash(&self, user: &str) -> Option<Arc<str>> {
        self.rules().passwords.as_ref()?.hash(user)
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rules {
    fn read((htpasswd, policy): &(Option<PathBuf>, Option<PathBuf>)) -> Result<Self, ServerError> {
        let passwords = htpasswd.as_deref().map(Passwords::read).transpose()?;
        Ok(Self { passwords, policy: policy.as_deref().map(Policy::read).transpose()? })
    }

    fn has_anonymous(&self) -> bool {
        self.policy.as_ref().is_some_and(Policy::has_anonymous)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("files", &self.files).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

fn refused() -> Refusal {
    let message = format!("log in and ask again; passwords have {MAX_PASSWORD} bytes at the most");
    Refusal::new(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message)
}

fn basic() -> HeaderValue {
    HeaderValue::from_static("Basic realm=\"airlift\"")
}

/// Both ways of asking; clients take the first that they know.
fn challenge(realm: &str, scope: &str) -> Refusal {
    let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
    let bearer = HeaderValue::try_from(format!("Bearer realm=\"{realm}/token\",service=\"airlift\"{scope}"));
    let failure = refused();
    let failure = match bearer {
        Ok(bearer) if !realm.is_empty() => failure.with(WWW_AUTHENTICATE, bearer),
        _ => failure,
    };
    failure.with(WWW_AUTHENTICATE, basic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "https://r.example:5000";

    fn door(folder: &Path, users: &str, policy: Option<&str>) -> Door {
        std::fs::write(folder.join("users"), users).unwrap();
        let path = folder.join("policy");
        let policy = policy.map(|text| std::fs::write(&path, text).unwrap()).map(|()| path.as_path());
        Door::new(Some(&folder.join("users")), policy).unwrap()
    }

    fn headers(authorization: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        headers
    }

    fn password(user: &str, password: &str) -> HeaderMap {
        headers(&format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
    }

    async fn token(door: &Door, headers: &HeaderMap, scope: &str) -> HeaderMap {
        let answer = door.token(headers, TokenScopes::parse(std::iter::once(scope))).await.unwrap();
        let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
        let document = serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        self::headers(&format!("Bearer {}", document["token"].as_str().unwrap()))
    }

    async fn may(door: &Door, headers: &HeaderMap, action: Action, repository: &str) -> u16 {
        let caller = door.caller(headers, REALM).await;
        let judged = caller.and_then(|caller| door.authorise(&caller, (action, repository), None, REALM));
        judged.err().map_or(200, |refusal| refusal.status.as_u16())
    }

    #[tokio::test]
    async fn a_password_opens_everything_and_a_token_what_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let door = door(folder.path(), &format!("ann:{}\n", bcrypt::hash("right:one", 4).unwrap()), None);
        let ann = password("ann", "right:one");
        assert_eq!(may(&door, &ann, Action::Delete, "r").await, 200);
        assert_eq!(may(&door, &ann, Action::Delete, "r").await, 200);
        for bad in [password("ann", "wrong"), password("bob", "right:one"), headers("Bearer x"), headers("Basic !")] {
            assert_eq!(may(&door, &bad, Action::Pull, "r").await, 401);
        }
        let refusal = door.authorise(&Caller::default(), (Action::Push, "a/b"), None, REALM).unwrap_err();
        let ways: Vec<_> = refusal.headers.iter().map(|(_, value)| value.to_str().unwrap()).collect();
        let bearer = format!("Bearer realm=\"{REALM}/token\",service=\"airlift\",scope=\"repository:a/b:pull,push\"");
        assert_eq!(ways, [bearer.as_str(), "Basic realm=\"airlift\""]);

        let scoped = token(&door, &ann, "repository:r:pull").await;
        assert_eq!(may(&door, &scoped, Action::Pull, "r").await, 200);
        assert_eq!(may(&door, &scoped, Action::Push, "r").await, 401);
        assert_eq!(may(&door, &scoped, Action::Pull, "other").await, 401);
        // A mount wants to pull from the other repository, which the challenge says.
        let pushing = door.caller(&token(&door, &ann, "repository:r:pull,push").await, REALM).await.unwrap();
        assert!(door.authorise(&pushing, (Action::Push, "r"), None, REALM).is_ok());
        let refusal = door.authorise(&pushing, (Action::Push, "r"), Some("s"), REALM).unwrap_err();
        let told = refusal.headers[0].1.to_str().unwrap();
        assert!(told.ends_with("scope=\"repository:r:pull,push repository:s:pull\""), "{told}");
        assert!(door.token(&password("ann", "wrong"), TokenScopes::default()).await.is_err());
        assert!(door.token(&HeaderMap::new(), TokenScopes::default()).await.is_err());
    }

    #[tokio::test]
    async fn a_user_who_is_gone_or_has_another_password_is_out_with_every_token() {
        let folder = tempfile::tempdir().unwrap();
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
        let door = door(folder.path(), &format!("ann:{}\nbob:{}\n", hash("one"), hash("two")), None);
        let (ann, bob) = (password("ann", "one"), password("bob", "two"));
        let tokens = [token(&door, &ann, "repository:r:pull").await, token(&door, &bob, "repository:r:pull").await];
        // As a check that began before the reload ends after it: the old line is remembered as right.
        std::fs::write(folder.path().join("users"), format!("ann:{}\n", hash("new"))).unwrap();
        door.reload().unwrap();
        for headers in tokens.iter().chain([&ann, &bob]) {
            assert_eq!(may(&door, headers, Action::Pull, "r").await, 401);
        }
        assert_eq!(may(&door, &password("ann", "new"), Action::Pull, "r").await, 200);
    }

    #[tokio::test]
    async fn a_policy_is_asked_at_every_use() {
        let folder = tempfile::tempdir().unwrap();
        let policy = "users: {ann: {push: 'team/**'}}\nanonymous: {pull: 'open/**'}";
        let door = door(folder.path(), &format!("ann:{}\n", bcrypt::hash("one", 4).unwrap()), Some(policy));
        let ann = password("ann", "one");
        assert_eq!(may(&door, &ann, Action::Push, "team/a").await, 200);
        assert_eq!(may(&door, &ann, Action::Delete, "team/a").await, 403);
        assert_eq!(may(&door, &HeaderMap::new(), Action::Pull, "open/a").await, 200);
        assert_eq!(may(&door, &HeaderMap::new(), Action::Pull, "team/a").await, 401);
        let anybody = token(&door, &HeaderMap::new(), "repository:open/a:pull repository:team/a:pull").await;
        assert_eq!(may(&door, &anybody, Action::Pull, "open/a").await, 200);
        assert_eq!(may(&door, &anybody, Action::Pull, "team/a").await, 401);
        let token = token(&door, &ann, "repository:team/a:pull,push").await;
        std::fs::write(folder.path().join("policy"), "users: {ann: {pull: 'team/**'}}").unwrap();
        door.reload().unwrap();
        assert_eq!(may(&door, &token, Action::Pull, "team/a").await, 200);
        assert_eq!(may(&door, &token, Action::Push, "team/a").await, 403);
    }
}
