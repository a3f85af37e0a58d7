//! Volumes of a packed file, for media that are smaller than it: each is a file with a head of its own and a stretch of the
//! packed file. Together they are read as the packed file; what is in them is held against its own head.

mod gather;
mod head;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(crate) use gather::{PackVolumes, gather_near, gather_volumes, volume_at};
pub(super) use head::VOLUME;
pub(crate) use head::{MOST_HEAD, VolumeHead};

use super::{Error, Result, medium::Medium, sealed::digest_of};
use crate::{content::ReadAt, files::blocking::off_reactor, oci::Digest};

/// What the name of a packed file usually ends in.
const SUFFIX: &str = ".pack";

/// Where volume `number` of the packed file `output` goes: of `a.pack` the first is `a.vol001.pack`.
pub fn volume_path(output: &Path, number: u32) -> PathBuf {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    output.with_file_name(volume_name(name.strip_suffix(SUFFIX).unwrap_or(&name), number))
}

/// What volume `number` of the packed file `name` is called.
fn volume_name(name: &str, number: u32) -> String {
    format!("{name}.vol{number:03}{SUFFIX}")
}

/// Reads all of a volume, and holds each byte against its head. Gives the id of the bundle that it is of.
///
/// # Errors
/// It is damaged, cut or of a later format.
pub(crate) async fn check_volume(from: Arc<dyn ReadAt>) -> Result<Digest> {
    let file = Medium::remote(from);
    off_reactor(move || {
        let bytes = file.read_up_to(0, MOST_HEAD).map_err(Error::read(&file.path()))?;
        let (head, begin) = VolumeHead::parse(&bytes, &file.path())?;
        let end = begin + head.length();
        let (path, found) = (file.path(), file.length());
        if found != end {
            return Err(Error::Length { path, found, expected: end });
        }
        if digest_of(&file, begin, end)? != head.digest {
            let reason = "the volume does not have its digest".to_owned();
            return Err(Error::Damaged { path, offset: begin, reason });
        }
        Ok(head.bundle)
    })
    .await
}

impl VolumeHead {
    /// What tells the volumes of one cut of one packed file from all others.
    pub(crate) fn set(&self) -> Digest {
        let Self { bundle, pack, size, stretch, .. } = self;
        Digest::sha256(format!("{bundle} {pack} {size} {stretch}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_named_after_the_packed_file() {
        let of = |output: &str, number| volume_path(Path::new(output), number).display().to_string();
        assert_eq!(of("discs/june.pack", 1), "discs/june.vol001.pack");
        assert_eq!(of("june", 12), "june.vol012.pack");
        assert_eq!(of("june.tar.pack", 999), "june.tar.vol999.pack");
    }
}
