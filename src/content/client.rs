//! How every HTTP client of ours begins: names by [`super::names`], certificates by [`super::trust`]. It is the one place that
//! makes a builder, so that no client looks up a host or trusts a server in a way of its own.

use reqwest::ClientBuilder;

use super::{names::MachineNames, trust::Trust};

/// A client with `trust` beside that of the system, and with a PEM chain and key of our own.
///
/// # Errors
/// The chain and key do not fit, or a certificate cannot be an authority.
pub(crate) fn builder(trust: &Trust, identity: Option<&[u8]>) -> Result<ClientBuilder, rustls::Error> {
    Ok(any_builder().tls_backend_preconfigured(trust.config(identity)?))
}

/// A client that takes any certificate.
pub(crate) fn builder_without_verification() -> ClientBuilder {
    any_builder().tls_danger_accept_invalid_certs(true)
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn any_builder() -> ClientBuilder {
    reqwest::Client::builder().dns_resolver(MachineNames)
}
