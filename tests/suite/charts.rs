//! Charts of chart repositories as artifacts, against `helm` itself.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::support::{
    Airlift, Helm, Options, Registry,
    helm::packed,
    hostile::{Hostile, Reply, Request},
    needs,
};

/// When the charts of these tests were written.
const TIME: u64 = 1_700_000_000;

/// Metadata with everything that Helm changes on its way into JSON.
const METADATA: &str = r#"apiVersion: v2
name: web
version: 1.2.3+build.5
appVersion: 1.10
description: |
  Serves <pages> & "more",
  quickly.
home: https://web.example/?a=1&b=2
icon: https://web.example/icon.svg
keywords: [web, 2, yes]
sources: ["https://git.example/web", "https://git.example/other"]
maintainers:
  - {name: Ann, email: ann@example.com, url: "https://ann.example"}
  - {name: Bob}
kubeVersion: ">=1.25.0-0"
deprecated: false
type: application
condition: web.enabled
tags: a,b
annotations:
  org.opencontainers.image.title: another
  org.opencontainers.image.licenses: Apache-2.0
  example.com/number: 12345678.5
  example.com/truth: true
  example.com/empty:
unknown: {a: [1]}
dependencies:
  - name: base
    version: ^2.0
    repository: https://charts.example.com
    condition: base.enabled
    tags: [x, 1]
    import-values: [data, {child: a, parent: b, n: 1.50}]
    alias: foundation
"#;

fn plain(version: &str) -> String {
    format!("apiVersion: v1\nname: web\nversion: {version}\n")
}

/// A file of a chart repository, written at [`TIME`].
fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(TIME)).unwrap();
    path
}

/// Serves the files of a folder below `/stable/`.
fn files(folder: &Path) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let folder = folder.to_owned();
    move |request| {
        let name = request.path.strip_prefix("/stable/").unwrap_or("absent");
        fs::read(folder.join(name)).map_or_else(|_| Reply::new(404), Reply::ok)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_a_repository_is_the_artifact_that_helm_pushes_and_helm_pulls_it() {
    needs!("docker-registry", "helm");
    let (ours, theirs) = (Registry::start(Options::default()), Registry::start(Options::default()));
    let (airlift, helm) = (Airlift::new(), Helm::new());
    let folder = airlift.home().join("repository");
    fs::create_dir(&folder).unwrap();
    let archive = write(&folder, "web-1.2.3+build.5.tgz", &packed("web", METADATA, TIME));
    write(&folder, "web-1.2.3+build.5.tgz.prov", b"-----BEGIN PGP SIGNED MESSAGE-----\n");
    write(&folder, "web-1.0.0.tgz", &packed("web", &plain("1.0.0"), TIME));
    helm.run(["repo", "index", folder.to_str().unwrap()]).success();
    let server = Hostile::start(|_| files(&folder)).await;

    let chart = format!("chart:http://{}/stable#web@^1.1", server.address());
    airlift.run(["export", &chart, "-o", "a.tar"]).success();
    airlift.run(["import", "a.tar", "--to", ours.address()]).success();
    helm.run(["push", archive.to_str().unwrap(), &format!("oci://{}/stable", theirs.address()), "--plain-http"])
        .success();
    let (our, their) = (
        ours.manifest("stable/web", "1.2.3_build.5").unwrap(),
        theirs.manifest("stable/web", "1.2.3_build.5").unwrap(),
    );
    assert_eq!(String::from_utf8_lossy(our.raw()), String::from_utf8_lossy(their.raw()));
    for blob in their.blobs() {
        assert_eq!(ours.blob("stable/web", &blob.digest), theirs.blob("stable/web", &blob.digest));
    }
    let out = airlift.home().join("out");
    fs::create_dir(&out).unwrap();
    let from = format!("oci://{}/stable/web", ours.address());
    helm.run(["pull", &from, "--version", "1.2.3+build.5", "--plain-http", "--prov", "-d", out.to_str().unwrap()])
        .success();
    for name in ["web-1.2.3+build.5.tgz", "web-1.2.3+build.5.tgz.prov"] {
        assert!(fs::read(out.join(name)).unwrap() == fs::read(folder.join(name)).unwrap(), "{name}");
    }
    // A chart on this machine is the same artifact, under another name.
    airlift.run(["export", "chart:repository/web-1.2.3+build.5.tgz", "-o", "b.tar"]).success();
    airlift.run(["import", "b.tar", "--to", ours.address()]).success();
    assert_eq!(ours.manifest("charts/web", "1.2.3_build.5").unwrap().raw(), their.raw());
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_as_helm_packages_them_and_old_ones_are_the_artifacts_that_helm_pushes() {
    needs!("docker-registry", "helm");
    let registry = Registry::start(Options::default());
    let (airlift, helm) = (Airlift::new(), Helm::new());
    let home = airlift.home();
    helm.run(["create", home.join("made").to_str().unwrap()]).success();
    helm.run(["package", home.join("made").to_str().unwrap(), "-d", home.to_str().unwrap()]).success();
    let old = "name: old\nversion: 0.1.0\nappVersion: 010\nmaintainers: []\ndeprecated: true\n";
    write(home, "old-0.1.0.tgz", &packed("old", old, TIME));
    for (name, version, is_fixed) in [("made", "0.1.0", false), ("old", "0.1.0", true)] {
        let file = format!("{name}-{version}.tgz");
        airlift.run(["mirror", &format!("chart:{file}"), "--to", &format!("{}/ours", registry.address())]).success();
        helm.run([
            "push",
            home.join(&file).to_str().unwrap(),
            &format!("oci://{}/theirs", registry.address()),
            "--plain-http",
        ])
        .success();
        let manifest = |repository: &str| {
            let found = registry.manifest(&format!("{repository}/{name}"), version).unwrap();
            let mut document: serde_json::Value = serde_json::from_slice(found.raw()).unwrap();
            if !is_fixed {
                document["annotations"].as_object_mut().unwrap().remove("org.opencontainers.image.created").unwrap();
            }
            document.to_string()
        };
        assert_eq!(manifest("ours/charts"), manifest("theirs"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_that_is_not_what_its_index_says_is_refused() {
    let airlift = Airlift::new();
    let folder = airlift.home().join("repository");
    fs::create_dir(&folder).unwrap();
    write(&folder, "web-1.0.0.tgz", &packed("web", &plain("1.0.0"), TIME));
    write(&folder, "none.tgz", b"no archive");
    let server = Hostile::start(|_| files(&folder)).await;
    let address = server.address();
    let ask = |index: &str, chart: &str, code: i32| {
        fs::write(folder.join("index.yaml"), index).unwrap();
        airlift.run(["export", &format!("chart:http://{address}/stable#{chart}"), "-o", "a.tar"]).exits(code)
    };
    let entry = |version: &str, rest: &str| format!("entries:\n  web:\n  - version: {version}\n    {rest}\n");
    let wrong = format!("digest: {}\n    urls: [web-1.0.0.tgz]", "0".repeat(64));
    for (index, chart, code, parts) in [
        (entry("1.0.0", &wrong), "web", 4, &["error[chart.digest-mismatch]"][..]),
        (entry("1.0.1", "urls: [web-1.0.0.tgz]"), "web", 1, &["error[chart.malformed]", "the archive is web 1.0.0"]),
        (entry("1.0.0", "urls: [none.tgz]"), "web", 1, &["error[chart.malformed]", "not a packed chart"]),
        (entry("1.0.0", "urls: ['file:///etc/passwd']"), "web", 1, &["error[chart.malformed]", "no valid address"]),
        (entry("1.0.0", "urls: ['http://10.1.2.3/x.tgz']"), "web", 1, &["error[registry.policy]", "10.1.2.3"]),
        (entry("1.0.0", "urls: [absent.tgz]"), "web", 1, &["error[registry.not-found]", "absent.tgz"]),
        (entry("1.0.0", "digest: zzz\n    urls: [web-1.0.0.tgz]"), "web", 1, &["error[chart.malformed]", "zzz"]),
        (entry("1.0.0", "urls: [web-1.0.0.tgz]"), "web@2", 1, &["error[chart.not-found]", "1.0.0"]),
        (entry("1.0.0", "urls: [web-1.0.0.tgz]"), "app", 1, &["error[chart.not-found]", "no chart of that name"]),
        ("entries: ]".to_owned(), "web", 1, &["error[chart.malformed]", "index.yaml"]),
        ("<html>log in</html>".to_owned(), "web", 1, &["error[registry.protocol]"]),
    ] {
        ask(&index, chart, code).says(parts);
        assert!(!airlift.home().join("a.tar").exists());
    }
    let unproven = ask(&entry("1.0.0", "urls: [web-1.0.0.tgz]"), "web", 0);
    assert!(unproven.stderr.contains("has no digest"), "{unproven}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_of_a_chart_of_a_repository_are_found() {
    let airlift = Airlift::new();
    let folder = airlift.home().join("repository");
    fs::create_dir(&folder).unwrap();
    let images = "annotations:\n  images: |\n    - {name: web, image: 'r.example/web:1'}\n";
    let archive = packed("web", &(plain("1.0.0") + images), TIME);
    write(&folder, "web-1.0.0.tgz", &archive);
    let digest = airlift::oci::Digest::sha256(&archive);
    let index = format!("entries: {{web: [{{version: 1.0.0, digest: {}, urls: [web-1.0.0.tgz]}}]}}\n", digest.hex());
    fs::write(folder.join("index.yaml"), index).unwrap();
    let server = Hostile::start(|_| files(&folder)).await;
    let entry = format!("chart:http://{}/stable#web@1.x", server.address());
    let found = airlift.run(["find", &entry, "--no-render"]).success();
    assert!(found.stdout.starts_with("r.example/web:1  # find: sure chart-annotation"), "{found}");
    // In a list, the entry is not an image, and says what to do.
    fs::write(airlift.home().join("images.txt"), format!("{entry}\nr.example/other:1\n")).unwrap();
    let listed = airlift.run(["find", "images.txt"]).success();
    assert!(listed.stdout.contains("r.example/other:1") && listed.stderr.contains("finds its images"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_asks_gets_credentials_and_another_host_does_not() {
    let airlift = Airlift::new();
    let folder = airlift.home().join("repository");
    fs::create_dir(&folder).unwrap();
    let archive = packed("web", &plain("1.0.0"), TIME);
    write(&folder, "web-1.0.0.tgz", &archive);
    let other = Hostile::start(|_| files(&folder)).await;
    let index = format!(
        "entries:\n  web:\n  - version: 1.0.0\n    digest: {}\n    urls: ['http://{}/stable/web-1.0.0.tgz']\n",
        airlift::oci::Digest::sha256(&archive).hex(),
        other.address()
    );
    fs::write(folder.join("index.yaml"), index).unwrap();
    let (inner, expected) = (files(&folder), format!("Basic {}", STANDARD.encode("user:secret")));
    let server = Hostile::start(|_| {
        move |request: &Request| {
            if request.header("authorization") == expected {
                return inner(request);
            }
            Reply::new(401).header("www-authenticate", "Basic realm=\"charts\"")
        }
    })
    .await;
    let chart = format!("chart:http://{}/stable#web@1.0.0", server.address());
    airlift.run(["export", &chart, "-o", "a.tar"]).exits(5).says(&["error[registry.unauthorized]"]);
    let entry = serde_json::json!({"auths": {server.address(): {"auth": STANDARD.encode("user:secret")}}});
    fs::write(airlift.home().join("auth.json"), entry.to_string()).unwrap();
    airlift.run(["export", &chart, "-o", "a.tar", "--authfile", "auth.json"]).success();
    assert!(other.requests().iter().all(|request| request.header("authorization").is_empty()));
    assert!(other.lines().contains(&"GET /stable/web-1.0.0.tgz".to_owned()));
}
