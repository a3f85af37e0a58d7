//! Public keys in PEM, as cosign and openssl write them.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use der::{Decode as _, Document, Encode as _, asn1::ObjectIdentifier, pem::PemLabel as _};
use pkcs8::spki::SubjectPublicKeyInfoRef;

use super::KeyError;
use crate::oci::Digest;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Algorithms of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA, PKCS #1 v1.5 with SHA-256, 2048 bits or more.
    Rsa,
}

impl KeyAlgorithm {
    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::Ed25519 => &signature::ED25519,
            Self::Rsa => &signature::RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// A public key. Two are equal if their DER is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    der: Vec<u8>,
    /// The key as the algorithm has it: a point, 32 bytes, or an `RSAPublicKey`.
    raw: Vec<u8>,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280).
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |error: der::Error| KeyError::Malformed { reason: error.to_string() };
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(malformed)?;
        let curve = || info.algorithm.parameters_oid().ok();
        let algorithm = match info.algorithm.oid {
            EC if curve() == Some(P256) => KeyAlgorithm::P256,
            EC if curve() == Some(P384) => KeyAlgorithm::P384,
            ED25519 => KeyAlgorithm::Ed25519,
            RSA => KeyAlgorithm::Rsa,
            other => {
                return Err(KeyError::Algorithm { found: other.to_string(), expected: "P-256, P-384, Ed25519 or RSA" });
            }
        };
        let raw = info
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| KeyError::Malformed { reason: "the key is not a whole number of bytes".to_owned() })?;
        signature::ParsedPublicKey::new(algorithm.verification(), raw)
            .map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
        Ok(Self { algorithm, der: der.to_vec(), raw: raw.to_vec() })
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Its `SubjectPublicKeyInfo`.
    pub fn to_der(&self) -> &[u8] {
        &self.der
    }

    /// PEM with a line feed at the end.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let document = Document::try_from(self.der.as_slice());
        document
            .and_then(|document| document.to_pem(SubjectPublicKeyInfoRef::PEM_LABEL, der::pem::LineEnding::LF))
            .map_err(|error| KeyError::Malformed { reason: error.to_string() })
    }

    /// The SHA-256 of its DER, by which people and cosign's hints name it.
    pub fn fingerprint(&self) -> Digest {
        Digest::sha256(&self.der)
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm.verification(), &self.raw).verify(message, signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads PEM with the label `PUBLIC KEY`.
    fn from_str(pem: &str) -> Result<Self, KeyError> {
        const EXPECTED: &str = "a public key in PEM (-----BEGIN PUBLIC KEY-----)";
        let (label, document) = Document::from_pem(pem.trim()).map_err(|_| KeyError::Form { expected: EXPECTED })?;
        if label != SubjectPublicKeyInfoRef::PEM_LABEL {
            return Err(KeyError::Form { expected: EXPECTED });
        }
        let der = document.to_der().map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
        Self::from_der(&der)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.algorithm, self.fingerprint())
    }
}
