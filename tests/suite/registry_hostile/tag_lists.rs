//! A list of tags says what is attached only where it is whole and of a registry that lists all it can give.

use airlift::content::{Origin, Origins};

use super::*;

fn subject() -> Digest {
    Digest::sha256(b"subject")
}

fn signature() -> Tag {
    let [signature, ..] = Tag::cosign(&subject());
    signature
}

/// What a registry has for `tags/list`, and how it answers a path that it does not know.
struct Lister {
    no_route: Reply,
    tags: Reply,
}

fn distribution() -> Reply {
    Reply::new(404).header("docker-distribution-api-version", "registry/2.0").body("404 page not found\n")
}

fn tags(tags: &[&str]) -> Reply {
    Reply::ok(json!({"name": "team/app", "tags": tags}).to_string())
}

/// Asks for a signature, after the image `v1` was fetched and the list of what is attached by `subject` asked for. Whether one was
/// found, and what was asked.
async fn ask(lister: Lister) -> (bool, Vec<String>) {
    let image = Artifact::small(1, 10);
    let (raw, digest) = (image.root.raw().to_vec(), image.digest().to_string());
    let signature = signature().to_string();
    let server = Hostile::start(|_| {
        move |request: &Request| match request.path.as_str() {
            path if path.contains("/referrers/") => lister.no_route.clone(),
            path if path.ends_with("/tags/list") => lister.tags.clone(),
            path if path.ends_with("/manifests/v1") || path.ends_with(&signature) => Reply::ok(raw.clone())
                .header("content-type", media_type::OCI_MANIFEST)
                .header("docker-content-digest", &digest),
            path if path.contains("/manifests/") => Reply::new(404),
            _ => Reply::new(200),
        }
    })
    .await;
    let client = Client::new(settings()).unwrap();
    let origin: Arc<dyn Origin> = client.origin(&format!("{}/team/app", server.address()).parse().unwrap());
    origin.resolve(&Name::Tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!(origin.referrers(&subject()).await.unwrap(), []);
    let found = origin.head(&Name::Tag(self::signature())).await.unwrap();
    (found.is_some(), server.lines())
}

#[tokio::test]
async fn the_whole_list_of_distribution_is_believed() {
    let (found, asked) = ask(Lister { no_route: distribution(), tags: tags(&["v1", "v2"]) }).await;
    assert!(!found);
    let for_tags = asked.iter().filter(|line| line.contains("/manifests/sha256-"));
    assert_eq!(for_tags.count(), 0, "{asked:?}");
    assert_eq!(asked.iter().filter(|line| line.ends_with("/tags/list")).count(), 1, "{asked:?}");

    let (found, _) = ask(Lister { no_route: distribution(), tags: tags(&["v1", signature().as_str()]) }).await;
    assert!(found);
}

#[tokio::test]
async fn where_a_list_may_not_be_whole_each_tag_is_asked_for() {
    let next = || tags(&["v1"]).header("link", r#"</v2/team/app/tags/list?last=v1>; rel="next""#);
    for (no_route, tags, why) in [
        (Reply::new(404).body("404 page not found"), tags(&["v1"]), "it does not say that it is distribution"),
        (Reply::error(404, "NOT_FOUND"), tags(&["v1"]), "it has an answer of its own"),
        (Reply::new(405), tags(&["v1"]), "it refuses the method"),
        (distribution(), next(), "there is another page"),
        (distribution(), tags(&["v2"]), "the tag that was fetched is not in it"),
        (distribution(), Reply::new(403), "it cannot be had"),
        (distribution(), Reply::new(404), "there is none"),
        (distribution(), Reply::ok("<html>"), "it is a page for people"),
    ] {
        let (found, asked) = ask(Lister { no_route, tags }).await;
        assert!(found, "{why}: {asked:?}");
    }
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_the_bound() {
    for bound in [1, 3] {
        let server = Hostile::start(|_| |_: &Request| Reply::new(404)).await;
        let mut settings = settings();
        settings.requests = bound;
        let repository = Client::new(settings).unwrap().repository(&server.address(), "team/app");
        let asking = (0..40_u32).map(|at| {
            let (repository, name) = (repository.clone(), Name::Digest(Digest::sha256(&at.to_le_bytes())));
            async move { repository.head(&name).await }
        });
        let answers = futures::future::join_all(asking).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap().is_none()));
        let connections = server.connections();
        assert!(connections <= bound, "{connections} connections where {bound} requests are allowed at once");
    }
}
