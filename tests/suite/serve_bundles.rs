//! Bundles in place as a registry: names, layers over one another, damage.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use airlift::{
    bundle::Reader,
    content::{Code, Fault as _},
    oci::{Digest, media_type},
    server::{Config, Server},
    store::Store,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::{
    Airlift, Serving,
    artifacts::{Artifact, Blob},
    http::block_on,
    packed::Packed,
    with,
};

fn open(path: &Path) -> Reader {
    block_on(Reader::open(path)).unwrap()
}

fn bundle(folder: &Path, name: &str, packed: &Packed) -> PathBuf {
    let path = folder.join(name);
    block_on(packed.write(&path));
    path
}

fn manifest_path(repository: &str, name: &str) -> String {
    format!("/v2/{repository}/manifests/{name}")
}

/// What came of a blob, by a connection of its own: length promised, bytes that came.
fn raw_get(address: &str, path: &str, headers: &str) -> (String, Option<usize>, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut all = Vec::new();
    // A reset is an end like any other here.
    let _ = stream.read_to_end(&mut all);
    let head = all.windows(4).position(|window| window == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
    let text = String::from_utf8_lossy(&all[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    (text.lines().next().unwrap_or_default().to_owned(), length, all[head..].to_vec())
}

#[test]
fn a_repository_answers_to_every_name_that_clients_use_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = Artifact::multi_platform(1, 2000);
    let other = Artifact::small(7, 100);
    let sbom = Artifact::attached("application/spdx+json", Blob::new("application/spdx+json", "{}"), Some(&image));
    let packed = Packed::new()
        .with("docker.io/library/nginx:1", image.clone())
        .with("quay.io/team/app:1", other.clone())
        .attached("docker.io/library/nginx", sbom.clone());
    let serving = Serving::new(Config::bundles(vec![open(&bundle(folder.path(), "b.tar", &packed))]));
    for name in ["nginx", "library/nginx", "docker.io/library/nginx"] {
        let answer = serving.get(&manifest_path(name, "1")).success();
        assert_eq!(answer.body, image.root.raw(), "{name}");
        assert_eq!(answer.header("content-type"), media_type::OCI_INDEX);
        let layer = image.all_blobs()[1];
        let blob = serving.get(&format!("/v2/{name}/blobs/{}", layer.descriptor.digest)).success();
        assert_eq!(Some(blob.body), layer.content);
        for child in image.manifests() {
            serving.get(&manifest_path(name, &child.digest().to_string())).success();
        }
        let referrers = serving.get(&format!("/v2/{name}/referrers/{}", image.digest())).success();
        let listed: Value = serde_json::from_slice(&referrers.body).unwrap();
        assert_eq!(listed["manifests"][0]["digest"], sbom.digest().to_string());
    }
    for (path, namespace, found) in [
        ("library/nginx", "docker.io", true),
        ("nginx", "docker.io", true),
        ("library/nginx", "registry-1.docker.io", true),
        ("library/nginx", "quay.io", false),
        ("team/app", "quay.io", true),
    ] {
        let answer = serving.get(&format!("{}?ns={namespace}", manifest_path(path, "1")));
        assert_eq!(answer.status.is_success(), found, "{path} of {namespace}");
        if found {
            assert_eq!(answer.header("oci-namespace"), namespace);
        }
    }
    assert_eq!(serving.get("/v2/_catalog").body, r#"{"repositories":["library/nginx","team/app"]}"#);
    let blob_of_another = format!("/v2/team/app/blobs/{}", image.all_blobs()[0].descriptor.digest);
    assert_eq!(serving.get(&blob_of_another).status, StatusCode::NOT_FOUND, "repositories are told apart");
}

#[test]
fn a_name_that_two_hosts_have_is_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Artifact::small(1, 100), Artifact::small(2, 100));
    let packed = Packed::new().with("a.example/team/app:1", one.clone()).with("b.example/team/app:1", two.clone());
    let serving = Serving::new(Config::bundles(vec![open(&bundle(folder.path(), "b.tar", &packed))]));
    let ambiguous = serving.get(&manifest_path("team/app", "1"));
    assert_eq!(ambiguous.status, StatusCode::NOT_FOUND);
    let text = String::from_utf8_lossy(&ambiguous.body);
    assert!(text.contains("a.example/team/app and b.example/team/app"), "{text}");
    for (path, image) in [
        ("/v2/team/app/manifests/1?ns=b.example".to_owned(), &two),
        (manifest_path("a.example/team/app", "1"), &one),
        (manifest_path("team/app", &two.digest().to_string()), &two),
    ] {
        assert_eq!(serving.get(&path).success().body, image.root.raw(), "{path}");
    }
    assert_eq!(serving.get("/v2/_catalog").body, r#"{"repositories":["a.example/team/app","b.example/team/app"]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_bundles_wins_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Artifact::small(1, 100), Artifact::small(2, 100));
    Packed::new().with("a.example/app:1", old.clone()).write(&folder.path().join("old.tar")).await;
    Packed::new().with("a.example/app:1", new.clone()).write(&folder.path().join("new.tar")).await;
    let readers = vec![open(&folder.path().join("old.tar")), open(&folder.path().join("new.tar"))];
    let server = Server::bind(Config::bundles(readers.clone()), "127.0.0.1:0").await.unwrap();
    assert_eq!(server.notes(), ["a.example/app:1 is in more than one bundle; new.tar wins"]);
    tokio::task::spawn_blocking(move || {
        let serving = Serving::new(Config::bundles(readers));
        assert_eq!(serving.get(&manifest_path("app", "1")).success().body, new.root.raw());
        serving.get(&manifest_path("app", &old.digest().to_string())).success();
    })
    .await
    .unwrap();
}

#[test]
fn nothing_of_a_bundle_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let image = Artifact::small(1, 100);
    let path = bundle(folder.path(), "b.tar", &Packed::new().with("a.example/app:1", image.clone()));
    let digest = image.digest();
    let upload = "/v2/app/blobs/uploads/6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let changes = [
        (Method::PUT, manifest_path("app", "2")),
        (Method::DELETE, manifest_path("app", "1")),
        (Method::DELETE, manifest_path("app", &digest.to_string())),
        (Method::DELETE, format!("/v2/app/blobs/{digest}")),
        (Method::POST, "/v2/app/blobs/uploads/".to_owned()),
        (Method::POST, format!("/v2/app/blobs/uploads/?mount={digest}&from=app")),
        (Method::PATCH, upload.to_owned()),
        (Method::PUT, format!("{upload}?digest={digest}")),
        (Method::DELETE, upload.to_owned()),
    ];
    let serving = Serving::new(Config::bundles(vec![open(&path)]));
    for (method, path) in changes {
        assert_eq!(serving.send(method.clone(), &path, &[], "x").status.as_u16(), 405, "{method} {path}");
    }
    // Below a store it stays as well, and can be covered by a push.
    let store = Store::open(&folder.path().join("store")).unwrap();
    let serving = Serving::new(with(Config::store(store), |config| config.bundles = vec![open(&path)]));
    for path in [manifest_path("app", "1"), manifest_path("app", &digest.to_string())] {
        assert_eq!(serving.send(Method::DELETE, &path, &[], "").status.as_u16(), 405, "{path}");
    }
    let layer = image.all_blobs()[0].descriptor.digest;
    assert_eq!(serving.send(Method::DELETE, &format!("/v2/app/blobs/{layer}"), &[], "").status.as_u16(), 405);
    let config = serving.push_blob("app", b"{}");
    let document = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config,
        "layers": [{"mediaType": "a/b", "digest": layer, "size": image.all_blobs()[0].descriptor.size}]});
    serving.push_manifest("app", "1", &document).success();
    assert_eq!(serving.get(&manifest_path("app", "1")).body, document.to_string());
    assert_eq!(serving.get("/v2/app/tags/list").body, r#"{"name":"app","tags":["1"]}"#);
    assert_eq!(serving.send(Method::DELETE, &manifest_path("app", "1"), &[], "").status.as_u16(), 202);
    assert_eq!(serving.get(&manifest_path("app", "1")).body, image.root.raw(), "what was covered is seen again");
}

/// A bundle with one layer of a megabyte, and where that layer lies in the file.
fn large(folder: &Path) -> (PathBuf, Artifact, Digest, u64) {
    let image = Artifact::small(3, 1 << 20);
    let path = bundle(folder, "large.tar", &Packed::new().with("a.example/app:1", image.clone()));
    let layer = image.all_blobs()[1].descriptor.digest;
    let offset = open(&path).offset(&layer).unwrap();
    (path, image, layer, offset)
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn a_damaged_blob_is_never_given_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (path, image, layer, offset) = large(folder.path());
    flip(&path, offset + 500_000);
    let serving = Serving::new(Config::bundles(vec![open(&path)]));
    let url = format!("/v2/app/blobs/{layer}");
    let (status, length, body) = raw_get(serving.address(), &url, "");
    assert_eq!((status.as_str(), length), ("http/1.1 200 ok", Some(1 << 20)));
    assert!(body.len() < 1 << 20, "the transfer is broken off");
    let again = serving.get(&url);
    assert_eq!(again.status, StatusCode::INTERNAL_SERVER_ERROR, "now it is known");
    assert!(!String::from_utf8_lossy(&again.body).contains(folder.path().to_str().unwrap()));
    serving.get(&manifest_path("app", "1")).success();
    serving.get(&format!("/v2/app/blobs/{}", image.all_blobs()[0].descriptor.digest)).success();

    let fresh = Serving::new(Config::bundles(vec![open(&path)]));
    let end = fresh.send(Method::GET, &url, &[("range", "bytes=900000-")], "");
    assert_eq!(end.status, StatusCode::INTERNAL_SERVER_ERROR, "nor by ranges");
    let refused =
        block_on(Server::bind(with(Config::bundles(vec![open(&path)]), |config| config.verify = true), "127.0.0.1:0"));
    let error = refused.unwrap_err();
    assert_eq!(error.code(), Code::BundleDigestMismatch);
    assert!(error.to_string().contains(&layer.to_string()), "{error}");
}

#[test]
fn damage_is_told_in_the_log_and_on_the_page_with_the_artifact_that_has_it() {
    let airlift = Airlift::new();
    let (damaged, sound) = (Artifact::small(3, 1 << 20), Artifact::small(4, 100));
    let packed = Packed::new().with("a.example/team/app:1", damaged.clone()).with("a.example/team/app:2", sound);
    let path = bundle(airlift.home(), "b.tar", &packed);
    let layer = damaged.all_blobs()[1].descriptor.digest;
    flip(&path, open(&path).offset(&layer).unwrap() + 70_000);
    let server = airlift.start(["serve", "b.tar", "--listen", "127.0.0.1:0"]);
    let address = server.wait_for_line("Serving on ").split_once("http://").unwrap().1.trim().to_owned();
    let (_, length, body) = raw_get(&address, &format!("/v2/team/app/blobs/{layer}"), "");
    assert!(body.len() < length.unwrap());
    let line = server.wait_for_line("the blob is damaged");
    for part in ["b.tar", "team/app:1", &layer.to_string()] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!line.contains("team/app:2"), "{line}");
    let page = String::from_utf8(crate::support::http::get(&format!("http://{address}/")).body.to_vec()).unwrap();
    // Each tag of the repository has a summary of its own.
    let (first, second) = page.split_once("<summary><b>2</b>").unwrap();
    assert!(first.contains("damaged: 1 of 2 blobs"), "{first}");
    assert!(!second.contains("damaged"), "{second}");
}

#[test]
fn damage_found_before_the_start_is_told_with_every_artifact_that_needs_it() {
    let airlift = Airlift::new();
    let (damaged, sound) = (Artifact::small(3, 100_000), Artifact::small(4, 100));
    let sbom = Artifact::attached("application/spdx+json", Blob::new("application/spdx+json", "{}"), Some(&sound));
    let one = Packed::new().with("a.example/team/app:1", damaged.clone()).with("b.example/copy:2", damaged.clone());
    let two = Packed::new().with("c.example/sound:3", sound.clone()).attached("c.example/sound", sbom.clone());
    let (one, two) = (bundle(airlift.home(), "one.tar", &one), bundle(airlift.home(), "two.tar", &two));
    let serve = ["serve", "one.tar", "two.tar", "--listen", "127.0.0.1:0", "--verify-on-start"];
    let layer = damaged.all_blobs()[1].descriptor.digest;
    flip(&one, open(&one).offset(&layer).unwrap() + 70_000);
    let told = airlift.run(serve).exits(4).stderr;
    let (log, message) = told.split_once("error[").unwrap();
    for text in [log, message] {
        for part in ["one.tar", "a.example/team/app:1", "b.example/copy:2", &layer.to_string()] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("two.tar") && !text.contains("c.example"), "{text}");
    }
    // Damage of what is attached is damage of what it is attached to; and a header is not content, and needed all the same.
    let attached = sbom.all_blobs()[0].descriptor.digest;
    flip(&two, open(&two).offset(&attached).unwrap() - 500);
    let told = airlift.run(serve).exits(4).stderr;
    let message = told.split_once("error[").unwrap().1;
    for part in ["one.tar, two.tar: 2 blobs damaged", "a.example/team/app:1, b.example/copy:2, c.example/sound:3"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
}

#[test]
fn a_bundle_that_is_cut_or_replaced_while_it_is_served_gives_errors_and_no_wrong_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, image, layer, offset) = large(folder.path());
    let good = image.all_blobs()[1].content.clone().unwrap();
    let url = format!("/v2/app/blobs/{layer}");

    // Another file under the name: the one that was opened is served on.
    let serving = Serving::new(Config::bundles(vec![open(&path)]));
    assert_eq!(serving.get(&url).success().body, good);
    let original = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, vec![0; original.len()]).unwrap();
    assert_eq!(serving.get(&url).success().body, good);

    // Other bytes in the same file: what was verified before is verified anew.
    fs::write(&path, &original).unwrap();
    let serving = Serving::new(Config::bundles(vec![open(&path)]));
    assert_eq!(serving.get(&url).success().body, good);
    flip(&path, offset + 10);
    let (_, _, body) = raw_get(serving.address(), &url, "");
    assert!(body.len() < good.len());

    // A file that ends in the middle of the blob.
    fs::write(&path, &original).unwrap();
    let serving = Serving::new(Config::bundles(vec![open(&path)]));
    OpenOptions::new().write(true).open(&path).unwrap().set_len(offset + 1000).unwrap();
    let (_, _, body) = raw_get(serving.address(), &url, "");
    assert!(body.len() < good.len());
    let (status, _, _) = raw_get(serving.address(), &url, "range: bytes=-10\r\n");
    assert!(status.contains("500"), "{status}");
    serving.get(&manifest_path("app", "1")).success();
}
