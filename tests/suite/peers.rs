//! The ground that the other tests stand on: each peer starts, does its part, and leaves nothing behind.

use std::{fs, os::unix::fs::MetadataExt, process::Command};

use airlift::oci::Digest;

use tempfile::TempDir;

use crate::support::{
    Containerd, Options, Podman, Proxy, Registry, Skopeo, Tmpfs, artifacts,
    artifacts::{Artifact, Blob},
    compare,
    files::Files,
    http, needs,
    process::Process,
    real_image, umoci,
};

#[test]
fn a_registry_holds_what_was_pushed_and_forgets_it_with_its_folder() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let artifact = Artifact::multi_platform(1, 10_000);
    artifact.push(&registry, "team/app", Some("v1"));
    assert_eq!(registry.tags("team/app"), ["v1"]);
    assert_eq!(registry.repositories(), ["team/app"]);
    assert_eq!(registry.manifest("team/app", "v1").unwrap(), artifact.root);
    assert!(registry.manifest("team/app", "v2").is_none());
    let blob = artifact.all_blobs()[0].descriptor.digest;
    assert_eq!(fs::read(registry.blob_file(&blob)).unwrap(), registry.blob("team/app", &blob).unwrap());
    let storage = registry.storage();
    let pid = registry.process().pid();
    drop(registry);
    assert!(!storage.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_registry_comes_back_at_the_same_address_and_tells_what_was_asked() {
    needs!("docker-registry");
    let mut registry = Registry::start(Options::default());
    Artifact::small(2, 1000).push(&registry, "app", Some("v1"));
    let puts = |registry: &Registry| registry.requests().iter().filter(|request| request.method == "PUT").count();
    // Config and layer, the manifest by digest and by tag.
    assert_eq!(puts(&registry), 4);
    let address = registry.address().to_owned();
    registry.restart(Options { read_only: true, ..Options::default() });
    assert_eq!(registry.address(), address);
    assert_eq!(registry.tags("app"), ["v1"]);
    let refused = registry.send(reqwest::Method::POST, "/v2/app/blobs/uploads/", &[], bytes::Bytes::new());
    assert!(!refused.status.is_success(), "{}", refused.status);
}

#[test]
fn a_registry_asks_for_password_and_client_certificate_over_tls() {
    needs!("docker-registry", "htpasswd");
    let registry = Registry::start(Options {
        htpasswd: Some(("ada", "secret")),
        tls: true,
        client_certificates: true,
        ..Options::default()
    });
    Artifact::small(3, 1000).push(&registry, "app", Some("v1"));
    assert_eq!(registry.tags("app"), ["v1"]);
    let ca = Some(fs::read(registry.ca()).unwrap());
    let identity = ["client.pem", "client.key"].map(|name| fs::read(registry.ca().with_file_name(name)).unwrap());
    let stranger = http::Caller { ca, identity: Some(identity.concat()), basic: None };
    let answer = stranger.send(reqwest::Method::GET, &format!("{}/v2/", registry.url()), &[], "");
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("Basic "));
}

#[test]
fn a_registry_takes_foreign_layers_only_where_their_urls_are_allowed() {
    needs!("docker-registry");
    let files = Files::start();
    let content = artifacts::noise(4, 5000);
    let url = files.put("/layers/4", content.clone());
    assert_eq!(http::get(&url).success().body, content);
    assert_eq!(files.asked(), ["GET /layers/4"]);
    let image = Artifact::image("linux/amd64", vec![Blob::foreign(content, &url)]);

    let strict = Registry::start(Options::default());
    strict.push_blob("app", image.blobs[0].content.clone().unwrap());
    let answer = strict.put_manifest("app", "v1", image.root.media_type(), image.root.raw().clone());
    assert!(answer.status.is_server_error() || answer.status.is_client_error(), "{}", answer.status);

    let willing = Registry::start(Options { allow_urls: vec!["^http://127\\.0\\.0\\.1".into()], ..Options::default() });
    image.push(&willing, "app", Some("v1"));
    assert_eq!(willing.manifest("app", "v1").unwrap(), image.root);
}

#[test]
fn skopeo_podman_and_containerd_carry_an_artifact_unchanged() {
    needs!("docker-registry", "skopeo", "containerd", "ctr");
    let (source, target) = (Registry::start(Options::default()), Registry::start(Options::default()));
    let artifact = Artifact::multi_platform(5, 20_000);
    artifact.push(&source, "app", Some("v1"));
    let skopeo = Skopeo::new();
    let from = format!("docker://{}", source.reference("app:v1"));
    skopeo.copy(&from, &format!("docker://{}", target.reference("other/app:v1")));
    let compared = compare::same((&source, "app"), (&target, "other/app"), "v1");
    // An index, two manifests, two configs, a shared layer and one of each platform.
    assert_eq!(compared.len(), 8);
    assert!(compare::missing_below(&target, "other/app", "v1").is_empty());

    let containerd = Containerd::start();
    let reference = target.reference("other/app:v1");
    containerd.fetch(&reference);
    assert_eq!(containerd.digest(&reference), Some(artifact.digest().to_string()));
    let held = containerd.content();
    assert!(compared.iter().all(|digest| held.contains(&digest.to_string())), "{held:?}");
    assert!(containerd.blob_file(&artifact.digest().to_string()).is_file());
    assert!(containerd.process().log().contains("booted"));
}

#[test]
fn a_real_image_goes_from_umoci_by_skopeo_to_podman() {
    needs!("docker-registry", "skopeo", "umoci", "podman");
    let layout = real_image::layout();
    let registry = Registry::start(Options::default());
    let image = format!("oci:{}:real", layout.display());
    let skopeo = Skopeo::new();
    skopeo.copy(&image, &format!("docker://{}", registry.reference("real:v1")));
    let manifest = registry.manifest("real", "v1").unwrap();
    assert_eq!(manifest.layers().len(), 2);
    assert_eq!(skopeo.digest(&image), manifest.digest().to_string());
    let podman = Podman::new();
    let id = podman.pull(&registry.reference("real:v1"));
    assert_eq!(id, manifest.config().unwrap().digest.hex());
    let folder = TempDir::new().unwrap();
    umoci::unpack(&layout, "real", &folder.path().join("unpacked"));
    let content: u64 = fs::read_dir(folder.path().join("unpacked/rootfs/programs"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(content > 100_000_000, "{content}");
}

#[test]
fn a_wire_counts_what_passes_and_is_cut_where_asked() {
    let files = Files::start();
    let content = artifacts::noise(6, 3_000_000);
    let url = files.put("/file", content.clone());
    let address = url.trim_start_matches("http://").trim_end_matches("/file");
    let proxy = Proxy::before(address);
    let through = format!("http://{}/file", proxy.address());
    assert_eq!(http::get(&through).body, content);
    let whole = proxy.downloaded();
    assert!((3_000_000..3_000_500).contains(&whole), "{whole}");
    assert!((10..1000).contains(&proxy.uploaded()));
    proxy.cut_after(1_000_000);
    assert!(std::panic::catch_unwind(|| http::get(&through)).is_err(), "a cut answer is not an answer");
    assert_eq!(proxy.cuts_left(), 0);
    let cut = proxy.downloaded() - whole;
    assert!((1_000_000..1_100_000).contains(&cut), "{cut}");
    assert_eq!(http::get(&through).body, content);
}

#[test]
fn a_held_wire_stops_a_process_at_a_known_moment() {
    needs!("curl");
    let files = Files::start();
    let url = files.put("/file", artifacts::noise(8, 8_000_000));
    let proxy = Proxy::before(url.trim_start_matches("http://").trim_end_matches("/file"));
    let through = format!("http://{}/file", proxy.address());
    let curl =
        || Process::spawn("curl", Command::new("curl").args(["-sS", "--noproxy", "*", "-o", "/dev/null", &through]));
    proxy.hold_after(2_000_000);
    let mut held = curl();
    assert!(proxy.wait_until_held(&mut held));
    let passed = proxy.downloaded();
    assert!((1_900_000..2_200_000).contains(&passed), "{passed}");
    assert!(!held.kill().success());
    proxy.release();
    let mut free = curl();
    assert!(!proxy.wait_until_held(&mut free));
    assert!(free.wait().success());
}

#[test]
fn a_blob_of_zeros_takes_no_space_and_is_served_whole() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let planted = registry.plant_zeros("big", 70 << 20);
    let blob = registry.blob("big", &planted.digest).unwrap();
    assert_eq!(blob.len() as u64, planted.size);
    assert_eq!(Digest::sha256(&blob), planted.digest);
    assert_eq!(fs::metadata(registry.blob_file(&planted.digest)).unwrap().blocks(), 0);
}

#[test]
fn a_small_file_system_is_full_at_its_size() {
    needs!("mount", "umount");
    let Some(tmpfs) = Tmpfs::mount(1 << 20) else { return };
    let file = tmpfs.path().join("file");
    let error = fs::write(&file, artifacts::noise(7, 2 << 20)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    let path = tmpfs.path().to_owned();
    drop(tmpfs);
    assert!(!path.exists());
}

#[test]
fn what_is_not_installed_is_told_and_fails_in_ci() {
    use crate::support::peers;
    let absent = "no-such-program-anywhere";
    assert!(peers::find(absent).is_none());
    let there = std::panic::catch_unwind(|| peers::present("this line is part of a test:", &[absent]));
    if peers::in_ci() {
        assert!(there.is_err(), "in CI nothing is skipped");
    } else {
        assert!(!there.unwrap());
    }
    assert!(peers::present("a test", &["sh"]));
}
