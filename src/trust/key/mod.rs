//! Keys: public ones of signers, and private ones to sign with.

mod cosign;
mod error;
mod password;
mod public;
mod signing;

pub use error::KeyError;
pub use password::Password;
pub use public::{KeyAlgorithm, PublicKey};
pub use signing::SigningKey;
