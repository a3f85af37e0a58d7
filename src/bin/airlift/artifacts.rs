//! The artifacts and locations that the command line names, directly or in files.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use airlift::{
    oci::Reference,
    progress::Event,
    storage::Location,
    transfer::{
        Opened,
        export::{self, Request},
        list,
    },
};

use crate::{
    args::{Chosen, Transfer, chosen::ForeignChoice},
    context::Context,
    failure::CommandError,
    mistake::Mistake,
};

/// Returns every artifact once, in the order of the arguments: at least one, and at most `--max-artifacts`.
pub(crate) fn asked_for(args: &Chosen) -> Result<Vec<Reference>, CommandError> {
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

/// What a run takes of `artifacts`.
pub(crate) fn chosen(args: &Chosen, artifacts: Vec<Reference>, transfer: &Transfer) -> Request {
    let mut request = Request::new(artifacts);
    request.platforms.clone_from(&args.platform);
    request.foreign = match args.foreign {
        ForeignChoice::Include => export::Foreign::Include,
        ForeignChoice::Skip => export::Foreign::Skip,
    };
    request.referrers = !args.no_referrers;
    request.continue_on_errors = transfer.continue_on_errors;
    request.jobs = transfer.jobs.count();
    request
}

/// Returns `path` if it is a path on this machine, for commands that need one.
pub(crate) fn local(path: &Path) -> Result<&Path, CommandError> {
    match location(path)? {
        Location::Path(_) => Ok(path),
        place => Err(Mistake::NotLocal { place }.into()),
    }
}

/// Parses the location of a bundle. clap must not parse it, since its messages would show the signature of an address.
pub(crate) fn location(text: &Path) -> Result<Location, CommandError> {
    Ok(text.to_str().map_or_else(|| Ok(Location::Path(text.to_owned())), Location::parse)?)
}

/// Opens the bundle at `text`.
pub(crate) async fn open(text: &Path, context: &Context) -> Result<Opened, CommandError> {
    Ok(Opened::open(&location(text)?, &context.storage()).await?)
}

/// As [`open`], but accepts a set with missing volumes.
pub(crate) async fn survey(text: &Path, context: &Context) -> Result<Opened, CommandError> {
    Ok(Opened::survey(&location(text)?, &context.storage()).await?.0)
}

/// Describes an unfinished file at `path`. Such a file looks complete, since its head is written first and its space is
/// reserved.
fn unfinished(path: &Path) -> Option<String> {
    const FINISHED_BY: &str = "an unfinished export or copy; run that command again to finish it";
    if path.extension().is_some_and(|extension| extension == "partial") {
        return Some(format!("{} is {FINISHED_BY}", path.display()));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    (!path.exists() && partial.exists()).then(|| format!("{} is {FINISHED_BY}", partial.display()))
}

/// Warns about unfinished files among `paths`.
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
