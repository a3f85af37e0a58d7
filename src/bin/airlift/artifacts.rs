//! What the words on the command line name: artifacts, typed or listed in files, and the places of bundles.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use airlift::{
    oci::Reference,
    progress::Event,
    storage::{Location, Settings},
    transfer::{Opened, list},
};

use crate::{args::export::Args, context::Context, failure::Failure, mistake::Mistake};

/// Every artifact once, in the order of asking; at least one, and not more than the run takes.
pub(crate) fn asked_for(args: &Args) -> Result<Vec<Reference>, Failure> {
    let registry = args.registry.as_deref();
    let mut artifacts = Vec::new();
    for text in &args.artifacts {
        artifacts.push(Reference::parse(text, registry).map_err(|source| Mistake::Reference { source })?);
    }
    for file in &args.file {
        let name = if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() };
        artifacts.extend(list::parse(&read(file)?, &name, registry)?);
    }
    let mut seen = HashSet::new();
    artifacts.retain(|artifact| seen.insert(artifact.clone()));
    match artifacts.len() {
        0 => Err(Mistake::NoArtifacts.into()),
        count if count > args.max_artifacts => {
            Err(Mistake::TooManyArtifacts { count, limit: args.max_artifacts }.into())
        }
        _ => Ok(artifacts),
    }
}

/// `path`, if it is one, for what works on files of this machine only.
pub(crate) fn local(path: &Path) -> Result<&Path, Failure> {
    match location(path)? {
        Location::Path(_) => Ok(path),
        place => Err(Mistake::NotLocal { place }.into()),
    }
}

/// Where a bundle lies or goes. clap must not read it: in its messages the signature of an address would be shown.
pub(crate) fn location(text: &Path) -> Result<Location, Failure> {
    Ok(text.to_str().map_or_else(|| Ok(Location::Path(text.to_owned())), Location::parse)?)
}

/// The bundle at `text`, opened.
pub(crate) async fn open(text: &Path) -> Result<Opened, Failure> {
    Ok(Opened::open(&location(text)?, &Settings::from_env()).await?)
}

/// As [`open`], also where volumes of a set are missing.
pub(crate) async fn survey(text: &Path) -> Result<Opened, Failure> {
    Ok(Opened::survey(&location(text)?, &Settings::from_env()).await?.0)
}

/// What the person should know of `path` before it is read: an unfinished file looks whole, since its head is written first
/// and its room is reserved.
fn unfinished(path: &Path) -> Option<String> {
    const FINISHED_BY: &str = "what an export or a copy has left that did not end; the same command finishes it";
    if path.extension().is_some_and(|extension| extension == "partial") {
        return Some(format!("{} is {FINISHED_BY}", path.display()));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    (!path.exists() && partial.exists()).then(|| format!("{} is {FINISHED_BY}", partial.display()))
}

/// Tells of those of `paths` that are unfinished.
pub(crate) fn warn_of_unfinished<'a>(paths: impl IntoIterator<Item = &'a PathBuf>, context: &Context) {
    for text in paths.into_iter().filter_map(|path| unfinished(path)) {
        context.progress().tell(Event::Warned(text));
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// The text of a file, or of standard input.
pub(crate) fn read(file: &Path) -> Result<String, Mistake> {
    let text = if is_stdin(file) {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|source| Mistake::Read { path: file.to_owned(), source })
}
