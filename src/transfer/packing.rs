//! Packed files by where they are: opened as bundles, and unpacked.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::Error,
    sets::{Leads, leads},
    verify::verify,
};
use crate::{
    bundle::{Format, Reader, output::Output},
    files::{self, blocking::off_reactor, open::check_goal},
    oci::Digest,
    pack::{self, PackedFile, ReadSettings},
    progress::Progress,
    storage::{self, Location, Pinned, Settings},
};

/// What to unpack, and where to.
#[derive(Clone, Debug)]
pub struct UnpackRequest {
    /// The packed file.
    pub from: Location,
    /// The bundle to write.
    pub output: PathBuf,
    /// Whether a file that is there may be replaced.
    pub overwrite: bool,
    /// Blobs that are made at once.
    pub jobs: usize,
}

/// A bundle that was unpacked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnpackReport {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// The bundle id.
    pub id: Digest,
    /// Whether it was there already.
    pub already_there: bool,
}

/// Writes the bundle of a packed file. Run again after a break it resumes.
///
/// # Errors
/// It is not a packed file, it is damaged, or the bundle cannot be written.
pub async fn unpack(
    request: &UnpackRequest,
    read: ReadSettings,
    settings: &Settings,
    progress: &Progress,
) -> Result<UnpackReport, Error> {
    let UnpackRequest { from, output, overwrite, jobs } = request;
    let packed = match (leads(std::slice::from_ref(from), settings).await?, from) {
        (Leads::Packed(volumes), _) => volumes.open(&read).await?,
        (_, Location::Path(path)) => PackedFile::open(path, read).await?,
        (_, far) => {
            let pinned = Pinned::open(storage::open(far, settings)?).await?;
            PackedFile::open_on(Arc::new(pinned), read).await?
        }
    };
    if !overwrite && output.exists() {
        check_goal(output, true)?;
        let found = complete(output, packed.reader(), *jobs, progress).await?;
        return found.ok_or_else(|| files::Error::Exists { path: output.clone() }.into());
    }
    let finished = pack::unpack(&packed, output, *overwrite, *jobs, progress).await?;
    Ok(UnpackReport { path: finished.path, bytes: finished.bytes, id: finished.id, already_there: false })
}

/// The bundle at `path`, if it is the one in the packed file, whole and sound.
async fn complete(
    path: &Path,
    packed: &Reader,
    jobs: usize,
    progress: &Progress,
) -> Result<Option<UnpackReport>, Error> {
    let (contents, output) = (packed.contents().clone(), Output::file(path, false));
    let (found, output) = off_reactor(move || (output.alike(contents), output)).await;
    let Some((reader, layout)) = found? else { return Ok(None) };
    let same = reader.format() == Format::Bundle && packed.layout().is_some_and(|found| found.begins_as(&layout));
    if !same || !verify(&reader, jobs, progress).await?.is_sound() {
        return Ok(None);
    }
    output.tidy();
    Ok(Some(UnpackReport { path: path.to_owned(), bytes: reader.size(), id: layout.id(), already_there: true }))
}
