//! `mirror-config`: what it writes, and what the runtimes make of it.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use airlift::{bundle::Reader, server::Config};
use serde_json::Value;

use crate::support::{
    Airlift, Containerd, Podman, Serving, Skopeo, artifacts::Artifact, http::block_on, needs, packed::Packed, peers,
};

fn bundle(path: &Path) -> Artifact {
    let image = Artifact::multi_platform(1, 5000);
    let packed = Packed::new()
        .with("docker.io/library/nginx:1", image.clone())
        .with("registry.example:8443/team/app:2", Artifact::small(9, 100));
    block_on(packed.write(path));
    image
}

/// Every file of the output folder, by its path.
fn tree(folder: &Path) -> String {
    let mut files = crate::support::process::files_below(folder);
    files.sort();
    let show = |file: String| {
        let path = folder.join(&file);
        format!("== {}\n{}", path.strip_prefix(folder).unwrap().display(), fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(show).collect()
}

#[test]
fn the_files_of_every_runtime_are_as_they_were() {
    let airlift = Airlift::new();
    bundle(&airlift.home().join("b.tar"));
    for (name, mirror) in [("plain", "http://10.0.0.5:5000"), ("prefixed", "https://registry.site/mirror")] {
        airlift.run(["mirror-config", "b.tar", "--mirror", mirror, "-o", name]).success();
        insta::assert_snapshot!(format!("mirror_config_{name}"), tree(&airlift.home().join(name)));
    }
    airlift.run(["mirror-config", "b.tar", "--mirror", "ftp://x/../y"]).exits(2);
    let one = airlift.run(["mirror-config", "b.tar", "--mirror", "m:1", "--for", "docker"]).success();
    let settings: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(settings["registry-mirrors"][0], "https://m:1");
}

/// What an import made by its options is where the files point.
#[test]
fn the_files_follow_the_options_of_the_import() {
    let airlift = Airlift::new();
    bundle(&airlift.home().join("b.tar"));
    let written = |options: &[&str], runtime: &str| {
        let mirror = ["mirror-config", "b.tar", "--mirror", "m:1", "--for", runtime];
        airlift.run(mirror.iter().chain(options)).success()
    };
    let podman = |options: &[&str]| written(options, "podman").stdout;
    // Without options: what is served, and what an import without options makes.
    assert!(podman(&[]).contains("location = \"m:1/docker.io\"") && podman(&[]).contains("location = \"m:1\""));
    let kept = podman(&["--keep-host", "--prefix", "site/mirror"]);
    assert!(kept.contains("location = \"m:1/site/mirror/docker.io\""), "{kept}");
    assert!(kept.contains("location = \"m:1/site/mirror/registry.example-8443\""), "{kept}");
    let mapped = podman(&["--map", "docker.io/library=base", "--map", "team=t"]);
    for part in [
        "prefix = \"docker.io/library\"",
        "location = \"m:1/base\"",
        "prefix = \"registry.example:8443/team\"",
        "location = \"m:1/t\"",
    ] {
        assert!(mapped.contains(part), "{part}: {mapped}");
    }
    let containerd = written(&["--keep-host"], "containerd").stdout;
    assert!(containerd.contains("[host.\"https://m:1/v2/docker.io\"]") && containerd.contains("override_path = true"));
    let docker = written(&["--keep-host"], "docker");
    assert!(!docker.stdout.contains("registry-mirrors"), "{}", docker.stdout);
    assert!(
        docker.stderr.contains("docker cannot find docker.io at the mirror; pull m:1/docker.io/"),
        "{}",
        docker.stderr
    );
    assert!(written(&["--map", "docker.io/library=base"], "k3s").stderr.contains("pull m:1/base/"));
}

#[test]
fn yaml_and_json_are_read_back() {
    let airlift = Airlift::new();
    bundle(&airlift.home().join("b.tar"));
    airlift.run(["mirror-config", "b.tar", "--mirror", "m:1", "-o", "out"]).success();
    let text = |path: &str| fs::read_to_string(airlift.home().join("out").join(path)).unwrap();
    let k3s: Value = serde_saphyr::from_str(&text("k3s/registries.yaml")).unwrap();
    assert_eq!(k3s["mirrors"]["registry.example:8443"]["endpoint"][0], "https://m:1");
    let sets: Vec<Value> = serde_saphyr::from_multiple(&text("openshift/mirrors.yaml")).unwrap();
    assert_eq!(sets.len(), 2);
    assert_eq!(sets[1]["spec"]["imageTagMirrors"][0]["mirrors"][0], "m:1/docker.io");
}

/// dockerd reads its configuration before it minds who runs it: a person who may not run it hears of that only where the file
/// was good.
#[test]
fn docker_takes_what_was_written_and_nothing_else() {
    needs!("dockerd", "setpriv");
    let airlift = Airlift::new();
    bundle(&airlift.home().join("b.tar"));
    airlift.run(["mirror-config", "b.tar", "--mirror", "http://10.0.0.5:5000", "-o", "out"]).success();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let said_of = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let mut command = Command::new(peers::path("setpriv"));
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        let ran = command.arg(peers::path("dockerd")).arg("--config-file").arg(&path).output().unwrap();
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let written = fs::read_to_string(airlift.home().join("out/docker/daemon.json")).unwrap();
    let said = said_of("written.json", &written);
    assert!(said.contains("needs to be started with root privileges"), "{said}");
    let said = said_of("other.json", &written.replace("registry-mirrors", "registry-mirrorz"));
    assert!(said.contains("unable to configure the Docker daemon with file"), "{said}");
}

/// What `tests/parsers` makes of a file.
fn parsers(arguments: &[&str]) -> String {
    let ran = Command::new(peers::path("mirror-parsers")).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

#[test]
fn k3s_pulls_by_its_own_code_and_openshift_decodes_by_its_own_types_what_was_written() {
    needs!("mirror-parsers");
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    let image = bundle(&path);
    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()]));
    airlift.run(["mirror-config", "b.tar", "--mirror", serving.address(), "-o", "out"]).success();
    let out = |file: &str| airlift.home().join("out").join(file).to_str().unwrap().to_owned();

    let k3s = out("k3s/registries.yaml");
    let pulled = |reference: &str| parsers(&["k3s", &k3s, reference]);
    assert_eq!(pulled("registry.example:8443/team/app:2"), Artifact::small(9, 100).digest().to_string());
    let child = pulled("docker.io/library/nginx:1");
    assert!(image.manifests().iter().any(|manifest| manifest.digest().to_string() == child), "{child}");

    let sets: Value = serde_json::from_str(&parsers(&["openshift", &out("openshift/mirrors.yaml")])).unwrap();
    let set = |kind: &str, source: &str, path: &str| {
        let mirrors = [format!("{}/{path}", serving.address()), serving.address().to_owned()];
        serde_json::json!({"kind": kind, "source": source, "mirrors": mirrors, "policy": "NeverContactSource"})
    };
    let expected: Vec<Value> = ["ImageDigestMirrorSet", "ImageTagMirrorSet"]
        .into_iter()
        .flat_map(|kind| {
            [set(kind, "docker.io", "docker.io"), set(kind, "registry.example:8443", "registry.example-8443")]
        })
        .collect();
    assert_eq!(sets, Value::Array(expected));
}

#[test]
fn skopeo_and_containerd_find_the_mirror_by_what_was_written() {
    needs!("skopeo", "containerd", "ctr");
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    let image = bundle(&path);
    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()]));
    airlift.run(["mirror-config", "b.tar", "--mirror", serving.address(), "-o", "out"]).success();
    let out = airlift.home().join("out");

    let conf = out.join("podman/airlift.conf");
    let skopeo = Skopeo::new();
    let inspected = |name: &str| {
        skopeo.run(["--registries-conf", conf.to_str().unwrap(), "inspect", "--raw", name]).success().stdout
    };
    assert_eq!(inspected("docker://docker.io/library/nginx:1").as_bytes(), image.root.raw());
    inspected("docker://registry.example:8443/team/app:2");

    let containerd = Containerd::start();
    let hosts = out.join("containerd/certs.d");
    let hosts = hosts.to_str().unwrap();
    containerd
        .ctr(["content", "fetch", "--all-platforms", "--hosts-dir", hosts, "docker.io/library/nginx:1"])
        .success();
    assert!(containerd.content().contains(&image.digest().to_string()));
}

/// The way of docs/k3s.md: the bundle as it is into the containerd of k3s, and a pull under the source's name by way of a mirror.
#[test]
fn containerd_as_k3s_has_it_takes_the_bundle_as_it_is_and_pulls_from_the_mirror() {
    needs!("containerd", "ctr");
    let airlift = Airlift::new();
    let path = airlift.home().join("b.tar");
    let image = bundle(&path);
    let node = Containerd::start();
    let kubernetes = |args: &[&str]| node.ctr(["--namespace", "k8s.io"].iter().chain(args)).success().stdout;
    kubernetes(&["images", "import", "--no-unpack", path.to_str().unwrap()]);
    let listed = kubernetes(&["images", "list"]);
    let line = |listed: &str, name: &str| listed.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    let own = line(&listed, "docker.io/library/nginx:1 ").unwrap_or_else(|| panic!("{listed}"));
    assert!(own.contains(&image.digest().to_string()), "{own}");
    assert!(line(&listed, "registry.example:8443/team/app:2 ").is_some(), "{listed}");

    let other = Containerd::start();
    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path)).unwrap()]));
    let mirror = ["mirror-config", "b.tar", "--mirror", serving.address(), "--for", "containerd", "-o", "out"];
    airlift.run(mirror).success();
    let hosts = airlift.home().join("out/containerd/certs.d");
    let fetch = ["--namespace", "k8s.io", "content", "fetch", "--hosts-dir", hosts.to_str().unwrap()];
    other.ctr(fetch.iter().chain(&["docker.io/library/nginx:1"])).success();
    let listed = other.ctr(["--namespace", "k8s.io", "images", "list"]).success().stdout;
    let pulled = line(&listed, "docker.io/library/nginx:1 ").unwrap_or_else(|| panic!("{listed}"));
    assert!(pulled.contains(&image.digest().to_string()), "{pulled}");
}

#[test]
fn podman_pulls_under_the_sources_name_by_what_was_written() {
    needs!("podman", "tar");
    let airlift = Airlift::new();
    let path = |name: &str| airlift.home().join(name);
    // Podman unpacks what it pulls, so it must be an image that it made.
    fs::create_dir(path("root")).unwrap();
    fs::write(path("root/file"), "content").unwrap();
    let archive = path("root.tar");
    let tar = Command::new("tar").arg("-C").arg(path("root")).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(tar.success());
    let podman = Podman::new();
    let id = podman.run(["import", "--quiet", archive.to_str().unwrap(), "localhost/made:1"]).success();
    let source = Serving::empty();
    let name = format!("{}/team/made:1", source.address());
    podman.run(["push", "--quiet", "--tls-verify=false", "localhost/made:1", &format!("docker://{name}")]).success();
    podman.run(["rmi", "--force", "localhost/made:1"]).success();
    airlift.run(["export", &name, "-o", "bundle.tar"]).success();
    drop(source);

    let serving = Serving::new(Config::bundles(vec![block_on(Reader::open(&path("bundle.tar"))).unwrap()]));
    let mirror = ["mirror-config", "bundle.tar", "--mirror", serving.address(), "--for", "podman", "-o", "out"];
    airlift.run(mirror).success();
    let conf = path("out/podman/airlift.conf");
    let told = [("CONTAINERS_REGISTRIES_CONF", conf.to_str().unwrap())];
    // The source is gone: only the mirror can answer.
    let pulled = podman.run_with(&told, ["pull", "--quiet", &name]).success();
    assert_eq!(pulled.stdout.trim(), id.stdout.trim().trim_start_matches("sha256:"));
}
