//! What is Google's own about its Cloud Storage: who to be and where, and writing.
//!
//! `object_store` reads, lists and finds the credentials. It could write as well, by the multipart uploads of the XML interface,
//! but their completion takes no condition: Google answers one with 400, and without it replaces what is there. So a bundle's
//! parts are objects of their own here, and the commit composes them, which is atomic and may insist on creating.

mod api;
mod parts;
mod upload;

use std::sync::Arc;

use object_store::{
    ClientOptions, RetryConfig,
    gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey},
};

pub(super) use self::{
    api::Api,
    parts::is_part,
    upload::{Composed, remove},
};
use super::{
    super::{PartLimits, Settings, error::Result, location::Bucket, settings::GOOGLE_EMULATOR},
    failure::CloudRequest,
};

/// Compositions have no limit of their own: this is an object's, 5 TiB, in parts of which a few fit into memory.
pub(super) const LIMITS: PartLimits = PartLimits { parts: 10_240, smallest: 1, largest: 512 << 20 };

/// Where Google is.
const PUBLIC: &str = "https://storage.googleapis.com";

/// Clients of a bucket: for what `object_store` does, and for the rest.
pub(super) fn clients(
    place: &Bucket,
    settings: &Settings,
    (options, retry): (ClientOptions, RetryConfig),
    asked: &CloudRequest,
) -> Result<(Arc<GoogleCloudStorage>, Api)> {
    let keys = settings.variables.iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let keys = keys.filter_map(|(name, value)| Some((name.parse().ok()?, value)));
    let builder = keys.fold(GoogleCloudStorageBuilder::new(), |builder, (key, value)| builder.with_config(key, value));
    let builder = builder.with_bucket_name(&place.bucket).with_client_options(options).with_retry(retry);
    let named = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let emulator = emulator(settings).filter(|_| named.is_none());
    let skips = builder.get_config_value(&GoogleConfigKey::SkipSignature).is_some_and(|value| is_yes(&value));
    let anonymous = emulator.is_some() || skips;
    let base = named.or(emulator).unwrap_or_else(|| PUBLIC.to_owned());
    let base = base.trim_end_matches('/').to_owned();
    let builder = builder.with_base_url(&base);
    // With a token, even an empty one, the client asks for no other; it is not sent.
    let builder = if anonymous { builder.with_skip_signature(true).with_bearer_token("") } else { builder };
    // No request is made yet: what can fail is a file of credentials.
    let store = Arc::new(builder.build().map_err(|error| asked.credential(&error))?);
    let credentials = (!anonymous).then(|| Arc::clone(store.credentials()));
    let api = Api::new(base, place, credentials, settings)?;
    Ok((store, api))
}

/// The emulator's address; plain `HOST:PORT` is one of HTTP.
fn emulator(settings: &Settings) -> Option<String> {
    let (_, host) = settings.variables.iter().find(|(name, _)| name == GOOGLE_EMULATOR)?;
    match host.trim() {
        "" => None,
        host if host.contains("://") => Some(host.to_owned()),
        host => Some(format!("http://{host}")),
    }
}

/// As `object_store` reads the values of its switches.
fn is_yes(value: &str) -> bool {
    ["1", "true", "on", "yes", "y"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emulators_address_is_an_address_with_and_without_a_scheme() {
        let of = |host: &str| {
            emulator(&Settings {
                variables: vec![(GOOGLE_EMULATOR.to_owned(), host.to_owned())],
                ..Settings::default()
            })
        };
        assert_eq!(of("localhost:4443").as_deref(), Some("http://localhost:4443"));
        assert_eq!(of("https://gcs.test").as_deref(), Some("https://gcs.test"));
        assert_eq!(of(""), None);
        assert_eq!(emulator(&Settings::default()), None);
    }
}
