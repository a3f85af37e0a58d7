//! `pack` and `unpack`: the same bundle in fewer bytes, and nothing else comes out.

mod awkward;
mod base;
mod carrying;
mod damage;
mod export;
mod golden;
mod memory;
mod reading;
mod recipes;
mod sample;
mod volumes;

use std::fs;

use sample::{Sample, gzip_layers};

use crate::support::{
    Airlift, Options, Registry,
    compare::{same, tags_are_complete},
    kills::{count, kill_after, moments_of_leg},
    needs,
    process::files_below,
    proxy::Proxy,
};

#[test]
fn a_bundle_comes_back_byte_for_byte_from_fewer_bytes() {
    let sample = Sample::new();
    let answer = sample.pack("b.pack", &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    let size = fs::metadata(sample.path("b.tar")).unwrap().len();
    let packed = fs::metadata(sample.path("b.pack")).unwrap().len();
    assert_eq!((answer["size"].as_u64(), answer["packed"].as_u64()), (Some(size), Some(packed)));
    assert!(packed * 3 < size * 2, "{packed} of {size} bytes");
    sample.unpack("b.pack", "c.tar", &[]).success();
    assert!(sample.read("c.tar") == sample.read("b.tar"), "another bundle came out");
}

#[test]
fn each_blob_is_coded_by_what_it_is() {
    let sample = Sample::new();
    let answer = sample.airlift.json(["pack", "b.tar", "--estimate", "--json"]);
    let coding = |layer: &str| {
        let digest = sample.layers[layer].to_string();
        let blobs = answer["blobs"].as_array().unwrap();
        let blob = blobs.iter().find(|blob| blob["digest"] == digest.as_str()).unwrap();
        blob["coding"].as_str().unwrap().to_owned()
    };
    for name in gzip_layers() {
        assert_eq!(coding(name), "recipe", "{name}");
    }
    assert_eq!(coding("plain"), "plain");
    assert_eq!(coding("noise"), "dense");
    assert_eq!(coding("unknown"), "unknown-encoder");
    assert_eq!(files_below(sample.airlift.home()), ["b.tar"], "an estimate wrote something");
}

#[test]
fn streams_within_a_layer_are_expanded_so_that_versions_of_it_take_little() {
    let sample = Sample::new();
    let answer = sample.airlift.json(["pack", "b.tar", "--estimate", "--json"]);
    let blobs = answer["blobs"].as_array().unwrap();
    let first = sample.layers["jar"].to_string();
    let at = blobs.iter().position(|blob| blob["digest"] == first.as_str()).unwrap();
    let size = blobs[at]["size"].as_u64().unwrap();
    // The layer of the second version has nearly the same size; noise and text of other sizes are in between.
    let is_like = |blob: &&serde_json::Value| blob["size"].as_u64().unwrap().abs_diff(size) < size / 50;
    let packed: Vec<_> = blobs.iter().filter(is_like).map(|blob| blob["packed"].as_u64().unwrap()).collect();
    assert_eq!(packed.len(), 2, "{blobs:?}");
    assert!(packed[0].min(packed[1]) * 3 < size, "{packed:?} of {size}");
}

#[test]
fn a_packed_file_is_the_same_at_any_number_of_jobs_and_memory_makes_it_smaller() {
    let sample = Sample::new();
    sample.pack("one.pack", &["--jobs", "1"]);
    sample.pack("four.pack", &["--jobs", "4"]);
    assert!(sample.read("one.pack") == sample.read("four.pack"));
    sample.pack("little.pack", &["--memory", "4MiB"]);
    let length = |name| sample.read(name).len();
    assert!(length("one.pack") < length("little.pack"), "{} and {}", length("one.pack"), length("little.pack"));
    sample.unpack("little.pack", "c.tar", &["--memory", "4MiB", "--jobs", "3"]).success();
    assert!(sample.read("c.tar") == sample.read("b.tar"));
    let refused = sample.unpack("one.pack", "d.tar", &["--memory", "64KiB"]);
    refused.exits(4).says(&["pack.memory", "one.pack", "65536", "--memory"]);
    assert!(!sample.path("d.tar").exists() && !sample.path("d.tar.partial").exists());
}

#[test]
fn the_same_command_again_says_already_there() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let packed = sample.read("b.pack");
    assert!(sample.pack("b.pack", &[]).stdout.contains("already there"));
    sample.unpack("b.pack", "c.tar", &[]).success();
    assert!(sample.unpack("b.pack", "c.tar", &[]).success().stdout.contains("already there"));
    assert_eq!(files_below(sample.airlift.home()), ["b.pack", "b.tar", "c.tar"]);
    // Something else under the name is kept.
    fs::write(sample.path("b.pack"), &packed[..packed.len() - 1]).unwrap();
    sample.airlift.run(["pack", "b.tar", "-o", "b.pack"]).exits(1).says(&["output.exists", "b.pack"]);
    assert_eq!(sample.read("b.pack").len(), packed.len() - 1);
    sample.pack("b.pack", &["--overwrite"]);
    assert!(sample.read("b.pack") == packed);
}

#[test]
fn what_is_not_one_whole_bundle_is_not_packed() {
    let sample = Sample::new();
    let airlift = &sample.airlift;
    fs::create_dir(sample.path("set")).unwrap();
    airlift.run(["export", "--from", "b.tar", "-o", "set/a", "--volume-size", "1MB"]).success();
    for what in ["set", "b.tar/none"] {
        airlift.run(["pack", what, "-o", "x.pack"]).exits(1);
    }
    airlift.run(["pack", "set/a.vol001.tar", "-o", "x.pack"]).exits(1).says(&["pack.not-a-bundle"]);
    assert!(!sample.path("x.pack").exists());
}

/// Kills `args` after each of some numbers of lines, and lets the same command finish. The kills of a place are shared by `legs`.
fn killed(sample: &Sample, args: &[&str], output: &str, expected: &[u8], legs: usize) {
    let args = [args, &["--progress", "json", "--jobs", "2"]].concat();
    let lines = sample.airlift.run(args.iter()).success().stderr.lines().count() as u64;
    fs::remove_file(sample.path(output)).unwrap();
    let mut hits = 0;
    for moment in moments_of_leg(lines - 2, legs) {
        let mut process = sample.airlift.start(args.iter());
        let alive = process.wait_for_lines(usize::try_from(moment).unwrap().max(1));
        process.kill();
        hits += usize::from(alive);
        let visible = sample.path(output);
        assert!(!visible.exists() || sample.read(output) == expected, "visible before it was complete");
        sample.airlift.run(args.iter()).success();
        assert!(sample.read(output) == expected, "killed after {moment} lines");
        fs::remove_file(visible).unwrap();
        let left = files_below(sample.airlift.home());
        assert!(!left.iter().any(|name| name.contains("partial")), "{left:?}");
    }
    assert!(hits * 2 > count().div_ceil(legs), "only {hits} kills hit");
}

#[test]
fn a_pack_that_is_killed_is_finished_by_the_same_command() {
    let sample = Sample::new();
    sample.pack("whole.pack", &[]);
    let expected = sample.read("whole.pack");
    killed(&sample, &["pack", "b.tar", "-o", "b.pack"], "b.pack", &expected, 3);
}

#[test]
fn an_unpack_that_is_killed_is_finished_by_the_same_command() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    killed(&sample, &["unpack", "b.pack", "-o", "c.tar"], "c.tar", &sample.read("b.tar"), 3);
}

#[test]
fn an_import_of_a_packed_file_that_is_killed_is_finished_by_the_same_command() {
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let airlift = &sample.airlift;
    airlift.run(["import", "b.tar", "--store", "plain"]).success();
    let stored = |name: &str| {
        let files = files_below(&sample.path(name)).into_iter().filter(|name| name.starts_with("blobs/sha256"));
        files.collect::<Vec<_>>()
    };
    let expected = stored("plain");
    let args = ["import", "b.pack", "--store", "packed", "--progress", "json"];
    let lines = airlift.run(args).success().stderr.lines().count() as u64;
    let mut hits = 0;
    for moment in moments_of_leg(lines - 1, 4) {
        fs::remove_dir_all(sample.path("packed")).unwrap();
        let mut process = airlift.start(args);
        hits += usize::from(process.wait_for_lines(usize::try_from(moment).unwrap().max(1)));
        process.kill();
        airlift.run(args).success();
        assert_eq!(stored("packed"), expected, "killed after {moment} lines");
    }
    assert!(hits * 2 > count().div_ceil(4), "only {hits} kills hit");
}

#[test]
fn an_import_of_a_packed_file_into_a_registry_that_is_killed_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let sample = Sample::new();
    sample.pack("b.pack", &[]);
    let target = Registry::start(Options::default());
    let wire = Proxy::before(target.address());
    let to = |prefix: &str| format!("{}/{prefix}", wire.address());
    sample.airlift.run(["import", "b.pack", "--jobs", "2", "--to", &to("whole")]).success();
    for (round, moment) in moments_of_leg(wire.passed(), 3).into_iter().enumerate() {
        let prefix = format!("round-{round}");
        let args = ["import", "b.pack", "--jobs", "2", "--to", &to(&prefix)];
        kill_after(&wire, moment, || sample.airlift.start(args));
        let repository = format!("{prefix}/team/app");
        tags_are_complete(&target, &repository);
        sample.airlift.run(args).success();
        for tag in ["1", "2"] {
            same((&target, "whole/team/app"), (&target, &repository), tag);
        }
    }
}

#[test]
fn frames_of_a_killed_run_are_kept_and_damaged_ones_are_made_again() {
    let sample = Sample::new();
    sample.pack("whole.pack", &[]);
    let airlift: &Airlift = &sample.airlift;
    let mut process = airlift.start(["pack", "b.tar", "-o", "b.pack", "--progress", "json"]);
    process.wait_for_line("verifying");
    process.kill();
    let frames = sample.path("b.pack.partial.frames");
    let mut written = fs::read(&frames).unwrap();
    let middle = written.len() / 2;
    written[middle] ^= 1;
    fs::write(&frames, &written).unwrap();
    let journal = fs::read_to_string(sample.path("b.pack.partial.journal")).unwrap();
    assert!(journal.contains("\"survey\"") && journal.contains("\"frame\""), "{journal}");
    sample.pack("b.pack", &[]);
    assert!(sample.read("b.pack") == sample.read("whole.pack"));
}
