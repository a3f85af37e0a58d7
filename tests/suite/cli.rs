//! What a person sees: help, and what bad input gets. Nothing here needs a registry.
//!
//! The snapshots are transcripts; after a change that is meant, `INSTA_UPDATE=always cargo test cli` writes them anew.

use std::{fmt::Write as _, fs, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Airlift, Ran, process::files_below};

/// What `ran` showed, as it would stand in a terminal, without the places of this machine.
fn transcript(airlift: &Airlift, asked: &str, ran: &Ran) -> String {
    let mut text = format!("$ {asked}\n");
    for (name, stream) in [("", &ran.stdout), ("stderr: ", &ran.stderr)] {
        for line in stream.lines() {
            let _ = writeln!(text, "{}", format!("{name}{line}").trim_end());
        }
    }
    let _ = writeln!(text, "exit {}\n", ran.code.unwrap_or(-1));
    text.replace(&airlift.home().display().to_string(), "HOME")
}

/// The transcript of `airlift LINE` for each line; words are split at blanks.
fn session(airlift: &Airlift, lines: &[&str]) -> String {
    let run = |line: &&str| transcript(airlift, &format!("airlift {line}"), &airlift.run(line.split_whitespace()));
    lines.iter().map(run).collect()
}

#[test]
fn without_arguments_the_help_is_shown_and_nothing_is_done() {
    let airlift = Airlift::new();
    let ran = airlift.run([""; 0]).exits(2).says(&["Usage: airlift", "Commands:", "export", "import", "Exit codes:"]);
    assert_eq!(ran.stdout, "");
    assert_eq!(files_below(airlift.home()), [""; 0]);
}

#[test]
fn the_version_is_one_line_on_stdout() {
    let ran = Airlift::new().run(["--version"]).success();
    assert_eq!(ran.stdout, format!("airlift {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ran.stderr, "");
}

#[test]
fn every_command_has_a_help_of_its_own() {
    let airlift = Airlift::new();
    let commands = airlift.run(["--help"]).success().stdout;
    let commands = commands.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    for line in commands.lines() {
        let command = line.split_whitespace().next().unwrap();
        let help = airlift.run(["help", command]).success();
        assert!(help.stdout.contains(&format!("Usage: airlift {command}")) || command == "help", "{help}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    insta::assert_snapshot!(session(
        &Airlift::new(),
        &[
            "exprot",
            "completions",
            "completions tcsh",
            "completions bash --progress sometimes",
            "completions bash --log airlift=loud",
        ]
    ));
}

#[test]
fn an_error_is_json_where_json_was_asked_for() {
    let airlift = Airlift::new();
    let ran = airlift.run(["completions", "tcsh", "--json"]).exits(2);
    let object: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!((&object["v"], &object["event"]), (&1.into(), &"error".into()), "{ran}");
    assert_eq!(object["error"]["token"], "usage.argument");
    for part in ["message", "hint"] {
        assert!(object["error"][part].as_str().is_some_and(|text| !text.is_empty()), "{ran}");
    }
    assert_eq!(ran.stdout, "");
}

#[test]
fn completions_are_made_for_every_shell() {
    let airlift = Airlift::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = airlift.run(["completions", shell]).success();
        assert!(ran.stdout.contains("airlift") && ran.stdout.contains("completions"), "{ran}");
    }
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let airlift = Airlift::new();
    airlift.run(["man", "pages/man1"]).success();
    let pages = files_below(&airlift.home().join("pages/man1"));
    for page in [
        "airlift.1",
        "airlift-completions.1",
        "airlift-export.1",
        "airlift-import.1",
        "airlift-verify.1",
        "airlift-copy.1",
        "airlift-login.1",
        "airlift-man.1",
    ] {
        assert!(pages.iter().any(|found| found == page), "{pages:?}");
    }
    let refused = airlift.run(["man", "/dev/null/pages"]).exits(1);
    refused.says(&["error[io.write]", "/dev/null/pages", "cause:", "help:"]);
}

#[test]
fn what_cannot_be_exported_is_refused_before_anything_is_asked() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("list.yaml"), "registry: r.example\nartifacts:\n  - app:1\n  - UPPER/case\n")
        .unwrap();
    fs::write(airlift.home().join("unknown.yaml"), "images:\n  - app:1\n").unwrap();
    fs::write(airlift.home().join("empty.txt"), "# nothing yet\n").unwrap();
    insta::assert_snapshot!(session(
        &airlift,
        &[
            "export -o b.tar",
            "export alpine:3",
            "export UPPER/case -o b.tar",
            "export registry.example/app:1 registry.example/app@sha256:12 -o b.tar",
            "export alpine:3 -o b.tar --platform linux",
            "export alpine:3 -o b.tar --foreign maybe",
            "export alpine:3 -o b.tar --jobs 0",
            "export alpine:3 -o ftp://host/b.tar",
            "export alpine:3 -o b.tar --client-cert cert.pem",
            "export -f missing.txt -o b.tar",
            "export -f list.yaml -o b.tar",
            "export -f unknown.yaml -o b.tar",
            "export -f empty.txt -o b.tar",
        ]
    ));
    assert_eq!(files_below(airlift.home()), ["empty.txt", "list.yaml", "unknown.yaml"], "nothing else was made");
}

#[test]
fn fifty_artifacts_are_a_run_and_fifty_one_are_not() {
    let airlift = Airlift::new();
    let list = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("r.invalid/app:{n}\n")).collect();
        names.concat()
    };
    let export = ["export", "-f", "-", "-o", "b.tar"];
    let ran = airlift.run_with_input(export, list(51)).exits(2);
    insta::assert_snapshot!(transcript(&airlift, "airlift export -f - -o b.tar", &ran));
    // The same one more than once is one.
    let doubles = list(25).repeat(3);
    let ran = airlift
        .run_with_input(["export", "-f", "-", "-o", "/no/such/folder/b.tar", "--max-artifacts", "24"], &*doubles);
    ran.exits(2).says(&["at most 24 artifacts, got 25", "--max-artifacts 25"]);
}

#[test]
fn an_import_that_is_not_asked_for_rightly_does_nothing() {
    let airlift = Airlift::new();
    insta::assert_snapshot!(session(
        &airlift,
        &[
            "import --to registry.site",
            "import b.tar",
            "import b.tar --to http://registry.site",
            "import b.tar --to registry.site --map docker.io",
            "import b.tar --to registry.site --map docker.io=UPPER",
            "import b.tar --to registry.site",
        ]
    ));
}

#[test]
fn what_is_no_bundle_is_said_to_be_none() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("note.txt"), "not a bundle\n").unwrap();
    insta::assert_snapshot!(session(
        &airlift,
        &[
            "inspect missing.tar",
            "inspect note.txt",
            "verify missing.tar",
            "verify note.txt",
            "copy missing.tar b.tar",
            "copy note.txt note.txt"
        ]
    ));
}

#[test]
fn an_address_to_listen_on_that_is_none_is_a_usage_error_with_the_form_of_one() {
    let airlift = Airlift::new();
    for address in
        ["foo", "5000", ":5000", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000", "::1:5000", "http://[::1]"]
    {
        let listen = ["serve", "--store", "store", "--listen", address];
        airlift.run(listen).exits(2).says(&["usage.argument", "--listen", address, "HOST:PORT", "[::1]:5000"]);
    }
    assert!(!airlift.home().join("store").exists());
    // An address by its form that this machine does not have is another failure.
    airlift.run(["serve", "--store", "store", "--listen", "192.0.2.1:5000"]).exits(1).says(&["serve.listen"]);
}

#[test]
fn what_an_interrupted_run_has_left_is_told_as_that() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("b.tar.partial"), vec![0; 2048]).unwrap();
    let note = "warning: b.tar.partial is an unfinished export or copy";
    // Under either name: the one that is there, and the one that is not there yet.
    for name in ["b.tar.partial", "b.tar"] {
        for args in [
            &["inspect", name][..],
            &["verify", name],
            &["import", name, "--to", "r.invalid"],
            &["serve", name],
            &["copy", name, "c.tar"],
        ] {
            let ran = airlift.run(args.iter().copied());
            // A file that is not a bundle may be copied, whatever its name is.
            assert!(args[0] == "copy" || ran.code == Some(1), "{ran}");
            ran.says(&[note]);
        }
    }
}

#[test]
fn a_report_that_could_not_be_written_in_the_end_is_refused_at_the_beginning() {
    let airlift = Airlift::new();
    // Whoever asked first would say that there is no such host.
    for (report, why) in
        [("no/such/folder/r.json", "No such file"), (".", "directory"), ("/proc/r.json", "/proc/r.json")]
    {
        let export = ["export", "r.invalid/app:1", "-o", "b.tar", "--report", report];
        airlift.run(export).exits(1).says(&["error[io.write]", report, why]);
        let import = ["import", "b.tar", "--to", "r.invalid", "--report", report];
        airlift.run(import).exits(1).says(&["error[io.write]", report, why]);
    }
}

#[test]
fn nobody_is_asked_for_a_password_where_there_is_no_terminal() {
    insta::assert_snapshot!(session(
        &Airlift::new(),
        &["login registry.site", "login registry.site -u me", "login r --password-stdin"]
    ));
}

#[test]
fn logging_out_of_where_nobody_was_logged_in_is_no_failure() {
    let ran = Airlift::new().run(["logout", "registry.site"]).success();
    assert_eq!(ran.stdout, "nothing was kept for registry.site\n");
}

/// A registry that takes connections and never answers.
fn silent_registry() -> (std::net::TcpListener, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let artifact = format!("{}/app:1", listener.local_addr().unwrap());
    (listener, artifact)
}

#[test]
fn a_signal_ends_a_run_with_the_sentence_how_to_go_on() {
    for (signal, name) in [(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM")] {
        let airlift = Airlift::new();
        let (listener, artifact) = silent_registry();
        let child = airlift
            .command(["export", &artifact, "-o", "b.tar", "--progress", "none"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It has asked: so the run is under way, and signals are minded.
        let _asked = listener.accept().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let ran = Ran::from_output("airlift export", &child.wait_with_output().unwrap()).exits(130);
        let token = format!("error[interrupted]: stopped by {name}");
        ran.says(&[&token, "Run the same command again to resume."]);
    }
}

#[test]
fn json_lines_tell_of_progress_and_of_the_end() {
    let airlift = Airlift::new();
    let ran = airlift.run(["import", "missing.tar", "--to", "registry.site", "--progress", "json"]).exits(1);
    let events: Vec<serde_json::Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{ran}"))).collect();
    assert!(events.iter().all(|event| event["v"] == 1 && event["event"].is_string()), "{ran}");
    let [first, .., last] = &events[..] else { panic!("{ran}") };
    assert_eq!((&first["event"], &first["phase"]), (&"phase".into(), &"resolving".into()), "{ran}");
    assert_eq!((&last["event"], &last["error"]["token"]), (&"error".into(), &"io.read".into()), "{ran}");
}
