//! The main job on real registries: export, copy, verify, import, and what the world's tools make of it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use airlift::oci::Digest;
use tempfile::TempDir;

use crate::support::{
    Airlift, Containerd, Options, Ran, Registry, Skopeo,
    artifacts::{Artifact, Blob, CONFIG, push_referrers_tag},
    compare, needs, real_image, umoci,
};

/// A source with an artifact of every kind: a multi-platform image with an SBOM and a cosign signature (itself signed),
/// a single image that shares a layer, and an artifact that is not an image.
struct Site {
    registry: Registry,
    app: Artifact,
    sbom: Artifact,
    references: Vec<String>,
}

impl Site {
    fn new() -> Self {
        let registry = Registry::start(Options::default());
        let app = Artifact::multi_platform(10, 60_000);
        app.push(&registry, "team/app", Some("v1"));
        let sbom = Artifact::attached("application/spdx+json", Blob::layer(20, 3_000), Some(&app));
        let sbom_signature = Artifact::attached("application/x.signature", Blob::layer(21, 300), Some(&sbom));
        for attached in [&sbom, &sbom_signature] {
            attached.push(&registry, "team/app", None);
        }
        push_referrers_tag(&registry, "team/app", &app, &[&sbom]);
        push_referrers_tag(&registry, "team/app", &sbom, &[&sbom_signature]);
        let cosign = Artifact::attached("application/x.cosign", Blob::layer(22, 500), None);
        cosign.push(&registry, "team/app", Some(&format!("{}.sig", stem(&app))));
        let tool = Artifact::image("linux/amd64", vec![Blob::layer(10, 60_000), Blob::layer(30, 9_000)]);
        tool.push(&registry, "tool", Some("2"));
        let chart = Artifact::attached("application/vnd.cncf.helm.config.v1+json", Blob::layer(40, 2_000), None);
        chart.push(&registry, "charts/db", Some("0.1.0"));
        let references = ["team/app:v1", "tool:2", "charts/db:0.1.0"].map(|name| registry.reference(name)).to_vec();
        Self { registry, app, sbom, references }
    }

    fn export(&self, airlift: &Airlift, bundle: &str, more: &[&str]) -> Ran {
        let args = ["export", "-o", bundle].into_iter().chain(more.iter().copied());
        airlift.run(args.chain(self.references.iter().map(String::as_str)))
    }
}

/// The tag that an artifact's referrers are listed under, and cosign's tags begin with.
fn stem(artifact: &Artifact) -> String {
    artifact.digest().to_string().replace(':', "-")
}

/// What a registry was sent: the number of uploads begun or finished.
fn uploads(registry: &Registry) -> usize {
    registry.requests().iter().filter(|request| ["POST", "PUT", "PATCH"].contains(&request.method.as_str())).count()
}

/// A shell line in airlift's home, for pipes and redirections.
fn bash(airlift: &Airlift, line: &str) -> Ran {
    Ran::of(Command::new("bash").args(["-c", line]).current_dir(airlift.home()).env("HOME", airlift.home()))
}

#[test]
fn everything_arrives_byte_for_byte_with_all_that_is_attached() {
    needs!("docker-registry");
    let site = Site::new();
    let target = Registry::start(Options::default());
    let airlift = Airlift::new();
    site.export(&airlift, "b.tar", &[]).success();
    airlift.run(["verify", "b.tar"]).success();
    airlift.run(["copy", "b.tar", "stick.tar"]).success();
    airlift.run(["import", "stick.tar", "--to", target.address()]).success();

    for name in [("team/app", "v1"), ("tool", "2"), ("charts/db", "0.1.0")] {
        compare::same((&site.registry, name.0), (&target, name.0), name.1);
    }
    // The referrers' lists and the cosign tag: what peers lose.
    let attached = [format!("{}.sig", stem(&site.app)), stem(&site.app), stem(&site.sbom)];
    let tags: BTreeSet<String> = target.tags("team/app").into_iter().collect();
    assert_eq!(tags, attached.iter().cloned().chain(["v1".to_owned()]).collect());
    for tag in attached {
        compare::same((&site.registry, "team/app"), (&target, "team/app"), &tag);
    }
}

#[test]
fn a_second_import_and_a_second_export_move_nothing() {
    needs!("docker-registry");
    let site = Site::new();
    let target = Registry::start(Options::default());
    let airlift = Airlift::new();
    site.export(&airlift, "b.tar", &[]).success();
    airlift.run(["import", "b.tar", "--to", target.address()]).success();
    let before = uploads(&target);
    let report = airlift.json(["import", "b.tar", "--json", "--to", target.address()]);
    assert_eq!(uploads(&target), before, "everything was there");
    assert_eq!(report["bytes_moved"], 0);
    let states: Vec<_> = report["artifacts"].as_array().unwrap().iter().map(|a| a["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "already-there"), "{states:?}");

    let bytes = fs::read(airlift.home().join("b.tar")).unwrap();
    let said = site.export(&airlift, "b.tar", &[]).success().stdout;
    assert!(said.contains("already there"), "{said}");
    site.export(&airlift, "b.tar", &["--no-referrers"]).exits(1).says(&["output.exists", "b.tar", "--overwrite"]);
    assert!(fs::read(airlift.home().join("b.tar")).unwrap() == bytes);
    site.export(&airlift, "b.tar", &["--overwrite"]).success();
    assert!(fs::read(airlift.home().join("b.tar")).unwrap() == bytes);
}

#[test]
fn the_bytes_follow_from_the_artifacts_alone() {
    needs!("docker-registry");
    let mut site = Site::new();
    let airlift = Airlift::new();
    site.export(&airlift, "one.tar", &["--jobs", "1"]).success();
    site.references.reverse();
    site.references.push(site.references[0].clone());
    site.export(&airlift, "eight.tar", &["--jobs", "8"]).success();
    let program = assert_cmd::cargo::cargo_bin!("airlift").display();
    bash(&airlift, &format!("{program} export -o - {} > streamed.tar", site.references.join(" "))).success();
    let read = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(read("one.tar") == read("eight.tar"));
    assert!(read("one.tar") == read("streamed.tar"));
    let left: Vec<_> = fs::read_dir(airlift.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn a_real_image_is_pulled_by_skopeo_and_ctr_on_the_other_side() {
    needs!("docker-registry", "skopeo", "umoci", "containerd", "ctr");
    let layout = real_image::layout();
    let (source, target) = (Registry::start(Options::default()), Registry::start(Options::default()));
    let skopeo = Skopeo::new();
    skopeo.copy(&format!("oci:{}:real", layout.display()), &format!("docker://{}", source.reference("os/real:v1")));
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar", &source.reference("os/real:v1")]).success();
    assert!(fs::metadata(airlift.home().join("b.tar")).unwrap().len() > 100_000_000);
    airlift.run(["import", "b.tar", "--to", target.address()]).success();
    compare::same((&source, "os/real"), (&target, "os/real"), "v1");

    let digest = source.manifest("os/real", "v1").unwrap().digest().to_string();
    let pulled = TempDir::new().unwrap();
    let oci = format!("oci:{}:v1", pulled.path().display());
    skopeo.copy(&format!("docker://{}", target.reference("os/real:v1")), &oci);
    assert_eq!(skopeo.digest(&oci), digest);
    let containerd = Containerd::start();
    containerd.fetch(&target.reference("os/real:v1"));
    assert_eq!(containerd.digest(&target.reference("os/real:v1")), Some(digest));
}

#[test]
fn the_bundle_is_read_by_skopeo_ctr_umoci_and_tar() {
    needs!("docker-registry", "skopeo", "umoci", "containerd", "ctr", "tar");
    let layout = real_image::layout();
    let source = Registry::start(Options::default());
    let skopeo = Skopeo::new();
    let real = source.reference("os/real:v1");
    skopeo.copy(&format!("oci:{}:real", layout.display()), &format!("docker://{real}"));
    let app = Artifact::multi_platform(50, 40_000);
    app.push(&source, "team/app", Some("v1"));
    let app_reference = source.reference("team/app:v1");
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar", &real, &app_reference]).success();
    let bundle = airlift.home().join("b.tar").display().to_string();
    let digest = source.manifest("os/real", "v1").unwrap().digest().to_string();

    let copied = TempDir::new().unwrap();
    skopeo.copy(&format!("oci-archive:{bundle}:{app_reference}"), &format!("oci:{}:app", copied.path().display()));
    assert_eq!(first_digest(copied.path()), app.digest().to_string());

    let containerd = Containerd::start();
    containerd.import(&bundle);
    assert_eq!(containerd.digest(&app_reference), Some(app.digest().to_string()));
    assert_eq!(containerd.digest(&real), Some(digest));

    let unpacked = TempDir::new().unwrap();
    Ran::of(Command::new("tar").args(["-xf", &bundle]).arg("-C").arg(unpacked.path())).success();
    let rootfs = TempDir::new().unwrap();
    umoci::unpack(unpacked.path(), &real, &rootfs.path().join("image"));
    assert!(rootfs.path().join("image/rootfs/programs").is_dir());
}

/// The digest of the first entry of a layout's index.
fn first_digest(layout: &Path) -> String {
    let index: serde_json::Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn names_change_as_asked_on_the_way() {
    needs!("docker-registry");
    let site = Site::new();
    let target = Registry::start(Options::default());
    let airlift = Airlift::new();
    site.export(&airlift, "b.tar", &[]).success();
    let to = format!("{}/mirror", target.address());
    airlift.run(["import", "b.tar", "--to", &to, "--map", "team=prod"]).success();
    assert_eq!(target.repositories(), ["mirror/charts/db", "mirror/prod/app", "mirror/tool"]);
    airlift.run(["import", "b.tar", "--to", &to, "--keep-host"]).success();
    let host = site.registry.address().replace(':', "-");
    assert!(target.repositories().contains(&format!("mirror/{host}/team/app")), "{:?}", target.repositories());
}

#[test]
fn two_artifacts_that_would_become_one_are_refused_before_anything_is_pushed() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    Artifact::small(1, 900).push(&registry, "a/app", Some("v1"));
    Artifact::small(2, 900).push(&registry, "b/app", Some("v1"));
    let target = Registry::start(Options::default());
    let airlift = Airlift::new();
    let (a, b) = (registry.reference("a/app:v1"), registry.reference("b/app:v1"));
    airlift.run(["export", "-o", "b.tar", &a, &b]).success();
    let clash = airlift.run(["import", "b.tar", "--to", target.address(), "--map", "a=x", "--map", "b=x"]).exits(2);
    clash.says(&["transfer.tag-collision", &a, &b, "x/app:v1"]);
    assert!(target.repositories().is_empty());
}

#[test]
fn a_tag_that_points_elsewhere_is_kept_unless_told_otherwise() {
    needs!("docker-registry");
    let site = Site::new();
    let target = Registry::start(Options::default());
    let other = Artifact::small(90, 2_000);
    other.push(&target, "tool", Some("2"));
    let airlift = Airlift::new();
    site.export(&airlift, "b.tar", &[]).success();
    let refused = airlift.run(["import", "b.tar", "--to", target.address()]).exits(1);
    refused.says(&["transfer.tag-exists", "tool", "--overwrite-tags"]);
    assert_eq!(target.repositories(), ["tool"], "without --continue-on-errors nothing was pushed");
    assert_eq!(target.manifest("tool", "2").unwrap().digest(), other.digest());

    airlift.run(["import", "b.tar", "--to", target.address(), "--continue-on-errors"]).exits(3);
    assert_eq!(target.manifest("tool", "2").unwrap().digest(), other.digest());
    compare::same((&site.registry, "team/app"), (&target, "team/app"), "v1");

    airlift.run(["import", "b.tar", "--to", target.address(), "--overwrite-tags"]).success();
    compare::same((&site.registry, "tool"), (&target, "tool"), "2");
}

#[test]
fn a_platform_filter_keeps_the_index_and_says_what_is_absent() {
    needs!("docker-registry");
    let site = Site::new();
    let target = Registry::start(Options::default());
    let airlift = Airlift::new();
    // The tool is a single image, and one of another platform.
    let refused = site.export(&airlift, "b.tar", &["--platform", "linux/arm64"]).exits(2);
    refused.says(&["tool:2", "linux/amd64"]);
    let partial = site.export(&airlift, "b.tar", &["--platform", "linux/arm64", "--continue-on-errors"]).exits(3);
    partial.says(&["tool:2", "linux/amd64"]);
    airlift.run(["verify", "b.tar"]).success();
    let shown = airlift.run(["inspect", "b.tar", "--json"]).success().stdout;
    assert!(shown.contains(&site.app.digest().to_string()), "the index keeps its digest\n{shown}");
    assert!(shown.contains(&site.app.children[0].digest().to_string()), "amd64 is named as absent\n{shown}");
    // distribution 2.8 insists on every child.
    let refused = airlift.run(["import", "b.tar", "--to", target.address()]).exits(1);
    refused.says(&["registry.sparse-refused", "team/app"]);
    let none = site.export(&airlift, "none.tar", &["--platform", "plan9/mips"]).exits(2);
    none.says(&["team/app:v1", "linux/amd64, linux/arm64"]);
}

#[test]
fn the_source_is_removed_only_after_everything_is_confirmed() {
    needs!("docker-registry");
    let site = Site::new();
    let target = Registry::start(Options::default());
    Artifact::small(91, 2_000).push(&target, "tool", Some("2"));
    let airlift = Airlift::new();
    site.export(&airlift, "b.tar", &[]).success();
    let to = target.address();
    airlift.run(["import", "b.tar", "--to", to, "--delete-source", "--continue-on-errors"]).exits(3);
    assert!(airlift.home().join("b.tar").exists(), "a partial import keeps its bundle");
    airlift.run(["import", "b.tar", "--to", to, "--delete-source", "--overwrite-tags"]).success();
    assert!(!airlift.home().join("b.tar").exists());
    compare::same((&site.registry, "tool"), (&target, "tool"), "2");
}

#[test]
fn a_layer_over_eight_gibibytes_has_a_header_that_tar_and_we_read() {
    needs!("docker-registry", "tar", "head");
    let huge: u64 = (8 << 30) + 513;
    let registry = Registry::start(Options::default());
    let layer = Blob { descriptor: registry.plant_unread("huge", huge), content: None };
    let digest = layer.descriptor.digest;
    let artifact = Artifact::manifest(None, Blob::new(CONFIG, &b"{}"[..]), vec![layer], None);
    artifact.push(&registry, "huge", Some("v1"));
    let airlift = Airlift::new();
    // The head of the stream is all that is read of it: the layer itself is a hole here, as long as it would be.
    let head = airlift.home().join("head.tar");
    let program = assert_cmd::cargo::cargo_bin!("airlift").display();
    bash(&airlift, &format!("{program} export -o - {} | head -c 1048576 >head.tar", registry.reference("huge:v1")))
        .success();
    let total = content_offset(&head, &digest) + huge.next_multiple_of(512) + 1024;
    fs::OpenOptions::new().write(true).open(&head).unwrap().set_len(total).unwrap();

    let listed = bash(&airlift, "tar -tvf head.tar").success().stdout;
    let line = listed.lines().find(|line| line.contains(&digest.hex())).unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains(&huge.to_string()), "{line}");
    let shown = airlift.run(["inspect", "head.tar", "--json"]).success().stdout;
    assert!(shown.contains(&digest.hex()) && shown.contains(&huge.to_string()), "{shown}");
}

/// Where the content of a blob begins in a bundle, by its header.
fn content_offset(bundle: &Path, digest: &Digest) -> u64 {
    let name = format!("blobs/sha256/{}", digest.hex());
    let bytes = fs::read(bundle).unwrap();
    let at = bytes.chunks(512).position(|block| block.starts_with(name.as_bytes())).unwrap();
    (at as u64 + 1) * 512
}
