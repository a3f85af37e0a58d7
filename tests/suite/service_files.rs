//! The files that systems read: a unit for systemd, manifests and a chart for Kubernetes. Their own parsers must accept them,
//! and the commands in them must be commands of ours.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Airlift, Ran, needs, peers};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// Fails the test unless the program takes these words: the parser is asked for its help instead of being run.
fn is_a_command_of_ours(words: &[&str]) {
    let command: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with('-')).collect();
    let help = Airlift::new().run(command.iter().chain(&["--help"])).success().stdout;
    for option in words.iter().filter(|word| word.starts_with('-')) {
        assert!(help.contains(option), "airlift {command:?} has no {option}");
    }
}

#[test]
fn systemd_likes_the_unit() {
    needs!("systemd-analyze");
    let folder = TempDir::new().unwrap();
    let unit = read("airlift-watch.service");
    let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[0], "/usr/local/bin/airlift");
    is_a_command_of_ours(&words[1..]);
    // Where it will be installed nothing is yet.
    let program = assert_cmd::cargo::cargo_bin!("airlift").display().to_string();
    let check = |text: String| {
        let path = folder.path().join("airlift-watch.service");
        fs::write(&path, text.replace(words[0], &program)).unwrap();
        let mut verify = Command::new(peers::path("systemd-analyze"));
        Ran::of(verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(path))
    };
    let ran = check(unit.clone()).success();
    assert_eq!(ran.stderr, "", "{ran}");
    let wrong = check(unit.replace("DynamicUser=", "DynamicUsers="));
    assert!(wrong.stderr.contains("DynamicUsers"), "it finds what is wrong: {wrong}");
}

#[test]
fn kubernetes_likes_the_manifests() {
    needs!("kubernetes-validate");
    let folder = TempDir::new().unwrap();
    let text = read("airlift-kubernetes.yaml");
    let check = |text: &str| {
        let path = folder.path().join("manifest.yaml");
        fs::write(&path, text).unwrap();
        Ran::of(Command::new(peers::path("kubernetes-validate")).arg("--strict").arg(path))
    };
    for text in [&text, &read("airlift-kubernetes-scale.yaml")] {
        let ran = check(text).success();
        assert_eq!((ran.stdout.clone() + &ran.stderr).matches("passed").count(), 6, "{ran}");
    }
    let wrong = check(&text.replace("replicas: 1", "replica: 1"));
    assert_ne!(wrong.code, Some(0), "it finds what is wrong: {wrong}");
}

#[test]
fn the_manifests_call_commands_and_hold_a_pipeline_that_there_are() {
    let text = read("airlift-kubernetes.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let containers = documents.iter().flat_map(|document| {
        let pod = match document["kind"].as_str().unwrap() {
            "Deployment" => &document["spec"]["template"]["spec"],
            "CronJob" => &document["spec"]["jobTemplate"]["spec"]["template"]["spec"],
            _ => &Value::Null,
        };
        ["initContainers", "containers"].iter().flat_map(|key| pod[key].as_array().cloned().unwrap_or_default())
    });
    let calls: Vec<Vec<String>> =
        containers.map(|container| serde_json::from_value(container["args"].clone()).unwrap()).collect();
    assert_eq!(calls.len(), 4);
    for call in &calls {
        is_a_command_of_ours(&call.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let airlift = Airlift::new();
    let maps = documents.iter().filter_map(|document| document["data"]["pipelines.yaml"].as_str());
    for (n, pipelines) in maps.enumerate() {
        let name = format!("pipelines-{n}.yaml");
        fs::write(airlift.home().join(&name), pipelines).unwrap();
        airlift.run(["apply", "-f", &name]).success();
    }
    let kept = airlift.json(["import-pipeline", "show", "-r", "registry.site.example", "-n", "down", "-o", "json"]);
    assert_eq!(kept["properties"]["source"]["keyVaultUri"], "https://vault.vault.azure.net/secrets/transfer-sas");
    // What the CronJob runs is there, and its words are taken: with a state of its own nothing but the pipeline is missing.
    let run = calls.iter().find(|call| call[0] == "pipeline-run").unwrap();
    let named = |option: &str| run[run.iter().position(|word| word == option).unwrap() + 1].clone();
    let up = airlift.json(["export-pipeline", "show", "-r", &named("--registry"), "-n", &named("--pipeline")]);
    assert_eq!(up["properties"]["options"], serde_json::json!(["OverwriteBlobs"]));
    let elsewhere = airlift.home().join("empty").display().to_string();
    let words = run.iter().map(|word| if word == "/state" { elsewhere.clone() } else { word.clone() });
    let words: Vec<String> =
        words.map(|word| if word.starts_with("/secrets/") { "none.json".into() } else { word }).collect();
    fs::write(airlift.home().join("none.json"), "{}").unwrap();
    airlift.run(words).exits(1).says(&["pipeline.not-found"]);
}

/// The chart, rendered by the real helm with further arguments.
fn rendered(further: &[&str]) -> Ran {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/airlift");
    let mut helm = Command::new(peers::path("helm"));
    Ran::of(helm.args(["template", "site"]).arg(chart).args(further))
}

fn all_values() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/airlift/ci/all-values.yaml");
    path.display().to_string()
}

/// The pods of rendered documents.
fn pods(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let pods = documents.iter().filter_map(|document| match document["kind"].as_str()? {
        "Deployment" => Some(document["spec"]["template"]["spec"].clone()),
        "CronJob" => Some(document["spec"]["jobTemplate"]["spec"]["template"]["spec"].clone()),
        _ => None,
    });
    pods.collect()
}

fn containers(pod: &Value) -> Vec<Value> {
    let lists = ["initContainers", "containers"].iter();
    lists.flat_map(|key| pod[key].as_array().cloned().unwrap_or_default()).collect()
}

#[test]
fn helm_and_kubernetes_accept_the_chart() {
    needs!("helm", "kubernetes-validate");
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/airlift");
    let folder = TempDir::new().unwrap();
    for (further, documents) in [(vec![], 3), (vec!["-f".to_owned(), all_values()], 10)] {
        let lint = Ran::of(Command::new(peers::path("helm")).args(["lint", "--strict"]).arg(&chart).args(&further));
        lint.success();
        let further: Vec<&str> = further.iter().map(String::as_str).collect();
        let text = rendered(&further).success().stdout;
        let path = folder.path().join("rendered.yaml");
        fs::write(&path, &text).unwrap();
        let ran = Ran::of(Command::new(peers::path("kubernetes-validate")).arg("--strict").arg(&path)).success();
        assert_eq!((ran.stdout.clone() + &ran.stderr).matches("passed").count(), documents, "{ran}");
    }
}

#[test]
fn the_chart_calls_commands_of_ours_with_no_more_rights_than_they_need() {
    needs!("helm");
    let pods = pods(&rendered(&["-f", &all_values()]).success().stdout);
    assert_eq!(pods.len(), 3, "serve, watch, export");
    for pod in &pods {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        assert_eq!(pod["automountServiceAccountToken"], false);
        for container in containers(pod) {
            let words: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
            is_a_command_of_ours(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let locked = &container["securityContext"];
            assert_eq!(
                (&locked["readOnlyRootFilesystem"], &locked["allowPrivilegeEscalation"]),
                (&true.into(), &false.into())
            );
            assert_eq!(locked["capabilities"]["drop"], serde_json::json!(["ALL"]));
            // Every file that a command names is in a volume of the pod.
            let mounts: Vec<&str> = container["volumeMounts"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|mount| mount["mountPath"].as_str())
                .collect();
            for file in words.iter().filter(|word| word.starts_with('/')) {
                assert!(
                    mounts.iter().any(|mount| Path::new(file).starts_with(mount)),
                    "{file} is in none of {mounts:?}"
                );
            }
        }
    }
}

#[test]
fn values_that_cannot_work_are_refused_by_name() {
    needs!("helm");
    for (set, says) in [
        ("serve.policy=x", "serve.htpasswdSecret"),
        ("watch.enabled=true", "watch.pipelines"),
        ("export.enabled=true", "export.artifacts"),
        ("serve.readonly=true", "readonly"),
        ("image.digest=latest", "digest"),
    ] {
        let ran = rendered(&["--set", set]);
        assert_ne!(ran.code, Some(0), "{set}");
        assert!(ran.stderr.contains(says), "{set}: {ran}");
    }
}
