//! Registries whose `HEAD` says less than their `GET`.

use airlift::content::Assign;
use rstest::rstest;

use super::*;

/// A registry that has `content` as a blob and `image` as a manifest, and answers `HEAD` by `head`.
async fn registry(
    image: &Artifact,
    content: &[u8],
    head: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Hostile {
    let (raw, digest, content) = (image.root.raw().clone(), image.digest(), content.to_vec());
    let digest_of_blob = Digest::sha256(&content);
    Hostile::start(move |_| {
        move |request: &Request| {
            let name = request.path.rsplit('/').next().unwrap_or_default();
            let has = if request.path.contains("/manifests/") {
                name == "v1" || name == digest.to_string()
            } else {
                request.path == "/v2/" || name == digest_of_blob.to_string()
            };
            match request.method.as_str() {
                "HEAD" => head(request),
                _ if !has => Reply::error(404, "UNKNOWN"),
                _ if request.path.contains("/manifests/") => Reply::ok(raw.to_vec()),
                _ if request.header("range") == "bytes=0-0" && !content.is_empty() => Reply::new(206)
                    .body(content[..1].to_vec())
                    .header("content-range", &format!("bytes 0-0/{}", content.len())),
                _ => Reply::ok(content.clone()),
            }
        }
    })
    .await
}

#[rstest]
#[tokio::test]
async fn get_decides_where_head_does_not(#[values(404, 403, 401, 400, 405, 406, 501)] status: u16) {
    let (image, content) = (Artifact::small(1, 10), noise(1, 1000));
    let server = registry(&image, &content, move |_| Reply::new(status)).await;
    let repository = repository(&server);
    assert!(repository.contains(&blob(&content)).await.unwrap());
    assert!(repository.contains(image.root.descriptor()).await.unwrap());
    for name in [tag("v1"), Name::Digest(image.digest())] {
        let found = repository.head(&name).await.unwrap().unwrap();
        assert_eq!((found.digest, found.media_type.as_str()), (image.digest(), media_type::OCI_MANIFEST));
    }
    assert!(!repository.contains(&blob(b"absent")).await.unwrap());
    assert_eq!(repository.head(&tag("v2")).await.unwrap(), None);
    assert!(server.requests().iter().all(|request| request.method == "HEAD" || request.body.is_empty()));
}

/// Storage behind a registry signs an address for `GET` only, and refuses `HEAD` there.
#[tokio::test]
async fn a_redirect_that_is_signed_for_get_is_asked_by_get() {
    let (image, content) = (Artifact::small(2, 10), noise(2, 1000));
    let storage = registry(&image, &content, |_| Reply::new(403)).await;
    let to = storage.address();
    let server = Hostile::start(|_| {
        move |request: &Request| match request.path.as_str() {
            "/v2/" => Reply::new(200),
            path => Reply::new(307).header("location", &format!("http://{to}{path}")),
        }
    })
    .await;
    let repository = repository(&server);
    assert!(repository.contains(&blob(&content)).await.unwrap());
    assert_eq!(repository.head(&tag("v1")).await.unwrap().unwrap().digest, image.digest());
}

#[tokio::test]
async fn without_a_digest_header_the_manifest_is_hashed() {
    let (image, content) = (Artifact::small(3, 10), noise(3, 10));
    let server = registry(&image, &content, |_| Reply::new(200)).await;
    let repository = repository(&server);
    assert_eq!(repository.head(&tag("v1")).await.unwrap().unwrap().digest, image.digest());
    // A page for people under every address is not a manifest.
    let portal = Hostile::start(|_| |_: &Request| Reply::ok("<html>").header("content-type", "text/html")).await;
    let repository = self::repository(&portal);
    repository.head(&Name::Digest(image.digest())).await.unwrap_err();
    repository.contains(image.root.descriptor()).await.unwrap_err();
}

/// What is absent is asked for twice once a registry, and never again.
#[tokio::test]
async fn a_registry_whose_head_is_true_is_asked_by_it_alone() {
    let (image, content) = (Artifact::small(4, 10), noise(4, 1000));
    let digest = image.digest().to_string();
    let there = blob(&content).digest.to_string();
    let server = registry(&image, &content, move |request: &Request| {
        let name = request.path.rsplit('/').next().unwrap_or_default();
        match name {
            "v1" => Reply::new(200).header("docker-content-digest", &digest),
            name if name == there => Reply::new(200),
            _ => Reply::new(404),
        }
    })
    .await;
    let client = Client::new(settings()).unwrap();
    for at in 0..20_u8 {
        let repository = client.repository(&server.address(), &format!("team/app{at}"));
        assert!(!repository.contains(&blob(&[at])).await.unwrap());
        assert!(repository.contains(&blob(&content)).await.unwrap());
        assert_eq!(repository.head(&tag("v2")).await.unwrap(), None);
        assert!(repository.head(&tag("v1")).await.unwrap().is_some());
    }
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("GET")).count(), 2, "{lines:?}");
}

/// A registry that has shown that its `HEAD` does not tell is asked by `GET` at once.
#[tokio::test]
async fn a_registry_whose_head_misleads_is_not_asked_by_it_again() {
    let (image, content) = (Artifact::small(5, 10), noise(5, 1000));
    let server = registry(&image, &content, |_| Reply::new(405)).await;
    let repository = repository(&server);
    for _ in 0..5 {
        assert!(repository.contains(&blob(&content)).await.unwrap());
    }
    let heads = server.lines().iter().filter(|line| line.starts_with("HEAD")).count();
    assert_eq!(heads, 1);
}

/// `Range` is as little known there as `HEAD`.
#[rstest]
#[tokio::test]
async fn a_blob_is_found_where_ranges_are_refused_too(#[values(416, 400, 501)] status: u16) {
    let content = noise(6, 1000);
    let stored = content.clone();
    let server = Hostile::start(|_| {
        move |request: &Request| match (request.method.as_str(), request.header("range")) {
            ("HEAD", _) => Reply::new(404),
            (_, "") => Reply::ok(stored.clone()),
            _ => Reply::new(status),
        }
    })
    .await;
    assert!(repository(&server).contains(&blob(&content)).await.unwrap());
    assert!(repository(&server).contains(&blob(b"")).await.unwrap());
}

/// A registry that takes a tag, and then by `after` says what it has.
async fn forgetful(after: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Hostile {
    Hostile::start(|_| {
        move |request: &Request| match request.method.as_str() {
            "PUT" => Reply::new(201),
            _ => after(request),
        }
    })
    .await
}

#[tokio::test]
async fn a_tag_is_confirmed_by_head_or_get() {
    let image = Artifact::small(7, 10);
    let latest = Tag::latest();
    let (raw, digest) = (image.root.raw().clone(), image.digest().to_string());

    let claimed = digest.clone();
    let good = forgetful(move |_| Reply::new(200).header("docker-content-digest", &claimed)).await;
    repository(&good).tag(&latest, &image.root).await.unwrap();
    assert_eq!(good.lines(), ["PUT /v2/team/app/manifests/latest", "HEAD /v2/team/app/manifests/latest"]);

    for status in [404, 403, 405, 200] {
        let raw = raw.clone();
        let server = forgetful(move |request| match request.method.as_str() {
            "HEAD" => Reply::new(status),
            _ => Reply::ok(raw.to_vec()),
        })
        .await;
        repository(&server).tag(&latest, &image.root).await.unwrap();
    }
}

#[tokio::test]
async fn a_registry_that_stores_nothing_or_something_else_is_an_error() {
    let (image, other) = (Artifact::small(8, 10), Artifact::small(9, 10));
    let latest = Tag::latest();
    let nothing = forgetful(|_| Reply::error(404, "MANIFEST_UNKNOWN")).await;
    let error = repository(&nothing).tag(&latest, &image.root).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryNotStored, "{}", told(&error));
    assert!(told(&error).contains("latest"), "{}", told(&error));

    let raw = other.root.raw().clone();
    let else_ =
        forgetful(move |_| Reply::ok(raw.to_vec()).header("docker-content-digest", &Digest::sha256(&raw).to_string()))
            .await;
    let error = repository(&else_).tag(&latest, &image.root).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryNotStored);
    for digest in [image.digest(), other.digest()] {
        assert!(told(&error).contains(&digest.to_string()), "{}", told(&error));
    }
}
