//! The registry client against registries that deviate from the specification as registries in the field do.

mod certificates;
mod head;
mod names;
mod patience;
mod push;

use std::{sync::Arc, time::Duration};

use airlift::{
    content::{self, ByteStream, Code, Fault, Lookup, Resolve, Sink, Source, Verified},
    oci::{Descriptor, Digest, Name, Tag, media_type},
    registry::{Client, RemoteRepository, Settings},
};
use futures::TryStreamExt;
use serde_json::json;

use super::support::{
    artifacts::{Artifact, noise},
    hostile::{Hostile, Reply, Request},
};

/// Settings of a client that loses patience in milliseconds and knows no credentials.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.authfile = Some("/nowhere/auth.json".into());
    settings.retry.attempts = 4;
    settings.retry.first = Duration::from_millis(1);
    settings.retry.longest = Duration::from_millis(4);
    settings.retry.longest_asked = Duration::from_millis(8);
    settings.retry.limited = Duration::from_millis(20);
    settings.retry.stall_window = Duration::from_millis(300);
    settings
}

fn repository(server: &Hostile) -> RemoteRepository {
    Client::new(settings()).unwrap().repository(&server.address(), "team/app")
}

fn blob(content: &[u8]) -> Descriptor {
    Descriptor::new("application/octet-stream", Digest::sha256(content), content.len() as u64)
}

fn tag(text: &str) -> Name {
    Name::Tag(text.parse::<Tag>().unwrap())
}

async fn read(stream: content::Result<ByteStream>) -> content::Result<Vec<u8>> {
    stream?
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
}

/// An error with all its causes, as a person reads it.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
