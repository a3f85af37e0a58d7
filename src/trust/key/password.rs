//! A password that does not show itself.

use std::fmt;

use zeroize::Zeroizing;

/// The password of a private key. It is wiped when it is dropped and never printed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A password from a prompt or the environment.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(in crate::trust) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}
