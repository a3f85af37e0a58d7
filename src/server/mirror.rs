//! What container runtimes must be told so that they pull from a served bundle under the names they know.
//!
//! Runtimes differ in what they send. containerd, and k3s with it, names the source host in the `ns` parameter; podman,
//! CRI-O and OpenShift put what the mirror's location says in front of the path; Docker sends the bare path and mirrors
//! Docker Hub only.

use std::{fmt::Write as _, str::FromStr};

use crate::oci::reference::host_as_part;

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
    "{0:?} is not an address of a mirror; write HOST:PORT, http://HOST:PORT or https://HOST:PORT, and a path if there is one"
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
        let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let host = port.map_or(authority, |(host, _)| host);
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

    /// The path of `place` at the mirror, with a slash in front where there is one.
    fn below(&self, place: &str) -> String {
        if place.is_empty() { self.prefix.clone() } else { format!("{}/{place}", self.prefix) }
    }

    fn location(&self, place: &str) -> String {
        format!("{}{}", self.authority, self.below(place))
    }
}

/// The client that the configuration is for.
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
pub struct RuntimeFile {
    /// Where it goes, below the output folder.
    pub path: String,
    /// Where it belongs on the machine, for the person.
    pub target: String,
    /// What is in it.
    pub content: String,
}

/// Which names are where at the mirror.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MirrorRoute {
    /// The host that references name, or a host and the beginning of a repository.
    pub source: String,
    /// What stands in its place below the mirror's address, in the order in which they are tried; empty for nothing.
    pub places: Vec<String>,
}

impl MirrorRoute {
    /// The host as `serve` spells it in front of the path, then the bare path, as an import without options leaves it.
    pub fn served(host: &str) -> Self {
        Self { source: host.to_owned(), places: vec![host_as_part(host), String::new()] }
    }

    fn is_host(&self) -> bool {
        !self.source.contains('/')
    }

    /// The one place for runtimes that know the source's host, or that can have no more than one.
    fn place(&self) -> &str {
        self.places.last().map_or("", String::as_str)
    }
}

/// What `runtime` cannot be told, with what to pull instead.
pub fn limits(runtime: Runtime, routes: &[MirrorRoute], mirror: &Mirror) -> Vec<String> {
    let can = |route: &&MirrorRoute| match runtime {
        Runtime::Podman | Runtime::OpenShift => true,
        Runtime::Containerd | Runtime::K3s => route.is_host(),
        Runtime::Docker => route.source == DOCKER_HUB && mirror.below(route.place()).is_empty(),
    };
    let name = format!("{runtime:?}").to_lowercase();
    let lacking = routes.iter().filter(|route| !can(route));
    lacking
        .map(|route| {
            let place = format!("{}{}", mirror.authority, mirror.below(route.place()));
            format!("{name} cannot find {} at the mirror; pull {place}/… there", route.source)
        })
        .collect()
}

/// The files by which `runtime` pulls by `routes` from `mirror`.
pub fn files(runtime: Runtime, routes: &[MirrorRoute], mirror: &Mirror) -> Vec<RuntimeFile> {
    let hosts = || routes.iter().filter(|route| route.is_host());
    match runtime {
        Runtime::Containerd => hosts().map(|route| containerd(route, mirror)).collect(),
        Runtime::K3s => vec![k3s(hosts(), mirror)],
        Runtime::Podman => vec![podman(routes, mirror)],
        Runtime::OpenShift => vec![openshift(routes, mirror)],
        Runtime::Docker => vec![docker(routes, mirror)],
    }
}

/// containerd asks only the mirror: `server` would be the source itself, which a disconnected site cannot reach, and
/// waiting for that takes minutes.
fn containerd(route: &MirrorRoute, mirror: &Mirror) -> RuntimeFile {
    let (url, below) = (mirror.url(), mirror.below(route.place()));
    // With a path of its own the mirror's name must be given whole, the API's part included.
    let url = if below.is_empty() { url } else { format!("{url}/v2{below}") };
    let mut content = format!("server = \"{url}\"\n\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
    if !below.is_empty() {
        content += "  override_path = true\n";
    }
    let folder = containerd_folder(&route.source);
    RuntimeFile {
        path: format!("containerd/certs.d/{folder}/hosts.toml"),
        target: format!("/etc/containerd/certs.d/{folder}/hosts.toml"),
        content,
    }
}

/// A colon is no good in a folder's name on every system; containerd looks for this form, too.
fn containerd_folder(host: &str) -> String {
    match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((name, port)) => format!("{}_{port}_", name.replace(':', "")),
        None => host.replace(':', ""),
    }
}

fn k3s<'a>(hosts: impl Iterator<Item = &'a MirrorRoute>, mirror: &Mirror) -> RuntimeFile {
    let mut content = "mirrors:\n".to_owned();
    for route in hosts {
        let below = mirror.below(route.place());
        let path = if below.is_empty() { String::new() } else { format!("/v2{below}") };
        let _ = write!(content, "  \"{}\":\n    endpoint:\n      - \"{}{path}\"\n", route.source, mirror.url());
    }
    RuntimeFile {
        path: "k3s/registries.yaml".to_owned(),
        target: "/etc/rancher/k3s/registries.yaml (RKE2: /etc/rancher/rke2)".to_owned(),
        content,
    }
}

fn podman(routes: &[MirrorRoute], mirror: &Mirror) -> RuntimeFile {
    let mut content = String::new();
    for MirrorRoute { source, places } in routes {
        let _ = write!(content, "[[registry]]\nprefix = \"{source}\"\nlocation = \"{source}\"\n\n");
        for place in places {
            let location = mirror.location(place);
            let insecure = !mirror.secure;
            let _ = write!(content, "[[registry.mirror]]\nlocation = \"{location}\"\ninsecure = {insecure}\n\n");
        }
    }
    content.truncate(content.trim_end().len());
    content.push('\n');
    RuntimeFile {
        path: "podman/airlift.conf".to_owned(),
        target: "/etc/containers/registries.conf.d/airlift.conf".to_owned(),
        content,
    }
}

/// By digest and by tag are two kinds of resource, and a cluster needs both.
fn openshift(routes: &[MirrorRoute], mirror: &Mirror) -> RuntimeFile {
    let mut content = String::new();
    for (kind, list) in [("ImageDigestMirrorSet", "imageDigestMirrors"), ("ImageTagMirrorSet", "imageTagMirrors")] {
        let _ = write!(
            content,
            "---\napiVersion: config.openshift.io/v1\nkind: {kind}\nmetadata:\n  name: airlift\nspec:\n  {list}:\n"
        );
        for MirrorRoute { source, places } in routes {
            let _ = write!(content, "    - source: \"{source}\"\n      mirrors:\n");
            for place in places {
                let _ = writeln!(content, "        - \"{}\"", mirror.location(place));
            }
            content += "      mirrorSourcePolicy: NeverContactSource\n";
        }
    }
    RuntimeFile { path: "openshift/mirrors.yaml".to_owned(), target: "oc apply -f mirrors.yaml".to_owned(), content }
}

fn docker(routes: &[MirrorRoute], mirror: &Mirror) -> RuntimeFile {
    let mut settings = serde_json::Map::new();
    if routes.iter().any(|route| route.source == DOCKER_HUB && mirror.below(route.place()).is_empty()) {
        settings.insert("registry-mirrors".to_owned(), serde_json::json!([mirror.url()]));
    }
    if !mirror.secure {
        settings.insert("insecure-registries".to_owned(), serde_json::json!([mirror.authority]));
    }
    let content = format!("{:#}\n", serde_json::Value::Object(settings));
    RuntimeFile { path: "docker/daemon.json".to_owned(), target: "/etc/docker/daemon.json".to_owned(), content }
}
