//! Lowkey Vault, an emulator of Azure Key Vault by others: the vault's REST over TLS with the certificate that it brings, and
//! a stand-in for the endpoint of managed identities.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    str,
};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Airlift,
    http::{self, Answer, Caller},
    peers,
    process::{Process, Ran},
    vault::{Keeper, Kept},
};

/// The version of the vault's interface that secrets are put by.
const API: &str = "api-version=7.4";

/// The oldest Java that runs the version which `tests/setup` fetches.
const JAVA: u32 = 25;

/// How every token that it gives out begins: the head, which is the same for all.
const HEAD: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.";

/// What it is told to be asked with; it does not look at it.
const HEADER: &str = "identity-header-CANARY";

/// A running vault.
pub(crate) struct Lowkey {
    process: Process,
    folder: TempDir,
    address: String,
    identity: String,
    caller: Caller,
}

/// Whether it and a Java for it are here. Where not, that is told loudly; in CI too it is not a failure, for the one place that it
/// comes from does not have it for everybody.
#[must_use]
pub(crate) fn present(test: &str) -> bool {
    if jar().is_some() && java().is_some() {
        return true;
    }
    if peers::in_ci() {
        peers::tell(&format!("NOT RUN: {test}: Lowkey Vault cannot be had"));
    } else {
        peers::skipped(test, "Lowkey Vault and Java (tests/setup fetches it where it can; LOWKEY_VAULT names its jar)");
    }
    false
}

fn jar() -> Option<PathBuf> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join(".peers/lowkey-vault/lowkey-vault-app.jar");
    Some(env::var_os("LOWKEY_VAULT").map_or_else(own, PathBuf::from)).filter(|jar| jar.is_file())
}

/// The newest Java of this machine, if it is new enough.
fn java() -> Option<PathBuf> {
    let in_path = peers::find("java").and_then(|java| fs::canonicalize(java).ok());
    let in_path = in_path.and_then(|java| Some(java.parent()?.parent()?.to_owned()));
    let installed = fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|entry| entry.path());
    let homes = env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().chain(in_path).chain(installed);
    homes
        .map(|home| (major(&home), home.join("bin/java")))
        .filter(|(major, java)| *major >= JAVA && java.is_file())
        .max()
        .map(|(_, java)| java)
}

/// The major version of the Java in a folder, which says so in a file.
fn major(home: &Path) -> u32 {
    let release = fs::read_to_string(home.join("release")).unwrap_or_default();
    let version = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION=\""));
    version.and_then(|version| version.split(['.', '"']).next()?.parse().ok()).unwrap_or(0)
}

impl Lowkey {
    /// Starts it on free ports, empty.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("airlift-lowkey-").unwrap();
        let mut command = Command::new(java().expect("`present` was asked before"));
        // Ready sooner: it does not live long enough for the better compiler.
        command.args(["-XX:TieredStopAtLevel=1", "-jar"]).arg(jar().expect("`present` was asked before"));
        // The port is not known before it is taken, so vaults are told apart by their hosts alone.
        command.args(["--server.port=0", "--app.token.port=0", "--LOWKEY_VAULT_RELAXED_PORTS=true"]);
        let process = Process::spawn("lowkey-vault", command.current_dir(folder.path()));
        let line = process.wait_for_line("started on ports ");
        let ports: Vec<&str> = line.split("started on ports ").nth(1).unwrap().split(' ').collect();
        let [vault, "(https),", identity, "(http)", ..] = ports.as_slice() else { panic!("which ports? {line}") };
        let (address, identity) = (format!("127.0.0.1:{vault}"), format!("http://127.0.0.1:{identity}/metadata"));
        process.wait_for_line("Started LowkeyVaultApp");
        let authority = certificate(&identity, folder.path());
        let caller = Caller { ca: Some(fs::read(authority).unwrap()), ..Caller::default() };
        Self { process, folder, address, identity, caller }
    }

    /// Puts a secret, as the SDKs do: asks without a token, gets one for what the vault says, and asks again. Returns its
    /// version.
    pub(crate) fn put(&self, name: &str, secret: &Kept) -> String {
        let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        let body = json!({
            "value": secret.value,
            "attributes": { "enabled": secret.enabled, "exp": second(secret.expires), "nbf": second(secret.begins) },
        });
        let url = format!("https://{}/secrets/{name}?{API}", self.address);
        let send = |headers: &[(&str, &str)]| self.caller.send(Method::PUT, &url, headers, body.to_string());
        let kind = ("content-type", "application/json");
        let challenge = send(&[kind]);
        assert_eq!(challenge.status, 401, "it must want a token");
        let asks_for =
            challenge.header("www-authenticate").split("resource=\"").nth(1).unwrap().split('"').next().unwrap();
        let token = json(&http::get(&format!("{}/identity/oauth2/token?resource={asks_for}", self.identity)).success());
        let token = token["access_token"].as_str().unwrap();
        assert!(token.starts_with(HEAD), "what must not be seen begins in another way");
        let put = json(&send(&[kind, ("authorization", &format!("Bearer {token}"))]).success());
        put["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    }
}

impl Keeper for Lowkey {
    fn keep(&self, name: &str, secret: Kept) {
        self.put(name, &secret);
    }

    fn reference(&self, name: &str) -> String {
        format!("https://{}/secrets/{name}", self.address)
    }

    fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn identify(&self, airlift: &mut Airlift) {
        airlift.set("IDENTITY_ENDPOINT", format!("{}/identity/oauth2/token", self.identity));
        airlift.set("IDENTITY_HEADER", HEADER);
    }

    fn secrets(&self) -> Vec<String> {
        vec![HEAD.to_owned(), HEADER.to_owned()]
    }
}

/// The certificate that it serves with, out of the key store that it gives to whoever asks.
fn certificate(metadata: &str, folder: &Path) -> PathBuf {
    let (store, pem) = (folder.join("store.p12"), folder.join("ca.pem"));
    fs::write(&store, http::get(&format!("{metadata}/default-cert/lowkey-vault.p12")).success().body).unwrap();
    let password = http::get(&format!("{metadata}/default-cert/password")).success().body;
    let password = format!("pass:{}", str::from_utf8(&password).unwrap());
    let mut openssl = Command::new(peers::path("openssl"));
    openssl.args(["pkcs12", "-nokeys", "-passin", &password, "-in"]).arg(store).arg("-out").arg(&pem);
    Ran::of(&mut openssl).success();
    pem
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}
