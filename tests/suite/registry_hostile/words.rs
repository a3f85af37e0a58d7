//! The words of registries, which survive, and our credentials in them, which do not.

use super::*;

async fn refusal(reply: Reply) -> String {
    let server = Hostile::start(|_| move |_: &Request| reply.clone()).await;
    let error = repository(&server).resolve(&Name::Tag(Tag::latest())).await.unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn the_words_of_any_registry_are_repeated() {
    for (status, body, words) in [
        (404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"gone"}]}"#, "MANIFEST_UNKNOWN gone"),
        (404, r#"{"errors":[{"status":404,"message":"Unable to find it"}]}"#, "Unable to find it"),
        (403, r#"{"message":"403 Forbidden, by the group"}"#, "403 Forbidden, by the group"),
        (400, r#"{"detail":"no such project"}"#, "no such project"),
        (404, "try the other mirror\u{1b}[2J", "try the other mirror [2J"),
        (502, "<html><head><title>502 Bad Gateway</title>", "502 Bad Gateway"),
        (300, "choose", "choose"),
    ] {
        let text = refusal(Reply::new(status).body(body)).await;
        assert!(text.contains(words), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let long = refusal(Reply::new(400).body("x".repeat(200_000))).await;
    assert!(long.len() < 1000, "{} bytes", long.len());
}

#[tokio::test]
async fn an_answer_that_repeats_our_credentials_is_shown_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let authfile = folder.path().join("auth.json");
    let server = Hostile::start(|address| {
        let realm = format!("http://{address}/token");
        move |request: &Request| {
            let seen = request.header("authorization");
            match request.path.as_str() {
                "/v2/" => Reply::new(200),
                "/token" if request.query.contains("other") => {
                    Reply::new(400).body(format!("bad {seen} or {}", request.query))
                }
                "/token" => Reply::ok(r#"{"token":"geheimes.token-das-niemand-sieht"}"#),
                path if path.contains("other") => Reply::bearer(&realm, "repository:team/other:pull"),
                _ if seen.is_empty() => Reply::bearer(&realm, "repository:team/app:pull"),
                _ => Reply::new(403).body(format!("ada with lo&ve says {seen}, lo%26ve and YWRhOmxvJnZl")),
            }
        }
    })
    .await;
    let password = credentials::Credential::Password { user: "ada".to_owned(), password: "lo&ve".to_owned() };
    credentials::store(Some(&authfile), &server.address(), &password).unwrap();
    let mut settings = settings();
    settings.authfile = Some(authfile);
    let client = Client::new(settings).unwrap();
    for name in ["team/app", "team/other"] {
        let repository = client.repository(&server.address(), name);
        let error = repository.resolve(&Name::Tag(Tag::latest())).await.unwrap_err().to_string();
        assert!(error.contains('…'), "{error}");
        for secret in ["ada", "lo&ve", "lo%26ve", "YWRhOmxvJnZl", "geheimes"] {
            assert!(!error.contains(secret), "{secret} in {error}");
        }
    }
}

#[tokio::test]
async fn a_web_page_is_never_taken_for_an_answer() {
    let page = "\n<!DOCTYPE html><html><head><title>Sign in</title></head>";
    for content_type in ["text/html", "text/html; charset=utf-8", "application/json", "", media_type::OCI_MANIFEST] {
        let reply = Reply::ok(page).header("content-type", content_type);
        let server = Hostile::start(|address| {
            let realm = format!("http://{address}/token");
            move |request: &Request| {
                if request.path.contains("/team/guarded/") {
                    return Reply::bearer(&realm, "repository:team/guarded:pull");
                }
                reply.clone()
            }
        })
        .await;
        let client = Client::new(settings()).unwrap();
        let tag = Name::Tag(Tag::latest());
        for error in [
            repository(&server).resolve(&tag).await.unwrap_err(),
            repository(&server).tags().await.unwrap_err(),
            client.repository(&server.address(), "team/guarded").resolve(&tag).await.unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::RegistryProtocol, "{error}");
            let text = error.to_string();
            assert!(text.contains("a web page") && text.contains("Sign in"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_manifest_is_a_json_object_that_says_what_it_is() {
    let image = Artifact::small(1, 10).root.raw().clone();
    for (content_type, body) in [
        ("application/x-thing", "no json"),
        ("application/x-thing", r#""text""#),
        ("application/x-thing", "[]"),
        ("application/x-thing", r#"{"message":"log in"}"#),
        ("application/json", r#"{"message":"log in"}"#),
        (media_type::OCI_INDEX, "{}"),
    ] {
        let reply = Reply::ok(body).header("content-type", content_type);
        let server = Hostile::start(|_| move |_: &Request| reply.clone()).await;
        repository(&server).resolve(&Name::Tag(Tag::latest())).await.unwrap_err();
    }
    for content_type in ["", "application/octet-stream", "binary/octet-stream", "text/plain; charset=utf-8"] {
        let reply = Reply::ok(image.to_vec()).header("content-type", content_type);
        let server = Hostile::start(|_| move |_: &Request| reply.clone()).await;
        let manifest = repository(&server).resolve(&Name::Tag(Tag::latest())).await.unwrap();
        assert_eq!(manifest.media_type(), media_type::OCI_MANIFEST, "{content_type}");
    }
}

#[tokio::test]
async fn a_token_is_taken_whatever_stands_beside_it() {
    for (answer, is_good) in [
        (r#"{"token":"t","access_token":null,"refresh_token":null,"expires_in":null}"#, true),
        (r#"{"token":null,"access_token":"t","expires_in":-1}"#, true),
        (r#"{"token":"t","expires_in":"300"}"#, true),
        (r#"{"token":"t","expires_in":299.5}"#, true),
        (r#"{"token":"t","expires_in":18446744073709551615}"#, true),
        (r#"{"token":"t","expires_in":{},"issued_at":7}"#, true),
        (r#"{"token":null}"#, false),
        ("[]", false),
    ] {
        let server = Hostile::start(|address| {
            let realm = format!("http://{address}/token");
            move |request: &Request| match (request.path.as_str(), request.header("authorization")) {
                ("/token", _) => Reply::ok(answer),
                (_, "Bearer t") => Reply::ok(r#"{"tags":[]}"#),
                _ => Reply::bearer(&realm, "repository:team/app:pull"),
            }
        })
        .await;
        assert_eq!(repository(&server).tags().await.is_ok(), is_good, "{answer}");
    }
}
