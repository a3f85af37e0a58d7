//! What somebody else has put where airlift is about to write: links, files of others, folders that others can write to.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
};

use airlift::{
    oci::Digest,
    storage::{self, Location, Parts, Settings, UploadSpec},
};

use crate::support::{Airlift, artifacts::Artifact, packed::Packed};

const PRECIOUS: &str = "precious\n";

/// A bundle at `b.tar`, and a file of the victim at `victim`.
async fn ground() -> Airlift {
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    Packed::new().with("r.example/a:1", Artifact::small(3, 100_000)).write(&path).await;
    fs::write(airlift.home().join("victim"), PRECIOUS).unwrap();
    airlift
}

#[track_caller]
fn untouched(airlift: &Airlift) {
    assert_eq!(fs::read_to_string(airlift.home().join("victim")).unwrap(), PRECIOUS);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_report_is_written_through_no_link() {
    let airlift = ground().await;
    let at = |name: &str| airlift.home().join(name);
    let import = ["import", "b.tar", "--store", "s", "--report", "r.json"];
    symlink(at("victim"), at("r.json")).unwrap();
    airlift.run(import).exits(1).says(&["error[output.foreign]", "r.json", "symbolic link"]);
    untouched(&airlift);

    fs::remove_file(at("r.json")).unwrap();
    for beside in ["r.json.partial", "r.json.retry.txt", "r.json.retry.txt.partial"] {
        symlink(at("victim"), at(beside)).unwrap();
    }
    airlift.run(import).success();
    untouched(&airlift);
    assert!(fs::symlink_metadata(at("r.json.retry.txt")).unwrap().is_file());
    assert_eq!((mode(&at("r.json")), mode(&at("r.json.retry.txt"))), (0o600, 0o600));
}

#[tokio::test]
async fn a_store_is_its_owners_and_its_lock_is_no_link() {
    let airlift = ground().await;
    let import = ["import", "b.tar", "--store", "s"];
    fs::create_dir(airlift.home().join("s")).unwrap();
    fs::set_permissions(airlift.home().join("s"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(airlift.home().join("victim"), airlift.home().join("s/lock")).unwrap();
    airlift.run(import).exits(1).says(&["error[output.foreign]", "s/lock", "symbolic link"]);
    untouched(&airlift);

    fs::remove_file(airlift.home().join("s/lock")).unwrap();
    fs::set_permissions(airlift.home().join("s"), fs::Permissions::from_mode(0o777)).unwrap();
    airlift.run(import).exits(1).says(&["error[io.exposed]", "writable by others", "chmod go-w"]);
    // As the hint says.
    fs::set_permissions(airlift.home().join("s"), fs::Permissions::from_mode(0o755)).unwrap();
    airlift.run(import).success();
    airlift.run(["import", "b.tar", "--store", "new"]).success();
    assert_eq!(mode(&airlift.home().join("new")), 0o700);
}

#[tokio::test]
async fn an_unfinished_file_of_somebody_else_is_not_adopted() {
    let airlift = ground().await;
    let at = |name: &str| airlift.home().join(name);
    let copy = || airlift.run(["copy", "b.tar", "c.tar"]).exits(1);
    symlink(at("victim"), at("c.tar.partial")).unwrap();
    copy().says(&["error[output.foreign]", "c.tar.partial", "symbolic link"]);
    fs::remove_file(at("c.tar.partial")).unwrap();
    fs::hard_link(at("victim"), at("c.tar.partial")).unwrap();
    copy().says(&["error[output.foreign]", "c.tar.partial", "hard link"]);
    untouched(&airlift);
    fs::remove_file(at("c.tar.partial")).unwrap();
    fs::write(at("c.tar.partial"), "of a stranger").unwrap();
    // Only an administrator can give a file away.
    if fs::metadata(at("victim")).unwrap().uid() == 0 {
        chown(at("c.tar.partial"), Some(12_345), None).unwrap();
        copy().says(&["error[output.foreign]", "c.tar.partial", "another user"]);
        assert_eq!(fs::read(at("c.tar.partial")).unwrap(), b"of a stranger");
        chown(at("c.tar.partial"), Some(0), None).unwrap();
    }
    // Of this user's own, whatever is in it, the copy makes what it is to be.
    airlift.run(["copy", "b.tar", "c.tar"]).success();
    assert!(fs::read(at("c.tar")).unwrap() == fs::read(at("b.tar")).unwrap());
}

#[tokio::test]
async fn a_download_from_a_storage_goes_through_no_link() {
    let airlift = ground().await;
    let victim = airlift.home().join("victim");
    let location = Location::Path(airlift.home().join("c.tar"));
    let object = storage::open(&location, &Settings::default()).unwrap();
    let parts = Parts::of(10, 1, &object.limits(), &location).unwrap();
    let spec = UploadSpec { identity: Digest::sha256(b"x"), parts, metadata: std::collections::BTreeMap::new() };
    let before: Vec<_> = names(airlift.home());
    drop(object.upload(&spec).await.unwrap());
    let unfinished: Vec<_> = names(airlift.home()).into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(unfinished.len(), 2, "a file and its journal: {unfinished:?}");
    for name in unfinished {
        let path = airlift.home().join(&name);
        fs::remove_file(&path).unwrap();
        symlink(&victim, &path).unwrap();
        let refused = object.upload(&spec).await.err().unwrap();
        assert!(refused.to_string().contains("symbolic link"), "{name}: {refused}");
        fs::remove_file(&path).unwrap();
    }
    untouched(&airlift);
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn without_a_home_nothing_is_kept_in_a_shared_folder() {
    let airlift = ground().await;
    let mut command = airlift.command(["import", "b.tar", "--store", "s", "--volume-prompt"]);
    command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    let said = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error[io.exposed]") && stderr.contains("neither XDG_STATE_HOME nor HOME"), "{stderr}");
    assert!(!names(airlift.home()).iter().any(|name| name == "airlift"), "something was put into TMPDIR");
    assert_eq!(Settings::default().state, None);
}
