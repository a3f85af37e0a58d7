//! The proof of a packed file: all of it is decoded, and every blob has its digest.

use super::{
    Error, Result,
    medium::Medium,
    opened::{PackedFile, ReadSettings},
    parallel::each_of,
};
use crate::{
    bundle::{self, Reader},
    files::blocking::off_reactor,
    oci::Digest,
    progress::{Event, Phase, Progress},
};

/// What came back as something else.
#[derive(Debug)]
pub(super) struct WrongBlob {
    pub(super) digest: Digest,
    pub(super) error: bundle::Error,
}

/// Decodes all of `written`, which was made of `bundle`; gives the blobs that do not come back, if there are any.
pub(super) async fn prove(
    bundle: &Reader,
    written: Medium,
    settings: ReadSettings,
    jobs: usize,
    progress: &Progress,
) -> Result<Vec<WrongBlob>> {
    let packed = PackedFile::open_in(written, settings).await?;
    check(packed.reader(), jobs, progress).await.map_err(|error| unproven(bundle, error))
}

/// The packed file is not what it was made of.
pub(super) fn unproven(bundle: &Reader, error: bundle::Error) -> Error {
    Error::Unproven { path: bundle.path().to_owned(), source: Box::new(error) }
}

/// Hashes everything of a bundle, and gives the blobs that are wrong.
///
/// # Errors
/// What is between the blobs is wrong.
pub(super) async fn check(reader: &Reader, jobs: usize, progress: &Progress) -> bundle::Result<Vec<WrongBlob>> {
    let (reader, progress) = (reader.clone(), progress.clone());
    off_reactor(move || {
        let mut checks = reader.checks()?;
        progress.tell(Event::Phase(Phase::Verifying));
        let bytes = checks.iter().map(|check| check.size).sum();
        progress.tell(Event::Planned { blobs: checks.len() as u64, bytes, present: 0 });
        if let Some((_, error)) = reader.check_frames()?.into_iter().next() {
            return Err(error);
        }
        checks.sort_by_key(|check| std::cmp::Reverse(check.size));
        let found = each_of(&checks, jobs, |check| {
            let digest = check.digest;
            progress.tell(Event::Started { blob: digest, size: check.size });
            let told = |bytes| progress.tell(Event::Advanced { blob: digest, bytes });
            let outcome = reader.run_check(check, &mut Vec::new(), told);
            progress.tell(Event::Finished { blob: digest });
            let wrong = outcome.err().map(|mut wrong| WrongBlob { digest, error: wrong.swap_remove(0).1 });
            Ok::<_, bundle::Error>(wrong)
        });
        Ok(found?.into_iter().flatten().collect())
    })
    .await
}
