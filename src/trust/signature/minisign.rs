//! minisign signatures, of both forms: the one that hashes first, and the one before it.

use std::{io::Cursor, ops::Range};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use minisign::{PublicKey, PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};
use zeroize::Zeroizing;

use super::{Judgement, SignatureError, SignatureFormat};
use crate::trust::key::{KeyError, Password};

/// Bytes of a signature with its algorithm and key number, and of the one over it and the trusted comment.
const SIGNATURE: usize = 74;
const GLOBAL_SIGNATURE: usize = 64;

/// Where a secret key says how its password is used.
const KDF: Range<usize> = 2..4;

/// What stands there in a key without a password.
const NO_PASSWORD: [u8; 2] = [0, 0];

/// A minisign public key. Two are equal if their bytes are.
#[derive(Clone, Debug)]
pub struct MinisignKey(PublicKey);

impl PartialEq for MinisignKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bytes() == other.0.to_bytes()
    }
}

impl Eq for MinisignKey {}

impl std::str::FromStr for MinisignKey {
    type Err = KeyError;

    /// Reads the base64 alone, or the file of two lines.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let read = if text.contains('\n') {
            PublicKeyBox::from_string(text).and_then(PublicKeyBox::into_public_key)
        } else {
            PublicKey::from_base64(text)
        };
        let key = read.map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
        // The algorithm is in the bytes, and the library does not look at it.
        if key.to_bytes().starts_with(b"Ed") {
            Ok(Self(key))
        } else {
            Err(KeyError::Form { expected: "a minisign public key (RW…)" })
        }
    }
}

/// A minisign signature.
pub struct MinisignSignature(SignatureBox);

impl std::fmt::Debug for MinisignSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MinisignSignature of {}", self.claim())
    }
}

impl MinisignSignature {
    /// Reads the four lines.
    pub fn parse(content: &[u8]) -> Result<Self, SignatureError> {
        let malformed = |reason: String| SignatureError::Malformed { format: SignatureFormat::Minisign, reason };
        let text = std::str::from_utf8(content).map_err(|error| malformed(error.to_string()))?;
        check_lengths(text).ok_or_else(|| malformed("its lines do not have the lengths of a signature".to_owned()))?;
        SignatureBox::from_string(text).map(Self).map_err(|error| malformed(error.to_string()))
    }

    /// Whether `key` made it over `statement`, and its trusted comment too.
    pub fn check(&self, statement: &[u8], key: &MinisignKey) -> Judgement {
        if self.0.keynum() != key.0.keynum() {
            return Judgement::Stranger;
        }
        match minisign::verify(&key.0, &self.0, Cursor::new(statement), true, false, true) {
            Ok(()) => Judgement::Valid,
            Err(_) => Judgement::Wrong(SignatureError::Wrong),
        }
    }

    /// The number of its key, for people, as minisign prints it.
    pub fn claim(&self) -> String {
        let number = self.0.keynum().iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        format!("the minisign key {number:016X}")
    }
}

/// Holds the lengths of both signatures against the format: the library's verification panics on a short one.
fn check_lengths(text: &str) -> Option<()> {
    let lines: Vec<&str> = text.lines().collect();
    let [_, signature, _, global] = lines.as_slice() else { return None };
    let length = |line: &str| BASE64.decode(line.trim()).map(|bytes| bytes.len()).ok();
    (length(signature)? == SIGNATURE && length(global)? == GLOBAL_SIGNATURE).then_some(())
}

/// Whether `text` is a minisign secret key.
pub fn is_secret_key(text: &[u8]) -> bool {
    text.starts_with(b"untrusted comment:")
}

/// A secret key of minisign.
pub struct MinisignSecret {
    secret: SecretKey,
    public: MinisignKey,
}

impl std::fmt::Debug for MinisignSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MinisignSecret(…)")
    }
}

impl MinisignSecret {
    /// Reads the text of a secret key. `password` is asked for if it is encrypted.
    pub fn parse(text: &[u8], password: impl FnOnce() -> Option<Password>) -> Result<Self, KeyError> {
        let secret = secret_key(text, password)?;
        let public = PublicKey::from_secret_key(&secret).map(MinisignKey).map_err(|_| KeyError::Crypto)?;
        Ok(Self { secret, public })
    }

    /// Its public key.
    pub const fn public(&self) -> &MinisignKey {
        &self.public
    }

    /// A signature over `statement`.
    pub fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, KeyError> {
        let content = || Cursor::new(statement);
        let signed = minisign::sign(None, &self.secret, content(), None, None).map_err(|_| KeyError::Crypto)?;
        minisign::verify(&self.public.0, &signed, content(), true, false, false)
            .map_err(|_| KeyError::Malformed { reason: "its two halves do not belong together".to_owned() })?;
        Ok(signed.into_string().into_bytes())
    }
}

fn secret_key(text: &[u8], password: impl FnOnce() -> Option<Password>) -> Result<SecretKey, KeyError> {
    let malformed = |reason: String| KeyError::Malformed { reason };
    let text = std::str::from_utf8(text).map_err(|error| malformed(error.to_string()))?;
    let line = text.lines().nth(1).ok_or_else(|| malformed("it has no second line".to_owned()))?;
    let bytes = BASE64.decode(line.trim()).map(Zeroizing::new).map_err(|error| malformed(error.to_string()))?;
    if bytes.get(KDF) == Some(NO_PASSWORD.as_slice()) {
        // minisign 0.11 writes no checksum into a key without a password, for which the library's reader refuses it.
        return SecretKey::from_bytes(&bytes).map_err(|error| malformed(error.to_string()));
    }
    let password = password().ok_or(KeyError::PasswordNeeded)?;
    SecretKeyBox::from_string(text)
        .and_then(|sealed| sealed.into_secret_key(Some(password.expose().to_owned())))
        .map_err(|_| KeyError::WrongPassword)
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;

    const STATEMENT: &[u8] = b"{\"version\":1}";

    fn signed() -> (MinisignKey, String) {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        let signature = minisign::sign(None, &sk, Cursor::new(STATEMENT), Some("trusted"), None).unwrap();
        (pk.to_base64().parse().unwrap(), signature.into_string())
    }

    fn check(text: &str, statement: &[u8], key: &MinisignKey) -> Judgement {
        MinisignSignature::parse(text.as_bytes()).unwrap().check(statement, key)
    }

    #[test]
    fn it_is_its_keys_over_its_statement_and_no_others() {
        let (key, text) = signed();
        assert!(matches!(check(&text, STATEMENT, &key), Judgement::Valid));
        assert!(matches!(check(&text, b"{}", &key), Judgement::Wrong(SignatureError::Wrong)));
        assert!(matches!(check(&text, STATEMENT, &signed().0), Judgement::Stranger));
    }

    #[test]
    fn a_changed_trusted_comment_is_found() {
        let (key, text) = signed();
        let changed = text.replace("trusted comment: trusted", "trusted comment: trustee");
        assert_ne!(changed, text);
        assert!(matches!(check(&changed, STATEMENT, &key), Judgement::Wrong(SignatureError::Wrong)));
    }

    #[test]
    fn what_minisign_signs_is_accepted_in_both_forms() {
        let key: MinisignKey = include_str!("fixtures/minisign.pub").parse().unwrap();
        for text in [include_str!("fixtures/mini.minisig"), include_str!("fixtures/legacy.minisig")] {
            assert!(matches!(check(text, STATEMENT, &key), Judgement::Valid), "{text}");
            assert!(matches!(check(text, b"{}", &key), Judgement::Wrong(SignatureError::Wrong)), "{text}");
        }
    }

    #[test]
    fn a_secret_key_of_minisign_signs() {
        let secret = MinisignSecret::parse(include_bytes!("fixtures/minisign-plain.key"), || None).unwrap();
        let signed = String::from_utf8(secret.sign(STATEMENT).unwrap()).unwrap();
        let key = include_str!("fixtures/minisign-plain.pub").parse().unwrap();
        assert!(matches!(check(&signed, STATEMENT, &key), Judgement::Valid));
    }

    #[test]
    fn a_public_key_is_read_from_base64_and_from_its_file() {
        let key = KeyPair::generate_unencrypted_keypair().unwrap().pk;
        let alone: MinisignKey = key.to_base64().parse().unwrap();
        let file: MinisignKey = key.to_box().unwrap().into_string().parse().unwrap();
        assert_eq!(alone, file);
        assert!("RWQ".parse::<MinisignKey>().is_err());
        assert!(format!("XX{}", &key.to_base64()[2..]).parse::<MinisignKey>().is_err());
    }
}
