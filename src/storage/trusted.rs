//! HTTP clients that trust the certificates of `--ca-cert` too, whichever provider they speak to.

use std::{fs, io};

use reqwest::ClientBuilder;

use super::{error::Error, settings::Settings};
use crate::content::trust::Trust;

/// `client` with the trust of `settings` beside that of the system.
///
/// # Errors
/// A file of certificates cannot be read, or the certificates of the system cannot.
pub(super) fn trusting(client: ClientBuilder, settings: &Settings) -> Result<ClientBuilder, Error> {
    let mut trust = Trust::default();
    for path in &settings.ca_certs {
        let pem = fs::read(path).map_err(|error| Error::read(path, error))?;
        if !trust.add(&pem) {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it holds no PEM certificate");
            return Err(Error::read(path, error));
        }
    }
    if trust.is_empty() {
        return Ok(client);
    }
    let what = "the certificates to trust".to_owned();
    trust.client(client, true, None).map_err(|error| Error::Protocol { what, reason: error.to_string() })
}
