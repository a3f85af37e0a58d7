//! Files and charts as artifacts, against the programs that know them: `oras` and `helm`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use tar::{EntryType, Header};

use crate::support::{
    Airlift, Options, Oras, Registry,
    artifacts::{Artifact, Blob},
    http::block_on,
    needs,
    packed::Packed,
};

/// A folder with what folders have.
fn tools(at: &Path) {
    fs::create_dir_all(at.join("bin/empty")).unwrap();
    fs::write(at.join("bin/run"), "#!/bin/sh\necho run\n").unwrap();
    fs::set_permissions(at.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(at.join("data"), vec![5; 200_000]).unwrap();
    symlink("bin/run", at.join("run")).unwrap();
}

/// Each path below `root` with its kind and content, sorted.
fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_symlink() {
                found.push((format!("{name} -> {}", fs::read_link(&path).unwrap().display()), Vec::new()));
            } else if meta.is_dir() {
                found.push((format!("{name}/"), Vec::new()));
                folders.push(path);
            } else {
                let kind = if meta.permissions().mode() & 0o100 == 0 { "" } else { "*" };
                found.push((format!("{name}{kind}"), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn files_and_folders_travel_and_oras_restores_them_with_their_names() {
    needs!("docker-registry", "oras");
    let registry = Registry::start(Options::default());
    let airlift = Airlift::new();
    let home = airlift.home();
    tools(&home.join("tools"));
    fs::write(home.join("setup.sh"), "echo setup\n").unwrap();
    fs::write(
        home.join("list.txt"),
        "file:tools=team/tools:v1 # a folder\nfile:setup.sh=team/tools:v1\nfile:setup.sh\n",
    )
    .unwrap();
    airlift.run(["export", "-f", "list.txt", "-o", "a.tar"]).success();
    airlift.run(["import", "a.tar", "--to", registry.address()]).success();
    let oras = Oras::new();
    oras.pull(&registry.reference("team/tools:v1"), &home.join("pulled")).success();
    let there = tree(&home.join("pulled"));
    fs::create_dir(home.join("expected")).unwrap();
    tools(&home.join("expected/tools"));
    fs::copy(home.join("setup.sh"), home.join("expected/setup.sh")).unwrap();
    assert_eq!(there, tree(&home.join("expected")));
    oras.pull(&registry.reference("files/setup.sh:latest"), &home.join("one")).success();
    assert_eq!(fs::read(home.join("one/setup.sh")).unwrap(), b"echo setup\n");
    // And back without oras.
    airlift.run(["extract", "a.tar", "team/tools:v1", "-o", "out"]).success();
    assert_eq!(tree(&home.join("out")), there);
    let again = airlift.json(["extract", "a.tar", "team/tools:v1", "-o", "out", "--json"]);
    assert_eq!(again["was_there"], true, "{again}");
}

#[test]
fn what_oras_pushes_is_extracted() {
    needs!("docker-registry", "oras");
    let registry = Registry::start(Options::default());
    let airlift = Airlift::new();
    let home = airlift.home();
    tools(&home.join("src/tools"));
    fs::write(home.join("src/a.txt"), "text").unwrap();
    let reference = registry.reference("team/files:v1");
    Oras::new().push(&reference, &home.join("src"), &["a.txt", "tools"]).success();
    airlift.run(["export", &reference, "-o", "a.tar"]).success();
    airlift.run(["extract", "a.tar", "team/files:v1", "-o", "out"]).success();
    assert_eq!(tree(&home.join("out")), tree(&home.join("src")));
}

#[test]
fn nothing_that_is_there_is_replaced_and_nothing_is_half_visible() {
    let airlift = Airlift::new();
    let home = airlift.home();
    for name in ["a", "b", "c"] {
        fs::write(home.join(name), name).unwrap();
    }
    airlift.run(["export", "file:a=t/x:1", "file:b=t/x:1", "file:c=t/x:1", "-o", "a.tar"]).success();
    fs::create_dir(home.join("out")).unwrap();
    fs::write(home.join("out/b"), "mine").unwrap();
    let refused = airlift.run(["extract", "a.tar", "t/x:1", "-o", "out"]).exits(1);
    assert!(refused.stderr.contains("error[output.exists]") && refused.stderr.contains("out/b"), "{refused}");
    assert_eq!(tree(&home.join("out")).iter().filter(|(name, _)| !name.starts_with('.')).count(), 1);
    assert_eq!(fs::read(home.join("out/b")).unwrap(), b"mine");
    fs::remove_file(home.join("out/b")).unwrap();
    airlift.run(["extract", "a.tar", "t/x", "-o", "out"]).success();
    assert_eq!(tree(&home.join("out")).len(), 3);
}

#[test]
fn files_need_no_network_and_give_the_same_bundle_each_time() {
    let airlift = Airlift::new();
    let home = airlift.home();
    tools(&home.join("one/tools"));
    tools(&home.join("two/tools"));
    fs::write(home.join("one/list"), "file:tools=r.invalid/team/tools:v1\n").unwrap();
    fs::copy(home.join("one/list"), home.join("two/list")).unwrap();
    airlift.run(["export", "-f", "one/list", "-o", "one.tar"]).success();
    airlift.run(["export", "-f", "two/list", "-o", "two.tar"]).success();
    assert!(fs::read(home.join("one.tar")).unwrap() == fs::read(home.join("two.tar")).unwrap());
    let again = airlift.run(["export", "-f", "two/list", "-o", "two.tar"]).success();
    assert!(again.stdout.contains("there"), "{again}");
}

#[test]
fn what_cannot_be_made_says_why_and_what_to_write() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("日本"), "").unwrap();
    fs::create_dir(airlift.home().join("d")).unwrap();
    symlink("/etc", airlift.home().join("d/etc")).unwrap();
    for (entry, code, token, text) in [
        ("file:absent", 2, "usage.file", "absent"),
        ("file:日本", 2, "package.name", "file:PATH=REPOSITORY:TAG"),
        ("file:=a:b", 2, "usage.argument", "file:PATH"),
        ("file:x=UPPER", 2, "usage.argument", "UPPER"),
        ("file:d", 1, "package.entry", "d/etc"),
        ("chart:https://c.example", 2, "usage.argument", "#NAME@VERSION"),
    ] {
        let refused = airlift.run(["export", entry, "-o", "a.tar"]).exits(code);
        assert!(
            refused.stderr.contains(&format!("error[{token}]")) && refused.stderr.contains(text),
            "{entry}: {refused}"
        );
        assert!(!airlift.home().join("a.tar").exists());
    }
}

/// An archive with entries of any name and kind: a kind, a name, and the content or the target of a link.
fn archive(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        let content = if is_link { "" } else { text };
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// A file of that title, or the archive of a folder.
fn layer(title: &str, content: impl Into<Vec<u8>>, unpack: bool) -> Blob {
    let mut blob = Blob::new("application/octet-stream", content.into());
    blob.descriptor.annotations.insert("org.opencontainers.image.title".into(), title.into());
    if unpack {
        blob.descriptor.annotations.insert("io.deis.oras.content.unpack".into(), "true".into());
    }
    blob
}

fn bundle_of(airlift: &Airlift, layers: Vec<Blob>) {
    let config = Blob::new("application/vnd.oci.empty.v1+json", &b"{}"[..]);
    let artifact = Artifact::manifest(Some("application/vnd.example"), config, layers, None);
    let path = airlift.home().join("bad.tar");
    drop(fs::remove_file(&path));
    block_on(Packed::new().with("r.example/files:v1", artifact).write(&path));
}

#[test]
fn no_file_of_an_artifact_leads_out_of_its_folder() {
    use EntryType::{Block, Directory, Fifo, Link, Regular, Symlink};
    let airlift = Airlift::new();
    let home = airlift.home();
    fs::create_dir(home.join("victim")).unwrap();
    fs::write(home.join("victim/f"), "precious").unwrap();
    let unpacked = |entries: &[(EntryType, &str, &str)]| vec![layer("d", archive(entries), true)];
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    let mut header = Header::new_gnu();
    header.set_path("d/zeros").unwrap();
    header.set_size(128 << 20);
    header.set_cksum();
    std::io::Write::write_all(&mut bomb, header.as_bytes()).unwrap();
    for _ in 0..128 {
        std::io::Write::write_all(&mut bomb, &zeros).unwrap();
    }
    for (why, layers) in [
        ("a title that leads out", vec![layer("../victim/f", "x", false)]),
        ("a title that is absolute", vec![layer("/tmp/airlift-victim", "x", false)]),
        ("a title with a line end", vec![layer("a\nb", "x", false)]),
        ("a title twice", vec![layer("a", "x", false), layer("a", "y", false)]),
        ("a file in a file", vec![layer("a", "x", false), layer("a/b", "y", false)]),
        ("an entry that leads out", unpacked(&[(Regular, "d/../../victim/f", "x")])),
        ("an entry that is absolute", unpacked(&[(Regular, "/d/f", "x")])),
        ("an entry beside the folder", unpacked(&[(Regular, "e/f", "x")])),
        ("a link that leads out", unpacked(&[(Symlink, "d/l", "../victim")])),
        ("a link that is absolute", unpacked(&[(Symlink, "d/l", "/etc")])),
        ("a folder that is a link", unpacked(&[(Symlink, "d", "victim")])),
        (
            "links that lead out together",
            unpacked(&[(Directory, "d/s", ""), (Symlink, "d/s/l", ".."), (Symlink, "d/m", "s/l/../../victim")]),
        ),
        ("a file through a link", unpacked(&[(Symlink, "d/l", "s"), (Regular, "d/l/f", "x")])),
        ("a second name of a file elsewhere", unpacked(&[(Link, "d/h", "../victim/f")])),
        ("a second name of a link", unpacked(&[(Symlink, "d/l", "x"), (Link, "d/h", "d/l")])),
        ("a device", unpacked(&[(Block, "d/b", "")])),
        ("a pipe", unpacked(&[(Fifo, "d/p", "")])),
        ("an entry twice", unpacked(&[(Regular, "d/f", "x"), (Regular, "d/f", "y")])),
        ("an archive that is none", vec![layer("d", vec![1; 2000], true)]),
        ("an archive that unpacks without end", vec![layer("d", bomb.finish().unwrap(), true)]),
    ] {
        bundle_of(&airlift, layers);
        let refused = airlift.run(["extract", "bad.tar", "files", "-o", "out"]).exits(4);
        assert!(refused.stderr.contains("error[extract.unsafe]"), "{why}: {refused}");
        assert!(!home.join("out").exists(), "{why}");
        assert_eq!(tree(&home.join("victim")), [("f".to_owned(), b"precious".to_vec())], "{why}");
    }
    bundle_of(&airlift, vec![Blob::layer(1, 10)]);
    airlift.run(["extract", "bad.tar", "files", "-o", "out"]).exits(1).says(&["error[extract.no-files]"]);
    // What is left by refused runs is not an obstacle.
    bundle_of(
        &airlift,
        vec![layer("d", archive(&[(Regular, "d/f", "x"), (Symlink, "d/l", "f"), (Link, "d/h", "d/f")]), true)],
    );
    airlift.run(["extract", "bad.tar", "files", "-o", "out"]).success();
    assert_eq!(fs::read(home.join("out/d/l")).unwrap(), b"x");
    assert_eq!(fs::read(home.join("out/d/h")).unwrap(), b"x");
}
