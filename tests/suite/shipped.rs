//! What `scripts/package` makes of a binary, and what the forges read. The binary is a small one of C, since the packages of the
//! real one take minutes; `tests/dist.sh` makes those.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Airlift, Options, Ran, Registry, artifacts::Artifact, needs, peers, process::files_below};

/// Speaks as much of the command line as packaging asks for.
const PROGRAM: &str = r##"
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
  char path[4096];
  if (count == 3 && !strcmp(words[1], "man")) {
    snprintf(path, sizeof path, "%s/airlift.1", words[2]);
    FILE *page = fopen(path, "w");
    return !page || fputs(".TH airlift 1\n", page) < 0 || fclose(page);
  }
  return !(count == 3 && !strcmp(words[1], "completions") && printf("# for %s\n", words[2]) > 0);
}
"##;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str) -> Command {
    let mut command = Command::new(root().join("scripts").join(name));
    // A clone without history, as a forge makes one, has a commit; a folder of sources has none.
    command.env("SOURCE_DATE_EPOCH", "1790000000");
    command
}

fn package(binary: &Path, out: &Path) {
    Ran::of(script("package").arg("-o").arg(out).arg(binary)).success();
}

fn small_binary(folder: &Path) -> PathBuf {
    let (source, binary) = (folder.join("small.c"), folder.join("small"));
    fs::write(&source, PROGRAM).unwrap();
    Ran::of(Command::new(peers::path("cc")).arg("-o").arg(&binary).arg(source)).success();
    binary
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = files_below(folder);
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(folder.join(file)).unwrap())).collect()
}

/// The paths of a listing, without folders.
fn listed(command: &mut Command, column: usize) -> BTreeSet<String> {
    let ran = Ran::of(command).success();
    let lines = ran.stdout.lines().filter(|line| !line.ends_with('/'));
    let paths = lines.filter_map(|line| line.split_whitespace().nth(column));
    paths.map(|path| path.trim_start_matches('.').trim_start_matches('/').to_owned()).collect()
}

#[test]
fn the_same_binary_gives_the_same_packages_whose_sums_are_right_and_whose_files_are_all_there() {
    needs!("cc", "dpkg-deb", "rpmbuild", "rpm", "jq", "skopeo", "sha256sum");
    let folder = TempDir::new().unwrap();
    let binary = small_binary(folder.path());
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::thread::scope(|scope| {
        scope.spawn(|| package(&binary, &first));
        scope.spawn(|| package(&binary, &second));
    });
    let (one, other) = (contents(&first), contents(&second));
    assert!(one.len() > 8, "{}", one.len());
    for ((name, bytes), (other, others)) in one.iter().zip(&other) {
        assert_eq!((name, bytes == others), (other, true), "{name} differs");
    }

    let version = env!("CARGO_PKG_VERSION");
    let machine = std::env::consts::ARCH;
    let name = format!("airlift-{version}-{machine}-linux");
    Ran::of(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&first)).success();
    let sums = fs::read_to_string(first.join("SHA256SUMS")).unwrap();
    let top = fs::read_dir(&first).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()).count();
    assert_eq!(sums.lines().count() + 1, top, "{sums}");

    let archive = listed(Command::new("tar").arg("-tvf").arg(first.join(format!("{name}.tar.gz"))), 5);
    for file in ["airlift", "LICENSE", "NOTICE", "THIRD-PARTY.txt", "man/airlift.1", "completions/airlift.zsh"] {
        assert!(archive.contains(&format!("{name}/{file}")), "{file}: {archive:?}");
    }
    let debian = fs::read_dir(&first).unwrap().map(|entry| entry.unwrap().path());
    let debian = debian.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect::<Vec<_>>();
    let deb = listed(Command::new(peers::path("dpkg-deb")).arg("--contents").arg(&debian[0]), 5);
    let rpm = first.join(format!("airlift-{version}-1.{machine}.rpm"));
    let rpm = listed(Command::new(peers::path("rpm")).args(["-q", "-p", "--list"]).arg(rpm), 0);
    for file in ["usr/bin/airlift", "usr/share/man/man1/airlift.1.gz", "usr/share/bash-completion/completions/airlift"]
    {
        assert!(deb.contains(file) && rpm.contains(file), "{file}: {deb:?} {rpm:?}");
    }

    let image = format!("oci:{}", first.join(format!("{name}-image")).display());
    let config = Ran::of(Command::new(peers::path("skopeo")).args(["inspect", "--config", &image])).success().stdout;
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    let bundle = first.join(format!("{name}-image.tar"));
    Airlift::new().run(["verify", bundle.to_str().unwrap()]).success();
}

/// Every crate that the program is made of, by cargo's own account, with the sum of its archive and what it uses.
#[test]
fn the_list_of_parts_names_each_crate_with_its_sum_and_the_notices_have_their_licences() {
    needs!("python3");
    let run = |what: &str| Ran::of(script("crates.py").arg(what)).success().stdout;
    let document: Value = serde_json::from_str(&run("sbom")).unwrap();
    assert_eq!((&document["bomFormat"], &document["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let parts = document["components"].as_array().unwrap();
    let text = |part: &Value, key: &str| part[key].as_str().unwrap().to_owned();
    let mut known: BTreeSet<String> = parts.iter().map(|part| text(part, "bom-ref")).collect();
    assert_eq!(known.len(), parts.len(), "each has one name");
    known.insert(text(&document["metadata"]["component"], "bom-ref"));
    for dependency in document["dependencies"].as_array().unwrap() {
        let uses = dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]);
        for one in uses {
            assert!(known.contains(one.as_str().unwrap()), "{one} is not in the list");
        }
    }
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for part in parts.iter().filter(|part| part["hashes"].is_array()) {
        assert!(lock.contains(part["hashes"][0]["content"].as_str().unwrap()), "{part}");
    }
    let names: BTreeSet<String> = parts.iter().map(|part| text(part, "name")).collect();
    assert!(["rustls", "libsqlite3-sys", "hickory-resolver"].iter().all(|name| names.contains(*name)), "{names:?}");
    assert!(["proptest", "rcgen", "insta"].iter().all(|name| !names.contains(*name)), "no crates of tests: {names:?}");

    let notices = run("notices");
    for part in parts.iter().filter(|part| part["name"] != "glibc") {
        let head = format!("{} {}\n  licence: ", text(part, "name"), text(part, "version"));
        assert!(notices.contains(&head), "{head}");
    }
    assert!(notices.contains("GNU Lesser General Public License") && notices.contains("Permission is hereby granted"));
}

#[test]
fn the_forge_reads_its_workflows() {
    needs!("actionlint");
    let lint = |files: &[PathBuf]| {
        Ran::of(Command::new(peers::path("actionlint")).args(["-no-color", "-shellcheck=", "-pyflakes="]).args(files))
    };
    let folder = root().join(".github/workflows");
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "{files:?}");
    lint(&files).success();
    let wrong = TempDir::new().unwrap();
    let path = wrong.path().join("wrong.yml");
    fs::write(&path, fs::read_to_string(&files[0]).unwrap().replace("runs-on:", "run-on:")).unwrap();
    assert_ne!(lint(&[path]).code, Some(0), "it finds what is wrong");
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// Runs a script of a workflow in the home, with `airlift` in its PATH.
fn run_script(airlift: &Airlift, script: &str, variables: &[(&str, &str)]) -> Ran {
    let program = Path::new(assert_cmd::cargo::cargo_bin!("airlift")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(peers::path("bash"));
    command.arg("-c").arg(script).current_dir(airlift.home()).env_clear().env("HOME", airlift.home()).env("PATH", path);
    Ran::of(command.envs(variables.iter().copied()))
}

#[test]
fn the_action_and_the_template_pack_what_they_are_told_to() {
    needs!("docker-registry", "bash", "curl", "jq", "tar", "sha256sum");
    let registry = Registry::start(Options::default());
    Artifact::small(1, 900).push(&registry, "team/app", Some("v1"));
    let reference = registry.reference("team/app:v1");
    let airlift = Airlift::new();
    let home = |name: &str| airlift.home().join(name).display().to_string();

    // The archive of a release, with a program that says which one it is.
    fs::create_dir_all(home("airlift-0-linux")).unwrap();
    fs::write(home("airlift-0-linux/airlift"), "#!/bin/sh\necho released\n").unwrap();
    Ran::of(Command::new("tar").args(["czf", "release.tar.gz", "airlift-0-linux"]).current_dir(airlift.home()))
        .success();
    let sum = airlift::oci::Digest::sha256(&fs::read(home("release.tar.gz")).unwrap()).hex();

    let action = yaml(".github/actions/export/action.yml");
    let step = |number: usize| action["runs"]["steps"][number]["run"].as_str().unwrap();
    let archive = format!("file://{}", home("release.tar.gz"));
    let (temp, path, output) = (home(""), home("path"), home("output"));
    let install = [("RUNNER_TEMP", temp.as_str()), ("GITHUB_PATH", &path), ("ARCHIVE", &archive), ("SHA256", &sum)];
    run_script(&airlift, step(0), &install).success();
    assert!(Path::new(fs::read_to_string(&path).unwrap().trim()).join("airlift").is_file());
    let wrong = "0".repeat(64);
    let other = [&install[..3], &[("SHA256", wrong.as_str())]].concat();
    assert_ne!(run_script(&airlift, step(0), &other).code, Some(0), "another archive than that of the sum");

    let list = format!("{reference}\n");
    let export =
        [("ARTIFACTS", list.as_str()), ("BUNDLE", "b.tar"), ("ARGUMENTS", "--jobs 2"), ("GITHUB_OUTPUT", &output)];
    run_script(&airlift, step(1), &export).success();
    let id = airlift.json(["inspect", "b.tar", "--json"])["bundle"].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(&output).unwrap(), format!("id={id}\n"));

    let job = &yaml("ci/export.gitlab-ci.yml")[".airlift-export"];
    let lines: Vec<&str> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    fs::write(home("artifacts.txt"), &list).unwrap();
    let variables: Vec<(&str, &str)> = job["variables"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    run_script(&airlift, &format!("set -e\n{}", lines.join("\n")), &variables).success();
    assert_eq!(airlift.json(["inspect", "bundle.tar", "--json"])["bundle"], id.as_str());
}
