//! Verification: every byte of a bundle read again, hashed, and held against the plan.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::delta::needs::{Needs, needs};
use crate::{
    bundle::{self, FileCheck, Owners, Reader},
    content::{Code, Fault},
    files::blocking::off_reactor,
    oci::{Digest, Reference},
    progress::{Event, Phase, Progress},
};

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which kind of thing.
    pub code: Code,
    /// The artifacts that need it, by name.
    pub artifacts: Vec<Reference>,
    /// The content it concerns.
    pub digest: Option<Digest>,
    /// Where in the file, in bytes.
    pub offset: Option<u64>,
    /// Which file of a set; `None` where there is only one, or it is about none.
    pub file: Option<PathBuf>,
    /// What it is, for people.
    pub message: String,
}

/// What verification found. All is well if there are no findings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The bundle id.
    pub id: Digest,
    /// Artifacts in it, without those that are attached to them.
    pub artifacts: u64,
    /// Manifests, configs and layers that were hashed.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What the receiver must have, where it is a delta.
    pub needs: Option<Needs>,
    /// Everything that is wrong, in the order of the file.
    pub findings: Vec<Finding>,
    /// What harms nothing: entries that belong to no artifact and padding that is not zero, of archives and folders that
    /// other tools have made.
    pub warnings: Vec<String>,
}

impl Verification {
    /// Whether every byte is as it must be.
    pub const fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Reads all of a bundle with `jobs` threads and lists everything that is wrong with it. Opening it has shown already that
/// its head, with all manifests, is sound, or has failed.
///
/// # Errors
/// Only where the work itself could not be done; what is wrong with the bundle is a finding.
pub async fn verify(reader: &Reader, jobs: usize, progress: &Progress) -> bundle::Result<Verification> {
    let (reader, progress) = (reader.clone(), progress.clone());
    let given_up = CancelledCheck::default();
    let flag = Arc::clone(&given_up.0);
    let work = move || check(&reader, Vec::new(), jobs.max(1), &progress, &flag);
    off_reactor(work).await
}

/// As [`verify`], of a bundle that cannot be opened because its head is damaged: everything that is wrong as far as the
/// headers in it lead, what is left of its blobs hashed. `None` where nothing more can be learnt than why it does not open.
///
/// # Errors
/// Only where the work itself could not be done.
pub async fn verify_remains(path: &Path, jobs: usize, progress: &Progress) -> bundle::Result<Option<Verification>> {
    let Some((reader, wrong)) = Reader::open_remains(path).await? else { return Ok(None) };
    let progress = progress.clone();
    let given_up = CancelledCheck::default();
    let flag = Arc::clone(&given_up.0);
    let work = move || check(&reader, wrong, jobs.max(1), &progress, &flag);
    off_reactor(work).await.map(Some)
}

/// Stops the threads when their result is not needed any more.
#[derive(Default)]
struct CancelledCheck(Arc<AtomicBool>);

impl Drop for CancelledCheck {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `wrong` is what opening it has found already.
fn check(
    reader: &Reader,
    wrong: Vec<bundle::Error>,
    jobs: usize,
    progress: &Progress,
    given_up: &AtomicBool,
) -> bundle::Result<Verification> {
    let mut order = reader.contents().order()?;
    // The checks have what they need of them.
    order.blobs = Vec::new();
    let manifests: u64 = order.manifests.iter().map(|(_, manifest)| manifest.raw().len() as u64).sum();
    let mut queue = reader.checks()?;
    if !wrong.is_empty() {
        queue.extend(reader.stray_checks());
    }
    let bytes = queue.iter().fold(manifests, |sum, check| sum.saturating_add(check.size));
    let blobs = (order.manifests.len() + queue.len()) as u64;
    progress.tell(Event::Phase(Phase::Verifying));
    progress.tell(Event::Planned { blobs, bytes, present: manifests });

    let mut errors = reader.check_frames()?;
    errors.extend(wrong.into_iter().map(|error| (None, error)));
    // One that is there and damaged is reported as damaged.
    let doubt = |reason: &String| bundle::Error::Structure {
        offset: 0,
        entry: "index.json".to_owned(),
        reason: reason.clone(),
    };
    // A seal leaves no doubt.
    let doubts = if reader.facts().is_none() { reader.index().doubts() } else { &[] };
    errors.extend(doubts.iter().map(|reason| (None, doubt(reason))));
    if reader.facts().is_none() {
        errors.extend(reader.contents().inline_doubts().iter().map(|reason| (None, doubt(reason))));
    }
    errors.extend(reader.contents().deceptions().into_iter().map(|error| (None, error)));
    let missing = order.missing.iter().filter(|manifest| reader.offset(&manifest.digest).is_none());
    errors.extend(missing.map(|manifest| (None, bundle::Error::Missing { digest: manifest.digest })));
    // The largest first, so that no thread is left with one at the end while the others rest.
    queue.sort_by_key(|check| std::cmp::Reverse(check.size));
    errors.extend(hash_all(reader, &queue, jobs, progress, given_up));
    let mut findings = described(reader, errors)?;
    findings.sort_by(|a, b| {
        let key = |one: &Finding| (one.file.clone(), one.offset.is_none(), one.offset, one.digest);
        key(a).cmp(&key(b))
    });
    // A header is compared with the frame, and again before its blob: one damage, one finding.
    findings.dedup();
    let artifacts = reader.index().roots().len() as u64;
    let needs = needs(&order.absent);
    // Where the bundle is damaged, what nothing leads to is part of the findings.
    let warnings = if findings.is_empty() { reader.strays()? } else { Vec::new() };
    Ok(Verification { id: reader.id(), artifacts, blobs, bytes, needs, findings, warnings })
}

fn hash_all(
    reader: &Reader,
    queue: &[FileCheck],
    jobs: usize,
    progress: &Progress,
    given_up: &AtomicBool,
) -> Vec<(Option<PathBuf>, bundle::Error)> {
    let next = AtomicUsize::new(0);
    let errors = Mutex::new(Vec::new());
    let work = || {
        let mut buffer = Vec::new();
        while let Some(check) = queue.get(next.fetch_add(1, Ordering::Relaxed)) {
            if given_up.load(Ordering::Relaxed) {
                return;
            }
            let digest = check.digest;
            progress.tell(Event::Started { blob: digest, size: check.size });
            match reader.run_check(check, &mut buffer, |bytes| progress.tell(Event::Advanced { blob: digest, bytes })) {
                Ok(()) => progress.tell(Event::Finished { blob: digest }),
                Err(wrong) => {
                    progress.tell(Event::Abandoned { blob: digest });
                    errors.lock().unwrap_or_else(PoisonError::into_inner).extend(wrong);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.min(queue.len()) {
            scope.spawn(work);
        }
        work();
    });
    errors.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The errors as findings.
fn described(reader: &Reader, errors: Vec<(Option<PathBuf>, bundle::Error)>) -> bundle::Result<Vec<Finding>> {
    if errors.is_empty() {
        return Ok(Vec::new());
    }
    let owners = Owners::of(reader.contents())?;
    Ok(errors.into_iter().map(|(file, error)| finding(&owners, file, &error)).collect())
}

/// What failed, and why: a packed file and an object in a storage say it in the cause.
fn with_causes(error: &bundle::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn finding(owners: &Owners<'_>, file: Option<PathBuf>, error: &bundle::Error) -> Finding {
    let digest = error.digest();
    let artifacts = digest.iter().flat_map(|digest| owners.needing(digest));
    Finding {
        code: error.code(),
        artifacts: artifacts.cloned().collect(),
        digest,
        offset: error.offset(),
        file,
        message: with_causes(error),
    }
}
