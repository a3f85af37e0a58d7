//! Sigstore bundles v0.3 with a message signature by a key (protobuf-specs, `sigstore_bundle.proto`).
//!
//! What a bundle says about logs and times is not read: an air gap has nobody to ask.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::{Judgement, SignatureError, SignatureFormat};
use crate::trust::key::{KeyAlgorithm, KeyError, PublicKey, SigningKey};

/// The media type of version 0.3.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// How version 0.3 was written at first.
const EARLIER_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

const SHA256: &str = "SHA2_256";
const SHA384: &str = "SHA2_384";
const SHA512: &str = "SHA2_512";

/// The members that are read; tools add others, and those decide nothing.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SigstoreDocument {
    media_type: String,
    verification_material: Material,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<Message>,
    #[serde(default, skip_serializing)]
    dsse_envelope: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<Hint>,
}

#[derive(Serialize, Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default)]
    message_digest: MessageDigest,
    signature: String,
}

/// Empty where cosign signs with Ed25519.
#[derive(Default, Serialize, Deserialize)]
struct MessageDigest {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    digest: String,
}

/// A message signature of a sigstore bundle.
#[derive(Debug)]
pub struct MessageSignature {
    hint: String,
    algorithm: String,
    digest: Vec<u8>,
    signature: Vec<u8>,
}

impl MessageSignature {
    /// Reads a bundle.
    pub fn parse(content: &[u8]) -> Result<Self, SignatureError> {
        let malformed = |reason: String| SignatureError::Malformed { format: SignatureFormat::Sigstore, reason };
        let unsupported = |what: &str| SignatureError::Unsupported { what: what.to_owned() };
        let document: SigstoreDocument =
            serde_json::from_slice(content).map_err(|error| malformed(error.to_string()))?;
        if ![MEDIA_TYPE, EARLIER_MEDIA_TYPE].contains(&document.media_type.as_str()) {
            let shown: String = document.media_type.chars().take(80).collect();
            return Err(unsupported(&format!("a bundle of the media type {shown:?}")));
        }
        if document.dsse_envelope.is_some() {
            return Err(unsupported("a DSSE envelope"));
        }
        let Some(Hint { hint }) = document.verification_material.public_key else {
            return Err(unsupported("a bundle with a certificate instead of a key"));
        };
        let message = document.message_signature.ok_or_else(|| malformed("it has no messageSignature".to_owned()))?;
        let decode = |text: &str| BASE64.decode(text).map_err(|error| malformed(error.to_string()));
        Ok(Self {
            hint,
            algorithm: message.message_digest.algorithm,
            digest: decode(&message.message_digest.digest)?,
            signature: decode(&message.signature)?,
        })
    }

    /// Whether `key` made it over `statement`.
    pub fn check(&self, statement: &[u8], key: &PublicKey) -> Judgement {
        if !self.is_of(statement) {
            return if self.hint == hint(key) {
                Judgement::Wrong(SignatureError::OtherFile)
            } else {
                Judgement::Stranger
            };
        }
        if key.verify(statement, &self.signature) {
            return Judgement::Valid;
        }
        // The hint only chooses the words: without it a stranger's signature and a damaged one look the same.
        if self.hint == hint(key) { Judgement::Wrong(SignatureError::Wrong) } else { Judgement::Stranger }
    }

    /// Whether its digest is the statement's.
    pub fn check_statement(&self, statement: &[u8]) -> Result<(), SignatureError> {
        if self.is_of(statement) { Ok(()) } else { Err(SignatureError::OtherFile) }
    }

    fn is_of(&self, statement: &[u8]) -> bool {
        match self.algorithm.as_str() {
            SHA256 => self.digest == Sha256::digest(statement).as_slice(),
            SHA384 => self.digest == Sha384::digest(statement).as_slice(),
            SHA512 => self.digest == Sha512::digest(statement).as_slice(),
            "" => self.digest.is_empty(),
            _ => false,
        }
    }

    /// The hint, for people.
    pub fn claim(&self) -> String {
        let hint: String = self.hint.chars().filter(|c| !c.is_control()).take(64).collect();
        format!("the key with the hint {hint:?}")
    }
}

/// A bundle with the signature of `key` over `statement`: one line of JSON.
pub fn sign(statement: &[u8], key: &SigningKey) -> Result<Vec<u8>, KeyError> {
    let (algorithm, digest) = match key.algorithm() {
        KeyAlgorithm::P384 => (SHA384, Sha384::digest(statement).to_vec()),
        _ => (SHA256, Sha256::digest(statement).to_vec()),
    };
    let document = SigstoreDocument {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: Material { public_key: Some(Hint { hint: hint(key.public()) }) },
        message_signature: Some(Message {
            message_digest: MessageDigest { algorithm: algorithm.to_owned(), digest: BASE64.encode(digest) },
            signature: BASE64.encode(key.sign(statement)?),
        }),
        dsse_envelope: None,
    };
    let mut json = serde_json::to_vec(&document).map_err(|_| KeyError::Crypto)?;
    json.push(b'\n');
    Ok(json)
}

/// The base64 of the SHA-256 of the key's DER, as cosign hints.
fn hint(key: &PublicKey) -> String {
    BASE64.encode(key.fingerprint().raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::key::Password;

    const STATEMENT: &[u8] = b"{\"version\":1}";

    fn signed() -> (SigningKey, String) {
        let key = SigningKey::generate().unwrap();
        let json = String::from_utf8(sign(STATEMENT, &key).unwrap()).unwrap();
        (key, json)
    }

    fn parse(json: &str) -> Result<MessageSignature, SignatureError> {
        MessageSignature::parse(json.as_bytes())
    }

    #[test]
    fn it_is_its_keys_over_its_statement_and_no_others() {
        let (key, json) = signed();
        let signature = parse(&json).unwrap();
        assert!(matches!(signature.check(STATEMENT, key.public()), Judgement::Valid));
        let other = SigningKey::generate().unwrap();
        assert!(matches!(signature.check(STATEMENT, other.public()), Judgement::Stranger));
        assert!(matches!(signature.check(b"{}", key.public()), Judgement::Wrong(SignatureError::OtherFile)));
    }

    #[test]
    fn a_digest_that_was_exchanged_with_the_statement_does_not_help() {
        let (key, json) = signed();
        let forged = json.replace(&BASE64.encode(Sha256::digest(STATEMENT)), &BASE64.encode(Sha256::digest(b"{}")));
        assert_ne!(forged, json);
        let answer = parse(&forged).unwrap().check(b"{}", key.public());
        assert!(matches!(answer, Judgement::Wrong(SignatureError::Wrong)), "{answer:?}");
    }

    #[test]
    fn the_hint_of_a_trusted_key_does_not_make_a_strangers_signature_good() {
        let (trusted, _) = signed();
        let (stranger, json) = signed();
        let forged = json.replace(&hint(stranger.public()), &hint(trusted.public()));
        assert_ne!(forged, json);
        let answer = parse(&forged).unwrap().check(STATEMENT, trusted.public());
        assert!(matches!(answer, Judgement::Wrong(SignatureError::Wrong)), "{answer:?}");
        let whole_key = trusted.public().to_pem().unwrap().replace('\n', "");
        let forged = json.replace("\"publicKey\":{", &format!("\"publicKey\":{{\"rawBytes\":\"{whole_key}\","));
        let answer = parse(&forged).unwrap().check(STATEMENT, trusted.public());
        assert!(matches!(answer, Judgement::Stranger), "{answer:?}");
    }

    #[test]
    fn other_kinds_of_bundles_are_named() {
        let (_, json) = signed();
        for (from, to, expected) in [
            ("v0.3+json", "v0.4+json", "media type"),
            ("\"publicKey\"", "\"certificate\"", "certificate"),
            ("\"messageSignature\"", "\"dsseEnvelope\"", "DSSE"),
            ("\"messageSignature\"", "\"dsseEnvelope\":{},\"messageSignature\"", "DSSE"),
            ("\"messageSignature\"", "\"message\"", "no messageSignature"),
            ("\"signature\":\"", "\"signature\":\"!", "Invalid"),
            ("\"signature\":", "\"signature\":\"\",\"signature\":", "duplicate field"),
        ] {
            let error = parse(&json.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn what_cosign_signs_is_accepted() {
        for (public, bundle) in [
            (include_str!("fixtures/cosign-p256.pub"), include_str!("fixtures/cosign-p256.sigstore.json")),
            (include_str!("fixtures/cosign-p384.pub"), include_str!("fixtures/cosign-p384.sigstore.json")),
            (include_str!("fixtures/cosign-ed25519.pub"), include_str!("fixtures/cosign-ed25519.sigstore.json")),
            (include_str!("fixtures/cosign-rsa.pub"), include_str!("fixtures/cosign-rsa.sigstore.json")),
        ] {
            let (key, signature) = (public.parse().unwrap(), parse(bundle).unwrap());
            assert!(matches!(signature.check(STATEMENT, &key), Judgement::Valid), "{public}");
            assert!(matches!(signature.check(b"{}", &key), Judgement::Wrong(_)), "{public}");
        }
    }

    #[test]
    fn a_key_that_cosign_encrypted_is_opened_by_its_password() {
        let text = include_bytes!("fixtures/cosign-p256.key");
        let open = |password: &str| SigningKey::parse(text, || Some(Password::new(password.to_owned())));
        let key = open("secret").unwrap();
        assert_eq!(*key.public(), include_str!("fixtures/cosign-p256.pub").parse().unwrap());
        assert!(matches!(open("wrong"), Err(KeyError::WrongPassword)));
        assert!(matches!(SigningKey::parse(text, || None), Err(KeyError::PasswordNeeded)));
    }

    #[test]
    fn what_tools_add_is_passed_over() {
        let (key, json) = signed();
        let json =
            json.replace("\"publicKey\":", "\"tlogEntries\":[],\"timestampVerificationData\":null,\"publicKey\":");
        let answer = parse(&json).unwrap().check(STATEMENT, key.public());
        assert!(matches!(answer, Judgement::Valid), "{answer:?}");
    }
}
