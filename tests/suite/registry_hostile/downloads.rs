//! Blobs from registries that break, send something else, stand still or want to be left alone.

use super::*;

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
async fn where_a_server_does_no_ranges_the_whole_blob_is_asked_for_again() {
    let content = noise(3, 200_000);
    let wrong = ["bytes 0-99/1000", "bytes 501-199999/200000", "bytes 500-999/2000", "", "bytes */200000"];
    let wrong = wrong.map(|header| Reply::new(206).header("content-range", header).body("part"));
    let refusals = [400, 403, 405, 416, 500, 501, 503].map(|status| Reply::error(status, "UNSUPPORTED"));
    for refusal in wrong.into_iter().chain(refusals) {
        let (whole, calls, told) = (content.clone(), Calls::default(), format!("{refusal:?}"));
        let server = Hostile::start(|_| {
            move |request: &Request| match (request.path.contains("/blobs/"), range(request)) {
                (false, _) => Reply::new(200),
                (true, Some(_)) => refusal.clone(),
                (true, None) if calls.next() == 0 => Reply::ok(whole.clone()).reset_after(70_000),
                (true, None) => Reply::ok(whole.clone()),
            }
        })
        .await;
        let read = read_verified(&repository(&server), &blob(&content)).await;
        assert_eq!(read.unwrap_or_else(|error| panic!("{told}: {error}")), content, "{told}");
        let tail = read_tail(&server, &content).await;
        assert_eq!(tail, content[150_000..], "{told}");
    }
}

async fn read_tail(server: &Hostile, content: &[u8]) -> Vec<u8> {
    read(repository(server).fetch(&blob(content), 150_000).await).await.unwrap()
}

#[tokio::test]
async fn what_refuses_the_whole_too_is_an_error_after_one_more_request() {
    let content = noise(3, 1000);
    for (status, code) in [(403, Code::RegistryDenied), (416, Code::RegistryRefused), (404, Code::RegistryNotFound)] {
        let server = Hostile::start(|_| move |_: &Request| Reply::error(status, "ODD")).await;
        let error = read(repository(&server).fetch(&blob(&content), 500).await).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(server.requests().len() <= 2, "{:?}", server.lines());
    }
}

#[tokio::test]
async fn a_web_page_in_the_place_of_a_blob_is_called_so() {
    let content = noise(3, 1000);
    let page = "<html><title>Please pay</title>".to_owned();
    for reply in [Reply::ok(page.clone()), Reply::ok(page).close_delimited()] {
        let reply = reply.header("content-type", "text/html; charset=utf-8");
        let server = Hostile::start(|_| move |_: &Request| reply.clone()).await;
        let error = read_verified(&repository(&server), &blob(&content)).await.unwrap_err();
        assert!(error.to_string().contains("a web page"), "{error}");
    }
    // A page can be content too.
    let page = b"<html>content</html>".to_vec();
    let server =
        Hostile::start(|_| move |_: &Request| Reply::ok(page.clone()).header("content-type", "text/html")).await;
    read_verified(&repository(&server), &blob(b"<html>content</html>")).await.unwrap();
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
    let asked = server.requests().iter().filter(|request| request.path != "/v2/").count();
    assert_eq!(asked, 1, "nobody waits for a day");
    assert!(error.to_string().contains("asks to wait 86400 s; TOOMANYREQUESTS as told"), "{error}");
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
