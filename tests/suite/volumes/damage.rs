//! Volumes that are missing, that do not go together, or that hold something else than they did.

use super::*;

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
    let goal = Goal::new(folder.to_owned(), "s", Size(70_000));
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
