//! Images that runtimes have saved, as the source of an export.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    Airlift, Options, Podman, Registry,
    artifacts::{Artifact, Blob, LAYER},
    needs,
};

/// A tar with these files, and links (`-> target`).
fn archive(path: &Path, entries: &[(&str, Vec<u8>)]) {
    let mut tar = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(target) = content.strip_prefix(b"-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, name, std::str::from_utf8(target).unwrap()).unwrap();
        } else {
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, &content[..]).unwrap();
        }
    }
    tar.finish().unwrap();
}

fn sha256(content: &[u8]) -> String {
    airlift::oci::Digest::sha256(content).to_string()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, content).unwrap();
    packed.finish().unwrap()
}

/// What a test does to an archive: to its list, and to its entries.
type Change = fn(&mut Value, &mut Vec<(&str, Vec<u8>)>);

/// An archive as Docker wrote it before version 25: one image with two layers, one of them by a link, one compressed.
fn saved(path: &Path, change: impl FnOnce(&mut Value, &mut Vec<(&str, Vec<u8>)>)) {
    let (first, second) = (vec![1; 3000], vec![2; 5000]);
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(&first), sha256(&second)]}});
    let config = config.to_string().into_bytes();
    let name = format!("{}.json", sha256(&config).replace("sha256:", ""));
    let mut list = json!([{"Config": name, "RepoTags": ["team/app:v1", "r.example/other:v2"], "Layers": ["one/layer.tar", "two/layer.tar"]}]);
    let mut entries = vec![
        ("one/layer.tar", b"-> ../blob.tar".to_vec()),
        ("blob.tar", first),
        ("two/layer.tar", gzip(&second)),
        ("repositories", b"{}".to_vec()),
    ];
    change(&mut list, &mut entries);
    entries.push((name.leak(), config));
    entries.push(("manifest.json", list.to_string().into_bytes()));
    archive(path, &entries);
}

#[test]
fn an_old_archive_of_docker_save_is_exported_with_its_config_and_layers() {
    let airlift = Airlift::new();
    let home = airlift.home();
    saved(&home.join("saved.tar"), |_, _| {});
    fs::write(home.join("saved.tar.gz"), gzip(&fs::read(home.join("saved.tar")).unwrap())).unwrap();
    let ran = airlift.run(["export", "--from", "saved.tar", "-o", "a.tar"]).success();
    ran.says(&["docker.io/team/app:v1", "r.example/other:v2", "the archive has no manifest of it"]);
    airlift.run(["verify", "a.tar"]).success();
    airlift.run(["export", "--from", "saved.tar.gz", "-o", "b.tar"]).success();
    assert!(fs::read(home.join("a.tar")).unwrap() == fs::read(home.join("b.tar")).unwrap());
    let tree = airlift.run(["inspect", "a.tar", "--tree"]).success();
    for text in ["application/vnd.oci.image.layer.v1.tar+gzip", "vnd.oci.image.config"] {
        assert!(tree.stdout.contains(text), "{tree}");
    }
    // One of them, by its name.
    airlift.run(["export", "--from", "saved.tar", "team/app:v1", "-o", "c.tar"]).success();
    assert!(!airlift.run(["inspect", "c.tar"]).success().stdout.contains("r.example"));
}

#[test]
fn a_damaged_archive_of_docker_save_is_refused() {
    let airlift = Airlift::new();
    let changes: [(&str, Change, i32); 7] = [
        ("its config says", |_, entries| entries[1].1[7] = 9, 4),
        ("it has no blob.tar", |_, entries| drop(entries.remove(1)), 4),
        ("lead in a circle", |_, entries| entries[0].1 = b"-> layer.tar".to_vec(), 4),
        ("cannot be unpacked", |_, entries| entries[2].1.truncate(20), 4),
        ("2 layers, and the list 1", |list, _| list[0]["Layers"] = json!(["one/layer.tar"]), 4),
        ("cannot be read", |list, _| *list = json!({}), 4),
        ("no image", |list, _| list[0]["RepoTags"] = json!(null), 2),
    ];
    for (text, change, code) in changes {
        saved(&airlift.home().join("saved.tar"), change);
        let refused = airlift.run(["export", "--from", "saved.tar", "-o", "a.tar"]).exits(code);
        assert!(refused.stderr.contains(text), "{text}: {refused}");
    }
}

#[test]
fn an_image_of_podman_is_taken_from_its_storage_and_from_its_archive() {
    needs!("docker-registry", "podman");
    let registry = Registry::start(Options::default());
    let layer = {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        tar.append_data(&mut header, "file", &b"hello"[..]).unwrap();
        tar.into_inner().unwrap()
    };
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}, "config": {}});
    let config = Blob::new("application/vnd.oci.image.config.v1+json", config.to_string());
    let id = config.descriptor.digest;
    Artifact::manifest(None, config, vec![Blob::new(LAYER, gzip(&layer))], None).push(
        &registry,
        "team/app",
        Some("v1"),
    );
    let podman = Podman::new();
    let name = registry.reference("team/app:v1");
    podman.pull(&name);
    let mut airlift = Airlift::new();
    let archive = airlift.home().join("podman.tar");
    podman.run(["save", "--quiet", "--format", "docker-archive", "-o", archive.to_str().unwrap(), &name]).success();
    airlift.run(["export", "--from", "podman.tar", "-o", "a.tar"]).success();
    airlift.set("CONTAINERS_STORAGE_CONF", podman.storage_conf().to_str().unwrap());
    airlift.run(["export", "--from", &format!("containers-storage:{name}"), "-o", "b.tar"]).success();
    assert!(fs::read(airlift.home().join("a.tar")).unwrap() == fs::read(airlift.home().join("b.tar")).unwrap());
    let tree = airlift.run(["inspect", "a.tar", "--tree"]).success();
    assert!(tree.stdout.contains(&id.hex()[..12]), "the image's id is kept: {tree}");
    let refused = airlift.run(["export", "--from", "containers-storage:absent/x:1", "-o", "c.tar"]).exits(1);
    refused.says(&["error[program.failed]", "podman save"]);
}

#[test]
fn a_runtime_that_is_not_installed_is_named() {
    let mut airlift = Airlift::new();
    let empty = airlift.home().join("empty");
    fs::create_dir(&empty).unwrap();
    airlift.set("PATH", empty.to_str().unwrap());
    for (from, program) in [("docker-daemon:alpine:3", "docker"), ("containers-storage:alpine", "podman")] {
        let refused = airlift.run(["export", "--from", from, "-o", "a.tar"]).exits(1);
        refused.says(&["error[program.missing]", &format!("the program {program} is not in PATH")]);
    }
}
