//! The registry of our own under the tools that people use: what they pull and push has the digests it should have.

use std::fs;

use airlift::{bundle::Reader, oci::Digest, server::Config};
use reqwest::Method;

use crate::support::{
    Airlift, Containerd, Podman, Ran, Serving, Skopeo,
    artifacts::{Artifact, Blob, LAYER},
    http::{Caller, block_on},
    needs,
    packed::Packed,
    tls,
};

#[test]
fn skopeo_podman_and_containerd_pull_from_a_bundle() {
    needs!("skopeo", "podman", "containerd", "ctr");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let image = Artifact::multi_platform(1, 300_000);
    block_on(Packed::new().with("docker.io/library/nginx:1", image.clone()).write(&path));
    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()]));
    let reference = format!("{}/library/nginx:1", serving.address());

    let layout = folder.path().join("layout");
    Skopeo::new().copy(&format!("docker://{reference}"), &format!("oci:{}:1", layout.display()));
    for blob in image.all_blobs() {
        let copied = fs::read(layout.join("blobs/sha256").join(blob.descriptor.digest.hex())).unwrap();
        assert_eq!(Some(&copied[..]), blob.content.as_deref());
    }
    for manifest in image.manifests() {
        assert_eq!(fs::read(layout.join("blobs/sha256").join(manifest.digest().hex())).unwrap(), manifest.raw()[..]);
    }

    let podman = Podman::new();
    // The layers are noise, no archives: podman must get to the point of unpacking them.
    let pulled = podman.run(["pull", "--quiet", "--tls-verify=false", &reference]);
    assert!(pulled.stderr.contains("tar") || pulled.stderr.contains("layer"), "{}", pulled.stderr);

    let containerd = Containerd::start();
    containerd.fetch(&reference);
    let content = containerd.content();
    let all = image.manifests().into_iter().map(airlift::oci::Manifest::digest);
    for digest in all.chain(image.all_blobs().iter().map(|blob| blob.descriptor.digest)) {
        assert!(content.contains(&digest.to_string()), "{digest}");
    }
}

#[test]
fn skopeo_and_podman_push_to_a_store() {
    needs!("skopeo", "podman", "tar");
    let serving = Serving::empty();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let image = Artifact::multi_platform(1, 300_000);
    block_on(Packed::new().with("a.example/app:1", image.clone()).write(&path));
    let source = format!("oci-archive:{}:a.example/app:1", path.display());
    Skopeo::new().copy(&source, &format!("docker://{}/team/app:1", serving.address()));
    assert_eq!(serving.get("/v2/team/app/manifests/1").success().body, image.root.raw());
    for blob in image.all_blobs() {
        let served = serving.get(&format!("/v2/team/app/blobs/{}", blob.descriptor.digest)).success();
        assert_eq!(Some(served.body), blob.content);
    }

    // Podman packs what it pushes itself.
    let podman = Podman::new();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), "content").unwrap();
    let archive = folder.path().join("root.tar");
    let tar =
        std::process::Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(tar.success());
    podman.run(["import", "--quiet", archive.to_str().unwrap(), "localhost/made:1"]).success();
    let target = format!("docker://{}/made:1", serving.address());
    podman.run(["push", "--quiet", "--tls-verify=false", "localhost/made:1", &target]).success();
    let manifest = serving.get("/v2/made/manifests/1").success();
    let document: serde_json::Value = serde_json::from_slice(&manifest.body).unwrap();
    let layer = document["layers"][0]["digest"].as_str().unwrap();
    let head = serving.send(Method::HEAD, &format!("/v2/made/blobs/{layer}"), &[], "").success();
    assert_eq!(head.header("content-length"), document["layers"][0]["size"].to_string());
    podman.run(["rmi", "--force", "localhost/made:1"]).success();
    podman.pull(&format!("{}/made:1", serving.address()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oci_client_crate_pulls_from_a_bundle() {
    use oci_distribution::{
        Client, Reference,
        client::{ClientConfig, ClientProtocol},
        secrets::RegistryAuth,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    let image = Artifact::image("linux/amd64", vec![Blob::layer(1, 300_000), Blob::layer(2, 1000)]);
    Packed::new().with("docker.io/library/nginx:1", image.clone()).write(&path).await;
    let config = Config::bundles(vec![Reader::open(&path).await.unwrap()]);
    let serving = tokio::task::spawn_blocking(|| Serving::new(config)).await.unwrap();
    let client = Client::new(ClientConfig { protocol: ClientProtocol::Http, ..Default::default() });
    let reference: Reference = format!("{}/library/nginx:1", serving.address()).parse().unwrap();
    let pulled = client.pull(&reference, &RegistryAuth::Anonymous, vec![LAYER]).await.unwrap();
    assert_eq!(pulled.digest, Some(image.digest().to_string()));
    // They come in the order in which they were fetched.
    let mut layers: Vec<_> = pulled.layers.into_iter().map(|layer| layer.data).collect();
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.len()));
    let expected: Vec<_> = image.blobs[1..].iter().map(|blob| blob.content.clone().unwrap()).collect();
    assert!(layers == expected);
    tokio::task::spawn_blocking(move || drop(serving)).await.unwrap();
}

#[test]
fn buildah_pushes_what_it_built_to_a_store() {
    needs!("buildah");
    let serving = Serving::empty();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "content of the image").unwrap();
    fs::write(home.path().join("auth.json"), "{}").unwrap();
    fs::write(home.path().join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let buildah = |args: &[&str]| {
        let mut command = std::process::Command::new(crate::support::peers::path("buildah"));
        command.env("HOME", home.path()).env("XDG_RUNTIME_DIR", home.path()).env("TMPDIR", home.path());
        command.env("REGISTRY_AUTH_FILE", home.path().join("auth.json")).current_dir(home.path());
        command.args(["--root", "root", "--runroot", "run", "--storage-driver", "vfs"]);
        Ran::of(command.args(args)).success().stdout.trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, "file", "/file"]);
    buildah(&["commit", "--quiet", "--signature-policy", "policy.json", &container, "built:1"]);
    let target = format!("docker://{}/team/built:1", serving.address());
    let push = ["push", "--quiet", "--tls-verify=false", "--signature-policy", "policy.json", "--digestfile", "digest"];
    buildah(&[&push[..], &["built:1", &target]].concat());
    let manifest = serving.get("/v2/team/built/manifests/1").success();
    let said = fs::read_to_string(home.path().join("digest")).unwrap();
    assert_eq!(Digest::sha256(&manifest.body).to_string(), said.trim());
    let document: serde_json::Value = serde_json::from_slice(&manifest.body).unwrap();
    for named in [&document["config"], &document["layers"][0]] {
        let digest = named["digest"].as_str().unwrap();
        let blob = serving.get(&format!("/v2/team/built/blobs/{digest}")).success();
        assert_eq!(Digest::sha256(&blob.body).to_string(), digest);
    }
}

#[test]
fn tls_and_passwords_keep_strangers_out_and_are_read_again_on_demand() {
    needs!("skopeo", "htpasswd");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    tls::write(folder.path());
    let htpasswd = |user: &str, password: &str| {
        let mut command = std::process::Command::new(crate::support::peers::path("htpasswd"));
        let line = Ran::of(command.args(["-Bbn", "-C4", user, password])).success().stdout;
        fs::write(path("htpasswd"), line).unwrap();
    };
    htpasswd("ann", "secret");
    let airlift = Airlift::new();
    let certificate = [path("server.pem"), path("server.key"), path("htpasswd"), path("store")];
    let [chain, key, users, store] = certificate.each_ref().map(|path| path.to_str().unwrap());
    let arguments = ["serve", "--store", store, "--listen", "127.0.0.1:0", "--tls-cert", chain, "--tls-key", key];
    let server = airlift.start(arguments.into_iter().chain(["--htpasswd", users, "--log", "airlift=info"]));
    let address = server.wait_for_line("Serving on https://").split_once("https://").unwrap().1.trim().to_owned();
    let ca = fs::read(path("ca.pem")).unwrap();
    let ask = |basic: Option<(&str, &str)>, path: &str| {
        let basic = basic.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let caller = Caller { ca: Some(ca.clone()), basic, ..Caller::default() };
        caller.send(Method::GET, &format!("https://{address}{path}"), &[], "")
    };
    assert_eq!(ask(None, "/v2/").status.as_u16(), 401);
    assert_eq!(ask(Some(("ann", "guess")), "/v2/").status.as_u16(), 401);
    assert_eq!(ask(None, "/metrics").status.as_u16(), 401);
    ask(None, "/healthz").success();
    ask(Some(("ann", "secret")), "/v2/").success();

    let layout = path("layout.tar");
    block_on(Packed::new().with("a.example/app:1", Artifact::small(1, 5000)).write(&layout));
    let source = format!("oci-archive:{}:a.example/app:1", layout.display());
    let target = format!("docker://{address}/app:1");
    fs::create_dir(path("authorities")).unwrap();
    fs::copy(path("ca.pem"), path("authorities/ca.crt")).unwrap();
    let authorities = path("authorities");
    let skopeo = Skopeo::new();
    let push = |credentials: &str| {
        let fixed = ["copy", "--dest-cert-dir", authorities.to_str().unwrap(), "--dest-creds", credentials];
        skopeo.run(fixed.into_iter().chain([source.as_str(), target.as_str()]))
    };
    push("ann:secret").success();
    assert_ne!(push("ann:guess").code, Some(0));

    htpasswd("bob", "other");
    server.signal(rustix::process::Signal::HUP);
    server.wait_for_line("were read again");
    assert_eq!(ask(Some(("ann", "secret")), "/v2/").status.as_u16(), 401);
    ask(Some(("bob", "other")), "/v2/").success();
    fs::write(path("htpasswd"), "bob:plain").unwrap();
    server.signal(rustix::process::Signal::HUP);
    server.wait_for_line("the old ones stay in use");
    ask(Some(("bob", "other")), "/v2/").success();
    let log = server.log();
    assert!(log.contains("path=\"/v2/\"") || log.contains("path=/v2/"), "{log}");
    assert!(!log.contains("secret"), "{log}");
}
