//! Copying the volumes of a packed file: each by itself, proven where it went. The first comes last, since by it the others count.

use super::{
    super::{
        companions::{self, CompanionKind},
        sets::FoundPack,
    },
    error::Error,
    file::FileCopy,
    report::{CopiedSet, CopyProof, CopyReport},
    request::CopyRequest,
    room::check_room,
};
use crate::{
    bundle::stack::Candidate,
    files,
    progress::Progress,
    storage::{Location, Settings},
};

/// Copies all volumes, and what belongs to them, to where they have the names that they are to have, whatever they are called
/// now. Run again after a break it goes on where that one stopped.
///
/// # Errors
/// See [`Error`]; the source is untouched then, and the first volume is not at the destination.
pub(super) async fn copy(
    found: FoundPack,
    request: &CopyRequest,
    settings: &Settings,
    progress: &Progress,
) -> Result<CopyReport, Error> {
    let volumes: Vec<(Candidate, String)> =
        (1..).zip(found.volumes.files()).map(|(number, file)| (file.clone(), found.volumes.name(number))).collect();
    let companions = companions::of_volumes(&found, settings).await?;
    let is_companion = |file: &&Candidate| companions.iter().any(|one| one.name == file.name);
    let (first_old, first_new) = (volumes[0].0.name.clone(), volumes[0].1.clone());
    let beside = found.volumes.beside.iter().filter(is_companion).map(|file| {
        let rest = file.name.strip_prefix(&first_old).map(|rest| format!("{first_new}{rest}"));
        (file.clone(), rest.unwrap_or_else(|| file.name.clone()))
    });
    let mut files: Vec<(Candidate, String)> = volumes.iter().skip(1).cloned().chain(beside).collect();
    files.push(volumes[0].clone());
    if found.far.is_none()
        && let Some((link, _)) = files.iter().find(|(file, _)| file.path.is_symlink())
    {
        return Err(files::Error::Link { path: link.path.clone() }.into());
    }
    if let Location::Path(folder) = &request.to {
        check_room(folder, files.iter().map(|(file, name)| (name.as_str(), file.size)))?;
    }
    let (mut bytes, mut reused, mut already_there, mut sources) = (0, 0, true, Vec::new());
    for (file, name) in &files {
        let source = companions::pin(file, found.far.as_ref(), settings).await?;
        let to = request.to.join(name);
        let copy = FileCopy::open(source.clone(), &to, request, settings, progress);
        let report = copy.await?.run().await?;
        (bytes, reused) = (bytes + report.bytes, reused + report.reused);
        already_there &= report.already_there;
        sources.push(source);
    }
    if request.delete_source {
        for source in sources {
            source.delete().await?;
        }
    }
    let recovery = companions.iter().filter(|one| one.kind == CompanionKind::Recovery).count();
    Ok(CopyReport {
        location: request.to.join(&first_new),
        bytes,
        reused,
        bundle: Some(found.volumes.head().bundle),
        file: None,
        packed: None,
        already_there,
        proof: CopyProof::ReadBack,
        set: Some(CopiedSet { folder: request.to.clone(), volumes: volumes.len(), recovery }),
        companions: companions.into_iter().map(|one| one.name).collect(),
    })
}
