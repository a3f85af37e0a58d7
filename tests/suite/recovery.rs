//! Recovery data: a scratched disc, a lost volume, and what cannot be rebuilt.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use airlift::{
    progress::Progress,
    recovery::{self, Percent},
};
use serde_json::Value;

use crate::support::{
    Airlift, Options, Registry, Tmpfs,
    artifacts::{Artifact, Blob, noise},
    kills::moments,
    needs,
    packed::Packed,
    with,
};

/// Bytes of a volume of the sets below.
const VOLUME: usize = 2 << 20;

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << (at % 8)], at).unwrap();
}

/// Every file in `folder` with its content.
fn all(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

/// Makes recovery data of `files` in `folder`.
fn protect(folder: &Path, files: Vec<String>, percent: u8) {
    let percent = Percent::new(percent).unwrap();
    let (folder, limit) = (folder.to_owned(), Some(VOLUME as u64 + 100_000));
    let request = with(recovery::Request::new(folder, files, "set", percent), |it| it.limit = limit);
    recovery::create(&request, &Progress::silent()).unwrap();
}

/// Twelve files of [`VOLUME`] bytes with a tenth of recovery data, as they would be copied from discs.
fn set(folder: &Path) {
    let files: Vec<String> = (1..=12).map(|number| format!("set.{number}.tar")).collect();
    for (seed, name) in (1..).zip(&files) {
        fs::write(folder.join(name), noise(seed, VOLUME)).unwrap();
    }
    protect(folder, files, 10);
}

/// A bundle of one artifact at `folder/b.tar` with recovery data.
async fn bundle(folder: &Path, size: usize, percent: u8) {
    let artifact = Artifact::image("linux/amd64", vec![Blob::layer(3, size), Blob::layer(4, size / 3)]);
    Packed::new().with("r.example/a:1", artifact).write(&folder.join("b.tar")).await;
    let percent = Percent::new(percent).unwrap();
    let request = recovery::Request::new(folder.to_owned(), vec!["b.tar".to_owned()], "b.tar", percent);
    recovery::create(&request, &Progress::silent()).unwrap();
}

#[test]
fn an_exported_bundle_is_repaired_after_bits_flipped_and_verify_says_so_before() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    Artifact::small(1, 900_000).push(&registry, "team/app", Some("v1"));
    let reference = registry.reference("team/app:v1");
    let airlift = Airlift::new();
    let export = ["export", &reference, "-o", "b.tar", "--recovery", "10%"];
    let report = airlift.json(export.into_iter().chain(["--json"]));
    assert_eq!(report["recovery"], serde_json::json!(["b.tar.recovery"]));
    let sound = all(airlift.home());
    let verified = airlift.run(["verify", "b.tar"]).success();
    assert!(verified.stdout.contains("recovery data: sound"), "{verified}");

    for at in [5, 3000, 400_000, 400_001, 700_000] {
        flip(&airlift.home().join("b.tar"), at);
    }
    let verified = airlift.run(["verify", "b.tar"]).exits(4);
    assert!(verified.stdout.contains("repair is possible (4 of "), "{verified}");
    let told = airlift.run(["verify", "b.tar", "--json"]).exits(4);
    let verdict: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&verdict[0]["recovery"]["possible"], &verdict[0]["recovery"]["needed"]), (&true.into(), &4.into()));

    let repaired = airlift.run(["repair", "b.tar"]).success();
    assert!(repaired.stdout.contains("b.tar: damaged in 4 places"), "{repaired}");
    assert!(all(airlift.home()) == sound);
    airlift.run(["verify", "b.tar"]).success();
    let again = airlift.run(["repair", "."]).success();
    assert!(again.stdout.contains("nothing to repair"), "{again}");
    airlift.run(export).success();
    assert!(all(airlift.home()) == sound);
}

#[test]
fn an_export_that_was_stopped_before_its_recovery_data_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    Artifact::small(1, 300_000).push(&registry, "team/app", Some("v1"));
    Artifact::small(2, 300_000).push(&registry, "team/app", Some("v2"));
    let (one, two) = (registry.reference("team/app:v1"), registry.reference("team/app:v2"));
    let airlift = Airlift::new();
    let export = ["export", &one, "-o", "b.tar", "--recovery", "5"];
    airlift.run(export).success();
    let sound = all(airlift.home());
    fs::remove_file(airlift.home().join("b.tar.recovery")).unwrap();
    airlift.run(export).success();
    assert!(all(airlift.home()) == sound);
    // Of another bundle under that name nothing is made.
    fs::remove_file(airlift.home().join("b.tar.recovery")).unwrap();
    airlift.run(["export", &two, "-o", "b.tar", "--recovery", "5"]).exits(1).says(&["output.exists"]);
    assert!(!airlift.home().join("b.tar.recovery").exists());
    airlift.run(["export", &one, "-o", "-", "--recovery", "5"]).exits(2).says(&["usage.argument", "--recovery"]);
}

#[test]
fn any_files_of_one_folder_are_protected_together() {
    let airlift = Airlift::new();
    for (seed, name) in [(1, "a.tar"), (2, "b.tar"), (3, "c.bin")] {
        fs::write(airlift.home().join(name), noise(seed, 200_000)).unwrap();
    }
    let protect = ["protect", "a.tar", "b.tar", "c.bin", "--recovery", "40"];
    airlift.run(protect).success();
    let sound = all(airlift.home());
    fs::remove_file(airlift.home().join("b.tar")).unwrap();
    airlift.run(["repair", "a.tar"]).success();
    assert!(all(airlift.home()) == sound);
    airlift.run(protect).success();
    airlift.run(["protect", "a.tar", "b.tar", "c.bin", "--recovery", "41"]).exits(1).says(&["output.exists"]);
    assert!(all(airlift.home()) == sound);
    airlift.run(protect.into_iter().chain(["--overwrite"])).success();
    assert!(all(airlift.home()) == sound);
    airlift.run(["protect", "a.tar", "elsewhere/b.tar"]).exits(2).says(&["two folders"]);
    airlift.run(["protect", "nothing.tar"]).exits(1).says(&["io.read", "nothing.tar"]);
}

#[tokio::test]
async fn damage_over_the_budget_exits_with_4_names_the_numbers_and_changes_nothing() {
    let airlift = Airlift::new();
    bundle(airlift.home(), 300_000, 5).await;
    OpenOptions::new().write(true).open(airlift.home().join("b.tar")).unwrap().set_len(200_000).unwrap();
    let before = all(airlift.home());
    let refused = airlift.run(["repair", "b.tar"]).exits(4);
    refused.says(&["recovery.beyond", "blocks are damaged or missing", "recovery blocks are sound", "b.tar: damaged"]);
    let verified = airlift.run(["verify", "b.tar"]).exits(4);
    assert!(verified.stdout.contains("repair is not possible"), "{verified}");
    assert!(all(airlift.home()) == before);
}

#[tokio::test]
async fn a_damaged_recovery_file_is_a_finding_of_its_own_and_made_anew() {
    let airlift = Airlift::new();
    bundle(airlift.home(), 300_000, 10).await;
    let sound = all(airlift.home());
    for at in [3, 9000, 20_000] {
        flip(&airlift.home().join("b.tar.recovery"), at);
        let verified = airlift.run(["verify", "b.tar"]).exits(4);
        assert!(verified.stdout.contains("[recovery.damaged] b.tar.recovery is damaged"), "{verified}");
        airlift.run(["repair", "b.tar"]).success();
        assert!(all(airlift.home()) == sound);
    }
}

#[tokio::test]
async fn a_sound_bundle_is_never_turned_back_into_the_one_that_the_recovery_data_is_of() {
    let airlift = Airlift::new();
    bundle(airlift.home(), 300_000, 100).await;
    fs::remove_file(airlift.home().join("b.tar")).unwrap();
    Packed::new().with("r.example/b:2", Artifact::small(9, 1000)).write(&airlift.home().join("b.tar")).await;
    let before = all(airlift.home());
    airlift.run(["repair", "b.tar"]).exits(4).says(&["recovery.stale", "b.tar"]);
    let verified = airlift.run(["verify", "b.tar"]).exits(4);
    assert!(verified.stdout.contains("[recovery.stale]"), "{verified}");
    assert!(all(airlift.home()) == before);
}

#[tokio::test]
async fn without_recovery_data_repair_says_so() {
    let airlift = Airlift::new();
    Packed::new().with("r.example/b:2", Artifact::small(9, 1000)).write(&airlift.home().join("b.tar")).await;
    airlift.run(["repair", "b.tar"]).exits(1).says(&["recovery.not-found", "b.tar"]);
    airlift.run(["repair", "no-such-folder/b.tar"]).exits(1);
}

#[tokio::test]
async fn a_file_that_no_recovery_data_covers_is_not_called_sound() {
    let airlift = Airlift::new();
    for name in ["covered.tar", "other.tar"] {
        Packed::new().with("r.example/b:2", Artifact::small(9, 1000)).write(&airlift.home().join(name)).await;
    }
    airlift.run(["protect", "covered.tar", "--recovery", "20%"]).success();
    airlift.run(["repair", "covered.tar"]).success();
    for name in ["other.tar", "mistyped.tar"] {
        airlift.run(["repair", name]).exits(1).says(&["recovery.not-found", name]);
    }
}

#[test]
fn a_thousand_flipped_bits_over_a_set_are_all_found_and_repaired() {
    let airlift = Airlift::new();
    let folder = airlift.home().join("set");
    fs::create_dir(&folder).unwrap();
    set(&folder);
    let sound = all(&folder);
    let mut random = noise(42, 16_000).into_iter();
    let mut number = || {
        let bytes: Vec<u8> = random.by_ref().take(8).collect();
        usize::try_from(u64::from_le_bytes(bytes.try_into().unwrap()) >> 1).unwrap()
    };
    let total: usize = sound.iter().map(|(_, content)| content.len()).sum();
    let mut hit = Vec::new();
    for _ in 0..1000 {
        let mut at = number() % total;
        let (path, _) = sound
            .iter()
            .find(|(_, content)| {
                at < content.len() || {
                    at -= content.len();
                    false
                }
            })
            .unwrap();
        flip(path, at as u64);
        hit.push((path.file_name().unwrap().to_str().unwrap().to_owned(), at as u64));
    }
    let answer = airlift.json(["repair", "set", "--output", "out", "--json"]);
    let damaged = answer["damaged"].as_array().unwrap();
    for (name, at) in hit.iter().filter(|(name, _)| !name.ends_with(".recovery")) {
        let file = damaged.iter().find(|file| file["name"] == name.as_str()).unwrap();
        let covers = |range: &Value| (range[0].as_u64().unwrap()..range[1].as_u64().unwrap()).contains(at);
        assert!(file["ranges"].as_array().unwrap().iter().any(covers), "{name} at {at} was not found");
    }
    for (path, content) in &sound {
        let repaired = airlift.home().join("out").join(path.file_name().unwrap());
        assert!(!repaired.exists() || fs::read(&repaired).unwrap() == *content, "{}", repaired.display());
    }
    airlift.run(["repair", "set"]).success();
    assert!(all(&folder) == sound);
}

#[test]
fn a_lost_volume_is_rebuilt_byte_for_byte_though_the_run_is_killed_at_any_moment() {
    let airlift = Airlift::new();
    let folder = airlift.home().join("set");
    fs::create_dir(&folder).unwrap();
    set(&folder);
    let sound = all(&folder);
    let damage = || {
        fs::remove_file(folder.join("set.7.tar")).unwrap();
        flip(&folder.join("set.1.recovery"), 300_000);
    };
    damage();
    let repair = ["repair", "set", "--progress", "json"];
    let lines = airlift.run(repair).success().stderr.lines().count();
    assert!(all(&folder) == sound);
    // At an event of the check before the repair, or when the repair begins, in turns.
    for (n, line) in moments(lines as u64 / 2).into_iter().enumerate() {
        damage();
        let mut process = airlift.start(repair);
        if n % 2 == 1 {
            process.wait_for_line("repairing");
        }
        assert!(process.wait_for_lines(usize::try_from(line).unwrap() + 1), "it ended before:\n{}", process.log());
        process.kill();
        for (path, content) in all(&folder) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_sound = sound.contains(&(path.clone(), content));
            let may_be_bad = name == "set.1.recovery" || name.ends_with(".partial");
            assert!(is_sound || may_be_bad, "{name} is neither what it was nor what it must be");
        }
        airlift.run(["repair", "set"]).success();
        assert!(all(&folder) == sound, "killed after {line} lines");
    }
}

#[tokio::test]
async fn a_repair_on_a_full_disk_leaves_what_was_there() {
    needs!("mount");
    let Some(disk) = Tmpfs::mount(6 << 20) else { return };
    let airlift = Airlift::new();
    bundle(disk.path(), 3 << 20, 20).await;
    flip(&disk.path().join("b.tar"), 1_000_000);
    let before = all(disk.path());
    let path = disk.path().join("b.tar").display().to_string();
    airlift.run(["repair", &path]).exits(1).says(&["output.no-space", "b.tar"]);
    assert!(all(disk.path()) == before);
    // Elsewhere there is room.
    airlift.run(["repair", &path, "--output", "elsewhere"]).success();
    airlift.run(["verify", "elsewhere/b.tar"]).success();
    assert!(all(disk.path()) == before);
}

#[tokio::test]
async fn a_hostile_head_gets_an_error_and_touches_nothing() {
    let airlift = Airlift::new();
    bundle(airlift.home(), 30_000, 50).await;
    let path = airlift.home().join("b.tar.recovery");
    let sound = fs::read(&path).unwrap();
    let json = |text: &[u8]| {
        use sha2::{Digest as _, Sha256};
        let length = u32::from_le_bytes(sound[24..28].try_into().unwrap()) as usize;
        let mut head = [&sound[..24], &u32::try_from(text.len()).unwrap().to_le_bytes(), text].concat();
        head.extend(Sha256::digest(&head));
        [&head, &sound[28 + length + 32..]].concat()
    };
    let length = u32::from_le_bytes(sound[24..28].try_into().unwrap()) as usize;
    let own = String::from_utf8(sound[28..28 + length].to_vec()).unwrap();
    let block = own.split(',').next().unwrap().to_owned();
    let lies = [
        own.replacen(&block, r#"{"block":18446744073709551552"#, 1),
        own.replace(r#""groups":1"#, r#""groups":18446744073709551615"#),
        own.replace(r#""name":"b.tar""#, r#""name":"../../etc/passwd""#),
        own.replace(r#""name":"b.tar""#, r#""name":"b.tar.recovery""#),
        own.replace(r#""length":"#, r#""length":9"#),
    ];
    for lie in lies {
        assert_ne!(lie, own);
        fs::write(&path, json(lie.as_bytes())).unwrap();
        let before = all(airlift.home());
        airlift.run(["repair", "b.tar"]).exits(4).says(&["recovery.malformed", "b.tar.recovery"]);
        assert!(all(airlift.home()) == before);
    }
}
