//! Extract: the files of an artifact, from a bundle into a folder.

use std::{path::Path, sync::Arc};

use futures::StreamExt as _;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use super::{choice::NamePattern, error::Error, opened::Opened};
use crate::{
    bundle::Reader,
    content::{Origins as _, Verified},
    files::{self, blocking::off_reactor},
    oci::{Digest, Reference},
    packaging::unpack::{self, FileLayer, Staging},
    progress::{Event, Phase, Progress},
};

/// The files that an artifact has.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Extracted {
    /// The artifact.
    pub artifact: Reference,
    /// Its digest.
    pub digest: Digest,
    /// Each file, and each folder, by its path below the folder.
    pub files: Vec<ExtractedFile>,
    /// Whether all of them were there already, with the same content.
    pub was_there: bool,
}

/// A file or a folder of an artifact.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExtractedFile {
    /// Its path.
    pub path: String,
    /// Bytes; of a folder, those of its archive.
    pub bytes: u64,
}

/// Writes the files of the one artifact in `bundle` that `pattern` means into the folder `goal`, which is created where it
/// is not there. Nothing is replaced, and nothing is visible before all of it was proven.
///
/// # Errors
/// No artifact is meant or several are, it has no files or an unsafe one, something else has one of its names.
pub async fn extract(
    bundle: &Opened,
    pattern: &NamePattern,
    goal: &Path,
    progress: &Progress,
) -> Result<Extracted, Error> {
    let reader = bundle.reader();
    let roots = reader.index().roots().iter();
    let mut meant = roots.filter(|root| pattern.matches(&root.reference)).map(|root| &root.reference);
    let artifact = meant.next().ok_or_else(|| Error::NoneMatches { pattern: pattern.to_string() })?.clone();
    if let Some(other) = meant.next() {
        let (first, second) = (Box::new(artifact), Box::new(other.clone()));
        return Err(Error::SeveralMatch { pattern: pattern.to_string(), first, second });
    }
    let manifest = reader.origin(artifact.context()).resolve(&artifact.name()).await?;
    let layers = unpack::layers(&manifest, &artifact)?;
    progress.tell(Event::Phase(Phase::Transferring));
    let (blobs, bytes) = (layers.len() as u64, layers.iter().map(|layer| layer.blob.size).sum());
    progress.tell(Event::Planned { blobs, bytes, present: 0 });
    let begun = (goal.to_owned(), artifact.clone());
    let staging = Arc::new(off_reactor(move || Staging::begin(&begun.0, &begun.1)).await?);
    for layer in &layers {
        write(reader, layer, &staging, progress).await?;
    }
    progress.tell(Event::Phase(Phase::Publishing));
    let staging = Arc::into_inner(staging).expect("every task that held it has ended");
    let was_there = off_reactor(move || staging.publish()).await?;
    let files = layers.into_iter().map(|layer| ExtractedFile { path: layer.title, bytes: layer.blob.size }).collect();
    Ok(Extracted { artifact, digest: manifest.digest(), files, was_there })
}

async fn write(reader: &Reader, layer: &FileLayer, staging: &Arc<Staging>, progress: &Progress) -> Result<(), Error> {
    let blob = layer.blob.digest;
    progress.tell(Event::Started { blob, size: layer.blob.size });
    let mut file = tokio::fs::File::from_std(staging.create(layer)?);
    let mut body = Verified::open(Arc::new(reader.clone()), &layer.blob).await?;
    let failed = |error| files::Error::Write { path: layer.title.clone().into(), source: error };
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        file.write_all(&chunk).await.map_err(failed)?;
        progress.tell(Event::Advanced { blob, bytes: chunk.len() as u64 });
    }
    file.flush().await.map_err(failed)?;
    if layer.is_folder {
        let (staging, layer) = (Arc::clone(staging), layer.clone());
        off_reactor(move || staging.unpack(&layer)).await?;
    }
    progress.tell(Event::Finished { blob });
    Ok(())
}
