//! A registry as a place: the distribution API (distribution-spec 1.1) from the client's side.
//!
//! [`Client`] holds what all repositories share (connections, tokens, the policy); a [`RemoteRepository`] is the place that the
//! engine moves content out of or into. Nothing here hashes a blob: what leaves is unverified, what enters was verified
//! by [`crate::content::Verified`]. Everything that a peer says is checked against caps and the `policy` of addresses.

mod answer;
mod auth;
mod blob;
mod catalog;
mod client;
mod content_range;
mod detail;
mod download;
mod endpoint;
mod error;
mod feed;
mod head;
mod learnt;
mod limit;
mod link;
mod manifest;
mod page;
mod policy;
mod quoted;
mod redact;
mod referrers;
mod refusal;
mod repository;
mod retry;
mod seam;
mod settings;
mod tags;
mod transport;
mod upload;

pub use auth::credentials;
pub use client::Client;
pub use detail::Detail;
pub use error::{At, Error};
pub use redact::Redacted;
pub use repository::RemoteRepository;
pub use retry::Retry;
pub use settings::Settings;

/// The readers of headers, which take anything that a stranger may write.
#[doc(hidden)]
pub mod headers {
    pub use super::{
        auth::challenge::{Bearer, Challenge},
        content_range::ContentRange,
        link::{UnreadableLink, next_link},
    };
}
