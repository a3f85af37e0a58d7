//! `kill -9` at any moment: the same command finishes, nothing is lost, nothing incomplete is ever visible.

use std::fs;

use crate::support::{
    Airlift, Options, Proxy, Registry,
    artifacts::{Artifact, Blob},
    compare,
    kills::{kill_after, kill_at_line, moments},
    needs,
};

/// Transfers at once in these tests.
const JOBS: u64 = 4;

/// Bytes of the largest blob.
const LARGEST: usize = 6 << 20;

/// Manifests, configs and HTTP headers that a second run may fetch again, in bytes; generous.
const SMALL: u64 = 200_000;

/// Six images of three layers, of which two are shared.
fn source() -> (Registry, Vec<String>) {
    let registry = Registry::start(Options::default());
    let names: Vec<String> = (0..6).map(|n| format!("app-{n}")).collect();
    for (n, name) in (0_u64..).zip(&names) {
        let size = LARGEST >> (n % 3);
        let layers = vec![Blob::layer(1, LARGEST / 2), Blob::layer(2 + n % 2, LARGEST / 4), Blob::layer(100 + n, size)];
        Artifact::image("linux/amd64", layers).push(&registry, name, Some("v1"));
    }
    (registry, names)
}

/// How many bytes pass `wire` while airlift runs to its end.
fn measured(airlift: &Airlift, wire: &Proxy, args: &[&str]) -> u64 {
    let before = wire.passed();
    airlift.run(args).success();
    wire.passed() - before
}

#[test]
fn an_export_killed_at_any_moment_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (registry, names) = source();
    let wire = Proxy::before(registry.address());
    let references: Vec<String> = names.iter().map(|name| format!("{}/{name}:v1", wire.address())).collect();
    let airlift = Airlift::new();
    let jobs = JOBS.to_string();
    let args = |output: &'static str| {
        let fixed = ["export", "--jobs", &jobs, "-o", output];
        fixed.into_iter().chain(references.iter().map(String::as_str)).collect::<Vec<_>>()
    };
    let whole = measured(&airlift, &wire, &args("whole.tar"));
    let expected = fs::read(airlift.home().join("whole.tar")).unwrap();
    // Twice when everything has arrived: it may be giving the file its name by then, or be done.
    for moment in moments(whole).into_iter().map(Some).chain([None; 2]) {
        let before = wire.downloaded();
        match moment {
            Some(bytes) => kill_after(&wire, bytes, || airlift.start(args("b.tar"))),
            None => kill_at_line("publishing", || airlift.start([args("b.tar"), vec!["--progress", "json"]].concat())),
        }
        let visible = airlift.home().join("b.tar");
        assert!(!visible.exists() || fs::read(&visible).unwrap() == expected, "visible before it was complete");
        if !visible.exists() {
            airlift.run(args("b.tar")).success();
        }
        assert!(fs::read(&visible).unwrap() == expected, "killed after {moment:?}");
        let again = (wire.downloaded() - before).saturating_sub(expected.len() as u64);
        assert!(again <= JOBS * LARGEST as u64 + SMALL, "{again} bytes were fetched again, killed after {moment:?}");
        fs::remove_file(visible).unwrap();
        let left: Vec<_> = fs::read_dir(airlift.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    }
}

#[test]
fn an_import_killed_at_any_moment_shows_no_incomplete_tag_and_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (registry, names) = source();
    let references: Vec<String> = names.iter().map(|name| registry.reference(&format!("{name}:v1"))).collect();
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar"].into_iter().chain(references.iter().map(String::as_str))).success();
    let target = Registry::start(Options::default());
    let wire = Proxy::before(target.address());
    let to = |prefix: &str| format!("{}/{prefix}", wire.address());
    let jobs = JOBS.to_string();
    let whole = measured(&airlift, &wire, &["import", "b.tar", "--jobs", &jobs, "--to", &to("whole")]);
    for (round, moment) in moments(whole).into_iter().enumerate() {
        let prefix = format!("round-{round}");
        let to = to(&prefix);
        let args = ["import", "b.tar", "--jobs", &jobs, "--to", &to];
        kill_after(&wire, moment, || airlift.start(args));
        for name in &names {
            let repository = format!("{prefix}/{name}");
            compare::tags_are_complete(&target, &repository);
        }
        airlift.run(args).success();
        for name in &names {
            compare::same((&registry, name), (&target, &format!("{prefix}/{name}")), "v1");
        }
    }
}
