//! Private keys to sign with: PKCS #8 and SEC 1 in PEM, and cosign's own form.

use std::path::Path;

use aws_lc_rs::{
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    },
};
use der::{Decode as _, SecretDocument};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{KeyAlgorithm, KeyError, Password, PublicKey, cosign};
use crate::trust::file;

const PKCS8: &str = "PRIVATE KEY";
const ENCRYPTED_PKCS8: &str = "ENCRYPTED PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";
const OPENSSH: &str = "OPENSSH PRIVATE KEY";
const EXPECTED: &str = "a private key in PEM: PKCS #8 (encrypted or not), SEC 1, or cosign's";

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key and its public one.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

impl SigningKey {
    /// Makes a new P-256 key, which every tool of sigstore reads.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| KeyError::Crypto)?;
        Self::of(Pair::P256(pair))
    }

    /// Reads the key file `path`, which must be its owner's alone. `password` is asked for if the key is encrypted.
    pub fn open(path: &Path, password: impl FnOnce() -> Option<Password>) -> Result<Self, KeyError> {
        let text = Zeroizing::new(file::read_private(path)?);
        Self::parse(&text, password)
    }

    /// Reads a key. `password` is asked for if it is encrypted.
    pub fn parse(text: &[u8], password: impl FnOnce() -> Option<Password>) -> Result<Self, KeyError> {
        let form = KeyError::Form { expected: EXPECTED };
        let Ok(text) = std::str::from_utf8(text) else { return Err(form) };
        let text = text.trim();
        let Some(label) = label(text) else { return Err(form) };
        let ask = || password().ok_or(KeyError::PasswordNeeded);
        if cosign::LABELS.contains(&label) {
            return Self::from_pkcs8(&cosign::decrypt(text, label, &ask()?)?);
        }
        let document = || {
            SecretDocument::from_pem(text)
                .map(|(_, document)| document)
                .map_err(|error| KeyError::Malformed { reason: error.to_string() })
        };
        match label {
            PKCS8 => Self::from_pkcs8(document()?.as_bytes()),
            ENCRYPTED_PKCS8 => {
                let document = document()?;
                let sealed = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes())
                    .map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
                let opened = sealed.decrypt(ask()?.expose()).map_err(|_| KeyError::WrongPassword)?;
                Self::from_pkcs8(opened.as_bytes())
            }
            SEC1 => Self::from_sec1(document()?.as_bytes()),
            OPENSSH => Err(KeyError::Form { expected: "a key for --key; an SSH key is used by --ssh" }),
            _ => Err(form),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        PrivateKeyInfoRef::from_der(der).map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Self::of(Pair::Ed25519(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            return Self::of(Pair::P256(pair));
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der);
        Self::of(Pair::P384(pair.map_err(|_| Self::unknown())?))
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            return Self::of(Pair::P256(pair));
        }
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_ASN1_SIGNING, der);
        Self::of(Pair::P384(pair.map_err(|_| Self::unknown())?))
    }

    fn unknown() -> KeyError {
        KeyError::Algorithm { found: "another algorithm".to_owned(), expected: "P-256, P-384 or Ed25519" }
    }

    fn of(pair: Pair) -> Result<Self, KeyError> {
        let der: PublicKeyX509Der<'_> = match &pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_der(),
            Pair::Ed25519(pair) => pair.public_key().as_der(),
        }
        .map_err(|_| KeyError::Crypto)?;
        let public = PublicKey::from_der(der.as_ref())?;
        Ok(Self { pair, public })
    }

    /// Its public key.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.public.algorithm()
    }

    /// A signature over `message`: ASN.1 for ECDSA, 64 bytes for Ed25519.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.sign(&SystemRandom::new(), message),
            Pair::Ed25519(pair) => pair.try_sign(message),
        };
        Ok(signature.map_err(|_| KeyError::Crypto)?.as_ref().to_vec())
    }

    /// PKCS #8 in PEM; encrypted by scrypt and AES-256 if there is a password.
    pub fn to_pem(&self, password: Option<&Password>) -> Result<Zeroizing<String>, KeyError> {
        let der = match &self.pair {
            Pair::P256(pair) | Pair::P384(pair) => pair.to_pkcs8v1(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
        }
        .map_err(|_| KeyError::Crypto)?;
        let malformed = |error: der::Error| KeyError::Malformed { reason: error.to_string() };
        let (label, document) = match password {
            None => (PKCS8, SecretDocument::try_from(der.as_ref()).map_err(malformed)?),
            Some(password) => {
                let info = PrivateKeyInfoRef::from_der(der.as_ref()).map_err(malformed)?;
                (ENCRYPTED_PKCS8, info.encrypt(password.expose()).map_err(|_| KeyError::Crypto)?)
            }
        };
        document.to_pem(label, der::pem::LineEnding::LF).map_err(malformed)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey of {:?}", self.public)
    }
}

/// The label of the PEM block that begins `text`.
fn label(text: &str) -> Option<&str> {
    let line = text.lines().next()?.trim_end();
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

#[cfg(test)]
mod tests;
