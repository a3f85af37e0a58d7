//! The store's promise: what was acknowledged is there after `kill -9`, and what is visible is whole.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use airlift::oci::{Descriptor, Digest, media_type};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use crate::support::{
    Airlift,
    artifacts::noise,
    http::block_on,
    kills::{self, moments},
    process::Process,
};

/// Clients that push at the same time.
const PUSHERS: u64 = 4;

/// Bytes of a chunk of the upload that goes on through all kills.
const CHUNK: usize = 64 << 10;

/// What the clients know.
#[derive(Debug, Default)]
struct Known {
    /// Acknowledged blobs and manifests, as paths, with what they are.
    acknowledged: Vec<(String, Vec<u8>)>,
    /// Asked for, and perhaps there.
    attempted: Vec<(String, Vec<u8>)>,
    /// By pusher: the manifest that its tag was last acknowledged for, and those tried since.
    tags: Vec<(Option<Digest>, Vec<Digest>)>,
}

/// What happens, counted: requests begun and answered. A kill waits for one of them, and what else is under way then is
/// anywhere in its life.
#[derive(Debug)]
struct Events(watch::Sender<u64>);

impl Events {
    fn one(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// Waits for the `number`th from now on.
    async fn wait_for(&self, number: u64) {
        let mut counted = self.0.subscribe();
        let now = *counted.borrow();
        counted.wait_for(|count| *count >= now + number).await.unwrap();
    }
}

struct Server {
    process: Process,
    url: String,
}

impl Server {
    fn start(airlift: &Airlift, store: &Path) -> Self {
        let process = airlift.start(["serve", "--store", store.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
        let line = process.wait_for_line("Serving on ");
        Self { url: line.trim().strip_prefix("Serving on ").unwrap().to_owned(), process }
    }
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

/// Pushes blobs and images until the server is gone.
async fn push(url: &str, pusher: u64, counter: &AtomicU64, known: &Mutex<Known>, events: &Events) -> Option<()> {
    let client = client();
    loop {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        let content = noise(number, 1000 + usize::try_from(number % 200).unwrap() * 1500);
        let blob = Descriptor::of("application/octet-stream", &content);
        let path = format!("/v2/load/blobs/{}", blob.digest);
        known.lock().unwrap().attempted.push((path.clone(), content.clone()));
        events.one();
        let location = if number.is_multiple_of(2) {
            let upload = client.post(format!("{url}/v2/load/blobs/uploads/")).send().await.ok()?;
            events.one();
            format!("{url}{}?digest={}", upload.headers()["location"].to_str().unwrap(), blob.digest)
        } else {
            format!("{url}/v2/load/blobs/uploads/?digest={}", blob.digest)
        };
        let request = if number.is_multiple_of(2) { client.put(location) } else { client.post(location) };
        let answer = request.body(content.clone()).send().await.ok()?;
        assert_eq!(answer.status(), StatusCode::CREATED);
        known.lock().unwrap().acknowledged.push((path, content));
        events.one();

        let image = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": blob, "layers": []});
        let image = image.to_string();
        let digest = Digest::sha256(image.as_bytes());
        let tag = usize::try_from(pusher).unwrap();
        known.lock().unwrap().tags[tag].1.push(digest);
        let request = client.put(format!("{url}/v2/load/manifests/t{pusher}"));
        let request = request.header("content-type", media_type::OCI_MANIFEST);
        let answer = request.body(image.clone()).send().await.ok()?;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let mut known = known.lock().unwrap();
        known.acknowledged.push((format!("/v2/load/manifests/{digest}"), image.into_bytes()));
        known.tags[tag] = (Some(digest), Vec::new());
        drop(known);
        events.one();
    }
}

/// Sends chunks from where the upload is until the server is gone; what was acknowledged is remembered.
async fn continue_upload(
    url: &str,
    location: &str,
    content: &[u8],
    acknowledged: &AtomicU64,
    events: &Events,
) -> Option<()> {
    let client = client();
    let state = client.get(format!("{url}{location}")).send().await.ok()?;
    assert_eq!(state.status(), StatusCode::NO_CONTENT, "the upload outlived the kill");
    let last: u64 = state.headers()["range"].to_str().unwrap().strip_prefix("0-").unwrap().parse().unwrap();
    let before = acknowledged.load(Ordering::SeqCst);
    // Nothing and one byte look alike in this header.
    let mut at = if last == 0 { 0 } else { last + 1 };
    assert!(at >= before, "{before} bytes were acknowledged, {at} are left");
    loop {
        let start = usize::try_from(at).unwrap();
        let chunk = &content[start..content.len().min(start + CHUNK)];
        if chunk.is_empty() {
            return Some(());
        }
        let range = format!("{start}-{}", start + chunk.len() - 1);
        let request = client.patch(format!("{url}{location}")).header("content-range", range);
        let answer = request.body(chunk.to_vec()).send().await.ok()?;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        at += chunk.len() as u64;
        acknowledged.store(at, Ordering::SeqCst);
        events.one();
        tokio::task::yield_now().await;
    }
}

/// Everything acknowledged is there; everything visible is whole.
async fn check(url: &str, known: &Mutex<Known>) {
    let client = client();
    let (acknowledged, attempted) = {
        let mut known = known.lock().unwrap();
        (std::mem::take(&mut known.acknowledged), std::mem::take(&mut known.attempted))
    };
    for (path, content) in acknowledged {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path} was acknowledged");
        assert!(answer.bytes().await.unwrap() == content, "{path}");
    }
    for (path, content) in attempted {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        if answer.status() != StatusCode::NOT_FOUND {
            assert!(answer.bytes().await.unwrap() == content, "{path} is visible and must be whole");
        }
    }
    let tags = known.lock().unwrap().tags.clone();
    for (number, (last, tried)) in tags.into_iter().enumerate() {
        let answer = client.get(format!("{url}/v2/load/manifests/t{number}")).send().await.unwrap();
        if answer.status() == StatusCode::NOT_FOUND {
            assert_eq!(last, None, "t{number} was acknowledged");
            continue;
        }
        let digest = Digest::sha256(&answer.bytes().await.unwrap());
        assert!(last == Some(digest) || tried.contains(&digest), "t{number} is what nobody pushed last");
    }
}

#[test]
fn kills_under_load_lose_nothing_that_was_acknowledged() {
    let airlift = Airlift::new();
    let store = airlift.home().join("store");
    let known = Arc::new(Mutex::new(Known { tags: vec![(None, Vec::new()); 4], ..Known::default() }));
    let events = Events(watch::channel(0).0);
    let (counter, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    let content = noise(99, 64 << 20);
    let mut server = Server::start(&airlift, &store);
    let begun = block_on(client().post(format!("{}/v2/load/blobs/uploads/", server.url)).send()).unwrap();
    let location = begun.headers()["location"].to_str().unwrap().to_owned();
    let kills = kills::count() as u64;
    // From the first request on, spread over the first sixty events.
    for event in moments(60) {
        let url = server.url.clone();
        let load = async {
            let pushers = (0..PUSHERS).map(|pusher| push(&url, pusher, &counter, &known, &events));
            let all = futures::future::join_all(pushers);
            let upload = continue_upload(&url, &location, &content, &acknowledged, &events);
            let killed = async {
                events.wait_for(1 + event).await;
                server.process.signal(rustix::process::Signal::KILL);
            };
            // The one who kills is asked first, so that it has begun to count before anything happens.
            tokio::join!(killed, all, upload);
        };
        block_on(load);
        server.process.wait();
        server = Server::start(&airlift, &store);
        block_on(check(&server.url, &known));
    }
    assert!(counter.load(Ordering::SeqCst) > kills, "there was a load");
    block_on(async {
        continue_upload(&server.url, &location, &content, &acknowledged, &events).await.unwrap();
        let digest = Digest::sha256(&content);
        let done = client().put(format!("{}{location}?digest={digest}", server.url)).send().await.unwrap();
        assert_eq!(done.status(), StatusCode::CREATED, "what was sent through {kills} kills is one blob");
    });
}
