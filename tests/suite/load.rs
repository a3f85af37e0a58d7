//! Images of a bundle in the container runtimes of a machine, asked afterwards by the runtimes' own programs.

use std::{fs, path::PathBuf};

use airlift::oci::Digest;
use serde_json::json;

use crate::support::{
    Airlift, Containerd, Docker, Podman,
    artifacts::{Artifact, Blob, LAYER},
    http::block_on,
    needs,
    packed::Packed,
};

/// An image that a runtime can unpack: one file, named after `name`.
fn image(platform: &str, name: &str) -> Artifact {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(name.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "name", name.as_bytes()).unwrap();
    let layer = tar.into_inner().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &layer).unwrap();
    let (os, architecture) = platform.split_once('/').unwrap();
    let config = json!({
        "architecture": architecture, "os": os, "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256(&layer)]},
    });
    let config = Blob::new("application/vnd.oci.image.config.v1+json", config.to_string());
    Artifact::manifest(None, config, vec![Blob::new(LAYER, packed.finish().unwrap())], None)
}

fn node() -> String {
    airlift::load::node_platform().to_string()
}

fn several(name: &str) -> Artifact {
    let own = node();
    Artifact::index(vec![(own.as_str(), image(&own, name)), ("linux/s390x", image("linux/s390x", name))])
}

/// A bundle of two images for several platforms, one for this one, one for another one, a chart, and a signature.
fn bundle(airlift: &Airlift) -> [Artifact; 3] {
    let images = [several("a"), several("b"), image(&node(), "c")];
    let other = Blob::new("application/vnd.example.config", &b"{}"[..]);
    let chart = Artifact::manifest(None, other, vec![Blob::layer(9, 100)], None);
    let signature = Artifact::attached("application/vnd.example.signature", Blob::layer(8, 10), Some(&images[0]));
    let packed = Packed::new()
        .with("docker.io/library/a:1", images[0].clone())
        .with("r.example:5000/team/b:v1", images[1].clone())
        .with("quay.io/c/c:v1", images[2].clone())
        .with("r.example/foreign:v1", image("linux/s390x", "foreign"))
        .with("r.example/chart:1.0.0", chart)
        .attached("docker.io/library/a", signature);
    block_on(packed.write(&airlift.home().join("b.tar")));
    images
}

/// An environment in which every podman uses the storage of this one.
fn with_podman(airlift: &mut Airlift) -> Podman {
    let podman = Podman::new();
    airlift.set("CONTAINERS_STORAGE_CONF", podman.storage_conf().to_str().unwrap());
    airlift.set("TMPDIR", airlift.home().to_str().unwrap().to_owned());
    podman
}

#[test]
fn podman_has_the_images_of_a_bundle_under_their_own_names() {
    needs!("podman");
    let mut airlift = Airlift::new();
    let images = bundle(&airlift);
    let podman = with_podman(&mut airlift);
    let ran = airlift.run(["load", "b.tar", "--into", "podman"]).success();
    for text in ["3 images in podman", "r.example/chart:1.0.0 is not an image", "r.example/foreign:v1 is not an image"]
    {
        assert!(ran.stdout.contains(text) || ran.stderr.contains(text), "{text}: {ran}");
    }
    let listed = podman.run(["images", "--format", "{{.Repository}}:{{.Tag}}"]).success().stdout;
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["docker.io/library/a:1", "quay.io/c/c:v1", "r.example:5000/team/b:v1"]);
    for (name, artifact) in names.iter().zip([&images[0], &images[2], &images[1]]) {
        let manifest = artifact.children.first().unwrap_or(artifact);
        let id = podman.run(["image", "inspect", "--format", "{{.Id}}", name]).success().stdout;
        assert_eq!(id.trim(), manifest.root.config().unwrap().digest.hex());
    }
    // Once more it is there already, and stays what it is.
    airlift.run(["load", "b.tar", "quay.io/c/*", "--into", "podman"]).success();
    let again = podman.run(["images", "--format", "{{.Repository}}:{{.Tag}}"]).success().stdout;
    assert_eq!(again.lines().count(), 3, "{again}");
}

#[test]
fn docker_has_the_images_of_a_bundle_under_their_own_names_and_gives_them_back() {
    needs!("dockerd", "docker");
    let docker = Docker::start();
    let mut airlift = Airlift::new();
    let images = bundle(&airlift);
    let socket = docker.socket().display().to_string();
    airlift.run(["load", "b.tar", "--into", "docker", "--address", &socket]).success();
    let listed = docker.run(["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]).success().stdout;
    let mut lines: Vec<&str> = listed.lines().collect();
    lines.sort_unstable();
    let expected = [("a:1", &images[0]), ("quay.io/c/c:v1", &images[2]), ("r.example:5000/team/b:v1", &images[1])];
    let expected = expected.map(|(name, artifact)| {
        let manifest = artifact.children.first().unwrap_or(artifact);
        format!("{name} {}", manifest.root.config().unwrap().digest)
    });
    assert_eq!(lines, expected);
    airlift.set("DOCKER_HOST", format!("unix://{socket}"));
    airlift.run(["export", "--from", "docker-daemon:quay.io/c/c:v1", "-o", "back.tar"]).success();
    airlift.run(["verify", "back.tar"]).success();
    let tree = airlift.run(["inspect", "back.tar", "--tree"]).success();
    assert!(tree.stdout.contains(&images[2].root.config().unwrap().digest.hex()[..12]), "the id is kept: {tree}");
}

#[test]
fn containerd_has_the_images_of_a_bundle_with_their_digests_and_nothing_else() {
    needs!("containerd", "ctr");
    let containerd = Containerd::start();
    let airlift = Airlift::new();
    let images = bundle(&airlift);
    let address = containerd.socket().display().to_string();
    let load = ["load", "b.tar", "--into", "containerd", "--address", &address];
    let loaded = airlift.json(load.iter().copied().chain(["--namespace", "default", "--json"]));
    let names = ["docker.io/library/a:1", "quay.io/c/c:v1", "r.example:5000/team/b:v1"];
    for (name, artifact) in names.iter().zip([&images[0], &images[2], &images[1]]) {
        let digest = artifact.digest().to_string();
        assert_eq!(containerd.digest(name).as_deref(), Some(digest.as_str()), "{name}");
        let images = loaded["images"].as_array().unwrap();
        assert!(images.iter().any(|one| one["image"] == **name && one["digest"] == *digest), "{loaded}");
    }
    assert_eq!(containerd.ctr(["images", "list", "--quiet"]).success().stdout.lines().count(), 3);
    // Of the platforms, this node's; of what is attached, nothing.
    let content = containerd.content();
    for absent in [&images[0].children[1].root, &images[1].children[1].root] {
        assert!(!content.contains(&absent.digest().to_string()), "{content:?}");
    }
    // The namespace of Kubernetes is the usual one, and k3s' containerd is another address.
    airlift.run(load.iter().copied().chain(["library/a"])).success();
    let listed = containerd.ctr(["--namespace", "k8s.io", "images", "list", "--quiet"]).success().stdout;
    assert_eq!(listed.trim(), "docker.io/library/a:1");
    airlift.run(["load", "b.tar", "quay.io/*", "--into", "k3s", "--address", &address]).success();
}

#[test]
fn a_folder_gets_one_archive_of_the_images_alone_that_containerd_imports_whole() {
    needs!("containerd", "ctr");
    let airlift = Airlift::new();
    let images = bundle(&airlift);
    for _ in 0..2 {
        let ran = airlift.run(["load", "b.tar", "--into", "agent/images"]).success();
        assert!(ran.stdout.contains("3 images in agent/images/b.images.tar"), "{ran}");
    }
    let archive: PathBuf = airlift.home().join("agent/images/b.images.tar");
    airlift.run(["verify", archive.to_str().unwrap()]).success();
    let containerd = Containerd::start();
    containerd.ctr(["images", "import", "--no-unpack", archive.to_str().unwrap()]).success();
    assert_eq!(containerd.digest("quay.io/c/c:v1"), Some(images[2].digest().to_string()));
}

#[test]
fn what_cannot_be_loaded_says_why() {
    let mut airlift = Airlift::new();
    bundle(&airlift);
    for (args, code, parts) in [
        (&["r.example/chart:1.0.0", "--into", "podman"][..], 2, &["error[load.no-image]", "r.example/chart:1.0.0"][..]),
        (&["absent/*", "--into", "podman"], 1, &["error[content.not-found]", "absent/*"]),
        (
            &["--platform", "linux/mips", "r.example/foreign", "--into", "podman"],
            1,
            &["error[load.nothing]", "linux/mips"],
        ),
    ] {
        airlift.run(["load", "b.tar"].iter().chain(args)).exits(code).says(parts);
    }
    let empty = airlift.home().join("empty");
    fs::create_dir(&empty).unwrap();
    airlift.set("PATH", empty.to_str().unwrap());
    for (runtime, program) in [("docker", "docker"), ("podman", "podman"), ("containerd", "ctr"), ("k3s", "k3s")] {
        let refused = airlift.run(["load", "b.tar", "--into", runtime]).exits(1);
        refused.says(&["error[program.missing]", &format!("the program {program} is not in PATH")]);
    }
}

#[test]
fn a_runtime_that_has_something_else_afterwards_is_an_error() {
    let mut airlift = Airlift::new();
    bundle(&airlift);
    let bin = airlift.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let program = |name: &str, script: &str| {
        fs::write(bin.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join(name), mode).unwrap();
    };
    // They take everything and have nothing of it.
    let wrong = "0".repeat(64);
    program("podman", &format!("case \"$*\" in *inspect*) echo '[{{\"Id\":\"{wrong}\"}}]';; esac"));
    program("ctr", "cat >/dev/null; echo 'docker.io/library/a:1 type sha256:1 1'");
    program("docker", "echo 'Error: no daemon here' >&2; exit 1");
    airlift.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    for (runtime, code, parts) in [
        ("podman", 4, &["error[load.mismatch]", "podman has 000000"][..]),
        ("containerd", 4, &["error[load.mismatch]", "docker.io/library/a:1"]),
        ("docker", 1, &["error[program.failed]", "docker pull", "no daemon here"]),
    ] {
        airlift.run(["load", "b.tar", "library/a", "--into", runtime]).exits(code).says(parts);
    }
}

#[test]
fn no_program_of_a_runtime_sees_our_own_secrets() {
    let mut airlift = Airlift::new();
    bundle(&airlift);
    let bin = airlift.home().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::write(bin.join("podman"), "#!/bin/sh\nenv > \"$HOME/seen\"\nexit 1\n").unwrap();
    fs::set_permissions(bin.join("podman"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    airlift.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    airlift.set("AIRLIFT_USERNAME", "user").set("AIRLIFT_PASSWORD", "hunter2").set("CONTAINERS_STORAGE_CONF", "kept");
    airlift.run(["load", "b.tar", "--into", "podman"]).exits(1);
    let seen = fs::read_to_string(airlift.home().join("seen")).unwrap();
    assert!(!seen.contains("hunter2") && seen.contains("CONTAINERS_STORAGE_CONF=kept"), "{seen}");
}
