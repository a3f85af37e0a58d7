//! Sets that were not finished at once: killed, out of room, planned anew.

use airlift::content::{Code, Fault};

use super::*;
use crate::support::{
    Proxy,
    kills::{kill_after, moments},
    with,
};

#[test]
fn an_export_of_a_set_that_was_killed_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (registry, references) = source();
    let wire = Proxy::before(registry.address());
    let references: Vec<String> =
        references.iter().map(|reference| reference.replace(registry.address(), &wire.address())).collect();
    let airlift = exported(&references);
    let set = contents(&airlift.home().join("set"));
    let folder = airlift.home().join("killed");
    for moment in moments(wire.passed()) {
        fs::create_dir(&folder).unwrap();
        kill_after(&wire, moment, || airlift.start(export(&references, &["-o", "killed/release"])));
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

/// Runs airlift where no file can have more than so many blocks of 512 bytes.
pub(crate) fn limited(airlift: &Airlift, blocks: u32, args: Vec<&str>) -> Ran {
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
    let goal = |name, size| with(Goal::new(folder.path().to_owned(), name, Size(size)), |it| it.overwrite = true);
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

#[tokio::test]
async fn sums_of_something_else_are_not_replaced_and_those_of_the_same_set_are() {
    let folder = tempfile::tempdir().unwrap();
    let sums = folder.path().join("SHA256SUMS");
    let packed = Packed::new().with("r.example/a:1", Artifact::small(1, 5_000));
    let goal = Goal::new(folder.path().to_owned(), "s", Size(100_000));
    let line = |name: &str| format!("{}  {name}\n", "0".repeat(64));
    for other in [line("other.set.json"), line("s.set.json.sig"), "s.set.json\n".to_owned(), String::new()] {
        fs::write(&sums, &other).unwrap();
        let error = Writer::open_set(goal.clone(), packed.contents()).await.map(drop).unwrap_err();
        assert_eq!(error.code(), Code::OutputExists, "{other}");
        assert_eq!(fs::read_to_string(&sums).unwrap(), other);
    }
    // As a run leaves them that was killed just before its end.
    fs::write(&sums, line("s.vol001.tar") + &line("s.set.json")).unwrap();
    let writer = Writer::open_set(goal, packed.contents()).await.unwrap();
    for blob in packed.roots.iter().flat_map(|(_, artifact)| artifact.all_blobs()) {
        let body = Verified::bytes(blob.descriptor.clone(), blob.content.clone().unwrap());
        writer.push(&blob.descriptor, body).await.unwrap();
    }
    writer.finish().await.unwrap();
    Ran::of(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(folder.path())).success();
}
