//! A private key of any form, and the signature that it makes.

use std::path::Path;

use zeroize::Zeroizing;

use super::{
    file,
    key::{KeyError, Password, SigningKey},
    signature::{
        SignatureFormat, SignerCredential,
        minisign::{self, MinisignSecret},
        sigstore,
        ssh::{Agent, SshKey, SshPrivateKey, sign_with_agent},
    },
};

/// Where an SSH private key begins.
const OPENSSH: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";

/// What signs: a key, or an agent that has one.
#[derive(Debug)]
pub enum Signer {
    /// A key in PEM, or cosign's.
    Key(Box<SigningKey>),
    /// A key of minisign.
    Minisign(MinisignSecret),
    /// An SSH key.
    Ssh(Box<SshPrivateKey>),
    /// An SSH agent, and which of its keys.
    Agent(Agent, SshKey),
}

/// A signature file that is not written yet.
#[derive(Clone, Debug)]
pub struct MadeSignature {
    /// Its form.
    pub format: SignatureFormat,
    /// Its bytes.
    pub content: Vec<u8>,
    /// By what it is checked, where that is known.
    pub credential: Option<SignerCredential>,
}

impl Signer {
    /// Reads the key file `path`, which must be its owner's alone. `password` is asked for if the key is encrypted.
    ///
    /// # Errors
    /// [`KeyError`]: it cannot be read, is of no form that is used here, or the password does not open it.
    pub fn open(path: &Path, password: impl FnOnce() -> Option<Password>) -> Result<Self, KeyError> {
        let text = Zeroizing::new(file::read_private(path)?);
        if minisign::is_secret_key(&text) {
            return MinisignSecret::parse(&text, password).map(Self::Minisign);
        }
        if text.trim_ascii_start().starts_with(OPENSSH) {
            return SshPrivateKey::parse(&text, password).map(|key| Self::Ssh(Box::new(key)));
        }
        SigningKey::parse(&text, password).map(|key| Self::Key(Box::new(key)))
    }

    /// A signature over `content`.
    ///
    /// # Errors
    /// [`KeyError::Crypto`], [`KeyError::Agent`].
    pub fn sign(&mut self, content: &[u8]) -> Result<MadeSignature, KeyError> {
        let (format, content, credential) = match self {
            Self::Key(key) => {
                let credential = SignerCredential::Key(key.public().clone());
                (SignatureFormat::Sigstore, sigstore::sign(content, key)?, credential)
            }
            Self::Minisign(key) => {
                (SignatureFormat::Minisign, key.sign(content)?, SignerCredential::Minisign(key.public().clone()))
            }
            Self::Ssh(key) => (SignatureFormat::Ssh, key.sign(content)?, SignerCredential::Ssh(key.public())),
            Self::Agent(agent, key) => {
                (SignatureFormat::Ssh, sign_with_agent(agent, key, content)?, SignerCredential::Ssh(key.clone()))
            }
        };
        Ok(MadeSignature { format, content, credential: Some(credential) })
    }
}
