//! Authorities, subjects, and whether a certificate may sign statements (RFC 5280).

use std::str::FromStr;

use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use rustls::pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime, pem::PemObject as _,
};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, RawPublicKeyEntity, anchor_from_trusted_cert,
};
use x509_cert::{
    Certificate, Version,
    ext::pkix::{KeyUsage, SubjectAltName, name::GeneralName},
    name::Name,
    time::Time,
};

use super::CertificateProblem;
use crate::trust::key::KeyError;

/// Certificates in one file of authorities.
const MAX_AUTHORITIES: usize = 16;

/// Uses of a certificate that allow to sign statements: emailProtection and codeSigning (RFC 5280), documentSigning
/// (RFC 9336), and anyExtendedKeyUsage.
const USES: [&[usize]; 4] =
    [&[1, 3, 6, 1, 5, 5, 7, 3, 4], &[1, 3, 6, 1, 5, 5, 7, 3, 3], &[1, 3, 6, 1, 5, 5, 7, 3, 36], &[2, 5, 29, 37, 0]];

/// Certificates that are trusted to issue others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority(Vec<CertificateDer<'static>>);

impl FromStr for Authority {
    type Err = KeyError;

    /// Reads PEM with one certificate or several.
    fn from_str(pem: &str) -> Result<Self, KeyError> {
        let malformed = |reason: String| KeyError::Malformed { reason };
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).take(MAX_AUTHORITIES + 1) {
            let certificate = certificate.map_err(|error| malformed(error.to_string()))?;
            anchor_from_trusted_cert(&certificate).map_err(|error| malformed(error.to_string()))?;
            certificates.push(certificate);
        }
        match certificates.len() {
            0 => Err(KeyError::Form { expected: "a certificate in PEM (-----BEGIN CERTIFICATE-----)" }),
            1..=MAX_AUTHORITIES => Ok(Self(certificates)),
            _ => Err(malformed(format!("there are more than {MAX_AUTHORITIES} certificates"))),
        }
    }
}

impl Authority {
    /// Whether `certificate` was issued by one of these directly.
    fn issued(&self, certificate: &Certificate) -> bool {
        let (body, signature) = (certificate.tbs_certificate(), certificate.signature().as_bytes());
        let (Ok(message), Some(signature)) = (body.to_der(), signature) else { return false };
        let mut issuers = self.0.iter().filter_map(|one| Certificate::from_der(one).ok());
        *body.signature() == *certificate.signature_algorithm()
            && issuers.any(|issuer| {
                issuer.tbs_certificate().subject() == body.issuer()
                    && is_signed_by(&issuer, webpki::ALL_VERIFICATION_ALGS, &message, signature)
            })
    }
}

/// Whose certificate is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectRule {
    /// The whole distinguished name, as RFC 4514 writes it.
    Name(String),
    /// An e-mail address among the alternative names.
    Email(String),
}

impl FromStr for SubjectRule {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.contains('@') && !text.contains('=') {
            return Ok(Self::Email(text.to_owned()));
        }
        let form =
            || KeyError::Form { expected: "a subject as RFC 4514 writes it (CN=Alice,O=Ops), or an e-mail address" };
        let name = Name::from_str(text).map_err(|_| form())?;
        if name.is_empty() {
            return Err(form());
        }
        Ok(Self::Name(name.to_string()))
    }
}

impl SubjectRule {
    /// Whether `certificate` is of this subject. All components of a name are compared, in their order.
    pub(super) fn is_met(&self, certificate: &Certificate) -> bool {
        match self {
            // The written form escapes whatever could make two names look like one.
            Self::Name(name) => certificate.tbs_certificate().subject().to_string() == *name,
            Self::Email(address) => {
                let names = certificate.tbs_certificate().get_extension::<SubjectAltName>();
                let names = names.ok().flatten().map(|(_, SubjectAltName(names))| names);
                names.unwrap_or_default().iter().any(|name| match name {
                    GeneralName::Rfc822Name(found) => found.as_str() == address,
                    _ => false,
                })
            }
        }
    }
}

/// Whether `leaf` was issued by `authority`, perhaps through `intermediates`, and may sign statements at the time `now`.
pub(super) fn check(
    leaf: &Certificate,
    intermediates: &[CertificateDer<'static>],
    authority: &Authority,
    now: Timestamp,
) -> Result<(), CertificateProblem> {
    let other = |reason: String| CertificateProblem::Other { reason };
    let der = CertificateDer::from(leaf.to_der().map_err(|error| other(error.to_string()))?);
    let usage = leaf.tbs_certificate().get_extension::<KeyUsage>().map_err(|error| other(error.to_string()))?;
    if usage.is_some_and(|(_, usage)| !(usage.digital_signature() || usage.non_repudiation())) {
        return Err(CertificateProblem::Usage);
    }
    // The library takes neither a certificate as its own authority nor one of version 1, and people have both: the first
    // from `openssl req -x509`, the second from `openssl x509 -req`.
    if authority.0.contains(&der) {
        return check_dates(leaf, now);
    }
    if leaf.tbs_certificate().version() == Version::V1 {
        return if authority.issued(leaf) { check_dates(leaf, now) } else { Err(CertificateProblem::UnknownIssuer) };
    }
    let end = EndEntityCert::try_from(&der).map_err(problem)?;
    let anchors: Vec<_> = authority.0.iter().filter_map(|one| anchor_from_trusted_cert(one).ok()).collect();
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, intermediates, time, Statements, None, None)
        .map_err(problem)
        .map(drop)
}

/// Holds the validity of `certificate` against the clock.
fn check_dates(certificate: &Certificate, now: Timestamp) -> Result<(), CertificateProblem> {
    let validity = certificate.tbs_certificate().validity();
    let seconds = |time: Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    match now.as_second() {
        now if now < seconds(validity.not_before) => Err(CertificateProblem::NotYetValid),
        now if now > seconds(validity.not_after) => Err(CertificateProblem::Expired),
        _ => Ok(()),
    }
}

/// Whether `signature` over `message` was made by the key of `certificate` with one of `algorithms`.
pub(super) fn is_signed_by(
    certificate: &Certificate,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok(key) = certificate.tbs_certificate().subject_public_key_info().to_der() else { return false };
    let key = SubjectPublicKeyInfoDer::from(key);
    RawPublicKeyEntity::try_from(&key)
        .is_ok_and(|key| algorithms.iter().any(|one| key.verify_signature(*one, message, signature).is_ok()))
}

/// The extended key usages of certificates that may sign statements: none, or one of [`USES`].
struct Statements;

#[expect(deprecated, reason = "the error in its place cannot be made outside of the library")]
impl ExtendedKeyUsageValidator for Statements {
    fn validate(&self, uses: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut restricted = false;
        let mut allowed = false;
        for usage in uses {
            restricted = true;
            allowed |= USES.contains(&usage?.to_decoded_oid().as_slice());
        }
        if restricted && !allowed { Err(webpki::Error::RequiredEkuNotFound) } else { Ok(()) }
    }
}

#[expect(deprecated, reason = "both of the library's forms of one error are met")]
fn problem(error: webpki::Error) -> CertificateProblem {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } => CertificateProblem::Expired,
        E::CertNotValidYet { .. } => CertificateProblem::NotYetValid,
        E::UnknownIssuer => CertificateProblem::UnknownIssuer,
        E::RequiredEkuNotFound | E::RequiredEkuNotFoundContext(_) => CertificateProblem::Usage,
        error => CertificateProblem::Other { reason: format!("{error:?}") },
    }
}
