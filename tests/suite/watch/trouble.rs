//! Signals, full disks, kills and crowds: nothing is imported twice, and nothing is forgotten.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{Site, ended, exit, told};
use crate::support::{Proxy, Tmpfs, kills::moments, needs, process::PATIENCE};

#[test]
fn a_signal_finishes_or_parks_what_is_under_way_and_a_second_one_ends_it_at_once() {
    needs!("docker-registry");
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    site.pipeline("down", &wire.address(), &site.source, &[]);
    let response = |name: &str| {
        let runs = site.runs();
        let run = runs.iter().find(|run| run["properties"]["request"]["source"]["name"] == name).expect("it is kept");
        run["properties"]["response"].clone()
    };
    let held = |name: &str, grace: &str| {
        let mut watch = site.watch(&["--grace", grace]);
        wire.hold_after(200_000);
        site.land(&site.bundle(name, 1, 2_000_000));
        assert!(wire.wait_until_held(&mut watch));
        watch
    };
    let mut parked = held("parked", "0s");
    parked.signal(Signal::TERM);
    assert_eq!(exit(&mut parked), Some(0));
    assert_eq!(response("parked")["status"], "Interrupted");
    wire.release();
    let watch = site.watch(&[]);
    ended(&watch, "parked", "Succeeded");
    assert_eq!(response("parked")["resumed"], 1);
    drop(watch);

    let mut finished = held("finished", "1h");
    finished.signal(Signal::TERM);
    wire.release();
    assert_eq!(exit(&mut finished), Some(0));
    assert_eq!(response("finished")["status"], "Succeeded");

    let mut cut = held("cut", "1h");
    let begun = Instant::now();
    let code = loop {
        assert!(begun.elapsed() < PATIENCE, "a second signal does not end the watch");
        // The second signal counts once the first was heard, so it is said until it is.
        cut.signal(Signal::TERM);
        if let Some(status) = cut.wait_at_most(Duration::from_millis(50)) {
            break status.code();
        }
    };
    assert_eq!(code, Some(130));
    wire.release();
    assert_eq!(response("cut")["status"], "Interrupted");
}

#[test]
fn a_full_disk_forgets_no_bundle_and_no_run_of_the_watch() {
    needs!("docker-registry", "mount", "umount");
    let Some(disk) = Tmpfs::mount(1 << 20) else { return };
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    let state = disk.path().display().to_string();
    let more = ["-z", "DeleteSourceBlobOnSuccess", "--state", &state];
    site.pipeline("down", &wire.address(), &site.source, &more);
    let runs = || site.airlift.json(["pipeline-run", "list", "-o", "json", "--state", &state]);
    let mut watch = site.airlift.start(["watch", "--json", "--interval", "1s", "--state", &state]);
    watch.wait_for_line("\"watching\"");
    site.land(&site.bundle("before", 1, 1000));
    ended(&watch, "before", "Succeeded");
    let filler = disk.path().join("filler");
    let fill = || {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    };
    // It fills up while a run is under way: what cannot be written down as confirmed is not removed.
    wire.hold_after(200_000);
    site.land(&site.bundle("amid", 2, 2_000_000));
    assert!(wire.wait_until_held(&mut watch));
    fill();
    wire.release();
    let line = watch.wait_for_line("\"event\":\"trouble\"");
    assert!(line.contains("output.no-space") || line.contains("pipeline.state"), "{line}");
    assert!(site.source.join("amid").exists());
    // And it is full when one lands: no run begins that could not be written down.
    site.land(&site.bundle("late", 3, 1000));
    watch.wait_for_line("\"blob\":\"late\",\"token\":\"");
    let kept = runs();
    let names: Vec<&str> = kept.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert!(names.len() == 2 && names[0].contains("amid") && names[1].contains("before"), "{names:?}");
    assert_eq!(site.registry.repositories().iter().filter(|name| *name == "late").count(), 0);
    fs::remove_file(&filler).unwrap();
    for name in ["amid", "late"] {
        ended(&watch, name, "Succeeded");
        assert_eq!(site.registry.tags(name), ["v1"]);
        assert!(!site.source.join(name).exists());
    }
    assert_eq!(runs().as_array().unwrap().len(), 3);
}

#[test]
fn killed_at_any_moment_no_bundle_is_imported_twice_and_none_is_forgotten() {
    needs!("docker-registry");
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    site.pipeline("down", &wire.address(), &site.source, &[]);
    let land = |n: u32| site.land(&site.bundle(&format!("b{n}"), u64::from(n), 400_000));
    let begun = Instant::now();
    // How much passes in one run.
    let watch = site.watch(&[]);
    land(1000);
    ended(&watch, "b1000", "Succeeded");
    drop(watch);
    let moments = moments(wire.passed());
    let mut kept: HashSet<String> = HashSet::new();
    for (n, moment) in (0..).zip(&moments) {
        // Landed before the watch begins, under its eyes, or while it is not there; in the last case it need not have
        // anything to do, and is killed once it listens.
        let is_busy = n % 3 != 2;
        if n % 3 == 0 {
            land(n);
        }
        if is_busy {
            wire.hold_after(*moment);
        }
        let mut watch = site.watch(&[]);
        if n % 3 == 1 {
            land(n);
        }
        assert!(!is_busy || wire.wait_until_held(&mut watch), "the watch ended by itself");
        watch.kill();
        wire.release();
        if n % 3 == 2 {
            land(n);
        }
        let runs: HashSet<String> = site.runs().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect();
        assert!(kept.is_subset(&runs), "rows were lost: {kept:?} {runs:?}");
        kept = runs;
    }
    let broken = site.runs().iter().filter(|run| run["properties"]["response"]["resumed"] != 0).count();
    let watch = site.watch(&[]);
    site.fence(&watch, "last");
    assert!(broken > 0, "no run was killed before its end");
    let names: Vec<String> = (0..moments.len()).chain([1000]).map(|n| format!("b{n}")).collect();
    let requests = loop {
        let tagged = names.iter().filter(|name| site.registry.tags(name) == ["v1"]).count();
        if tagged == names.len() {
            break site.registry.requests();
        }
        assert!(Instant::now() < begun + PATIENCE, "{tagged} of {} are there", names.len());
    };
    let puts = |name: &str| {
        let path = format!("/v2/{name}/manifests/v1");
        requests.iter().filter(|request| request.method == "PUT" && request.path == path).count()
    };
    let twice: Vec<_> = names.iter().filter(|name| puts(name) != 1).collect();
    assert!(twice.is_empty(), "pushed more than once: {twice:?}");
}

/// Bundles that land at once.
const CROWD: u64 = 200;

#[test]
fn two_hundred_bundles_at_once_are_all_imported_once_within_bounds() {
    needs!("docker-registry");
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    site.pipeline("down", &wire.address(), &site.source, &["-z", "DeleteSourceBlobOnSuccess"]);
    let bundles: Vec<PathBuf> = (0..CROWD).map(|n| site.bundle(&format!("b{n}"), n, 20_000)).collect();
    let watch = site.watch(&["--runs", "4", "--jobs", "3"]);
    for bundle in &bundles {
        site.land(bundle);
    }
    for n in 0..CROWD {
        ended(&watch, &format!("b{n}"), "Succeeded");
    }
    assert_eq!(site.registry.repositories().len() as u64, CROWD);
    let mut began = told(&watch, "began");
    began.sort();
    began.dedup();
    assert_eq!((began.len() as u64, told(&watch, "ended").len() as u64), (CROWD, CROWD));
    assert_eq!(fs::read_dir(&site.source).unwrap().count(), 0);
    let status = fs::read_to_string(format!("/proc/{}/status", watch.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak <= 96 << 10, "{peak} KiB at the most");
    // Two runs of a pipeline at once, each with its own connections.
    assert!(wire.most() <= 2 * 16, "{} connections at once", wire.most());
}

/// A file at which the process ended again and again is left alone, also by the next processes, until it changes.
#[test]
fn a_file_that_ends_the_watch_is_left_alone_until_it_changes() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let watch = site.watch(&[]);
    site.fence(&watch, "bad");
    drop(watch);
    let database = || {
        let state = site.airlift.home().join(".local/state/airlift");
        let files = crate::support::process::files_below(&state);
        let name = files.iter().find(|name| name.ends_with("pipelines.db")).expect("a database");
        rusqlite::Connection::open(state.join(name)).unwrap()
    };
    // As two killed processes leave it; the next one is a third.
    database().execute_batch(
        "UPDATE landed SET done = 0, content = NULL WHERE blob = 'bad';
         INSERT INTO job (pipeline, blob, version, lost) SELECT pipeline, blob, version, 2 FROM landed WHERE blob = 'bad';",
    )
    .unwrap();
    let watch = site.watch(&[]);
    let line = watch.wait_for_line("\"trouble\"");
    assert!(line.contains("left alone until the file changes") && line.contains("\"bad\""), "{line}");
    site.fence(&watch, "second");
    drop(watch);
    let watch = site.watch(&[]);
    site.fence(&watch, "third");
    assert!(!told(&watch, "trouble").contains(&"bad".to_owned()) && !told(&watch, "ended").contains(&"bad".to_owned()));
    // Another file of that name is another matter.
    site.land(&site.bundle("bad", 77, 5_000));
    ended(&watch, "bad", "Failed");
}

/// A folder that cannot be read, whoever asks: its path is longer than the system takes.
fn unreadable_folder(within: &Path) {
    let step = "d".repeat(250);
    let script = format!("for i in $(seq 20); do mkdir {step} && cd -P {step} || exit 1; done");
    assert!(Command::new("sh").args(["-c", &script]).current_dir(within).status().unwrap().success());
}

#[test]
fn a_folder_that_cannot_be_read_is_named_and_hides_nothing_else() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    unreadable_folder(&site.source);
    let watch = site.watch(&[]);
    site.fence(&watch, "a");
    let line = watch.wait_for_line("\"event\":\"trouble\"");
    assert!(line.contains("\"token\":\"io.read\"") && line.contains("/dddd"), "{line}");
    assert!(line.contains("too long"), "{line}");
}
