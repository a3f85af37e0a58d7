//! Stored credentials: docker's `config.json` with its helpers, podman's `auth.json`, the environment.
//!
//! Where several could serve, the first wins: `AIRLIFT_USERNAME` and `AIRLIFT_PASSWORD`; the file named by the person;
//! without one `REGISTRY_AUTH_FILE`, podman's file, docker's file. Files are changed by writing a new one beside them and
//! renaming it; entries of others are kept.

use std::{
    env, fmt, fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde_json::{Map, Value, json};

pub use super::credential::{Credential, Error};
use super::helper;

/// The key that docker keeps its own registry under.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Names under which docker's own registry is found in files.
const DOCKER_HUB: [&str; 4] = [DOCKER_HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io"];

/// Where credentials are looked up.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    /// User and password for every registry.
    pair: Option<(String, Password)>,
    /// Files, in the order in which they are asked.
    files: Vec<PathBuf>,
}

#[derive(Clone, Default)]
struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Keychain {
    /// The environment's, or `authfile` in place of its files.
    pub fn from_environment(authfile: Option<&Path>) -> Self {
        let text = |key| env::var(key).ok().filter(|text| !text.is_empty());
        let pair = text("AIRLIFT_USERNAME").zip(text("AIRLIFT_PASSWORD").map(Password));
        let path = |key| env::var_os(key).filter(|text| !text.is_empty()).map(PathBuf::from);
        let files = match authfile {
            Some(file) => vec![file.to_owned()],
            None => [
                path("REGISTRY_AUTH_FILE"),
                path("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
                path("XDG_CONFIG_HOME")
                    .or_else(|| path("HOME").map(|home| home.join(".config")))
                    .map(|folder| folder.join("containers/auth.json")),
                docker_file(),
            ]
            .into_iter()
            .flatten()
            .collect(),
        };
        Self { pair, files }
    }

    /// The credentials for `repository` on `registry`, if there are any. May run a helper: not for the reactor.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
        if let Some((user, Password(password))) = &self.pair {
            return Ok(Some(Credential::Password { user: user.clone(), password: password.clone() }));
        }
        for path in &self.files {
            let text = match fs::read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::Read { path: path.clone(), source }),
            };
            if let Some(found) = find_in(path, &text, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn find_in(path: &Path, text: &[u8], registry: &str, repository: &str) -> Result<Option<Credential>, Error> {
    let document = parse(path, text)?;
    let has = |key: &str| {
        let under = |name: &str| document.get(name).and_then(Value::as_object).is_some_and(|map| map.contains_key(key));
        under("auths") || under("credHelpers")
    };
    let names: &[&str] = if is_docker_hub(registry) { &DOCKER_HUB } else { &[registry] };
    // podman's entries may be for a part of a registry; the closest one is meant.
    let mut keys = Vec::new();
    let mut part = repository;
    while !part.is_empty() {
        keys.extend(names.iter().map(|name| format!("{name}/{part}")));
        part = part.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    keys.extend(names.iter().map(|name| (*name).to_owned()));
    keys.retain(|key| has(key));
    // Without an exact entry there may still be one by URL, or a store for everything.
    keys.push(if is_docker_hub(registry) { DOCKER_HUB_KEY } else { registry }.to_owned());
    let stored = stored_part(&document);
    for key in keys {
        if let Some(helper) = own_helper(&document, &key) {
            if let Some(found) = helper::get(&helper, &key, helper::PATIENCE)? {
                return Ok(Some(found));
            }
            continue;
        }
        match docker_credential::get_credential_from_reader(&stored[..], &key) {
            Ok(DockerCredential::UsernamePassword(user, password)) if !user.is_empty() || !password.is_empty() => {
                return Ok(Some(Credential::Password { user, password }));
            }
            Ok(DockerCredential::IdentityToken(token)) if !token.is_empty() => {
                return Ok(Some(Credential::IdentityToken(token)));
            }
            // An empty entry is how docker notes that its store has the credentials, or that there are none.
            Ok(_) => {}
            Err(CredentialRetrievalError::NoCredentialConfigured) => {
                if let Some(helper) = store_helper(&document)
                    && let Some(found) = helper::get(&helper, &key, helper::PATIENCE)?
                {
                    return Ok(Some(found));
                }
            }
            Err(_) => {
                return Err(Error::Malformed { path: path.to_owned(), reason: "an entry cannot be decoded" });
            }
        }
    }
    Ok(None)
}

/// The file without its helpers, which are run here: the crate would wait for one without end.
fn stored_part(document: &Map<String, Value>) -> Vec<u8> {
    let auths = document.get("auths").cloned().unwrap_or_default();
    json!({ "auths": auths }).to_string().into_bytes()
}

/// Keeps `credential` for `registry`: in `authfile`, in the file that `REGISTRY_AUTH_FILE` names, or in docker's, by the
/// helper if the file names one. Gives the file that was used.
pub fn store(authfile: Option<&Path>, registry: &str, credential: &Credential) -> Result<PathBuf, Error> {
    let path = writable(authfile)?;
    let mut document = read(&path)?;
    let key = key_of(registry);
    if let Some(helper) = helper_for(&document, key) {
        let (user, secret) = match credential {
            Credential::Password { user, password } => (user.as_str(), password.as_str()),
            Credential::IdentityToken(token) => (helper::TOKEN_USER, token.as_str()),
        };
        let input = json!({"ServerURL": key, "Username": user, "Password": secret}).to_string();
        helper::tell(&helper, "store", &input, helper::PATIENCE)?;
        return Ok(path);
    }
    let entry = match credential {
        Credential::Password { user, password } => json!({"auth": STANDARD.encode(format!("{user}:{password}"))}),
        Credential::IdentityToken(token) => json!({"auth": STANDARD.encode("<token>:"), "identitytoken": token}),
    };
    let auths = document.entry("auths").or_insert_with(|| json!({}));
    let Some(auths) = auths.as_object_mut() else {
        return Err(Error::Malformed { path, reason: "auths is not an object" });
    };
    auths.insert(key.to_owned(), entry);
    write(&path, &document)?;
    Ok(path)
}

/// Forgets what is kept for `registry`, in the file that [`store`] would use. `false` if nothing was.
pub fn erase(authfile: Option<&Path>, registry: &str) -> Result<bool, Error> {
    let path = writable(authfile)?;
    let mut document = read(&path)?;
    let key = key_of(registry);
    let by_helper = match helper_for(&document, key) {
        Some(helper) => helper::tell(&helper, "erase", key, helper::PATIENCE).map(|()| true)?,
        None => false,
    };
    let names: &[&str] = if is_docker_hub(registry) { &DOCKER_HUB } else { &[registry] };
    let Some(auths) = document.get_mut("auths").and_then(Value::as_object_mut) else { return Ok(by_helper) };
    let before = auths.len();
    auths.retain(|key, _| !names.iter().any(|name| key == name || *key == format!("https://{name}")));
    if auths.len() == before {
        return Ok(by_helper);
    }
    write(&path, &document)?;
    Ok(true)
}

fn is_docker_hub(registry: &str) -> bool {
    DOCKER_HUB.contains(&registry)
}

fn key_of(registry: &str) -> &str {
    if is_docker_hub(registry) { DOCKER_HUB_KEY } else { registry }
}

fn docker_file() -> Option<PathBuf> {
    let set = |key| env::var_os(key).filter(|text| !text.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")))?;
    Some(folder.join("config.json"))
}

fn writable(authfile: Option<&Path>) -> Result<PathBuf, Error> {
    let named = authfile.map(Path::to_owned);
    let path = named
        .or_else(|| env::var_os("REGISTRY_AUTH_FILE").filter(|text| !text.is_empty()).map(PathBuf::from))
        .or_else(docker_file)
        .ok_or(Error::Nowhere)?;
    // A link to the file stays a link to the file.
    Ok(path.canonicalize().unwrap_or(path))
}

/// `docker-credential-…` for a key, if the file names one.
fn helper_for(document: &Map<String, Value>, key: &str) -> Option<String> {
    own_helper(document, key).or_else(|| store_helper(document))
}

/// The helper for this key alone.
fn own_helper(document: &Map<String, Value>, key: &str) -> Option<String> {
    helper_name(document.get("credHelpers")?.get(key)?)
}

/// The helper for every key that has none of its own.
fn store_helper(document: &Map<String, Value>) -> Option<String> {
    helper_name(document.get("credsStore")?)
}

fn helper_name(value: &Value) -> Option<String> {
    value.as_str().filter(|name| !name.is_empty()).map(|name| format!("docker-credential-{name}"))
}

fn parse(path: &Path, text: &[u8]) -> Result<Map<String, Value>, Error> {
    // The parser's complaint could quote a secret.
    serde_json::from_slice(text).map_err(|_| Error::Malformed { path: path.to_owned(), reason: "not a JSON object" })
}

fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    match fs::read(path) {
        Ok(text) if text.trim_ascii().is_empty() => Ok(Map::new()),
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// Replaces the file in one step, readable by its owner only.
fn write(path: &Path, document: &Map<String, Value>) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.{}", process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let mut text = serde_json::to_vec_pretty(document)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    written.map_err(|source| {
        let _ = fs::remove_file(&beside);
        failed(source)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn password(user: &str, password: &str) -> Credential {
        Credential::Password { user: user.to_owned(), password: password.to_owned() }
    }

    fn keychain(path: &Path) -> Keychain {
        Keychain { pair: None, files: vec![path.to_owned()] }
    }

    #[test]
    fn what_is_stored_is_found_and_the_rest_of_the_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/config.json");
        assert_eq!(keychain(&path).find("r.example", "a").unwrap(), None);
        store(Some(&path), "other.example", &password("o", "p")).unwrap();
        let mut text: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        text["HttpHeaders"] = json!({"X": "y"});
        fs::write(&path, text.to_string()).unwrap();
        store(Some(&path), "r.example:5000", &password("me", "wo:rd")).unwrap();
        store(Some(&path), "docker.io", &Credential::IdentityToken("identity".to_owned())).unwrap();

        let found = |registry| keychain(&path).find(registry, "a/b").unwrap();
        assert_eq!(found("r.example:5000"), Some(password("me", "wo:rd")));
        assert_eq!(found("other.example"), Some(password("o", "p")));
        assert_eq!(found("docker.io"), Some(Credential::IdentityToken("identity".to_owned())));
        assert_eq!(found("r.example"), None);
        let kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(kept["HttpHeaders"]["X"], "y");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the file");

        assert!(erase(Some(&path), "docker.io").unwrap());
        assert!(!erase(Some(&path), "docker.io").unwrap());
        assert_eq!(found("docker.io"), None);
        assert_eq!(found("other.example"), Some(password("o", "p")));
    }

    #[test]
    fn the_closest_entry_of_podmans_file_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        let auth = |text: &str| json!({"auth": STANDARD.encode(text)});
        let auths = json!({"auths": {
            "r.example": auth("all:1"),
            "r.example/team": auth("team:2"),
            "r.example/team/app": auth("app:3"),
            "docker.io": auth("hub:4"),
        }});
        fs::write(&path, auths.to_string()).unwrap();
        for (registry, repository, user, word) in [
            ("r.example", "x", "all", "1"),
            ("r.example", "team/x", "team", "2"),
            ("r.example", "team/app", "app", "3"),
            ("r.example", "team/app/sub", "app", "3"),
            ("docker.io", "library/alpine", "hub", "4"),
        ] {
            let found = keychain(&path).find(registry, repository).unwrap();
            assert_eq!(found, Some(password(user, word)), "{registry}/{repository}");
        }
    }

    #[test]
    fn a_helper_that_cannot_be_run_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, json!({"credsStore": "airlift-absent"}).to_string()).unwrap();
        let errors = [
            keychain(&path).find("r.example", "a").unwrap_err(),
            store(Some(&path), "r.example", &password("a", "b")).unwrap_err(),
            erase(Some(&path), "r.example").unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(&error, Error::Helper { helper, .. } if helper == "docker-credential-airlift-absent"));
        }
    }

    #[test]
    fn a_malformed_file_is_an_error_that_does_not_quote_it_and_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for text in [r#"{"auths": {"r.example": {"auth": "geheim!"}}}"#, "geheim", r#"{"auths": "geheim"}"#] {
            fs::write(&path, text).unwrap();
            let error = keychain(&path).find("r.example", "a").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        }
        for text in ["geheim", r#"{"auths": "geheim"}"#] {
            fs::write(&path, text).unwrap();
            assert!(store(Some(&path), "r.example", &password("a", "b")).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
