//! The signatures inside SSH signatures, by the cryptographic library that TLS uses.

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    },
};
use ssh_key::{
    Algorithm, EcdsaCurve, HashAlg, Mpint, Signature,
    encoding::{Decode as _, Encode as _, Reader as _},
    private::{EcdsaKeypair, KeypairData},
    public::{EcdsaPublicKey, KeyData, RsaPublicKey},
};

use super::SignatureError;
use crate::trust::key::KeyError;

const EXPECTED: &str =
    "ssh-ed25519, ecdsa-sha2-nistp256 or -nistp384, their forms on tokens, or ssh-rsa of 2048 bits or more";

/// The flag of a token's signature that says that a person touched it (PROTOCOL.u2f).
const USER_PRESENT: u8 = 1;

/// What a token appends: its flags, and its counter.
const TOKEN_TRAILER: usize = 5;

const MIN_RSA_BITS: u32 = 2048;

/// Whether a key is of a kind whose signatures are read.
pub(super) fn check_key(key: &KeyData) -> Result<(), KeyError> {
    let known = match key {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => true,
        KeyData::Ecdsa(key) => key.curve() != EcdsaCurve::NistP521,
        KeyData::Rsa(key) => key.key_size() >= MIN_RSA_BITS,
        _ => false,
    };
    if known { Ok(()) } else { Err(KeyError::Algorithm { found: key.algorithm().to_string(), expected: EXPECTED }) }
}

/// Whether `signature` is `key`'s over `message`.
pub(super) fn verify(key: &KeyData, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
    let wrong = Err(SignatureError::Wrong);
    if key.algorithm() != family(&signature.algorithm()) {
        return wrong;
    }
    let bytes = signature.as_bytes();
    let good = match key {
        KeyData::Ed25519(key) => ed25519(&key.0, message, bytes),
        KeyData::Ecdsa(key) => ecdsa(key, message, bytes),
        KeyData::Rsa(key) => rsa(key, &signature.algorithm(), message, bytes),
        KeyData::SkEd25519(key) => {
            let (inner, signed) = by_token(key.application(), message, bytes)?;
            ed25519(&key.public_key().0, &signed, inner)
        }
        KeyData::SkEcdsaSha2NistP256(key) => {
            let (inner, signed) = by_token(key.application(), message, bytes)?;
            ecdsa(&EcdsaPublicKey::NistP256(*key.ec_point()), &signed, inner)
        }
        _ => false,
    };
    if good { Ok(()) } else { wrong }
}

/// The algorithm of the keys that make signatures of `algorithm`.
fn family(algorithm: &Algorithm) -> Algorithm {
    match algorithm {
        Algorithm::Rsa { .. } => Algorithm::Rsa { hash: None },
        other => other.clone(),
    }
}

fn ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
}

fn ecdsa(key: &EcdsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
    let (algorithm, width) = match key.curve() {
        EcdsaCurve::NistP256 => (&ECDSA_P256_SHA256_FIXED, 32),
        EcdsaCurve::NistP384 => (&ECDSA_P384_SHA384_FIXED, 48),
        EcdsaCurve::NistP521 => return false,
    };
    let Some(fixed) = fixed_width(signature, width) else { return false };
    UnparsedPublicKey::new(algorithm, key.as_sec1_bytes()).verify(message, &fixed).is_ok()
}

fn rsa(key: &RsaPublicKey, algorithm: &Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let algorithm = match algorithm {
        Algorithm::Rsa { hash: Some(HashAlg::Sha256) } => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rsa { hash: Some(HashAlg::Sha512) } => &RSA_PKCS1_2048_8192_SHA512,
        _ => return false,
    };
    let (Some(n), Some(e)) = (key.n().as_positive_bytes(), key.e().as_positive_bytes()) else { return false };
    PublicKeyComponents { n, e }.verify(algorithm, message, signature).is_ok()
}

/// Two numbers side by side, from the two of any length in which SSH writes them.
fn fixed_width(mut signature: &[u8], width: usize) -> Option<Vec<u8>> {
    let reader = &mut signature;
    let mut fixed = Vec::with_capacity(2 * width);
    for _ in 0..2 {
        let number = Mpint::decode(reader).ok()?;
        let bytes = number.as_positive_bytes()?;
        fixed.extend(std::iter::repeat_n(0, width.checked_sub(bytes.len())?));
        fixed.extend(bytes);
    }
    (reader.remaining_len() == 0).then_some(fixed)
}

/// What a token signs: the hash of its application, its trailer, the hash of the message. And the signature without the
/// trailer.
fn by_token<'a>(application: &str, message: &[u8], signature: &'a [u8]) -> Result<(&'a [u8], Vec<u8>), SignatureError> {
    let at = signature.len().checked_sub(TOKEN_TRAILER).ok_or(SignatureError::Wrong)?;
    let (inner, trailer) = signature.split_at(at);
    if trailer[0] & USER_PRESENT == 0 {
        return Err(SignatureError::NoTouch);
    }
    let sha256 = |content: &[u8]| digest::digest(&digest::SHA256, content);
    let signed = [sha256(application.as_bytes()).as_ref(), trailer, sha256(message).as_ref()].concat();
    Ok((inner, signed))
}

/// A signature over `message` by a key from a file.
pub(super) fn sign(pair: &KeypairData, message: &[u8]) -> Result<Signature, KeyError> {
    match pair {
        KeypairData::Ed25519(pair) => {
            let seed = pair.private.to_bytes();
            let key = Ed25519KeyPair::from_seed_and_public_key(&seed, &pair.public.0)
                .map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
            let signature = key.try_sign(message).map_err(|_| KeyError::Crypto)?;
            Signature::new(Algorithm::Ed25519, signature.as_ref()).map_err(|_| KeyError::Crypto)
        }
        KeypairData::Ecdsa(pair) if pair.curve() != EcdsaCurve::NistP521 => sign_ecdsa(pair, message),
        KeypairData::Rsa(_) => Err(KeyError::Algorithm {
            found: "ssh-rsa in a file".to_owned(),
            expected: "ssh-ed25519 or ecdsa-sha2-nistp256, or add the key to an agent and use --agent",
        }),
        _ => Err(KeyError::Algorithm { found: "this kind in a file".to_owned(), expected: "an agent (--agent)" }),
    }
}

fn sign_ecdsa(pair: &EcdsaKeypair, message: &[u8]) -> Result<Signature, KeyError> {
    let algorithm = match pair.curve() {
        EcdsaCurve::NistP256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let key =
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, pair.private_key_bytes(), pair.public_key_bytes())
            .map_err(|error| KeyError::Malformed { reason: error.to_string() })?;
    debug_assert_eq!(key.public_key().as_ref(), pair.public_key_bytes());
    let fixed = key.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Crypto)?;
    let (r, s) = fixed.as_ref().split_at(fixed.as_ref().len() / 2);
    let mut numbers = Vec::new();
    for number in [r, s] {
        Mpint::from_positive_bytes(number).encode(&mut numbers).map_err(|_| KeyError::Crypto)?;
    }
    Signature::new(Algorithm::Ecdsa { curve: pair.curve() }, numbers).map_err(|_| KeyError::Crypto)
}
