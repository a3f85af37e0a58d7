//! containerd and k3s, by their own import: it keeps names and digests.

use super::{
    error::Error,
    images::{NodeImage, Request},
};
use crate::{
    packaging::program::Program,
    progress::Progress,
    transfer::{Opened, Places, export},
};

/// The namespace of Kubernetes' images.
const NAMESPACE: &str = "k8s.io";

/// Where the containerd of k3s listens.
const K3S_SOCKET: &str = "/run/k3s/containerd/containerd.sock";

/// Whose containerd it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Containerd {
    /// A service of its own.
    Own,
    /// That within k3s.
    K3s,
}

impl Containerd {
    /// `ctr` with what every call needs.
    fn ctr(self, request: &Request) -> Result<Program, Error> {
        let namespace = request.namespace.as_deref().unwrap_or(NAMESPACE);
        let (program, address) = match (self, &request.address) {
            (Self::Own, address) => (Program::find("ctr")?, address.clone()),
            (Self::K3s, Some(address)) => (Program::find("ctr")?, Some(address.clone())),
            (Self::K3s, None) => match Program::find("k3s") {
                Ok(program) => (program.with(["ctr"]), None),
                // The agents of some installations have their programs elsewhere.
                Err(missing) => (Program::find("ctr").map_err(|_| missing)?, Some(K3S_SOCKET.to_owned())),
            },
        };
        let program = match address {
            Some(address) => program.with(["--address", &address]),
            None => program,
        };
        Ok(program.with(["--namespace", namespace]))
    }

    /// Hands the images to the import, as an archive that is made while it is read.
    pub(super) async fn import(
        self,
        bundles: &[Opened],
        images: &[NodeImage],
        request: &Request,
        progress: &Progress,
    ) -> Result<(), Error> {
        let places = Places::of(bundles)?;
        let platform = request.platform.to_string();
        let program = self.ctr(request)?.with(["images", "import", "--platform", &platform, "-"]);
        let mut running = program.fed()?;
        let input = running.child.stdin.take();
        let written = async {
            match input {
                Some(input) => export::into(&places, &archive(images, request), input, progress).await.map(drop),
                None => Ok(()),
            }
        };
        // Its output must be read while it is fed.
        let (written, finished) = tokio::join!(written, running.finish());
        // A program that ends early says more than the pipe that broke.
        finished?;
        Ok(written?)
    }

    /// Asks for the digest of each image.
    pub(super) async fn check(self, images: &[NodeImage], request: &Request) -> Result<(), Error> {
        let listed = self.ctr(request)?.with(["images", "list"]).output().await?;
        for image in images {
            let name = image.reference.to_string();
            let mut lines = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let line = lines.find(|words| words.first().is_some_and(|word| *word == name));
            let found = line.and_then(|words| words.get(2).map(ToString::to_string));
            if found.as_deref() != Some(&image.root.to_string()) {
                let (artifact, found) =
                    (Box::new(image.reference.clone()), found.unwrap_or_else(|| "nothing".to_owned()));
                return Err(Error::Mismatch { runtime: "containerd", artifact, found, expected: image.root });
            }
        }
        Ok(())
    }
}

/// The images alone: what is attached to them is for registries.
pub(super) fn archive(images: &[NodeImage], request: &Request) -> export::Request {
    let mut what = export::Request::new(images.iter().map(|image| image.reference.clone()).collect());
    what.platforms = vec![request.platform.clone()];
    what.referrers = false;
    what
}
