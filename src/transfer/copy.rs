//! Copies whatever is named to wherever it is named: a file, an object or a set, here or in a storage, with its companions.
//!
//! One engine ([`file`]) copies a file between any two places: what is there already is compared, what is missing is carried,
//! all of it is proven where it went, and only then it has its name. It carries in two ways: `pump` between two files of this
//! machine, which is faster and needs no notes, and `relay` where a storage is at one end or both. A set is one such copy for
//! each of its files, and then its sums and its manifest; the volumes of a packed file likewise, the first of them last.

mod error;
mod file;
mod packed;
mod prove;
mod pump;
mod relay;
mod report;
mod request;
mod room;
mod set;
mod unfinished;
mod volumes;

pub use self::{
    error::Error,
    packed::PackedCheck,
    report::{CopiedSet, CopyProof, CopyReport},
    request::CopyRequest,
};
use self::{
    file::{FileCopy, open},
    prove::hash,
};
use super::{
    companions, error as transfer_error,
    sets::{Leads, leads},
};
use crate::{
    progress::Progress,
    storage::{self, Location, Pinned, Settings},
};

/// Copies what `request` names. Run again after a break it resumes.
///
/// # Errors
/// See [`Error`]; the source is untouched then, and nothing is under the final name, of a set under that of its manifest.
pub async fn copy(
    request: &CopyRequest,
    settings: &Settings,
    progress: &Progress,
) -> Result<CopyReport, transfer_error::Error> {
    let settings = &Settings { attest: request.trust_checksums, ..settings.clone() };
    if request.may_be_set() {
        match leads(std::slice::from_ref(&request.from), settings).await? {
            Leads::Set(found) => return Ok(set::copy(*found, request, settings, progress).await?),
            Leads::Packed(found) => return Ok(volumes::copy(*found, request, settings, progress).await?),
            Leads::Object(_) | Leads::Path(_) => {}
        }
    }
    Ok(copy_file(request, settings, progress).await?)
}

/// Copies a file with its companions. The source goes last of all: by it the rest is found, should this be killed.
async fn copy_file(request: &CopyRequest, settings: &Settings, progress: &Progress) -> Result<CopyReport, Error> {
    // Only the version that was there before goes in the end.
    let source = open(&request.from, settings).await?;
    if let Location::Path(path) = &request.from {
        companions::refuse_links(path)?;
    }
    let to = request.goal();
    let mut report = FileCopy::open(source.clone(), &to, request, settings, progress).await?.run().await?;
    if report.file.is_none() && request.from.path().is_some() && to.path().is_some() {
        let copied = Pinned::open(storage::open(&to, settings)?).await?;
        report.file = Some(hash(&copied, &Progress::silent()).await?);
    }
    let beside = companions::of_file(&request.from, settings).await?;
    let old = request.from.split().map(|(_, name)| name).unwrap_or_default();
    let (folder, new) = to.split().unwrap_or_else(|| (to.clone(), old.clone()));
    for companion in &beside {
        let name = companion.renamed(&old, &new);
        let to = folder.join(&name);
        let copy = FileCopy::open(companion.pinned.clone(), &to, request, settings, progress);
        report.already_there &= copy.await?.run().await?.already_there;
        report.companions.push(name);
    }
    if request.delete_source {
        companions::remove(&beside).await?;
        source.delete().await?;
    }
    Ok(report)
}
