//! The store behind `serve --store` as its owner meets it: clearing it up, keeping what is in it, letting people in, and a
//! disk that is full.

use std::{fs, path::Path};

use airlift::{
    oci::{Digest, media_type},
    server::Config,
    store::Store,
};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Airlift, Podman, Ran, Serving, Skopeo, Tmpfs,
    artifacts::{Artifact, Blob, noise},
    http::{self, Answer, Caller, block_on},
    needs,
    packed::Packed,
    peers,
    process::{Process, files_below},
};

/// `airlift serve --store store` with further options, in the home of `airlift`, and its address.
fn serve(airlift: &Airlift, options: &[&str]) -> (Process, String) {
    let fixed = ["serve", "--store", "store", "--listen", "127.0.0.1:0", "--log", "airlift=info"];
    let server = airlift.start(fixed.iter().chain(options));
    let address = server.wait_for_line("Serving on http://").split_once("http://").unwrap().1.trim().to_owned();
    (server, address)
}

/// An archive of `image` in `folder`, as skopeo reads it.
fn archive(folder: &Path, name: &str, image: &Artifact) -> String {
    let path = folder.join(format!("{name}.tar"));
    block_on(Packed::new().with("a.example/app:1", image.clone()).write(&path));
    format!("oci-archive:{}:a.example/app:1", path.display())
}

fn code(answer: &Answer) -> String {
    let envelope: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    envelope["errors"][0]["code"].as_str().unwrap().to_owned()
}

fn ask(method: Method, url: &str, authorization: Option<&str>, body: &'static str) -> Answer {
    let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
    Caller::default().send(method, url, &headers, body)
}

#[test]
fn a_sweep_takes_what_no_manifest_names_and_leaves_the_rest_to_be_pulled() {
    needs!("skopeo");
    let airlift = Airlift::new();
    let shared = Blob::layer(1, 200_000);
    let kept = Artifact::index(vec![
        ("linux/amd64", Artifact::image("linux/amd64", vec![shared.clone(), Blob::layer(2, 50_000)])),
        ("linux/arm64", Artifact::image("linux/arm64", vec![shared.clone()])),
    ]);
    let gone = Artifact::image("linux/amd64", vec![shared, Blob::layer(3, 300_000)]);
    let (server, address) = serve(&airlift, &[]);
    let skopeo = Skopeo::new();
    for (name, image) in [("kept", &kept), ("gone", &gone)] {
        let source = archive(airlift.home(), name, image);
        skopeo.copy(&source, &format!("docker://{address}/team/app:{name}"));
    }
    let begun = ask(Method::POST, &format!("http://{address}/v2/team/app/blobs/uploads/"), None, "");
    let upload = format!("http://{address}{}", begun.header("location"));
    assert_eq!(ask(Method::PATCH, &upload, None, "half").status, StatusCode::ACCEPTED);
    skopeo.run(["delete", "--tls-verify=false", &format!("docker://{address}/team/app:gone")]).success();

    // While it is served nobody else touches it.
    let before = files_below(&airlift.home().join("store/blobs"));
    airlift.run(["store", "gc", "store"]).exits(1).says(&["output.busy", "in use by another process", "airlift serve"]);
    assert_eq!(files_below(&airlift.home().join("store/blobs")), before);
    stop(server);

    let would = airlift.json(["store", "gc", "store", "--dry-run", "--json"]);
    assert_eq!(files_below(&airlift.home().join("store/blobs")), before);
    // The layer and the config of the image that was deleted; the upload is younger than a day.
    let bytes: u64 = [&gone.blobs[0], &gone.blobs[2]].iter().map(|blob| blob.descriptor.size).sum();
    assert_eq!(would, json!({"blobs": 2, "bytes": bytes, "uploads": 0}));
    let swept = airlift.run(["store", "gc", "store", "--keep-uploads", "0"]).success();
    assert!(swept.stdout.starts_with("Deleted 2 blobs of ") && swept.stdout.contains("1 abandoned upload"), "{swept}");
    let left = files_below(&airlift.home().join("store/blobs"));
    assert_eq!(left.len(), before.len() - 2);
    for blob in [&gone.blobs[0], &gone.blobs[2]] {
        assert!(!left.iter().any(|path| path.ends_with(&blob.descriptor.digest.hex())));
    }

    let (server, address) = serve(&airlift, &[]);
    let layout = airlift.home().join("pulled");
    skopeo.copy(&format!("docker://{address}/team/app:kept"), &format!("oci:{}:1", layout.display()));
    let pulled = |digest: &Digest| fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap();
    assert!(kept.all_blobs().iter().all(|blob| Some(&pulled(&blob.descriptor.digest)[..]) == blob.content.as_deref()));
    let url = |rest: &str| format!("http://{address}/v2/team/app/{rest}");
    assert_eq!(http::get(&url("manifests/gone")).status, StatusCode::NOT_FOUND);
    assert_eq!(http::get(&url(&format!("blobs/{}", gone.blobs[2].descriptor.digest))).status, StatusCode::NOT_FOUND);
    assert_eq!(http::get(&format!("http://{address}{}", begun.header("location"))).status, StatusCode::NOT_FOUND);
    stop(server);
    assert_eq!(
        airlift.json(["store", "gc", "store", "--json"]),
        json!({"blobs": 0, "bytes": 0, "uploads": 0}),
        "nothing is left to take"
    );
}

fn stop(mut server: Process) {
    server.signal(Signal::TERM);
    assert!(server.wait().success() || server.log().contains("interrupted"), "{}", server.log());
}

#[test]
fn a_folder_that_is_no_store_is_not_made_one_by_a_sweep() {
    let airlift = Airlift::new();
    fs::create_dir(airlift.home().join("other")).unwrap();
    for dir in ["absent", "other"] {
        airlift.run(["store", "gc", dir]).exits(2).says(&["usage.file", dir, "is not a store"]);
    }
    assert!(!airlift.home().join("absent").exists());
    assert_eq!(files_below(&airlift.home().join("other")), Vec::<String>::new());
}

#[test]
fn a_store_that_keeps_everything_refuses_deletes_and_takes_pushes() {
    let airlift = Airlift::new();
    let (_server, address) = serve(&airlift, &["--no-delete"]);
    let url = |rest: &str| format!("http://{address}/v2/r/{rest}");
    let config = Digest::sha256(b"{}");
    let push = ask(Method::POST, &url(&format!("blobs/uploads/?digest={config}")), None, "{}");
    assert_eq!(push.status, StatusCode::CREATED);
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2}});
    let typed = [("content-type", media_type::OCI_MANIFEST)];
    for tag in ["v1", "v2"] {
        let put = Caller::default().send(Method::PUT, &url(&format!("manifests/{tag}")), &typed, manifest.to_string());
        assert_eq!(put.status, StatusCode::CREATED);
    }
    let digest = Digest::sha256(manifest.to_string().as_bytes());
    for path in [
        "manifests/v1".to_owned(),
        format!("manifests/{digest}"),
        format!("blobs/{config}"),
        "manifests/absent".to_owned(),
    ] {
        // Distribution-spec, "Deleting tags", "Deleting Manifests", "Deleting Blobs": 405 where it is switched off.
        let refused = ask(Method::DELETE, &url(&path), None, "");
        assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (405, "UNSUPPORTED"), "{path}");
    }
    for path in ["manifests/v1".to_owned(), format!("manifests/{digest}"), format!("blobs/{config}")] {
        http::get(&url(&path)).success();
    }
    // An upload that its client gives up was never there.
    let begun = ask(Method::POST, &url("blobs/uploads/"), None, "");
    let cancelled = ask(Method::DELETE, &format!("http://{address}{}", begun.header("location")), None, "");
    assert_eq!(cancelled.status, StatusCode::NO_CONTENT);
}

#[test]
fn clients_change_their_password_for_a_token_and_nobody_else_comes_in() {
    needs!("skopeo", "podman", "htpasswd");
    let mut airlift = Airlift::new();
    let users = |user: &str, password: &str| {
        let mut command = std::process::Command::new(peers::path("htpasswd"));
        let line = Ran::of(command.args(["-Bbn", "-C4", user, password])).success().stdout;
        fs::write(airlift.home().join("users"), line).unwrap();
    };
    users("ann", "secret-17");
    let (server, address) = serve(&airlift, &["--htpasswd", "users"]);
    let base = format!("http://{address}/v2/");

    // The challenge leads to a token, as any client of the protocol goes.
    let challenged = ask(Method::GET, &base, None, "");
    assert_eq!((challenged.status.as_u16(), code(&challenged).as_str()), (401, "UNAUTHORIZED"));
    let bearer = challenged.header("www-authenticate");
    assert_eq!(bearer, format!("Bearer realm=\"http://{address}/token\",service=\"airlift\""));
    let realm = format!("http://{address}/token?service=airlift&scope=repository:team/app:pull,push");
    let token_for = |user: &str, password: &str| {
        let caller = Caller { basic: Some((user.to_owned(), password.to_owned())), ..Caller::default() };
        caller.send(Method::GET, &realm, &[], "")
    };
    for (user, password) in [("ann", "guess"), ("bob", "secret-17"), ("ann", "")] {
        let refused = token_for(user, password);
        assert_eq!((refused.status.as_u16(), code(&refused).as_str()), (401, "UNAUTHORIZED"), "{user}:{password}");
    }
    assert_eq!(ask(Method::GET, &realm, None, "").status.as_u16(), 401);
    let answer: Value = serde_json::from_slice(&token_for("ann", "secret-17").success().body).unwrap();
    let token = answer["token"].as_str().unwrap();
    assert_eq!(answer["access_token"], answer["token"]);
    assert!(answer["expires_in"].as_u64().unwrap() >= 60, "{answer}");
    let bearer = format!("Bearer {token}");
    ask(Method::GET, &base, Some(&bearer), "").success();
    for bad in [&bearer[..bearer.len() - 1], "Bearer ", "Bearer secret-17", &format!("Basic {token}")] {
        assert_eq!(ask(Method::GET, &base, Some(bad), "").status.as_u16(), 401, "{bad}");
    }

    // Skopeo, podman and airlift itself ask for the token by themselves.
    let skopeo = Skopeo::new();
    let login = |password: &str| skopeo.run(["login", "--tls-verify=false", "-u", "ann", "-p", password, &address]);
    assert_ne!(login("guess").code, Some(0));
    login("secret-17").success();
    let image = Artifact::small(1, 5000);
    skopeo.copy(&archive(airlift.home(), "image", &image), &format!("docker://{address}/team/app:1"));
    let podman = Podman::new();
    podman.run(["login", "--tls-verify=false", "-u", "ann", "-p", "secret-17", &address]).success();
    airlift.run_with_input(["login", &address, "-u", "ann", "--password-stdin"], "secret-17\n").success();
    let reference = format!("{address}/team/app:1");
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
    airlift.run(["verify", "b.tar"]).success();
    let log = server.log();
    // The one above, and those of five commands.
    let tokens = log.matches("path=\"/token\" status=200").count();
    assert!(tokens >= 6, "each of them changes its password for a token, and here are {tokens}: {log}");
    assert!(!log.contains("secret-17") && !log.contains(token), "{log}");

    // Who is taken out of the file is out at once, with a token too.
    users("bob", "other");
    server.signal(Signal::HUP);
    server.wait_for_line("were read again");
    assert_eq!(ask(Method::GET, &base, Some(&bearer), "").status.as_u16(), 401);
    airlift.set("AIRLIFT_USERNAME", "ann").set("AIRLIFT_PASSWORD", "secret-17");
    airlift.run(["export", &reference, "-o", "c.tar"]).exits(5).says(&["registry.unauthorized", &address]);
}

#[test]
fn a_full_disk_leaves_nothing_half_pushed() {
    let Some(tmpfs) = Tmpfs::mount(6 << 20) else { return };
    let serving = Serving::new(Config::store(Store::open(&tmpfs.path().join("store")).unwrap()));
    let config = serving.push_blob("r", b"{}");
    let manifest = |padding: usize| {
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [],
            "annotations": {"padding": "x".repeat(padding)}})
    };
    serving.push_manifest("r", "before", &manifest(0)).success();
    let (filler, content) = (tmpfs.path().join("filler"), noise(1, 2 << 20));
    let digest = Digest::sha256(&content);
    let path = format!("/v2/r/blobs/uploads/?digest={digest}");
    fs::write(&filler, vec![0; 5 << 20]).unwrap();

    // In one request: there is no session that the client could know of, and nothing of it stays.
    let full = serving.send(Method::POST, &path, &[], content.clone());
    assert_eq!((full.status.as_u16(), code(&full).as_str()), (507, "UNKNOWN"));
    assert!(!String::from_utf8_lossy(&full.body).contains("kept"), "{full:?}");
    assert_eq!(serving.get(&format!("/v2/r/blobs/{digest}")).status, StatusCode::NOT_FOUND);
    assert_eq!(files_below(&tmpfs.path().join("store/uploads")), Vec::<String>::new());

    // In two: the upload goes on when there is room.
    let begun = serving.send(Method::POST, "/v2/r/blobs/uploads/", &[], "");
    let location = begun.header("location").to_owned();
    let full = serving.send(Method::PUT, &format!("{location}?digest={digest}"), &[], content.clone());
    assert_eq!((full.status.as_u16(), code(&full).as_str()), (507, "UNKNOWN"));
    assert_eq!(serving.get(&format!("/v2/r/blobs/{digest}")).status, StatusCode::NOT_FOUND);

    // A manifest, which lies in the database; this one does not fit into what is left.
    let full = serving.push_manifest("r", "large", &manifest(3 << 20));
    assert_eq!((full.status.as_u16(), code(&full).as_str()), (507, "UNKNOWN"), "{full:?}");
    let tags: Value = serde_json::from_slice(&serving.get("/v2/r/tags/list").success().body).unwrap();
    assert_eq!(tags["tags"], json!(["before"]));
    let large = Digest::sha256(manifest(3 << 20).to_string().as_bytes());
    for name in ["large".to_owned(), large.to_string()] {
        assert_eq!(serving.get(&format!("/v2/r/manifests/{name}")).status, StatusCode::NOT_FOUND);
    }
    assert_eq!(serving.get("/v2/r/manifests/before").success().body, manifest(0).to_string());

    fs::remove_file(&filler).unwrap();
    let state = serving.get(&location).success();
    let received = state.header("range").strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    let rest = if received == 1 { content.clone() } else { content[received..].to_vec() };
    let put = serving.send(Method::PUT, &format!("{location}?digest={digest}"), &[], rest);
    assert_eq!(put.status, StatusCode::CREATED);
    assert!(serving.get(&format!("/v2/r/blobs/{digest}")).success().body == content);
    serving.push_manifest("r", "after", &manifest(1000)).success();
}
