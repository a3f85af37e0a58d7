use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use super::*;
use crate::trust::key::Password;

const STATEMENT: &[u8] = b"{\"version\":1}";

fn run(command: &mut Command) -> std::process::Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn keygen(path: &Path, kind: &[&str], password: &str) -> SshKey {
    run(Command::new("ssh-keygen").args(["-q", "-C", "", "-N", password, "-f"]).arg(path).arg("-t").args(kind));
    fs::read_to_string(path.with_extension("pub")).unwrap().parse().unwrap()
}

#[test]
fn ssh_keygen_and_we_read_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let statement = folder.path().join("s");
    fs::write(&statement, STATEMENT).unwrap();
    for (name, kind, password) in [
        ("a", ["ed25519"].as_slice(), ""),
        ("b", &["ecdsa", "-b", "256"], ""),
        ("c", &["ecdsa", "-b", "384"], "secret"),
    ] {
        let path = folder.path().join(name);
        let key = keygen(&path, kind, password);
        let private = SshPrivateKey::open(&path, || Some(Password::new(password.to_owned()))).unwrap();
        let ours = private.sign(STATEMENT).unwrap();
        assert_eq!(private.public(), key);
        assert!(matches!(SshSignature::parse(&ours).unwrap().check(STATEMENT, &key), Judgement::Valid));
        verify_by_ssh_keygen(&path, &ours);
        if password.is_empty() {
            run(Command::new("ssh-keygen").args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(&path).arg(&statement));
            let theirs = fs::read(folder.path().join("s.sig")).unwrap();
            fs::remove_file(folder.path().join("s.sig")).unwrap();
            assert!(matches!(SshSignature::parse(&theirs).unwrap().check(STATEMENT, &key), Judgement::Valid));
        } else {
            assert!(matches!(SshPrivateKey::open(&path, || None), Err(KeyError::PasswordNeeded)));
            let wrong = SshPrivateKey::open(&path, || Some(Password::new("wrong".to_owned())));
            assert!(matches!(wrong, Err(KeyError::WrongPassword)));
        }
    }
}

fn verify_by_ssh_keygen(key: &Path, signature: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let (signers, file) = (folder.path().join("signers"), folder.path().join("sig"));
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(&signers, format!("ops {public}")).unwrap();
    fs::write(&file, signature).unwrap();
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", NAMESPACE, "-I", "ops", "-f"])
        .arg(&signers)
        .arg("-s")
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(STATEMENT).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_signature_counts_for_its_key_statement_and_namespace_only() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    let (key, stranger) = (keygen(&path, &["ed25519"], ""), keygen(&other, &["ed25519"], ""));
    let signed = SshPrivateKey::open(&path, || None).unwrap().sign(STATEMENT).unwrap();
    let signature = SshSignature::parse(&signed).unwrap();
    assert!(matches!(signature.check(STATEMENT, &stranger), Judgement::Stranger));
    assert!(matches!(signature.check(b"{}", &key), Judgement::Wrong(SignatureError::Wrong)));

    let statement = folder.path().join("s");
    fs::write(&statement, STATEMENT).unwrap();
    run(Command::new("ssh-keygen").args(["-Y", "sign", "-n", "file", "-f"]).arg(&path).arg(&statement));
    let error = SshSignature::parse(&fs::read(folder.path().join("s.sig")).unwrap()).unwrap_err();
    assert_eq!(error, SignatureError::Namespace { found: "file".to_owned() });
}

#[test]
fn a_strangers_signature_under_a_trusted_key_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a"), folder.path().join("b"));
    let key = keygen(&path, &["ed25519"], "");
    keygen(&other, &["ed25519"], "");
    let signed = SshPrivateKey::open(&other, || None).unwrap().sign(STATEMENT).unwrap();
    let theirs = SshSig::from_pem(&signed).unwrap();
    let forged = SshSig::new(key.0.clone(), NAMESPACE, theirs.hash_alg(), theirs.signature().clone()).unwrap();
    assert!(matches!(SshSignature(forged).check(STATEMENT, &key), Judgement::Wrong(SignatureError::Wrong)));
}

#[test]
fn an_agent_signs_with_every_kind_of_key() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent");
    let mut agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::piped()).spawn().unwrap();
    // The agent prints its address when it listens.
    std::io::Read::read_exact(agent.stdout.as_mut().unwrap(), &mut [0; 1]).unwrap();
    let check = || {
        for (name, kind) in [("a", ["ed25519"].as_slice()), ("b", &["ecdsa"]), ("c", &["rsa", "-b", "2048"])] {
            let path = folder.path().join(name);
            let key = keygen(&path, kind, "");
            run(Command::new("ssh-add").arg("-q").arg(&path).env("SSH_AUTH_SOCK", &socket));
            let mut agent = Agent::connect(&socket).unwrap();
            assert!(agent.keys().unwrap().iter().any(|(one, _)| *one == key));
            let signed = sign_with_agent(&mut agent, &key, STATEMENT).unwrap();
            assert!(matches!(SshSignature::parse(&signed).unwrap().check(STATEMENT, &key), Judgement::Valid), "{name}");
            verify_by_ssh_keygen(&path, &signed);
        }
        let absent = keygen(&folder.path().join("d"), &["ed25519"], "");
        let error = sign_with_agent(&mut Agent::connect(&socket).unwrap(), &absent, STATEMENT).unwrap_err();
        assert!(error.to_string().contains("ssh-add -l"), "{error}");
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
    agent.kill().unwrap();
    agent.wait().unwrap();
    outcome.unwrap();
}

/// A token's signature, made by hand: the hash of its application, flags, counter, the hash of the message.
fn by_token(flags: u8, application: &str) -> (SshKey, SshSignature) {
    use aws_lc_rs::{
        digest::{SHA256, digest},
        signature::{Ed25519KeyPair, KeyPair as _},
    };
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
    let key = KeyData::SkEd25519(ssh_key::public::SkEd25519::new(ssh_key::public::Ed25519PublicKey(public), "ssh:"));
    let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, STATEMENT).unwrap();
    let trailer = [flags, 0, 0, 0, 9];
    let (application, message) = (digest(&SHA256, application.as_bytes()), digest(&SHA256, &message));
    let signed = [application.as_ref(), &trailer, message.as_ref()].concat();
    let bytes = [pair.sign(&signed).as_ref(), &trailer].concat();
    let signature = ssh_key::Signature::new(Algorithm::SkEd25519, bytes).unwrap();
    (SshKey(key.clone()), SshSignature(SshSig::new(key, NAMESPACE, HashAlg::Sha512, signature).unwrap()))
}

#[test]
fn a_token_must_have_been_touched() {
    let (key, signature) = by_token(1, "ssh:");
    assert!(matches!(signature.check(STATEMENT, &key), Judgement::Valid));
    let (key, signature) = by_token(0, "ssh:");
    assert!(matches!(signature.check(STATEMENT, &key), Judgement::Wrong(SignatureError::NoTouch)));
    let (key, signature) = by_token(1, "https://other.example");
    assert!(matches!(signature.check(STATEMENT, &key), Judgement::Wrong(SignatureError::Wrong)));
}

#[test]
fn keys_that_are_too_weak_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weak");
    run(Command::new("ssh-keygen").args(["-q", "-N", "", "-t", "rsa", "-b", "1024", "-f"]).arg(&path));
    let line = fs::read_to_string(path.with_extension("pub")).unwrap();
    assert!(matches!(line.parse::<SshKey>(), Err(KeyError::Algorithm { .. })));
}
