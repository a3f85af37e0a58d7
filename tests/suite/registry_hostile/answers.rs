//! Manifests, lists and refusals that are not what they seem.

use std::net::{SocketAddr, TcpListener};

use super::*;
use crate::support::process::PATIENCE;

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

/// A port of loopback on which nobody listens, nor any other test ever will.
fn nobodys() -> SocketAddr {
    TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap()
}

async fn ask(client: &Client, registry: SocketAddr, name: &str) -> content::Error {
    client.repository(&registry.to_string(), name).resolve(&Name::Tag(Tag::latest())).await.unwrap_err()
}

#[tokio::test]
async fn a_registry_that_is_down_is_waited_for_once_in_a_run() {
    let registry = nobodys();
    let (client, watcher) = watched();
    let waits = || watcher.0.lock().unwrap().len();
    let together = ["team/one", "team/two", "team/three"].map(|name| ask(&client, registry, name));
    for error in futures::future::join_all(together).await {
        assert_eq!(error.code(), Code::RegistryUnreachable, "{error}");
    }
    assert_eq!(waits(), 3, "the first has all its tries, the others wait with it");
    let error = ask(&client, registry, "team/four").await;
    assert_eq!(error.code(), Code::RegistryUnreachable);
    assert!(error.to_string().contains("team/four"), "{error}");
    assert_eq!(waits(), 3, "who comes later looks once");
    let _server = Hostile::start_at(registry, |_| |_: &Request| Reply::error(404, "MANIFEST_UNKNOWN")).await;
    assert_eq!(ask(&client, registry, "team/five").await.code(), Code::RegistryNotFound, "and sees that it is back");
}

#[tokio::test]
async fn a_registry_that_is_starting_again_is_waited_for() {
    let registry = nobodys();
    let watcher = Arc::new(Watcher::default());
    let mut settings = settings();
    settings.progress = Progress::to(watcher.clone());
    settings.retry.attempts = 10_000;
    let client = Client::new(settings).unwrap();
    let asking = tokio::spawn(async move { ask(&client, registry, "team/app").await.code() });
    let waited = async {
        while watcher.0.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect("it asks again");
    let _server = Hostile::start_at(registry, |_| |_: &Request| Reply::error(404, "MANIFEST_UNKNOWN")).await;
    assert_eq!(asking.await.unwrap(), Code::RegistryNotFound);
}
