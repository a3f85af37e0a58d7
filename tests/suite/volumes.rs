//! Sets of volumes: cut, checked by others, read in any order, and every way in which a stack of discs goes wrong.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
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
fn source() -> (Registry, Vec<String>) {
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

fn export<'a>(references: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    let fixed = ["export", "--volume-size", "1MiB"];
    fixed.into_iter().chain(more.iter().copied()).chain(references.iter().map(String::as_str)).collect()
}

/// A home with the set `set/release` in it.
fn exported(references: &[String]) -> Airlift {
    let airlift = Airlift::new();
    fs::create_dir(airlift.home().join("set")).unwrap();
    airlift.run(export(references, &["-o", "set/release"])).success();
    airlift
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files_below(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn is_volume(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "tar")
}

fn volumes(folder: &Path) -> Vec<String> {
    files_below(folder).into_iter().filter(|name| is_volume(name)).collect()
}

/// Copies some files of the set into a folder of their own, as onto a disc.
fn disc(airlift: &Airlift, name: &str, files: &[&str]) -> PathBuf {
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
    let refused = airlift.run(export(&references, &["-o", "set/release"])).exits(1);
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
fn volumes_that_are_missing_doubled_renamed_or_of_another_set_are_named() {
    needs!("docker-registry");
    let (registry, references) = source();
    let airlift = exported(&references);
    let older = contents(&airlift.home().join("set"));
    let folder = airlift.home().join("set");

    fs::rename(folder.join("release.vol002.tar"), folder.join("holiday.tar")).unwrap();
    fs::copy(folder.join("release.vol001.tar"), folder.join("twice.tar")).unwrap();
    let said = airlift.run(["verify", "set"]).success().stdout;
    assert!(said.contains("holiday.tar is volume 2, which is called release.vol002.tar"), "{said}");
    assert!(said.contains("twice.tar is volume 1 once more"), "{said}");
    fs::remove_file(folder.join("holiday.tar")).unwrap();
    fs::remove_file(folder.join("twice.tar")).unwrap();
    for place in ["set", "set/release.vol001.tar", "set/release.set.json"] {
        let said = airlift.run(["verify", place]).exits(4).stdout;
        assert!(said.contains("bundle.volume-missing") && said.contains("release.vol002.tar"), "{said}");
        assert!(!said.contains("release.vol003.tar"), "{said}");
        let target = "127.0.0.1:1";
        airlift.run(["import", place, "--to", target]).exits(4).says(&["bundle.volume-missing", "release.vol002.tar"]);
    }

    // The same artifacts, of another day.
    Artifact::image("linux/amd64", vec![Blob::layer(11, 400_000)]).push(&registry, "first", Some("v1"));
    fs::create_dir(airlift.home().join("newer")).unwrap();
    airlift.run(export(&references, &["-o", "newer/release"])).success();
    fs::write(folder.join("release.vol002.tar"), fs::read(airlift.home().join("newer/release.vol002.tar")).unwrap())
        .unwrap();
    let said = airlift.run(["verify", "set"]).exits(4).stdout;
    assert!(
        said.contains("bundle.volume-wrong") && said.contains("older or newer set of the same artifacts"),
        "{said}"
    );
    let mixed =
        ["set/release.vol001.tar", "newer/release.vol002.tar", "set/release.vol003.tar", "set/release.vol004.tar"];
    fs::remove_file(folder.join("release.vol002.tar")).unwrap();
    for left in ["release.vol001.tar", "release.vol003.tar", "release.vol004.tar", "release.set.json"] {
        fs::remove_file(airlift.home().join("newer").join(left)).ok();
    }
    airlift
        .run(["import", "--to", "127.0.0.1:1"].iter().chain(&mixed))
        .exits(4)
        .says(&["newer/release.vol002.tar", "older or newer"]);

    // The manifest and the sums vouch for each other.
    fs::write(folder.join("release.vol002.tar"), &older["release.vol002.tar"]).unwrap();
    airlift.run(["verify", "set"]).success();
    let sums = String::from_utf8(older["SHA256SUMS"].clone()).unwrap();
    fs::write(folder.join("SHA256SUMS"), sums.replacen('a', "b", 1)).unwrap();
    airlift.run(["verify", "set"]).exits(4);
    fs::write(folder.join("SHA256SUMS"), sums).unwrap();
    fs::write(folder.join("release.set.json"), &older["release.set.json"][1..]).unwrap();
    airlift.run(["verify", "set"]).exits(4);
}

/// A set of the library's own making, small enough to be read a thousand times.
async fn tiny_set(folder: &Path) -> Vec<PathBuf> {
    let large = Artifact::image("linux/amd64", vec![Blob::layer(1, 150_000)]);
    let packed = Packed::new().with("r.example/a:1", large).with("r.example/b:1", Artifact::small(2, 3_000));
    let goal =
        Goal { folder: folder.to_owned(), name: "s".to_owned(), size: Size(70_000), only: None, overwrite: false };
    let writer = Writer::open_set(goal, packed.contents()).await.unwrap();
    let blobs = packed.roots.iter().flat_map(|(_, artifact)| artifact.all_blobs());
    for blob in blobs {
        let body = Verified::bytes(blob.descriptor.clone(), blob.content.clone().unwrap());
        writer.push(&blob.descriptor, body).await.unwrap();
    }
    writer.finish().await.unwrap();
    files_below(folder).into_iter().map(|name| folder.join(name)).collect()
}

#[tokio::test]
async fn a_thousand_flipped_bits_over_a_set_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let files = tiny_set(folder.path()).await;
    let total: u64 = files.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    let whole = |path: &Path| gather(vec![path.to_owned()]);
    let is_sound = async || {
        let Ok(Some(set)) = whole(folder.path()).await else { return false };
        let verified = verify(&set.reader, 1, &Progress::silent()).await;
        set.faults.is_empty() && set.missing().is_empty() && verified.is_ok_and(|found| found.is_sound())
    };
    assert!(is_sound().await);
    for random in noise(7, 8000).chunks(8) {
        let mut at = u64::from_le_bytes(random.try_into().unwrap()) % total;
        let path = files.iter().find(|path| {
            let size = fs::metadata(path).unwrap().len();
            let here = at < size;
            at -= if here { 0 } else { size };
            here
        });
        let path = path.unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1 << (random[7] & 7)], at).unwrap();
        assert!(!is_sound().await, "a bit of byte {at} of {} was flipped unnoticed", path.display());
        file.write_all_at(&byte, at).unwrap();
    }
    assert!(is_sound().await);
}

#[test]
fn an_export_of_a_set_that_was_killed_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let set = contents(&airlift.home().join("set"));
    let begun = Instant::now();
    fs::create_dir(airlift.home().join("timed")).unwrap();
    airlift.run(export(&references, &["-o", "timed/release"])).success();
    let time = begun.elapsed();
    let folder = airlift.home().join("killed");
    let mut interrupted = 0;
    for random in noise(u64::from(std::process::id()), 8 * 20).chunks(8) {
        fs::create_dir(&folder).unwrap();
        let fraction = f64::from(u32::from_le_bytes(random[..4].try_into().unwrap())) / f64::from(u32::MAX);
        let mut process = airlift.start(export(&references, &["-o", "killed/release"]));
        interrupted += u32::from(process.wait_at_most(time.mul_f64(fraction)).is_none());
        process.kill();
        // Whatever has its final name is what it should be.
        let visible = contents(&folder).into_iter().filter(|(name, _)| set.contains_key(name));
        assert!(visible.into_iter().all(|(name, bytes)| set[&name] == bytes));
        if !folder.join("release.set.json").exists() {
            airlift.run(export(&references, &["-o", "killed/release"])).success();
        }
        // Between the last name and the end of a run its journal still lies there, and says nothing to anybody.
        let _ = fs::remove_file(folder.join("release.vol001.tar.partial.journal"));
        assert!(contents(&folder) == set, "{:?}", files_below(&folder));
        fs::remove_dir_all(&folder).unwrap();
    }
    assert!(interrupted > 5, "only {interrupted} runs were killed before their end");
}

#[test]
fn a_run_that_was_killed_while_it_gave_the_names_is_gone_on_with() {
    needs!("docker-registry");
    let (registry, references) = source();
    let airlift = exported(&references);
    let folder = airlift.home().join("set");
    let set = contents(&folder);
    // As it looks after the first two renames: a manifest that is not yet one, and its journal gone at the worst.
    fs::rename(folder.join("release.set.json"), folder.join("release.set.json.partial")).unwrap();
    fs::remove_file(folder.join("SHA256SUMS")).unwrap();
    for name in ["release.vol003.tar", "release.vol004.tar"] {
        fs::rename(folder.join(name), folder.join(format!("{name}.partial"))).unwrap();
    }
    airlift.run(export(&references, &["-o", "set/release"])).success();
    assert!(contents(&folder) == set);
    drop(registry);
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

/// Runs airlift where no file can have more than so many blocks of 512 bytes.
fn limited(airlift: &Airlift, blocks: u32, args: Vec<&str>) -> Ran {
    let command = airlift.command(args);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -f {blocks}; exec \"$@\"")).arg("sh");
    shell.arg(command.get_program()).args(command.get_args()).current_dir(airlift.home()).env_clear();
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    Ran::of(&mut shell)
}

#[test]
fn more_than_four_gib_goes_where_no_file_can_have_them() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let layer = Blob { descriptor: registry.plant_zeros("large", (4 << 30) + 5_000_000), content: None };
    Artifact::image("linux/amd64", vec![layer, Blob::layer(1, 1000)]).push(&registry, "large", Some("v1"));
    let reference = registry.reference("large:v1");
    let airlift = Airlift::new();
    // The largest file of FAT32 in whole blocks, which is what a volume has.
    let blocks = ((1_u64 << 32) - 1) / 512;
    let blocks = u32::try_from(blocks).unwrap();
    let refused = limited(&airlift, blocks, vec!["export", &reference, "-o", "b.tar"]).exits(1);
    refused.says(&["output.file-limit", "can have only 4294966784", "--volume-size fat32"]);
    limited(&airlift, blocks, vec!["export", &reference, "-o", "b", "--volume-size", "fat32"]).success();
    let sizes = volumes(airlift.home()).into_iter().map(|name| fs::metadata(airlift.home().join(name)).unwrap().len());
    let sizes: Vec<u64> = sizes.collect();
    assert!(sizes.len() == 2 && sizes[0] > 4_294_900_000, "{sizes:?}");
    airlift.run(["verify", "b.set.json"]).success();
}

#[test]
fn a_limit_of_files_is_told_before_the_first_byte_and_volumes_keep_to_it() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = Airlift::new();
    // What FAT32 does to files of 4 GiB, this does to files of 1.25 MiB: nothing larger can be written.
    let limited = |args: Vec<&str>| limited(&airlift, 2560, args);
    let before = files_below(airlift.home());
    let plain = ["export", "-o", "b.tar"].into_iter().chain(references.iter().map(String::as_str)).collect();
    limited(plain).exits(1).says(&[
        "output.file-limit",
        " bytes, but a file there can have only 1310720",
        "--volume-size fat32",
    ]);
    let mut larger = export(&references, &["-o", "b"]);
    larger[2] = "2MiB";
    limited(larger).exits(1).says(&["output.file-limit"]);
    assert_eq!(files_below(airlift.home()), before, "nothing was begun");
    limited(export(&references, &["-o", "b"])).success();
    airlift.run(["verify", "b.set.json"]).success();
    let mut tiny = export(&references, &["-o", "c"]);
    tiny[2] = "4096";
    airlift.run(tiny).exits(2).says(&["usage.volume-size", "4096"]);
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

#[tokio::test]
async fn volumes_are_rearranged_in_place_when_the_plan_changes() {
    let folder = tempfile::tempdir().unwrap();
    let image = |seed: u64, size| Artifact::small(seed, size);
    let all = Packed::new()
        .with("r.example/a:1", image(1, 90_000))
        .with("r.example/b:1", image(2, 150_000))
        .with("r.example/c:1", image(3, 60_000))
        .with("r.example/d:1", image(4, 200_000));
    let fewer = Packed::new()
        .with("r.example/b:1", image(2, 150_000))
        .with("r.example/c:1", image(3, 60_000))
        .with("r.example/d:1", image(4, 200_000));
    let goal = |name: &str, size| Goal {
        folder: folder.path().to_owned(),
        name: name.to_owned(),
        size: Size(size),
        only: None,
        overwrite: true,
    };
    let push = async |writer: &Writer, packed: &Packed| {
        for blob in packed.roots.iter().flat_map(|(_, artifact)| artifact.all_blobs()) {
            let body = Verified::bytes(blob.descriptor.clone(), blob.content.clone().unwrap());
            writer.push(&blob.descriptor, body).await.unwrap();
        }
    };
    let straight = Writer::open_set(goal("straight", 120_000), fewer.contents()).await.unwrap();
    push(&straight, &fewer).await;
    straight.finish().await.unwrap();
    let expected = contents(folder.path());

    let writer = Arc::new(Writer::open_set(goal("moved", 120_000), all.contents()).await.unwrap());
    push(&writer, &all).await;
    writer.replan(fewer.contents()).await.unwrap();
    Arc::into_inner(writer).unwrap().finish().await.unwrap();
    // And once more by way of another size, in a run of its own.
    let other = Writer::open_set(goal("again", 90_000), all.contents()).await.unwrap();
    push(&other, &all).await;
    drop(other);
    let writer = Writer::open_set(goal("again", 120_000), fewer.contents()).await.unwrap();
    let total: u64 = writer.blobs().iter().map(|blob| blob.size).sum();
    assert_eq!(writer.present(), total, "nothing is fetched twice");
    writer.finish().await.unwrap();
    let found = contents(folder.path());
    for (name, bytes) in expected.iter().filter(|(name, _)| is_volume(name)) {
        for other in ["moved", "again"] {
            assert!(found[&name.replace("straight", other)] == *bytes, "{name} as {other}");
        }
    }
    let left: Vec<&String> = found.keys().filter(|name| name.contains("partial")).collect();
    assert!(left.is_empty(), "{left:?}");
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
        airlift.run(["copy", from, "usb"]).exits(1).says(&["output.exists"]);
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

#[test]
fn a_set_with_recovery_data_bears_the_loss_of_a_volume_and_of_its_manifest() {
    needs!("docker-registry", "sha256sum");
    let (_registry, references) = source();
    let airlift = Airlift::new();
    let set = airlift.home().join("set");
    fs::create_dir(&set).unwrap();
    airlift.run(export(&references, &["-o", "set/release", "--recovery", "40%"])).success();
    let whole = contents(&set);
    let recovery: Vec<&String> = whole.keys().filter(|name| name.ends_with(".recovery")).collect();
    assert!(recovery.len() > 1 && recovery.iter().all(|name| whole[*name].len() <= VOLUME), "{recovery:?}");
    airlift.run(["verify", "set"]).success();

    for gone in ["release.vol002.tar", "release.set.json", "SHA256SUMS", recovery[0]] {
        fs::remove_file(set.join(gone)).unwrap();
        airlift.run(["repair", "set"]).success();
        assert!(contents(&set) == whole, "{gone} is as it was");
    }
    for volume in volumes(&set) {
        let file = fs::File::options().write(true).open(set.join(&volume)).unwrap();
        file.write_all_at(&noise(7, 3000), 200_000).unwrap();
    }
    for named in ["set", "set/release.vol003.tar", "set/release.set.json"] {
        let damaged = airlift.run(["verify", named]).exits(4);
        assert!(damaged.stdout.contains("repair is possible"), "{damaged}");
    }
    airlift.run(["repair", "set"]).success();
    assert!(contents(&set) == whole);

    for gone in ["release.vol001.tar", "release.vol003.tar"] {
        fs::remove_file(set.join(gone)).unwrap();
    }
    airlift.run(["repair", "set"]).exits(4).says(&["recovery.beyond"]);
}
