//! What pipelines and runs are kept as, and what becomes of it when processes die and disks fill.

use std::{fs, io::Write as _};

use serde_json::{Value, json};

use super::{SECRET, Site, response};
use crate::support::{
    Airlift, Proxy, Tmpfs,
    artifacts::Artifact,
    kills::{kill_after, moments},
    needs,
    process::files_below,
};

/// Five resources of every shape, with something wrong at each of these paths.
const BAD: &str = r#"
type: Microsoft.ContainerRegistry/registries/exportPipelines
name: bad name!
registry: UPPER/..
identity: {type: UserAssigned}
properties:
  target: {type: S3, uri: "https://account.blob.core.windows.net/box?sv=1&sig=CANARY", keyVaultUri: plain}
  options: [OverwriteBlobs, Overwrite, 7]
  maxArtifacts: 0
  colour: red
---
type: Microsoft.ContainerRegistry/registries/importPipelines
name: good
properties:
  source: {uri: relative/path}
  trigger: {sourceTrigger: {status: On}}
  options: OverwriteTags
---
type: Microsoft.ContainerRegistry/registries/pipelineRuns
name: r.site/run
properties:
  request:
    pipelineResourceId: /registries/r.site/exportPipelines/up
    target: {type: Blob, name: ../x.tar}
    source: {name: y.tar}
    artifacts: ["app:v1", "app:v1:v2", ""]
    catalogDigest: sha256:12
"#;

#[test]
fn a_bad_resource_is_told_every_problem_and_nothing_is_stored() {
    let airlift = Airlift::new();
    fs::write(airlift.home().join("bad.yaml"), BAD).unwrap();
    let good = json!({"type": "Microsoft.ContainerRegistry/registries/exportPipelines", "name": "r.site/fine",
        "properties": {"target": {"uri": "/mnt/transfer"}}});
    fs::write(airlift.home().join("good.json"), good.to_string()).unwrap();
    let refused = airlift.run(["apply", "-f", "good.json", "-f", "bad.yaml"]).exits(2).says(&["pipeline.invalid"]);
    for path in [
        "[0].name",
        "[0].registry",
        "[0].identity.userAssignedIdentities",
        "[0].properties.target.uri",
        "[0].properties.target.keyVaultUri",
        "[0].properties.options[1]",
        "[0].properties.options[2]",
        "[0].properties.maxArtifacts",
        "[0].properties.colour",
        "[1].registry",
        "[1].properties.source.uri",
        "[1].properties.trigger.sourceTrigger.status",
        "[1].properties.options",
        "[2].properties.request.target.type",
        "[2].properties.request.target.name",
        "[2].properties.request.source",
        "[2].properties.request.artifacts[1]",
        "[2].properties.request.artifacts[2]",
        "[2].properties.request.catalogDigest",
    ] {
        assert!(refused.stderr.contains(&format!("bad.yaml{path}: ")), "nothing is said of {path}\n{refused}");
    }
    assert!(!refused.stderr.contains("CANARY"), "{refused}");
    assert_eq!(airlift.json(["export-pipeline", "list"]), json!([]));
    airlift.run(["apply", "-f", "good.json"]).success();
    assert_eq!(airlift.json(["export-pipeline", "list"])[0]["name"], "fine");
    // The options of a command go through the same reader.
    let words = ["export-pipeline", "create", "-r", "r.site", "-n", "bad!", "-c", "https://a.blob.core.windows.net/b"];
    airlift.run(words).exits(2).says(&["properties.target.keyVaultUri", "name"]);
}

#[test]
fn resources_are_written_and_read_in_each_form() {
    let airlift = Airlift::new();
    let vault = "https://vault.vault.azure.net/secrets/sas";
    let made = airlift.json([
        "import-pipeline",
        "create",
        "-g",
        "group",
        "-r",
        "MyRegistry",
        "-n",
        "down",
        "-s",
        vault,
        "-z",
        "OverwriteTags",
        "-c",
        "https://account.blob.core.windows.net/transfer",
        "-e",
        "false",
        "-i",
        "/subscriptions/1/identity",
    ]);
    assert_eq!(made["registry"], "myregistry.azurecr.io");
    assert_eq!(made["properties"]["trigger"]["sourceTrigger"]["status"], "Disabled");
    assert_eq!(made["properties"]["source"]["storageAccessMode"], "SasToken");
    // What is shown can be put again, as JSON and as YAML, and says the same then.
    for format in ["json", "yaml"] {
        let shown = airlift.run(["import-pipeline", "show", "-r", "MyRegistry", "-n", "down", "-o", format]).success();
        fs::write(airlift.home().join("shown"), shown.stdout).unwrap();
        assert_eq!(airlift.json(["import-pipeline", "create", "--file", "shown"]), made);
    }
    let table = airlift.run(["import-pipeline", "list", "-o", "table"]).success();
    assert!(table.stdout.contains("Disabled") && table.stdout.lines().count() == 2, "{table}");
    // The same, from the parameters of the original's templates.
    let parameters = json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "registryName": {"value": "myregistry"}, "importPipelineName": {"value": "down"},
            "sourceUri": {"value": "https://account.blob.core.windows.net/transfer"},
            "keyVaultName": {"value": "vault"}, "sasTokenSecretName": {"value": "sas"},
            "userAssignedIdentity": {"value": "/subscriptions/1/identity"},
            "sourceTriggerStatus": {"value": "Disabled"}, "options": {"value": ["OverwriteTags"]},
            "location": {"value": "westeurope"},
        },
    });
    let file = airlift.home().join("azuredeploy.parameters.json");
    fs::write(&file, parameters.to_string()).unwrap();
    assert_eq!(airlift.json(["import-pipeline", "create", "--file", "azuredeploy.parameters.json"]), made);
    let mut wrong = parameters;
    wrong["parameters"]["options"]["value"] = json!(["OverwriteTag"]);
    fs::write(&file, wrong.to_string()).unwrap();
    let refused = airlift.run(["import-pipeline", "create", "--file", "azuredeploy.parameters.json"]).exits(2);
    refused.says(&["parameters.options.value[0]"]);
    airlift.run(["import-pipeline", "delete", "-r", "MyRegistry", "-n", "down"]).success();
    airlift.run(["import-pipeline", "show", "-r", "MyRegistry", "-n", "down"]).exits(1).says(&["pipeline.not-found"]);
}

#[test]
fn a_file_of_pipelines_and_runs_is_put_and_done() {
    needs!("docker-registry");
    let site = Site::folder();
    Artifact::small(1, 10_000).push(&site.from, "app", Some("v1"));
    let (from, to) = (site.from.address(), site.to.address());
    let folder = site.airlift.home().join("transfer");
    let folder = folder.display();
    let text = format!(
        "- {{type: Microsoft.ContainerRegistry/registries/pipelineRuns, name: out, registry: '{from}', properties: {{request:
             {{pipelineResourceId: /registries/{from}/exportPipelines/up, artifacts: [app:v1], target: {{name: a/b/x.tar}}}}}}}}\n\
         - {{type: Microsoft.ContainerRegistry/registries/pipelineRuns, name: in, registry: '{to}', properties: {{request:
             {{pipelineResourceId: /registries/{to}/importPipelines/down, source: {{name: a/b/x.tar}}}}}}}}\n\
         - {{type: Microsoft.ContainerRegistry/registries/exportPipelines, name: up, registry: '{from}',
             properties: {{target: {{type: FileSystem, uri: {folder}}}}}}}\n\
         - {{type: Microsoft.ContainerRegistry/registries/importPipelines, name: down, registry: '{to}',
             properties: {{source: {{type: FileSystem, uri: {folder}}}}}}}\n"
    );
    fs::write(site.airlift.home().join("all.yaml"), text).unwrap();
    let table = site.airlift.run(["apply", "-f", "all.yaml", "-o", "table"]).success();
    assert_eq!(table.stdout.matches("Succeeded").count(), 2, "{table}");
    assert_eq!(site.to.tags("app"), ["v1"]);
}

#[test]
fn a_run_under_way_is_seen_from_elsewhere_and_keeps_others_from_its_bundle() {
    needs!("docker-registry");
    let site = Site::folder();
    Artifact::small(1, 3_000_000).push(&site.from, "app", Some("v1"));
    let wire = Proxy::before(site.from.address());
    let address = wire.address();
    site.pipeline("export-pipeline", &address, "up", &[]);
    let words = |name: &'static str, blob: &'static str| {
        let fixed = ["pipeline-run", "create", "-r", &address, "-p", "up", "-t", "export", "-a", "app:v1"];
        let all = fixed.into_iter().chain(["-n", name, "-b", blob]);
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    let show = ["pipeline-run", "show", "-r", &address, "-n", "first"];
    wire.hold_after(1_500_000);
    let mut first = site.airlift.start(words("first", "x.tar"));
    assert!(wire.wait_until_held(&mut first));
    assert_eq!(response(&site.airlift.json(show))["status"], "Running");
    let watching = site.airlift.start(show.into_iter().chain(["--watch"]));
    watching.wait_for_line("Running");
    let holder = format!("the run first (process {}", first.pid());
    site.airlift.run(words("second", "x.tar")).exits(1).says(&["pipeline.busy", &holder]);
    site.airlift.run(words("first", "x.tar")).exits(1).says(&["pipeline.busy", &holder]);
    let delete = ["pipeline-run", "delete", "-r", &address, "-n", "first"];
    site.airlift.run(delete).exits(1).says(&["pipeline.busy"]);
    first.kill();
    watching.wait_for_line("\"Interrupted\"");
    assert_eq!(response(&site.airlift.json(show))["status"], "Interrupted");
    // Failed runs are cleaned away, and this is none.
    assert_eq!(site.airlift.json(["pipeline-run", "clean", "--json"])["runs"], json!([]));
    wire.release();
    let resumed = site.airlift.json(words("first", "x.tar"));
    let said = response(&resumed);
    assert_eq!((&said["status"], &said["resumed"]), (&json!("Succeeded"), &json!(1)), "{resumed:#}");
    assert_eq!(site.airlift.json(["pipeline-run", "list", "--history"]).as_array().unwrap().len(), 1);
    site.airlift.run(words("second", "y.tar")).success();
    site.airlift.run(delete).success();
}

#[test]
fn failed_runs_are_cleaned_away_and_others_stay() {
    needs!("docker-registry");
    let site = Site::folder();
    Artifact::small(1, 1_000).push(&site.from, "app", Some("v1"));
    site.up(&[]);
    site.airlift.run(site.export("good", "x.tar", &["app:v1"])).success();
    site.airlift.run(site.export("bad", "y.tar", &["ap:v1"])).exits(1);
    let names = || {
        let list = site.airlift.json(["pipeline-run", "list"]);
        list.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(site.airlift.json(["pipeline-run", "clean", "--dry-run", "--json"])["runs"], json!(["bad"]));
    assert_eq!(names(), ["bad", "good"]);
    assert_eq!(site.airlift.json(["pipeline-run", "clean", "-r", "r.other", "--json"])["runs"], json!([]));
    site.airlift.run(["pipeline-run", "clean"]).success();
    assert_eq!(names(), ["good"]);
    // What was cleaned away is a new run.
    Artifact::small(2, 1_000).push(&site.from, "ap", Some("v1"));
    site.airlift.run(site.export("bad", "y.tar", &["ap:v1"])).success();
}

/// Kills `words` once `moment` bytes have passed the wire, and runs them again; `done` are the runs before, which are not to
/// suffer.
fn killed_and_gone_on_with(site: &Site, wire: &Proxy, words: &[&str], moment: u64, done: &mut Vec<String>) {
    kill_after(wire, moment, || site.airlift.start(words));
    let name = words[words.iter().position(|word| *word == "-n").unwrap() + 1];
    let mut rows = history(&site.airlift);
    let own: Vec<_> = rows.iter().filter(|(run, _)| run == name).map(|(_, status)| status.clone()).collect();
    assert!(own.is_empty() || own == ["Interrupted"] || own == ["Succeeded"], "{name} is {own:?}");
    rows.retain(|(run, _)| run != name);
    rows.reverse();
    let before: Vec<_> = done.iter().map(|run| (run.clone(), "Succeeded".to_owned())).collect();
    assert_eq!(rows, before, "rows are lost");
    let gone_on = site.airlift.json(words);
    assert_eq!(response(&gone_on)["status"], "Succeeded", "{gone_on:#}");
    done.push(name.to_owned());
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn history(airlift: &Airlift) -> Vec<(String, String)> {
    let list = airlift.json(["pipeline-run", "list", "--history"]);
    let row = |run: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&run["name"]), text(&response(run)["status"]))
    };
    list.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_run_killed_at_any_moment_keeps_its_row_and_is_gone_on_with() {
    needs!("docker-registry");
    let site = Site::folder();
    for n in 0..3 {
        Artifact::small(n, 1_500_000).push(&site.from, &format!("app-{n}"), Some("v1"));
    }
    let artifacts = ["app-0:v1", "app-1:v1", "app-2:v1"];
    let [above, below] = [&site.from, &site.to].map(|registry| Proxy::before(registry.address()));
    let from = above.address();
    site.pipeline("export-pipeline", &from, "up", &[]);
    let measured = |wire: &Proxy, words: &[&str]| {
        let before = wire.passed();
        site.airlift.run(words).success();
        wire.passed() - before
    };
    let export = |name: &str, blob: &str| {
        let fixed = ["pipeline-run", "create", "-r", &from, "-n", name, "-p", "up", "-t", "export", "-b", blob, "-a"];
        fixed.into_iter().chain(artifacts).map(str::to_owned).collect::<Vec<_>>()
    };
    let exports = moments(measured(&above, &strs(&export("up", "x.tar"))));
    let mut done = vec!["up".to_owned()];
    for (n, moment) in exports.iter().enumerate() {
        let (name, blob) = (format!("out-{n}"), format!("{n}.tar"));
        killed_and_gone_on_with(&site, &above, &strs(&export(&name, &blob)), *moment, &mut done);
        let file = |name: &str| fs::read(site.airlift.home().join("transfer").join(name)).unwrap();
        assert!(file(&blob) == file("x.tar"));
    }
    // A place of its own for each import, so that each has everything to do.
    let registries: Vec<String> = (0..=exports.len()).map(|n| format!("{}/round-{n}", below.address())).collect();
    let folder = site.airlift.home().join("transfer");
    let pipeline = |registry: &String| {
        json!({"type": "Microsoft.ContainerRegistry/registries/importPipelines",
        "name": "down", "registry": registry, "properties": {"source": {"uri": folder}}})
    };
    let pipelines: Vec<Value> = registries.iter().map(pipeline).collect();
    fs::write(site.airlift.home().join("all.json"), json!(pipelines).to_string()).unwrap();
    site.airlift.run(["apply", "-f", "all.json"]).success();
    let import = |round: usize| {
        let fixed = ["pipeline-run", "create", "-p", "down", "-t", "import", "-b", "x.tar", "-r", &registries[round]];
        fixed.map(str::to_owned).into_iter().chain(["-n".into(), format!("in-{round}")]).collect::<Vec<_>>()
    };
    let last = exports.len();
    let imports = moments(measured(&below, &strs(&import(last))));
    done.push(format!("in-{last}"));
    for (round, moment) in imports.into_iter().enumerate() {
        killed_and_gone_on_with(&site, &below, &strs(&import(round)), moment, &mut done);
        for n in 0..3 {
            assert_eq!(site.to.tags(&format!("round-{round}/app-{n}")), ["v1"]);
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_history_stays_as_it_was() {
    needs!("docker-registry", "mount", "umount");
    let Some(disk) = Tmpfs::mount(1 << 20) else { return };
    let site = Site::folder();
    Artifact::small(1, 1_000).push(&site.from, "app", Some("v1"));
    let state = disk.path().display().to_string();
    let with =
        |words: Vec<&str>| [words, vec!["--state", &state]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    site.up(&["--state", &state]);
    for n in 0..3 {
        let (name, blob) = (format!("run-{n}"), format!("{n}.tar"));
        site.airlift.run(with(site.export(&name, &blob, &["app:v1"]))).success();
    }
    let list = || site.airlift.json(with(vec!["pipeline-run", "list"]));
    let before = list();
    let mut filler = fs::File::create(disk.path().join("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    let refused = site.airlift.run(with(site.export("late", "late.tar", &["app:v1"]))).exits(1);
    assert!(["output.no-space", "pipeline.state"].iter().any(|token| refused.stderr.contains(token)), "{refused}");
    assert!(!site.airlift.home().join("transfer/late.tar").exists(), "nothing is done that cannot be written down");
    drop(filler);
    fs::remove_file(disk.path().join("filler")).unwrap();
    assert_eq!(list(), before);
    site.airlift.run(with(site.export("late", "late.tar", &["app:v1"]))).success();
    assert_eq!(list().as_array().unwrap().len(), 4);
}

#[test]
fn no_secret_comes_into_the_state() {
    needs!("docker-registry", "azurite-blob");
    let mut site = Site::azurite();
    Artifact::small(1, 100_000).push(&site.from, "app", Some("v1"));
    site.up(&[]);
    site.down(&[]);
    site.airlift.run(site.export("up", "x.tar", &["app:v1"])).success();
    site.airlift.run(site.import("down", "x.tar")).success();
    let token = site.token.clone();
    let signature = crate::support::azurite::signature(&token);
    let decoded = percent_encoding::percent_decode_str(&signature).decode_utf8().unwrap().into_owned();
    site.airlift.set(SECRET, format!("{token}&sp=broken"));
    site.airlift.run(site.import("fails", "gone.tar"));
    let home = site.airlift.home();
    let files = files_below(home);
    assert!(files.iter().any(|file| file.ends_with("pipelines.db")), "{files:?}");
    for file in files {
        let bytes = fs::read(home.join(&file)).unwrap();
        for secret in [&signature, &decoded] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file} has the signature");
        }
    }
}
