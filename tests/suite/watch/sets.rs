//! Sets of volumes begin their run with the last volume, and go as a whole.

use std::{fs, io::Write as _, path::PathBuf};

use super::{Site, ended, told};
use crate::support::{Options, Registry, artifacts::Artifact, needs};

/// The files of a set of the artifact `a:v1` with this seed, in the order of their names: the manifest, the volumes, the sums.
fn set_of(site: &Site, from: &Registry, seed: u64) -> Vec<PathBuf> {
    Artifact::small(seed, 250_000).push(from, "a", Some("v1"));
    let folder = site.aside.join(format!("set-{seed}"));
    fs::create_dir(&folder).unwrap();
    let (reference, to) = (from.reference("a:v1"), folder.join("a"));
    let words = ["export", &reference, "-o", to.to_str().unwrap(), "--volume-size", "100KiB"];
    site.airlift.run(words).success();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "three volumes at least: {files:?}");
    files
}

#[test]
fn a_set_begins_with_the_last_of_its_volumes_and_goes_as_a_whole() {
    needs!("docker-registry");
    let (from, site) = (Registry::start(Options::default()), Site::watched(&["-z", "OverwriteTags"]));
    let first = |files: &[PathBuf]| {
        let volume = files.iter().find(|file| file.to_str().unwrap().ends_with(".vol001.tar")).unwrap();
        volume.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let watch = site.watch(&[]);
    // Discs come in any order.
    let files = set_of(&site, &from, 1);
    let is_late = |file: &&PathBuf| file.ends_with("a.vol002.tar") || file.ends_with("a.set.json");
    let (late, early): (Vec<_>, Vec<_>) = files.iter().partition(is_late);
    let [manifest, last] = late[..] else { panic!("{late:?}") };
    for file in early.into_iter().rev() {
        site.land(file);
    }
    watch.wait_for_line("a.vol002.tar is not there yet");
    let lacking = fs::read(last).unwrap();
    // And the last one slowly, with all of its size from the start.
    let path = site.source.join(last.file_name().unwrap());
    let mut slow = fs::File::create(&path).unwrap();
    slow.set_len(lacking.len() as u64).unwrap();
    slow.write_all(&lacking[..lacking.len() / 2]).unwrap();
    // Now every file is there, and all but one are whole.
    site.land(manifest);
    watch.wait_for_line("a.vol002.tar is being written");
    site.fence(&watch, "fence");
    assert_eq!(told(&watch, "began"), ["fence"]);
    slow.write_all(&lacking[lacking.len() / 2..]).unwrap();
    drop(slow);
    let blob = first(&files);
    ended(&watch, &blob, "Succeeded");
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(1, 250_000).digest());
    drop(watch);

    // It is known after a restart, and so is that another set is another one.
    let watch = site.watch(&[]);
    site.fence(&watch, "other");
    assert_eq!(told(&watch, "began"), ["other"]);
    for file in set_of(&site, &from, 2) {
        site.land(&file);
    }
    ended(&watch, &blob, "Succeeded");
    site.fence(&watch, "third");
    assert_eq!(told(&watch, "began").iter().filter(|name| **name == blob).count(), 1, "{}", watch.log());
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(2, 250_000).digest());
    drop(watch);

    // Sets that lie there when the watch begins; after success nothing is left of one.
    for entry in fs::read_dir(&site.source).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for file in set_of(&site, &from, 3) {
        site.land(&file);
    }
    let more = ["-z", "OverwriteTags", "DeleteSourceBlobOnSuccess"];
    site.pipeline("down", site.registry.address(), &site.source, &more);
    let watch = site.watch(&[]);
    ended(&watch, &blob, "Succeeded");
    let left: Vec<_> = fs::read_dir(&site.source).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(3, 250_000).digest());
}

#[test]
fn a_volume_that_is_repaired_has_its_set_imported() {
    needs!("docker-registry");
    let (from, site) = (Registry::start(Options::default()), Site::watched(&[]));
    let files = set_of(&site, &from, 1);
    let volume = files.iter().find(|file| file.to_str().unwrap().ends_with(".vol002.tar")).unwrap();
    let sound = fs::read(volume).unwrap();
    let mut damaged = sound.clone();
    let at = damaged.len() - 4096;
    damaged[at] ^= 1;
    fs::write(volume, damaged).unwrap();
    // A first try after the repair would be due in an hour.
    let watch = site.airlift.start(["watch", "--json", "--interval", "1h"]);
    watch.wait_for_line("\"watching\"");
    for file in &files {
        site.land(file);
    }
    let blob = "a.vol001.tar";
    ended(&watch, blob, "Failed");
    fs::write(volume, sound).unwrap();
    site.land(volume);
    ended(&watch, blob, "Succeeded");
    assert_eq!(site.registry.tags("a"), ["v1"]);
}
