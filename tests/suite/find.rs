//! `find`: which artifacts files need, from the command line to an export.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use airlift::find::lists;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{Airlift, Ran, Serving, needs, peers};

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/find").join(path)
}

/// A manifest with one container for each image.
fn manifest(images: &[&str]) -> String {
    let containers =
        images.iter().map(|image| format!("    - {{name: a, image: '{image}'}}\n")).collect::<Vec<_>>().concat();
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  containers:\n{containers}")
}

/// The artifacts of a list, without comments.
fn listed(list: &str) -> Vec<String> {
    let read = lists::read(list, "list", None).unwrap();
    read.iter().map(|artifact| artifact.reference.to_string()).collect()
}

/// `confidence reference` of every artifact in the answer of `--json`, sorted.
fn found(answer: &Value) -> Vec<String> {
    let artifacts = answer["artifacts"].as_array().unwrap();
    let mut lines: Vec<_> = artifacts
        .iter()
        .map(|artifact| {
            format!("{} {}", artifact["confidence"].as_str().unwrap(), artifact["reference"].as_str().unwrap())
        })
        .collect();
    lines.sort();
    lines
}

fn expected(path: &str) -> Vec<String> {
    let mut lines: Vec<_> = fs::read_to_string(fixture(path)).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Pushes an image with one small layer; returns the digest of its manifest.
fn push(serving: &Serving, repository: &str, tag: &str) -> String {
    let config = serving.push_blob(repository, b"{}");
    let layer = serving.push_blob(repository, format!("{repository}:{tag}").as_bytes());
    let document = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer.digest, "size": layer.size}],
    });
    let answer = serving.push_manifest(repository, tag, &document);
    assert_eq!(answer.status, 201);
    airlift::oci::Digest::sha256(document.to_string().as_bytes()).to_string()
}

/// A program of the test's own in a folder that can be all of `PATH`, beside the shell's tools.
fn program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_is_found_is_what_an_export_packs() {
    let (airlift, serving) = (Airlift::new(), Serving::empty());
    push(&serving, "team/app", "1");
    push(&serving, "team/tool", "2");
    let (app, tool) = (format!("{}/team/app:1", serving.address()), format!("{}/team/tool:2", serving.address()));
    let guess = format!("{}/team/never:3", serving.address());
    let text = format!("{}---\nargs: [--peer={guess}]\n", manifest(&[&app, &tool]));
    fs::write(airlift.home().join("pod.yaml"), text).unwrap();
    let list = airlift.run(["find", "pod.yaml"]).success().stdout;
    assert_eq!(listed(&list), [app.clone(), tool.clone()]);
    assert!(list.contains(&format!("\n# {guess}  # find: guess text pod.yaml:")), "{list}");

    airlift.run_with_input(["export", "-f", "-", "-o", "b.tar"], list).success();
    let again = airlift.run(["find", "b.tar"]).success().stdout;
    assert_eq!(listed(&again), [app, tool]);
}

#[test]
fn standard_input_is_a_source_and_a_bad_one_is_an_error() {
    let airlift = Airlift::new();
    let list = airlift.run_with_input(["find", "-"], manifest(&["quay.io/a/b:1"])).success().stdout;
    assert_eq!(listed(&list), ["quay.io/a/b:1"]);
    airlift.run(["find", "missing.yaml"]).exits(2).says(&["error[usage.file]", "missing.yaml"]);
    fs::write(airlift.home().join("binary.yaml"), b"\0\0\0").unwrap();
    airlift.run(["find", "binary.yaml"]).exits(2).says(&["error[usage.file]", "binary.yaml is not text"]);
    airlift.run(["find", "x", "--tags", "1.x"]).exits(2).says(&["error[usage.argument]", "re:REGEX"]);
}

#[test]
fn why_names_every_origin_and_nowhere_is_an_error() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("a.yaml"), manifest(&["nginx:1"])).unwrap();
    fs::write(airlift.home().join("b.yaml"), "sidecarImage: docker.io/library/nginx:1\n").unwrap();
    let why = airlift.run(["find", "a.yaml", "b.yaml", "--why", "nginx:1"]).success().stdout;
    assert_eq!(
        why,
        "docker.io/library/nginx:1\n  sure pod-spec: a.yaml:6 Pod/web .spec.containers[0].image\n  likely image-key: b.yaml:1 .sidecarImage\n"
    );
    let json = airlift.json(["find", "a.yaml", "--why", "library/nginx", "--json"]);
    assert_eq!(json[0]["origins"][0]["object"], "Pod/web");
    airlift.run(["find", "a.yaml", "--why", "redis"]).exits(1).says(&["error[find.nowhere]", "redis"]);
}

#[test]
fn own_rules_come_from_a_file_and_a_wrong_one_is_refused() {
    let airlift = Airlift::new();
    let home = airlift.home();
    fs::create_dir_all(home.join("deploy/testdata")).unwrap();
    fs::write(home.join("deploy/a.yaml"), "runner: team/runner:1\nimage: quay.io/old/a:1\n").unwrap();
    fs::write(home.join("deploy/testdata/b.yaml"), "image: quay.io/test/b:1\n").unwrap();
    fs::write(home.join("rules.yaml"), "keys: [runner]\nexclude: ['quay.io/old/*']\nexclude-files: ['*/testdata']\n")
        .unwrap();
    let answer = airlift.json(["find", "deploy", "--rules", "rules.yaml", "--json"]);
    assert_eq!(found(&answer), ["sure docker.io/team/runner:1"]);
    assert_eq!(answer["excluded"], 1);
    fs::write(home.join("rules.yaml"), "keyz: []\n").unwrap();
    airlift
        .run(["find", "deploy", "--rules", "rules.yaml"])
        .exits(2)
        .says(&["error[usage.file]", "rules.yaml, line 1"]);
}

#[test]
fn an_update_keeps_what_a_person_wrote_and_prints_what_changed() {
    let airlift = Airlift::new();
    let home = airlift.home();
    fs::write(home.join("a.yaml"), manifest(&["quay.io/a/b:1", "quay.io/a/c:1"])).unwrap();
    let first = airlift.run(["find", "a.yaml", "--update", "list.txt"]).success().stdout;
    assert_eq!(first, "+ quay.io/a/b:1\n+ quay.io/a/c:1\n");
    let list = fs::read_to_string(home.join("list.txt")).unwrap();
    fs::write(home.join("list.txt"), format!("quay.io/own/x:1   # mine\n{list}")).unwrap();
    fs::set_permissions(home.join("list.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(home.join("a.yaml"), manifest(&["quay.io/a/b:2", "quay.io/a/c:1"])).unwrap();
    let second = airlift.run(["find", "a.yaml", "--update", "list.txt"]).success().stdout;
    assert_eq!(second, "+ quay.io/a/b:2\n- quay.io/a/b:1\n");
    let list = fs::read_to_string(home.join("list.txt")).unwrap();
    assert_eq!(listed(&list), ["quay.io/own/x:1", "quay.io/a/b:2", "quay.io/a/c:1"]);
    assert!(list.starts_with("quay.io/own/x:1   # mine\n"), "{list}");
    assert_eq!(fs::metadata(home.join("list.txt")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(airlift.run(["find", "a.yaml", "--update", "list.txt"]).success().stdout, "");
}

#[test]
fn a_chart_without_helm_gives_what_it_says_itself_and_exits_with_3() {
    let mut airlift = Airlift::new();
    let empty = airlift.home().join("bin");
    fs::create_dir(&empty).unwrap();
    airlift.set("PATH", empty.to_str().unwrap());
    copy_folder(&fixture("chart"), &airlift.home().join("chart"));
    let ran = airlift.run(["find", "chart", "--json"]).exits(3);
    assert_eq!(found(&serde_json::from_str(&ran.stdout).unwrap()), expected("chart/native.expected"));
    ran.says(&["helm is not installed", "find.incomplete"]);
    copy_folder(&fixture("kustomization"), &airlift.home().join("kustomization"));
    let ran = airlift.run(["find", "kustomization", "--json"]).exits(3);
    assert_eq!(found(&serde_json::from_str(&ran.stdout).unwrap()), expected("kustomization/native.expected"));
    ran.says(&["kustomize (or kubectl) is not installed"]);
    // Asked for so, it is whole as far as it goes.
    airlift.run(["find", "kustomization", "--no-render"]).success();
}

#[test]
fn helm_gets_the_options_and_none_of_our_secrets() {
    let mut airlift = Airlift::new();
    let bin = airlift.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = "env > \"$3/env.out\"\necho \"$@\" > \"$3/args.out\"\nprintf 'kind: Pod\\napiVersion: v1\\nspec: {containers: [{image: \"quay.io/a/rendered:1\"}]}\\n'\n";
    program(&bin, "helm", script);
    airlift.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    airlift.set("AIRLIFT_PASSWORD", "secret-word").set("AWS_SECRET_ACCESS_KEY", "secret-word");
    copy_folder(&fixture("chart"), &airlift.home().join("chart"));
    let options = ["--values", "v.yaml", "--kube-version", "1.34", "--api-versions", "a/v1"];
    let ran = airlift.run(["find", "chart"].iter().chain(&options)).success();
    assert!(listed(&ran.stdout).contains(&"quay.io/a/rendered:1".to_owned()), "{ran}");
    let environment = fs::read_to_string(airlift.home().join("chart/env.out")).unwrap();
    assert!(!environment.contains("secret-word") && environment.contains("PATH="), "{environment}");
    let arguments = fs::read_to_string(airlift.home().join("chart/args.out")).unwrap();
    assert_eq!(
        arguments.trim(),
        "template airlift chart --include-crds --values v.yaml --kube-version 1.34 --api-versions a/v1"
    );

    program(&bin, "helm", "echo 'notice' >&2\necho 'Error: values need a cluster' >&2\nexit 1\n");
    let ran = airlift.run(["find", "chart"]).exits(3);
    ran.says(&["helm refuses chart: values need a cluster", "helm dependency build"]);
}

#[test]
fn helm_itself_renders_hooks_tests_and_definitions() {
    needs!("helm");
    let mut airlift = Airlift::new();
    airlift.set("PATH", peers::path("helm").parent().unwrap().to_str().unwrap());
    copy_folder(&fixture("chart"), &airlift.home().join("chart"));
    let answer = airlift.json(["find", "chart", "--json"]);
    assert_eq!(found(&answer), expected("chart/rendered.expected"));
    let places = answer.to_string();
    assert!(places.contains("chart: beacon/templates/tests.yaml"), "{places}");
    // A value that the person gives wins over the chart's own.
    fs::write(airlift.home().join("site.yaml"), "exporter: {enabled: true}\n").unwrap();
    let answer = airlift.json(["find", "chart", "--values", "site.yaml", "--json"]);
    assert!(found(&answer).contains(&"sure registry.example.com/chart/exporter:1".to_owned()), "{answer}");
}

#[test]
fn charts_within_a_folder_are_rendered_by_their_own_values() {
    needs!("helm");
    let mut airlift = Airlift::new();
    airlift.set("PATH", peers::path("helm").parent().unwrap().to_str().unwrap());
    let chart = airlift.home().join("deploy/apps/web");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").unwrap();
    fs::write(chart.join("values.yaml"), "parts: [r.example, web]\nunused: {image: r.example/unused:1}\n").unwrap();
    let template = manifest(&["{{ join \"/\" .Values.parts }}:{{ .Chart.Version }}"]);
    fs::write(chart.join("templates/pod.yaml"), template).unwrap();
    fs::write(airlift.home().join("deploy/other.yaml"), manifest(&["r.example/other:1"])).unwrap();
    let found = found(&airlift.json(["find", "deploy", "--json"]));
    assert_eq!(found, ["guess r.example/unused:1", "sure r.example/other:1", "sure r.example/web:1.0.0"]);
    // The same chart as an archive, which a chart repository would give.
    let gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all("web", &chart).unwrap();
    let packed = tar.into_inner().unwrap().finish().unwrap();
    fs::create_dir(airlift.home().join("packed")).unwrap();
    fs::write(airlift.home().join("packed/web-1.0.0.tgz"), packed).unwrap();
    let answer = airlift.json(["find", "packed", "--json"]);
    assert!(self::found(&answer).contains(&"sure r.example/web:1.0.0".to_owned()), "{answer}");
    // One that Helm refuses is said, and the others are found.
    fs::write(chart.join("templates/bad.yaml"), "{{ required \"a value of the site\" .Values.absent }}\n").unwrap();
    let ran = airlift.run(["find", "deploy"]).exits(3);
    assert!(ran.stdout.contains("r.example/other:1"), "{ran}");
    ran.says(&["helm refuses", "a value of the site"]);
    // Without rendering, what the template puts together is not known.
    assert!(!airlift.run(["find", "deploy", "--no-render"]).stdout.contains("r.example/web:1.0.0"));
}

#[test]
fn kustomize_itself_replaces_images() {
    needs!("kustomize");
    let mut airlift = Airlift::new();
    airlift.set("PATH", peers::path("kustomize").parent().unwrap().to_str().unwrap());
    copy_folder(&fixture("kustomization"), &airlift.home().join("kustomization"));
    let answer = airlift.json(["find", "kustomization", "--json"]);
    assert_eq!(found(&answer), expected("kustomization/rendered.expected"));
}

#[test]
fn kubectl_renders_where_kustomize_is_missing() {
    let mut airlift = Airlift::new();
    let bin = airlift.home().join("bin");
    fs::create_dir(&bin).unwrap();
    let pod = "kind: Pod\\napiVersion: v1\\nspec: {containers: [{image: \"quay.io/a/rendered:1\"}]}\\n";
    program(&bin, "kubectl", &format!("echo \"$@\" > \"$2/args.out\"\nprintf '{pod}'\n"));
    airlift.set("PATH", bin.to_str().unwrap());
    copy_folder(&fixture("kustomization"), &airlift.home().join("kustomization"));
    let ran = airlift.run(["find", "kustomization"]).success();
    assert_eq!(listed(&ran.stdout), ["quay.io/a/rendered:1"]);
    let arguments = fs::read_to_string(airlift.home().join("kustomization/args.out")).unwrap();
    assert_eq!(arguments.trim(), "kustomize kustomization");
}

#[test]
fn a_registry_gives_the_tags_and_repositories_that_are_chosen() {
    let (airlift, serving) = (Airlift::new(), Serving::empty());
    for tag in ["1.0", "1.10", "v1.9", "2.0", "nightly", &format!("sha256-{}.sig", "a".repeat(64))] {
        push(&serving, "team/app", tag);
    }
    push(&serving, "team/other", "1.0");
    push(&serving, "shop/app", "1.0");
    let address = serving.address();
    let find = |options: &[&str]| -> Vec<String> {
        let list = airlift.run(["find"].iter().chain(options)).success().stdout;
        let names = listed(&list).into_iter().map(|name| name.replace(&format!("{address}/"), ""));
        names.collect()
    };
    let app = format!("{address}/team/app");
    assert_eq!(find(&[&app, "--tags", "semver:>=1.2, <2"]), ["team/app:1.10", "team/app:v1.9"]);
    assert_eq!(find(&[&app, "--tags", "re:^1\\.", "--latest", "1"]), ["team/app:1.10"]);
    assert_eq!(find(&[&app, "--latest", "10"]).len(), 5);
    assert_eq!(find(&[address, "--repositories", "team/*", "--latest", "1"]), ["team/app:2.0", "team/other:1.0"]);
    let none = airlift.run(["find", &app, "--tags", "re:^none$"]).exits(3);
    none.says(&["none of its 6 tags is chosen"]);
    airlift.run(["find", &app]).exits(2).says(&["cannot be read"]);
    airlift.run(["find", "127.0.0.1:1/a/b", "--latest", "1"]).exits(1).says(&["error[registry.unreachable]"]);
}

#[test]
fn tags_are_pinned_and_choices_of_lists_are_looked_up() {
    let (airlift, serving) = (Airlift::new(), Serving::empty());
    let address = serving.address();
    let digest = push(&serving, "team/app", "1.0");
    push(&serving, "team/tool", "v1.1");
    push(&serving, "team/tool", "v2.0");
    let missing = format!("{address}/team/missing:1");
    fs::write(airlift.home().join("a.yaml"), manifest(&[&format!("{address}/team/app:1.0"), &missing])).unwrap();
    let ran = airlift.run(["find", "a.yaml", "--pin"]).exits(3);
    assert_eq!(listed(&ran.stdout), [format!("{address}/team/app:1.0@{digest}"), missing]);
    ran.says(&["team/missing:1: it is not pinned"]);

    let list = format!("\"{address}\":\n  images-by-tag-regex:\n    team/tool: ^v1\n");
    fs::write(airlift.home().join("sync.yaml"), list).unwrap();
    airlift.run(["find", "sync.yaml"]).exits(3).says(&["sync.yaml, line 3", "--pin"]);
    airlift.run(["export", "-f", "sync.yaml", "-o", "b.tar"]).exits(2).says(&[
        "error[usage.list-query]",
        "line 3",
        "--pin",
    ]);
    let ran = airlift.run(["find", "sync.yaml", "--pin"]).success();
    let names = listed(&ran.stdout);
    assert!(names.len() == 1 && names[0].starts_with(&format!("{address}/team/tool:v1.1@sha256:")), "{ran}");
}

/// A chart as `helm package` makes one.
fn packed_chart() -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let chart =
        "apiVersion: v2\nname: app\nversion: 1.0.0\nannotations:\n  images: |\n    - image: quay.io/chart/app:1\n";
    for (name, content) in
        [("app/Chart.yaml", chart), ("app/values.yaml", "image: {repository: quay.io/chart/side, tag: 2}\n")]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_chart_in_a_registry_is_fetched_and_searched() {
    let (airlift, serving) = (Airlift::new(), Serving::empty());
    let config = serving.push_blob("charts/app", b"{\"name\":\"app\"}");
    let layer = serving.push_blob("charts/app", &packed_chart());
    let document = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": layer.digest, "size": layer.size}],
    });
    assert_eq!(serving.push_manifest("charts/app", "1.0.0", &document).status, 201);
    let chart = format!("oci://{}/charts/app:1.0.0", serving.address());
    let answer = airlift.json(["find", &chart, "--no-render", "--json"]);
    assert_eq!(found(&answer), ["likely quay.io/chart/side:2", "sure quay.io/chart/app:1"]);
    assert!(answer.to_string().contains(&format!("{chart}/Chart.yaml")), "{answer}");
    push(&serving, "team/app", "1");
    let image = format!("oci://{}/team/app:1", serving.address());
    airlift.run(["find", &image]).exits(1).says(&["error[find.archive]", "is not a Helm chart"]);
}

#[test]
fn an_export_names_the_line_of_what_it_does_not_do() {
    let airlift = Airlift::new();
    let list = "kind: ZarfPackageConfig\ncomponents:\n  - name: a\n    images: [quay.io/a/b:1]\n    repos: [https://git.example.com/a]\n";
    fs::write(airlift.home().join("zarf.yaml"), list).unwrap();
    let ran: Ran = airlift.run(["export", "-f", "zarf.yaml", "-o", "b.tar"]).exits(2);
    ran.says(&["error[usage.list-unsupported]", "zarf.yaml, line 5: Git repositories are not carried"]);
    let ran = airlift.run(["find", "zarf.yaml"]).exits(3);
    assert_eq!(listed(&ran.stdout), ["quay.io/a/b:1"]);
    ran.says(&["zarf.yaml, line 5: Git repositories are not carried"]);
}

#[test]
fn links_out_of_a_folder_are_not_followed() {
    let airlift = Airlift::new();
    let home = airlift.home();
    fs::create_dir(home.join("deploy")).unwrap();
    fs::write(home.join("outside.yaml"), manifest(&["quay.io/a/outside:1"])).unwrap();
    fs::write(home.join("deploy/a.yaml"), manifest(&["quay.io/a/inside:1"])).unwrap();
    symlink("../outside.yaml", home.join("deploy/b.yaml")).unwrap();
    symlink("..", home.join("deploy/up")).unwrap();
    let ran = airlift.run(["find", "deploy"]).success();
    assert_eq!(listed(&ran.stdout), ["quay.io/a/inside:1"]);
    ran.says(&["deploy/b.yaml: it is a link and was not followed"]);
    // A path that the person names is followed, wherever it leads.
    let ran = airlift.run(["find", "deploy/../outside.yaml"]).success();
    assert_eq!(listed(&ran.stdout), ["quay.io/a/outside:1"]);
}

/// The page of rules has every rule that finds something in the fixtures.
#[test]
fn the_page_of_rules_names_each_rule() {
    let airlift = Airlift::new();
    let folder = fixture("");
    let ran = airlift.run(["find", folder.to_str().unwrap(), "--no-render", "--json"]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let origins =
        answer["artifacts"].as_array().unwrap().iter().flat_map(|artifact| artifact["origins"].as_array().unwrap());
    let mut rules: Vec<&str> = origins.map(|origin| origin["rule"].as_str().unwrap()).collect();
    rules.sort_unstable();
    rules.dedup();
    assert!(rules.len() > 15, "{rules:?}");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/find.md")).unwrap();
    for rule in rules {
        assert!(page.contains(&format!("`{rule}`")), "docs/find.md lacks {rule}");
    }
}

/// Every example of the page is read, and gives something.
#[test]
fn the_examples_of_the_page_of_lists_are_read() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lists.md")).unwrap();
    let mut count = 0;
    for block in page.split("\n```").skip(1).step_by(2) {
        let (language, text) = block.split_once('\n').unwrap();
        assert!(matches!(language, "text" | "yaml"), "{language}");
        let list = lists::parse(text, "example", None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(!list.artifacts.is_empty(), "{text}");
        assert!(list.unsupported.is_empty(), "{:?}\n{text}", list.unsupported);
        count += 1;
    }
    assert!(count >= 17, "{count}");
}
