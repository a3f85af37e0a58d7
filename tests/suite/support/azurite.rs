//! Azurite, Azure's own emulator of Blob Storage, with accounts and keys of the tests.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use airlift::storage::Location;
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{Timestamp, ToSpan};
use reqwest::Method;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{
    http::{Answer, Caller},
    lent::{Lent, Pool, Reusable},
    peers,
    process::Process,
};

/// The service version that signatures are made for.
const VERSION: &str = "2021-12-02";

/// An account of the emulator: its name, and a key that is a secret nobody else uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Account {
    A,
    B,
}

impl Account {
    const fn name(self) -> &'static str {
        match self {
            Self::A => "accounta",
            Self::B => "accountb",
        }
    }

    const fn key(self) -> &'static [u8] {
        match self {
            Self::A => b"the key of account A, which is not a secret",
            Self::B => b"the key of account B, which is not a secret",
        }
    }
}

/// A running emulator, empty at first.
pub(crate) struct Azurite(Lent<Server>);

/// Its process, with a folder of its own.
struct Server {
    process: Process,
    /// `http` or `https`.
    scheme: &'static str,
    address: String,
    /// Removed with it.
    _folder: TempDir,
    /// The folder of its certificate and the authority of it.
    certificates: Option<PathBuf>,
}

static IDLE: Pool<Server> = Pool::new();

/// A shared access signature for a container; the default allows all that airlift ever needs, for an hour.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) permissions: &'static str,
    pub(crate) expires: Timestamp,
    pub(crate) https_only: bool,
    /// The container that is signed for, if it is another than the one that is named.
    pub(crate) container: Option<&'static str>,
}

impl Default for Grant {
    fn default() -> Self {
        Self { permissions: "racwdl", expires: Timestamp::now() + 1.hour(), https_only: false, container: None }
    }
}

impl Grant {
    pub(crate) fn only(permissions: &'static str) -> Self {
        Self { permissions, ..Self::default() }
    }
}

impl Server {
    fn start_with(certificates: Option<&Path>) -> Self {
        let folder = TempDir::with_prefix("airlift-azurite-").unwrap();
        let mut command = Command::new(peers::path("azurite-blob"));
        let encode = |account: Account| format!("{}:{}", account.name(), BASE64_STANDARD.encode(account.key()));
        command.env("AZURITE_ACCOUNTS", [Account::A, Account::B].map(encode).join(";")).current_dir(folder.path());
        command.args(["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--blobPort", "0", "--location", "."]);
        if let Some(certificates) = certificates {
            let [cert, key] = ["server.pem", "server.key"].map(|name| certificates.join(name));
            command.args(["--oauth", "basic", "--cert"]).arg(cert).arg("--key").arg(key);
        }
        let scheme = if certificates.is_some() { "https" } else { "http" };
        let process = Process::spawn("azurite", &mut command);
        let line = process.wait_for_line(&format!("listens on {scheme}://"));
        let address = line.rsplit("://").next().unwrap().trim().trim_end_matches('/').to_owned();
        Self { process, scheme, address, _folder: folder, certificates: certificates.map(Path::to_owned) }
    }

    /// The address of a container, or of a blob in it, without a signature.
    fn place(&self, account: Account, path: &str) -> String {
        format!("{}://{}/{}/{path}", self.scheme, self.address, account.name())
    }

    /// Asks for all of an account, or for a container in it.
    fn send(&self, method: Method, account: Account, path: &str, query: &str) -> Answer {
        let url = format!("{}?{query}&{}", self.place(account, path), account_sas(account, "sco"));
        let ca = self.certificates.as_ref().map(|folder| fs::read(folder.join("ca.pem")).unwrap());
        Caller { ca, ..Caller::default() }.send(method, &url, &[("x-ms-version", VERSION)], "").success()
    }
}

impl Reusable for Server {
    fn start() -> Self {
        Self::start_with(None)
    }

    fn empty(&self) {
        for account in [Account::A, Account::B] {
            let list = self.send(Method::GET, account, "", "comp=list");
            for rest in str::from_utf8(&list.body).unwrap().split("<Name>").skip(1) {
                let container = rest.split('<').next().unwrap();
                self.send(Method::DELETE, account, container, "restype=container");
            }
        }
    }

    fn pool() -> &'static Pool<Self> {
        &IDLE
    }
}

impl Azurite {
    /// One on a free port.
    pub(crate) fn start() -> Self {
        Self(Lent::take())
    }

    /// One with TLS, by the certificates in a folder that [`super::tls`] made: it also lets in who shows a token of Azure's.
    pub(crate) fn start_for_tokens(certificates: &Path) -> Self {
        Self(Lent::alone(Server::start_with(Some(certificates))))
    }

    /// The address of a container, or of a blob in it, without a signature.
    pub(crate) fn place(&self, account: Account, path: &str) -> String {
        self.0.place(account, path)
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// Its process; no other test gets it.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.0.keep().process
    }

    /// Makes a container.
    pub(crate) fn create(&self, account: Account, container: &str) {
        self.0.send(Method::PUT, account, container, "restype=container");
    }

    /// The address of `name` with a signature for its container; `name` may be empty.
    pub(crate) fn url(&self, account: Account, container: &str, name: &str, grant: &Grant) -> String {
        url(self.address(), account, container, name, grant)
    }

    /// A SAS of the whole account for these resource types: `s` is the service, `c` containers, `o` objects.
    pub(crate) fn account_token(account: Account, types: &str) -> String {
        account_sas(account, types)
    }

    /// The same, parsed.
    pub(crate) fn location(&self, account: Account, container: &str, name: &str, grant: &Grant) -> Location {
        Location::parse(&self.url(account, container, name, grant)).unwrap()
    }
}

/// The address of `name` at an emulator that is reached by `address`.
pub(crate) fn url(address: &str, account: Account, container: &str, name: &str, grant: &Grant) -> String {
    let sas = container_sas(account, container, grant);
    let path = [account.name(), container, name].join("/");
    format!("http://{address}/{}?{sas}", path.trim_end_matches('/'))
}

/// The value of `sig` in an address: what must never be seen.
pub(crate) fn signature(url: &str) -> String {
    url.split(['?', '&']).find_map(|pair| pair.strip_prefix("sig=")).expect("it is signed").to_owned()
}

/// Documented under "Create a service SAS", version 2020-12-06 and later.
fn container_sas(account: Account, container: &str, grant: &Grant) -> String {
    let protocol = if grant.https_only { "https" } else { "" };
    let expires = grant.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let resource = format!("/blob/{}/{}", account.name(), grant.container.unwrap_or(container));
    let fields =
        [grant.permissions, "", &expires, &resource, "", "", protocol, VERSION, "c", "", "", "", "", "", "", ""];
    let mut sas = format!("sv={VERSION}&sr=c&sp={}&se={}", grant.permissions, escape(&expires));
    if grant.https_only {
        sas.push_str("&spr=https");
    }
    let _ = write!(sas, "&sig={}", escape(&sign(account, &fields.join("\n"))));
    sas
}

/// Documented under "Create an account SAS".
fn account_sas(account: Account, types: &str) -> String {
    let expires = (Timestamp::now() + 1.hour()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let fields = [account.name(), "rwdlac", "b", types, "", &expires, "", "", VERSION, "", ""];
    let signature = escape(&sign(account, &fields.join("\n")));
    format!("sv={VERSION}&ss=b&srt={types}&sp=rwdlac&se={}&sig={signature}", escape(&expires))
}

fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn sign(account: Account, text: &str) -> String {
    BASE64_STANDARD.encode(hmac(account.key(), text.as_bytes()))
}

/// HMAC-SHA256 (RFC 2104) for keys of one block at the most.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}
