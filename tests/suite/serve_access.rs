//! Who may do what: policies, scopes of tokens, client certificates, tags that stay, and the lines that tell of it.

use std::{fs, path::Path};

use airlift::{
    oci::{Digest, media_type},
    server::{Certificate, Config},
    store::Store,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Airlift, Serving,
    http::{Answer, Caller},
    with,
};

const POLICY: &str = "
users:
  ann: { push: 'team/**', delete: 'team/**' }
  bob: { pull: 'team/app' }
anonymous: { pull: 'open/**' }
";

fn users(folder: &Path, names: &[&str]) -> std::path::PathBuf {
    let lines: Vec<_> = names.iter().map(|name| format!("{name}:{}\n", bcrypt::hash("secret", 4).unwrap())).collect();
    let path = folder.join("users");
    fs::write(&path, lines.concat()).unwrap();
    path
}

fn image(serving: &Serving, caller: &Caller, repository: &str, tag: &str, note: &str) -> Answer {
    let config = Digest::sha256(b"{}");
    let at = |path: &str| format!("http://{}/v2/{repository}/{path}", serving.address());
    let blob = caller.send(Method::POST, &at(&format!("blobs/uploads/?digest={config}")), &[], "{}");
    if blob.status != StatusCode::CREATED {
        return blob;
    }
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "application/json", "digest": config, "size": 2}, "annotations": {"note": note}});
    let headers = [("content-type", media_type::OCI_MANIFEST)];
    caller.send(Method::PUT, &at(&format!("manifests/{tag}")), &headers, document.to_string())
}

fn named(user: &str) -> Caller {
    Caller { basic: Some((user.to_owned(), "secret".to_owned())), ..Caller::default() }
}

#[test]
fn a_policy_says_who_pulls_pushes_and_deletes_what() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let filled = Serving::new(Config::store(Store::open(&path("store")).unwrap()));
    for repository in ["team/app", "team/other", "open/tool", "team/app/open/tool"] {
        image(&filled, &Caller::default(), repository, "v1", "").success();
    }
    drop(filled);
    fs::write(path("policy"), POLICY).unwrap();
    let serving = Serving::new(with(Config::store(Store::open(&path("store")).unwrap()), |config| {
        config.htpasswd = Some(users(folder.path(), &["ann", "bob"]));
        config.policy = Some(path("policy"));
    }));
    let (ann, bob, nobody) = (named("ann"), named("bob"), Caller::default());
    let get =
        |caller: &Caller, path: &str| caller.send(Method::GET, &format!("http://{}{path}", serving.address()), &[], "");
    for (caller, repository, status) in [
        (&ann, "team/app", 200),
        (&ann, "team/other", 200),
        (&bob, "team/app", 200),
        (&bob, "team/other", 403),
        (&bob, "open/tool", 200),
        (&nobody, "open/tool", 200),
        (&nobody, "team/app", 401),
        (&nobody, "open/absent", 404),
        // Another name for what is not allowed.
        (&nobody, "open/tool", 200),
    ] {
        let answer = get(caller, &format!("/v2/{repository}/manifests/v1"));
        assert_eq!(answer.status.as_u16(), status, "{:?} {repository}", caller.basic);
    }
    assert_eq!(get(&nobody, "/v2/open/tool/manifests/v1?ns=team/app").status, StatusCode::NOT_FOUND);
    assert_eq!(image(&serving, &ann, "team/new", "v1", "").status, StatusCode::CREATED);
    assert_eq!(image(&serving, &bob, "team/app", "v2", "").status, StatusCode::FORBIDDEN);
    assert_eq!(image(&serving, &nobody, "open/tool", "v2", "").status, StatusCode::UNAUTHORIZED);
    // A blob of a repository that is not hers is not hers by a mount either.
    let mount = |from: &str| {
        let path = format!("/v2/team/new/blobs/uploads/?mount={}{from}", Digest::sha256(b"{}"));
        ann.send(Method::POST, &format!("http://{}{path}", serving.address()), &[], "").status
    };
    assert_eq!((mount("&from=team/app"), mount("&from=team2/x")), (StatusCode::CREATED, StatusCode::ACCEPTED));
    let listed = |caller: &Caller| {
        let all = format!("http://{}/v2/_catalog", serving.address());
        serde_json::from_slice::<Value>(&caller.send(Method::GET, &all, &[], "").success().body).unwrap()
    };
    assert_eq!(listed(&bob)["repositories"], json!(["open/tool", "team/app"]));
    let page = String::from_utf8(get(&bob, "/").success().body.to_vec()).unwrap();
    assert!(page.contains("team/app") && !page.contains("team/other"), "{page}");
    assert_eq!(get(&nobody, "/v2/").status, StatusCode::UNAUTHORIZED, "clients learn here how to log in");
    assert_eq!(get(&nobody, "/metrics").status, StatusCode::UNAUTHORIZED);
}

#[test]
fn every_problem_of_a_policy_is_said_before_the_start() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("policy"), "users: {ann: {pul: x, push: '*'}}\nuser: {}").unwrap();
    let ran = airlift.run(["serve", "--store", "store", "--policy", "policy"]);
    assert_eq!(ran.code, Some(2), "{ran}");
    for part in ["\"pul\"", "\"*\"", "\"user\""] {
        assert!(ran.stderr.contains(part), "{ran}");
    }
}

#[test]
fn tags_that_stay_are_neither_moved_nor_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let serving = Serving::new(with(Config::store(store), |config| config.immutable_tags = true));
    let push = |tag: &str, note: &str| image(&serving, &Caller::default(), "r", tag, note).status;
    assert_eq!(push("v1", "one"), StatusCode::CREATED);
    assert_eq!(push("v1", "one"), StatusCode::CREATED, "the same again is not a change");
    assert_eq!(push("v1", "two"), StatusCode::CONFLICT);
    let digest = serving.get("/v2/r/manifests/v1").header("docker-content-digest").to_owned();
    for name in ["v1", &digest] {
        let deleted = serving.send(Method::DELETE, &format!("/v2/r/manifests/{name}"), &[], "");
        assert_eq!(deleted.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(push("v2", "two"), StatusCode::CREATED);
    assert!(String::from_utf8_lossy(&serving.get("/v2/r/manifests/v1").body).contains("one"));
}

#[test]
fn behind_a_proxy_the_address_is_that_of_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::new(with(Config::store(Store::open(&folder.path().join("store")).unwrap()), |config| {
        config.htpasswd = Some(users(folder.path(), &["ann"]));
        config.public_url = Some("https://registry.example".to_owned());
    }));
    let asked = serving.get("/v2/");
    assert!(asked.header("www-authenticate").starts_with("Bearer realm=\"https://registry.example/token\""));
    let url = format!("http://{}/v2/r/blobs/uploads/", serving.address());
    let begun = named("ann").send(Method::POST, &url, &[], "");
    assert!(begun.header("location").starts_with("https://registry.example/v2/r/blobs/uploads/"));
}

#[test]
fn only_clients_with_a_certificate_of_the_authority_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    crate::support::tls::write(folder.path());
    let tls = Certificate { chain: path("server.pem"), key: path("server.key"), client_ca: Some(path("ca.pem")) };
    let serving =
        Serving::new(with(Config::store(Store::open(&path("store")).unwrap()), |config| config.tls = Some(tls)));
    let read = |name: &str| fs::read(path(name)).unwrap();
    let identity = Some([read("client.pem"), read("client.key")].concat());
    let url = format!("https://{}/v2/", serving.address());
    let known = Caller { ca: Some(read("ca.pem")), identity, ..Caller::default() };
    known.send(Method::GET, &url, &[], "").success();
    let stranger = Caller { ca: Some(read("ca.pem")), ..Caller::default() };
    assert!(std::panic::catch_unwind(|| stranger.send(Method::GET, &url, &[], "")).is_err());
}

#[test]
fn pushes_deletes_and_refusals_are_told_without_being_asked_for() {
    let airlift = Airlift::new();
    users(airlift.home(), &["ann"]);
    let options = ["serve", "--store", "store", "--listen", "127.0.0.1:0", "--htpasswd", "users"];
    let server = airlift.start(options);
    let line = server.wait_for_line("Serving on http://");
    let address = line.split_once("http://").unwrap().1.trim().to_owned();
    let digest = Digest::sha256(b"{}");
    let send = |caller: &Caller, method: Method, path: String, body: &'static str| {
        caller.send(method, &format!("http://{address}{path}"), &[], body).status
    };
    let upload = format!("/v2/r/blobs/uploads/?digest={digest}");
    assert_eq!(send(&named("ann"), Method::POST, upload.clone(), "{}"), StatusCode::CREATED);
    server.wait_for_line("action=\"push\"");
    assert_eq!(send(&Caller::default(), Method::POST, upload, "{}"), StatusCode::UNAUTHORIZED);
    server.wait_for_line("action=\"refuse\"");
    assert_eq!(send(&named("ann"), Method::DELETE, format!("/v2/r/blobs/{digest}"), ""), StatusCode::ACCEPTED);
    let told = server.wait_for_line("action=\"delete\"");
    assert!(told.contains("user=\"ann\"") && told.contains(&digest.to_string()), "{told}");
}
