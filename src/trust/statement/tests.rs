use proptest::prelude::*;

use super::*;

fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

fn bundle() -> BundleIdentity {
    BundleIdentity { id: digest("id"), seal: digest("seal"), size: 3 }
}

fn whole() -> Statement {
    let mut base = vec![digest("a"), digest("b")];
    base.sort();
    let volume = |number| VolumeIdentity {
        name: format!("u.vol{number:03}.tar"),
        number,
        sha256: digest(&number.to_string()),
        size: u64::from(number),
    };
    Statement {
        authorised_by: Some("A. \"Ops\" \\ Ünï".to_owned()),
        base,
        base_proof: Some(BaseProof::Declared),
        expires: Some("2026-12-29T08:00:00Z".parse().unwrap()),
        from: Some("hq".to_owned()),
        marking: Some("OFFICIAL".to_owned()),
        reason: Some("monthly".to_owned()),
        sequence: Some(12),
        stream: Some("hq/site-7".to_owned()),
        to: Some("site-7".to_owned()),
        volumes: vec![volume(1), volume(2)],
        ..Statement::new(bundle(), "2026-11-29T08:00:00.9Z".parse().unwrap())
    }
}

#[test]
fn the_least_statement_has_these_bytes() {
    let statement = Statement::new(
        BundleIdentity { id: digest("abc"), seal: digest("abc"), size: 10240 },
        "2026-11-29T08:00:00.25Z".parse().unwrap(),
    );
    let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let text = format!(
        r#"{{"bundle":{{"id":"{abc}","seal":"{abc}","size":10240}},"created":"2026-11-29T08:00:00Z","version":1}}"#
    );
    assert_eq!(String::from_utf8(statement.to_json().unwrap()).unwrap(), text);
    assert_eq!(Statement::parse(text.as_bytes()).unwrap(), statement);
}

#[test]
fn every_member_is_read_back_and_names_are_sorted() {
    let json = whole().to_json().unwrap();
    assert_eq!(Statement::parse(&json).unwrap(), whole());
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&json).unwrap();
    assert!(value.keys().is_sorted(), "{value:?}");
    assert_eq!(value.len(), 14);
    assert_eq!(value["base_proof"], "declared");
    assert_eq!(value["volumes"][0]["sha256"], digest("1").hex());
}

#[test]
fn a_second_way_to_write_a_statement_is_refused() {
    let json = String::from_utf8(whole().to_json().unwrap()).unwrap();
    for (from, to) in [
        ("{\"authorised_by\"", "{ \"authorised_by\""),
        ("\"version\":1", "\"version\":1,\"version\":1"),
        ("\"to\":\"site-7\"", "\"to\":\"other\",\"to\":\"site-7\""),
        ("\"to\":\"site-7\",", "\"to\":null,"),
        ("\"version\":1", "\"version\":1,\"zone\":1"),
        ("\"declared\"", "\"Declared\""),
        ("\"declared\"", "\"guessed\""),
        ("\"sequence\":12", "\"sequence\":12.0"),
        ("\"sequence\":12", "\"sequence\":\"12\""),
        ("Ünï", "\\u00dcn\\u00ef"),
        ("08:00:00Z", "08:00:00.0Z"),
        ("08:00:00Z", "09:00:00+01:00"),
        ("08:00:00Z", "08:00:00z"),
        ("\"size\":3", "\"size\":3,\"more\":1"),
    ] {
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json, "{from}");
        assert!(Statement::parse(changed.as_bytes()).is_err(), "{changed}");
    }
    for changed in [format!("{json}\n"), format!(" {json}"), format!("\u{feff}{json}"), format!("{json}{json}")] {
        assert!(Statement::parse(changed.as_bytes()).is_err(), "{changed}");
    }
}

#[test]
fn members_that_break_a_rule_make_no_statement() {
    type Change = fn(&mut Statement);
    let changes: [Change; 21] = [
        |s| s.authorised_by = Some(String::new()),
        |s| s.reason = Some("a\nb".to_owned()),
        |s| s.reason = Some("a\u{202e}b".to_owned()),
        |s| s.marking = Some("x".repeat(1025)),
        |s| s.stream = None,
        |s| s.sequence = None,
        |s| s.sequence = Some(0),
        |s| s.sequence = Some(MAX_SEQUENCE + 1),
        |s| s.stream = Some("hq//site".to_owned()),
        |s| s.stream = Some("hq/../site".to_owned()),
        |s| s.stream = Some("hq/*".to_owned()),
        |s| s.expires = Some(s.created),
        |s| s.created = "2026-11-29T08:00:00.5Z".parse().unwrap(),
        |s| s.created = "1969-11-29T08:00:00Z".parse().unwrap(),
        |s| s.base.reverse(),
        |s| s.base = vec![s.base[0], s.base[0]],
        |s| s.bundle.seal = Digest::of(crate::oci::Algorithm::Sha512, b"x"),
        |s| s.volumes.reverse(),
        |s| s.volumes[1].name = s.volumes[0].name.clone(),
        |s| s.volumes[1].name = "../u".to_owned(),
        |s| s.bundle.size = 4,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut statement = whole();
        change(&mut statement);
        assert!(statement.to_json().is_err(), "change {number}");
        let text = serde_json::to_vec(&statement).unwrap();
        assert!(Statement::parse(&text).is_err(), "change {number}");
    }
}

#[test]
fn another_version_is_named_before_its_members_are_read() {
    let text = br#"{"bundle":"of another form","version":2}"#;
    assert!(matches!(Statement::parse(text), Err(StatementError::Version { found: 2 })));
}

#[test]
fn age_counts_from_creation() {
    let statement = whole();
    assert_eq!(statement.age("2026-11-30T08:00:00Z".parse().unwrap()), SignedDuration::from_hours(24));
    assert!(statement.age("2026-11-28T08:00:00Z".parse().unwrap()).is_negative());
}

proptest! {
    #[test]
    fn a_changed_statement_is_refused_or_says_something_else(at in 0usize..1000, byte in any::<u8>()) {
        let json = whole().to_json().unwrap();
        let mut changed = json.clone();
        let at = at % changed.len();
        changed[at] = byte;
        if let Ok(read) = Statement::parse(&changed) {
            prop_assert_eq!(read == whole(), changed == json);
        }
    }
}
