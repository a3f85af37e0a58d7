//! The registry client against peers that break, lie, stall and lead astray.

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
    registry::{Client, Repository, Settings, credentials},
};
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::json;

use super::support::{
    artifacts::{Artifact, FOREIGN, noise},
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
    settings.retry.stall_window = Duration::from_millis(300);
    settings
}

fn repository(server: &Hostile) -> Repository {
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
async fn read_verified(repository: &Repository, blob: &Descriptor) -> content::Result<Bytes> {
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

#[tokio::test]
async fn a_blob_that_breaks_is_continued_where_it_broke() {
    let content = noise(1, 300_000);
    let (whole, calls) = (content.clone(), Calls::default());
    let server = Hostile::start(|_| {
        move |request: &Request| {
            if !request.path.contains("/blobs/") {
                return Reply::new(200);
            }
            match (calls.next(), range(request)) {
                (0, None) => Reply::ok(whole.clone()).header("etag", "\"one\"").reset_after(100_000),
                (1, Some(from)) => partial(&whole, from).reset_after(50_000),
                (_, Some(from)) => partial(&whole, from),
                _ => Reply::new(500),
            }
        }
    })
    .await;
    let (client, watcher) = watched();
    let repository = client.repository(&server.address(), "team/app");
    assert_eq!(read_verified(&repository, &blob(&content)).await.unwrap(), content);
    let asked: Vec<_> = server.requests().iter().map(|r| (range(r), r.header("if-range").to_owned())).collect();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0], (None, String::new()));
    assert!(asked[1].0.is_some_and(|from| from <= 100_000) && asked[1].1 == "\"one\"", "{asked:?}");
    assert!(asked[2].0 > asked[1].0, "{asked:?}");
    let told = watcher.0.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("2 ") && told[0].contains("the connection broke after"), "{told:?}");
}

#[tokio::test]
async fn a_server_without_ranges_is_read_again_and_skipped() {
    let content = noise(2, 200_000);
    let (whole, calls) = (content.clone(), Calls::default());
    let server = Hostile::start(|_| {
        move |request: &Request| match request.path.contains("/blobs/").then(|| calls.next()) {
            Some(0) => Reply::ok(whole.clone()).reset_after(70_000),
            _ => Reply::ok(whole.clone()),
        }
    })
    .await;
    let repository = repository(&server);
    assert_eq!(read(repository.fetch(&blob(&content), 0).await).await.unwrap(), content);
    // From a byte in the middle it does the same.
    assert_eq!(read(repository.fetch(&blob(&content), 150_000).await).await.unwrap(), content[150_000..]);
}

#[tokio::test]
async fn a_wrong_content_range_is_an_error() {
    let content = noise(3, 1000);
    for header in ["bytes 0-999/1000", "bytes 501-999/1000", "bytes 500-999/2000", ""] {
        let whole = content.clone();
        let server = Hostile::start(|_| {
            move |request: &Request| match range(request) {
                Some(from) => Reply::new(206).header("content-range", header).body(&whole[from..]),
                None => Reply::new(200),
            }
        })
        .await;
        let error = read(repository(&server).fetch(&blob(&content), 500).await).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryProtocol, "{header}: {error}");
    }
}

#[tokio::test]
async fn short_long_and_wrong_bodies_do_not_verify() {
    let content = noise(4, 5000);
    let mut flipped = content.clone();
    flipped[2500] ^= 1;
    for (body, code) in [
        (content[..4000].to_vec(), Code::ContentSizeMismatch),
        ([&content[..], b"more"].concat(), Code::ContentSizeMismatch),
        (flipped, Code::ContentDigestMismatch),
    ] {
        let server = Hostile::start(|_| move |_: &Request| Reply::ok(body.clone())).await;
        let error = read_verified(&repository(&server), &blob(&content)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn a_body_without_length_that_is_cut_is_continued() {
    let content = noise(5, 50_000);
    let (whole, calls) = (content.clone(), Calls::default());
    let server = Hostile::start(|_| {
        move |request: &Request| match (request.path.contains("/blobs/").then(|| calls.next()), range(request)) {
            (Some(0), _) => Reply::ok(&whole[..20_000]).close_delimited(),
            (_, Some(from)) => partial(&whole, from),
            _ => Reply::new(200),
        }
    })
    .await;
    assert_eq!(read_verified(&repository(&server), &blob(&content)).await.unwrap(), content);
}

#[tokio::test]
async fn a_stream_that_stands_still_is_opened_again_and_given_up_in_the_end() {
    let content = noise(6, 50_000);
    let (whole, calls) = (content.clone(), Calls::default());
    let server = Hostile::start(|_| {
        move |request: &Request| match (request.path.contains("/blobs/").then(|| calls.next()), range(request)) {
            (Some(0), _) => Reply::ok(whole.clone()).hang_after(20_000),
            (_, Some(from)) => partial(&whole, from),
            _ => Reply::new(200),
        }
    })
    .await;
    assert_eq!(read_verified(&repository(&server), &blob(&content)).await.unwrap(), content);

    let whole = content.clone();
    let server = Hostile::start(|_| move |_: &Request| Reply::ok(whole.clone()).hang_after(0)).await;
    let mut impatient = settings();
    impatient.plain_http = vec![server.address()];
    impatient.retry.attempts = 2;
    impatient.retry.stall_window = Duration::from_millis(30);
    let repository = Client::new(impatient).unwrap().repository(&server.address(), "team/app");
    let error = read_verified(&repository, &blob(&content)).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryStalled, "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_and_has_an_end() {
    let calls = Calls::default();
    let counted = calls.clone();
    let server = Hostile::start(|_| {
        move |request: &Request| match request.path.contains("/blobs/").then(|| counted.next()) {
            Some(0) => Reply::error(429, "TOOMANYREQUESTS").header("retry-after", "0"),
            Some(1) => Reply::new(503).header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(2) => Reply::new(502),
            _ => Reply::new(200),
        }
    })
    .await;
    let (client, watcher) = watched();
    let repository = client.repository(&server.address(), "team/app");
    assert!(repository.contains(&blob(b"x")).await.unwrap());
    assert_eq!((calls.seen(), watcher.0.lock().unwrap().len()), (4, 3));

    let server = Hostile::start(|_| {
        |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            _ => Reply::error(429, "TOOMANYREQUESTS").header("retry-after", "86400"),
        }
    })
    .await;
    let error = self::repository(&server).resolve(&Name::Tag(Tag::latest())).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryRateLimited);
    assert_eq!(server.requests().len(), 4, "as many tries as were allowed");
    assert!(error.to_string().contains("TOOMANYREQUESTS as told"), "{error}");
}

#[tokio::test]
async fn only_a_definite_404_means_absent() {
    for (status, code) in [
        (401, Code::RegistryUnauthorized),
        (403, Code::RegistryDenied),
        (429, Code::RegistryRateLimited),
        (500, Code::RegistryServer),
        (400, Code::RegistryRefused),
        (302, Code::RegistryProtocol),
    ] {
        let server = Hostile::start(|_| {
            move |request: &Request| match request.path.as_str() {
                "/v2/" => Reply::new(200),
                _ => Reply::new(status),
            }
        })
        .await;
        let repository = repository(&server);
        assert_eq!(repository.contains(&blob(b"x")).await.unwrap_err().code(), code);
        assert_eq!(repository.referrers(&Digest::sha256(b"x")).await.unwrap_err().code(), code);
        assert_eq!(repository.head(&Name::Digest(Digest::sha256(b"x"))).await.unwrap_err().code(), code);
    }
    let server = Hostile::start(|_| |_: &Request| Reply::new(404)).await;
    let repository = repository(&server);
    assert!(!repository.contains(&blob(b"x")).await.unwrap());
    assert_eq!(repository.referrers(&Digest::sha256(b"x")).await.unwrap(), []);
}

#[tokio::test]
async fn a_lying_digest_an_endless_and_an_ambiguous_manifest_are_refused() {
    let image = Artifact::small(1, 10);
    let raw = image.root.raw().clone();
    let other = Digest::sha256(b"other");
    let by = |reply: Reply| async move {
        let server = Hostile::start(|_| move |_: &Request| reply.clone()).await;
        let tag = Name::Tag(Tag::latest());
        repository(&server).resolve(&tag).await.map_err(|error| (error.code(), error.to_string()))
    };
    let typed = |body: Vec<u8>| Reply::ok(body).header("content-type", media_type::OCI_MANIFEST);

    let lie = typed(raw.to_vec()).header("docker-content-digest", &other.to_string());
    let (code, text) = by(lie).await.unwrap_err();
    assert_eq!(code, Code::ContentDigestMismatch);
    assert!(text.contains(&other.to_string()) && text.contains(&image.digest().to_string()), "{text}");

    let (code, _) = by(typed(b"{".to_vec()).endless()).await.unwrap_err();
    assert_eq!(code, Code::ContentTooLarge);
    let (code, _) = by(typed(vec![b' '; (4 << 20) + 1])).await.unwrap_err();
    assert_eq!(code, Code::ContentTooLarge);

    let mut both = serde_json::to_value(serde_json::from_slice::<serde_json::Value>(&raw).unwrap()).unwrap();
    both["manifests"] = json!([]);
    let (code, _) = by(typed(both.to_string().into_bytes())).await.unwrap_err();
    assert_eq!(code, Code::ManifestAmbiguous);
    let (code, _) = by(Reply::ok(raw.to_vec()).header("content-type", media_type::OCI_INDEX)).await.unwrap_err();
    assert_eq!(code, Code::ManifestAmbiguous);
    by(typed(raw.to_vec())).await.unwrap();

    let server = Hostile::start(|_| move |_: &Request| typed(raw.to_vec())).await;
    let error = repository(&server).resolve(&Name::Digest(other)).await.unwrap_err();
    assert_eq!(error.code(), Code::ContentDigestMismatch);
}

/// A registry whose token service gives `token-1`, `token-2`, … and that takes each for `uses` calls.
struct Guarded {
    address: String,
    life: u64,
    uses: u32,
    given: Calls,
    used: Mutex<u32>,
    content: Vec<u8>,
}

impl Script for Guarded {
    fn reply(&self, request: &Request) -> Reply {
        if request.path == "/token" {
            let n = self.given.next() + 1;
            *self.used.lock().unwrap() = 0;
            return Reply::ok(json!({"token": format!("token-{n}"), "expires_in": self.life}).to_string());
        }
        let realm = format!("http://{}/token", self.address);
        let scope = "repository:team/app:pull";
        let good = format!("Bearer token-{}", self.given.seen());
        let mut used = self.used.lock().unwrap();
        if request.header("authorization") != good || *used >= self.uses {
            return Reply::bearer(&realm, scope);
        }
        *used += 1;
        Reply::ok(self.content.clone())
    }
}

async fn guarded(life: u64, uses: u32, content: &[u8]) -> Hostile {
    Hostile::start(|address| Guarded {
        address: address.to_owned(),
        life,
        uses,
        given: Calls::default(),
        used: Mutex::new(0),
        content: content.to_vec(),
    })
    .await
}

fn tokens(server: &Hostile) -> usize {
    server.requests().iter().filter(|request| request.path == "/token").count()
}

#[tokio::test]
async fn many_calls_at_once_share_one_token() {
    let content = noise(8, 1000);
    let server = guarded(300, u32::MAX, &content).await;
    let repository = repository(&server);
    let blob = blob(&content);
    let fetches = (0..40).map(|_| async { read(repository.fetch(&blob, 0).await).await });
    for fetched in futures::future::join_all(fetches).await {
        assert_eq!(fetched.unwrap(), content);
    }
    assert_eq!(tokens(&server), 1);
    let asked = server.requests().into_iter().find(|request| request.path == "/token").unwrap();
    assert!(asked.query.contains("service=it") && asked.query.contains("repository%3Ateam%2Fapp%3Apull"), "{asked:?}");
    assert_eq!(asked.header("authorization"), "", "nobody is logged in");
}

#[tokio::test]
async fn a_token_that_runs_out_is_replaced_and_the_call_made_again() {
    let content = noise(9, 1000);
    let server = guarded(300, 3, &content).await;
    let repository = repository(&server);
    for _ in 0..9 {
        assert_eq!(read(repository.fetch(&blob(&content), 0).await).await.unwrap(), content);
    }
    assert_eq!(tokens(&server), 3);
    let refused = server.requests().iter().filter(|r| r.path.contains("/blobs/")).count() - 9;
    assert_eq!(refused, 3, "the first call, and one for each token that ran out");

    // Tokens that say of themselves that they are short-lived are not used beyond that.
    let server = guarded(0, u32::MAX, &content).await;
    let repository = self::repository(&server);
    read(repository.fetch(&blob(&content), 0).await).await.unwrap();
    assert_eq!(tokens(&server), 1);

    // One that is never taken is no reason to go on for ever.
    let server = guarded(300, 0, &content).await;
    let error = self::repository(&server).contains(&blob(&content)).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnauthorized);
    assert_eq!(tokens(&server), 1);
}

#[tokio::test]
async fn credentials_go_to_the_token_service_in_their_own_form() {
    let folder = tempfile::tempdir().unwrap();
    let authfile = folder.path().join("auth.json");
    let content = noise(10, 100);
    let server = guarded(300, u32::MAX, &content).await;
    let fetch = async || {
        let mut settings = settings();
        settings.authfile = Some(authfile.clone());
        let repository = Client::new(settings).unwrap().repository(&server.address(), "team/app");
        read(repository.fetch(&blob(&content), 0).await).await.unwrap();
        server.requests().into_iter().rfind(|request| request.path == "/token").unwrap()
    };
    let password = credentials::Credential::Password { user: "ada".to_owned(), password: "love".to_owned() };
    credentials::store(Some(&authfile), &server.address(), &password).unwrap();
    let asked = fetch().await;
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("GET", "Basic YWRhOmxvdmU="));

    let identity = credentials::Credential::IdentityToken("identity&token".to_owned());
    credentials::store(Some(&authfile), &server.address(), &identity).unwrap();
    let asked = fetch().await;
    let form = String::from_utf8(asked.body.clone()).unwrap();
    assert_eq!((asked.method.as_str(), asked.header("authorization"), asked.query.as_str()), ("POST", "", ""));
    assert!(form.contains("grant_type=refresh_token") && form.contains("refresh_token=identity%26token"), "{form}");
}

#[tokio::test]
async fn a_mount_asks_for_a_token_for_both_repositories() {
    let server = Hostile::start(|address| {
        let realm = format!("http://{address}/token");
        move |request: &Request| match (request.path.as_str(), request.header("authorization")) {
            ("/token", _) => Reply::ok(json!({"access_token": "t"}).to_string()),
            (_, "") => Reply::bearer(&realm, "repository:team/app:pull,push"),
            _ => Reply::new(201),
        }
    })
    .await;
    assert!(repository(&server).mount(&blob(b"x"), "team/base").await.unwrap());
    let asked = server.requests().into_iter().find(|request| request.path == "/token").unwrap();
    for scope in ["repository%3Ateam%2Fapp%3Apull%2Cpush", "repository%3Ateam%2Fbase%3Apull"] {
        assert!(asked.query.contains(scope), "{}", asked.query);
    }
}

#[tokio::test]
async fn a_redirect_is_followed_without_our_authorization() {
    let content = noise(11, 1000);
    let stored = content.clone();
    let storage = Hostile::start(|_| move |_: &Request| Reply::ok(stored.clone())).await;
    let target = format!("http://{}/bucket?sig=geheim", storage.address());
    let registry = Hostile::start(|address| {
        let realm = format!("http://{address}/token");
        move |request: &Request| match (request.path.as_str(), request.header("authorization")) {
            ("/token", _) => Reply::ok(json!({"token": "t"}).to_string()),
            (_, "") => Reply::bearer(&realm, "repository:team/app:pull"),
            _ => Reply::new(307).header("location", &target),
        }
    })
    .await;
    assert_eq!(read(repository(&registry).fetch(&blob(&content), 0).await).await.unwrap(), content);
    let [seen] = storage.requests().try_into().unwrap();
    assert_eq!((seen.header("authorization"), seen.query.as_str()), ("", "sig=geheim"));
}

#[tokio::test]
async fn nobody_is_led_to_an_inner_address_that_the_person_did_not_name() {
    let inner = Hostile::start(|_| |_: &Request| Reply::ok("{}")).await;
    let port = inner.address().rsplit_once(':').unwrap().1.to_owned();
    // The same machine by a name that nobody used.
    let target = format!("http://localhost:{port}/x?sig=geheim");
    let to = target.clone();
    let redirecting = Hostile::start(|_| {
        move |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            _ => Reply::new(307).header("location", &to),
        }
    })
    .await;
    let to = target.clone();
    let asking = Hostile::start(|_| move |_: &Request| Reply::bearer(&to, "repository:team/app:pull")).await;
    let to = target.clone();
    let uploading = Hostile::start(|_| move |_: &Request| Reply::new(202).header("location", &to)).await;
    let to = target.clone();
    let paging = Hostile::start(|_| {
        move |_: &Request| Reply::ok(r#"{"tags":["a"]}"#).header("link", &format!("<{to}>; rel=\"next\""))
    })
    .await;
    let content = noise(12, 300_000);
    let errors = [
        read(repository(&redirecting).fetch(&blob(b"x"), 0).await).await.unwrap_err(),
        repository(&asking).contains(&blob(b"x")).await.unwrap_err(),
        repository(&uploading)
            .push(&blob(&content), Verified::bytes(blob(&content), content.into()))
            .await
            .unwrap_err(),
        repository(&paging).tags().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), Code::RegistryPolicy, "{error}");
        assert!(error.to_string().contains("localhost") && !error.to_string().contains("geheim"), "{error}");
    }
    assert_eq!(inner.requests().len(), 0);

    let mut named = settings();
    named.named_hosts = vec!["localhost".to_owned()];
    let repository = Client::new(named).unwrap().repository(&redirecting.address(), "team/app");
    assert_eq!(read(repository.fetch(&blob(b"x"), 0).await).await.unwrap(), b"{}");
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_endless_ones_are_refused() {
    let server = Hostile::start(|_| {
        |request: &Request| match request.query.as_str() {
            "n=1000" => {
                Reply::ok(r#"{"tags":["a","b"]}"#).header("link", "</v2/team/app/tags/list?last=b>; rel=\"next\"")
            }
            "last=b" => Reply::ok(r#"{"tags":["c","not a tag"]}"#).header("link", "<?last=c>; rel=next"),
            _ => Reply::ok(r#"{"tags":null}"#),
        }
    })
    .await;
    let tags = repository(&server).tags().await.unwrap();
    assert_eq!(tags, ["a", "b", "c"].map(|tag| tag.parse().unwrap()));

    let loops = Hostile::start(|_| {
        |_: &Request| Reply::ok(r#"{"tags":["a"]}"#).header("link", "</v2/team/app/tags/list?last=a>; rel=\"next\"")
    })
    .await;
    assert_eq!(repository(&loops).tags().await.unwrap_err().code(), Code::RegistryProtocol);
    assert_eq!(loops.requests().len(), 2);

    let calls = Calls::default();
    let endless = Hostile::start(|_| {
        move |_: &Request| {
            let next = format!("</v2/team/app/tags/list?last={}>; rel=\"next\"", calls.next());
            Reply::ok(r#"{"tags":["a"]}"#).header("link", &next)
        }
    })
    .await;
    let mut bounded = settings();
    bounded.max_pages = 5;
    let repository = Client::new(bounded).unwrap().repository(&endless.address(), "team/app");
    assert_eq!(repository.tags().await.unwrap_err().code(), Code::RegistryProtocol);
    assert_eq!(endless.requests().len(), 5);
}

#[tokio::test]
async fn referrers_are_read_by_the_api_over_its_pages() {
    let subject = Digest::sha256(b"subject");
    let index = |content: &[u8]| {
        let one = Descriptor::of(media_type::OCI_MANIFEST, content);
        let body = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [one]}).to_string();
        Reply::ok(body).header("content-type", media_type::OCI_INDEX)
    };
    let server = Hostile::start(|_| {
        move |request: &Request| match request.query.as_str() {
            "" => index(b"one").header("link", "<?page=2>; rel=\"next\""),
            _ => index(b"two"),
        }
    })
    .await;
    let mut wanted = [Digest::sha256(b"one"), Digest::sha256(b"two")];
    wanted.sort();
    let found = repository(&server).referrers(&subject).await.unwrap();
    assert_eq!(found.iter().map(|found| found.digest).collect::<Vec<_>>(), wanted);

    // A page for people is not "nothing attached".
    let server = Hostile::start(|_| |_: &Request| Reply::ok("<html>").header("content-type", "text/html")).await;
    let error = repository(&server).referrers(&subject).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryProtocol);
}

/// A registry of uploads only: sessions that grow, break and move on.
#[derive(Default)]
struct Uploads {
    /// Bytes after which the first body is cut off.
    cut: Option<usize>,
    /// Refuses bodies over so many bytes with 413.
    limit: Option<usize>,
    /// `OCI-Chunk-Min-Length`.
    least: Option<usize>,
    /// Forgets the session when it is cut.
    forgetful: bool,
    received: Mutex<Vec<u8>>,
    stored: Mutex<Option<Vec<u8>>>,
    state: Calls,
}

impl Uploads {
    fn at(&self, reply: Reply) -> Reply {
        let received = self.received.lock().unwrap().len();
        let state = self.state.next();
        let reply = reply.header("location", &format!("up/session?state={state}%2F&x=y"));
        reply.header("range", &format!("0-{}", received.saturating_sub(1)))
    }

    fn finish(&self, request: &Request) -> Reply {
        let content = self.received.lock().unwrap().clone();
        let digest = Digest::sha256(&content).to_string().replace(':', "%3A");
        if !request.query.ends_with(&format!("&digest={digest}")) {
            return Reply::error(400, "DIGEST_INVALID");
        }
        *self.stored.lock().unwrap() = Some(content);
        Reply::new(201)
    }
}

impl Script for Arc<Uploads> {
    fn interrupt(&self, head: &Request) -> Option<usize> {
        let is_body = matches!(head.method.as_str(), "PUT" | "PATCH") && head.header("content-length") != "0";
        self.cut.filter(|_| is_body && self.received.lock().unwrap().is_empty())
    }

    fn reply(&self, request: &Request) -> Reply {
        let expected = format!("state={}%2F&x=y", self.state.seen().saturating_sub(1));
        let begins = request.path.ends_with("/blobs/uploads/");
        if request.path.contains("/up/session") && !request.query.starts_with(&expected) {
            return Reply::error(404, "BLOB_UPLOAD_UNKNOWN");
        }
        if self.limit.is_some_and(|limit| request.body.len() > limit) {
            return Reply::new(413);
        }
        match request.method.as_str() {
            "POST" if begins => {
                self.received.lock().unwrap().clear();
                let reply = self.at(Reply::new(202));
                match self.least {
                    Some(least) => reply.header("oci-chunk-min-length", &least.to_string()),
                    None => reply,
                }
            }
            "GET" if request.path.contains("/up/session") => self.at(Reply::new(204)),
            "PUT" | "PATCH" => {
                let mut received = self.received.lock().unwrap();
                let goes_on = request.header("content-range").split_once('-').map(|(first, _)| first.to_owned());
                if goes_on.is_some_and(|first| first != received.len().to_string()) {
                    return Reply::error(416, "BLOB_UPLOAD_INVALID");
                }
                received.extend_from_slice(&request.body);
                drop(received);
                if self.forgetful && self.cut == Some(request.body.len()) {
                    self.state.next();
                }
                if request.method == "PUT" { self.finish(request) } else { self.at(Reply::new(202)) }
            }
            "DELETE" => Reply::new(204),
            _ => Reply::error(404, "BLOB_UNKNOWN"),
        }
    }
}

async fn upload(script: Uploads, content: &[u8], chunk: u64) -> (Arc<Uploads>, Hostile, content::Result<()>) {
    let script = Arc::new(script);
    let running = Arc::clone(&script);
    let server = Hostile::start(|_| running).await;
    let mut settings = settings();
    settings.chunk = chunk;
    let repository = Client::new(settings).unwrap().repository(&server.address(), "team/app");
    let source = Arc::new(Memory::new());
    let blob = blob(content);
    source.push(&blob, Verified::bytes(blob.clone(), content.to_vec().into())).await.unwrap();
    let outcome = repository.push(&blob, Verified::open(source, &blob).await.unwrap()).await;
    (script, server, outcome)
}

fn parts(server: &Hostile) -> Vec<(String, String, usize)> {
    let all = server.requests().into_iter();
    all.map(|request| (request.method.clone(), request.header("content-range").to_owned(), request.body.len()))
        .collect()
}

#[tokio::test]
async fn an_upload_that_is_cut_goes_on_from_what_the_registry_has() {
    let content = noise(13, 1_000_000);
    let (script, server, outcome) =
        upload(Uploads { cut: Some(400_000), ..Uploads::default() }, &content, 250_000).await;
    outcome.unwrap();
    assert_eq!(script.stored.lock().unwrap().as_ref().unwrap(), &content);
    let part = |method: &str, range: &str, bytes| (method.to_owned(), range.to_owned(), bytes);
    assert_eq!(
        parts(&server),
        [
            part("POST", "", 0),
            part("PUT", "", 400_000),
            part("GET", "", 0),
            part("PATCH", "400000-649999", 250_000),
            part("PATCH", "650000-899999", 250_000),
            part("PATCH", "900000-999999", 100_000),
            part("PUT", "", 0),
        ]
    );
}

#[tokio::test]
async fn a_registry_that_forgot_the_upload_is_sent_the_blob_once_more() {
    let content = noise(14, 600_000);
    let uploads = Uploads { cut: Some(300_000), forgetful: true, ..Uploads::default() };
    let (script, server, outcome) = upload(uploads, &content, 1 << 20).await;
    // It is cut again and again, and forgets each time: at some point that must end, without a half blob.
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnreachable, "{error}");
    assert!(script.stored.lock().unwrap().is_none());
    let begun = server.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(begun, 4, "as many tries as were allowed");
}

#[tokio::test]
async fn chunks_are_as_large_as_the_registry_wants_them() {
    let content = noise(15, 1_000_000);
    let uploads = Uploads { limit: Some(500_000), least: Some(400_000), ..Uploads::default() };
    let (script, server, outcome) = upload(uploads, &content, 100_000).await;
    outcome.unwrap();
    assert_eq!(script.stored.lock().unwrap().as_ref().unwrap(), &content);
    let patches: Vec<usize> =
        parts(&server).into_iter().filter(|(method, ..)| method == "PATCH").map(|(.., bytes)| bytes).collect();
    assert_eq!(patches, [400_000, 400_000, 200_000]);
}

#[tokio::test]
async fn an_upload_whose_content_does_not_verify_is_cancelled() {
    let good = noise(16, 600_000);
    let mut bad = good.clone();
    bad[300_000] ^= 1;
    let script = Arc::new(Uploads::default());
    let running = Arc::clone(&script);
    let server = Hostile::start(|_| running).await;
    let repository = repository(&server);
    let error = repository.push(&blob(&good), Verified::bytes(blob(&good), bad.into())).await.unwrap_err();
    assert_eq!(error.code(), Code::ContentDigestMismatch);
    assert!(script.stored.lock().unwrap().is_none());
    assert_eq!(server.requests().last().map(|request| request.method.clone()).as_deref(), Some("DELETE"));
}

#[tokio::test]
async fn a_refused_upload_says_why() {
    for (status, word, code) in [
        (403, "DENIED", Code::RegistryDenied),
        (429, "TOOMANYREQUESTS", Code::RegistryRateLimited),
        (400, "DIGEST_INVALID", Code::RegistryRefused),
        (413, "SIZE_INVALID", Code::RegistryRefused),
    ] {
        let server = Hostile::start(|_| {
            move |request: &Request| match request.method.as_str() {
                "POST" => Reply::new(202).header("location", "/up"),
                "PUT" | "PATCH" => Reply::error(status, word),
                _ => Reply::new(404),
            }
        })
        .await;
        for size in [1000, 400_000] {
            let content = noise(17, size);
            let body = Verified::bytes(blob(&content), content.clone().into());
            let error = repository(&server).push(&blob(&content), body).await.unwrap_err();
            assert_eq!(error.code(), code, "{size}: {error}");
            assert!(error.to_string().contains(word), "{size}: {error}");
        }
    }
}

#[tokio::test]
async fn a_foreign_layer_comes_from_its_urls_only_where_the_registry_definitely_lacks_it() {
    let content = noise(18, 100_000);
    let stored = content.clone();
    let site = Hostile::start(|_| {
        move |request: &Request| match range(request) {
            Some(from) => partial(&stored, from),
            None => Reply::ok(stored.clone()),
        }
    })
    .await;
    let mut foreign = Descriptor::of(FOREIGN, &content);
    foreign.urls = vec!["ftp://127.0.0.1/x".to_owned(), format!("http://{}/layer?sig=geheim", site.address())];
    let answering = async |status: u16| {
        Hostile::start(|_| move |request: &Request| Reply::new(if request.path == "/v2/" { 200 } else { status })).await
    };
    let absent = answering(404).await;
    let repository = self::repository(&absent);
    assert!(repository.contains(&foreign).await.unwrap());
    assert_eq!(read_verified(&repository, &foreign).await.unwrap(), content);
    assert_eq!(read(repository.fetch(&foreign, 60_000).await).await.unwrap(), content[60_000..]);
    let asked = site.requests().len();
    assert!(asked >= 3);

    let failing = answering(500).await;
    assert_eq!(read_verified(&self::repository(&failing), &foreign).await.unwrap_err().code(), Code::RegistryServer);
    // Other layers have no business elsewhere.
    let mut plain = foreign.clone();
    plain.media_type = "application/vnd.oci.image.layer.v1.tar+gzip".to_owned();
    assert_eq!(read_verified(&repository, &plain).await.unwrap_err().code(), Code::RegistryNotFound);
    // Nor has anybody at an address that the person did not name.
    foreign.urls = vec![format!("http://localhost:{}/layer?sig=geheim", site.address().rsplit_once(':').unwrap().1)];
    let error = read_verified(&repository, &foreign).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryPolicy, "{error}");
    assert!(!error.to_string().contains("geheim"), "{error}");
    assert_eq!(site.requests().len(), asked);
}
