//! Packed updates without their base: what needs only the documents of the bundle reads them, and the next step leads on.

use std::fs;

use serde_json::Value;

use super::{base::versions, sample::Sample};
use crate::support::{Ran, process::files_below};

/// `v1.tar`, `v2.tar`, and `v2.pack`, packed against the former.
fn update() -> Sample {
    let sample = versions();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    sample
}

/// What the commands that read documents say of `bundle`, and the head that one of them writes.
fn told(sample: &Sample, bundle: &str) -> (Vec<String>, Vec<u8>) {
    let commands: [&[&str]; 7] = [
        &["inspect", bundle, "--sums"],
        &["diff", "v1.tar", bundle],
        &["find", bundle],
        &["mirror-config", bundle, "--mirror", "r.site"],
        &["head", bundle, "-o", "head"],
        &["sign", bundle, "--statement-only"],
        &["export", "--from", "v2.tar", "--base", bundle, "-o", "nothing.tar", "--overwrite"],
    ];
    let said = commands.map(|args| sample.airlift.run(args).success().stdout.replace(bundle, "BUNDLE"));
    (said.to_vec(), sample.read("head"))
}

#[test]
fn what_needs_only_the_documents_needs_no_base_and_little_memory() {
    let sample = update();
    let airlift = &sample.airlift;
    let plain = told(&sample, "v2.tar");
    assert!(plain == told(&sample, "v2.pack"), "{:?} and {:?}", plain.0, told(&sample, "v2.pack").0);
    let statement = |name: &str| serde_json::from_slice::<Value>(&sample.read(name)).unwrap();
    assert_eq!(statement("v2.pack.transfer.json")["bundle"], statement("v2.tar.transfer.json")["bundle"]);
    // To make the layers takes more than this.
    let little = airlift.run(["inspect", "v2.pack", "--sums", "--memory", "512KiB"]).success();
    assert_eq!(little.stdout, plain.0[0]);
    airlift.run(["verify", "v2.pack", "--base", "v1.tar", "--memory", "512KiB"]).exits(4).says(&["pack.memory"]);
}

#[test]
fn a_copy_of_an_update_is_recorded_with_its_bundle() {
    let sample = update();
    let airlift = &sample.airlift;
    let id = airlift.json(["inspect", "v2.tar", "--json"])["bundle"].clone();
    for more in [&[][..], &["--base", "v1.tar"]] {
        let output = format!("copy{}.pack", more.len());
        airlift.run([&["copy", "v2.pack", &output, "--record", "r.jsonl"], more].concat()).success();
        let shown = airlift.json(["record", "show", "r.jsonl", "--json"]);
        assert_eq!(shown["entries"].as_array().unwrap().last().unwrap()["bundle"]["id"], id, "{more:?}: {shown}");
    }
}

/// The commands that read layers, with `bundle` in them.
fn readers(bundle: &str) -> [Vec<&str>; 7] {
    [
        vec!["unpack", bundle, "-o", "out.tar"],
        vec!["verify", bundle],
        vec!["import", bundle, "--store", "out"],
        vec!["extract", bundle, "team/doc:v2", "-o", "out"],
        vec!["load", bundle, "team/app", "--platform", "linux/amd64", "--into", "./out"],
        vec!["export", "--from", bundle, "-o", "out.tar"],
        vec!["pack", bundle, "-o", "out.pack"],
    ]
}

/// The hint after a failure.
fn hint(ran: &Ran) -> &str {
    ran.stderr.split_once("help: ").unwrap_or_else(|| panic!("no hint: {ran}")).1
}

#[test]
fn the_next_step_of_each_command_that_lacks_the_base_leads_on() {
    let sample = versions();
    let airlift = &sample.airlift;
    fs::write(sample.path("doc.txt"), "read me").unwrap();
    let named = ["r.example/team/app:2", "file:doc.txt=team/doc:v2"];
    airlift.run([&["export", "--from", "v2.tar", "-o", "both.tar"][..], &named].concat()).success();
    airlift.run(["pack", "both.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let before = files_below(airlift.home());
    let clean = || {
        let _ = fs::remove_dir_all(sample.path("out"));
        for name in ["out.tar", "out.pack", "back.tar"] {
            let _ = fs::remove_file(sample.path(name));
        }
    };
    for args in readers("v2.pack") {
        fs::create_dir_all(sample.path("out")).unwrap();
        let ran = airlift.run(&args).exits(4).says(&["pack.base-missing", "v2.pack", "sha256:"]);
        let written = |name: &&String| !name.starts_with(".local") && !before.contains(name);
        let left = files_below(airlift.home());
        let left: Vec<_> = left.iter().filter(written).collect();
        assert!(left.iter().all(|name| name.starts_with("out/") && !name.contains("sha256")), "{args:?} left {left:?}");
        let hint = hint(&ran);
        let is_taken = hint.contains("with `--base BUNDLE`");
        assert_eq!(is_taken, !matches!(args[0], "export" | "pack"), "{args:?}: {hint}");
        if is_taken {
            airlift.run(args.iter().copied().chain(["--base", "v1.tar"])).success();
            clean();
            fs::create_dir_all(sample.path("out")).unwrap();
        }
        let command = hint.split('`').find_map(|text| text.strip_prefix("airlift unpack ")).unwrap();
        let typed = command.split(' ').map(|word| match word {
            "FILE" => "v2.pack",
            "BUNDLE" => "v1.tar",
            "BUNDLE2" => "back.tar",
            word => word,
        });
        airlift.run(std::iter::once("unpack").chain(typed)).success();
        if args[0] != "unpack" {
            airlift.run(args.iter().map(|arg| if *arg == "v2.pack" { "back.tar" } else { arg })).success();
        }
        clean();
    }
}
