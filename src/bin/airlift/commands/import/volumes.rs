//! `--volume-prompt`: a set comes in on one disc after the other, through one drive.
//!
//! What arrived is remembered by the registry, which is asked anew for each disc, and of layers that are cut over volumes
//! by the segments in the spool. So a run that was stopped goes on with whatever disc is there.

use std::{
    io::{self, BufRead as _, Write as _},
    path::{Path, PathBuf},
};

use airlift::{
    bundle::{self, Gathered},
    oci::Digest,
    registry::Client,
    storage::Location,
    transfer::{
        self, Opened, Report,
        import::{self, Request},
    },
};

use super::spool;
use crate::{context::Context, failure::Failure, mistake::Mistake};

/// Imports what is at `places`, and asks for the rest.
pub(super) async fn import(
    places: &[Location],
    client: &Client,
    request: &Request,
    spool: Option<&Path>,
    context: &Context,
) -> Result<Result<Report, transfer::Error>, Failure> {
    let [Location::Path(place)] = places else { return Err(Mistake::OneDrive.into()) };
    let mut place = place.clone();
    let mut set: Option<Digest> = None;
    loop {
        let why_not = match look(&place, set, context).await {
            Ok((opened, found)) => {
                set = opened.reader().set_id();
                let spool = spool::of(spool, set);
                let opened = opened.with_aside(&spool)?;
                let report =
                    match import::run(client, std::slice::from_ref(&opened), request, &context.progress()).await {
                        Ok(report) => report,
                        Err(error) => return Ok(Err(error)),
                    };
                if report.lacking.is_empty() {
                    // What waited there is in the registry; that the folder stays behind harms nothing.
                    let _ = std::fs::remove_dir_all(&spool);
                    return Ok(Ok(report));
                }
                opened.reader().put_aside(&report.lacking, &spool).await?;
                let wanted = opened.with_aside(&spool)?.reader().volumes_with(&report.lacking);
                let names: Vec<String> = wanted.into_iter().map(|number| named(&opened, &found, number)).collect();
                format!("still needed: {}", names.join(", "))
            }
            Err(reason) => reason,
        };
        match ask(&why_not, &place, context).await? {
            None => {
                let missing = vec![why_not.trim_start_matches("still needed: ").to_owned()];
                let id = set.unwrap_or_else(|| Digest::sha256(b""));
                return Ok(Err(bundle::Error::VolumesMissing { id, missing }.into()));
            }
            Some(answer) if answer.as_os_str().is_empty() => {}
            Some(answer) => place = answer,
        }
    }
}

/// What is at `place`, if it is of the set that is being imported.
async fn look(place: &Path, set: Option<Digest>, context: &Context) -> Result<(Opened, Gathered), String> {
    // The next disc has another volume: then the folder is what counts.
    let folder = place.parent().filter(|_| !place.exists());
    let place = Location::Path(folder.unwrap_or(place).to_owned());
    let shown = place.to_string();
    let (opened, found) = Opened::survey(&place, &context.storage()).await.map_err(|error| error.to_string())?;
    let found = found.ok_or_else(|| format!("{shown} is no set of volumes"))?;
    if set.is_some() && opened.reader().set_id() != set {
        return Err(format!("what is at {shown} is of another set, bundle id {}", opened.reader().id()));
    }
    Ok((opened, found))
}

fn named(opened: &Opened, found: &Gathered, number: u32) -> String {
    let of_manifest = found.manifest.as_ref().and_then(|(_, manifest)| {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        manifest.volumes.get(at).map(|file| file.name.clone())
    });
    of_manifest.unwrap_or_else(|| opened.reader().volume_name(number))
}

/// A question without its answer: what is said after an interrupt begins on a line of its own.
struct OpenLine;

impl Drop for OpenLine {
    fn drop(&mut self) {
        crate::output::print_aside("\n");
    }
}

/// Where the next volume is; empty for the same place, `None` where nobody answers any more.
async fn ask(why: &str, place: &Path, context: &Context) -> Result<Option<PathBuf>, Failure> {
    context.status().pause();
    let question =
        format!("{why}\nInsert the next volume at {} and press Enter, or type where it is: ", place.display());
    let asked = tokio::task::spawn_blocking(move || {
        let mut stderr = anstream::stderr();
        write!(stderr, "{question}").and_then(|()| stderr.flush())?;
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line)?;
        Ok((read > 0).then(|| PathBuf::from(line.trim_end_matches(['\r', '\n']))))
    });
    let open = OpenLine;
    let answer = asked.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    std::mem::forget(open);
    Ok(answer.map_err(|source| Mistake::Read { path: "standard input".into(), source })?)
}
