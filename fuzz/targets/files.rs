//! Files of strangers, and files that a run of ours has left: read to the end or refused, and never taken for what they are not.

use std::{fs, path::Path, sync::Arc};

use airlift::{
    bundle::{Reader, Writer},
    content::{Origins as _, Sink, Source, Verified},
    find::lists::PackageEntry,
    packaging::Packages,
    progress::Progress,
    recovery::{Percent, ProtectedSet, Request, create, protected},
    registry::{Client, Settings, credentials::Keychain},
    transfer::verify::verify,
};
use sha2::{Digest as _, Sha256};

use crate::ground::{self, exchanged, scratch};

/// Where the JSON of a recovery file's head begins.
const FRONT: usize = 28;

/// Bytes of the seal behind it.
const SEAL: usize = 32;

async fn is_sound(path: &Path) -> bool {
    let Ok(reader) = Reader::open(path).await else { return false };
    verify(&reader, 1, &Progress::silent()).await.is_ok_and(|verification| verification.is_sound())
}

/// Any file as a bundle.
pub(crate) fn archive(content: &[u8]) {
    let path = scratch("archive");
    fs::write(&path, content).expect("the temporary folder can be written to");
    ground::with(|ground| {
        ground.runtime.block_on(is_sound(&path));
    });
}

/// A file as a packed chart: what is made of it has every blob that it names.
pub(crate) fn chart(content: &[u8]) {
    let path = scratch("chart");
    fs::write(&path, content).expect("the temporary folder can be written to");
    let entry = PackageEntry::parse(&format!("chart:{}", path.display()), None).expect("a chart").expect("a path");
    let client = Client::new(Settings::default()).expect("a client that connects to nothing");
    ground::with(|ground| {
        ground.runtime.block_on(async {
            let Ok(packages) = Packages::make(vec![entry], &client, &Progress::silent()).await else { return };
            assert_eq!(packages.artifacts().len(), 1);
            are_whole(&packages).await;
        });
    });
}

/// A file as an archive of `docker save`: what is made of it has every blob that it names.
pub(crate) fn saved_images(content: &[u8]) {
    let path = scratch("saved");
    fs::write(&path, content).expect("the temporary folder can be written to");
    ground::with(|ground| {
        ground.runtime.block_on(async {
            if let Ok(Some(packages)) = Packages::saved(&path, &Progress::silent()).await {
                are_whole(&packages).await;
            }
        });
    });
}

async fn are_whole(packages: &Packages) {
    for artifact in packages.artifacts() {
        let origin = packages.origin(artifact.context());
        let manifest = origin.resolve(&artifact.name()).await.expect("it was made");
        for blob in manifest.blobs() {
            let source = Arc::clone(&origin) as Arc<dyn Source>;
            let body = Verified::open(source, blob).await.expect("it is there");
            body.collect().await.expect("it is what its digest says");
        }
    }
}

/// A sound bundle with some of its bytes exchanged: a change is found.
pub(crate) fn bundle(changes: &[u8]) {
    let path = scratch("bundle");
    ground::with(|ground| {
        let bytes = exchanged(&ground.sound, changes);
        fs::write(&path, &bytes).expect("the temporary folder can be written to");
        assert_eq!(ground.runtime.block_on(is_sound(&path)), bytes == ground.sound);
    });
}

/// Any journal beside half a bundle: the run that resumes ends with the sound bundle, or refuses.
pub(crate) fn journal(text: &[u8]) {
    let path = scratch("journal");
    let beside = |suffix: &str| path.with_added_extension(suffix);
    ground::with(|ground| {
        let half = ground.sound.len() / 2;
        let partial = [&ground.sound[..half], &vec![0; half][..]].concat();
        fs::write(beside("partial"), partial).expect("the temporary folder can be written to");
        fs::write(beside("partial.journal"), text).expect("the temporary folder can be written to");
        ground.runtime.block_on(async {
            let Ok(writer) = Writer::open(&path, ground.contents.clone(), true).await else { return };
            for blob in writer.blobs() {
                let source = Arc::clone(&ground.source) as Arc<dyn Source>;
                let body = match writer.arrived(&blob) {
                    Some((hasher, from)) => Verified::resume(source, &blob, hasher, from).await,
                    None => Verified::open(source, &blob).await,
                };
                writer.push(&blob, body.expect("memory has it")).await.expect("a blob of the plan");
            }
            writer.finish().await.expect("everything has arrived");
            assert!(fs::read(&path).expect("it was published") == ground.sound);
        });
    });
}

/// A file of credentials, as docker and podman write it. Those with what may name a credential helper are passed over: none is to run.
pub(crate) fn docker_config(text: &[u8]) {
    let names_programs = |text: &str| text.contains("cred") || text.contains('\\');
    if !str::from_utf8(text).is_ok_and(|text| !names_programs(text)) {
        return;
    }
    let path = scratch("config");
    fs::write(&path, text).expect("the temporary folder can be written to");
    let keychain = Keychain::from_environment(Some(&path));
    for (registry, repository) in [("r.example", "team/app"), ("docker.io", "library/app")] {
        let _ = keychain.find(registry, repository);
    }
}

/// A head with `json` in it, sealed.
fn sealed(json: &[u8]) -> Vec<u8> {
    let mut bytes = [&b"airlift-recovery"[..], &1_u32.to_le_bytes(), &0_u32.to_le_bytes()].concat();
    bytes.extend(u32::try_from(json.len()).expect("libFuzzer keeps to the limit").to_le_bytes());
    bytes.extend(json);
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    bytes
}

/// The head of a recovery file: of that JSON, or where it is none of those bytes. Names in it are names of files in a folder.
pub(crate) fn recovery_head(input: &[u8]) {
    let path = scratch("head.recovery");
    let bytes = if input.starts_with(b"{") { sealed(input) } else { input.to_vec() };
    if let Some(names) = protected(&bytes) {
        assert!(names.iter().all(|name| !name.contains('/') && name != ".."), "{names:?}");
    }
    fs::write(&path, bytes).expect("the temporary folder can be written to");
    let _ = ProtectedSet::find(std::slice::from_ref(&path));
}

/// A repair by a recovery file with anything in its head: it does its work or refuses, and touches the names of the set alone.
pub(crate) fn recovery(input: &[u8]) {
    let folder = scratch("recovery");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the temporary folder can be written to");
    fs::write(folder.join("a"), vec![7; 5000]).expect("it can be written to");
    let percent = Percent::new(30).expect("a percentage");
    let request = Request::new(folder.clone(), vec!["a".to_owned()], "a", percent);
    create(&request, &Progress::silent()).expect("a small set");
    let path = folder.join("a.recovery");
    let made = fs::read(&path).expect("it was written");
    let length = made[FRONT - 4..].first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let json = &made[FRONT..FRONT + length];
    let json = if input.starts_with(b"{") { input.to_vec() } else { exchanged(json, input) };
    let mut bytes = sealed(&json);
    bytes.extend(&made[FRONT + length + SEAL..]);
    fs::write(&path, bytes).expect("it can be written to");
    if let Ok(set) = ProtectedSet::find(std::slice::from_ref(&folder))
        && let Ok(assessment) = set.assess(&Progress::silent())
    {
        let _ = assessment.repair(None, &Progress::silent());
    }
}
