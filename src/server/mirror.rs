//! What container runtimes must be told so that they pull from a served bundle under the names they know.
//!
//! Runtimes differ in what they send. containerd, and k3s with it, names the source host in the `ns` parameter; podman,
//! CRI-O and OpenShift put what the mirror's location says in front of the path; Docker sends the bare path and mirrors
//! Docker Hub only.

use std::{collections::BTreeSet, fmt::Write as _, str::FromStr};

use super::bundles::spelled;

/// The host that Docker can mirror, the only one.
const DOCKER_HUB: &str = "docker.io";

/// Where the mirror is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `host` or `host:port`.
    authority: String,
    /// What stands before repository names there, with a slash in front; mostly empty.
    prefix: String,
    secure: bool,
}

/// An address that no mirror can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address of a mirror; write HOST:PORT, http://HOST:PORT or https://HOST:PORT, and a path if there is one"
)]
pub struct ParseMirrorError(String);

impl FromStr for Mirror {
    type Err = ParseMirrorError;

    /// Without a scheme it is `https`, except on loopback.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Some(true), rest),
            (None, Some(rest)) => (Some(false), rest),
            (None, None) => (None, text),
        };
        let (authority, path) = rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), ""));
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        let good = !host.is_empty() && authority.bytes().all(plain);
        if !good || !(path.is_empty() || crate::oci::reference::is_repository(path)) {
            return Err(ParseMirrorError(text.to_owned()));
        }
        let loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { authority: authority.to_owned(), prefix, secure: secure.unwrap_or(!loopback) })
    }
}

impl Mirror {
    fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// The location of a host's repositories for those who put it in front of the path.
    fn location(&self, host: &str) -> String {
        format!("{}{}/{}", self.authority, self.prefix, spelled(host))
    }
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// containerd: a tree of `hosts.toml`.
    Containerd,
    /// k3s and RKE2: `registries.yaml`.
    K3s,
    /// podman, buildah, skopeo and CRI-O: a file of `registries.conf.d`.
    Podman,
    /// OpenShift: `ImageDigestMirrorSet` and `ImageTagMirrorSet`.
    OpenShift,
    /// Docker: `daemon.json`.
    Docker,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Containerd, Self::K3s, Self::Podman, Self::OpenShift, Self::Docker];
}

/// A file for a runtime.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct File {
    /// Where it goes, below the output folder.
    pub path: String,
    /// Where it belongs on the machine, for the person.
    pub target: String,
    /// What is in it.
    pub content: String,
}

/// The files by which `runtime` pulls what comes from `hosts` from `mirror`.
pub fn files(runtime: Runtime, hosts: &BTreeSet<String>, mirror: &Mirror) -> Vec<File> {
    match runtime {
        Runtime::Containerd => hosts.iter().map(|host| containerd(host, mirror)).collect(),
        Runtime::K3s => vec![k3s(hosts, mirror)],
        Runtime::Podman => vec![podman(hosts, mirror)],
        Runtime::OpenShift => vec![openshift(hosts, mirror)],
        Runtime::Docker => vec![docker(hosts, mirror)],
    }
}

/// containerd asks only the mirror: `server` would be the source itself, which a disconnected site cannot reach, and
/// waiting for that takes minutes.
fn containerd(host: &str, mirror: &Mirror) -> File {
    let url = mirror.url();
    let mut content = String::new();
    if mirror.prefix.is_empty() {
        let _ = write!(content, "server = \"{url}\"\n\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    } else {
        // With a path of its own the mirror's name must be given whole, the API's part included.
        let url = format!("{url}/v2{}", mirror.prefix);
        let _ = write!(content, "server = \"{url}\"\n\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
        content += "  override_path = true\n";
    }
    // A colon is no good in a folder's name on every system; containerd looks for both forms.
    let folder = if host.contains(':') { format!("{}_", host.replace(':', "_")) } else { host.to_owned() };
    File {
        path: format!("containerd/certs.d/{folder}/hosts.toml"),
        target: format!("/etc/containerd/certs.d/{folder}/hosts.toml"),
        content,
    }
}

fn k3s(hosts: &BTreeSet<String>, mirror: &Mirror) -> File {
    let mut content = "mirrors:\n".to_owned();
    let url = format!(
        "{}{}",
        mirror.url(),
        if mirror.prefix.is_empty() { String::new() } else { format!("/v2{}", mirror.prefix) }
    );
    for host in hosts {
        let _ = write!(content, "  \"{host}\":\n    endpoint:\n      - \"{url}\"\n");
    }
    File {
        path: "k3s/registries.yaml".to_owned(),
        target: "/etc/rancher/k3s/registries.yaml (RKE2: /etc/rancher/rke2)".to_owned(),
        content,
    }
}

fn podman(hosts: &BTreeSet<String>, mirror: &Mirror) -> File {
    let mut content = String::new();
    for host in hosts {
        let _ = write!(
            content,
            "[[registry]]\nprefix = \"{host}\"\nlocation = \"{host}\"\n\n[[registry.mirror]]\nlocation = \"{}\"\ninsecure = {}\n\n",
            mirror.location(host),
            !mirror.secure
        );
    }
    content.truncate(content.trim_end().len());
    content.push('\n');
    File {
        path: "podman/airlift.conf".to_owned(),
        target: "/etc/containers/registries.conf.d/airlift.conf".to_owned(),
        content,
    }
}

/// By digest and by tag are two kinds of resource, and a cluster needs both.
fn openshift(hosts: &BTreeSet<String>, mirror: &Mirror) -> File {
    let mut content = String::new();
    for (kind, list) in [("ImageDigestMirrorSet", "imageDigestMirrors"), ("ImageTagMirrorSet", "imageTagMirrors")] {
        let _ = write!(
            content,
            "---\napiVersion: config.openshift.io/v1\nkind: {kind}\nmetadata:\n  name: airlift\nspec:\n  {list}:\n"
        );
        for host in hosts {
            let _ = write!(
                content,
                "    - source: \"{host}\"\n      mirrors:\n        - \"{}\"\n      mirrorSourcePolicy: NeverContactSource\n",
                mirror.location(host)
            );
        }
    }
    File { path: "openshift/mirrors.yaml".to_owned(), target: "oc apply -f mirrors.yaml".to_owned(), content }
}

fn docker(hosts: &BTreeSet<String>, mirror: &Mirror) -> File {
    let mut settings = serde_json::Map::new();
    if hosts.contains(DOCKER_HUB) && mirror.prefix.is_empty() {
        settings.insert("registry-mirrors".to_owned(), serde_json::json!([mirror.url()]));
    }
    if !mirror.secure {
        settings.insert("insecure-registries".to_owned(), serde_json::json!([mirror.authority]));
    }
    let content = format!("{:#}\n", serde_json::Value::Object(settings));
    File { path: "docker/daemon.json".to_owned(), target: "/etc/docker/daemon.json".to_owned(), content }
}
