//! The encrypted form in which cosign keeps private keys: JSON in PEM, scrypt for the password, `NaCl`'s secretbox around
//! PKCS #8 (sigstore's `pkg/cryptoutils` and go-securesystemslib's `encrypted`).

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use crypto_secretbox::{KeyInit as _, XSalsa20Poly1305, aead::Aead as _};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{KeyError, Password};

/// The labels of its PEM, today's and the one before.
pub(super) const LABELS: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];

/// Bytes of memory that a password may take to try: cosign's own keys need 64 MiB.
const MAX_MEMORY: u64 = 256 << 20;

const KEY: usize = 32;
const NONCE: usize = 24;

#[derive(Deserialize)]
struct Envelope {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// The PKCS #8 in the PEM block `text` with `label`.
pub(super) fn decrypt(text: &str, label: &str, password: &Password) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let malformed = |reason: String| KeyError::Malformed { reason };
    let json = body(text, label).ok_or_else(|| malformed("the PEM block is damaged".to_owned()))?;
    let envelope: Envelope = serde_json::from_slice(&json).map_err(|error| malformed(error.to_string()))?;
    let Envelope { kdf, cipher, ciphertext } = envelope;
    if kdf.name != "scrypt" || cipher.name != "nacl/secretbox" {
        let found = format!("{} and {}", kdf.name, cipher.name);
        return Err(KeyError::Algorithm { found, expected: "scrypt and nacl/secretbox" });
    }
    let decode = |text: &str| BASE64.decode(text).map_err(|error| malformed(error.to_string()));
    let (salt, nonce, ciphertext) = (decode(&kdf.salt)?, decode(&cipher.nonce)?, decode(&ciphertext)?);
    let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| malformed("the nonce does not have 24 bytes".to_owned()))?;
    let params =
        scrypt_params(&kdf.params).ok_or_else(|| malformed("the scrypt parameters are out of range".to_owned()))?;
    let mut key = Zeroizing::new([0; KEY]);
    scrypt::scrypt(password.expose().as_bytes(), &salt, &params, &mut *key).map_err(|_| KeyError::Crypto)?;
    XSalsa20Poly1305::new((&*key).into())
        .decrypt((&nonce).into(), ciphertext.as_slice())
        .map(Zeroizing::new)
        .map_err(|_| KeyError::WrongPassword)
}

/// PEM without the strictness about line lengths: older cosign broke lines elsewhere.
fn body(text: &str, label: &str) -> Option<Vec<u8>> {
    let inside = text.strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let inside = inside.strip_suffix(&format!("-----END {label}-----"))?;
    let base64: String = inside.split_ascii_whitespace().collect();
    BASE64.decode(base64).ok()
}

fn scrypt_params(params: &Params) -> Option<scrypt::Params> {
    let Params { n, r, p } = *params;
    let memory = n.checked_mul(u64::from(r))?.checked_mul(128)?;
    if !n.is_power_of_two() || n < 2 || memory > MAX_MEMORY || p > 16 {
        return None;
    }
    scrypt::Params::new(u8::try_from(n.trailing_zeros()).ok()?, r, p).ok()
}
