//! One plan, many machines: whoever writes which share, the set is the one that a single machine writes, and until all of it
//! is there it is none.

mod faults;
mod importing;
mod kubernetes;
mod storages;

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::{
    support::{
        Airlift, Options, Registry,
        artifacts::{Artifact, Blob},
        compare, needs,
        process::files_below,
    },
    volumes::contents,
};

/// Images of which some share a layer, two with a layer that no volume can hold, and a signature: some fifteen volumes.
pub(crate) fn source() -> (Registry, Vec<String>) {
    let registry = Registry::start(Options::default());
    let shared = Blob::layer(1, 100_000);
    let mut names = Vec::new();
    for n in 0..10_u64 {
        let name = format!("app-{n}");
        let mut layers = vec![Blob::layer(10 + n, 60_000 + 9_000 * usize::try_from(n).unwrap())];
        if n < 3 {
            layers.push(shared.clone());
        }
        if n > 7 {
            layers.push(Blob::layer(100 + n, 500_000));
        }
        let image = Artifact::image("linux/amd64", layers);
        image.push(&registry, &name, Some("v1"));
        if n == 4 {
            let signature = Blob::layer(9, 500);
            Artifact::attached("application/vnd.example.signature", signature, Some(&image))
                .push(&registry, &name, None);
        }
        names.push(registry.reference(&format!("{name}:v1")));
    }
    (registry, names)
}

/// Bytes of a volume.
pub(crate) const SIZE: &str = "200KiB";

/// A home with the list `list.txt`, the plan of it, and the set `set/release` as one machine writes it.
pub(crate) fn planned(references: &[String]) -> (Airlift, BTreeMap<String, Vec<u8>>) {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("list.txt"), references.join("\n")).unwrap();
    let set = folder(&airlift, "set");
    airlift.run(["export", "-f", "list.txt", "--volume-size", SIZE, "-o", "set/release"]).success();
    airlift.run(["plan", "-f", "list.txt", "--volume-size", SIZE, "-o", "plan.json"]).success();
    (airlift, contents(&set))
}

pub(crate) fn folder(airlift: &Airlift, name: &str) -> PathBuf {
    let folder = airlift.home().join(name);
    fs::create_dir(&folder).unwrap();
    folder
}

/// `export --plan plan.json --shard SHARD -o TO`.
pub(crate) fn share<'a>(shard: &'a str, to: &'a str) -> [&'a str; 7] {
    ["export", "--plan", "plan.json", "--shard", shard, "-o", to]
}

#[test]
fn any_number_of_machines_writes_the_set_that_one_machine_writes() {
    needs!("docker-registry");
    let (registry, references) = source();
    let (airlift, set) = planned(&references);
    assert!(set.len() > 12, "{:?}", set.keys());
    for count in [1, 3, 8, 40] {
        let name = format!("of-{count}");
        let (to, here) = (format!("{name}/release"), folder(&airlift, &name));
        let mut written = 0;
        // In any order: the last one first.
        for index in (0..count).rev() {
            let report = airlift.json(share(&format!("{index}/{count}"), &to).into_iter().chain(["--json"]));
            written += report["volumes"].as_array().unwrap().len();
            assert_eq!(report["sealed"], false);
        }
        assert_eq!(written, set.len() - 2, "each volume is of one share");
        let sealed = airlift.json(["seal", "plan.json", &to, "--json"]);
        assert_eq!(sealed["volumes"], written);
        assert!(contents(&here) == set, "{count} machines: {:?}", files_below(&here));
    }
    let target = Registry::start(Options::default());
    airlift.run(["verify", "of-8"]).success();
    airlift.run(["import", "of-8", "--to", target.address()]).success();
    for n in 0..10 {
        let name = format!("app-{n}");
        compare::same((&registry, &name), (&target, &name), "v1");
    }
}

#[test]
fn what_only_one_machine_has_is_not_planned_and_the_hints_lead_on() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    Artifact::image("linux/amd64", vec![Blob::layer(1, 300_000)]).push(&registry, "app", Some("v1"));
    let airlift = Airlift::new();
    fs::write(airlift.home().join("list.txt"), registry.reference("app:v1")).unwrap();
    fs::write(airlift.home().join("setup.sh"), "echo").unwrap();
    airlift.run(["export", "-f", "list.txt", "-o", "bundle.tar"]).success();
    let refused = |source: &[&str], next: &[&str]| {
        let plan = ["plan", "-o", "plan.json", "--volume-size", SIZE];
        let refusal = airlift.run(plan.iter().chain(source)).exits(2);
        for command in next {
            assert!(refusal.stderr.contains(&format!("`airlift {command}`")), "{}", refusal.stderr);
        }
    };
    let target = Registry::start(Options::default());
    let import = "import BUNDLE --to REGISTRY";
    refused(&["--from", "bundle.tar"], &["export --from BUNDLE --volume-size SIZE -o DEST", import]);
    refused(&["file:setup.sh"], &["export file:PATH -o BUNDLE", import]);
    refused(&["-f", "list.txt", "--base", "bundle.tar"], &["export -f LIST --base BASE --volume-size SIZE -o DEST"]);
    // As they are printed, with names in the place of the capitals.
    folder(&airlift, "whole");
    airlift.run(["export", "--from", "bundle.tar", "--volume-size", SIZE, "-o", "whole/release"]).success();
    folder(&airlift, "update");
    let update = ["export", "-f", "list.txt", "--base", "bundle.tar", "--volume-size", SIZE, "-o", "update/release"];
    airlift.run(update).success();
    airlift.run(["export", "file:setup.sh", "-o", "files.tar"]).success();
    for bundle in ["bundle.tar", "files.tar"] {
        airlift.run(["import", bundle, "--to", target.address()]).success();
    }
    let there = format!("{}/app:v1", target.address());
    airlift.run(["plan", &there, "-o", "plan.json", "--volume-size", SIZE]).success();
}

#[test]
fn the_same_command_after_success_says_so_and_asks_no_registry() {
    needs!("docker-registry");
    let (registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    let plan = fs::read(airlift.home().join("plan.json")).unwrap();
    for shard in ["0/2", "1/2"] {
        airlift.run(share(shard, "shards/release")).success();
    }
    drop(registry);
    let again = airlift.json(["plan", "-f", "list.txt", "--volume-size", SIZE, "-o", "plan.json", "--json"]);
    assert_eq!(again["already_there"], true);
    assert!(fs::read(airlift.home().join("plan.json")).unwrap() == plan);
    for _ in 0..2 {
        let report = airlift.json(share("1/2", "shards/release").into_iter().chain(["--json"]));
        let volumes = report["volumes"].as_array().unwrap();
        assert!(!volumes.is_empty() && volumes.iter().all(|volume| volume["state"] == "already-there"), "{report}");
        airlift.run(["seal", "plan.json", "shards/release"]).success();
        assert!(contents(&here) == set, "{:?}", files_below(&here));
    }
    let sealed = airlift.json(["seal", "plan.json", "shards/release", "--json"]);
    assert_eq!(sealed["already_there"], true);
}

#[test]
fn a_scheduler_says_which_share_a_machine_has() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    let auto = ["export", "--plan", "plan.json", "--shard", "auto", "-o", "shards/release"];
    let as_told = |variables: &[(&str, &str)], further: &[&str]| {
        let mut command = airlift.command(auto.iter().chain(further));
        command.envs(variables.iter().copied());
        crate::support::Ran::of(&mut command)
    };
    as_told(&[], &[]).exits(2).says(&["usage.argument", "JOB_COMPLETION_INDEX", "--shard I/N"]);
    as_told(&[("JOB_COMPLETION_INDEX", "0")], &[]).exits(2).says(&["JOB_COMPLETION_INDEX", "--shards N"]);
    as_told(&[("JOB_COMPLETION_INDEX", "5")], &["--shards", "5"]).exits(2).says(&["no shard 5 of 5", "4/5"]);
    assert_eq!(files_below(&here), Vec::<String>::new());
    as_told(&[("JOB_COMPLETION_INDEX", "0")], &["--shards", "4"]).success();
    as_told(&[("AWS_BATCH_JOB_ARRAY_INDEX", "1"), ("AWS_BATCH_JOB_ARRAY_SIZE", "4")], &[]).success();
    as_told(&[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")], &[])
        .success();
    as_told(&[("CLOUD_RUN_TASK_INDEX", "3"), ("CLOUD_RUN_TASK_COUNT", "4")], &[]).success();
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set);
}
