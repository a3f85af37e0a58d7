//! Checks by other programs before anything is let in.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    needs,
    packed::Packed,
};

/// A home with `ten.tar`, ten artifacts of which `app7` is the bad one, and `scan`, which pulls the manifest and refuses it.
async fn ground() -> Airlift {
    let airlift = Airlift::new();
    let mut packed = Packed::new();
    for number in 0..10 {
        packed = packed.with(&format!("r.example/team/app{number}:v1"), Artifact::small(number, 2000));
    }
    packed.write(&airlift.home().join("ten.tar")).await;
    let bad = Artifact::small(7, 2000).digest();
    script(
        &airlift,
        "scan",
        &format!(
            "curl -fsS -o manifest.$$ \"http://${{1%%/*}}/v2/${{2#*/}}/manifests/$3\" || exit 9\n\
             [ \"sha256:$(sha256sum manifest.$$ | cut -d' ' -f1)\" = \"$3\" ] || exit 8\n\
             echo \"$4\" >> seen\n\
             [ \"$3\" != {bad} ] || {{ echo 'CVE-2026-1: critical' >&2; exit 1; }}\n"
        ),
    );
    airlift
}

fn script(airlift: &Airlift, name: &str, body: &str) {
    let path = airlift.home().join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

const SCAN: &str = "./scan {ref} {repository} {digest} {name}";

#[tokio::test(flavor = "multi_thread")]
async fn one_artifact_of_ten_is_refused_and_nine_are_imported_if_asked() {
    needs!("docker-registry", "curl");
    let registry = Registry::start(Options::default());
    let airlift = ground().await;
    let import = ["import", "ten.tar", "--to", registry.address(), "--check-with", SCAN, "--check-jobs", "4"];
    let ran = airlift.run(import).exits(4);
    let ran = ran.says(&["check.refused", "1 of 10 artifacts", "r.example/team/app7:v1", "CVE-2026-1: critical"]);
    assert_eq!(registry.repositories(), Vec::<String>::new(), "{ran}");
    let mut seen: Vec<_> =
        fs::read_to_string(airlift.home().join("seen")).unwrap().lines().map(str::to_owned).collect();
    seen.sort();
    let all: Vec<_> = (0..10).map(|number| format!("r.example/team/app{number}:v1")).collect();
    assert_eq!(seen, all);

    let go_on = ["--continue-on-errors", "--report", "report.json"];
    airlift.run(import.iter().chain(&go_on)).exits(3).says(&["app7:v1", "CVE-2026-1: critical", "check.refused"]);
    let there: Vec<_> = (0..10).filter(|number| *number != 7).map(|number| format!("team/app{number}")).collect();
    assert_eq!(registry.repositories(), there);
    let retry = fs::read_to_string(airlift.home().join("report.json.retry.txt")).unwrap();
    assert_eq!(retry.lines().skip(1).collect::<Vec<_>>(), ["r.example/team/app7:v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_chosen_is_checked_and_every_command_must_agree() {
    needs!("docker-registry", "curl");
    let registry = Registry::start(Options::default());
    let airlift = ground().await;
    let chosen = ["import", "ten.tar", "--to", registry.address(), "--only", "*/app3", "--only", "*/app4"];
    let deny4 = ["--check-with", SCAN, "--check-with", "case {name} in *app4*) exit 5;; esac"];
    let ran = airlift.run(chosen.iter().chain(&deny4)).exits(4);
    ran.says(&["1 of 2 artifacts", "app4:v1", "exit status: 5"]);
    airlift.run(chosen.iter().chain(&deny4).chain(&["--continue-on-errors"])).exits(3);
    assert_eq!(registry.repositories(), ["team/app3"]);
    // None is left: nothing is imported, and that is not an error of another kind.
    let none = ["--check-with", "false {ref}", "--continue-on-errors"];
    airlift.run(chosen.iter().chain(&none)).exits(3).says(&["app3:v1", "app4:v1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_reports_what_is_refused_and_the_command_sees_no_secret() {
    needs!("curl");
    let mut airlift = ground().await;
    let ran = airlift.run(["verify", "ten.tar", "--check-with", SCAN, "--json"]).exits(4);
    assert!(ran.stdout.contains("\"check.refused\"") && ran.stdout.contains("r.example/team/app7:v1"), "{ran}");
    for name in ["AIRLIFT_PASSWORD", "AZURE_CLIENT_SECRET", "AWS_ACCESS_KEY_ID", "AZURE_STORAGE_SAS_TOKEN"] {
        airlift.set(name, "CANARY");
    }
    airlift.set("TRIVY_CACHE_DIR", "kept");
    let ran = airlift.run(["verify", "ten.tar", "--check-with", "env >> env.txt; true {ref}"]).success();
    let env = fs::read_to_string(airlift.home().join("env.txt")).unwrap();
    assert!(!env.contains("CANARY") && env.contains("TRIVY_CACHE_DIR=kept"), "{env}{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_or_is_not_there_or_names_nothing_is_told() {
    let airlift = ground().await;
    let fifo = "mkfifo f$$; (cat f$$; true); true {ref}";
    let hang = ["verify", "ten.tar", "--check-timeout", "1s", "--check-jobs", "10", "--check-with", fifo];
    airlift.run(hang).exits(4).says(&["check.refused"]);
    let gone = airlift.run(["verify", "ten.tar", "--check-with", "/gone/scanner {ref}"]).exits(4);
    assert!(gone.stdout.contains("exit status: 127") && gone.stdout.contains("/gone/scanner"), "{gone}");
    airlift.run(["verify", "ten.tar", "--check-with", "trivy image"]).exits(2).says(&["{ref}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loopback_registry_has_what_is_attached_and_takes_nothing() {
    needs!("curl");
    let airlift = Airlift::new();
    let image = Artifact::small(1, 2000);
    let sbom = Artifact::attached("application/spdx+json", Blob::layer(4, 300), Some(&image));
    let packed = Packed::new().with("r.example:5000/app:1", image.clone()).attached("r.example:5000/app", sbom.clone());
    packed.write(&airlift.home().join("b.tar")).await;
    script(
        &airlift,
        "look",
        &format!(
            "base=http://${{1%%/*}}/v2/${{1#*/}}\n\
             curl -fsS \"$base/referrers/$2\" | grep -q {} || exit 1\n\
             code=$(curl -sS -o said -w '%{{http_code}}' -X POST \"$base/blobs/uploads/\")\n\
             [ \"$code\" = 405 ] || [ \"$code\" = 403 ] || {{ echo \"a push got $code\"; exit 2; }}\n\
             touch looked\n",
            sbom.digest()
        ),
    );
    airlift.run(["verify", "b.tar", "--check-with", "./look {repository} {digest}"]).success();
    assert!(airlift.home().join("looked").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_reads_what_is_held_out_to_it() {
    needs!("skopeo");
    let airlift = ground().await;
    let inspect =
        "skopeo inspect --tls-verify=false --raw docker://{ref} | sha256sum | grep -q $(echo {digest} | cut -c8-)";
    airlift.run(["verify", "ten.tar", "--check-with", inspect]).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_publishes_only_what_was_checked() {
    needs!("curl");
    let airlift = ground().await;
    let export = ["export", "--from", "ten.tar", "-o", "out.tar", "--check-with", SCAN];
    airlift.run(export).exits(4).says(&["check.refused", "1 of 10", "app7:v1", "CVE-2026-1"]);
    let left = || {
        let names = crate::support::process::files_below(airlift.home()).into_iter();
        names.filter(|name| name.starts_with("out.tar")).collect::<Vec<_>>()
    };
    assert_eq!(left(), Vec::<String>::new());
    airlift.run(export.iter().chain(&["--continue-on-errors"])).exits(3).says(&["app7:v1", "CVE-2026-1"]);
    assert_eq!(left(), ["out.tar"]);
    let names: Vec<_> = airlift.json(["inspect", "out.tar", "--json"])["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["reference"].as_str().unwrap().to_owned())
        .collect();
    let nine = (0..10).filter(|number| *number != 7).map(|number| format!("r.example/team/app{number}:v1"));
    assert_eq!(names, nine.collect::<Vec<_>>());
    airlift.run(["verify", "out.tar"]).success();

    let good = ["export", "--from", "out.tar", "-o", "good.tar", "--check-with", SCAN];
    airlift.run(good).success();
    let bytes = |name: &str| std::fs::read(airlift.home().join(name)).unwrap();
    assert!(bytes("good.tar") == bytes("out.tar"), "the bytes do not depend on the check");
    airlift.run(good).success();
    let set = ["export", "--from", "out.tar", "-o", "set/x", "--volume-size", "1MiB", "--check-with", SCAN];
    airlift.run(set).exits(2).says(&["one file", "--from FILE"]);
}
