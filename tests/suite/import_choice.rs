//! An import of a part of a bundle: by list, by pattern, by platform, without what is attached.

use std::{collections::BTreeSet, fs, path::Path};

use airlift::{
    oci::{Digest, Name},
    store::Store,
};
use serde_json::Value;

use crate::support::{
    Airlift,
    artifacts::{Artifact, Blob},
    http::block_on,
    packed::Packed,
};

/// `app` for two platforms with an SBOM and a cosign signature, and two images beside it, at `b.tar`.
fn bundle(airlift: &Airlift) -> Artifact {
    let app = Artifact::multi_platform(1, 20_000);
    let sbom = Artifact::attached("application/spdx+json", Blob::layer(7, 500), Some(&app));
    let signature = Artifact::attached("application/x.cosign", Blob::layer(8, 300), None);
    let tag = app.digest().to_string().replace(':', "-");
    let packed = Packed::new()
        .with("r.example/team/app:v1", app.clone())
        .with(&format!("r.example/team/app:{tag}.sig"), signature)
        .with("r.example/team/tool:v1", Artifact::small(3, 4_000))
        .with("docker.io/library/base:2", Artifact::small(4, 4_000))
        .attached("r.example/team/app", sbom);
    block_on(packed.write(&airlift.home().join("b.tar")));
    app
}

/// `repository:tag` of each artifact of a report, and its state.
fn states(report: &Value) -> BTreeSet<String> {
    let artifacts = report["artifacts"].as_array().unwrap().iter();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    artifacts.map(|one| format!("{} {}", text(one, "reference"), text(one, "state"))).collect()
}

fn set(lines: &[String]) -> BTreeSet<String> {
    lines.iter().cloned().collect()
}

fn import(airlift: &Airlift, more: &[&str]) -> BTreeSet<String> {
    let args = ["import", "b.tar", "--store", "store", "--keep-host", "--json"];
    states(&airlift.json(args.iter().chain(more)))
}

fn signature(app: &Artifact) -> String {
    format!("r.example/team/app:{}.sig", app.digest().to_string().replace(':', "-"))
}

#[test]
fn an_import_takes_what_a_list_or_a_pattern_names_with_what_is_attached_to_it() {
    let airlift = Airlift::new();
    let app = bundle(&airlift);
    fs::write(airlift.home().join("list.txt"), "r.example/team/app:v1 # the one\n").unwrap();
    let with = set(&["r.example/team/app:v1 done".into(), format!("{} done", signature(&app))]);
    assert_eq!(import(&airlift, &["-f", "list.txt"]), with);
    assert_eq!(import(&airlift, &["--only", "docker.io/*"]), set(&["docker.io/library/base:2 done".into()]));
    let both = ["docker.io/library/base:2 already-there", "r.example/team/tool:v1 done"].map(str::to_owned);
    assert_eq!(import(&airlift, &["--only", "*/tool", "--only", "library/*"]), set(&both));
    // What is not there is an error, and nothing is imported.
    airlift.run(["import", "b.tar", "--store", "other", "--only", "team/nothing*"]).exits(1).says(&[
        "content.not-found",
        "team/nothing*",
        "airlift inspect",
    ]);
    fs::write(airlift.home().join("list.txt"), "r.example/team/tool:v1\nr.example/team/gone:v1\n").unwrap();
    let ran = airlift.run(["import", "b.tar", "--store", "other", "-f", "list.txt"]).exits(1);
    ran.says(&["r.example/team/gone:v1 (bundle)", "1 failed, 1 not tried"]);
}

#[test]
fn a_retry_list_of_an_import_is_taken_by_an_import() {
    let airlift = Airlift::new();
    bundle(&airlift);
    // A tag that is taken fails its artifact, and only that.
    let other = Packed::new().with("r.example/team/tool:v1", Artifact::small(9, 4_000));
    block_on(other.write(&airlift.home().join("other.tar")));
    airlift.run(["import", "other.tar", "--store", "store", "--keep-host"]).success();
    let args = ["import", "b.tar", "--store", "store", "--keep-host", "--continue-on-errors", "--report", "r.json"];
    airlift.run(args).exits(3);
    let list = fs::read_to_string(airlift.home().join("r.json.retry.txt")).unwrap();
    assert_eq!(list.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(), ["r.example/team/tool:v1"]);
    let again = import(&airlift, &["-f", "r.json.retry.txt", "--overwrite-tags"]);
    assert_eq!(again, set(&["r.example/team/tool:v1 done".into()]));
    // An empty list asks for nothing, and not for everything.
    fs::write(airlift.home().join("empty.txt"), "# all done\n").unwrap();
    airlift.run(["import", "b.tar", "--store", "store", "-f", "empty.txt"]).exits(2).says(&["no artifact is named"]);
}

#[test]
fn an_import_of_one_platform_leaves_the_others_out_and_keeps_the_index() {
    let airlift = Airlift::new();
    let app = bundle(&airlift);
    let has = |artifact: &Artifact| {
        let blob = |one: &Blob| holds(airlift.home(), &one.descriptor.digest);
        artifact.all_blobs().into_iter().all(blob)
    };
    import(&airlift, &["--only", "team/app", "--platform", "linux/arm64"]);
    assert!(has(&app.children[1]), "the platform that was asked for");
    assert!(!has(&app.children[0]) && holds(airlift.home(), &app.digest()));
    airlift
        .run(["import", "b.tar", "--store", "store", "--only", "team/app", "--platform", "plan9/mips"])
        .exits(2)
        .says(&["nothing in it is for the platforms", "linux/amd64, linux/arm64"]);
}

#[test]
fn an_import_without_referrers_leaves_out_what_is_attached_by_subject_and_by_tag() {
    let airlift = Airlift::new();
    bundle(&airlift);
    let names = ["docker.io/library/base:2", "r.example/team/app:v1", "r.example/team/tool:v1"];
    assert_eq!(import(&airlift, &["--no-referrers"]), names.map(|name| format!("{name} done")).into());
    assert!(!holds(airlift.home(), &Blob::layer(7, 500).descriptor.digest), "the SBOM");
    import(&airlift, &[]);
    assert!(holds(airlift.home(), &Blob::layer(7, 500).descriptor.digest), "the SBOM");
}

/// Whether the store below `home` has content of this digest.
fn holds(home: &Path, digest: &Digest) -> bool {
    let repository = Store::open(&home.join("store")).unwrap().repository("r.example/team/app");
    repository.blob_size(digest).unwrap().is_some() || repository.has_manifest(&Name::Digest(*digest)).unwrap()
}

#[test]
fn all_bad_lines_of_a_list_are_named_at_once() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("list.txt"), "a:1\nUPPER:1\nb:1\nc@sha256:12\n").unwrap();
    let ran = airlift.run(["export", "-f", "list.txt", "-o", "b.tar"]).exits(2);
    ran.says(&["usage.reference", "2 lines do not name an artifact", "line 2: ", "UPPER", "line 4: ", "sha256:12"]);
}
