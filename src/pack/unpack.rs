//! The bundle that a packed file codes, written as it was.

use std::{path::Path, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};

use super::{Error, PackedFile, Result};
use crate::{
    bundle::{Finished, Writer},
    content::{Lookup as _, Sink as _, Source as _, Verified},
    progress::{Event, Phase, Progress},
};

/// Writes the bundle in `packed` to `path`. Run again after a break it resumes.
///
/// # Errors
/// The file is there and `overwrite` was not asked for, a blob cannot be made again, or the file cannot be written.
pub async fn unpack(
    packed: &PackedFile,
    path: &Path,
    overwrite: bool,
    jobs: usize,
    progress: &Progress,
) -> Result<Finished> {
    let reader = packed.reader();
    let writer = Writer::open(path, reader.contents().clone(), overwrite).await?;
    let blobs = writer.blobs();
    let bytes = blobs.iter().map(|blob| blob.size).sum();
    progress.tell(Event::Phase(Phase::Transferring));
    progress.tell(Event::Planned { blobs: blobs.len() as u64, bytes, present: writer.present() });
    let source = Arc::new(reader.clone());
    let (writer_ref, progress_ref) = (&writer, progress);
    let moves = stream::iter(blobs).map(|blob| {
        let source = Arc::clone(&source);
        async move {
            if writer_ref.contains(&blob).await? {
                return Ok(());
            }
            progress_ref.tell(Event::Started { blob: blob.digest, size: blob.size });
            let digest = blob.digest;
            let told = progress_ref.clone();
            let stream = source.fetch(&blob, 0).await?;
            let stream = stream.inspect_ok(move |chunk| {
                told.tell(Event::Advanced { blob: digest, bytes: chunk.len() as u64 });
            });
            writer_ref.push(&blob, Verified::new(blob.clone(), stream.boxed())).await?;
            progress_ref.tell(Event::Finished { blob: digest });
            Ok::<_, Error>(())
        }
    });
    moves.buffer_unordered(jobs.max(1)).try_collect::<Vec<()>>().await?;
    progress.tell(Event::Phase(Phase::Publishing));
    Ok(writer.finish().await?)
}
