//! What is attached, where registries have no referrers API, something else under the fallback tag, or a `HEAD` that lies.

use super::*;

fn index(children: &[Descriptor]) -> Vec<u8> {
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children});
    document.to_string().into_bytes()
}

fn typed(body: impl Into<Vec<u8>>) -> Reply {
    Reply::ok(body).header("content-type", media_type::OCI_INDEX)
}

fn subject() -> Digest {
    Digest::sha256(b"subject")
}

fn sbom() -> Descriptor {
    let mut sbom = Descriptor::of(media_type::OCI_MANIFEST, b"sbom");
    sbom.artifact_type = Some("application/spdx+json".to_owned());
    sbom
}

/// A registry that answers the referrers API with `api` and any manifest with `tag`.
async fn registry(api: Reply, tag: Reply) -> Hostile {
    Hostile::start(|_| {
        move |request: &Request| match request.path.as_str() {
            path if path.contains("/referrers/") => api.clone(),
            path if path.contains("/manifests/") => tag.clone(),
            _ => Reply::new(200),
        }
    })
    .await
}

async fn listed(api: Reply, tag: Reply) -> content::Result<Vec<Descriptor>> {
    let server = registry(api, tag).await;
    repository(&server).referrers(&subject()).await
}

fn page() -> Reply {
    Reply::ok("<!doctype html><title>Our registry</title>").header("content-type", "text/html; charset=utf-8")
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_for_the_tag() {
    let others = [
        page(),
        Reply::ok("<html>").header("content-type", media_type::OCI_INDEX),
        Reply::ok("{}").header("content-type", "application/json"),
        Reply::ok(r#"{"error":"no such path"}"#),
        Reply::ok("pong").header("content-type", "text/plain"),
        Reply::ok(""),
    ];
    let refusals = [400, 404, 405, 406, 410, 415, 422, 501].map(Reply::new);
    for api in refusals.into_iter().chain(others) {
        let told = format!("{api:?}");
        let found = listed(api.clone(), typed(index(&[sbom()]))).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("{told}: {error}")), [sbom()], "{told}");
        assert_eq!(listed(api, Reply::new(404)).await.unwrap(), [], "{told}");
    }
    for (status, code) in [
        (401, Code::RegistryUnauthorized),
        (403, Code::RegistryDenied),
        (409, Code::RegistryRefused),
        (429, Code::RegistryRateLimited),
        (500, Code::RegistryServer),
        (503, Code::RegistryServer),
    ] {
        let error = listed(Reply::new(status), typed(index(&[sbom()]))).await.unwrap_err();
        assert_eq!(error.code(), code, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_page_for_people_is_not_nothing_attached() {
    for tag in [page(), Reply::new(400), Reply::new(403), Reply::new(500)] {
        let error = listed(page(), tag).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryProtocol, "{error}");
        assert!(error.to_string().contains("--no-referrers"), "{error}");
    }
    let error = listed(Reply::new(404), Reply::new(400)).await.unwrap_err();
    assert!(error.to_string().contains("--no-referrers"), "{error}");
}

#[tokio::test]
async fn a_list_is_one_by_its_content_where_its_type_says_nothing() {
    for content_type in
        ["", "application/json", "application/octet-stream", "Application/VND.oci.image.index.v1+JSON; x=y"]
    {
        let api = Reply::ok(index(&[sbom()])).header("content-type", content_type);
        assert_eq!(listed(api, Reply::new(500)).await.unwrap(), [sbom()], "{content_type}");
    }
    let null = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":null}}"#, media_type::OCI_INDEX);
    assert_eq!(listed(typed(null), Reply::new(500)).await.unwrap(), []);
    let error = listed(typed("{"), typed(index(&[sbom()]))).await.unwrap_err();
    assert_eq!(error.code(), Code::ManifestMalformed, "{error}");
}

#[tokio::test]
async fn what_has_the_fallback_tag_and_is_no_list_is_left_alone() {
    let image = Artifact::small(1, 10);
    let platforms = Artifact::multi_platform(1, 10);
    for other in [&image, &platforms] {
        let subject = other.digest();
        let attached = Artifact::attached("a/b", Blob::new("a/b", "x"), Some(other));
        let (raw, kind) = (other.root.raw().clone(), other.root.media_type().to_owned());
        let server = Hostile::start(|_| {
            move |request: &Request| match (request.method.as_str(), request.path.as_str()) {
                (_, path) if path.contains("/referrers/") => Reply::new(404),
                ("PUT", _) => Reply::new(201),
                (_, path) if path.contains("/manifests/") => Reply::ok(raw.to_vec()).header("content-type", &kind),
                _ => Reply::new(200),
            }
        })
        .await;
        let repository = repository(&server);
        assert_eq!(repository.referrers(&subject).await.unwrap(), []);
        assert_eq!(repository.referrers(&Digest::sha256(b"another")).await.unwrap(), []);
        let push = repository.push(
            attached.root.descriptor(),
            Verified::bytes(attached.root.descriptor().clone(), attached.root.raw().clone()),
        );
        let error = push.await.unwrap_err();
        assert!(error.to_string().contains("--no-referrers"), "{error}");
        let written: Vec<_> = server.lines().into_iter().filter(|line| line.starts_with("PUT")).collect();
        assert_eq!(written, [format!("PUT /v2/team/app/manifests/{}", attached.digest())]);
    }
}

#[tokio::test]
async fn whether_there_is_an_api_is_asked_once_a_repository() {
    let others = [Digest::sha256(b"1"), Digest::sha256(b"2"), Digest::sha256(b"3")];
    let server = registry(Reply::new(404), Reply::new(404)).await;
    let repository = repository(&server);
    for other in &others {
        assert_eq!(repository.referrers(other).await.unwrap(), []);
    }
    assert_eq!(server.lines().iter().filter(|line| line.contains("/referrers/")).count(), 1, "{:?}", server.lines());

    // A registry that speaks of the subject has the API.
    let server = registry(Reply::error(404, "MANIFEST_UNKNOWN"), Reply::new(404)).await;
    let repository = self::repository(&server);
    for other in &others {
        assert_eq!(repository.referrers(other).await.unwrap(), []);
    }
    assert_eq!(server.lines().iter().filter(|line| line.contains("/referrers/")).count(), 3, "{:?}", server.lines());

    let calls = Calls::default();
    let server = Hostile::start(|_| {
        move |request: &Request| match request.path.contains("/referrers/").then(|| calls.next()) {
            Some(0) => typed(index(&[])),
            Some(_) => Reply::error(404, "MANIFEST_UNKNOWN"),
            None => Reply::new(200),
        }
    })
    .await;
    let repository = self::repository(&server);
    for other in &others {
        assert_eq!(repository.referrers(other).await.unwrap(), []);
    }
    assert!(server.lines().iter().all(|line| !line.contains("/manifests/")), "{:?}", server.lines());
}

/// A registry with one image, whose `HEAD` answers `head` for what is there and 404 for anything else.
async fn with_image(image: &Artifact, signature: &Artifact, head: u16) -> Hostile {
    let (name, raw, signed) = (image.digest().to_string(), image.root.raw().clone(), signature.root.raw().clone());
    let tag = Tag::cosign(&image.digest())[0].to_string();
    Hostile::start(|_| {
        move |request: &Request| {
            let found = match request.path.strip_prefix("/v2/team/app/manifests/") {
                Some(asked) if asked == name => &raw,
                Some(asked) if asked == tag => &signed,
                Some(_) => return Reply::new(404),
                None => return Reply::new(200),
            };
            match request.method.as_str() {
                "HEAD" => Reply::new(head),
                _ => Reply::ok(found.to_vec()).header("content-type", media_type::OCI_MANIFEST),
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_tag_that_is_expected_to_be_absent_is_asked_for_by_head_where_that_tells_the_truth() {
    let (image, signature) = (Artifact::small(1, 10), Artifact::small(2, 10));
    for (head, gets) in [(200, 2), (404, 4), (403, 4), (405, 4), (500, 4)] {
        let server = with_image(&image, &signature, head).await;
        let repository = repository(&server);
        repository.resolve(&Name::Digest(image.digest())).await.unwrap();
        let [signed, attested, sbom] = Tag::cosign(&image.digest());
        assert_eq!(repository.resolve(&Name::Tag(signed)).await.unwrap().digest(), signature.digest(), "{head}");
        for absent in [attested, sbom] {
            let error = repository.resolve(&Name::Tag(absent)).await.unwrap_err();
            assert_eq!(error.code(), Code::RegistryNotFound, "{head}");
        }
        let asked = server.lines().iter().filter(|line| line.starts_with("GET")).count();
        assert_eq!(asked, gets, "{head}: {:?}", server.lines());
    }
}
