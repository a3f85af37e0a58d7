//! docker and podman: they pull from the bundle, which is served on loopback meanwhile, and name what they have pulled.

use std::net::Ipv4Addr;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::{
    error::Error,
    images::{NodeImage, Request},
};
use crate::{
    oci::{Digest, reference::host_as_part},
    packaging::program::Program,
    progress::{Event, Phase, Progress},
    server::{Config, Server},
    transfer::Opened,
};

/// A runtime that keeps digests of what it pulls, and of nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PullingRuntime {
    Docker,
    Podman,
}

/// What both runtimes say of an image (`image inspect`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedImage {
    /// The digest of its config; in Docker's newer storage that of its root.
    id: String,
    /// Digests by which it was pulled, each behind the name of a repository.
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
}

impl PullingRuntime {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    fn program(self, request: &Request) -> Result<Program, Error> {
        let program = Program::find(self.name())?;
        let Some(address) = &request.address else { return Ok(program) };
        let url = if address.contains("://") { address.clone() } else { format!("unix://{address}") };
        Ok(match self {
            Self::Docker => program.with(["--host", &url]),
            Self::Podman => program.with(["--remote", "--url", &url]),
        })
    }

    /// Runs it for one image.
    async fn tell(self, arguments: &[&str], image: &NodeImage, request: &Request) -> Result<String, Error> {
        let told = self.program(request)?.with(arguments).output().await;
        told.map_err(|source| Error::Image { artifact: Box::new(image.reference.clone()), source })
    }

    /// Pulls `image` by its name at `address`, gives it its own name and takes the other one away.
    async fn take(self, image: &NodeImage, address: &str, request: &Request) -> Result<(), Error> {
        let own = image.reference.context();
        let Some(tag) = image.reference.tag() else { return Ok(()) };
        let served = format!("{address}/{}/{}:{tag}", host_as_part(own.registry()), own.path());
        let name = format!("{own}:{tag}");
        let platform = request.platform.to_string();
        let mut pull = vec!["pull", "--quiet", "--platform", &platform];
        if self == Self::Podman {
            // It is this process that answers; docker knows loopback to be without TLS.
            pull.push("--tls-verify=false");
        }
        pull.push(&served);
        self.tell(&pull, image, request).await?;
        let checked = self.check(image, &served, request).await;
        if checked.is_ok() {
            self.tell(&["tag", &served, &name], image, request).await?;
        }
        let away: &[&str] = if self == Self::Podman { &["untag", &served, &served] } else { &["rmi", &served] };
        self.tell(away, image, request).await?;
        checked?;
        self.check(image, &name, request).await
    }

    /// Asks what the runtime has under `name`.
    async fn check(self, image: &NodeImage, name: &str, request: &Request) -> Result<(), Error> {
        let text = self.tell(&["image", "inspect", name], image, request).await?;
        let found: Vec<InspectedImage> = serde_json::from_str(&text).unwrap_or_default();
        let found = found.into_iter().next();
        let is_right = |digest: &str| {
            let digest = if digest.contains(':') { digest.to_owned() } else { format!("sha256:{digest}") };
            let digest = digest.parse::<Digest>();
            digest.is_ok_and(|digest| [image.config, image.manifest, image.root].contains(&digest))
        };
        let pulled = found.iter().flat_map(|found| found.repo_digests.iter().flatten());
        let mut pulled = pulled.filter_map(|name| name.rsplit_once('@').map(|(_, digest)| digest)).peekable();
        // A name that was given, and not pulled, may have no digest of its own; then the id says it.
        let has_digest = pulled.peek().is_none() || pulled.any(is_right);
        if has_digest && found.as_ref().is_some_and(|found| is_right(&found.id)) {
            return Ok(());
        }
        let found = found.map_or_else(|| "nothing that can be read".to_owned(), |found| found.id);
        let artifact = Box::new(image.reference.clone());
        Err(Error::Mismatch { runtime: self.name(), artifact, found, expected: image.root })
    }
}

/// Loads `images` into `runtime`.
pub(super) async fn load(
    runtime: PullingRuntime,
    bundles: &[Opened],
    images: &[NodeImage],
    request: &Request,
    progress: &Progress,
) -> Result<(), Error> {
    // A runtime that is not there is said before anything is served.
    runtime.program(request)?;
    let readers = bundles.iter().map(|bundle| bundle.reader().clone()).collect();
    let server = Server::bind(Config::bundles(readers), format!("{}:0", Ipv4Addr::LOCALHOST)).await?;
    let address = server.local_addr().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async { drop(stopped.await) }));
    progress.tell(Event::Phase(Phase::Transferring));
    let mut outcome = Ok(());
    for image in images {
        outcome = runtime.take(image, &address, request).await;
        if outcome.is_err() {
            break;
        }
        progress.tell(Event::Completed { artifact: image.reference.clone() });
    }
    drop(stop);
    // It ends once it has answered what is under way; nothing depends on how.
    drop(serving.await);
    outcome
}
