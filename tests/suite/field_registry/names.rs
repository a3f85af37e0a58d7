//! Registries that have an address of IPv6, and that lead to another registry.

use super::*;
use crate::support::{Airlift, http::block_on, packed::Packed};

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

/// Through commands, from a server at `[::1]` to another one there.
#[test]
fn an_address_of_ipv6_is_served_exported_from_imported_to_and_configured() {
    let airlift = Airlift::new();
    let image = Artifact::small(1, 5_000);
    let packed = Packed::new().with("[::1]:5000/team/app:v1", image.clone());
    block_on(packed.write(&airlift.home().join("b.tar")));
    let address = |server: &crate::support::process::Process| {
        server.wait_for_line("Serving on ").split_once("http://").unwrap().1.trim().to_owned()
    };
    let from = airlift.start(["serve", "b.tar", "--listen", "[::1]:0"]);
    let source = address(&from);
    assert!(source.starts_with("[::1]:"), "{source}");
    airlift.run(["export", &format!("{source}/team/app:v1"), "-o", "again.tar"]).success();
    let to = airlift.start(["serve", "--store", "store", "--listen", "[::1]:0"]);
    let target = address(&to);
    let import = ["import", "b.tar", "--keep-host", "--to", &format!("{target}/m"), "--json"];
    let report = airlift.json(import);
    let name = format!("{target}/m/0-0-0-0-0-0-0-1-5000/team/app:v1");
    assert_eq!(report["artifacts"][0]["target"], *name, "{report}");
    airlift.run(["export", &name, "-o", "kept.tar"]).success();

    let mirror = |options: &[&str]| {
        let mirror = ["mirror-config", "b.tar", "--for", "containerd", "-o", "out"];
        airlift.run(mirror.iter().chain(options)).success();
        let folder = airlift.home().join("out");
        let files = crate::support::process::files_below(&folder);
        let texts = files.iter().map(|file| format!("{file}\n{}", std::fs::read_to_string(folder.join(file)).unwrap()));
        texts.collect::<String>()
    };
    let files = mirror(&["--mirror", &format!("http://{target}/m"), "--keep-host"]);
    assert!(files.contains(&format!("http://{target}/v2/m/0-0-0-0-0-0-0-1-5000")), "{files}");
}

#[test]
fn a_login_takes_the_name_of_a_registry_as_a_browser_shows_it() {
    let airlift = Airlift::new();
    for name in ["https://127.0.0.1:9", "https://127.0.0.1:9/"] {
        let login = ["login", name, "-u", "ada", "--password-stdin"];
        let ran = airlift.run_with_input(login, "love").exits(1);
        ran.says(&["registry.unreachable", "127.0.0.1:9"]);
        assert_eq!(airlift.run(["logout", name]).success().stdout, "nothing was kept for 127.0.0.1:9\n");
    }
    for (name, says) in [
        ("http://r.site:5000/", "r.site:5000 --plain-http r.site:5000"),
        ("r.site/team", "HOST:PORT"),
        ("", "HOST:PORT"),
    ] {
        airlift.run(["login", name, "-u", "ada"]).exits(2).says(&["usage.argument", says]);
    }
}
