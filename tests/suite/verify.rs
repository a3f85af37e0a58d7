//! Verification: whatever is wrong with a bundle is found, named and placed.

use std::{fs, os::unix::fs::FileExt, path::Path};

use airlift::{
    bundle::{Error, Reader},
    content::{Class, Code, Fault},
    progress::Progress,
    transfer::verify::{Verification, verify},
};

use serde_json::Value;

use crate::support::{
    Airlift,
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

#[tokio::test]
async fn damage_in_the_head_does_not_hide_what_is_damaged_behind_it() {
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    let [one, two, three] = [1, 2, 3].map(|seed| Artifact::small(seed, 5000));
    let packed = Packed::new().with("r.example/one:1", one.clone()).with("r.example/two:1", two.clone());
    packed.with("r.example/three:1", three.clone()).write(&path).await;
    let sound = fs::read(&path).unwrap();
    let reader = Reader::open(&path).await.unwrap();
    let at = |digest| usize::try_from(reader.offset(&digest).unwrap()).unwrap();
    let layer = |artifact: &Artifact| artifact.root.layers()[0].digest;
    let manifest = at(one.digest());
    let name = sound.windows(13).position(|window| window == b"r.example/two").unwrap();
    let found = |flipped: &[usize], length: usize| {
        let mut bytes = sound[..length].to_vec();
        for &at in flipped {
            bytes[at] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
        let ran = airlift.run(["verify", "b.tar", "--json"]).exits(4);
        let verdicts: Value = serde_json::from_str(&ran.stdout).unwrap();
        let told = |finding: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let artifacts: Vec<_> = finding["artifacts"].as_array().into_iter().flatten().map(text).collect();
            (text(&finding["token"]), text(&finding["digest"]), artifacts.join(" "))
        };
        verdicts[0]["findings"].as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    let told = |code: Code, digest: String, artifacts: &str| (code.token().to_owned(), digest, artifacts.to_owned());
    let mismatch =
        |digest: airlift::oci::Digest, artifacts: &str| told(Code::BundleDigestMismatch, digest.to_string(), artifacts);

    // The seal, a manifest, and a layer of another artifact; the layer of the manifest that cannot be read is sound.
    let all = found(&[name + 5, manifest + 5, at(layer(&two)) + 9], sound.len());
    assert_eq!(all[0].0, Code::BundleSeal.token(), "{all:?}");
    assert!(all.contains(&mismatch(one.digest(), "r.example/one:1")), "{all:?}");
    assert!(
        all.iter()
            .any(|(code, digest, _)| code == Code::BundleDigestMismatch.token() && *digest == layer(&two).to_string())
    );
    assert_eq!(all.len(), 3, "{all:?}");

    // A layer that no manifest leads to any more is hashed all the same.
    let all = found(&[manifest + 5, at(layer(&one)) + 9], sound.len());
    assert_eq!(all, [mismatch(one.digest(), "r.example/one:1"), mismatch(layer(&one), "")]);

    // Where a header is damaged the rest cannot be found: what is in front of it is told, and what is missing.
    let last =
        [one.clone(), two.clone(), three.clone()].into_iter().max_by_key(|artifact| at(layer(artifact))).unwrap();
    let cut = at(layer(&last)) + 100;
    let all = found(&[manifest + 5], cut);
    assert!(all.iter().any(|(code, ..)| code == Code::BundleTruncated.token()), "{all:?}");
    assert!(all.contains(&mismatch(one.digest(), "r.example/one:1")), "{all:?}");
}

#[tokio::test]
async fn each_of_several_bundles_is_told_of_whatever_the_others_are() {
    let airlift = Airlift::new();
    for name in ["a.tar", "b.tar", "c.tar"] {
        tiny().write(&airlift.home().join(name)).await;
    }
    fs::write(airlift.home().join("page.tar"), "<html>Sign in").unwrap();
    let all = ["verify", "missing.tar", "a.tar", "page.tar", "b.tar"];
    // Nothing is unsound, but not all could be looked at.
    let ran = airlift.run(all).exits(1);
    for part in ["missing.tar: 1 finding", "a.tar: sound", "[bundle.not-a-bundle]", "b.tar: sound"] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    let path = airlift.home().join("c.tar");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 1500;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    airlift.run(all.into_iter().chain(["c.tar"])).exits(4);
}
