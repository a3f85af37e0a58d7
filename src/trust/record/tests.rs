use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn entry(reason: &str) -> RecordEntry {
    let mut entry = RecordEntry::new(Leg::Import, "done", "ops@desk", Timestamp::UNIX_EPOCH);
    entry.reason = Some(reason.to_owned());
    entry
}

/// A record of `count` lines in a folder of its own.
fn record(count: usize) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.jsonl");
    for number in 1..=count {
        assert_eq!(append(&path, entry(&number.to_string())).unwrap().number, number as u64);
    }
    (folder, path)
}

fn findings(path: &Path) -> Vec<RecordFinding> {
    verify(path, None, |_| ()).unwrap().findings
}

#[test]
fn a_record_is_read_back_whole() {
    let (_folder, path) = record(3);
    let mut reasons = Vec::new();
    let check = verify(&path, None, |entry| reasons.extend(entry.reason.clone())).unwrap();
    assert_eq!(
        (check.lines, check.findings.as_slice(), reasons.as_slice()),
        (3, [].as_slice(), ["1", "2", "3"].map(String::from).as_slice())
    );
    assert_eq!(read_head(&path).unwrap(), Some(check.head));
    assert_eq!(
        fs::metadata(&path).map(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777).unwrap(),
        0o600
    );
}

#[test]
fn an_edit_a_removal_and_an_exchange_are_found_and_named() {
    for (change, expected) in [
        (
            &(|lines: &mut Vec<String>| lines[1] = lines[1].replace("\"reason\":\"2\"", "\"reason\":\"x\""))
                as &dyn Fn(&mut Vec<String>),
            vec![RecordFinding::Chain { line: 3 }],
        ),
        (
            &|lines| drop(lines.remove(1)),
            vec![
                RecordFinding::Number { line: 2, found: 3 },
                RecordFinding::Chain { line: 2 },
                RecordFinding::Number { line: 3, found: 4 },
            ],
        ),
        (
            &|lines| lines.swap(0, 1),
            vec![
                RecordFinding::Number { line: 1, found: 2 },
                RecordFinding::Chain { line: 1 },
                RecordFinding::Number { line: 2, found: 1 },
                RecordFinding::Chain { line: 2 },
                RecordFinding::Chain { line: 3 },
            ],
        ),
    ] {
        let (_folder, path) = record(4);
        let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        change(&mut lines);
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert_eq!(findings(&path), expected);
    }
}

#[test]
fn a_cut_or_an_edit_at_the_end_is_found_by_the_head() {
    let (_folder, path) = record(4);
    let kept = read_head(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for changed in [lines[..2].concat(), text.replace("\"reason\":\"4\"", "\"reason\":\"x\""), String::new()] {
        fs::write(&path, changed).unwrap();
        assert!(matches!(findings(&path)[..], [RecordFinding::Head { .. }]));
        assert!(matches!(append(&path, entry("more")), Err(RecordError::Damaged { .. })));
    }
    // Who can rewrite both files is found by a head that was kept elsewhere.
    fs::write(&path, lines[..3].concat()).unwrap();
    fs::write(head_path(&path), format!("{}\n", Digest::sha256(lines[2].trim_end().as_bytes()))).unwrap();
    assert_eq!(findings(&path), []);
    assert!(matches!(verify(&path, kept, |_| ()).unwrap().findings[..], [RecordFinding::Head { .. }]));
}

#[test]
fn a_kill_at_any_byte_of_a_line_leaves_a_record_that_goes_on() {
    let (_folder, path) = record(2);
    let before = fs::read(&path).unwrap();
    let head = fs::read(head_path(&path)).unwrap();
    append(&path, entry("3")).unwrap();
    let after = fs::read(&path).unwrap();
    for cut in before.len()..=after.len() {
        fs::write(&path, &after[..cut]).unwrap();
        fs::write(head_path(&path), &head).unwrap();
        let whole = cut == after.len();
        let expected = if whole || cut == before.len() { vec![] } else { vec![RecordFinding::Torn] };
        assert_eq!(findings(&path), expected, "cut at {cut}");
        assert_eq!(append(&path, entry("next")).unwrap().number, if whole { 4 } else { 3 });
        assert_eq!(findings(&path), []);
    }
}

#[test]
fn writers_side_by_side_make_one_chain() {
    let (_folder, path) = record(0);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..10 {
                    append(path, entry(&format!("{writer}.{number}"))).unwrap();
                }
            });
        }
    });
    let check = verify(&path, None, |_| ()).unwrap();
    assert_eq!((check.lines, check.findings.len()), (40, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_changed_byte_is_found(at in any::<prop::sample::Index>(), change in 1u8..=255) {
        let (_folder, path) = record(3);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        fs::write(&path, &bytes).unwrap();
        prop_assert!(!findings(&path).is_empty());
    }
}
