//! Verification: whatever is wrong with a bundle is found, named and placed.

use std::{fs, os::unix::fs::FileExt, path::Path};

use airlift::{
    bundle::{Error, Reader},
    content::{Class, Code, Fault},
    progress::Progress,
    transfer::verify::{Verification, verify},
};

use crate::support::{
    artifacts::{Artifact, Blob, LAYER},
    packed::Packed,
};

/// As small as a bundle with every kind of entry can be.
fn tiny() -> Packed {
    let image = Artifact::image("linux/amd64", vec![Blob::new(LAYER, &b"layer"[..])]);
    Packed::new().with("r.example/a:1", image)
}

async fn look(path: &Path) -> Result<Verification, Error> {
    let reader = Reader::open(path).await?;
    verify(&reader, 1, &Progress::silent()).await
}

/// What a script would learn: `None` if all is well.
fn code(outcome: &Result<Verification, Error>) -> Option<Code> {
    match outcome {
        Ok(verification) => verification.findings.first().map(|finding| finding.code),
        Err(error) => Some(error.code()),
    }
}

#[tokio::test]
async fn a_sound_bundle_has_no_findings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let finished = tiny().write(&path).await;
    let verification = look(&path).await.unwrap();
    assert!(verification.is_sound(), "{verification:?}");
    assert_eq!((verification.id, verification.artifacts, verification.blobs), (finished.id, 1, 3));
}

#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    tiny().write(&path).await;
    let sound = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for (at, &byte) in sound.iter().enumerate() {
        // One bit of each byte, another one from byte to byte: all eight would take two minutes.
        let bit = at.wrapping_mul(0x9e37_79b9) >> 13 & 7;
        file.write_all_at(&[byte ^ 1 << bit], at as u64).unwrap();
        let outcome = look(&path).await;
        let code = code(&outcome).unwrap_or_else(|| panic!("bit {bit} of byte {at} was flipped unnoticed"));
        assert!(
            code.class() == Class::Unverified || code == Code::BundleVersion,
            "bit {bit} of byte {at}: {outcome:?}"
        );
        file.write_all_at(&[byte], at as u64).unwrap();
    }
    assert_eq!(code(&look(&path).await), None);
}

#[tokio::test]
async fn every_truncation_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    tiny().write(&path).await;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    for length in (0..length).rev() {
        file.set_len(length).unwrap();
        let expected = if length == 0 { Code::BundleUnknown } else { Code::BundleTruncated };
        assert_eq!(code(&look(&path).await), Some(expected), "{length} bytes");
    }
}
