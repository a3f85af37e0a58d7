//! What a person sees when the world is against them: the artifact, the side, the cause, the next step; and nothing lost.

use std::{fs, os::unix::fs::FileTypeExt, process::Command};

use rustix::process::Signal;

use crate::support::{
    Airlift, Options, Ran, Registry,
    artifacts::{Artifact, Blob},
    compare, needs,
    proxy::Proxy,
    tmpfs::Tmpfs,
};

const MIB: usize = 1 << 20;

/// A registry with one artifact of some MiB, and the artifact's name.
fn source(mib: usize) -> (Registry, String) {
    let registry = Registry::start(Options::default());
    let layers = (0..mib as u64).map(|n| Blob::layer(n, MIB)).collect();
    Artifact::image("linux/amd64", layers).push(&registry, "team/app", Some("v1"));
    let reference = registry.reference("team/app:v1");
    (registry, reference)
}

#[test]
fn wrong_and_missing_credentials_are_told_apart_from_other_failures() {
    needs!("docker-registry", "htpasswd");
    let registry = Registry::start(Options { htpasswd: Some(("ada", "right")), ..Options::default() });
    Artifact::small(1, 900).push(&registry, "team/app", Some("v1"));
    let reference = registry.reference("team/app:v1");
    let mut airlift = Airlift::new();
    let refused = airlift.run(["export", &reference, "-o", "b.tar"]).exits(5);
    refused.says(&["registry.unauthorized", &reference, "source", "airlift login"]);
    let login = ["login", registry.address(), "-u", "ada", "--password-stdin"];
    airlift.run_with_input(login, "wrong").exits(5).says(&["registry.unauthorized", registry.address()]);
    airlift.run(["export", &reference, "-o", "b.tar"]).exits(5);
    airlift.run_with_input(login, "right").success();
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
    airlift.run(["logout", registry.address()]).success();
    airlift.run(["export", &reference, "-o", "c.tar"]).exits(5);
    airlift.set("AIRLIFT_USERNAME", "ada").set("AIRLIFT_PASSWORD", "right");
    airlift.run(["export", &reference, "-o", "c.tar"]).success();
}

#[test]
fn a_registry_of_an_unknown_authority_is_refused_until_it_is_named() {
    needs!("docker-registry");
    let registry = Registry::start(Options { tls: true, client_certificates: true, ..Options::default() });
    Artifact::small(1, 900).push(&registry, "team/app", Some("v1"));
    let reference = registry.reference("team/app:v1");
    let airlift = Airlift::new();
    airlift.run(["export", &reference, "-o", "b.tar"]).exits(1).says(&["registry.tls", &reference, "--ca-cert"]);
    let file = |name: &str| registry.ca().with_file_name(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let named = ["--ca-cert", &ca, "--client-cert", &cert, "--client-key", &key];
    airlift.run(["export", &reference, "-o", "b.tar"].into_iter().chain(named)).success();
}

#[test]
fn hosts_that_do_not_exist_or_do_not_listen_are_named() {
    needs!("docker-registry");
    let airlift = Airlift::new();
    let unknown = airlift.run(["export", "no-such-host.invalid/app:1", "-o", "b.tar"]).exits(1);
    unknown.says(&["registry.unreachable", "no-such-host.invalid/app:1", "source"]);
    let (mut registry, reference) = source(1);
    registry.stop();
    airlift.run(["export", &reference, "-o", "b.tar"]).exits(1).says(&["registry.unreachable", &reference]);
    assert!(
        fs::read_dir(airlift.home()).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("b.tar"))
    );
}

#[test]
fn too_little_room_is_told_with_both_numbers_before_the_first_byte() {
    needs!("docker-registry", "mount");
    let (registry, reference) = source(3);
    let Some(small) = Tmpfs::mount(2 * MIB as u64) else { return };
    let airlift = Airlift::new();
    let output = small.path().join("b.tar").display().to_string();
    let before = registry.requests().len();
    airlift.run(["export", &reference, "-o", &output]).exits(1).says(&["output.no-space", "b.tar", "free"]);
    let blobs =
        registry.requests().into_iter().skip(before).filter(|r| r.method == "GET" && r.path.contains("/blobs/"));
    assert_eq!(blobs.count(), 0, "no layer was fetched for a bundle that has no room");
    assert!(!small.path().join("b.tar").exists());
}

#[test]
fn a_pipe_onto_a_disk_that_fills_up_ends_with_an_error_and_not_with_a_bundle() {
    needs!("docker-registry", "mount", "bash");
    let (_registry, reference) = source(3);
    let Some(small) = Tmpfs::mount(2 * MIB as u64) else { return };
    let airlift = Airlift::new();
    let program = assert_cmd::cargo::cargo_bin!("airlift").display();
    let output = small.path().join("b.tar").display().to_string();
    let line = format!("{program} export {reference} -o - > {output}");
    let ran = Ran::of(Command::new("bash").args(["-c", &line]).env("HOME", airlift.home()));
    // The disk is full, and no artifact is to blame; nor is anything kept of a stream.
    let ran = ran.exits(1).says(&["error[output.no-space]", "is not a complete bundle", "-o FILE"]);
    assert!(!ran.stderr.contains("artifacts failed") && !ran.stderr.contains("(source)"), "{ran}");
    airlift.run(["verify", &output]).exits(4);
}

#[test]
fn what_is_no_file_is_never_replaced_by_one() {
    needs!("docker-registry", "mkfifo");
    let (registry, reference) = source(1);
    let airlift = Airlift::new();
    Ran::of(Command::new("mkfifo").arg(airlift.home().join("pipe"))).success();
    fs::create_dir(airlift.home().join("folder")).unwrap();
    fs::write(airlift.home().join("file.tar"), "x").unwrap();
    // A device that root may not lose: whoever writes on it gets an error from the name, before anything is opened.
    for (output, kind) in
        [("pipe", "a pipe"), ("folder", "a folder"), ("folder/", "a folder"), ("/dev/full", "a device")]
    {
        for more in [&[][..], &["--overwrite"]] {
            let before = registry.requests().len();
            let refused = airlift.run(["export", &reference, "-o", output].iter().chain(more)).exits(1);
            refused.says(&["error[output.not-a-file]", output, kind, "Name a file"]);
            assert_eq!(registry.requests().len(), before, "asked before the output was looked at");
        }
    }
    airlift.run(["copy", "file.tar", "pipe", "--overwrite"]).exits(1).says(&["error[output.not-a-file]", "pipe"]);
    assert!(fs::symlink_metadata("/dev/full").unwrap().file_type().is_char_device());
    assert!(fs::symlink_metadata(airlift.home().join("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    needs!("docker-registry", "mount");
    let (_registry, reference) = source(1);
    let Some(disc) = Tmpfs::mount(8 * MIB as u64) else { return };
    Ran::of(Command::new("mount").args(["-o", "remount,ro"]).arg(disc.path())).success();
    let output = disc.path().join("b.tar").display().to_string();
    let airlift = Airlift::new();
    airlift.run(["export", &reference, "-o", &output]).exits(1).says(&["io.write", &output]);
    airlift.run(["export", &reference, "-o", "no/such/folder/b.tar"]).exits(1).says(&["io.write", "no/such/folder"]);
}

#[test]
fn connections_that_break_in_the_middle_of_blobs_are_continued_where_they_broke() {
    needs!("docker-registry");
    let (registry, _) = source(6);
    let wire = Proxy::before(registry.address());
    for bytes in [300_000, 500_000, 900_000] {
        wire.cut_after(bytes);
    }
    let airlift = Airlift::new();
    let reference = format!("{}/team/app:v1", wire.address());
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
    airlift.run(["verify", "b.tar"]).success();
    let whole = 6 * MIB as u64;
    assert!(wire.downloaded() < whole + MIB as u64, "{} bytes for {whole}", wire.downloaded());
}

#[test]
fn a_run_stopped_by_ctrl_c_says_how_to_go_on_and_goes_on() {
    needs!("docker-registry");
    let (registry, _) = source(6);
    let wire = Proxy::before(registry.address());
    wire.hold_after(3_500_000);
    let airlift = Airlift::new();
    let reference = format!("{}/team/app:v1", wire.address());
    let args = ["export", &reference, "-o", "b.tar", "--jobs", "2"];
    let mut run = airlift.start(args);
    wire.wait_until_held(&mut run);
    run.signal(Signal::INT);
    assert_eq!(run.wait().code(), Some(130));
    run.wait_for_line("Run the same command again");
    assert!(airlift.home().join("b.tar.partial").exists() && !airlift.home().join("b.tar").exists());
    wire.release();
    let before = wire.downloaded();
    airlift.run(args).success();
    airlift.run(["verify", "b.tar"]).success();
    let again = wire.downloaded() - before;
    assert!(again < 5 * MIB as u64, "{again} of 6 MiB were fetched by the second run");
}

#[test]
fn a_target_that_refuses_every_push_is_named_and_shows_no_tag() {
    needs!("docker-registry");
    let (source, reference) = source(3);
    let airlift = Airlift::new();
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
    let mut target = Registry::start(Options { read_only: true, ..Options::default() });
    let refused = airlift.run(["import", "b.tar", "--to", target.address()]);
    assert_ne!(refused.code, Some(0));
    refused.says(&["error[registry.", &reference, "target"]);
    assert!(target.tags("team/app").is_empty());
    target.restart(Options::default());
    airlift.run(["import", "b.tar", "--to", target.address()]).success();
    compare::same((&source, "team/app"), (&target, "team/app"), "v1");
}

#[test]
fn a_target_that_begins_to_refuse_in_the_middle_of_a_push_keeps_what_it_has_and_shows_no_tag() {
    needs!("docker-registry");
    let (source, reference) = source(6);
    let airlift = Airlift::new();
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
    let mut target = Registry::start(Options::default());
    let wire = Proxy::before(target.address());
    wire.hold_after(3_500_000);
    let to = wire.address();
    let args = ["import", "b.tar", "--jobs", "1", "--to", &to];
    let mut run = airlift.start(args);
    assert!(wire.wait_until_held(&mut run), "{}", run.log());
    // Its maintenance begins: what was answered so far is kept, and everything else is refused.
    target.restart(Options { read_only: true, ..Options::default() });
    wire.release();
    assert_eq!(run.wait().code(), Some(1), "{}", run.log());
    let said = run.wait_for_line("help:");
    let log = run.log();
    assert!(log.contains("error[registry.") && log.contains(&format!("{reference} (target)")), "{said}\n{log}");
    assert!(target.tags("team/app").is_empty());

    target.restart(Options::default());
    let before = wire.uploaded();
    airlift.run(args).success();
    let again = wire.uploaded() - before;
    assert!(again < 5 * MIB as u64, "{again} bytes of 6 MiB were sent again");
    compare::same((&source, "team/app"), (&target, "team/app"), "v1");
}

#[test]
fn a_damaged_bundle_is_not_imported_and_the_damage_is_said_to_be_the_bundles() {
    needs!("docker-registry");
    let (_source, reference) = source(3);
    let airlift = Airlift::new();
    airlift.run(["export", &reference, "-o", "b.tar"]).success();
    let path = airlift.home().join("b.tar");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let target = Registry::start(Options::default());
    for more in [&[][..], &["--verify-first"]] {
        let refused = airlift.run(["import", "b.tar", "--to", target.address()].iter().chain(more)).exits(4);
        refused.says(&["error[bundle.digest-mismatch]", "at byte", "bundle"]);
        assert!(target.tags("team/app").is_empty());
    }
    assert!(path.exists());
    bytes.truncate(middle);
    fs::write(&path, &bytes).unwrap();
    airlift.run(["import", "b.tar", "--to", target.address()]).exits(4).says(&["bundle.truncated", "ends at byte"]);
}

#[test]
fn nothing_secret_is_ever_printed() {
    needs!("docker-registry", "htpasswd");
    let secret = "canary-3f9c";
    let registry = Registry::start(Options { htpasswd: Some(("ada", secret)), ..Options::default() });
    Artifact::small(1, 900).push(&registry, "team/app", Some("v1"));
    let mut airlift = Airlift::new();
    airlift.set("AIRLIFT_USERNAME", "ada").set("AIRLIFT_PASSWORD", secret);
    let encoded = "YWRhOmNhbmFyeS0zZjlj";
    let reference = registry.reference("team/app:v1");
    let to = format!("{}/mirror", registry.address());
    for args in [
        vec!["export", &reference, "-o", "b.tar", "--log", "trace", "--report", "r.json"],
        vec!["import", "b.tar", "--to", &to, "--log", "trace", "--progress", "json"],
        vec!["export", "127.0.0.1:1/none:1", "-o", "c.tar", "--log", "trace"],
    ] {
        let ran = airlift.run(args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(secret) && !said.contains(encoded), "{ran}");
    }
    for file in ["b.tar", "r.json"] {
        let bytes = fs::read(airlift.home().join(file)).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}
