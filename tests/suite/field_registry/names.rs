//! Registries that have an address of IPv6, and that lead to another registry.

use super::*;

#[tokio::test]
async fn a_registry_with_an_address_of_ipv6_is_asked() {
    let content = noise(1, 100);
    let stored = content.clone();
    let server = Hostile::start_at("[::1]:0", |_| move |_: &Request| Reply::ok(stored.clone())).await;
    let reference: airlift::oci::Reference = format!("{}/team/app:v1", server.address()).parse().unwrap();
    assert_eq!(reference.registry(), server.address());
    let repository = Client::new(settings()).unwrap().repository(reference.registry(), reference.repository());
    assert_eq!(read(repository.fetch(&blob(&content), 0).await).await.unwrap(), content);
}

/// A mirror that sends its clients to a registry which gives tokens to everybody.
#[tokio::test]
async fn a_registry_behind_a_redirect_gets_a_token_of_its_own_and_nothing_of_ours() {
    let content = noise(2, 100);
    let stored = content.clone();
    let behind = Hostile::start(|address| {
        let realm = format!("http://{address}/token");
        move |request: &Request| match (request.path.as_str(), request.header("authorization")) {
            ("/token", _) => Reply::ok(json!({"token": "anonymous"}).to_string()),
            (_, "Bearer anonymous") => Reply::ok(stored.clone()),
            _ => Reply::bearer(&realm, "repository:team/app:pull"),
        }
    })
    .await;
    let to = behind.address();
    let front = Hostile::start(|_| {
        move |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            path if request.header("authorization").is_empty() => {
                let _ = path;
                Reply::new(401).header("www-authenticate", "Basic realm=\"front\"")
            }
            path => Reply::new(307).header("location", &format!("http://{to}{path}")),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let authfile = folder.path().join("auth.json");
    for address in [front.address(), behind.address()] {
        let ours = airlift::registry::credentials::Credential::Password { user: "ada".into(), password: "love".into() };
        airlift::registry::credentials::store(Some(&authfile), &address, &ours).unwrap();
    }
    let mut settings = settings();
    settings.authfile = Some(authfile);
    let repository = Client::new(settings).unwrap().repository(&front.address(), "team/app");
    for _ in 0..2 {
        assert_eq!(read(repository.fetch(&blob(&content), 0).await).await.unwrap(), content);
    }
    for request in behind.requests() {
        assert!(["", "Bearer anonymous"].contains(&request.header("authorization")), "{request:?}");
        assert!(!request.query.contains("ada"), "{request:?}");
    }
    assert_eq!(behind.requests().iter().filter(|request| request.path == "/token").count(), 1);
}
