//! How providers are spoken to: times, and the client for what `object_store` has no call for.

use std::time::Duration;

use super::super::{
    Settings,
    error::{Error, Result, cause},
};

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(20);

/// How much longer than a read may be silent nothing may arrive; a part that is being sent counts as nothing.
pub(super) const SENDING: u32 = 5;

/// How often one request is tried again at most.
pub(super) const RETRIES: usize = 10;

/// The client for what `object_store` has no call for. A signature or a token must not follow a redirect.
pub(super) fn client_of_ours(settings: &Settings, what: &str) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(settings.silence * SENDING)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::Protocol { what: what.to_owned(), reason: cause(&error).to_string() })
}
