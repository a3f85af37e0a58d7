//! A load from its start to its end.

use serde::Serialize;

use super::{
    containerd::Containerd,
    error::Error,
    folder,
    images::{LoadTarget, NodeImages, Request, images},
    pulled::{self, PullingRuntime},
};
use crate::{
    oci::{Digest, Reference},
    progress::{Event, Phase, Progress},
    transfer::Opened,
};

/// What was loaded.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Loaded {
    /// The runtime, or the archive that was written.
    pub into: String,
    /// Each image, which the runtime was asked for afterwards.
    pub images: Vec<LoadedImage>,
    /// Artifacts that are no images for the platform.
    pub left_out: Vec<Reference>,
}

/// An image that a runtime has.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LoadedImage {
    /// Its name.
    pub image: Reference,
    /// Its digest.
    pub digest: Digest,
}

/// Loads images of `bundles`.
///
/// # Errors
/// There is nothing to load, the runtime's program is missing or fails, or the runtime has something else afterwards.
pub async fn run(bundles: &[Opened], request: &Request, progress: &Progress) -> Result<Loaded, Error> {
    let mut chosen = images(bundles, &request.artifacts, &request.platform).await?;
    let into = match &request.into {
        LoadTarget::Containerd => {
            containerd(Containerd::Own, bundles, &chosen, request, progress).await?;
            "containerd".to_owned()
        }
        LoadTarget::K3s => {
            containerd(Containerd::K3s, bundles, &chosen, request, progress).await?;
            "k3s".to_owned()
        }
        LoadTarget::Docker => pull(PullingRuntime::Docker, bundles, &mut chosen, request, progress).await?,
        LoadTarget::Podman => pull(PullingRuntime::Podman, bundles, &mut chosen, request, progress).await?,
        LoadTarget::Folder(path) => folder::write(path, bundles, &chosen.images, request, progress).await?,
    };
    for left_out in &chosen.left_out {
        let text = format!("{left_out} is not an image for {}, so it is left out", request.platform);
        progress.tell(Event::Warned(text));
    }
    let images = chosen.images.into_iter().map(|image| LoadedImage { image: image.reference, digest: image.root });
    Ok(Loaded { into, images: images.collect(), left_out: chosen.left_out })
}

async fn containerd(
    kind: Containerd,
    bundles: &[Opened],
    chosen: &NodeImages,
    request: &Request,
    progress: &Progress,
) -> Result<(), Error> {
    kind.import(bundles, &chosen.images, request, progress).await?;
    progress.tell(Event::Phase(Phase::Verifying));
    kind.check(&chosen.images, request).await
}

async fn pull(
    runtime: PullingRuntime,
    bundles: &[Opened],
    chosen: &mut NodeImages,
    request: &Request,
    progress: &Progress,
) -> Result<String, Error> {
    let (tagged, untagged): (Vec<_>, Vec<_>) =
        std::mem::take(&mut chosen.images).into_iter().partition(|image| image.reference.tag().is_some());
    if let Some(image) = untagged.first().filter(|_| tagged.is_empty() || !request.artifacts.is_empty()) {
        let artifact = Box::new(image.reference.clone());
        return Err(Error::NoTag { artifact, runtime: runtime.name() });
    }
    chosen.images = tagged;
    chosen.left_out.extend(untagged.into_iter().map(|image| image.reference));
    pulled::load(runtime, bundles, &chosen.images, request, progress).await?;
    Ok(runtime.name().to_owned())
}
