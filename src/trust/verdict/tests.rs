use std::{fmt::Write as _, path::Path};

use super::*;
use crate::{
    oci::Digest,
    trust::{
        BundleIdentity,
        key::SigningKey,
        signature::{minisign, sigstore},
    },
};

fn now() -> Timestamp {
    "2026-11-29T08:00:00Z".parse().unwrap()
}

fn bundle(text: &str) -> BundleIdentity {
    BundleIdentity { id: Digest::sha256(b"id"), seal: Digest::sha256(text.as_bytes()), size: 10240 }
}

fn at_hand(text: &str) -> BundleAtHand {
    let BundleIdentity { id, seal, size } = bundle(text);
    BundleAtHand { id, seal, size: Some(size) }
}

fn statement() -> Statement {
    let mut statement = Statement::new(bundle("a"), now());
    (statement.stream, statement.sequence) = (Some("hq/site-7".to_owned()), Some(12));
    statement
}

/// A trust file with the keys of `signers`, one each, and more lines for each.
struct Site {
    keys: Vec<SigningKey>,
    trust: TrustFile,
}

impl Site {
    fn new(head: &str, lines: &[&str]) -> Self {
        let keys: Vec<_> = lines.iter().map(|_| SigningKey::generate().unwrap()).collect();
        let mut text = format!("{head}\n");
        for (number, line) in lines.iter().enumerate() {
            writeln!(text, "[[signer]]\nname = 's{number}'\nkey = '{number}'\n{line}").unwrap();
        }
        let pem = |path: &Path| {
            let number: usize = path.to_str().unwrap().parse().unwrap();
            Ok(keys[number].public().to_pem().unwrap().into_bytes())
        };
        let trust = TrustFile::parse(text.as_bytes(), pem).unwrap();
        Self { keys, trust }
    }

    fn signed(&self, statement: &Statement, signers: &[usize]) -> Evidence {
        let bytes = statement.to_json().unwrap();
        let file = |(at, number): (usize, &usize)| SignatureFile {
            name: format!("{at}.sigstore.json"),
            format: SignatureFormat::Sigstore,
            content: Ok(sigstore::sign(&bytes, &self.keys[*number]).unwrap()),
        };
        let signatures = signers.iter().enumerate().map(file).collect();
        Evidence { statement: Some(bytes), signatures, more: false }
    }

    fn refusal(&self, evidence: &Evidence) -> Option<Code> {
        self.trust.verify(evidence, &at_hand("a"), now()).refusal()
    }
}

#[test]
fn m_of_n_distinct_signers_are_counted() {
    let site = Site::new("require = 2", &["", "", ""]);
    let verdict = site.trust.verify(&site.signed(&statement(), &[2, 0]), &at_hand("a"), now());
    assert!(verdict.is_accepted(), "{verdict:?}");
    assert_eq!(verdict.signers, ["s0", "s2"]);
    for few in [&[0][..], &[1, 1]] {
        let verdict = site.trust.verify(&site.signed(&statement(), few), &at_hand("a"), now());
        assert_eq!(verdict.refusal(), Some(Code::TrustSigner), "{few:?}");
        assert_eq!(verdict.signers.len(), 1);
    }
}

#[test]
fn a_signer_with_two_keys_counts_once() {
    let site = Site::new(
        "require = 2",
        &["", "ssh = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f'"],
    );
    let text = include_str!("../signature/fixtures/minisign-plain.pub");
    let trust = format!(
        "require = 2\n[[signer]]\nname = 'a'\nkey = '0'\nminisign = '{}'\n[[signer]]\nname = 'b'\nkey = '1'\n",
        text.lines().nth(1).unwrap()
    );
    let pem = |path: &Path| {
        Ok(site.keys[path.to_str().unwrap().parse::<usize>().unwrap()].public().to_pem().unwrap().into_bytes())
    };
    let trust = TrustFile::parse(trust.as_bytes(), pem).unwrap();
    let mut evidence = site.signed(&statement(), &[0]);
    let key = include_bytes!("../signature/fixtures/minisign-plain.key");
    let secret = minisign::MinisignSecret::parse(key, || None).unwrap();
    let content = secret.sign(evidence.statement.as_ref().unwrap()).unwrap();
    evidence.signatures.push(SignatureFile {
        name: "x.minisig".to_owned(),
        format: SignatureFormat::Minisign,
        content: Ok(content),
    });
    let verdict = trust.verify(&evidence, &at_hand("a"), now());
    assert_eq!((verdict.refusal(), verdict.signers.as_slice()), (Some(Code::TrustSigner), ["a".to_owned()].as_slice()));
}

#[test]
fn what_is_missing_is_unsigned() {
    let site = Site::new("", &[""]);
    assert_eq!(site.refusal(&Evidence::default()), Some(Code::TrustUnsigned));
    assert_eq!(site.refusal(&site.signed(&statement(), &[])), Some(Code::TrustUnsigned));
}

#[test]
fn strangers_and_wrong_signatures_have_their_own_tokens() {
    let (site, other) = (Site::new("", &[""]), Site::new("", &[""]));
    assert_eq!(site.refusal(&other.signed(&statement(), &[0])), Some(Code::TrustSigner));
    let mut moved = site.signed(&statement(), &[0]);
    let mut second = statement();
    second.sequence = Some(13);
    moved.statement = Some(second.to_json().unwrap());
    assert_eq!(site.refusal(&moved), Some(Code::TrustSignature));
    let mut rubbish = site.signed(&statement(), &[0]);
    rubbish.signatures[0].content = Ok(b"rubbish".to_vec());
    assert_eq!(site.refusal(&rubbish), Some(Code::TrustSignature));
}

#[test]
fn a_bad_signature_takes_nothing_away_from_a_good_one() {
    let (site, other) = (Site::new("", &[""]), Site::new("", &[""]));
    let mut evidence = site.signed(&statement(), &[0]);
    evidence.signatures.extend(other.signed(&statement(), &[0]).signatures);
    let rubbish =
        SignatureFile { name: "r.sig".to_owned(), format: SignatureFormat::Ssh, content: Ok(b"rubbish".to_vec()) };
    evidence.signatures.push(rubbish);
    let verdict = site.trust.verify(&evidence, &at_hand("a"), now());
    assert!(verdict.is_accepted());
    assert_eq!(verdict.findings.len(), 2, "{verdict:?}");
}

#[test]
fn a_statement_must_be_of_this_bundle_and_canonical() {
    let site = Site::new("", &[""]);
    let evidence = site.signed(&statement(), &[0]);
    let verdict = site.trust.verify(&evidence, &at_hand("b"), now());
    assert_eq!((verdict.refusal(), verdict.signers.len()), (Some(Code::TrustStatement), 1));
    let json = String::from_utf8(statement().to_json().unwrap()).unwrap();
    for changed in [
        json.replace("\"sequence\":12", "\"sequence\":12,\"sequence\":13"),
        format!("{json}\n"),
        json.replace("\"version\":1", "\"version\":2"),
    ] {
        let bytes = changed.into_bytes();
        let mut evidence = site.signed(&statement(), &[0]);
        evidence.signatures[0].content = Ok(sigstore::sign(&bytes, &site.keys[0]).unwrap());
        evidence.statement = Some(bytes);
        assert_eq!(site.refusal(&evidence), Some(Code::TrustStatement));
    }
}

#[test]
fn streams_restrict_their_signer() {
    let site = Site::new("", &["streams = ['hq/*']"]);
    assert_eq!(site.refusal(&site.signed(&statement(), &[0])), None);
    let mut other = statement();
    other.stream = Some("lab/site-7".to_owned());
    assert_eq!(site.refusal(&site.signed(&other, &[0])), Some(Code::TrustSigner));
    (other.stream, other.sequence) = (None, None);
    assert_eq!(site.refusal(&site.signed(&other, &[0])), Some(Code::TrustSigner));
}

#[test]
fn age_warns_and_refuses_where_it_is_enforced() {
    let at = |time: &str| {
        let mut statement = statement();
        statement.created = time.parse().unwrap();
        statement
    };
    for (head, created, findings, refusal) in [
        ("max_age = '30d'", "2026-10-30T08:00:00Z", 0, None),
        ("max_age = '30d'", "2026-10-30T07:59:59Z", 1, None),
        ("max_age = '30d'\nenforce = true", "2026-10-30T07:59:59Z", 1, Some(Code::TrustExpired)),
        ("max_age = '30d'", "2027-01-01T00:00:00Z", 1, None),
        ("max_age = '30d'\nenforce = true", "2027-01-01T00:00:00Z", 1, Some(Code::TrustExpired)),
        ("enforce = true", "2026-11-30T07:00:00Z", 0, None),
    ] {
        let site = Site::new(head, &[""]);
        let verdict = site.trust.verify(&site.signed(&at(created), &[0]), &at_hand("a"), now());
        assert_eq!((verdict.findings.len(), verdict.refusal()), (findings, refusal), "{head} {created}");
    }
}

#[test]
fn an_expired_statement_is_refused() {
    let site = Site::new("", &[""]);
    let mut statement = Statement::new(bundle("a"), "2026-01-01T00:00:00Z".parse().unwrap());
    statement.expires = Some(now());
    assert_eq!(site.refusal(&site.signed(&statement, &[0])), None);
    statement.expires = Some("2026-11-29T07:59:59Z".parse().unwrap());
    assert_eq!(site.refusal(&site.signed(&statement, &[0])), Some(Code::TrustExpired));
}

#[test]
fn all_findings_are_collected() {
    let (site, other) = (Site::new("require = 2\nmax_age = '1d'", &["streams = ['x']", "", ""]), Site::new("", &[""]));
    let mut statement = Statement::new(bundle("b"), "2026-01-01T00:00:00Z".parse().unwrap());
    statement.expires = Some("2026-02-01T00:00:00Z".parse().unwrap());
    let mut evidence = site.signed(&statement, &[0, 1]);
    evidence.signatures.extend(other.signed(&statement, &[0]).signatures);
    let verdict = site.trust.verify(&evidence, &at_hand("a"), now());
    let codes: Vec<_> = verdict.findings.iter().map(TrustFinding::code).collect();
    let (signer, expired) = (Some(Code::TrustSigner), Some(Code::TrustExpired));
    assert_eq!(codes, [Some(Code::TrustStatement), expired, None, signer, signer, signer], "{verdict:?}");
}
