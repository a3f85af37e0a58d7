use proptest::prelude::*;

use super::*;
use crate::trust::key::SigningKey;

const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn parse(text: &str) -> Result<TrustFile, TrustFileError> {
    TrustFile::parse(text.as_bytes(), |path| Err(FileError::Missing { path: path.to_owned() }))
}

#[test]
fn every_member_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate().unwrap();
    file::create(&folder.path().join("alice.pub"), 0o644, key.public().to_pem().unwrap().as_bytes()).unwrap();
    file::create(&folder.path().join("bob.pub"), 0o644, format!("{SSH} bob@desk\n").as_bytes()).unwrap();
    let text = format!(
        "require = 2\nmax_age = '30d'\nenforce = true\n\
         [[signer]]\nname = 'alice'\nkey = 'alice.pub'\nssh = ['{}']\n\
         [[signer]]\nname = 'bob'\nssh = 'bob.pub'\nstreams = ['hq/*', 'lab/**']\n",
        SSH.replace("AAIA", "AAIB")
    );
    let path = folder.path().join("trust.toml");
    file::create(&path, 0o644, text.as_bytes()).unwrap();
    let trust = TrustFile::open(&path).unwrap();
    assert_eq!((trust.require(), trust.max_age(), trust.enforce()), (2, Some(SignedDuration::from_hours(720)), true));
    let [alice, bob] = trust.signers() else { panic!() };
    assert_eq!(alice.credentials().len(), 2);
    assert_eq!(bob.credentials(), [SignerCredential::Ssh(SSH.parse().unwrap())]);
    assert!(alice.may_sign(None) && alice.may_sign(Some("any/thing")));
    for (stream, allowed) in
        [("hq/site-7", true), ("hq/a/b", false), ("lab/a/b", true), ("hqx/a", false), ("lab", false)]
    {
        assert_eq!(bob.may_sign(Some(stream)), allowed, "{stream}");
    }
    assert!(!bob.may_sign(None));
}

#[test]
fn what_could_mean_less_than_it_says_is_refused() {
    let other = SSH.replace("AAIA", "AAIB");
    let alice = format!("[[signer]]\nname = 'alice'\nssh = '{SSH}'\n");
    let bob = format!("[[signer]]\nname = 'bob'\nssh = '{other}'\n");
    assert!(parse(&format!("{alice}{bob}")).is_ok());
    for (text, expected) in [
        (String::new(), "has 0 signers"),
        (format!("required = 2\n{alice}"), "unknown field"),
        (format!("{alice}stream = ['hq/*']\n"), "unknown field"),
        (format!("require = 0\n{alice}"), "requires 0 signers"),
        (format!("require = 2\n{alice}"), "requires 2 signers and has 1"),
        (format!("require = -1\n{alice}"), "malformed"),
        (format!("max_age = '30'\n{alice}"), "max_age"),
        (format!("max_age = '1 month'\n{alice}"), "max_age"),
        (format!("max_age = '-1d'\n{alice}"), "max_age"),
        (format!("{alice}{}", bob.replace("'bob'", "'alice'")), "two signers have the name"),
        (format!("{alice}{}", bob.replace(&other, &format!("{SSH} another comment"))), "have the same key"),
        ("[[signer]]\nname = 'alice'\n".to_owned(), "has none of key"),
        (format!("{alice}ca = 'ca.pem'\n"), "without the other"),
        (format!("{alice}subject = 'CN=A'\n"), "without the other"),
        (format!("{alice}key = 'gone.pub'\n"), "key of the signer \"alice\": gone.pub does not exist"),
        (format!("{alice}streams = ['hq/[']\n"), "streams of the signer"),
        (alice.replace("alice", ""), "not a signer's name"),
        (alice.replace("AAAAC3", "BAAAC3"), "ssh of the signer"),
        (format!("{alice}minisign = 'RWQ'\n"), "minisign of the signer"),
    ] {
        let error = parse(&text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}

#[test]
fn no_streams_are_not_all_streams() {
    let trust = parse(&format!("[[signer]]\nname = 'a'\nssh = '{SSH}'\nstreams = []\n")).unwrap();
    assert!(!trust.signers()[0].may_sign(Some("hq")) && !trust.signers()[0].may_sign(None));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(cut in 0usize..200, at in 0usize..200, byte in any::<u8>()) {
        let text = format!("require = 1\nmax_age = '30d'\n[[signer]]\nname = 'a'\nssh = '{SSH}'\nstreams = ['a/*']\n");
        let mut text = text.into_bytes();
        let at = at % text.len();
        text[at] = byte;
        text.truncate(cut);
        drop(TrustFile::parse(&text, |path| Err(FileError::Missing { path: path.to_owned() })));
    }
}
