//! The beginning of an HTTP client that trusts the certificates of `--ca-cert` too, whichever provider it speaks to.

use std::{fs, io};

use reqwest::ClientBuilder;

use super::{error::Error, settings::Settings};
use crate::content::{client, trust::Trust};

/// A client with the trust of `settings` beside that of the system.
///
/// # Errors
/// A file of certificates cannot be read.
pub(super) fn trusting(settings: &Settings) -> Result<ClientBuilder, Error> {
    let mut trust = Trust::default();
    for path in &settings.ca_certs {
        let pem = fs::read(path).map_err(|error| Error::read(path, error))?;
        if !trust.add(&pem) {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it holds no PEM certificate");
            return Err(Error::read(path, error));
        }
    }
    let what = "the certificates to trust".to_owned();
    client::builder(&trust, None).map_err(|error| Error::Protocol { what, reason: error.to_string() })
}
