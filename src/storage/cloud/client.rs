//! How providers are spoken to: times, and the client for what `object_store` has no call for.

use std::time::Duration;

use super::super::{
    Settings,
    error::{Error, Result, cause},
    trusted::trusting,
};

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(20);

/// How much longer than a read may be silent nothing may arrive; a part that is being sent counts as nothing.
pub(super) const SENDING: u32 = 5;

/// How often one request is tried again at most.
pub(super) const RETRIES: usize = 10;

/// How long connecting may take to what tells a machine in the cloud who it is: where there is none, nothing answers.
const CONNECT_TO_METADATA: Duration = Duration::from_secs(1);

/// The client for what `object_store` has no call for. A signature or a token must not follow a redirect.
pub(super) fn client_of_ours(settings: &Settings, what: &str) -> Result<reqwest::Client> {
    client(settings, CONNECT, what)
}

/// The client that finds out who this machine is, where no variable says it.
pub(super) fn client_for_metadata(settings: &Settings, what: &str) -> Result<reqwest::Client> {
    client(settings, CONNECT_TO_METADATA, what)
}

fn client(settings: &Settings, connect: Duration, what: &str) -> Result<reqwest::Client> {
    trusting(settings)?
        .connect_timeout(connect)
        .read_timeout(settings.silence * SENDING)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::Protocol { what: what.to_owned(), reason: cause(&error).to_string() })
}
