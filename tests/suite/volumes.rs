//! Sets of volumes: cut, checked by others, read in any order, and every way in which a stack of discs goes wrong.

mod damage;
mod discs;
pub(crate) mod interrupted;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use airlift::{
    bundle::{Goal, Writer, gather, volume::Size},
    content::{Sink, Verified},
    progress::Progress,
    transfer::verify::verify,
};

use crate::support::{
    Airlift, Options, Ran, Registry, Skopeo,
    artifacts::{Artifact, Blob, noise},
    compare, needs,
    packed::Packed,
    process::files_below,
};

/// Bytes of a volume in most of these tests.
const VOLUME: usize = 1 << 20;

/// Three images, of which two share a layer, one with a layer that no volume can hold, and a signature.
pub(crate) fn source() -> (Registry, Vec<String>) {
    let registry = Registry::start(Options::default());
    let shared = Blob::layer(1, 300_000);
    let first = Artifact::image("linux/amd64", vec![shared.clone(), Blob::layer(2, 200_000)]);
    first.push(&registry, "first", Some("v1"));
    Artifact::attached("application/vnd.example.signature", Blob::layer(9, 500), Some(&first))
        .push(&registry, "first", None);
    Artifact::image("linux/amd64", vec![shared, Blob::layer(3, 150_000)]).push(&registry, "second", Some("v1"));
    Artifact::image("linux/amd64", vec![Blob::layer(4, 2_500_000), Blob::layer(5, 70_000)]).push(
        &registry,
        "large",
        Some("v1"),
    );
    let references = ["first:v1", "second:v1", "large:v1"].map(|name| registry.reference(name));
    (registry, references.to_vec())
}

pub(crate) fn export<'a>(references: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["export", "--volume-size", "1MiB"];
    fixed.into_iter().chain(more.iter().copied()).chain(references.iter().map(String::as_str)).collect()
}

/// A home with the set `set/release` in it.
pub(crate) fn exported(references: &[String]) -> Airlift {
    let airlift = Airlift::new();
    fs::create_dir(airlift.home().join("set")).unwrap();
    airlift.run(export(references, &["-o", "set/release"])).success();
    airlift
}

pub(crate) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files_below(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn is_volume(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "tar")
}

pub(crate) fn volumes(folder: &Path) -> Vec<String> {
    files_below(folder).into_iter().filter(|name| is_volume(name)).collect()
}

/// Copies some files of the set into a folder of their own, as onto a disc.
pub(crate) fn disc(airlift: &Airlift, name: &str, files: &[&str]) -> PathBuf {
    let disc = airlift.home().join(name);
    fs::create_dir_all(&disc).unwrap();
    for file in files {
        fs::copy(airlift.home().join("set").join(file), disc.join(file)).unwrap();
    }
    disc
}

#[test]
fn a_set_is_the_same_at_any_number_of_jobs_and_is_checked_by_sha256sum() {
    needs!("docker-registry", "sha256sum");
    let (_registry, references) = source();
    let airlift = exported(&references);
    fs::create_dir(airlift.home().join("again")).unwrap();
    airlift.run(export(&references, &["--jobs", "1", "-o", "again/release.tar"])).success();
    let set = contents(&airlift.home().join("set"));
    assert!(set == contents(&airlift.home().join("again")));
    let names: Vec<&str> = set.keys().map(String::as_str).collect();
    let volumes = ["release.vol001.tar", "release.vol002.tar", "release.vol003.tar", "release.vol004.tar"];
    assert_eq!(names, ["SHA256SUMS", "release.set.json"].into_iter().chain(volumes).collect::<Vec<_>>());
    assert!(set.iter().all(|(_, bytes)| bytes.len() <= VOLUME));
    let check =
        || Ran::of(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(airlift.home().join("set")));
    assert_eq!(check().success().stdout.lines().filter(|line| line.ends_with(": OK")).count(), 5);
    let shown = airlift.run(["inspect", "set"]).success().stdout;
    assert!(volumes.iter().all(|name| shown.contains(name)) && shown.contains("set of 4 volumes"), "{shown}");
    let refused = airlift.run(export(&references[..2], &["-o", "set/release"])).exits(1);
    refused.says(&["output.exists", "release.set.json"]);
    fs::remove_dir_all(airlift.home().join("again")).unwrap();
    let mut larger = export(&references, &["-o", "set/release", "--overwrite"]);
    larger[2] = "2MiB";
    airlift.run(larger).success();
    assert_eq!(files_below(&airlift.home().join("set")).len(), 4, "volumes that the new set has not are gone");
    check().success();
}

#[test]
fn a_set_is_imported_by_its_folder_its_manifest_any_volume_or_the_list_in_any_order() {
    needs!("docker-registry");
    let (registry, references) = source();
    let airlift = exported(&references);
    let target = Registry::start(Options::default());
    let list = ["set/release.vol003.tar", "set/release.vol001.tar", "set/release.vol004.tar", "set/release.vol002.tar"];
    let ways: [&[&str]; 4] = [&["set"], &["set/release.set.json"], &["set/release.vol002.tar"], &list];
    for (at, way) in ways.into_iter().enumerate() {
        let prefix = format!("way-{at}");
        let to = format!("{}/{prefix}", target.address());
        airlift.run(["import", "--to", &to].iter().chain(way)).success();
        for name in ["first", "second", "large"] {
            compare::same((&registry, name), (&target, &format!("{prefix}/{name}")), "v1");
        }
        airlift.run(["verify"].iter().chain(way)).success();
    }
    airlift.run(["import", "set", "--delete-source", "--to", &format!("{}/way-0", target.address())]).success();
    assert_eq!(files_below(&airlift.home().join("set")), Vec::<String>::new());
}

#[test]
fn a_dry_run_shows_the_volumes_that_there_would_be() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    fs::create_dir(airlift.home().join("new")).unwrap();
    let planned = airlift.json(export(&references, &["-o", "new/release", "--dry-run", "--json"]));
    assert_eq!(files_below(&airlift.home().join("new")), Vec::<String>::new());
    let set = contents(&airlift.home().join("set"));
    let shown: Vec<(String, u64)> = planned["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| (volume["name"].as_str().unwrap().to_owned(), volume["bytes"].as_u64().unwrap()))
        .collect();
    let written = set.iter().filter(|(name, _)| is_volume(name));
    assert_eq!(shown, written.map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect::<Vec<_>>());
    // Each artifact is where inspect of that volume alone finds content of it.
    let volumes_of = |reference: &str| {
        let volumes = planned["volumes"].as_array().unwrap().iter();
        let has =
            |volume: &&serde_json::Value| volume["artifacts"].as_array().unwrap().iter().any(|one| one == reference);
        volumes.filter(has).map(|volume| volume["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(volumes_of(&references[0]).len(), 1, "{planned}");
    assert_eq!(volumes_of(&references[0]), volumes_of(&references[1]), "they share a layer: {planned}");
    assert!(volumes_of(&references[2]).len() >= 3, "its layer is cut: {planned}");
    let said = airlift.run(export(&references, &["-o", "new/release", "--dry-run"])).success().stdout;
    assert!(said.contains("release.vol004.tar") && said.contains("4 volumes"), "{said}");
    let one = airlift.json(export(&references, &["-o", "new/release", "--only-volume", "2", "--dry-run", "--json"]));
    assert_eq!((one["volumes"].as_array().unwrap().len(), one["volumes"][0]["number"].as_u64()), (1, Some(2)), "{one}");
    let in_order = airlift.run(export(&references, &["-o", "-"])).exits(2);
    in_order.says(&["usage.argument", "standard output is one", "Name a file with `-o`"]);
}

#[test]
fn a_single_volume_is_made_again_byte_for_byte_or_not_at_all() {
    needs!("docker-registry");
    let (registry, references) = source();
    let airlift = exported(&references);
    let folder = airlift.home().join("set");
    let set = contents(&folder);
    for (number, name) in (1..).zip(volumes(&folder)) {
        let number = number.to_string();
        fs::create_dir(airlift.home().join(&number)).unwrap();
        airlift.run(export(&references, &["--only-volume", &number, "-o", &format!("{number}/release")])).success();
        assert!(contents(&airlift.home().join(&number)) == BTreeMap::from([(name.clone(), set[&name].clone())]));
    }
    airlift.run(export(&references, &["--only-volume", "5", "-o", "1/release"])).exits(2).says(&["no volume 5"]);
    // In its place in the set, over one that is damaged.
    fs::write(folder.join("release.vol002.tar"), "damaged").unwrap();
    airlift.run(export(&references, &["--only-volume", "2", "--overwrite", "-o", "set/release"])).success();
    assert!(contents(&folder) == set);
    Artifact::small(77, 1000).push(&registry, "first", Some("v1"));
    let refused =
        airlift.run(export(&references, &["--only-volume", "2", "--overwrite", "-o", "set/release"])).exits(4);
    refused.says(&["bundle.volume-wrong", "have changed"]);
    assert!(fs::read(folder.join("release.vol002.tar")).unwrap() == set["release.vol002.tar"]);
}

#[test]
fn a_volume_by_itself_says_what_it_is_and_is_verified() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    for name in volumes(&airlift.home().join("set")) {
        let disc = disc(&airlift, &format!("disc-{name}"), &[&name]);
        let path = disc.join(&name);
        let said = airlift.run(["verify", path.to_str().unwrap()]).success().stdout;
        assert!(said.contains("sound") && said.contains("of 4; elsewhere: release.vol00"), "{said}");
        let shown = airlift.run(["inspect", path.to_str().unwrap()]).success().stdout;
        assert!(references.iter().all(|reference| shown.contains(reference)) && shown.contains("not here"), "{shown}");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 512]).unwrap();
        airlift.run(["verify", path.to_str().unwrap()]).exits(4);
        fs::write(&path, &bytes).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let at = bytes.len() - 3000;
        file.write_all_at(&[bytes[at] ^ 4], at as u64).unwrap();
        airlift.run(["verify", path.to_str().unwrap()]).exits(4);
    }
}

#[test]
fn gnu_tar_skopeo_and_umoci_read_volumes() {
    needs!("docker-registry", "tar", "skopeo", "umoci");
    let (registry, references) = source();
    let airlift = exported(&references);
    let folder = airlift.home().join("set");
    let unpacked = airlift.home().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let mut copied = 0;
    for name in volumes(&folder) {
        let volume = folder.join(&name);
        Ran::of(Command::new("tar").arg("-xf").arg(&volume).arg("-C").arg(&unpacked)).success();
        let listed = Ran::of(Command::new("tar").arg("-tf").arg(&volume)).success().stdout;
        assert!(listed.starts_with("oci-layout\nindex.json\nairlift.json\n"), "{listed}");
        // Artifacts that lie in a volume whole are images to any tool.
        let skopeo = Skopeo::new();
        let source = format!("oci-archive:{}:{}", volume.display(), references[0]);
        let target = format!("dir:{}", airlift.home().join(format!("dir-{name}")).display());
        copied += u32::from(skopeo.run(["copy", &source, &target]).code == Some(0));
    }
    assert_eq!(copied, 1, "one volume has all of the first image");
    // Without us: unpack all volumes into one folder, put the segments together.
    let script = "for blob in segments/*/*; do cat \"$blob\"/* > \"blobs/${blob#segments/}\"; done";
    Ran::of(Command::new("sh").args(["-ec", script]).current_dir(&unpacked)).success();
    airlift.run(["verify", "unpacked"]).success();
    let listed = crate::support::umoci::run(["list", "--layout", unpacked.to_str().unwrap()]).success().stdout;
    assert!(references.iter().all(|reference| listed.contains(reference)), "{listed}");
    drop(registry);
}

#[test]
fn a_set_comes_in_volume_by_volume_through_one_drive() {
    needs!("docker-registry");
    let (registry, references) = source();
    let airlift = exported(&references);
    let target = Registry::start(Options::default());
    let discs: Vec<PathBuf> =
        volumes(&airlift.home().join("set")).iter().map(|name| disc(&airlift, name, &[name])).collect();
    // In any order, one twice, a wrong one in between; each line is what a person types when asked.
    let elsewhere = airlift.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let mut typed: Vec<&Path> = vec![&discs[0], &discs[3], &elsewhere, &discs[1]];
    let first = discs[2].to_str().unwrap();
    let args = ["import", first, "--volume-prompt", "--to", target.address()];
    let answers = |typed: &[&Path]| {
        let lines: Vec<String> = typed.iter().map(|path| path.display().to_string()).collect();
        lines.join("\n") + "\n"
    };
    // The drive is left alone after two discs: nothing incomplete shows, and the registry remembers.
    let stopped = airlift.run_with_input(args, answers(&typed[..1])).exits(4);
    stopped.says(&["still needed: ", "bundle.volume-missing"]);
    for name in target.repositories() {
        for tag in target.tags(&name) {
            assert!(compare::missing_below(&target, &name, &tag).is_empty());
        }
    }
    typed.remove(0);
    let ran = airlift.run_with_input(args, answers(&typed)).success();
    ran.says(&["Insert the next volume", "elsewhere"]);
    for name in ["first", "second", "large"] {
        compare::same((&registry, name), (&target, name), "v1");
    }
    assert!(!files_below(airlift.home()).iter().any(|name| name.contains("spool")), "the spool is empty again");
}

#[test]
fn a_set_is_served_in_place_also_where_a_layer_is_cut() {
    needs!("docker-registry", "skopeo");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let serving = airlift.start(["serve", "set", "--listen", "127.0.0.1:0"]);
    let line = serving.wait_for_line("Serving on http://");
    let address = line.trim().rsplit('/').next().unwrap();
    for name in ["first", "second", "large"] {
        let to = airlift.home().join(name);
        let from = format!("docker://{address}/{name}:v1");
        Skopeo::new().copy(&from, &format!("dir:{}", to.display())).success();
    }
}

#[test]
fn a_set_is_copied_whole_and_a_copy_that_broke_off_is_gone_on_with() {
    needs!("docker-registry", "sha256sum");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let set = contents(&airlift.home().join("set"));
    let usb = airlift.home().join("usb");
    for from in ["set", "set/release.set.json", "set/release.vol003.tar"] {
        fs::create_dir(&usb).unwrap();
        // A run that was killed: one volume has its name, one is in the middle.
        fs::write(usb.join("release.vol001.tar"), &set["release.vol001.tar"]).unwrap();
        fs::write(usb.join("release.vol002.tar.partial"), &set["release.vol002.tar"][..600_000]).unwrap();
        let report = airlift.json(["copy", from, "usb/", "--json"]);
        assert!(report["bytes_reused"].as_u64().unwrap() >= set["release.vol001.tar"].len() as u64, "{report}");
        assert!(contents(&usb) == set);
        assert_eq!(airlift.json(["copy", from, "usb", "--json"])["already_there"], true);
        assert!(contents(&usb) == set);
        fs::remove_dir_all(&usb).unwrap();
    }
    fs::create_dir(&usb).unwrap();
    airlift.run(["copy", "set/release.vol002.tar", "usb/two.tar"]).success();
    assert_eq!(files_below(&usb), ["two.tar"]);
    fs::remove_file(usb.join("two.tar")).unwrap();
    let damaged = airlift.home().join("set/release.vol002.tar");
    fs::write(&damaged, &set["release.vol002.tar"][..2000]).unwrap();
    airlift.run(["copy", "set", "usb"]).exits(4);
    assert_eq!(files_below(&usb), Vec::<String>::new());
    fs::write(&damaged, &set["release.vol002.tar"]).unwrap();
    airlift.run(["copy", "set", "usb", "--delete-source"]).success();
    Ran::of(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&usb)).success();
    assert_eq!(files_below(&airlift.home().join("set")), Vec::<String>::new());
}
