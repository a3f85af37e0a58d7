//! Detached CMS signatures (RFC 5652), checked against an authority and a subject.

use std::sync::Arc;

use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Decode as _, Encode as _,
    asn1::{ObjectIdentifier, OctetStringRef},
};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::aws_lc_rs as algorithms;
use x509_cert::{Certificate, ext::pkix::SubjectKeyIdentifier};

use super::{Authority, CertificateProblem, Judgement, SignatureError, SignatureFormat, SubjectRule, certificate};

/// Signers in one file.
const MAX_SIGNERS: usize = 16;

/// Certificates in one file.
const MAX_CERTIFICATES: usize = 32;

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

type Algorithms = Vec<&'static dyn SignatureVerificationAlgorithm>;

/// The digest of a statement and what it is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    fn of(oid: ObjectIdentifier) -> Option<Self> {
        match oid {
            SHA256 => Some(Self::Sha256),
            SHA384 => Some(Self::Sha384),
            SHA512 => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(content).to_vec(),
            Self::Sha384 => Sha384::digest(content).to_vec(),
            Self::Sha512 => Sha512::digest(content).to_vec(),
        }
    }
}

/// One signer of a CMS file, with the certificates of all.
#[derive(Debug)]
pub struct CmsSignature {
    info: SignerInfo,
    /// The signer's own certificate, if it is in the file.
    leaf: Option<Certificate>,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl CmsSignature {
    /// Reads a file in DER or PEM: each of its signers.
    pub fn parse(content: &[u8]) -> Result<Vec<Self>, SignatureError> {
        let malformed = |reason: String| SignatureError::Malformed { format: SignatureFormat::Cms, reason };
        let der = |error: der::Error| malformed(error.to_string());
        let bytes = if content.trim_ascii_start().starts_with(b"-----BEGIN ") {
            unarmoured(content)?
        } else {
            content.to_vec()
        };
        let info = ContentInfo::from_der(&bytes).map_err(der)?;
        if info.content_type != SIGNED_DATA {
            return Err(malformed(format!("its content is of the type {}", info.content_type)));
        }
        let data: SignedData = info.content.decode_as().map_err(der)?;
        if data.encap_content_info.econtent.is_some() {
            return Err(SignatureError::Attached);
        }
        if data.encap_content_info.econtent_type != DATA {
            let found = data.encap_content_info.econtent_type;
            return Err(malformed(format!("it signs content of the type {found}, not data")));
        }
        let mut parsed = Vec::new();
        for choice in data.certificates.iter().flat_map(|set| set.0.iter()).take(MAX_CERTIFICATES + 1) {
            if let CertificateChoices::Certificate(certificate) = choice {
                parsed.push(certificate.clone());
            }
        }
        let signers = data.signer_infos.0.len();
        if signers == 0 || signers > MAX_SIGNERS || parsed.len() > MAX_CERTIFICATES {
            return Err(malformed(format!("it has {signers} signers and {} certificates", parsed.len())));
        }
        let certificates: Result<Arc<[_]>, _> =
            parsed.iter().map(|one| one.to_der().map(CertificateDer::from)).collect();
        let certificates = certificates.map_err(der)?;
        let signature = |info: &SignerInfo| Self {
            leaf: parsed.iter().find(|one| is_of(&info.sid, one)).cloned(),
            info: info.clone(),
            certificates: Arc::clone(&certificates),
        };
        Ok(data.signer_infos.0.iter().map(signature).collect())
    }

    /// Whether `subject`, with a certificate of `authority` that is good at the time `now`, made it over `statement`.
    pub fn check(&self, statement: &[u8], authority: &Authority, subject: &SubjectRule, now: Timestamp) -> Judgement {
        let Some(leaf) = &self.leaf else { return Judgement::Stranger };
        if !subject.is_met(leaf) {
            return Judgement::Stranger;
        }
        let bad = |problem| SignatureError::Certificate { subject: name_of(leaf), problem };
        if let Err(problem) = certificate::check(leaf, &self.certificates, authority, now) {
            // Another authority's certificate with this name is somebody else's.
            return match problem {
                CertificateProblem::UnknownIssuer => Judgement::Stranger,
                problem => Judgement::Wrong(bad(problem)),
            };
        }
        match self.check_signature(statement, leaf) {
            Ok(()) => Judgement::Valid,
            Err(error) => Judgement::Wrong(error),
        }
    }

    /// Whether the certificate in it made it over `statement`.
    pub fn check_statement(&self, statement: &[u8]) -> Result<(), SignatureError> {
        let missing = || SignatureError::Certificate { subject: self.claim(), problem: CertificateProblem::Missing };
        self.check_signature(statement, self.leaf.as_ref().ok_or_else(missing)?)
    }

    fn check_signature(&self, statement: &[u8], leaf: &Certificate) -> Result<(), SignatureError> {
        let hash = Hash::of(self.info.digest_alg.oid)
            .ok_or_else(|| SignatureError::Unsupported { what: format!("the digest {}", self.info.digest_alg.oid) })?;
        let message = match &self.info.signed_attrs {
            None => statement.to_vec(),
            Some(attributes) => {
                self.check_attributes(&hash.digest(statement))?;
                // RFC 5652, 5.4: signed is the DER of a SET, not the tag that stands in the file.
                attributes.to_der().map_err(|_| SignatureError::Wrong)?
            }
        };
        let signature = self.info.signature.as_bytes();
        let good = certificate::is_signed_by(leaf, &self.algorithms(hash)?, &message, signature);
        if good { Ok(()) } else { Err(SignatureError::Wrong) }
    }

    /// Holds `contentType` and `messageDigest` against the statement, each there once with one value.
    fn check_attributes(&self, digest: &[u8]) -> Result<(), SignatureError> {
        let malformed =
            |reason: &str| SignatureError::Malformed { format: SignatureFormat::Cms, reason: reason.to_owned() };
        let single = |oid| {
            let mut found = self.info.signed_attrs.iter().flat_map(|all| all.iter()).filter(|one| one.oid == oid);
            match (found.next(), found.next()) {
                (Some(attribute), None) if attribute.values.len() == 1 => attribute.values.get(0),
                _ => None,
            }
        };
        let kind = single(CONTENT_TYPE).and_then(|value| value.decode_as::<ObjectIdentifier>().ok());
        if kind != Some(DATA) {
            return Err(malformed("its signed content type is not data"));
        }
        let signed = single(MESSAGE_DIGEST).ok_or_else(|| malformed("it has no signed digest"))?;
        let signed =
            signed.decode_as::<&OctetStringRef>().map_err(|_| malformed("its signed digest cannot be read"))?;
        if signed.as_bytes() == digest { Ok(()) } else { Err(SignatureError::OtherFile) }
    }

    /// What to verify by: one algorithm for each kind of key that the identifier allows.
    fn algorithms(&self, hash: Hash) -> Result<Algorithms, SignatureError> {
        let oid = self.info.signature_algorithm.oid;
        Ok(match (oid, hash) {
            (RSA | RSA_SHA256, Hash::Sha256) => vec![algorithms::RSA_PKCS1_2048_8192_SHA256],
            (RSA | RSA_SHA384, Hash::Sha384) => vec![algorithms::RSA_PKCS1_2048_8192_SHA384],
            (RSA | RSA_SHA512, Hash::Sha512) => vec![algorithms::RSA_PKCS1_2048_8192_SHA512],
            (RSA_PSS, Hash::Sha256) => vec![algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
            (RSA_PSS, Hash::Sha384) => vec![algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
            (RSA_PSS, Hash::Sha512) => vec![algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
            (ECDSA_SHA256, Hash::Sha256) => {
                vec![algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256, algorithms::ECDSA_P521_SHA256]
            }
            (ECDSA_SHA384, Hash::Sha384) => {
                vec![algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384, algorithms::ECDSA_P521_SHA384]
            }
            (ECDSA_SHA512, Hash::Sha512) => {
                vec![algorithms::ECDSA_P256_SHA512, algorithms::ECDSA_P384_SHA512, algorithms::ECDSA_P521_SHA512]
            }
            _ => {
                let digest = self.info.digest_alg.oid;
                return Err(SignatureError::Unsupported {
                    what: format!("the signature algorithm {oid} with {digest}"),
                });
            }
        })
    }

    /// The subject of the certificate, for people.
    pub fn claim(&self) -> String {
        self.leaf.as_ref().map_or_else(|| "a signer whose certificate is not in the file".to_owned(), name_of)
    }
}

fn name_of(certificate: &Certificate) -> String {
    let name = certificate.tbs_certificate().subject().to_string();
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn is_of(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    let tbs = certificate.tbs_certificate();
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == *tbs.issuer() && id.serial_number == *tbs.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            tbs.get_extension::<SubjectKeyIdentifier>().ok().flatten().is_some_and(|(_, found)| found == *id)
        }
    }
}

/// The bytes in PEM with the label `CMS` or `PKCS7`.
fn unarmoured(content: &[u8]) -> Result<Vec<u8>, SignatureError> {
    let malformed = |reason: String| SignatureError::Malformed { format: SignatureFormat::Cms, reason };
    let text = std::str::from_utf8(content).map_err(|error| malformed(error.to_string()))?;
    let (label, document) = der::Document::from_pem(text.trim()).map_err(|error| malformed(error.to_string()))?;
    if !["CMS", "PKCS7"].contains(&label) {
        return Err(malformed(format!("its PEM block is a {label:?}")));
    }
    Ok(document.as_bytes().to_vec())
}

#[cfg(test)]
mod tests;
