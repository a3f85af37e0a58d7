//! Debian's `docker-registry` (distribution 2.8) on a free loopback port, with its storage in a temporary folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use airlift::oci::{Algorithm, Descriptor, Digest, Hasher, Manifest, media_type};
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    http::{Answer, Caller},
    peers,
    process::{Process, Ran},
    tls,
};

/// How the registry is set up; the default is plain HTTP, anonymous, deletes allowed, foreign layers refused.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent settings of the registry, as its configuration has them"
)]
pub(crate) struct Options {
    /// The one user and the password who may enter.
    pub(crate) htpasswd: Option<(&'static str, &'static str)>,
    /// HTTPS, with a certificate of an authority made for this registry ([`Registry::ca`]).
    pub(crate) tls: bool,
    /// Demands a client certificate of the same authority.
    pub(crate) client_certificates: bool,
    /// Regular expressions of the `urls` that manifests may name (`validation.manifests.urls.allow`).
    pub(crate) allow_urls: Vec<String>,
    /// Answers 405 to deletes.
    pub(crate) no_delete: bool,
    /// Answers 503 to everything that would change something.
    pub(crate) read_only: bool,
}

/// A running registry; it ends when it goes out of scope, and its storage with it.
pub(crate) struct Registry {
    folder: TempDir,
    options: Options,
    process: Process,
    address: String,
}

/// One line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET`, `PUT`, …
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Answered status.
    pub(crate) status: u16,
    /// Bytes of the answered body.
    pub(crate) sent: u64,
}

impl Registry {
    /// Starts a registry; it listens when this returns.
    pub(crate) fn start(options: Options) -> Self {
        let folder = TempDir::with_prefix("airlift-registry-").unwrap();
        if options.tls {
            tls::write(folder.path());
        }
        if let Some((user, password)) = options.htpasswd {
            let line = Ran::of(Command::new(peers::path("htpasswd")).args(["-Bbn", "-C4", user, password])).success();
            fs::write(folder.path().join("htpasswd"), line.stdout).unwrap();
        }
        // Port 0: the system picks a free one, and the registry's log tells which.
        let (process, address) = serve(folder.path(), &options, "127.0.0.1:0");
        Self { folder, options, process, address }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT` or `https://…`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.options.tls { "https" } else { "http" }, self.address)
    }

    /// `127.0.0.1:PORT/REPOSITORY_AND_NAME`.
    pub(crate) fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// The root of the filesystem storage driver.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.path().join("storage")
    }

    /// The file in which a blob's bytes lie, to damage or to remove.
    pub(crate) fn blob_file(&self, digest: &Digest) -> PathBuf {
        let (algorithm, hex) = (digest.algorithm().to_string(), digest.hex());
        self.storage().join("docker/registry/v2/blobs").join(algorithm).join(&hex[..2]).join(&hex).join("data")
    }

    /// `ca.pem` of the registry's authority; `client.pem` and `client.key` lie beside it.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The registry's own process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// `kill -9` and a new start at the same address over the same storage, with other options.
    pub(crate) fn restart(&mut self, options: Options) {
        self.process.kill();
        self.options = options;
        (self.process, self.address) = serve(self.folder.path(), &self.options, &self.address);
    }

    /// `kill -9`; the address stays, and refuses connections.
    pub(crate) fn stop(&mut self) {
        self.process.kill();
    }

    /// What was asked so far, in the order of the answers.
    pub(crate) fn requests(&self) -> Vec<Request> {
        // The log of this request comes after those of all answered before it.
        let marker = format!("/v2/?seen={}", self.process.log().len());
        self.send(Method::GET, &marker, &[], Bytes::new());
        self.process.wait_for_line(&marker);
        self.process.log().lines().filter(|line| !line.contains("/v2/?seen=")).filter_map(Request::parse).collect()
    }

    /// Sends one request with the registry's authority and user.
    pub(crate) fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url()) };
        self.caller().send(method, &url, headers, body)
    }

    fn caller(&self) -> Caller {
        let read = |name: &str| fs::read(self.folder.path().join(name)).unwrap();
        Caller {
            ca: self.options.tls.then(|| read("ca.pem")),
            identity: self.options.client_certificates.then(|| [read("client.pem"), read("client.key")].concat()),
            basic: self.options.htpasswd.map(|(user, password)| (user.to_owned(), password.to_owned())),
        }
    }

    /// Uploads a blob with `POST` and one `PUT`.
    pub(crate) fn push_blob(&self, repository: &str, content: impl Into<Bytes>) -> Digest {
        let content = content.into();
        let digest = Digest::sha256(&content);
        let started = self.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), &[], Bytes::new()).success();
        let location = started.header("location").to_owned();
        let url = format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' });
        self.send(Method::PUT, &url, &[("content-type", "application/octet-stream")], content).success();
        digest
    }

    /// Gives the registry a blob of `size` zeros that takes no space on the disk, by writing into its storage; for layers
    /// larger than anybody wants to push. Reading it for its digest takes a second or so for each GiB.
    pub(crate) fn plant_zeros(&self, repository: &str, size: u64) -> Descriptor {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let zeros = vec![0; 1 << 20];
        let mut left = size;
        while left > 0 {
            let part = left.min(zeros.len() as u64);
            hasher.update(&zeros[..usize::try_from(part).unwrap()]);
            left -= part;
        }
        self.plant(repository, size, hasher.finish())
    }

    /// The same under the digest of something else, for where no client reads to the end.
    pub(crate) fn plant_unread(&self, repository: &str, size: u64) -> Descriptor {
        self.plant(repository, size, Digest::sha256(b"nobody reads all of it"))
    }

    fn plant(&self, repository: &str, size: u64, digest: Digest) -> Descriptor {
        let data = self.blob_file(&digest);
        let links = self.storage().join("docker/registry/v2/repositories").join(repository).join("_layers");
        let link = links.join(digest.algorithm().to_string()).join(digest.hex()).join("link");
        for file in [&data, &link] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        fs::File::create(data).unwrap().set_len(size).unwrap();
        fs::write(link, digest.to_string()).unwrap();
        Descriptor::new(super::artifacts::LAYER, digest, size)
    }

    /// Puts a manifest under a tag or its digest.
    pub(crate) fn push_manifest(&self, repository: &str, name: &str, manifest: &Manifest) {
        self.put_manifest(repository, name, manifest.media_type(), manifest.raw().clone()).success();
    }

    /// Puts any bytes as a manifest and returns the answer.
    pub(crate) fn put_manifest(&self, repository: &str, name: &str, media_type: &str, raw: Bytes) -> Answer {
        self.send(Method::PUT, &format!("/v2/{repository}/manifests/{name}"), &[("content-type", media_type)], raw)
    }

    /// The manifest under a tag or digest; `None` if the registry says 404.
    pub(crate) fn manifest(&self, repository: &str, name: &str) -> Option<Manifest> {
        let accept = media_type::MANIFESTS.join(", ");
        let path = format!("/v2/{repository}/manifests/{name}");
        let answer = self.send(Method::GET, &path, &[("accept", &accept)], Bytes::new());
        if answer.status == reqwest::StatusCode::NOT_FOUND {
            return None;
        }
        let answer = answer.success();
        Some(Manifest::parse(answer.body.clone(), Some(answer.header("content-type"))).unwrap())
    }

    /// A blob's bytes; `None` if the registry says 404.
    pub(crate) fn blob(&self, repository: &str, digest: &Digest) -> Option<Bytes> {
        let answer = self.send(Method::GET, &format!("/v2/{repository}/blobs/{digest}"), &[], Bytes::new());
        if answer.status == reqwest::StatusCode::NOT_FOUND { None } else { Some(answer.success().body) }
    }

    /// The tags of a repository, sorted; empty if there is no such repository.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        self.list(&format!("/v2/{repository}/tags/list"), "tags")
    }

    /// The repositories, sorted.
    pub(crate) fn repositories(&self) -> Vec<String> {
        self.list("/v2/_catalog?n=1000", "repositories")
    }

    fn list(&self, path: &str, key: &str) -> Vec<String> {
        let answer = self.send(Method::GET, path, &[], Bytes::new());
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let mut names: Vec<String> = serde_json::from_value(value[key].clone()).unwrap_or_default();
        names.sort();
        names
    }
}

impl Request {
    /// Apache's combined format: `IP - USER [TIME] "METHOD PATH PROTOCOL" STATUS BYTES …`.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut request = request.split(' ');
        let mut rest = rest.split(' ');
        Some(Self {
            method: request.next()?.to_owned(),
            path: request.next()?.to_owned(),
            status: rest.next()?.parse().ok()?,
            sent: rest.next()?.parse().ok()?,
        })
    }
}

/// Starts the registry on `address` and returns the address that it got.
fn serve(folder: &Path, options: &Options, address: &str) -> (Process, String) {
    let config = folder.join("config.yml");
    // JSON is YAML.
    fs::write(&config, configuration(folder, options, address).to_string()).unwrap();
    let mut command = Command::new(peers::path("docker-registry"));
    // It lives for seconds and needs little memory: to collect garbage less often saves a quarter of its work.
    command.arg("serve").arg(config).env_clear().envs([("OTEL_TRACES_EXPORTER", "none"), ("GOGC", "400")]);
    let process = Process::spawn("docker-registry", &mut command);
    let line = process.wait_for_line("listening on 127.0.0.1:");
    let (_, rest) = line.split_once("listening on ").unwrap();
    let end = rest.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit()).unwrap_or(rest.len());
    (process, rest[..end].to_owned())
}

fn configuration(folder: &Path, options: &Options, address: &str) -> Value {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut config = json!({
        "version": "0.1",
        "log": { "level": "info", "accesslog": { "disabled": false } },
        "storage": {
            "filesystem": { "rootdirectory": file("storage") },
            "delete": { "enabled": !options.no_delete },
            "maintenance": {
                "uploadpurging": { "enabled": false },
                "readonly": { "enabled": options.read_only },
            },
        },
        "http": { "addr": address },
    });
    if options.tls {
        config["http"]["tls"] = json!({ "certificate": file("server.pem"), "key": file("server.key") });
    }
    if options.client_certificates {
        config["http"]["tls"]["clientcas"] = json!([file("ca.pem")]);
    }
    if options.htpasswd.is_some() {
        config["auth"] = json!({ "htpasswd": { "realm": "airlift", "path": file("htpasswd") } });
    }
    if !options.allow_urls.is_empty() {
        config["validation"] = json!({ "manifests": { "urls": { "allow": options.allow_urls } } });
    }
    config
}
