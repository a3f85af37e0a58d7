use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::*;

const STATEMENT: &[u8] = b"{\"version\":1}";

/// Authorities and people of a test, made by openssl.
struct Pki(TempDir);

impl Pki {
    /// An authority `ca` in a new folder.
    fn new() -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        fs::write(pki.path("statement"), STATEMENT).unwrap();
        pki.authority("ca");
        pki
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn key(&self, name: &str, kind: &str) {
        self.openssl(&match kind {
            "rsa" => format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {name}.key"),
            curve => format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out {name}.key"),
        });
    }

    fn authority(&self, name: &str) {
        self.key(name, "P-256");
        self.openssl(&format!("req -x509 -key {name}.key -subj /CN=Authority -days 30 -out {name}.pem"));
    }

    /// A certificate with `extensions`, one a line, of the authority `issuer`.
    fn issue(&self, name: &str, kind: &str, subject: &str, issuer: &str, days: i32, extensions: &str) {
        self.key(name, kind);
        fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        self.openssl(&format!("req -new -key {name}.key -subj {subject} -utf8 -out {name}.csr"));
        let times = if days > 0 {
            format!("-days {days}")
        } else {
            // `x509 -req` counts days from today only; a time that is over is made by the small CA command.
            return self.issue_expired(name, issuer);
        };
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial {times} -extfile {name}.ext -out {name}.pem"
        ));
    }

    fn issue_expired(&self, name: &str, issuer: &str) {
        fs::write(self.path("index.txt"), "").unwrap();
        fs::write(
            self.path("ca.cnf"),
            "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n",
        )
        .unwrap();
        self.openssl(&format!(
            "ca -batch -config ca.cnf -cert {issuer}.pem -keyfile {issuer}.key -startdate 20200101000000Z -enddate 20200201000000Z -extfile {name}.ext -in {name}.csr -out {name}.pem"
        ));
    }

    fn sign(&self, signer: &str, more: &str) -> Vec<u8> {
        self.openssl(&format!(
            "cms -sign -binary -md sha256 -signer {signer}.pem -inkey {signer}.key -in statement -outform DER -out out.p7s{more}"
        ));
        fs::read(self.path("out.p7s")).unwrap()
    }

    fn authority_of(&self, name: &str) -> Authority {
        fs::read_to_string(self.path(&format!("{name}.pem"))).unwrap().parse().unwrap()
    }

    fn check(&self, content: &[u8], subject: &str) -> Judgement {
        check(content, &self.authority_of("ca"), subject)
    }
}

fn check(content: &[u8], authority: &Authority, subject: &str) -> Judgement {
    let signatures = CmsSignature::parse(content).unwrap();
    assert_eq!(signatures.len(), 1);
    signatures[0].check(STATEMENT, authority, &subject.parse().unwrap(), Timestamp::now())
}

fn problem(answer: Judgement) -> CertificateProblem {
    match answer {
        Judgement::Wrong(SignatureError::Certificate { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_openssl_signs_is_accepted() {
    let pki = Pki::new();
    for (name, kind) in [("a", "rsa"), ("b", "P-256"), ("c", "P-384"), ("d", "P-521")] {
        pki.issue(
            name,
            kind,
            "/O=Ops/CN=Alice",
            "ca",
            5,
            "extendedKeyUsage=emailProtection\nkeyUsage=digitalSignature",
        );
        for more in ["", " -keyid", " -noattr", " -nosmimecap", " -md sha512"] {
            let answer = pki.check(&pki.sign(name, more), "CN=Alice,O=Ops");
            assert!(matches!(answer, Judgement::Valid), "{kind}{more}: {answer:?}");
        }
    }
    let pss = pki.sign("a", " -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest");
    assert!(matches!(pki.check(&pss, "CN=Alice,O=Ops"), Judgement::Valid));
    let pem = pki.sign("b", " -outform PEM");
    assert!(pem.starts_with(b"-----BEGIN CMS-----"));
    assert!(matches!(pki.check(&pem, "CN=Alice,O=Ops"), Judgement::Valid));
}

#[test]
fn a_chain_through_an_intermediate_authority_is_built() {
    let pki = Pki::new();
    pki.issue("mid", "P-256", "/CN=Middle", "ca", 5, "basicConstraints=critical,CA:TRUE");
    pki.issue("a", "P-256", "/CN=Alice", "mid", 5, "subjectAltName=email:alice@ops.example");
    let with = pki.sign("a", " -certfile mid.pem");
    assert!(matches!(pki.check(&with, "CN=Alice"), Judgement::Valid));
    assert!(matches!(pki.check(&with, "alice@ops.example"), Judgement::Valid));
    assert!(matches!(pki.check(&with, "bob@ops.example"), Judgement::Stranger));
    assert!(matches!(pki.check(&pki.sign("a", ""), "CN=Alice"), Judgement::Stranger));
}

#[test]
fn another_authoritys_leaf_of_the_same_name_is_a_stranger() {
    let pki = Pki::new();
    pki.authority("evil");
    pki.issue("a", "P-256", "/CN=Alice", "evil", 5, "subjectKeyIdentifier=hash");
    // Both authorities have one name, and the certificate of the right one is in the file too.
    let answer = pki.check(&pki.sign("a", " -certfile ca.pem"), "CN=Alice");
    assert!(matches!(answer, Judgement::Stranger | Judgement::Wrong(_)), "{answer:?}");
    assert!(matches!(check(&pki.sign("a", ""), &pki.authority_of("evil"), "CN=Alice"), Judgement::Valid));
}

#[test]
fn what_openssl_makes_without_a_configuration_is_accepted() {
    let pki = Pki::new();
    // A certificate that signs itself is its own authority, and only its own.
    let own = pki.sign("ca", "");
    assert!(matches!(pki.check(&own, "CN=Authority"), Judgement::Valid));
    pki.authority("evil");
    let answer = pki.check(&pki.sign("evil", ""), "CN=Authority");
    assert!(!matches!(answer, Judgement::Valid), "{answer:?}");
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 40);
    let subject = "CN=Authority".parse().unwrap();
    let old = CmsSignature::parse(&own).unwrap()[0].check(STATEMENT, &pki.authority_of("ca"), &subject, later);
    assert_eq!(problem(old), CertificateProblem::Expired);
    // `x509 -req` without extensions gives a certificate of version 1.
    for kind in ["rsa", "P-256"] {
        pki.key("old", kind);
        pki.openssl("req -new -key old.key -subj /CN=Alice -out old.csr");
        pki.openssl("x509 -req -in old.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 5 -out old.pem");
        let signed = pki.sign("old", "");
        assert!(matches!(pki.check(&signed, "CN=Alice"), Judgement::Valid), "{kind}");
        assert!(matches!(check(&signed, &pki.authority_of("evil"), "CN=Alice"), Judgement::Stranger), "{kind}");
    }
    // Such a certificate issues no others.
    pki.issue("a", "P-256", "/CN=Alice", "old", 5, "subjectKeyIdentifier=hash");
    let answer = pki.check(&pki.sign("a", " -certfile old.pem"), "CN=Alice");
    assert!(!matches!(answer, Judgement::Valid), "{answer:?}");
}

#[test]
fn a_leaf_issues_no_certificates() {
    let pki = Pki::new();
    pki.issue("leaf", "P-256", "/CN=Leaf", "ca", 5, "basicConstraints=critical,CA:FALSE");
    pki.issue("a", "P-256", "/CN=Alice", "leaf", 5, "subjectKeyIdentifier=hash");
    let answer = pki.check(&pki.sign("a", " -certfile leaf.pem"), "CN=Alice");
    assert!(!matches!(answer, Judgement::Valid), "{answer:?}");
}

#[test]
fn a_certificate_must_be_in_its_time_and_for_signatures() {
    let pki = Pki::new();
    pki.issue("old", "P-256", "/CN=Alice", "ca", -1, "subjectKeyIdentifier=hash");
    assert_eq!(problem(pki.check(&pki.sign("old", ""), "CN=Alice")), CertificateProblem::Expired);
    pki.issue("tls", "P-256", "/CN=Alice", "ca", 5, "extendedKeyUsage=serverAuth");
    assert_eq!(problem(pki.check(&pki.sign("tls", ""), "CN=Alice")), CertificateProblem::Usage);
    pki.issue("ka", "P-256", "/CN=Alice", "ca", 5, "keyUsage=keyAgreement");
    assert_eq!(problem(pki.check(&pki.sign("ka", ""), "CN=Alice")), CertificateProblem::Usage);
    pki.issue("good", "P-256", "/CN=Alice", "ca", 5, "extendedKeyUsage=serverAuth,1.3.6.1.5.5.7.3.36");
    let signed = pki.sign("good", "");
    assert!(matches!(pki.check(&signed, "CN=Alice"), Judgement::Valid));
    let signature = &CmsSignature::parse(&signed).unwrap()[0];
    let (authority, subject) = (pki.authority_of("ca"), "CN=Alice".parse().unwrap());
    for (time, expected) in [
        ("2020-01-01T00:00:00Z", CertificateProblem::NotYetValid),
        ("2099-01-01T00:00:00Z", CertificateProblem::Expired),
    ] {
        assert_eq!(problem(signature.check(STATEMENT, &authority, &subject, time.parse().unwrap())), expected);
    }
}

#[test]
fn a_name_is_compared_whole() {
    let pki = Pki::new();
    pki.issue("a", "P-256", "/O=Ops/CN=Alice,O=Ops", "ca", 5, "subjectKeyIdentifier=hash");
    let signed = pki.sign("a", "");
    for stranger in ["CN=Alice,O=Ops", "CN=Alice", "O=Ops", "CN=Alice,O=Ops,O=Ops", "O=Ops,CN=Alice\\,O=Ops"] {
        assert!(matches!(pki.check(&signed, stranger), Judgement::Stranger), "{stranger}");
    }
    assert!(matches!(pki.check(&signed, "CN=Alice\\,O=Ops,O=Ops"), Judgement::Valid));
}

#[test]
fn content_that_is_another_or_inside_is_refused() {
    let pki = Pki::new();
    pki.issue("a", "P-256", "/CN=Alice", "ca", 5, "subjectKeyIdentifier=hash");
    for more in ["", " -noattr"] {
        let signed = pki.sign("a", more);
        let signature = &CmsSignature::parse(&signed).unwrap()[0];
        let subject = "CN=Alice".parse().unwrap();
        let answer = signature.check(b"{}", &pki.authority_of("ca"), &subject, Timestamp::now());
        assert!(matches!(answer, Judgement::Wrong(SignatureError::OtherFile | SignatureError::Wrong)), "{answer:?}");
    }
    assert_eq!(CmsSignature::parse(&pki.sign("a", " -nodetach")).unwrap_err(), SignatureError::Attached);
    let without = pki.sign("a", " -nocerts");
    assert!(matches!(pki.check(&without, "CN=Alice"), Judgement::Stranger));
    assert!(CmsSignature::parse(&without).unwrap()[0].claim().contains("not in the file"));
}

#[test]
fn two_people_may_sign_in_one_file() {
    let pki = Pki::new();
    pki.issue("a", "P-256", "/CN=Alice", "ca", 5, "subjectKeyIdentifier=hash");
    pki.issue("b", "rsa", "/CN=Bob", "ca", 5, "subjectKeyIdentifier=hash");
    let signed = pki.sign("a", " -signer b.pem -inkey b.key");
    let signatures = CmsSignature::parse(&signed).unwrap();
    for subject in ["CN=Alice", "CN=Bob"] {
        let subject: SubjectRule = subject.parse().unwrap();
        let check = |one: &CmsSignature| one.check(STATEMENT, &pki.authority_of("ca"), &subject, Timestamp::now());
        let valid = signatures.iter().filter(|one| matches!(check(one), Judgement::Valid)).count();
        assert_eq!(valid, 1, "{subject:?}");
    }
}

#[test]
fn damage_is_refused_and_never_panics() {
    let pki = Pki::new();
    pki.issue("a", "P-256", "/CN=Alice", "ca", 5, "subjectKeyIdentifier=hash");
    let signed = pki.sign("a", "");
    let (authority, subject) = (pki.authority_of("ca"), "CN=Alice".parse::<SubjectRule>().unwrap());
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        drop(CmsSignature::parse(&signed[..at]).map(|_| panic!("cut at {at}")));
        for one in CmsSignature::parse(&changed).unwrap_or_default() {
            // Unsigned parts may change (a certificate's place in the set, the version); what is valid is still signed.
            drop(one.check(STATEMENT, &authority, &subject, Timestamp::now()));
            assert!(!matches!(one.check(b"{}", &authority, &subject, Timestamp::now()), Judgement::Valid));
        }
    }
    assert!(Path::new(&pki.path("out.p7s")).exists());
}
