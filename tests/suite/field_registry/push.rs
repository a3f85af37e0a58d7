//! Registries that refuse what is pushed, each for a reason of its own.

use airlift::content::{Assign, memory::Memory};
use rstest::rstest;

use super::*;
use crate::support::artifacts::Blob;

async fn answers(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Hostile {
    Hostile::start(|_| {
        move |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            _ => reply(request),
        }
    })
    .await
}

async fn push(server: &Hostile, content: &[u8]) -> content::Result<()> {
    repository(server).push(&blob(content), Verified::bytes(blob(content), content.to_vec().into())).await
}

#[tokio::test]
async fn a_repository_that_must_exist_first_is_named_as_such() {
    let server = answers(|_| Reply::error(404, "NAME_UNKNOWN")).await;
    for size in [10, 300_000] {
        let error = push(&server, &noise(1, size)).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryNoRepository, "{}", told(&error));
        assert!(told(&error).contains("team/app"), "{}", told(&error));
    }
    let image = Artifact::small(1, 10);
    let error = repository(&server).tag(&Tag::latest(), &image.root).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryNoRepository, "{}", told(&error));
}

#[rstest]
#[case(400, "TAG_INVALID", "The image tag 'latest' already exists and cannot be overwritten because it is immutable")]
#[case(412, "PRECONDITION", "Failed to process request due to 'latest' configured as immutable.")]
#[case(409, "TAG_EXISTS", "conflict")]
#[case(400, "MANIFEST_INVALID", "cannot update tag \"latest\": the repository has enabled tag immutability")]
#[tokio::test]
async fn a_tag_that_must_not_move_is_named_as_such(
    #[case] status: u16,
    #[case] code: &'static str,
    #[case] words: &'static str,
) {
    let server =
        answers(move |_| Reply::new(status).body(json!({"errors": [{"code": code, "message": words}]}).to_string()))
            .await;
    let error = repository(&server).tag(&Tag::latest(), &Artifact::small(1, 10).root).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryTagImmutable, "{}", told(&error));
    assert!(told(&error).contains("latest") && told(&error).contains(words), "{}", told(&error));
}

#[tokio::test]
async fn a_registry_that_refuses_what_is_attached_is_named_as_such() {
    let subject = Artifact::small(1, 10);
    let attached = Artifact::attached("application/x", Blob::layer(2, 10), Some(&subject));
    for status in [400, 405, 415] {
        let server = answers(move |_| Reply::error(status, "MANIFEST_INVALID")).await;
        let manifest = &attached.root;
        let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
        let error = repository(&server).push(manifest.descriptor(), body).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryAttachedRefused, "{}", told(&error));
        let error = repository(&server).tag(&Tag::latest(), &subject.root).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryRefused, "an image is nothing attached");
    }
}

/// A registry that finds a blob only a moment after it was uploaded.
#[rstest]
#[case("MANIFEST_BLOB_UNKNOWN")]
#[case("BLOB_UNKNOWN")]
#[tokio::test]
async fn a_manifest_whose_blobs_are_not_seen_yet_is_put_again(#[case] code: &'static str) {
    let image = Artifact::small(1, 10);
    let digest = image.digest().to_string();
    let puts = std::sync::atomic::AtomicU32::new(0);
    let server = answers(move |request| match request.method.as_str() {
        "PUT" if puts.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 => Reply::error(400, code),
        "PUT" => Reply::new(201),
        _ => Reply::new(200).header("docker-content-digest", &digest),
    })
    .await;
    repository(&server).tag(&Tag::latest(), &image.root).await.unwrap();

    let never = answers(move |_| Reply::error(400, code)).await;
    let error = repository(&never).tag(&Tag::latest(), &image.root).await.unwrap_err();
    assert!(told(&error).contains(code), "{}", told(&error));
    assert!(never.requests().len() <= 4, "{:?}", never.lines());
}

/// Sessions at an address that lost its port on the way through a proxy.
#[rstest]
#[case("http://127.0.0.1")]
#[case("https://127.0.0.1")]
#[tokio::test]
async fn a_location_that_lost_its_port_is_followed_to_our_own(#[case] base: &'static str) {
    let server = answers(move |request| match request.method.as_str() {
        "POST" => Reply::new(202).header("location", &format!("{base}/v2/team/app/blobs/uploads/1?state=a")),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    })
    .await;
    push(&server, &noise(1, 10)).await.unwrap();
    assert!(server.lines().contains(&"PUT /v2/team/app/blobs/uploads/1".to_owned()));
}

/// nginx takes a megabyte unless it is told otherwise.
#[tokio::test]
async fn chunks_shrink_to_what_a_proxy_takes_and_its_limit_is_named() {
    let content = noise(1, 3 << 20);
    let taken = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let store = taken.clone();
    let limited = |limit: usize| {
        let store = store.clone();
        move |request: &Request| {
            let mut stored = store.lock().unwrap();
            let at = |reply: Reply, length: usize| {
                let reply = reply.header("location", "/v2/team/app/blobs/uploads/1");
                reply.header("range", &format!("0-{}", length.saturating_sub(1)))
            };
            if request.body.len() > limit {
                return Reply::new(413).body("<html><center>nginx</center></html>");
            }
            match request.method.as_str() {
                "POST" => {
                    stored.clear();
                    at(Reply::new(202), 0)
                }
                "PATCH" => {
                    stored.extend_from_slice(&request.body);
                    at(Reply::new(202), stored.len())
                }
                "PUT" => {
                    stored.extend_from_slice(&request.body);
                    Reply::new(201)
                }
                "GET" if request.path.contains("/uploads/") => at(Reply::new(204), stored.len()),
                _ => Reply::new(404),
            }
        }
    };
    let server = answers(limited(1 << 20)).await;
    let source = Arc::new(Memory::new());
    source.push(&blob(&content), Verified::bytes(blob(&content), content.clone().into())).await.unwrap();
    let verified = Verified::open(source, &blob(&content)).await.unwrap();
    repository(&server).push(&blob(&content), verified).await.unwrap();
    assert_eq!(*taken.lock().unwrap(), content);

    let tiny = answers(limited(100)).await;
    let error = push(&tiny, &noise(2, 1000)).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryBodyLimit, "{}", told(&error));
    assert!(told(&error).contains("a proxy at ") && told(&error).contains(&tiny.address()), "{}", told(&error));
}

/// A registry, or a proxy that answers for it, which takes everything and keeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_without_a_tag_is_asked_for_after_it_was_pushed() {
    let server = answers(|request| match request.method.as_str() {
        "PUT" => Reply::new(201),
        "POST" => Reply::new(202).header("location", "/v2/team/app/blobs/uploads/1"),
        _ => Reply::new(404),
    })
    .await;
    let image = Artifact::small(1, 10);
    let name = format!("r.example/team/app@{}", image.digest());
    let airlift = crate::support::Airlift::new();
    let packed = crate::support::packed::Packed::new().with(&name, image);
    packed.write(&airlift.home().join("b.tar")).await;
    let to = server.address();
    let ran = tokio::task::spawn_blocking(move || airlift.run(["import", "b.tar", "--to", &to])).await.unwrap();
    ran.exits(1).says(&["registry.not-stored", &name]);
}
