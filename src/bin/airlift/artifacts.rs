//! The artifacts that were asked for: typed, or listed in files.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    path::Path,
};

use airlift::{oci::Reference, transfer::list};

use crate::{args::export::Args, failure::Failure, mistake::Mistake};

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
            let hint = format!("Raise the limit with `--max-artifacts {count}`, or split the list over several runs.");
            Err(Failure::from(Mistake::TooManyArtifacts { count, limit: args.max_artifacts }).hint(hint))
        }
        _ => Ok(artifacts),
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn read(file: &Path) -> Result<String, Mistake> {
    let text = if is_stdin(file) {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|source| Mistake::Read { path: file.to_owned(), source })
}
