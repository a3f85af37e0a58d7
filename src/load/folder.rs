//! A folder from which a runtime takes archives at its start: `/var/lib/rancher/k3s/agent/images` and its like.

use std::path::Path;

use super::{
    containerd::archive,
    error::Error,
    images::{NodeImage, Request},
};
use crate::{
    files,
    progress::Progress,
    transfer::{self, Opened, Places, export},
};

/// Writes the images as one archive into `folder`; returns its path.
pub(super) async fn write(
    folder: &Path,
    bundles: &[Opened],
    images: &[NodeImage],
    request: &Request,
    progress: &Progress,
) -> Result<String, Error> {
    std::fs::create_dir_all(folder)
        .map_err(|source| transfer::Error::from(files::Error::Write { path: folder.to_owned(), source }))?;
    // Named after what it is from, so that the same command finds it again.
    let stem = bundles.first().and_then(|bundle| bundle.path().file_stem()).unwrap_or_default().to_string_lossy();
    let path = folder.join(format!("{stem}.images.tar"));
    let places = Places::of(bundles)?;
    let to = export::Destination::File { path: path.clone(), overwrite: false };
    export::run(&places, &archive(images, request), to, progress).await?;
    Ok(path.display().to_string())
}
