//! The registry client against Debian's docker-registry.

use std::sync::Arc;

use airlift::{
    content::{Assign, Code, Fault, Lookup, Referrers, Resolve, Sink, Verified, conformance, memory::Memory},
    oci::{Algorithm, Descriptor, Digest, Manifest, Name, Tag, media_type},
    registry::{Client, RemoteRepository, Settings, credentials},
};

use super::support::{
    Options, Registry,
    artifacts::{Artifact, Blob, noise, push_referrers_tag},
    needs,
};

/// Settings that look for credentials nowhere but in a file that does not exist.
fn settings(registry: &Registry) -> Settings {
    let mut settings = Settings::default();
    settings.authfile = Some(registry.storage().with_file_name("auth.json"));
    settings
}

fn repository(registry: &Registry, name: &str) -> RemoteRepository {
    Client::new(settings(registry)).unwrap().repository(registry.address(), name)
}

async fn push_all(repository: &RemoteRepository, artifact: &Artifact) {
    for blob in artifact.all_blobs() {
        let content = blob.content.clone().unwrap();
        repository.push(&blob.descriptor, Verified::bytes(blob.descriptor.clone(), content)).await.unwrap();
    }
    for manifest in artifact.manifests() {
        push_manifest(repository, manifest).await.unwrap();
    }
}

async fn push_manifest(repository: &RemoteRepository, manifest: &Manifest) -> airlift::content::Result<()> {
    let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
    repository.push(manifest.descriptor(), body).await
}

#[tokio::test]
async fn a_repository_is_a_place() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let repository = repository(&registry, "team/app");
    conformance::content(&repository).await;
    conformance::names(&repository).await;
}

#[tokio::test]
async fn what_is_pushed_lies_there_byte_for_byte() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let repository = repository(&registry, "team/app");
    let artifact = Artifact::multi_platform(3, 700_000);
    push_all(&repository, &artifact).await;
    let tag: Tag = "v1".parse().unwrap();
    repository.tag(&tag, &artifact.root).await.unwrap();
    assert_eq!(registry.manifest("team/app", "v1").unwrap().raw(), artifact.root.raw());
    for blob in artifact.all_blobs() {
        assert_eq!(registry.blob("team/app", &blob.descriptor.digest), blob.content);
    }
    let head = repository.head(&Name::Tag(tag)).await.unwrap().unwrap();
    let root = artifact.root.descriptor();
    assert_eq!((head.digest, head.size, head.media_type.as_str()), (root.digest, root.size, media_type::OCI_INDEX));
    assert_eq!(repository.head(&Name::Tag("v2".parse().unwrap())).await.unwrap(), None);
}

#[tokio::test]
async fn sha512_content_is_pushed_and_resolved_by_its_own_digest() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let repository = repository(&registry, "team/app");
    let content = noise(9, 400_000);
    let blob = Descriptor::new("a/b", Digest::of(Algorithm::Sha512, &content), content.len() as u64);
    repository.push(&blob, Verified::bytes(blob.clone(), content.into())).await.unwrap();
    assert!(repository.contains(&blob).await.unwrap());
}

#[tokio::test]
async fn a_blob_is_mounted_from_a_repository_that_has_it_and_from_no_other() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let content = noise(1, 10_000);
    let blob = Descriptor::of("a/b", &content);
    registry.push_blob("team/base", content);
    let target = repository(&registry, "team/app");
    assert!(!target.mount(&blob, "team/other").await.unwrap());
    assert!(!target.contains(&blob).await.unwrap());
    assert!(target.mount(&blob, "team/base").await.unwrap());
    assert!(target.contains(&blob).await.unwrap());
    let cancelled =
        registry.requests().into_iter().filter(|request| request.method == "DELETE" && request.status == 204);
    assert_eq!(cancelled.count(), 1, "a refused mount leaves no upload behind");
}

#[tokio::test]
async fn tags_are_listed_sorted() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let artifact = Artifact::small(1, 1000);
    artifact.push(&registry, "team/app", None);
    let repository = repository(&registry, "team/app");
    let wanted: Vec<Tag> = (0..7).map(|n| format!("v{n}").parse().unwrap()).collect();
    for tag in &wanted {
        repository.tag(tag, &artifact.root).await.unwrap();
    }
    assert_eq!(repository.tags().await.unwrap(), wanted);
    let absent = self::repository(&registry, "team/none").tags().await.unwrap_err();
    assert_eq!(absent.code(), Code::RegistryNotFound);
    assert!(absent.to_string().contains(&format!("{}/team/none: tags", registry.address())), "{absent}");
}

#[tokio::test]
async fn attached_artifacts_join_those_that_are_in_the_fallback_index_already() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let repository = repository(&registry, "team/app");
    let subject = Artifact::small(1, 1000);
    let attached = |n: u64| Artifact::attached("application/x-sbom", Blob::layer(n, 100), Some(&subject));
    let theirs = attached(10);
    subject.push(&registry, "team/app", Some("v1"));
    theirs.push(&registry, "team/app", None);
    push_referrers_tag(&registry, "team/app", &subject, &[&theirs]);

    let ours: Vec<Artifact> = (20..26).map(attached).collect();
    for artifact in &ours {
        for blob in artifact.all_blobs() {
            registry.push_blob("team/app", blob.content.clone().unwrap());
        }
    }
    // All at once: they must not overwrite each other.
    futures::future::try_join_all(ours.iter().map(|artifact| push_manifest(&repository, &artifact.root)))
        .await
        .unwrap();

    let mut wanted: Vec<Digest> = ours.iter().chain([&theirs]).map(Artifact::digest).collect();
    wanted.sort();
    let found = repository.referrers(&subject.digest()).await.unwrap();
    assert_eq!(found.iter().map(|found| found.digest).collect::<Vec<_>>(), wanted);
    assert!(found.iter().all(|found| found.artifact_type.as_deref() == Some("application/x-sbom")));
    assert_eq!(repository.referrers(&theirs.digest()).await.unwrap(), []);
}

#[tokio::test]
async fn user_and_password_open_a_registry_and_wrong_ones_do_not() {
    needs!("docker-registry", "htpasswd");
    let registry = Registry::start(Options { htpasswd: Some(("ada", "lovelace")), ..Options::default() });
    let address = registry.address();
    let settings = settings(&registry);
    let file = settings.authfile.clone().unwrap();
    let client = Client::new(settings.clone()).unwrap();
    let anonymous = client.repository(address, "team/app").tags().await.unwrap_err();
    assert_eq!(anonymous.code(), Code::RegistryUnauthorized);
    assert!(anonymous.to_string().contains("no credentials for this registry are known"), "{anonymous}");

    let client = Client::new(settings.clone()).unwrap();
    let wrong = client.login(address, "ada", "byron").await.unwrap_err();
    assert_eq!(wrong.code(), Code::RegistryUnauthorized);
    assert!(!format!("{wrong} {wrong:?}").contains("byron"));
    let client = Client::new(settings.clone()).unwrap();
    client.login(address, "ada", "lovelace").await.unwrap();

    let password = |word: &str| credentials::Credential::Password { user: "ada".to_owned(), password: word.to_owned() };
    credentials::store(Some(&file), address, &password("lovelace")).unwrap();
    conformance::content(&Client::new(settings.clone()).unwrap().repository(address, "team/app")).await;
    credentials::store(Some(&file), address, &password("byron")).unwrap();
    let refused = Client::new(settings).unwrap().repository(address, "team/app");
    let error = refused.contains(&Descriptor::of("a/b", b"x")).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnauthorized);
    assert!(error.to_string().contains("refuses user and password"), "{error}");
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_named_and_not_before() {
    needs!("docker-registry");
    let registry = Registry::start(Options { tls: true, ..Options::default() });
    let untrusted = repository(&registry, "team/app").tags().await.unwrap_err();
    assert_eq!(untrusted.code(), Code::RegistryTls, "{untrusted:?}");

    let mut trusting = settings(&registry);
    trusting.ca_certs = vec![registry.ca()];
    let repository = Client::new(trusting).unwrap().repository(registry.address(), "team/app");
    conformance::content(&repository).await;

    let mut careless = settings(&registry);
    careless.insecure = true;
    let repository = Client::new(careless).unwrap().repository(registry.address(), "team/app");
    assert!(!repository.contains(&Descriptor::of("a/b", b"x")).await.unwrap());
}

#[tokio::test]
async fn a_registry_that_asks_for_a_certificate_is_shown_ours() {
    needs!("docker-registry");
    let registry = Registry::start(Options { tls: true, client_certificates: true, ..Options::default() });
    let mut settings = settings(&registry);
    settings.ca_certs = vec![registry.ca()];
    let stranger = Client::new(settings.clone()).unwrap().repository(registry.address(), "team/app");
    assert_eq!(stranger.tags().await.unwrap_err().code(), Code::RegistryTls);
    let file = |name: &str| registry.ca().with_file_name(name);
    settings.client_identity = Some((file("client.pem"), file("client.key")));
    let known = Client::new(settings.clone()).unwrap().repository(registry.address(), "team/app");
    conformance::content(&known).await;

    settings.client_identity = Some((file("client.pem"), file("absent.key")));
    let error = Client::new(settings).unwrap_err();
    assert_eq!(error.code(), Code::UsageFile);
    assert!(error.to_string().contains("absent.key"), "{error}");
}

#[tokio::test]
async fn a_manifest_with_foreign_layers_is_refused_with_the_reason_until_the_registry_allows_them() {
    needs!("docker-registry");
    let foreign = Blob::foreign(noise(5, 1000), "https://layers.example/5");
    let image = Artifact::image("linux/amd64", vec![Blob::layer(4, 1000), foreign]);
    let try_on = async |options: Options| {
        let registry = Registry::start(options);
        for content in image.all_blobs().into_iter().filter_map(|blob| blob.content.clone()) {
            registry.push_blob("team/app", content);
        }
        push_manifest(&repository(&registry, "team/app"), &image.root).await
    };
    let error = try_on(Options::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryForeignRefused, "{error}");
    assert!(error.to_string().contains("validation.manifests.urls.allow"), "{error}");
    let allow_urls = vec!["^https://layers\\.example/".to_owned()];
    try_on(Options { allow_urls, ..Options::default() }).await.unwrap();
}

#[tokio::test]
async fn an_index_with_an_absent_child_is_refused_with_the_reason() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let artifact = Artifact::multi_platform(1, 1000);
    artifact.children[0].push(&registry, "team/app", None);
    let error = push_manifest(&repository(&registry, "team/app"), &artifact.root).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistrySparseRefused, "{error}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    needs!("docker-registry");
    let mut registry = Registry::start(Options::default());
    registry.stop();
    let mut settings = settings(&registry);
    settings.retry.attempts = 2;
    settings.retry.first = std::time::Duration::from_millis(1);
    let repository = Client::new(settings).unwrap().repository(registry.address(), "team/app");
    let error = repository.resolve(&Name::Tag(Tag::latest())).await.unwrap_err();
    assert_eq!(error.code(), Code::RegistryUnreachable);
    assert!(error.to_string().contains(&format!("{}/team/app: manifest latest", registry.address())), "{error}");
}

#[tokio::test]
async fn a_name_that_would_leave_the_repository_is_never_asked_for() {
    let client = Client::new(Settings::default()).unwrap();
    for (registry, repository) in [
        ("127.0.0.1:1", "../../admin"),
        ("127.0.0.1:1", "a?x=y"),
        ("127.0.0.1:1/path", "a"),
        ("user@127.0.0.1:1", "a"),
        ("127.0.0.1:1#", "a"),
        ("", "a"),
    ] {
        let error = client.repository(registry, repository).tags().await.unwrap_err();
        assert_eq!(error.code(), Code::UsageReference, "{registry} {repository}: {error}");
    }
}

#[tokio::test]
async fn a_content_that_comes_from_elsewhere_arrives_whole() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let source = Arc::new(Memory::new());
    let content = noise(7, 5_000_000);
    let blob = Descriptor::of("a/b", &content);
    source.push(&blob, Verified::bytes(blob.clone(), content.clone().into())).await.unwrap();
    let body = Verified::open(source, &blob).await.unwrap();
    repository(&registry, "team/app").push(&blob, body).await.unwrap();
    assert_eq!(registry.blob("team/app", &blob.digest).unwrap(), content);
    let requests = registry.requests();
    assert_eq!(requests.iter().filter(|request| request.method == "PATCH").count(), 0, "one piece where it goes");
}
