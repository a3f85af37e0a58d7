//! Sets of small files in a folder, damaged in every way, and repaired.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Assessment, Created, Error, FileState, Percent, ProtectedSet, Request, SUFFIX, create};
use crate::{
    content::{Code, Fault},
    progress::Progress,
};

/// Bytes that look like nothing, the same for the same seed.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..size).map(step).collect()
}

/// A protected folder, and what every file of it must be.
struct ProtectedFolder {
    folder: TempDir,
    sound: Vec<(String, Vec<u8>)>,
    created: Created,
}

impl ProtectedFolder {
    /// Files of these sizes, with so much recovery data in files of `limit` bytes at the most.
    fn new(sizes: &[usize], percent: u8, limit: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<String> = (0..sizes.len()).map(|number| format!("vol-{number}.tar")).collect();
        for (seed, (name, size)) in (7..).zip(files.iter().zip(sizes)) {
            fs::write(folder.path().join(name), noise(seed, *size)).unwrap();
        }
        let percent = Percent::new(percent).unwrap();
        let path = folder.path().to_owned();
        let request = Request { folder: path, files, percent, stem: "set".to_owned(), limit, overwrite: false };
        let created = create(&request, &Progress::silent()).unwrap();
        let mut ground = Self { folder, sound: Vec::new(), created };
        ground.sound = ground.all();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file in the folder with its content.
    fn all(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap());
        let mut all: Vec<_> =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect();
        all.sort();
        all
    }

    fn flip(&self, name: &str, at: u64) {
        let file = OpenOptions::new().read(true).write(true).open(self.path(name)).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    }

    fn cut(&self, name: &str, length: u64) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(length).unwrap();
    }

    fn assess(&self) -> Assessment {
        assess(self.folder.path())
    }

    #[track_caller]
    fn repairs(&self) {
        let assessment = self.assess();
        assert!(assessment.is_possible(), "{:?}", assessment.damages());
        assessment.repair(None, &Progress::silent()).unwrap();
        assert!(self.all() == self.sound, "the folder is not as it was");
        assert!(self.assess().is_sound());
    }
}

fn assess(folder: &Path) -> Assessment {
    ProtectedSet::find(&[folder.to_owned()]).unwrap().assess(&Progress::silent()).unwrap()
}

#[test]
fn a_sound_set_has_no_damage_and_a_repair_changes_nothing() {
    let ground = ProtectedFolder::new(&[100_000, 0, 1, 70_001], 10, None);
    let assessment = ground.assess();
    assert!(assessment.is_sound() && assessment.damages().is_empty());
    assert!(assessment.repair(None, &Progress::silent()).unwrap().files.is_empty());
    assert!(ground.all() == ground.sound);
}

#[test]
fn the_same_files_give_the_same_recovery_data() {
    let (one, other) = (
        ProtectedFolder::new(&[90_000, 12_345], 20, Some(9000)),
        ProtectedFolder::new(&[90_000, 12_345], 20, Some(9000)),
    );
    assert!(one.sound == other.sound && one.created.id == other.created.id);
    assert!(one.created.files.len() > 2);
    assert!(one.created.files.iter().all(|file| file.length <= 9000));
}

#[test]
fn the_bytes_of_format_1_never_change() {
    let ground = ProtectedFolder::new(&[100_000, 0, 30_001], 20, None);
    let found = (ground.created.id.hex(), ground.created.files[0].digest.hex());
    assert_eq!(
        found,
        (
            "21ad40c8b49478a937c7638c793ee849328d1f4a6c93494fe53d757f12e071fe".to_owned(),
            "d1b8333af6e512a9be091816dbdf526a46d448c7122e982a94c156ea333cf19f".to_owned(),
        )
    );
}

#[test]
fn any_one_of_ten_files_is_rebuilt_from_a_tenth() {
    let sizes = [60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 7];
    let ground = ProtectedFolder::new(&sizes, 10, None);
    for number in 0..sizes.len() {
        fs::remove_file(ground.path(&format!("vol-{number}.tar"))).unwrap();
        ground.repairs();
    }
}

#[test]
fn recovery_files_are_made_anew() {
    let ground = ProtectedFolder::new(&[200_000, 30_000], 30, Some(30_000));
    let names: Vec<String> = ground.created.files.iter().map(|file| file.name.clone()).collect();
    assert!(names.len() >= 3, "{names:?}");
    for name in &names {
        fs::remove_file(ground.path(name)).unwrap();
        ground.repairs();
        for at in [0, 20, 700, 5000] {
            ground.flip(name, at);
            let found = ground.assess().damages();
            assert_eq!(found.iter().map(|one| (&one.name, one.recovery)).collect::<Vec<_>>(), [(name, true)], "{at}");
            ground.repairs();
        }
    }
    // All but one, and of that one the first head.
    names.iter().skip(1).for_each(|name| fs::remove_file(ground.path(name)).unwrap());
    ground.flip(&names[0], 40);
    ground.flip("vol-1.tar", 7);
    ground.repairs();
}

#[test]
fn files_that_were_cut_or_grew_are_made_what_they_were() {
    let ground = ProtectedFolder::new(&[50_000, 300_000], 20, None);
    for (name, length) in [("vol-0.tar", 0), ("vol-1.tar", 299_999), ("vol-1.tar", 400_000), ("set.recovery", 10_000)] {
        ground.cut(name, length);
        assert_eq!(ground.assess().damages().len(), 1);
        ground.repairs();
    }
}

#[test]
fn more_damage_than_recovery_blocks_is_told_with_its_numbers_and_nothing_is_changed() {
    let ground = ProtectedFolder::new(&[100_000, 100_000], 10, None);
    fs::remove_file(ground.path("vol-0.tar")).unwrap();
    ground.flip("vol-1.tar", 9);
    let before = ground.all();
    let error = ground.assess().repair(None, &Progress::silent()).unwrap_err();
    let Error::Beyond { lost: 99, blocks: 196, sound: 20, recovery: 20, groups: 1, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.code(), Code::RecoveryBeyond);
    assert!(ground.all() == before);
}

#[test]
fn a_file_under_another_name_is_found_by_its_content() {
    let ground = ProtectedFolder::new(&[100_000, 100_000], 5, None);
    fs::rename(ground.path("vol-0.tar"), ground.path("copy of vol.tar")).unwrap();
    assert_eq!(ground.assess().lost(), 0);
    ground.assess().repair(None, &Progress::silent()).unwrap();
    assert!(fs::read(ground.path("vol-0.tar")).unwrap() == noise(7, 100_000));
}

#[test]
fn two_bad_copies_in_two_folders_make_a_good_one() {
    let ground = ProtectedFolder::new(&[100_000], 5, None);
    let other = tempfile::tempdir().unwrap();
    fs::copy(ground.path("vol-0.tar"), other.path().join("vol-0.tar")).unwrap();
    ground.cut("vol-0.tar", 40_000);
    let second = OpenOptions::new().write(true).open(other.path().join("vol-0.tar")).unwrap();
    second.write_all_at(&vec![0; 30_000], 0).unwrap();
    assert!(!ground.assess().is_possible());
    let output = tempfile::tempdir().unwrap();
    let folders = [output.path(), ground.folder.path(), other.path()].map(Path::to_owned);
    let both = ProtectedSet::find(&folders).unwrap().assess(&Progress::silent()).unwrap();
    both.repair(Some(output.path()), &Progress::silent()).unwrap();
    assert!(fs::read(output.path().join("vol-0.tar")).unwrap() == noise(7, 100_000));
    assert_eq!(fs::metadata(ground.path("vol-0.tar")).unwrap().len(), 40_000, "what was there stays as it was");
}

#[test]
fn neither_a_link_nor_a_pipe_in_a_files_place_leads_anywhere() {
    let ground = ProtectedFolder::new(&[20_000, 20_000], 60, None);
    let target = ground.path("elsewhere");
    fs::write(&target, b"precious").unwrap();
    fs::remove_file(ground.path("vol-0.tar")).unwrap();
    std::os::unix::fs::symlink(&target, ground.path("vol-0.tar")).unwrap();
    ground.assess().repair(None, &Progress::silent()).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(fs::symlink_metadata(ground.path("vol-0.tar")).unwrap().is_file());
    assert!(fs::read(ground.path("vol-0.tar")).unwrap() == noise(7, 20_000));
}

#[test]
fn damages_say_where_in_which_file() {
    let ground = ProtectedFolder::new(&[10_240, 10_240], 50, None);
    ground.flip("vol-1.tar", 1024);
    ground.flip("vol-1.tar", 2048 + 5);
    ground.flip("vol-1.tar", 10_239);
    let found = ground.assess().damages();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].state, &found[0].ranges[..]), (FileState::Damaged, &[1024..3072, 9216..10_240][..]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever is damaged: what the assessment calls possible comes out byte for byte, what it calls impossible changes nothing.
    #[test]
    fn any_pattern_of_damage_is_repaired_or_refused(
        sizes in proptest::collection::vec(0_usize..60_000, 1..6),
        percent in 1_u8..=100,
        limit in proptest::option::of(20_000_u64..90_000),
        blows in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<prop::sample::Index>()), 0..12),
    ) {
        let ground = ProtectedFolder::new(&sizes, percent, limit);
        for (file, kind, place) in blows {
            let all = ground.all();
            let (name, content) = &all[file.index(all.len())];
            let is_recovery = name.ends_with(SUFFIX);
            let at = place.index(content.len().max(1)) as u64;
            match kind {
                // One head at least must be left.
                0 if !is_recovery || all.iter().filter(|(name, _)| name.ends_with(SUFFIX)).count() > 1 => {
                    fs::remove_file(ground.path(name)).unwrap();
                }
                1 if !is_recovery => ground.cut(name, at),
                _ if !content.is_empty() => ground.flip(name, at),
                _ => {}
            }
        }
        let before = ground.all();
        match ProtectedSet::find(&[ground.folder.path().to_owned()]) {
            // Both copies of the only head were hit.
            Err(Error::NotFound { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
            Ok(set) => {
                let assessment = set.assess(&Progress::silent()).unwrap();
                match assessment.repair(None, &Progress::silent()) {
                    Ok(_) => prop_assert!(ground.all() == ground.sound),
                    Err(Error::Beyond { .. }) => {
                        prop_assert!(!assessment.is_possible());
                        prop_assert!(ground.all() == before);
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
        }
    }
}
