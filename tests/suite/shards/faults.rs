//! What goes wrong where many machines write one set: each by its name, and nothing that looks complete.

use std::fs;

use super::{SIZE, folder, planned, share, source};
use crate::{
    support::{
        Options, Registry,
        artifacts::Artifact,
        kills::{kill_after, moments_of_leg},
        needs,
        process::files_below,
        proxy::Proxy,
    },
    volumes::contents,
};

#[test]
fn a_set_that_is_not_sealed_is_read_by_no_command() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    let target = Registry::start(Options::default());
    let import = |from: &str| airlift.run(["import", from, "--to", target.address()]);
    airlift.run(["seal", "gone.json", "shards/release"]).exits(1).says(&["airlift plan -f LIST -o gone.json"]);
    airlift.run(share("0/2", "shards/release")).success();
    let mut lacks = airlift.run(["seal", "plan.json", "shards/release"]).exits(1);
    let missing: Vec<&String> = set.keys().filter(|name| name.contains(".vol") && !here.join(name).exists()).collect();
    assert!(!missing.is_empty());
    for name in &missing {
        lacks = lacks.says(&[name]);
    }
    lacks.says(&["plan.unfinished", "`airlift export --plan plan.json -o shards/release`"]);
    assert!(!here.join("release.set.json").exists() && !here.join("SHA256SUMS").exists());
    airlift.run(["export", "--plan", "plan.json", "-o", "shards/release"]).success();
    // All volumes are there, and still it is not a set.
    for way in ["shards", "shards/release", "shards/release.vol001.tar"] {
        import(way).exits(1).says(&["bundle.unsealed", "airlift seal PLAN DEST"]);
        airlift.run(["verify", way]).exits(1).says(&["bundle.unsealed"]);
    }
    assert_eq!(target.repositories(), Vec::<String>::new());
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set);
    import("shards/release").success();
}

#[test]
fn a_tag_that_moves_after_the_plan_changes_nothing() {
    needs!("docker-registry");
    let (registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    airlift.run(share("0/2", "shards/release")).success();
    Artifact::small(77, 1000).push(&registry, "app-3", Some("v1"));
    airlift.run(["plan", "-f", "list.txt", "--volume-size", SIZE, "-o", "plan.json"]).success();
    airlift.run(share("1/2", "shards/release")).success();
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set);
}

#[test]
fn a_plan_that_is_not_the_one_that_was_made_is_refused_by_name() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let (airlift, _) = planned(&references);
    let here = folder(&airlift, "shards");
    let path = airlift.home().join("plan.json");
    let plan = fs::read_to_string(&path).unwrap();
    let refused = |text: String, exit: i32, says: &[&str]| {
        assert_ne!(text, plan);
        fs::write(&path, text).unwrap();
        airlift.run(share("0/2", "shards/release")).exits(exit).says(says);
        airlift.run(["seal", "plan.json", "shards/release"]).exits(exit).says(says);
        fs::write(&path, &plan).unwrap();
    };
    refused(plan.replace("\"version\":1}", "\"version\":2}"), 4, &["plan.version", "version 2"]);
    refused(plan.replace("\"volume\":2", "\"volume\":3"), 4, &["plan.malformed", "expected the id"]);
    refused(plan.replacen("app-3:v1", "app-3:v2", 1), 4, &["plan.malformed"]);
    refused(format!("{plan}\n"), 4, &["plan.malformed", "canonical"]);
    refused(plan[..plan.len() / 2].to_owned(), 4, &["plan.malformed"]);
    refused("a: b".to_owned(), 4, &["plan.malformed"]);
    fs::write(airlift.home().join("other.txt"), references[1..].join("\n")).unwrap();
    let of_other = share("0/2", "shards/release").into_iter().chain(["-f", "other.txt"]);
    airlift.run(of_other).exits(2).says(&["plan.other-list", &references[0]]);
    let made = ["plan", "-f", "other.txt", "--volume-size", SIZE, "-o", "plan.json"];
    airlift.run(made).exits(2).says(&["plan.other-list", "--overwrite"]);
    let gone = airlift.run(["export", "--plan", "gone.json", "--shard", "0/2", "-o", "shards/release"]).exits(1);
    gone.says(&["storage.not-found", "gone.json"]);
    airlift.run(share("2/2", "shards/release")).exits(2).says(&["usage.argument", "no shard 2 of 2", "1/2"]);
    airlift.run(["export", &references[0], "--shard", "0/2", "-o", "b.tar"]).exits(2).says(&["--plan PLAN"]);
    let ninth = ["export", "--plan", "plan.json", "--only-volume", "99", "-o", "shards/release"];
    airlift.run(ninth).exits(2).says(&["no volume 99"]);
    assert_eq!(files_below(&here), Vec::<String>::new());
    airlift.run(share("0/2", "shards/release").into_iter().chain(["-f", "list.txt"])).success();
}

#[test]
fn volumes_of_two_plans_are_never_one_set() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    fs::write(airlift.home().join("other.txt"), references[1..].join("\n")).unwrap();
    airlift.run(["plan", "-f", "other.txt", "--volume-size", SIZE, "-o", "other.json"]).success();
    airlift.run(share("0/2", "shards/release")).success();
    let mixed = ["export", "--plan", "other.json", "--shard", "1/2", "-o", "shards/release"];
    airlift.run(mixed).exits(4).says(&["plan.other", "release.unsealed.json"]);
    airlift.run(["seal", "other.json", "shards/release"]).exits(4).says(&["plan.other"]);
    airlift.run(share("1/2", "shards/release")).success();
    // A volume of the other plan that somebody put there.
    let elsewhere = folder(&airlift, "elsewhere");
    airlift.run(["export", "--plan", "other.json", "-o", "elsewhere/release"]).success();
    fs::copy(elsewhere.join("release.vol002.tar"), here.join("release.vol002.tar")).unwrap();
    airlift.run(["seal", "plan.json", "shards/release"]).exits(4).says(&["plan.other", "release.vol002.tar"]);
    airlift.run(share("0/1", "shards/release")).exits(1).says(&["output.exists", "--overwrite"]);
    let again = ["export", "--plan", "plan.json", "--only-volume", "2", "--overwrite", "-o", "shards/release"];
    airlift.run(again).success();
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set);
    // Once it is sealed, another plan finds a set in its place, and a late machine of this plan nothing to do.
    airlift.run(mixed).exits(1).says(&["output.exists", "release.set.json"]);
    airlift.run(share("1/2", "shards/release")).success();
    assert!(contents(&here) == set);
}

#[test]
fn a_damaged_volume_is_named_with_the_command_that_writes_it_again() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    airlift.run(share("0/1", "shards/release")).success();
    let name = here.join("release.vol003.tar");
    let sound = fs::read(&name).unwrap();
    let mut flipped = sound.clone();
    let at = flipped.len() - 3000;
    flipped[at] ^= 1;
    let command = "airlift export --plan plan.json --only-volume 3 -o shards/release --overwrite";
    for damaged in [flipped, sound[..sound.len() - 5000].to_vec()] {
        fs::write(&name, damaged).unwrap();
        let found = airlift.run(["seal", "plan.json", "shards/release"]).exits(4);
        found.says(&["damaged: release.vol003.tar", command]);
        assert!(!here.join("release.set.json").exists());
    }
    airlift.run(command.split(' ').skip(1)).success();
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set);
}

#[test]
fn a_machine_that_was_killed_is_replaced_and_two_with_one_number_do_no_harm() {
    needs!("docker-registry");
    let (registry, references) = source();
    let wire = Proxy::before(registry.address());
    let references: Vec<String> =
        references.iter().map(|reference| reference.replace(registry.address(), &wire.address())).collect();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    let before = wire.passed();
    airlift.run(share("0/2", "shards/release")).success();
    let whole = wire.passed() - before;
    for name in files_below(&here) {
        fs::remove_file(here.join(name)).unwrap();
    }
    for moment in moments_of_leg(whole, 3) {
        kill_after(&wire, moment, || airlift.start(share("0/2", "shards/release")));
        let visible = || contents(&here).into_iter().filter(|(name, _)| set.contains_key(name));
        assert!(visible().all(|(name, bytes)| set[&name] == bytes), "a volume was visible too soon");
        airlift.run(share("0/2", "shards/release")).success();
        assert!(visible().count() > 0 && visible().all(|(name, bytes)| set[&name] == bytes), "after {moment} bytes");
        for name in files_below(&here) {
            fs::remove_file(here.join(name)).unwrap();
        }
    }
    let mut twins = [0, 1].map(|_| airlift.start(share("0/2", "shards/release")));
    for twin in &mut twins {
        let ended = twin.wait();
        assert!(ended.success() || twin.log().contains("output.busy"), "{}", twin.log());
    }
    airlift.run(share("0/2", "shards/release")).success();
    airlift.run(share("1/2", "shards/release")).success();
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set, "{:?}", files_below(&here));
}

#[test]
fn a_group_of_volumes_of_which_some_have_their_names_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let (airlift, set) = planned(&references);
    let here = folder(&airlift, "shards");
    airlift.run(share("0/1", "shards/release")).success();
    // The volumes with segments of one layer.
    let plan: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(airlift.home().join("plan.json")).unwrap()).unwrap();
    let pieces = plan["set"]["pieces"].as_array().unwrap();
    let cut = pieces.iter().find(|piece| piece["from"] != 0).unwrap();
    let volumes = pieces.iter().filter(|piece| piece["digest"] == cut["digest"]);
    let volumes: Vec<u64> = volumes.map(|piece| piece["volume"].as_u64().unwrap()).collect();
    assert!(volumes.len() > 2, "{volumes:?}");
    // As it looks when a run was killed after the first of them got its name.
    for number in &volumes[1..] {
        let name = format!("release.vol{number:03}.tar");
        fs::rename(here.join(&name), here.join(format!("{name}.partial"))).unwrap();
    }
    airlift.run(share("0/1", "shards/release")).success();
    airlift.run(["seal", "plan.json", "shards/release"]).success();
    assert!(contents(&here) == set, "{:?}", files_below(&here));
}
