//! Who is shown our credentials, and where we let ourselves be led.

use super::*;

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

    // One that is never taken is not a reason to go on for ever.
    let server = guarded(300, 0, &content).await;
    let error = self::repository(&server).contains(&blob(&content)).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnauthorized);
    assert_eq!(tokens(&server), 2, "HEAD by one, and GET, which decides, by one that is fresh");
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
