//! `kill -9` at any moment: the same command finishes, nothing is lost, nothing incomplete is ever visible.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob, noise},
    compare, needs,
};

/// Moments of an export, and of an import, at which the process is killed.
const MOMENTS: u32 = 50;

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

/// Moments spread over `whole`, in an order that a generator picks, so that two runs of the suite do not agree on all.
fn moments(whole: Duration) -> Vec<Duration> {
    let random = noise(u64::from(std::process::id()), 8 * MOMENTS as usize);
    let fraction = |bytes: &[u8]| f64::from(u32::from_le_bytes(bytes[..4].try_into().unwrap())) / f64::from(u32::MAX);
    random.chunks(8).map(|bytes| whole.mul_f64(fraction(bytes))).collect()
}

/// Starts airlift, kills it after `moment`, and tells whether it was still running.
fn killed(airlift: &Airlift, args: &[&str], moment: Duration) -> bool {
    let mut process = airlift.start(args);
    let alive = process.wait_at_most(moment).is_none();
    process.kill();
    alive
}

fn timed(airlift: &Airlift, args: &[&str]) -> Duration {
    let begun = Instant::now();
    airlift.run(args).success();
    begun.elapsed()
}

#[test]
fn an_export_killed_at_any_moment_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (registry, names) = source();
    let references: Vec<String> = names.iter().map(|name| registry.reference(&format!("{name}:v1"))).collect();
    let airlift = Airlift::new();
    let jobs = JOBS.to_string();
    let args = |output: &'static str| {
        let fixed = ["export", "--jobs", &jobs, "-o", output];
        fixed.into_iter().chain(references.iter().map(String::as_str)).collect::<Vec<_>>()
    };
    // The second run meets warm caches, as those that are killed do.
    let whole = timed(&airlift, &args("whole.tar")).min(timed(&airlift, &args("again.tar")));
    let expected = fs::read(airlift.home().join("whole.tar")).unwrap();
    let sent = |registry: &Registry| registry.requests().iter().map(|request| request.sent).sum::<u64>();
    let (mut interrupted, mut before) = (0, sent(&registry));
    for moment in moments(whole) {
        interrupted += u32::from(killed(&airlift, &args("b.tar"), moment));
        let visible = airlift.home().join("b.tar");
        assert!(!visible.exists() || fs::read(&visible).unwrap() == expected, "visible before it was complete");
        if !visible.exists() {
            airlift.run(args("b.tar")).success();
        }
        assert!(fs::read(&visible).unwrap() == expected, "killed after {moment:?}");
        let after = sent(&registry);
        let again = (after - before).saturating_sub(expected.len() as u64);
        assert!(again <= JOBS * LARGEST as u64 + SMALL, "{again} bytes were fetched again, killed after {moment:?}");
        before = after;
        fs::remove_file(visible).unwrap();
        let left: Vec<_> = fs::read_dir(airlift.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    }
    assert!(interrupted > MOMENTS / 2, "only {interrupted} runs were killed before their end");
}

#[test]
fn an_import_killed_at_any_moment_shows_no_incomplete_tag_and_is_finished_by_the_same_command() {
    needs!("docker-registry");
    let (registry, names) = source();
    let references: Vec<String> = names.iter().map(|name| registry.reference(&format!("{name}:v1"))).collect();
    let airlift = Airlift::new();
    airlift.run(["export", "-o", "b.tar"].into_iter().chain(references.iter().map(String::as_str))).success();
    let target = Registry::start(Options::default());
    let to = |prefix: &str| format!("{}/{prefix}", target.address());
    let jobs = JOBS.to_string();
    let whole =
        ["whole", "again"].map(|prefix| timed(&airlift, &["import", "b.tar", "--jobs", &jobs, "--to", &to(prefix)]));
    let whole = whole[0].min(whole[1]);
    let mut interrupted = 0;
    for (round, moment) in moments(whole).into_iter().enumerate() {
        let prefix = format!("round-{round}");
        let to = to(&prefix);
        let args = ["import", "b.tar", "--jobs", &jobs, "--to", &to];
        interrupted += u32::from(killed(&airlift, &args, moment));
        for name in &names {
            let repository = format!("{prefix}/{name}");
            for tag in target.tags(&repository) {
                let missing = compare::missing_below(&target, &repository, &tag);
                assert!(missing.is_empty(), "{repository}:{tag} was visible without {missing:?}, after {moment:?}");
            }
        }
        airlift.run(args).success();
        for name in &names {
            compare::same((&registry, name), (&target, &format!("{prefix}/{name}")), "v1");
        }
    }
    assert!(interrupted > MOMENTS / 2, "only {interrupted} runs were killed before their end");
}
