//! Uploads that are cut, forgotten, limited and refused.

use super::*;

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
