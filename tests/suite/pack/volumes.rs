//! Packed files in volumes.

use std::{fs, path::PathBuf};

use super::{base::versions, sample::Sample};
use crate::support::{
    kills::{count, moments_of_leg},
    moto::Moto,
    needs,
    process::files_below,
};

/// Bytes that a volume may have; the sample's packed file takes several.
const SIZE: &str = "80KB";

/// A sample whose bundle is packed in volumes in the folder `discs`, with their paths.
fn discs() -> (Sample, Vec<PathBuf>) {
    let sample = Sample::new();
    fs::create_dir(sample.path("discs")).unwrap();
    sample.pack("discs/b.pack", &["--volume-size", SIZE]);
    let volumes: Vec<PathBuf> =
        files_below(&sample.path("discs")).iter().map(|name| sample.path("discs").join(name)).collect();
    assert!(volumes.len() > 2, "{volumes:?}");
    (sample, volumes)
}

#[track_caller]
fn comes_back(sample: &Sample, from: &str) {
    sample.unpack(from, "back.tar", &["--overwrite"]).success();
    assert!(sample.read("back.tar") == sample.read("b.tar"), "{from}");
}

#[test]
fn volumes_are_no_larger_than_asked_and_any_of_them_leads_to_the_bundle() {
    let (sample, volumes) = discs();
    let sizes: Vec<u64> = volumes.iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert!(sizes.iter().all(|&size| size <= 80_000), "{sizes:?}");
    assert!(sizes[..sizes.len() - 1].iter().all(|&size| size > 78_000), "{sizes:?}");
    // Nothing of the packed file is lost between them.
    sample.pack("whole.pack", &[]);
    let heads = 16 + 32;
    let joined: Vec<u8> = volumes
        .iter()
        .flat_map(|path| {
            let volume = fs::read(path).unwrap();
            let json = usize::try_from(u32::from_le_bytes(volume[12..16].try_into().unwrap())).unwrap();
            volume[heads + json..].to_vec()
        })
        .collect();
    assert!(joined == sample.read("whole.pack"));

    let airlift = &sample.airlift;
    for place in ["discs", "discs/b.vol001.pack", "discs/b.vol003.pack"] {
        airlift.run(["verify", place]).success();
        comes_back(&sample, place);
    }
    let inspected = airlift.json(["inspect", "discs/b.vol002.pack", "--json"]);
    assert_eq!(inspected["bundle"], airlift.json(["inspect", "b.tar", "--json"])["bundle"]);
    // Names do not matter, nor what else is there, nor in how many folders they are if all are named.
    fs::create_dir(sample.path("other")).unwrap();
    fs::rename(&volumes[0], sample.path("other/first")).unwrap();
    fs::rename(&volumes[1], sample.path("discs/0")).unwrap();
    fs::write(sample.path("discs/readme"), "hello").unwrap();
    fs::copy(&volumes[2], sample.path("discs/copy of vol003")).unwrap();
    let named = ["other/first", "discs/0", "discs/b.vol003.pack"];
    let rest: Vec<String> = (4..=volumes.len()).map(|number| format!("discs/b.vol{number:03}.pack")).collect();
    let named: Vec<&str> = named.into_iter().chain(rest.iter().map(String::as_str)).collect();
    airlift.run([&["import"], &named[..], &["--store", "store"]].concat()).success();
    airlift.run([&["verify"], &named[..]].concat()).success();
    fs::rename(sample.path("other/first"), sample.path("discs/z")).unwrap();
    comes_back(&sample, "discs/0");
}

#[test]
fn the_same_command_again_is_done_already_and_what_is_there_is_kept() {
    let (sample, volumes) = discs();
    let airlift = &sample.airlift;
    let args = ["pack", "b.tar", "-o", "discs/b.pack", "--volume-size", SIZE];
    let answer = airlift.json([&args[..], &["--json"]].concat());
    assert_eq!((&answer["already_there"], answer["volumes"].as_array().unwrap().len()), (&true.into(), volumes.len()));
    // Another cut is another set.
    let other = ["pack", "b.tar", "-o", "discs/b.pack", "--volume-size", "100KB"];
    airlift.run(other).exits(1).says(&["output.exists", "b.vol001.pack"]);
    // A volume that is lost is made again, and the others stay.
    let before: Vec<Vec<u8>> = volumes.iter().map(|path| fs::read(path).unwrap()).collect();
    for lost in [&[1][..], &[0, 1], &[2, volumes.len() - 1]] {
        for &at in lost {
            fs::remove_file(&volumes[at]).unwrap();
        }
        airlift.run(args).success();
        assert!(volumes.iter().zip(&before).all(|(path, bytes)| fs::read(path).unwrap() == *bytes), "{lost:?}");
    }
    // One that is damaged is told, and kept.
    let mut damaged = before[1].clone();
    damaged[5000] ^= 1;
    fs::write(&volumes[1], &damaged).unwrap();
    airlift.run(args).exits(1).says(&["output.exists", "b.vol002.pack"]);
    assert!(fs::read(&volumes[1]).unwrap() == damaged);
    fs::write(&volumes[1], &before[1]).unwrap();
    // Something else under the name of a volume is kept, and found before the work.
    fs::remove_file(&volumes[0]).unwrap();
    fs::write(&volumes[2], "mine").unwrap();
    airlift.run(args).exits(1).says(&["output.exists", "b.vol003.pack"]);
    assert_eq!(fs::read(&volumes[2]).unwrap(), b"mine");
    // Replaced by fewer, none of the old ones stays.
    airlift.run([&other[..], &["--overwrite"]].concat()).success();
    comes_back(&sample, "discs");
    assert!(files_below(&sample.path("discs")).len() < volumes.len() + 1);
    fs::write(sample.path("discs/b.vol007.pack"), "mine").unwrap();
    airlift.run(["pack", "b.tar", "-o", "discs/b.pack", "--volume-size", "900KB", "--overwrite"]).success();
    // What is not a volume is not ours to remove. One volume is enough.
    assert_eq!(files_below(&sample.path("discs")), ["b.vol001.pack", "b.vol007.pack"]);
    comes_back(&sample, "discs/b.vol001.pack");
}

#[test]
fn volumes_that_are_missing_damaged_or_of_another_set_are_named() {
    let (sample, volumes) = discs();
    let airlift = &sample.airlift;
    // What shows when it is opened, and what when it is read.
    let (at_open, at_read): ([&[&str]; 4], [&[&str]; 2]) = (
        [&["verify"], &["inspect"], &["import", "--store", "store"], &["unpack", "-o", "x.tar"]],
        [&["import", "--store", "store"], &["unpack", "-o", "x.tar"]],
    );
    let refused = |commands: &[&[&str]], token: &str, name: &str| {
        for command in commands {
            // What an earlier run has done need not be read again.
            let _ = fs::remove_dir_all(sample.path("store"));
            airlift.run(["abandon", "x.tar"]);
            airlift.run([command, &["discs/b.vol001.pack"][..]].concat()).exits(4).says(&[token, name]);
        }
        assert!(!sample.path("x.tar").exists());
        let stored = files_below(airlift.home());
        assert!(!stored.iter().any(|name| name == "store/index.json"), "{stored:?}");
    };
    for path in volumes.iter().skip(1) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let sound = fs::read(path).unwrap();
        fs::remove_file(path).unwrap();
        refused(&at_open, "pack.volume-missing", name);
        fs::write(path, &sound[..sound.len() - 1]).unwrap();
        refused(&at_open, "pack.malformed", name);
        let mut damaged = sound.clone();
        damaged[20] ^= 2;
        fs::write(path, &damaged).unwrap();
        refused(&at_open, "pack.malformed", name);
        damaged[20] ^= 2;
        let last = damaged.len() - 1;
        damaged[last] ^= 2;
        fs::write(path, damaged).unwrap();
        refused(&at_read, "pack.malformed", name);
        assert!(airlift.run(["verify", "discs"]).exits(4).stdout.contains(name));
        fs::write(path, sound).unwrap();
    }
    // The first volume has the head of the packed file.
    let sound = fs::read(&volumes[0]).unwrap();
    let mut damaged = sound.clone();
    damaged[1000] ^= 2;
    fs::write(&volumes[0], damaged).unwrap();
    airlift.run(["verify", "discs"]).exits(4).says(&["pack.malformed", "b.vol001.pack"]);
    fs::write(&volumes[0], sound).unwrap();

    // Two packed files in one folder.
    airlift.run(["export", "--from", "b.tar", "r.example/team/app:1", "-o", "one.tar"]).success();
    airlift.run(["pack", "one.tar", "-o", "discs/one.pack", "--volume-size", SIZE]).success();
    airlift.run(["verify", "discs"]).exits(1).says(&["several packed files", "name a volume"]);
    comes_back(&sample, "discs/b.vol002.pack");
    airlift.run(["verify", "discs/one.vol001.pack"]).success();
}

#[test]
fn a_size_that_cannot_be_is_refused() {
    let sample = Sample::new();
    let airlift = &sample.airlift;
    let small = airlift.run(["pack", "b.tar", "-o", "b.pack", "--volume-size", "1100"]);
    small.exits(2).says(&["usage.volume-size"]);
    let visible: Vec<String> =
        files_below(airlift.home()).into_iter().filter(|name| !name.contains("partial")).collect();
    assert_eq!(visible, ["b.tar"]);
    // With a size that does, the work that was done is not done again.
    airlift.run(["pack", "b.tar", "-o", "b.pack", "--volume-size", SIZE]).success();
    comes_back(&sample, "b.vol001.pack");
    for more in [["--estimate", "--volume-size"], ["--volume-size", "0"]] {
        airlift.run([&["pack", "b.tar", "-o", "c.pack"], &more[..]].concat()).exits(2);
    }
    assert!(!files_below(airlift.home()).iter().any(|name| name.contains("partial")));
}

#[test]
fn an_export_goes_to_volumes_with_recovery_data_and_a_statement() {
    let sample = Sample::new();
    let airlift = &sample.airlift;
    airlift.run(["keygen", "-o", "ops"]).success();
    fs::write(sample.path("trust.toml"), "[[signer]]\nname = \"ops\"\nkey = \"ops.pub\"\n").unwrap();
    fs::create_dir(sample.path("discs")).unwrap();
    let pack = ["export", "--from", "b.tar", "--pack", "-o", "discs/", "--volume-size", SIZE];
    airlift.run([&pack[..], &["--recovery", "60%", "--sign", "ops.key"]].concat()).success();
    let all = files_below(&sample.path("discs"));
    assert!(all.contains(&"bundle.vol001.pack.transfer.json".to_owned()), "{all:?}");
    let size = |name: &String| fs::metadata(sample.path("discs").join(name)).unwrap().len();
    assert!(all.iter().all(|name| size(name) <= 80_000), "{all:?}");
    assert!(airlift.run(pack).success().stdout.contains("already there"));
    let third = sample.read("discs/bundle.vol003.pack");
    fs::remove_file(sample.path("discs/bundle.vol003.pack")).unwrap();
    airlift.run(pack).success();
    assert!(sample.read("discs/bundle.vol003.pack") == third);

    // A copy takes all of it along, and gives volumes their names.
    fs::rename(sample.path("discs/bundle.vol002.pack"), sample.path("discs/renamed")).unwrap();
    fs::create_dir(sample.path("media")).unwrap();
    let copied = airlift.json(["copy", "discs/bundle.vol001.pack", "media/", "--json"]);
    assert_eq!(files_below(&sample.path("media")), all);
    assert_eq!(copied["bundle"], airlift.json(["inspect", "b.tar", "--json"])["bundle"]);
    assert!(airlift.run(["copy", "discs", "media"]).success().stdout.contains("already there"));
    // A volume that gets a name is copied alone.
    airlift.run(["copy", "discs/renamed", "alone"]).success();
    assert!(sample.read("alone") == sample.read("media/bundle.vol002.pack"));

    fs::remove_file(sample.path("media/bundle.vol002.pack")).unwrap();
    airlift.run(["verify", "media"]).exits(4).says(&["pack.volume-missing", "bundle.vol002.pack"]);
    airlift.run(["repair", "media"]).success();
    assert!(sample.read("alone") == sample.read("media/bundle.vol002.pack"));
    for volume in ["media/bundle.vol002.pack", "media"] {
        airlift.run(["verify", volume, "--trust", "trust.toml"]).success();
    }
    airlift.run(["import", "media", "--trust", "trust.toml", "--store", "store"]).success();
    // With the source deleted nothing is left of it.
    fs::create_dir(sample.path("moved")).unwrap();
    airlift.run(["copy", "media", "moved/", "--delete-source"]).success();
    assert!(files_below(&sample.path("media")).is_empty());
    assert_eq!(files_below(&sample.path("moved")), all);
}

#[test]
fn a_damaged_volume_is_not_copied() {
    let (sample, volumes) = discs();
    let airlift = &sample.airlift;
    let mut bytes = fs::read(&volumes[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 8;
    fs::write(&volumes[1], bytes).unwrap();
    fs::create_dir(sample.path("media")).unwrap();
    airlift.run(["copy", "discs", "media/"]).exits(4).says(&["pack.malformed", "b.vol002.pack", "damaged itself"]);
    assert!(!sample.path("media/b.vol001.pack").exists() && !sample.path("media/b.vol002.pack").exists());
    airlift.run(["copy", "discs/b.vol002.pack", "alone"]).exits(4).says(&["pack.malformed", "b.vol002.pack"]);
}

#[test]
fn volumes_go_to_a_storage_and_are_read_there() {
    needs!("moto_server");
    let (mut sample, volumes) = discs();
    let moto = Moto::start();
    moto.create("packs");
    for (name, value) in moto.variables() {
        sample.airlift.set(&name, value);
    }
    let airlift = &sample.airlift;
    airlift.run(["copy", "discs", "s3://packs/june/"]).success();
    for place in ["s3://packs/june", "s3://packs/june/b.vol002.pack"] {
        airlift.run(["verify", place]).success();
        comes_back(&sample, place);
    }
    fs::create_dir(sample.path("back")).unwrap();
    airlift.run(["copy", "s3://packs/june/b.vol001.pack", "back/"]).success();
    let sound = |path: &PathBuf| fs::read(sample.path("back").join(path.file_name().unwrap())).unwrap();
    assert!(volumes.iter().all(|path| sound(path) == fs::read(path).unwrap()));
}

#[test]
fn an_update_in_volumes_is_read_against_its_base_and_served() {
    let sample = versions();
    let airlift = &sample.airlift;
    airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar", "--volume-size", "30KB"]).success();
    assert!(sample.path("v2.vol002.pack").exists());
    airlift.run(["verify", "v2.vol001.pack"]).exits(4).says(&["pack.base-missing", "--base"]);
    airlift.run(["unpack", "v2.vol002.pack", "--base", "v1.tar", "-o", "back.tar"]).success();
    assert!(sample.read("back.tar") == sample.read("v2.tar"));
    airlift.run(["import", "v1.tar", "--store", "store"]).success();
    airlift.run(["import", "v2.vol001.pack", "--store", "store"]).success();
    let server = airlift.start(["serve", "v2.vol002.pack", "--base", "v1.tar", "--listen", "127.0.0.1:0"]);
    server.wait_for_line("Serving on ");
}

#[test]
fn packing_to_volumes_that_is_killed_is_finished_by_the_same_command() {
    let (sample, volumes) = discs();
    let airlift = &sample.airlift;
    let expected: Vec<Vec<u8>> = volumes.iter().map(|path| fs::read(path).unwrap()).collect();
    let args = ["pack", "b.tar", "-o", "new/b.pack", "--volume-size", SIZE, "--progress", "json", "--jobs", "2"];
    fs::create_dir(sample.path("new")).unwrap();
    let lines = airlift.run(args).success().stderr.lines().count() as u64;
    let mut hits = 0;
    for moment in moments_of_leg(lines - 1, 4) {
        fs::remove_dir_all(sample.path("new")).unwrap();
        fs::create_dir(sample.path("new")).unwrap();
        let mut process = airlift.start(args);
        hits += usize::from(process.wait_for_lines(usize::try_from(moment).unwrap().max(1)));
        process.kill();
        // The first volume is there when all others are.
        if sample.path("new/b.vol001.pack").exists() {
            airlift.run(["verify", "new"]).success();
        }
        airlift.run(args).success();
        let made = files_below(&sample.path("new"));
        let same = made.iter().zip(&expected).all(|(name, bytes)| sample.read(&format!("new/{name}")) == *bytes);
        assert!(same && made.len() == expected.len(), "killed after {moment} lines: {made:?}");
    }
    assert!(hits * 2 > count().div_ceil(4), "only {hits} kills hit");
}

#[test]
fn abandon_removes_what_packing_to_volumes_leaves() {
    let (sample, _) = discs();
    let airlift = &sample.airlift;
    let before = files_below(airlift.home());
    let mut process = airlift.start(["pack", "b.tar", "-o", "n.pack", "--volume-size", SIZE, "--progress", "json"]);
    process.wait_for_line("verifying");
    process.kill();
    assert!(files_below(airlift.home()).len() > before.len() + 2);
    airlift.run(["abandon", "n.pack"]).success();
    assert_eq!(files_below(airlift.home()), before);
}
