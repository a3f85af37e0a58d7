//! Signatures over the bytes of a statement (docs/statement-format.md, *Signatures*).
//!
//! Parsing trusts nothing. Whether a signature counts is answered for one trusted credential at a time: the same type
//! for each form, an [`Judgement`].

mod certificate;
pub mod cms;
mod error;
pub mod minisign;
pub mod sigstore;
pub mod ssh;

use std::fmt;

use jiff::Timestamp;

pub use certificate::{Authority, SubjectRule};
pub use error::{CertificateProblem, SignatureError};

use super::key::PublicKey;

/// A form of signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureFormat {
    /// A sigstore bundle with a message signature.
    Sigstore,
    /// An SSH signature.
    Ssh,
    /// A detached CMS signature.
    Cms,
    /// A minisign signature.
    Minisign,
}

impl SignatureFormat {
    /// Every form.
    pub const ALL: [Self; 4] = [Self::Sigstore, Self::Ssh, Self::Cms, Self::Minisign];

    /// How its files end.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Sigstore => ".sigstore.json",
            Self::Ssh => ".sig",
            Self::Cms => ".p7s",
            Self::Minisign => ".minisig",
        }
    }

    /// The form of `content`, by how it begins; for files of any name.
    pub fn detect(content: &[u8]) -> Option<Self> {
        let text = content.trim_ascii_start();
        if text.starts_with(b"{") {
            Some(Self::Sigstore)
        } else if text.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
            Some(Self::Ssh)
        } else if text.starts_with(b"untrusted comment:") {
            Some(Self::Minisign)
        } else if text.starts_with(b"-----BEGIN ") || content.starts_with(&[0x30]) {
            Some(Self::Cms)
        } else {
            None
        }
    }
}

impl fmt::Display for SignatureFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sigstore => "sigstore bundle",
            Self::Ssh => "SSH signature",
            Self::Cms => "CMS signature",
            Self::Minisign => "minisign signature",
        })
    }
}

/// What makes a signature somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerCredential {
    /// A public key, for sigstore bundles.
    Key(PublicKey),
    /// An SSH public key.
    Ssh(ssh::SshKey),
    /// A minisign public key.
    Minisign(minisign::MinisignKey),
    /// A certificate of an authority with a subject.
    Certificate {
        /// The authority.
        authority: Authority,
        /// Whose certificate.
        subject: SubjectRule,
    },
}

/// What a signature says to one credential.
#[derive(Debug)]
#[non_exhaustive]
pub enum Judgement {
    /// It is this credential's, over this statement.
    Valid,
    /// It claims to be this credential's, and is not good.
    Wrong(SignatureError),
    /// It is of somebody else.
    Stranger,
}

/// One signature. A CMS file has several if several people signed in it.
#[derive(Debug)]
pub enum Signature {
    /// A sigstore bundle.
    Sigstore(sigstore::MessageSignature),
    /// An SSH signature.
    Ssh(ssh::SshSignature),
    /// One signer of a CMS file.
    Cms(Box<cms::CmsSignature>),
    /// A minisign signature.
    Minisign(minisign::MinisignSignature),
}

impl Signature {
    /// The signatures in the file `content` of a form: one, or of CMS at least one.
    pub fn parse(format: SignatureFormat, content: &[u8]) -> Result<Vec<Self>, SignatureError> {
        Ok(match format {
            SignatureFormat::Sigstore => vec![Self::Sigstore(sigstore::MessageSignature::parse(content)?)],
            SignatureFormat::Ssh => vec![Self::Ssh(ssh::SshSignature::parse(content)?)],
            SignatureFormat::Cms => {
                cms::CmsSignature::parse(content)?.into_iter().map(|one| Self::Cms(Box::new(one))).collect()
            }
            SignatureFormat::Minisign => vec![Self::Minisign(minisign::MinisignSignature::parse(content)?)],
        })
    }

    /// Whether it is a valid signature of `credential` over the bytes of a statement at the time `now`.
    pub fn check(&self, statement: &[u8], credential: &SignerCredential, now: Timestamp) -> Judgement {
        match (self, credential) {
            (Self::Sigstore(signature), SignerCredential::Key(key)) => signature.check(statement, key),
            (Self::Ssh(signature), SignerCredential::Ssh(key)) => signature.check(statement, key),
            (Self::Minisign(signature), SignerCredential::Minisign(key)) => signature.check(statement, key),
            (Self::Cms(signature), SignerCredential::Certificate { authority, subject }) => {
                signature.check(statement, authority, subject, now)
            }
            _ => Judgement::Stranger,
        }
    }

    /// Whether it can be over `statement`, as far as that is known without its signer.
    pub fn check_statement(&self, statement: &[u8]) -> Result<(), SignatureError> {
        match self {
            Self::Sigstore(signature) => signature.check_statement(statement),
            Self::Ssh(signature) => signature.check_statement(statement),
            Self::Cms(signature) => signature.check_statement(statement),
            Self::Minisign(_) => Ok(()),
        }
    }

    /// Who the signature says made it, for people; nothing follows from it.
    pub fn claim(&self) -> String {
        match self {
            Self::Sigstore(signature) => signature.claim(),
            Self::Ssh(signature) => signature.claim(),
            Self::Cms(signature) => signature.claim(),
            Self::Minisign(signature) => signature.claim(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATEMENT: &[u8] = b"{\"version\":1}";

    /// A signature of each form, with the credential that it is of.
    fn samples() -> Vec<(SignatureFormat, Vec<u8>, SignerCredential)> {
        let key = include_str!("fixtures/cosign-p256.pub").parse().unwrap();
        let minisign = include_str!("fixtures/minisign.pub").parse().unwrap();
        let ssh = include_str!("fixtures/ssh.pub").parse().unwrap();
        vec![
            (
                SignatureFormat::Sigstore,
                include_bytes!("fixtures/cosign-p256.sigstore.json").to_vec(),
                SignerCredential::Key(key),
            ),
            (
                SignatureFormat::Minisign,
                include_bytes!("fixtures/mini.minisig").to_vec(),
                SignerCredential::Minisign(minisign),
            ),
            (SignatureFormat::Ssh, include_bytes!("fixtures/ssh.sig").to_vec(), SignerCredential::Ssh(ssh)),
        ]
    }

    #[test]
    fn forms_are_told_apart_by_their_content() {
        for (format, content, credential) in samples() {
            assert_eq!(SignatureFormat::detect(&content), Some(format));
            let [signature] = Signature::parse(format, &content).unwrap().try_into().unwrap();
            assert!(matches!(signature.check(STATEMENT, &credential, Timestamp::UNIX_EPOCH), Judgement::Valid));
            for (other, ..) in samples().iter().filter(|(other, ..)| *other != format) {
                assert!(Signature::parse(*other, &content).is_err(), "{format} as {other}");
            }
        }
        assert_eq!(SignatureFormat::detect(&[0x30, 0x82]), Some(SignatureFormat::Cms));
        assert_eq!(SignatureFormat::detect(b"-----BEGIN PKCS7-----"), Some(SignatureFormat::Cms));
        assert_eq!(SignatureFormat::detect(b""), None);
    }

    #[test]
    fn a_credential_of_another_form_is_a_strangers() {
        for (format, content, _) in samples() {
            for (_, _, credential) in samples().iter().filter(|(other, ..)| *other != format) {
                let signature = &Signature::parse(format, &content).unwrap()[0];
                assert!(matches!(signature.check(STATEMENT, credential, Timestamp::UNIX_EPOCH), Judgement::Stranger));
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_file_never_panics_nor_is_of_other_bytes(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), short in any::<bool>(),
        ) {
            for (format, mut content, credential) in samples() {
                let at = at.index(content.len());
                content[at] = byte;
                if short {
                    content.truncate(cut.index(content.len()));
                }
                for signature in Signature::parse(format, &content).unwrap_or_default() {
                    drop(signature.claim());
                    drop(signature.check(STATEMENT, &credential, Timestamp::UNIX_EPOCH));
                    let other = signature.check(b"{\"version\":2}", &credential, Timestamp::UNIX_EPOCH);
                    prop_assert!(!matches!(other, Judgement::Valid));
                }
            }
        }

        #[test]
        fn no_bytes_make_a_parser_panic(content in prop::collection::vec(any::<u8>(), 0..300)) {
            for format in SignatureFormat::ALL {
                drop(Signature::parse(format, &content));
            }
        }
    }
}
