//! A recovery file with anything in it: a repair does its work or refuses, and touches nothing but the names of the set.
#![no_main]

use std::{fs, path::PathBuf};

use airlift::{
    progress::Progress,
    recovery::{Percent, Request, ProtectedSet, create},
};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

/// Where the JSON of a head begins, and bytes of the seal behind it.
const FRONT: usize = 28;

/// A head with `json` in it, sealed.
fn head(json: &[u8]) -> Vec<u8> {
    let mut bytes = [&b"airlift-recovery"[..], &1_u32.to_le_bytes(), &0_u32.to_le_bytes()].concat();
    bytes.extend(u32::try_from(json.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(json);
    let seal = Sha256::digest(&bytes);
    bytes.extend(seal);
    bytes
}

fuzz_target!(|input: (Vec<u8>, Vec<(u16, u8)>)| {
    let (json, changes) = input;
    let folder: PathBuf = std::env::temp_dir().join(format!("airlift-fuzz-recovery-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the temporary folder can be written to");
    fs::write(folder.join("a"), vec![7; 5000]).expect("it can be written to");
    let percent = Percent::new(30).expect("a percentage");
    let request = Request {
        folder: folder.clone(),
        files: vec!["a".to_owned()],
        percent,
        stem: "a".to_owned(),
        limit: None,
        overwrite: false,
    };
    create(&request, &Progress::silent()).expect("a sound set");
    let path = folder.join("a.recovery");
    let sound = fs::read(&path).expect("it was written");
    let length = u32::from_le_bytes(sound[FRONT - 4..FRONT].try_into().expect("four bytes")) as usize;
    // A sealed head of any JSON; or the sound one with some bytes exchanged, sealed anew.
    let mut own = sound[FRONT..FRONT + length].to_vec();
    for (at, byte) in changes {
        let at = usize::from(at) % own.len();
        own[at] = byte;
    }
    for json in [json, own] {
        let mut bytes = head(&json);
        bytes.extend(&sound[(FRONT + length + 32).min(sound.len())..]);
        fs::write(&path, bytes).expect("it can be written to");
        if let Ok(set) = ProtectedSet::find(&[folder.clone()])
            && let Ok(assessment) = set.assess(&Progress::silent())
        {
            let _ = assessment.repair(None, &Progress::silent());
        }
    }
});
