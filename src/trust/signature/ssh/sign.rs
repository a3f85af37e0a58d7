//! Signing with an SSH key of a file, or of an agent.

use std::path::Path;

use ssh_key::{HashAlg, LineEnding, PublicKey, Signature, SshSig, public::KeyData};
use zeroize::Zeroizing;

use super::{Agent, NAMESPACE, SshKey, raw};
use crate::trust::{
    file,
    key::{KeyError, Password},
};

/// Of the two hashes that the format knows, the one that ssh-keygen takes.
const HASH: HashAlg = HashAlg::Sha512;

/// An SSH private key, opened.
pub struct SshPrivateKey(ssh_key::PrivateKey);

impl std::fmt::Debug for SshPrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SshPrivateKey of {:?}", self.public())
    }
}

impl SshPrivateKey {
    /// Reads the key file `path`, which must be its owner's alone. `password` is asked for if the key is encrypted.
    pub fn open(path: &Path, password: impl FnOnce() -> Option<Password>) -> Result<Self, KeyError> {
        let text = Zeroizing::new(file::read_private(path)?);
        Self::parse(&text, password)
    }

    /// Reads a key in OpenSSH's form.
    pub fn parse(text: &[u8], password: impl FnOnce() -> Option<Password>) -> Result<Self, KeyError> {
        if !text.trim_ascii_start().starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----") {
            return Err(KeyError::Form { expected: "an SSH private key (-----BEGIN OPENSSH PRIVATE KEY-----)" });
        }
        let key = ssh_key::PrivateKey::from_openssh(text.trim_ascii())
            .map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
        if !key.is_encrypted() {
            return Ok(Self(key));
        }
        let password = password().ok_or(KeyError::PasswordNeeded)?;
        key.decrypt(password.expose()).map(Self).map_err(|_| KeyError::WrongPassword)
    }

    /// Its public key.
    pub fn public(&self) -> SshKey {
        SshKey(self.0.public_key().key_data().clone())
    }

    /// The armoured signature over `statement`.
    pub fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = raw::sign(self.0.key_data(), &message(statement)?)?;
        armoured(self.0.public_key().key_data().clone(), signature)
    }
}

/// The armoured signature over `statement` by the key of an agent that has the public key `key`.
pub fn sign_with_agent(agent: &mut Agent, key: &SshKey, statement: &[u8]) -> Result<Vec<u8>, KeyError> {
    let signature = agent.sign(&PublicKey::from(key.0.clone()), &message(statement)?)?;
    armoured(key.0.clone(), signature)
}

fn message(statement: &[u8]) -> Result<Vec<u8>, KeyError> {
    SshSig::signed_data(NAMESPACE, HASH, statement).map_err(|_| KeyError::Crypto)
}

fn armoured(key: KeyData, signature: Signature) -> Result<Vec<u8>, KeyError> {
    SshSig::new(key, NAMESPACE, HASH, signature)
        .and_then(|signature| signature.to_pem(LineEnding::LF))
        .map(String::into_bytes)
        .map_err(|_| KeyError::Crypto)
}
