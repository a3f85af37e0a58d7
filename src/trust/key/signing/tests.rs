use super::*;

const MESSAGE: &[u8] = b"message";

/// Made by `openssl genpkey` and `openssl ecparam`, with the password "secret" where there is one.
const KEYS: [(&str, KeyAlgorithm, bool); 6] = [
    (include_str!("fixtures/p256.pem"), KeyAlgorithm::P256, false),
    (include_str!("fixtures/p256-encrypted.pem"), KeyAlgorithm::P256, true),
    (include_str!("fixtures/p256-sec1.pem"), KeyAlgorithm::P256, false),
    (include_str!("fixtures/p384.pem"), KeyAlgorithm::P384, false),
    (include_str!("fixtures/ed25519.pem"), KeyAlgorithm::Ed25519, false),
    (include_str!("fixtures/ed25519-encrypted.pem"), KeyAlgorithm::Ed25519, true),
];

fn secret(text: &str) -> Password {
    Password::new(text.to_owned())
}

#[test]
fn keys_of_openssl_sign_and_their_public_keys_verify() {
    for (pem, algorithm, encrypted) in KEYS {
        let key = SigningKey::parse(pem.as_bytes(), || Some(secret("secret"))).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let public: PublicKey = key.public().to_pem().unwrap().parse().unwrap();
        assert_eq!(public, *key.public());
        let signature = key.sign(MESSAGE).unwrap();
        assert!(public.verify(MESSAGE, &signature));
        assert!(!public.verify(b"messagf", &signature));
        let opened = SigningKey::parse(pem.as_bytes(), || None);
        assert_eq!(matches!(opened, Err(KeyError::PasswordNeeded)), encrypted);
        let opened = SigningKey::parse(pem.as_bytes(), || Some(secret("wrong")));
        assert_eq!(matches!(opened, Err(KeyError::WrongPassword)), encrypted);
    }
}

#[test]
fn a_new_key_is_read_back_plain_and_encrypted() {
    let key = SigningKey::generate().unwrap();
    assert_ne!(key.public(), SigningKey::generate().unwrap().public());
    let plain = key.to_pem(None).unwrap();
    assert_eq!(SigningKey::parse(plain.as_bytes(), || None).unwrap().public(), key.public());
    let sealed = key.to_pem(Some(&secret("hunter2"))).unwrap();
    assert!(sealed.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_eq!(SigningKey::parse(sealed.as_bytes(), || Some(secret("hunter2"))).unwrap().public(), key.public());
}

#[test]
fn other_keys_are_refused_by_name() {
    for (pem, expected) in [
        (include_str!("fixtures/rsa.pem"), "another algorithm"),
        (include_str!("fixtures/p521.pem"), "another algorithm"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "--ssh"),
        ("hello", "a private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "cannot be read"),
    ] {
        let error = SigningKey::parse(pem.as_bytes(), || None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_damaged_key_never_panics() {
    for (pem, ..) in KEYS.into_iter().filter(|(_, _, encrypted)| !encrypted) {
        for at in 0..pem.len() {
            let mut changed = pem.as_bytes().to_vec();
            changed[at] ^= 4;
            drop(SigningKey::parse(&changed, || None));
            drop(SigningKey::parse(&pem.as_bytes()[..at], || None));
        }
    }
}
