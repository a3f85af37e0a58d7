//! Whether a copy is what was copied: read back from where it is.

use std::{fs::File, path::PathBuf, sync::Arc, thread};

use futures::TryStreamExt;

use super::{
    super::verify,
    error::Error,
    packed::{PackedProof, check_packed},
};
use crate::{
    bundle::Reader,
    content::Fault,
    files::{blocking::off_reactor, disk},
    oci::{Algorithm, Digest, Hasher},
    pack::ReadSettings,
    progress::{Event, Phase, Progress},
    storage::{Error as StorageError, Location, Pinned},
};

/// How a copy was proven.
pub(super) enum Proof {
    /// Every byte of it was held against the bundle's id.
    Bundle,
    /// All of it has this SHA-256, as what was sent has.
    Digest(Digest, Option<PackedProof>),
    /// The provider's own SHA-256 of it is that of what was sent.
    Attested,
}

/// Reads `copied` and holds it against the bundle that `reader` has open, or else against `learnt`, the SHA-256 of what was
/// sent, or where that is not known against the source. A packed file is opened with `read`, and its bundle checked.
pub(super) async fn prove(
    source: &Pinned,
    reader: Option<&Reader>,
    copied: &Pinned,
    learnt: Option<Digest>,
    (read, jobs): (&ReadSettings, usize),
    progress: &Progress,
) -> Result<Proof, Error> {
    if copied.stat().size != source.stat().size {
        let what = copied.object().location().to_string();
        return Err(StorageError::Protocol { what, reason: "the copy has another size".to_owned() }.into());
    }
    progress.tell(Event::Phase(Phase::Verifying));
    // The id of a sealed bundle fixes every byte of it, so reading the copy once proves it.
    if let Some(reader) = reader {
        return match prove_bundle(source, copied, reader, jobs, progress).await {
            // What the place did not keep is not the fault of the source.
            Err(damaged @ Error::Damaged { .. }) => match learnt {
                Some(learnt) => check(copied, learnt, &Progress::silent()).await.and(Err(damaged)),
                None => Err(damaged),
            },
            proof => proof,
        };
    }
    let (token, size) = (token(copied), copied.stat().size);
    progress.tell(Event::Planned { blobs: 1, bytes: size, present: 0 });
    progress.tell(Event::Started { blob: token, size });
    let expected = match learnt {
        Some(learnt) => learnt,
        None => hash(source, &Progress::silent()).await?,
    };
    check(copied, expected, progress).await?;
    progress.tell(Event::Finished { blob: token });
    let path = PathBuf::from(source.object().location().to_string());
    let packed = check_packed(Arc::new(copied.clone()), &path, read, jobs, progress).await?;
    Ok(Proof::Digest(expected, packed))
}

/// Checks that all of `copied` has the SHA-256 `expected`.
async fn check(copied: &Pinned, expected: Digest, progress: &Progress) -> Result<(), Error> {
    let actual = hash(copied, progress).await?;
    if expected == actual { Ok(()) } else { Err(mismatch(copied, expected, actual)) }
}

fn mismatch(copied: &Pinned, expected: Digest, actual: Digest) -> Error {
    Error::Mismatch { path: PathBuf::from(copied.object().location().to_string()), expected, actual }
}

async fn prove_bundle(
    source: &Pinned,
    copied: &Pinned,
    theirs: &Reader,
    jobs: usize,
    progress: &Progress,
) -> Result<Proof, Error> {
    let path = PathBuf::from(source.object().location().to_string());
    let damaged = |count, first: String, code| Error::Damaged { path: path.clone(), count, first, code };
    let (ours, jobs) = match copied.object().location() {
        Location::Path(path) => (Reader::open(path).await, thread::available_parallelism().map_or(1, usize::from)),
        _ => (Reader::open_on(Arc::new(copied.clone())).await, jobs),
    };
    let ours = ours.map_err(|error| damaged(1, error.to_string(), error.code()))?;
    if ours.id() != theirs.id() || ours.facts() != theirs.facts() {
        return Err(mismatch(copied, theirs.id(), ours.id()));
    }
    let verification = verify::verify(&ours, jobs, progress).await?;
    match verification.findings.first() {
        None => Ok(Proof::Bundle),
        Some(first) => Err(damaged(verification.findings.len(), first.message.clone(), first.code)),
    }
}

/// What observers know a file by that has no digest before it was read.
fn token(pinned: &Pinned) -> Digest {
    Digest::sha256(pinned.object().location().to_string().as_bytes())
}

/// SHA-256 of all of it.
pub(super) async fn hash(pinned: &Pinned, progress: &Progress) -> Result<Digest, StorageError> {
    let (token, size) = (token(pinned), pinned.stat().size);
    if let Location::Path(path) = pinned.object().location().clone() {
        let (progress, of) = (progress.clone(), path.clone());
        let reading = off_reactor(move || {
            let tell = |bytes| progress.tell(Event::Advanced { blob: token, bytes });
            disk::hash_at(&File::open(&of)?, Algorithm::Sha256, 0, size, &mut Vec::new(), tell)
        });
        let hasher = reading.await.map_err(|error| StorageError::read(&path, error))?;
        let changed = || StorageError::Changed { what: path.display().to_string() };
        return hasher.map(Hasher::finish).ok_or_else(changed);
    }
    let mut whole = Hasher::new(Algorithm::Sha256);
    let mut chunks = pinned.chunks(0..size).await?;
    while let Some(chunk) = chunks.try_next().await? {
        progress.tell(Event::Advanced { blob: token, bytes: chunk.len() as u64 });
        whole.update(&chunk);
    }
    Ok(whole.finish())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        bundle::{Contents, Index, Root, Writer},
        content::{Sink, Verified},
        oci::{Descriptor, Manifest, media_type},
        storage::{self, Settings},
    };

    const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;

    async fn write_bundle(path: &Path) {
        let config = Descriptor::of("application/vnd.oci.image.config.v1+json", CONFIG);
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [],
        });
        let manifest = Manifest::parse(manifest.to_string().into(), None).unwrap();
        let root = Root { reference: "r.example/app:1".parse().unwrap(), descriptor: manifest.descriptor().clone() };
        let manifests = [(manifest.digest(), manifest)].into();
        let contents = Contents { index: Index::new(vec![root], Vec::new()), manifests, absent: [].into() };
        let writer = Writer::open(path, contents, false).await.unwrap();
        writer.push(&config, Verified::bytes(config.clone(), CONFIG.into())).await.unwrap();
        writer.finish().await.unwrap();
    }

    async fn pinned(path: &Path) -> Pinned {
        Pinned::open(storage::open(&Location::Path(path.to_owned()), &Settings::default()).unwrap()).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_medium_did_not_keep_is_not_the_fault_of_the_source() {
        let folder = tempfile::tempdir().unwrap();
        let (sound, damaged) = (folder.path().join("a.tar"), folder.path().join("b.tar"));
        write_bundle(&sound).await;
        let mut bytes = fs::read(&sound).unwrap();
        let at = bytes.windows(CONFIG.len()).rposition(|window| window == CONFIG).unwrap();
        bytes[at] ^= 1;
        fs::write(&damaged, &bytes).unwrap();

        let (source, copied, reader) =
            (pinned(&sound).await, pinned(&damaged).await, Reader::open(&sound).await.unwrap());
        let (read, silent) = (ReadSettings::default(), Progress::silent());
        let proven = async |learnt| prove(&source, Some(&reader), &copied, learnt, (&read, 1), &silent).await.map(drop);
        // What was read from the source was sound, so the bytes changed on the way.
        let sent = hash(&source, &silent).await.unwrap();
        assert!(matches!(proven(Some(sent)).await, Err(Error::Mismatch { .. })));
        // The copy is what was read, so the source is damaged.
        let sent = hash(&copied, &silent).await.unwrap();
        assert!(matches!(proven(Some(sent)).await, Err(Error::Damaged { .. })));
    }
}
