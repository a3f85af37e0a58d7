//! Lists in pages, whose `Link` has every form that RFC 8288 allows, or none that can be read.

use super::*;

fn first(links: &[&str]) -> Reply {
    links.iter().fold(Reply::ok(r#"{"tags":["a"]}"#), |reply, link| reply.header("link", link))
}

async fn tags(links: Vec<String>) -> content::Result<usize> {
    let server = Hostile::start(|_| {
        move |request: &Request| {
            if request.query.contains("last=") {
                return Reply::ok(r#"{"tags":["b",null]}"#);
            }
            first(&links.iter().map(String::as_str).collect::<Vec<_>>())
        }
    })
    .await;
    repository(&server).tags().await.map(|tags| tags.len())
}

#[tokio::test]
async fn the_next_page_is_found_in_every_form_of_a_link() {
    for links in [
        &["</v2/team/app/tags/list?last=a>; rel=next"][..],
        &["<?last=a>; rel = \"next\""],
        &["<list?last=a,b;c>; REL=\"last NEXT\""],
        &["</v2/>; rel=up", "", "<?last=a>; rel=next"],
        &["</v2/>; title=\"a, <b>; rel=next\"; rel=first, <?last=a>; title*=UTF-8''x; rel=\"next\""],
    ] {
        let owned = links.iter().map(|link| (*link).to_owned()).collect();
        assert_eq!(tags(owned).await.unwrap_or_else(|error| panic!("{links:?}: {error}")), 2, "{links:?}");
    }
}

#[tokio::test]
async fn a_link_that_cannot_be_read_is_an_error() {
    for link in ["?last=a; rel=next", "<?last=a; rel=next", "<?last=a>; rel=\"next", "<http://[>; rel=next"] {
        let error = tags(vec![link.to_owned()]).await.unwrap_err();
        assert_eq!(error.code(), Code::RegistryProtocol, "{link}: {error}");
    }
}

#[tokio::test]
async fn a_page_on_another_host_is_read_without_our_authorization() {
    let other = Hostile::start(|_| |_: &Request| Reply::ok(r#"{"tags":["b"]}"#)).await;
    let next = format!("<http://{}/more>; rel=next", other.address());
    let server = Hostile::start(|address| {
        let realm = format!("http://{address}/token");
        move |request: &Request| match (request.path.as_str(), request.header("authorization")) {
            ("/token", _) => Reply::ok(r#"{"token":"secret"}"#),
            (_, "") => Reply::bearer(&realm, "repository:team/app:pull"),
            _ => Reply::ok(r#"{"tags":["a"]}"#).header("link", &next),
        }
    })
    .await;
    assert_eq!(repository(&server).tags().await.unwrap().len(), 2);
    assert_eq!(other.requests().len(), 1);
    assert!(other.requests().iter().all(|request| request.header("authorization").is_empty()));
}

#[tokio::test]
async fn a_later_page_of_referrers_that_fails_is_not_the_end_of_the_list() {
    for later in [Reply::new(404), Reply::new(405), Reply::ok("<html>"), Reply::ok("{}")] {
        let told = format!("{later:?}");
        let server = Hostile::start(|_| {
            move |request: &Request| match (request.path.contains("/referrers/"), request.query.as_str()) {
                (true, "") => {
                    let body = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []});
                    Reply::ok(body.to_string())
                        .header("content-type", media_type::OCI_INDEX)
                        .header("link", "<?page=2>; rel=next")
                }
                (true, _) => later.clone(),
                _ => Reply::new(404),
            }
        })
        .await;
        let error = repository(&server).referrers(&Digest::sha256(b"x")).await.unwrap_err();
        assert!(!error.is_not_found(), "{told}: {error}");
    }
}
