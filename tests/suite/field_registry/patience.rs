//! One patience for a run and an address.

use std::net::{SocketAddr, TcpListener};

use super::*;

/// A registry that wants a token of the service at `realm`.
async fn wants_token_of(realm: String) -> Hostile {
    Hostile::start(move |_| {
        move |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            _ => Reply::bearer(&realm, "repository:team/app:pull"),
        }
    })
    .await
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_token_service_that_fails_is_asked_as_often_as_anything_and_named() {
    let service = Hostile::start(|_| |_: &Request| Reply::error(500, "UNKNOWN")).await;
    let server = wants_token_of(format!("http://{}/token", service.address())).await;
    let client = Client::new(settings()).unwrap();
    let repository = client.repository(&server.address(), "team/app");
    let error = repository.resolve(&tag("v1")).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryServer);
    assert!(told(&error).contains(&service.address()), "{}", told(&error));
    assert_eq!(service.requests().len(), 4, "retries of the token and of the call do not multiply");
    // All that come later look once.
    for at in 0..3 {
        let later = client.repository(&server.address(), &format!("team/other{at}"));
        later.contains(&blob(b"x")).await.unwrap_err();
    }
    assert_eq!(service.requests().len(), 4 + 3);
}

#[tokio::test]
async fn a_token_service_that_is_down_is_named() {
    let service = nobody();
    let server = wants_token_of(format!("http://{service}/token")).await;
    let error = repository(&server).resolve(&tag("v1")).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnreachable);
    assert!(told(&error).contains(&service.to_string()), "{}", told(&error));
    assert!(server.requests().len() <= 2, "{:?}", server.lines());
}

#[tokio::test]
async fn a_storage_and_an_upload_location_that_are_down_are_named() {
    let storage = nobody();
    let to = format!("http://{storage}/x?sig=geheim");
    let server = Hostile::start(|_| {
        move |request: &Request| match (request.method.as_str(), request.path.as_str()) {
            (_, "/v2/") => Reply::new(200),
            ("POST", _) => Reply::new(202).header("location", &to),
            ("GET", _) => Reply::new(307).header("location", &to),
            _ => Reply::new(404),
        }
    })
    .await;
    let content = noise(1, 100);
    let errors = [
        read(repository(&server).fetch(&blob(&content), 0).await).await.unwrap_err(),
        repository(&server).push(&blob(&content), Verified::bytes(blob(&content), content.into())).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), Code::RegistryUnreachable, "{}", told(&error));
        let text = told(&error);
        assert!(text.contains(&storage.to_string()) && !text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn a_registry_that_is_gone_is_waited_for_once() {
    let server = Hostile::start(|_| {
        |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            _ => Reply::error(503, "UNAVAILABLE"),
        }
    })
    .await;
    let repository = repository(&server);
    for _ in 0..5 {
        assert_eq!(repository.resolve(&tag("v1")).await.unwrap_err().code(), Code::RegistryServer);
    }
    assert_eq!(server.requests().len(), 4 + 4);
}

#[tokio::test]
async fn a_document_that_drips_and_a_put_that_is_never_answered_have_an_end() {
    let image = Artifact::small(1, 10);
    let raw = image.root.raw().to_vec();
    let server = Hostile::start(|_| {
        move |request: &Request| match (request.method.as_str(), request.path.as_str()) {
            (_, "/v2/") => Reply::new(200),
            ("PUT", _) => Reply::silent(),
            _ => Reply::ok(raw.clone()).hang_after(5),
        }
    })
    .await;
    let mut settings = settings();
    settings.retry.document = Duration::from_millis(100);
    settings.retry.whole = Duration::from_millis(150);
    let repository = || Client::new(settings.clone()).unwrap().repository(&server.address(), "team/app");
    let manifest = &image.root;
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    for error in [
        repository().resolve(&tag("v1")).await.unwrap_err(),
        repository().tags().await.unwrap_err(),
        repository().push(manifest.descriptor(), body).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Code::RegistryStalled, "{}", told(&error));
    }
    assert!(server.requests().len() <= 3 * 3, "{:?}", server.lines());
}
