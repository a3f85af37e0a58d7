//! `umoci`: builds and reads OCI layouts, as a second opinion.

use std::{ffi::OsStr, path::Path, process::Command};

use super::{peers, process::Ran};

/// `umoci ARGS`.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    Ran::of(Command::new(peers::path("umoci")).args(args))
}

/// Makes an OCI layout with one image, tagged `tag`, that has one layer for each of `folders` (each lands in `/NAME`).
#[track_caller]
pub(crate) fn build(layout: &Path, tag: &str, folders: &[(&Path, &str)]) {
    let image = format!("{}:{tag}", layout.display());
    run(["init", "--layout", &layout.display().to_string()]).success();
    run(["new", "--image", &image]).success();
    for (folder, name) in folders {
        run(["insert", "--rootless", "--image", &image, &folder.display().to_string(), &format!("/{name}")]).success();
    }
}

/// Unpacks an image of a layout into a bundle folder with a `rootfs`; umoci checks every digest on the way.
#[track_caller]
pub(crate) fn unpack(layout: &Path, tag: &str, folder: &Path) {
    let image = format!("{}:{tag}", layout.display());
    run(["unpack", "--rootless", "--image", &image, &folder.display().to_string()]).success();
}
