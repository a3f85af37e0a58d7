//! The registry client against peers that break, lie, stall and lead astray.

mod answers;
mod attached;
mod authority;
mod downloads;
mod lists;
mod tag_lists;
mod uploads;
mod words;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use airlift::{
    content::{self, ByteStream, Code, Fault, Lookup, Referrers, Resolve, Sink, Source, Verified, memory::Memory},
    oci::{Descriptor, Digest, Name, Tag, media_type},
    progress::{Event, Observe, Progress},
    registry::{Client, RemoteRepository, Settings, credentials},
};
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::json;

use super::support::{
    artifacts::{Artifact, Blob, FOREIGN, noise},
    hostile::{Hostile, Reply, Request, Script},
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

/// Keeps the causes of retries.
#[derive(Default)]
struct Watcher(Mutex<Vec<String>>);

impl Observe for Watcher {
    fn observe(&self, event: Event) {
        if let Event::Retried { what, cause, attempt, .. } = event {
            self.0.lock().unwrap().push(format!("{attempt} {what} {cause}"));
        }
    }
}

fn watched() -> (Client, Arc<Watcher>) {
    let watcher = Arc::new(Watcher::default());
    let mut settings = settings();
    settings.progress = Progress::to(watcher.clone());
    (Client::new(settings).unwrap(), watcher)
}

async fn read(stream: content::Result<ByteStream>) -> content::Result<Vec<u8>> {
    stream?
        .try_fold(Vec::new(), async |mut all, chunk| {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await
}

/// What a sink would see: the stream, verified.
async fn read_verified(repository: &RemoteRepository, blob: &Descriptor) -> content::Result<Bytes> {
    Verified::open(Arc::new(repository.clone()), blob).await?.collect().await
}

fn blob(content: &[u8]) -> Descriptor {
    Descriptor::of("application/octet-stream", content)
}

/// The first byte of `Range: bytes=N-`, if any.
fn range(request: &Request) -> Option<usize> {
    request.header("range").strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn partial(content: &[u8], from: usize) -> Reply {
    let span = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
    Reply::new(206).header("content-range", &span).header("etag", "\"one\"").body(&content[from..])
}

/// A counter that tells which call this is, from 0.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicU32>);

impl Calls {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    fn seen(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
