//! Exports that are signed at once, and what travels with them.

use std::fs;

use serde_json::Value;

use super::{bundle, refused, signers, verify};
use crate::support::{Airlift, Options, Registry, artifacts::Artifact, moto::Moto, needs, packed::Packed};

/// A home with the bundle `a.tar` to export from, the key `ops`, and a trust file for it.
async fn sender() -> Airlift {
    let airlift = Airlift::new();
    bundle(&airlift, "a.tar", 1).await;
    airlift.run(["keygen", "-o", "ops"]).success();
    fs::write(airlift.home().join("trust.toml"), "[[signer]]\nname = 'ops'\nkey = 'ops.pub'\n").unwrap();
    airlift
}

fn export(airlift: &Airlift, more: &[&str]) -> crate::support::Ran {
    let fixed = ["export", "--from", "a.tar", "-o", "u.tar", "--sign", "ops.key", "--stream", "hq/a"];
    airlift.run(fixed.iter().chain(more))
}

fn statement(airlift: &Airlift, name: &str) -> Value {
    serde_json::from_slice(&fs::read(airlift.home().join(format!("{name}.transfer.json"))).unwrap()).unwrap()
}

#[tokio::test]
async fn an_export_is_signed_in_one_go_and_its_sequences_rise() {
    let airlift = sender().await;
    export(&airlift, &["--authorised-by", "A. Ops"]).success();
    assert_eq!(signers(&verify(&airlift).success()), ["ops"]);
    let first = statement(&airlift, "u.tar");
    assert_eq!((&first["stream"], &first["sequence"]), (&"hq/a".into(), &1.into()));
    assert_eq!(first["authorised_by"], "A. Ops");
    // The same once more is there already, and takes no number.
    export(&airlift, &["--authorised-by", "A. Ops"]).success();
    assert_eq!(statement(&airlift, "u.tar"), first);
    export(&airlift, &["--authorised-by", "B. Ops"]).exits(1).says(&["output.exists", "delete this one"]);

    // The next content under the same name takes the next number, and what was signed before goes.
    bundle(&airlift, "a.tar", 2).await;
    export(&airlift, &["--overwrite"]).success();
    assert_eq!(statement(&airlift, "u.tar")["sequence"], 2);
    assert_eq!(signers(&verify(&airlift).success()), ["ops"]);
    bundle(&airlift, "a.tar", 3).await;
    export(&airlift, &["--overwrite", "--sequence", "40"]).success();
    bundle(&airlift, "a.tar", 4).await;
    export(&airlift, &["--overwrite"]).success();
    assert_eq!(statement(&airlift, "u.tar")["sequence"], 41);

    // Signed exports begin the record, and each leg after them is in it.
    airlift.run(["copy", "u.tar", "copy.tar"]).success();
    let shown = airlift.json(["record", "show", "--json"]);
    let legs = shown["entries"].as_array().unwrap();
    let actions: Vec<_> = legs.iter().map(|leg| leg["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["export", "export", "export", "export", "export", "copy"]);
    assert_eq!(legs[5]["bundle"], legs[4]["bundle"]);
    assert_eq!((&legs[4]["sequence"], &legs[5]["to"]), (&41.into(), &"copy.tar".into()));
    airlift.run(["record", "verify"]).success();
}

#[tokio::test]
async fn a_delta_and_its_receipt_name_their_base_and_their_place_in_the_stream() {
    let airlift = sender().await;
    export(&airlift, &[]).success();
    assert!(statement(&airlift, "u.tar").get("base_proof").is_none(), "it has no base");
    airlift.run(["import", "u.tar", "--store", "site", "--trust", "trust.toml", "--receipt", "r.json"]).success();
    let receipt: Value = serde_json::from_slice(&fs::read(airlift.home().join("r.json")).unwrap()).unwrap();
    assert_eq!((&receipt["bundles"][0]["stream"], &receipt["bundles"][0]["sequence"]), (&"hq/a".into(), &1.into()));
    airlift.run(["sign", "r.json", "--key", "ops.key"]).success();
    assert!(airlift.home().join("r.json.sigstore.json").exists());

    airlift.run(["head", "u.tar", "-o", "u.head"]).success();
    for (base, proof, words) in
        [("r.json", "proven", "has confirmed its base"), ("sent:u.head", "declared", "has not confirmed it")]
    {
        export(&airlift, &["--overwrite", "--base", base]).success();
        assert_eq!(statement(&airlift, "u.tar")["base_proof"], proof, "{base}");
        airlift.run(["inspect", "u.tar"]).success().answers(words);
        // A further signer signs the same words.
        airlift.run(["sign", "u.tar", "--key", "ops.key", "--stream", "hq/a"]).success();
        fs::remove_file(airlift.home().join("u.tar")).unwrap();
    }
}

#[tokio::test]
async fn a_statement_needs_a_key_and_a_file() {
    let airlift = sender().await;
    let without = ["export", "--from", "a.tar", "-o", "u.tar", "--stream", "hq/a"];
    airlift.run(without).exits(2).says(&["--stream is a member of a statement", "--sign KEY"]);
    let stream = ["export", "--from", "a.tar", "-o", "-", "--sign", "ops.key"];
    airlift.run(stream).exits(2).says(&["file on this machine", "airlift copy"]);
    // A key that cannot be used ends the run before it begins.
    fs::write(airlift.home().join("bad.key"), "no key").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(airlift.home().join("bad.key"), mode).unwrap();
    airlift.run(["export", "--from", "a.tar", "-o", "u.tar", "--sign", "bad.key"]).exits(2).says(&["usage.file"]);
    assert!(!airlift.home().join("u.tar").exists());
}

#[tokio::test]
async fn a_set_is_signed_and_what_is_signed_travels_to_a_storage_and_is_verified_there() {
    needs!("moto_server");
    let mut airlift = sender().await;
    let image = Artifact::small(7, 600_000);
    fs::remove_file(airlift.home().join("a.tar")).unwrap();
    Packed::new().with("r.example/big:1", image).write(&airlift.home().join("a.tar")).await;
    fs::create_dir(airlift.home().join("set")).unwrap();
    let set = ["export", "--from", "a.tar", "-o", "set/u", "--volume-size", "300KiB", "--sign", "ops.key"];
    airlift.run(set).success();
    assert!(airlift.home().join("set/u.transfer.json.sigstore.json").exists());
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    moto.create("box");
    for (name, value) in moto.variables() {
        airlift.set(&name, &value);
    }
    for place in ["s3://box/set/", "s3://box/one/"] {
        let from = if place.ends_with("set/") { "set" } else { "u.tar" };
        if from == "u.tar" {
            export(&airlift, &[]).success();
        }
        airlift.run(["copy", from, place]).success();
        let there = if from == "u.tar" { format!("{place}u.tar") } else { place.to_owned() };
        let ran = airlift.run(["verify", &there, "--trust", "trust.toml", "--json"]).success();
        assert_eq!(signers(&ran), ["ops"], "{there}");
    }
    airlift.run(["keygen", "-o", "other"]).success();
    fs::write(airlift.home().join("trust.toml"), "[[signer]]\nname = 'other'\nkey = 'other.pub'\n").unwrap();
    refused(airlift.run(["verify", "s3://box/one/u.tar", "--trust", "trust.toml", "--json"]), "trust.signer");
}

#[tokio::test]
async fn links_beside_a_bundle_are_neither_read_nor_carried() {
    let airlift = sender().await;
    export(&airlift, &[]).success();
    let path = airlift.home().join("u.tar.transfer.json.sigstore.json");
    let elsewhere = airlift.home().join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let ran = refused(verify(&airlift), "trust.signature");
    assert!(ran.stdout.contains("symbolic links are not followed"), "{ran}");
    airlift.run(["copy", "u.tar", "copy.tar"]).exits(1).says(&["u.tar.transfer.json.sigstore.json", "symbolic link"]);
    for name in ["copy.tar.transfer.json.sigstore.json", "copy.tar"] {
        assert!(!airlift.home().join(name).exists(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_trust_warns_of_what_is_older_and_goes_on() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let airlift = sender().await;
    export(&airlift, &["--sequence", "9"]).success();
    bundle(&airlift, "a.tar", 2).await;
    let old =
        ["export", "--from", "a.tar", "-o", "old.tar", "--sign", "ops.key", "--stream", "hq/a", "--sequence", "8"];
    airlift.run(old).success();
    let import = |name: &str| airlift.run(["import", name, "--to", registry.address(), "--overwrite-tags"]).success();
    assert!(!import("u.tar").stderr.contains("warning"));
    let ran = import("old.tar");
    assert!(ran.stderr.contains("warning: old.tar is number 8 of hq/a, and number 9 was imported here"), "{ran}");
    assert!(!import("u.tar").stderr.contains("warning"));
}

#[tokio::test]
async fn any_json_file_is_signed_beside_itself() {
    let airlift = sender().await;
    fs::write(airlift.home().join("receipt.json"), "{\"version\":1}").unwrap();
    let made = airlift.json(["sign", "receipt.json", "--key", "ops.key", "--json"]);
    assert_eq!(made["signature"], "receipt.json.sigstore.json");
    let again = airlift.run(["sign", "receipt.json", "--key", "ops.key"]).success().stdout;
    assert_eq!(again, "receipt.json.sigstore.json: already there\n");
}
