//! Signed statements: made and checked by airlift and by the tools of others, and every way in which one is refused.

mod checks;
mod cosign;
mod export;
mod import;
mod tools;
mod walk;
mod watch;

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::support::{
    Airlift, Ran,
    artifacts::{Artifact, Blob},
    needs,
    packed::Packed,
};

/// A home with the bundle `u.tar`, the keys `alice` and `bob`, and a trust file with both.
pub(crate) async fn site(head: &str) -> Airlift {
    let airlift = Airlift::new();
    bundle(&airlift, "u.tar", 1).await;
    let mut trust = format!("{head}\n");
    for name in ["alice", "bob"] {
        airlift.run(["keygen", "-o", name]).success();
        trust.push_str("[[signer]]\nname = '");
        trust.push_str(name);
        trust.push_str("'\nkey = '");
        trust.push_str(name);
        trust.push_str(".pub'\n");
    }
    fs::write(airlift.home().join("trust.toml"), trust).unwrap();
    airlift
}

/// A bundle of one image whose layer follows from `seed`.
pub(crate) async fn bundle(airlift: &Airlift, name: &str, seed: u64) {
    let image = Artifact::image("linux/amd64", vec![Blob::layer(seed, 3000)]);
    let path = airlift.home().join(name);
    let _ = fs::remove_file(&path);
    Packed::new().with("r.example/app:1", image).write(&path).await;
}

fn verify(airlift: &Airlift) -> Ran {
    airlift.run(["verify", "u.tar", "--trust", "trust.toml", "--json"])
}

/// Whose signatures counted.
fn signers(ran: &Ran) -> Vec<String> {
    let verdicts: Value = serde_json::from_str(&ran.stdout).unwrap();
    let signers = verdicts[0]["trust"]["signers"].as_array().unwrap().iter();
    signers.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Holds that the bundle is refused with `token`, and that the hint is there.
#[track_caller]
fn refused(ran: Ran, token: &str) -> Ran {
    ran.exits(4).says(&[&format!("\"token\":\"{token}\""), "\"hint\":"])
}

#[tokio::test]
async fn a_key_is_its_owners_alone_and_never_replaced() {
    let airlift = Airlift::new();
    airlift.run(["keygen", "-o", "ops"]).success();
    let mode = |name: &str| fs::metadata(airlift.home().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ops.key"), mode("ops.pub")), (0o600, 0o644));
    let before = fs::read(airlift.home().join("ops.key")).unwrap();
    for gone in ["ops.pub", "ops.key"] {
        airlift.run(["keygen", "-o", "ops"]).exits(1).says(&["output.exists", "another name"]);
        assert_eq!(fs::read(airlift.home().join("ops.key")).unwrap(), before);
        let _ = fs::remove_file(airlift.home().join(gone));
        if gone == "ops.pub" {
            airlift.run(["keygen", "-o", "ops"]).exits(1);
            assert!(!airlift.home().join("ops.pub").exists(), "a public key without its private one");
        }
    }
    bundle(&airlift, "u.tar", 1).await;
    airlift.run(["keygen", "-o", "shared"]).success();
    let path = airlift.home().join("shared.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    airlift.run(["sign", "u.tar", "--key", "shared.key"]).exits(5).says(&["secret.exposed", "chmod 600 FILE"]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    airlift.run(["sign", "u.tar", "--key", "shared.key"]).success();
}

#[tokio::test]
async fn an_encrypted_key_asks_for_its_password() {
    let mut airlift = Airlift::new();
    bundle(&airlift, "u.tar", 1).await;
    airlift.run(["keygen", "-o", "ops", "--encrypt"]).exits(2);
    airlift.set("AIRLIFT_KEY_PASSWORD", "secret").run(["keygen", "-o", "ops", "--encrypt"]).success();
    airlift.run(["sign", "u.tar", "--key", "ops.key"]).success();
    let mut other = Airlift::new();
    bundle(&other, "u.tar", 1).await;
    fs::copy(airlift.home().join("ops.key"), other.home().join("ops.key")).unwrap();
    other.run(["sign", "u.tar", "--key", "ops.key"]).exits(5).says(&["key.password", "AIRLIFT_KEY_PASSWORD"]);
    let typed = other.run_with_input(["sign", "u.tar", "--key", "ops.key", "--password-stdin"], "secret\n");
    typed.success();
    other
        .set("AIRLIFT_KEY_PASSWORD", "wrong")
        .run(["sign", "u.tar", "--key", "ops.key"])
        .exits(5)
        .says(&["key.password"]);
}

#[tokio::test]
async fn m_of_n_signers_vouch_for_a_bundle_that_does_not_change() {
    let airlift = site("require = 2").await;
    let before = fs::read(airlift.home().join("u.tar")).unwrap();
    refused(verify(&airlift), "trust.unsigned");
    airlift.run(["sign", "u.tar", "--key", "alice.key", "--stream", "hq/a", "--sequence", "7"]).success();
    let ran = refused(verify(&airlift), "trust.signer");
    assert_eq!(signers(&ran), ["alice"]);
    // The same signer once more is not a second one.
    let again = airlift.run(["sign", "u.tar", "--key", "alice.key", "--stream", "hq/a", "--sequence", "7"]).success();
    assert_eq!(again.stdout.matches("already there").count(), 2, "{again}");
    refused(verify(&airlift), "trust.signer");
    airlift.run(["sign", "u.tar", "--key", "bob.key"]).success();
    let ran = verify(&airlift).success();
    assert_eq!(signers(&ran), ["alice", "bob"]);
    assert_eq!(fs::read(airlift.home().join("u.tar")).unwrap(), before);

    let said = airlift.run(["verify", "u.tar", "--trust", "trust.toml"]).success().stdout;
    assert!(said.contains("trusted; signed by alice, bob (2 required)"), "{said}");
    assert!(said.contains("stream hq/a, sequence 7"), "{said}");
    fs::remove_file(airlift.home().join("u.tar.transfer.json.2.sigstore.json")).unwrap();
    refused(verify(&airlift), "trust.signer");
}

#[tokio::test]
async fn a_stranger_another_statement_and_another_bundle_are_refused() {
    let airlift = site("").await;
    airlift.run(["keygen", "-o", "eve"]).success();
    airlift.run(["sign", "u.tar", "--key", "eve.key"]).success();
    refused(verify(&airlift), "trust.signer");
    airlift.run(["sign", "u.tar", "--key", "alice.key"]).success();
    // The stranger's signature takes nothing away.
    assert_eq!(signers(&verify(&airlift).success()), ["alice"]);

    let statement = airlift.home().join("u.tar.transfer.json");
    let text = fs::read_to_string(&statement).unwrap();
    let changed = text.replace("\"created\":\"20", "\"created\":\"21");
    assert_ne!(changed, text);
    fs::write(&statement, changed).unwrap();
    refused(verify(&airlift), "trust.signature");
    fs::write(&statement, format!("{text}\n")).unwrap();
    refused(verify(&airlift), "trust.statement");
    fs::write(&statement, text.replace("\"version\":1", "\"version\":1,\"version\":1")).unwrap();
    refused(verify(&airlift), "trust.statement");
    fs::write(&statement, &text).unwrap();

    bundle(&airlift, "u2.tar", 2).await;
    fs::rename(airlift.home().join("u2.tar"), airlift.home().join("u.tar")).unwrap();
    refused(verify(&airlift), "trust.statement");
    airlift.run(["sign", "u.tar", "--key", "bob.key"]).exits(4).says(&["trust.statement", "another bundle"]);
}

#[tokio::test]
async fn a_signer_counts_in_its_streams_only() {
    let airlift = site("").await;
    let trust = "[[signer]]\nname = 'alice'\nkey = 'alice.pub'\nstreams = ['hq/*']\n";
    fs::write(airlift.home().join("trust.toml"), trust).unwrap();
    for (stream, counts) in [("lab/a", false), ("hq/a/b", false), ("hq/a", true)] {
        airlift.run(["sign", "u.tar", "--key", "alice.key", "--stream", stream]).success();
        let ran = verify(&airlift);
        if counts {
            assert_eq!(signers(&ran.success()), ["alice"], "{stream}");
        } else {
            refused(ran, "trust.signer");
        }
        for end in ["", ".sigstore.json"] {
            fs::remove_file(airlift.home().join(format!("u.tar.transfer.json{end}"))).unwrap();
        }
    }
}

#[tokio::test]
async fn a_link_and_a_huge_file_beside_the_bundle_are_not_read() {
    let airlift = site("").await;
    airlift.run(["sign", "u.tar", "--key", "alice.key"]).success();
    let statement = airlift.home().join("u.tar.transfer.json");
    let elsewhere = airlift.home().join("elsewhere");
    fs::rename(&statement, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &statement).unwrap();
    verify(&airlift).exits(4).says(&["trust.statement", "symbolic links"]);
    fs::remove_file(&statement).unwrap();
    fs::File::create(&statement).unwrap().set_len(1 << 30).unwrap();
    verify(&airlift).exits(4).says(&["trust.statement", "1073741824 bytes"]);
}

#[tokio::test]
async fn damaged_content_comes_before_who_vouches_for_it() {
    let airlift = site("").await;
    airlift.run(["sign", "u.tar", "--key", "alice.key"]).success();
    let path = airlift.home().join("u.tar");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 2000;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let ran = verify(&airlift).exits(4).says(&["bundle.digest-mismatch"]);
    assert_eq!(signers(&ran), ["alice"]);
}

#[tokio::test]
async fn expiry_and_age_are_held_against_the_clock() {
    let airlift = site("max_age = '30d'").await;
    airlift.run(["sign", "u.tar", "--key", "alice.key", "--expires", "2020-01-01"]).exits(2).says(&["expires"]);
    airlift.run(["sign", "u.tar", "--key", "alice.key", "--expires", "soon"]).exits(2).says(&["2026-12-31"]);
    // A statement of last year, as a slow courier brings it.
    let ran = airlift.run(["sign", "u.tar", "--statement-only"]).success();
    assert_eq!(ran.stdout, format!("{}\n", "u.tar.transfer.json"));
    let path = airlift.home().join("u.tar.transfer.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"created\":\"").unwrap() + "\"created\":\"".len();
    let old = format!("{}2020-01-01T00:00:00Z{}", &text[..at], &text[at + 20..]);
    fs::write(&path, &old).unwrap();
    airlift.run(["sign", "u.tar", "--key", "alice.key"]).success();
    let said = airlift.run(["verify", "u.tar", "--trust", "trust.toml"]).success().stdout;
    assert!(said.contains("[warning] the statement is") && said.contains("max_age is 30 d"), "{said}");
    let trust = airlift.home().join("trust.toml");
    let head = fs::read_to_string(&trust).unwrap();
    fs::write(&trust, format!("enforce = true\n{head}")).unwrap();
    refused(verify(&airlift), "trust.expired");

    let expired = old.replace("\"version\"", "\"expires\":\"2020-02-01T00:00:00Z\",\"version\"");
    fs::write(&path, expired).unwrap();
    fs::write(&trust, head).unwrap();
    fs::remove_file(airlift.home().join("u.tar.transfer.json.sigstore.json")).unwrap();
    airlift.run(["sign", "u.tar", "--key", "alice.key"]).success();
    refused(verify(&airlift), "trust.expired");
}

#[tokio::test]
async fn a_statement_is_kept_unless_it_is_contradicted() {
    let airlift = site("").await;
    let members = ["sign", "u.tar", "--key", "alice.key", "--authorised-by", "A. Ops", "--reason", "monthly"];
    airlift.run(members).success();
    let other = airlift.run(["sign", "u.tar", "--key", "bob.key", "--reason", "weekly"]);
    other.exits(1).says(&["output.exists", "delete this one and its signatures"]);
    airlift.run(["sign", "u.tar", "--key", "bob.key", "--sequence", "3"]).exits(2).says(&["--stream"]);
    let shown = airlift.run(["inspect", "u.tar"]).success().stdout;
    for part in ["authorised by A. Ops", "for monthly", "sigstore bundle: the key with the hint", "not checked"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let json = airlift.json(["inspect", "u.tar", "--json"]);
    assert_eq!(json["statement"]["bundle"]["id"], json["bundle"]);
    assert_eq!(json["signatures"][0]["file"], "u.tar.transfer.json.sigstore.json");
}

#[test]
fn a_trust_file_that_cannot_be_used_is_the_persons_own_mistake() {
    let airlift = Airlift::new();
    let path = airlift.home().join("trust.toml");
    for (text, expected) in [
        ("require = 1\n", "0 signers"),
        ("[[signer]]\nname = 'a'\nkey = 'gone.pub'\n", "gone.pub does not exist"),
        ("[[signer]]\nname = 'a'\nkeys = 'a.pub'\n", "unknown field"),
    ] {
        fs::write(&path, text).unwrap();
        airlift.run(["verify", "u.tar", "--trust", "trust.toml"]).exits(2).says(&["usage.file", expected]);
    }
}

#[test]
fn a_set_of_volumes_has_one_statement() {
    needs!("docker-registry");
    let (_registry, references) = crate::volumes::source();
    let airlift = crate::volumes::exported(&references);
    airlift.run(["keygen", "-o", "alice"]).success();
    fs::write(airlift.home().join("trust.toml"), "[[signer]]\nname = 'alice'\nkey = 'alice.pub'\n").unwrap();
    let signed = airlift.json(["sign", "set", "--key", "alice.key", "--json"]);
    assert_eq!(signed["statement"], "set/release.transfer.json");
    let text = fs::read(airlift.home().join("set/release.transfer.json")).unwrap();
    let statement: Value = serde_json::from_slice(&text).unwrap();
    let volumes = statement["volumes"].as_array().unwrap();
    let sums = fs::read_to_string(airlift.home().join("set/SHA256SUMS")).unwrap();
    assert_eq!(volumes.len(), 4);
    for volume in volumes {
        let line = format!("{}  {}\n", volume["sha256"].as_str().unwrap(), volume["name"].as_str().unwrap());
        assert!(sums.contains(&line), "{line}");
    }
    // By the folder, by the manifest, and by any volume.
    for place in ["set", "set/release.set.json", "set/release.vol003.tar"] {
        airlift.run(["verify", place, "--trust", "trust.toml"]).success();
    }
    fs::remove_file(airlift.home().join("set/release.vol002.tar")).unwrap();
    airlift.run(["verify", "set", "--trust", "trust.toml"]).exits(4).says(&["bundle.volume-missing"]);
}
