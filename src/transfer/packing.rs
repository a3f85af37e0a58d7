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
    files::{
        self,
        blocking::off_reactor,
        open::{check_apart, check_goal},
    },
    oci::Digest,
    pack::{self, PackKind, PackedFile, ReadSettings},
    progress::Progress,
    storage::{self, Location, Pinned, Settings},
};

/// What to unpack, and where to.
#[derive(Clone, Debug)]
pub struct UnpackRequest {
    /// The packed file.
    pub from: Location,
    /// What the packed file was packed against, which is not to be replaced.
    pub base: Vec<Location>,
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
    let UnpackRequest { from, base, output, overwrite, jobs } = request;
    let apart = |files: &[PathBuf]| {
        let named = std::iter::once(from).chain(base).filter_map(Location::path);
        check_apart(output, named.chain(files).map(PathBuf::as_path))
    };
    apart(&[])?;
    let packed = match (leads(std::slice::from_ref(from), settings).await?, from) {
        (Leads::Packed(found), _) => {
            if found.far.is_none() {
                apart(&found.volumes.files().map(|file| file.path.clone()).collect::<Vec<_>>())?;
            }
            found.open(&read).await?
        }
        (_, Location::Path(path)) => {
            if !pack::is_packed_file(path)? {
                return Err(pack::Error::NotPacked { path: path.clone() }.into());
            }
            PackedFile::open(path, read).await?
        }
        (_, far) => {
            let pinned: Arc<Pinned> = Arc::new(Pinned::open(storage::open(far, settings)?).await?);
            if pack::kind_at(&*pinned).await? == PackKind::Other {
                return Err(pack::Error::NotPacked { path: far.to_string().into() }.into());
            }
            PackedFile::open_on(pinned, read).await?
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
