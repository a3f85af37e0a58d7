//! A set of volumes that comes in on one disc after the other, through one drive.
//!
//! The target remembers what arrived and is asked anew for each disc. Segments of layers that are cut over volumes wait in
//! the spool. So a run that was stopped resumes with whatever disc is there.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{
    error::Error,
    import::{self, Request},
    opened::Opened,
    report::Report,
};
use crate::{
    bundle::{self, GatheredSet},
    content::Targets,
    oci::Digest,
    progress::Progress,
    storage::{Location, Settings},
};

/// A drive: who puts the next disc into it, and where things wait meanwhile.
#[async_trait]
pub trait Drive: Send + Sync {
    /// Where the next volume is, once it is there; empty for the same place, `None` if there is none to come.
    async fn next(&self, why: &str, place: &Path) -> io::Result<Option<PathBuf>>;

    /// The folder in which segments of `set` wait.
    fn spool(&self, set: Option<Digest>) -> PathBuf;
}

/// What begins the reason where volumes are missing.
const NEEDED: &str = "still needed: ";

/// Imports what is at `place`, and asks `drive` for the rest.
///
/// # Errors
/// As [`import::run`]; volumes are missing, and no further disc comes.
pub async fn import(
    mut place: PathBuf,
    drive: &dyn Drive,
    targets: &dyn Targets,
    request: &Request,
    settings: &Settings,
    progress: &Progress,
) -> Result<Report, Error> {
    let mut set: Option<Digest> = None;
    loop {
        let why_not = match look(&place, set, settings).await {
            Ok((opened, found)) => {
                set = opened.reader().set_id();
                let spool = drive.spool(set);
                let opened = opened.with_aside(&spool)?;
                let report = import::run(targets, std::slice::from_ref(&opened), request, progress).await?;
                if report.lacking.is_empty() {
                    // What waited there is in the target; that the folder stays behind harms nothing.
                    let _ = std::fs::remove_dir_all(&spool);
                    return Ok(report);
                }
                opened.reader().put_aside(&report.lacking, &spool).await?;
                let wanted = opened.with_aside(&spool)?.reader().volumes_with(&report.lacking);
                let names: Vec<String> = wanted.into_iter().map(|number| named(&opened, &found, number)).collect();
                format!("{NEEDED}{}", names.join(", "))
            }
            Err(reason) => reason,
        };
        let asked = drive.next(&why_not, &place).await;
        let unread = |source| Error::Io { what: "read", path: "standard input".into(), source };
        match asked.map_err(unread)? {
            None => {
                let missing = vec![why_not.trim_start_matches(NEEDED).to_owned()];
                let id = set.unwrap_or_else(|| Digest::sha256(b""));
                return Err(bundle::Error::VolumesMissing { id, missing }.into());
            }
            Some(answer) if answer.as_os_str().is_empty() => {}
            Some(answer) => place = answer,
        }
    }
}

/// What is at `place`, if it is of the set that is being imported.
async fn look(place: &Path, set: Option<Digest>, settings: &Settings) -> Result<(Opened, GatheredSet), String> {
    // The next disc has another volume: then the folder is what counts.
    let folder = place.parent().filter(|_| !place.exists());
    let place = Location::Path(folder.unwrap_or(place).to_owned());
    let (opened, found) = Opened::survey(&place, settings).await.map_err(|error| error.to_string())?;
    let found = found.ok_or_else(|| format!("{place} is not a set of volumes"))?;
    if set.is_some() && opened.reader().set_id() != set {
        return Err(format!("what is at {place} is of another set, bundle id {}", opened.reader().id()));
    }
    Ok((opened, found))
}

fn named(opened: &Opened, found: &GatheredSet, number: u32) -> String {
    let of_manifest = found.manifest.as_ref().and_then(|(_, manifest)| {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        manifest.volumes.get(at).map(|file| file.name.clone())
    });
    of_manifest.unwrap_or_else(|| opened.reader().volume_name(number))
}
