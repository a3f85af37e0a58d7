//! SSH signatures (OpenSSH's PROTOCOL.sshsig) of the namespace `airlift-transfer`.

mod agent;
mod raw;
mod sign;

pub use agent::Agent;
pub use sign::{SshPrivateKey, sign_with_agent};

use ssh_key::{Algorithm, HashAlg, SshSig, public::KeyData};

use super::{Judgement, SignatureError, SignatureFormat};
use crate::trust::key::KeyError;

/// What every signature is made for: a signature of another namespace does not count.
pub const NAMESPACE: &str = "airlift-transfer";

/// An SSH public key; its comment does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey(KeyData);

impl SshKey {
    /// Its fingerprint, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

impl std::str::FromStr for SshKey {
    type Err = KeyError;

    /// Reads one line as in a `.pub` file: algorithm, base64, and perhaps a comment.
    fn from_str(line: &str) -> Result<Self, KeyError> {
        let key = ssh_key::PublicKey::from_openssh(line.trim())
            .map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
        raw::check_key(key.key_data())?;
        Ok(Self(key.key_data().clone()))
    }
}

/// An SSH signature.
#[derive(Debug)]
pub struct SshSignature(SshSig);

impl SshSignature {
    /// Reads the armoured form.
    pub fn parse(content: &[u8]) -> Result<Self, SignatureError> {
        let signature = SshSig::from_pem(content)
            .map_err(|error| SignatureError::Malformed { format: SignatureFormat::Ssh, reason: error.to_string() })?;
        if signature.namespace() != NAMESPACE {
            let found = signature.namespace().chars().take(64).collect();
            return Err(SignatureError::Namespace { found });
        }
        if matches!(signature.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
            return Err(SignatureError::Unsupported { what: "a signature with SHA-1".to_owned() });
        }
        Ok(Self(signature))
    }

    /// Whether `key` made it over `statement`. The key in the signature only tells whether to try.
    pub fn check(&self, statement: &[u8], key: &SshKey) -> Judgement {
        if *self.0.public_key() != key.0 {
            return Judgement::Stranger;
        }
        let Ok(message) = SshSig::signed_data(NAMESPACE, self.0.hash_alg(), statement) else {
            return Judgement::Wrong(SignatureError::Wrong);
        };
        match raw::verify(&key.0, &message, self.0.signature()) {
            Ok(()) => Judgement::Valid,
            Err(error) => Judgement::Wrong(error),
        }
    }

    /// Whether the key in it made it over `statement`.
    pub fn check_statement(&self, statement: &[u8]) -> Result<(), SignatureError> {
        match self.check(statement, &SshKey(self.0.public_key().clone())) {
            Judgement::Valid => Ok(()),
            Judgement::Wrong(error) => Err(error),
            Judgement::Stranger => Err(SignatureError::Wrong),
        }
    }

    /// The fingerprint of the key in it, for people.
    pub fn claim(&self) -> String {
        format!("the SSH key {}", self.0.public_key().fingerprint(HashAlg::Sha256))
    }
}

#[cfg(test)]
mod tests;
