//! Packed files that are carried: copied, protected, served, given up.

use std::fs;

use airlift::oci::Digest;

use super::{base::versions, sample::Sample};
use crate::support::{Skopeo, moto::Moto, needs, process::files_below};

/// `v1.tar`, `v2.tar`, and `v2.pack`, packed against the former.
fn update() -> Sample {
    let sample = versions();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    sample
}

/// Changes a byte of the last frame, which holds layers.
fn damage(sample: &Sample, name: &str) {
    let mut bytes = sample.read(name);
    let place = bytes.len() - 1000;
    bytes[place] ^= 4;
    fs::write(sample.path(name), bytes).unwrap();
}

#[test]
fn a_copy_of_a_packed_file_is_checked_with_the_bundle_in_it() {
    let sample = update();
    let airlift = &sample.airlift;
    let copied = airlift.run(["copy", "v2.pack", "copy.pack", "--base", "v1.tar"]).success();
    assert!(copied.stdout.contains("every blob of its bundle"), "{copied}");
    let id = airlift.json(["inspect", "v2.tar", "--json"])["bundle"].clone();
    let again = airlift.json(["copy", "v2.pack", "copy.pack", "--base", "v1.tar", "--json"]);
    assert_eq!((&again["bundle"], &again["already_there"]), (&id, &true.into()));
    // Without the base each byte of the packed file is still checked.
    let alone = airlift.run(["copy", "v2.pack", "alone.pack"]).success();
    assert!(alone.stdout.contains("--base"), "{alone}");
    assert_eq!(airlift.json(["copy", "v2.pack", "alone.pack", "--json"])["bundle"], id);

    damage(&sample, "v2.pack");
    let more: [&[&str]; 2] = [&[], &["--base", "v1.tar"]];
    for base in more {
        let ran = airlift.run([&["copy", "v2.pack", "bad.pack"], base].concat());
        ran.exits(4).says(&["pack.malformed", "v2.pack", "damaged itself"]);
        assert!(!sample.path("bad.pack").exists());
    }
}

#[test]
fn a_packed_file_goes_to_a_storage_and_a_damaged_one_does_not() {
    needs!("moto_server");
    let mut sample = Sample::new();
    sample.pack("b.pack", &[]);
    let moto = Moto::start();
    moto.create("packs");
    for (name, value) in moto.variables() {
        sample.airlift.set(&name, value);
    }
    let airlift = &sample.airlift;
    let place = "s3://packs/b.pack";
    let sent = airlift.json(["copy", "b.pack", place, "--json"]);
    assert_eq!(sent["bundle"], airlift.json(["inspect", "b.tar", "--json"])["bundle"]);
    airlift.run(["verify", place]).success();
    airlift.run(["copy", place, "back.pack"]).success();
    assert!(sample.read("back.pack") == sample.read("b.pack"));
    airlift.run(["unpack", place, "-o", "back.tar"]).success();
    assert!(sample.read("back.tar") == sample.read("b.tar"));

    damage(&sample, "b.pack");
    airlift.run(["copy", "b.pack", "s3://packs/bad.pack"]).exits(4).says(&["pack.malformed", "b.pack"]);
    airlift.run(["inspect", "s3://packs/bad.pack"]).exits(1).says(&["storage.not-found"]);
}

#[test]
fn statements_and_recovery_data_go_with_a_packed_file() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let airlift = &sample.airlift;
    airlift.run(["keygen", "-o", "ops"]).success();
    fs::write(sample.path("trust.toml"), "[[signer]]\nname = \"ops\"\nkey = \"ops.pub\"\n").unwrap();
    airlift.run(["sign", "b.pack", "--key", "ops.key"]).success();
    airlift.run(["protect", "b.pack", "--recovery", "30%"]).success();
    fs::create_dir(sample.path("media")).unwrap();
    airlift.run(["copy", "b.pack", "media/"]).success();
    damage(&sample, "media/b.pack");
    airlift.run(["verify", "media/b.pack", "--trust", "trust.toml"]).exits(4);
    airlift.run(["repair", "media/b.pack"]).success();
    assert!(sample.read("media/b.pack") == sample.read("b.pack"));
    airlift.run(["verify", "media/b.pack", "--trust", "trust.toml"]).success();
    airlift.run(["import", "media/b.pack", "--trust", "trust.toml", "--store", "store"]).success();
    // The statement is of the bundle: it goes with the unpacked one as well.
    airlift.run(["unpack", "media/b.pack", "-o", "media/b.tar"]).success();
    for beside in [".transfer.json", ".transfer.json.sigstore.json"] {
        fs::copy(sample.path(&format!("media/b.pack{beside}")), sample.path(&format!("media/b.tar{beside}"))).unwrap();
    }
    airlift.run(["verify", "media/b.tar", "--trust", "trust.toml"]).success();
}

#[test]
fn a_packed_file_is_exported_to_a_set() {
    let sample = Sample::new();
    let airlift = &sample.airlift;
    sample.pack("e.pack", &[]);
    fs::create_dir(sample.path("set")).unwrap();
    airlift.run(["export", "--from", "e.pack", "-o", "set/b", "--volume-size", "1MB", "--recovery", "50%"]).success();
    fs::remove_file(sample.path("set/b.vol001.tar")).unwrap();
    airlift.run(["repair", "set"]).success();
    airlift.run(["export", "--from", "set", "-o", "whole.tar"]).success();
    assert!(sample.read("whole.tar") == sample.read("b.tar"));
}

#[test]
fn a_packed_update_is_served_beside_its_base() {
    needs!("skopeo");
    let sample = update();
    let airlift = &sample.airlift;
    airlift.run(["serve", "v2.pack", "--listen", "127.0.0.1:0"]).exits(4).says(&["pack.base-missing", "--base"]);
    let server = airlift.start(["serve", "v2.pack", "--base", "v1.tar", "--listen", "127.0.0.1:0"]);
    let address = server.wait_for_line("Serving on ").split_once("http://").unwrap().1.trim().to_owned();
    let skopeo = Skopeo::new();
    let layout = sample.path("layout");
    skopeo.copy(&format!("docker://{address}/team/app:2"), &format!("oci:{}:2", layout.display()));
    let bundle = airlift.json(["inspect", "v2.tar", "--sums", "--json"]);
    let blobs = bundle["blobs"].as_array().unwrap();
    assert!(blobs.len() > 5, "{bundle}");
    for blob in blobs {
        let digest = blob["digest"].as_str().unwrap();
        let hex = digest.strip_prefix("sha256:").unwrap();
        let pulled = fs::read(layout.join("blobs/sha256").join(hex)).unwrap();
        assert_eq!(Digest::sha256(&pulled).to_string(), digest);
    }
}

#[test]
fn abandon_removes_all_that_packing_and_unpacking_leave() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let airlift = &sample.airlift;
    let before = files_below(airlift.home());
    let unfinished: [(&[&str], &str, &str); 4] = [
        (&["pack", "b.tar", "-o", "new.pack"], "verifying", "new.pack"),
        (&["unpack", "b.pack", "-o", "new.tar"], "transferring", "new.tar"),
        (&["export", "--from", "b.tar", "--pack", "-o", "new.pack"], "transferring", "new.pack"),
        (&["export", "--from", "b.tar", "--pack", "-o", "new.pack"], "verifying", "new.pack"),
    ];
    for (args, line, output) in unfinished {
        let mut process = airlift.start([args, &["--progress", "json"]].concat());
        process.wait_for_line(line);
        process.kill();
        let left = files_below(airlift.home());
        assert!(left.len() > before.len(), "{args:?} had left nothing when it was killed");
        airlift.run(["abandon", output]).success();
        assert_eq!(files_below(airlift.home()), before, "{args:?} had left {left:?}");
    }
}
