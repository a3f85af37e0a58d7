//! Pipelines and their runs, between real registries and storages.

mod kept;
mod sets;
mod told;

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob},
    azurite::{Account, Azurite, Grant},
    compare,
    moto::Moto,
    needs,
};

/// Where both ends of a transfer meet.
enum Place {
    Folder,
    Azurite(Box<Azurite>),
    Moto(Box<Moto>),
}

/// Two registries with pipelines between them, and a home for airlift.
struct Site {
    from: Registry,
    to: Registry,
    airlift: Airlift,
    place: Place,
    /// The SAS token that opens the container; empty where none does.
    token: String,
}

/// The environment variable that keeps the SAS token.
const SECRET: &str = "TRANSFER_SAS";

impl Site {
    fn with(place: Place) -> Self {
        let [from, to] = [(), ()].map(|()| Registry::start(Options::default()));
        let mut airlift = Airlift::new();
        let mut token = String::new();
        match &place {
            Place::Folder => fs::create_dir(airlift.home().join("transfer")).unwrap(),
            Place::Azurite(azurite) => {
                azurite.create(Account::A, "transfer");
                token = sas(azurite, &Grant::default());
                airlift.set(SECRET, token.clone());
            }
            Place::Moto(moto) => {
                moto.create("box");
                for (name, value) in moto.variables() {
                    airlift.set(&name, value);
                }
            }
        }
        Self { from, to, airlift, place, token }
    }

    fn folder() -> Self {
        Self::with(Place::Folder)
    }

    fn azurite() -> Self {
        Self::with(Place::Azurite(Box::new(Azurite::start())))
    }

    fn moto() -> Self {
        Self::with(Place::Moto(Box::new(Moto::start())))
    }

    /// The options that name the container.
    fn container(&self) -> Vec<String> {
        match &self.place {
            Place::Folder => vec!["-c".into(), "transfer".into()],
            Place::Moto(_) => vec!["-c".into(), "s3://box/transfer".into()],
            Place::Azurite(azurite) => {
                let uri = format!("http://{}/accounta/transfer", azurite.address());
                vec!["-c".into(), uri, "-s".into(), format!("env:{SECRET}")]
            }
        }
    }

    /// Creates the export pipeline `up` with these options.
    fn up(&self, more: &[&str]) -> Value {
        self.pipeline("export-pipeline", self.from.address(), "up", more)
    }

    /// Creates the import pipeline `down` with these options.
    fn down(&self, more: &[&str]) -> Value {
        self.pipeline("import-pipeline", self.to.address(), "down", more)
    }

    fn pipeline(&self, command: &str, registry: &str, name: &str, more: &[&str]) -> Value {
        let container = self.container();
        let args = [command, "create", "-r", registry, "-n", name];
        let all = args.into_iter().chain(container.iter().map(String::as_str)).chain(more.iter().copied());
        self.airlift.json(all)
    }

    /// The words of an export run.
    fn export<'a>(&'a self, name: &'a str, blob: &'a str, artifacts: &[&'a str]) -> Vec<&'a str> {
        let from = self.from.address();
        let mut words = vec!["pipeline-run", "create", "-r", from, "-n", name, "-p", "up", "-t", "export", "-b", blob];
        words.push("-a");
        words.extend(artifacts);
        words
    }

    /// The words of an import run.
    fn import<'a>(&'a self, name: &'a str, blob: &'a str) -> Vec<&'a str> {
        let to = self.to.address();
        vec!["pipeline-run", "create", "-r", to, "-n", name, "-p", "down", "-t", "import", "-b", blob]
    }

    /// A run as it is kept.
    fn run(&self, registry: &Registry, name: &str) -> Value {
        self.airlift.json(["pipeline-run", "show", "-r", registry.address(), "-n", name])
    }
}

/// The SAS token of a grant, without the address.
fn sas(azurite: &Azurite, grant: &Grant) -> String {
    azurite.url(Account::A, "transfer", "", grant).split_once('?').unwrap().1.to_owned()
}

fn response(run: &Value) -> &Value {
    &run["properties"]["response"]
}

/// Exports two artifacts, imports them, and compares everything on the way.
fn there_and_back(site: &Site) {
    let app = Artifact::multi_platform(1, 40_000);
    app.push(&site.from, "team/app", Some("v1"));
    Artifact::small(9, 30_000).push(&site.from, "base", Some("latest"));
    let by_digest = Artifact::small(12, 10_000);
    by_digest.push(&site.from, "team/tool", None);
    let digest = format!("team/tool@{}", by_digest.digest());
    site.up(&[]);
    let down = site.down(&[]);
    assert_eq!(down["properties"]["trigger"]["sourceTrigger"]["status"], "Enabled");

    let out = site.airlift.json(site.export("monday", "monday.tar", &["team/app:v1", "base", &digest]));
    let said = response(&out);
    assert_eq!((&said["status"], &said["progress"]["percentage"]), (&json!("Succeeded"), &json!(100)), "{out:#}");
    let artifacts = said["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 3);
    assert!(artifacts.iter().all(|one| one["status"] == "Done" && one["sourceDigest"] == one["targetDigest"]));
    let of_app = artifacts.iter().find(|one| one["name"].as_str().unwrap().contains("team/app")).unwrap();
    assert_eq!(of_app["sourceDigest"], app.digest().to_string());

    let digest_said = said["catalogDigest"].as_str().unwrap().to_owned();
    let imported = site.import("tuesday", "monday.tar");
    let checked = imported.iter().copied().chain(["--catalog-digest", &digest_said]);
    let back = site.airlift.json(checked);
    let said = response(&back);
    assert_eq!(said["status"], "Succeeded", "{back:#}");
    assert_eq!(said["importedArtifacts"].as_array().unwrap().len(), 3);
    compare::same((&site.from, "team/app"), (&site.to, "team/app"), "v1");
    compare::same((&site.from, "base"), (&site.to, "base"), "latest");
    compare::same((&site.from, "team/tool"), (&site.to, "team/tool"), &by_digest.digest().to_string());
    assert_eq!(site.run(&site.to, "tuesday"), back);
}

#[test]
fn artifacts_go_through_a_folder_from_registry_to_registry() {
    needs!("docker-registry");
    let site = Site::folder();
    there_and_back(&site);
    // The digest is that of the file.
    let file = fs::read(site.airlift.home().join("transfer/monday.tar")).unwrap();
    let digest = airlift::oci::Digest::sha256(&file).to_string();
    assert_eq!(response(&site.run(&site.from, "monday"))["catalogDigest"], digest);
}

#[test]
fn artifacts_go_through_a_container_from_registry_to_registry() {
    needs!("docker-registry", "azurite-blob");
    there_and_back(&Site::azurite());
}

#[test]
fn artifacts_go_through_a_bucket_from_registry_to_registry() {
    needs!("docker-registry", "moto_server");
    there_and_back(&Site::moto());
}

#[test]
fn what_a_run_exports_the_trigger_imports_and_removes_in_a_folder_and_in_a_bucket() {
    needs!("docker-registry", "moto_server");
    for site in [Site::folder(), Site::moto()] {
        Artifact::multi_platform(1, 40_000).push(&site.from, "team/app", Some("v1"));
        site.up(&[]);
        site.down(&["-z", "DeleteSourceBlobOnSuccess"]);
        let watch = site.airlift.start(["watch", "--json", "--interval", "1s"]);
        watch.wait_for_line("\"watching\"");
        site.airlift.run(site.export("monday", "deep/monday.tar", &["team/app:v1"])).success();
        watch.wait_for_line("\"event\":\"ended\",\"blob\":\"deep/monday.tar\",\"status\":\"Succeeded\"");
        compare::same((&site.from, "team/app"), (&site.to, "team/app"), "v1");
        fails(&site, &site.to, &site.import("gone", "deep/monday.tar"), 1, "storage.not-found", &["monday.tar"]);
    }
}

/// A run that fails with this token, says this, and is kept as failed.
#[track_caller]
fn fails(site: &Site, registry: &Registry, words: &[&str], code: i32, token: &str, says: &[&str]) {
    let ran = site.airlift.run(words).exits(code).says(&[token, "help:"]).says(says);
    let name = words[words.iter().position(|word| *word == "-n").unwrap() + 1];
    let kept = site.run(registry, name);
    assert_eq!(response(&kept)["status"], "Failed", "{ran}");
    assert_eq!(response(&kept)["errorToken"], token, "{kept:#}");
    assert!(response(&kept)["finishTime"].is_string());
    // The table is what a person looks at, and the reason is what they look for.
    let shown =
        site.airlift.run(["pipeline-run", "show", "-r", registry.address(), "-n", name, "-o", "table"]).success();
    assert!(shown.stdout.contains(&format!("[{token}]")), "{shown}");
}

#[test]
fn a_bundle_that_is_there_is_replaced_only_with_overwrite_blobs() {
    needs!("docker-registry", "azurite-blob");
    for site in [Site::folder(), Site::azurite()] {
        for (n, name) in ["a", "b"].into_iter().enumerate() {
            Artifact::small(n as u64, 10_000).push(&site.from, name, Some("v1"));
        }
        site.up(&[]);
        site.airlift.run(site.export("first", "x.tar", &["a:v1"])).success();
        let second = site.export("second", "x.tar", &["b:v1"]);
        fails(&site, &site.from, &second, 1, "output.exists", &["OverwriteBlobs", "x.tar"]);
        // It is an option of the pipeline, and none of the command line.
        let kept = site.airlift.run(second.iter().copied().chain(["-o", "table"])).exits(1);
        assert!(!format!("{}{}", kept.stdout, kept.stderr).contains("--overwrite"), "{kept}");
        site.up(&["-z", "overwriteblobs"]);
        // The same words again show what was stored; forced, they do it.
        site.airlift.run(&second).exits(1).says(&["output.exists", "--force-redeploy"]);
        let forced: Vec<&str> = second.iter().copied().chain(["--force-redeploy"]).collect();
        assert_eq!(response(&site.airlift.json(&forced))["status"], "Succeeded");
    }
}

#[test]
fn what_was_done_is_shown_and_not_done_again_unless_it_is_forced() {
    needs!("docker-registry");
    let site = Site::folder();
    Artifact::small(1, 10_000).push(&site.from, "a", Some("v1"));
    site.up(&["-z", "OverwriteBlobs"]);
    let words = site.export("run", "x.tar", &["a:v1"]);
    let first = site.airlift.json(&words);
    let asked = site.from.requests().len();
    let again = site.airlift.run(&words).success().says(&["--force-redeploy"]);
    assert_eq!(serde_json::from_str::<Value>(&again.stdout).unwrap(), first);
    assert_eq!(site.from.requests().len(), asked, "the registry was asked though nothing was to be done");
    for tag in ["one", "two", "two"] {
        let tagged: Vec<&str> = words.iter().copied().chain(["--force-update-tag", tag]).collect();
        assert_eq!(site.airlift.json(&tagged)["properties"]["forceUpdateTag"], tag);
    }
    site.airlift.run(words.iter().copied().chain(["-f"])).success();
    // Once without a tag, one, two (of which the second was stored), and forced.
    let history = site.airlift.json(["pipeline-run", "list", "--history"]);
    assert_eq!(history.as_array().unwrap().len(), 4, "{history:#}");
    assert_eq!(site.airlift.json(["pipeline-run", "list"]).as_array().unwrap().len(), 1);
    let pruned = site.airlift.json(["pipeline-run", "prune", "--keep", "3", "--json"]);
    assert_eq!(pruned["runs"].as_array().unwrap().len(), 1);
    assert_eq!(site.airlift.json(["pipeline-run", "list", "--history"]).as_array().unwrap().len(), 3);
    let old = site.airlift.json(["pipeline-run", "prune", "--older-than", "1", "--json"]);
    assert_eq!(old["runs"], json!([]));
}

#[test]
fn ten_of_fifty_missing_fail_the_run_or_are_told_one_by_one() {
    needs!("docker-registry");
    let site = Site::folder();
    let names: Vec<String> = (0..50).map(|n| format!("app-{n:02}:v1")).collect();
    for n in (0..50).filter(|n| n % 5 != 3) {
        Artifact::small(n, 2_000).push(&site.from, &format!("app-{n:02}"), Some("v1"));
    }
    let artifacts: Vec<&str> = names.iter().map(String::as_str).collect();
    site.up(&[]);
    let words = site.export("all", "x.tar", &artifacts);
    fails(&site, &site.from, &words, 1, "registry.not-found", &["app-03:v1", "app-48:v1", "ContinueOnErrors"]);
    assert!(!site.airlift.home().join("transfer/x.tar").exists());

    site.up(&["-z", "ContinueOnErrors"]);
    site.airlift.run(words.iter().copied().chain(["-f"])).exits(3).says(&["transfer.partial", "app-03:v1"]);
    let kept = site.run(&site.from, "all");
    assert_eq!(response(&kept)["status"], "PartiallySucceeded");
    let artifacts = response(&kept)["artifacts"].as_array().unwrap();
    let failed: Vec<_> = artifacts.iter().filter(|one| one["status"] == "Failed").collect();
    assert_eq!((artifacts.len(), failed.len()), (50, 10));
    assert!(failed.iter().all(|one| one["token"] == "registry.not-found" && one.get("targetDigest").is_none()));
    site.airlift.run(["verify", "transfer/x.tar"]).success();
}

#[test]
fn one_damaged_artifact_fails_an_import_or_itself_and_the_bundle_stays() {
    needs!("docker-registry");
    let site = Site::folder();
    let bad = Artifact::small(2, 40_000);
    Artifact::small(1, 30_000).push(&site.from, "good", Some("v1"));
    bad.push(&site.from, "bad", Some("v1"));
    site.up(&[]);
    site.airlift.run(site.export("up", "x.tar", &["good:v1", "bad:v1"])).success();
    let file = site.airlift.home().join("transfer/x.tar");
    let mut bytes = fs::read(&file).unwrap();
    let layer = bad.blobs[1].content.clone().unwrap();
    let at = bytes.windows(64).position(|window| window == &layer[..64]).unwrap();
    bytes[at + 100] ^= 1;
    fs::write(&file, bytes).unwrap();

    site.down(&["-z", "DeleteSourceBlobOnSuccess"]);
    fails(&site, &site.to, &site.import("whole", "x.tar"), 4, "bundle.digest-mismatch", &["bad:v1"]);
    site.down(&["-z", "ContinueOnErrors", "DeleteSourceBlobOnSuccess"]);
    site.airlift.run(site.import("part", "x.tar")).exits(3).says(&["bad:v1", "bundle.digest-mismatch"]);
    assert!(site.to.tags("bad").is_empty());
    compare::same((&site.from, "good"), (&site.to, "good"), "v1");
    assert!(file.exists(), "a bundle of which not all arrived is kept");
}

#[test]
fn an_import_moves_tags_and_removes_its_bundle_only_where_it_may() {
    needs!("docker-registry", "azurite-blob");
    let site = Site::azurite();
    let (old, new) = (Artifact::small(1, 10_000), Artifact::small(2, 10_000));
    old.push(&site.to, "app", Some("v1"));
    new.push(&site.from, "app", Some("v1"));
    site.up(&[]);
    site.airlift.run(site.export("up", "x.tar", &["app:v1"])).success();
    site.down(&[]);
    fails(&site, &site.to, &site.import("keeps", "x.tar"), 1, "transfer.tag-exists", &["OverwriteTags"]);
    assert_eq!(site.to.manifest("app", "v1").unwrap().digest(), old.digest());
    site.down(&["-z", "OverwriteTags"]);
    site.airlift.run(site.import("moves", "x.tar")).success();
    assert_eq!(site.to.manifest("app", "v1").unwrap().digest(), new.digest());
    // Without the option the bundle stayed; with it, it goes, and is missed.
    site.down(&["-z", "OverwriteTags", "DeleteSourceBlobOnSuccess"]);
    site.airlift.run(site.import("removes", "x.tar")).success();
    fails(&site, &site.to, &site.import("misses", "x.tar"), 1, "storage.not-found", &["x.tar", "--storage-blob"]);
}

#[test]
fn fifty_one_artifacts_are_too_many_until_the_pipeline_says_otherwise() {
    needs!("docker-registry");
    let site = Site::folder();
    for n in 0..51 {
        Artifact::small(n, 500).push(&site.from, &format!("app-{n}"), Some("v1"));
    }
    let names: Vec<String> = (0..51).map(|n| format!("app-{n}:v1")).collect();
    let artifacts: Vec<&str> = names.iter().map(String::as_str).collect();
    site.up(&[]);
    let words = site.export("many", "x.tar", &artifacts);
    let says = ["usage.too-many-artifacts", "maximum of 50 artifacts", "51", "--max-artifacts"];
    site.airlift.run(&words).exits(2).says(&says);
    // Nothing was begun, so nothing was stored.
    site.airlift.run(["pipeline-run", "show", "-r", site.from.address(), "-n", "many"]).exits(1);
    site.up(&["--max-artifacts", "51"]);
    assert_eq!(response(&site.airlift.json(&words))["artifacts"].as_array().unwrap().len(), 51);
}

#[test]
fn an_import_takes_only_the_bundle_that_it_is_told_to_take() {
    needs!("docker-registry", "azurite-blob");
    for site in [Site::folder(), Site::azurite()] {
        Artifact::small(1, 30_000).push(&site.from, "app", Some("v1"));
        site.up(&[]);
        site.down(&["-z", "DeleteSourceBlobOnSuccess"]);
        let said = site.airlift.json(site.export("up", "x.tar", &["app:v1"]));
        let digest = response(&said)["catalogDigest"].as_str().unwrap();
        let other = airlift::oci::Digest::sha256(b"another").to_string();
        let words = site.import("held", "x.tar");
        let wrong: Vec<&str> = words.iter().copied().chain(["--catalog-digest", &other]).collect();
        fails(&site, &site.to, &wrong, 4, "pipeline.catalog-digest", &[digest, &other]);
        assert_eq!(site.to.repositories(), Vec::<String>::new(), "nothing is published of another bundle");
        let right = site.airlift.json(words.iter().copied().chain(["--catalog-digest", digest]));
        assert_eq!(
            (&response(&right)["status"], &response(&right)["catalogDigest"]),
            (&json!("Succeeded"), &json!(digest))
        );
    }
}

#[test]
fn what_is_wrong_with_a_signature_or_a_name_is_told_with_what_to_do() {
    needs!("docker-registry", "azurite-blob");
    let mut site = Site::azurite();
    Artifact::small(1, 10_000).push(&site.from, "app", Some("v1"));
    site.up(&[]);
    site.down(&[]);
    let Place::Azurite(azurite) = &site.place else { unreachable!() };
    let expired = Grant { expires: jiff::Timestamp::UNIX_EPOCH, ..Grant::default() };
    let elsewhere = Grant { container: Some("elsewhere"), ..Grant::default() };
    let cases = [
        ("expired", sas(azurite, &expired), "storage.expired", "new SAS"),
        ("reader", sas(azurite, &Grant::only("rl")), "storage.permission", "write (w)"),
        ("elsewhere", sas(azurite, &elsewhere), "storage.refused", "srt=sco"),
        ("containers", Azurite::account_token(Account::A, "c"), "storage.refused", "srt=sco"),
    ];
    for (name, token, code, says) in cases {
        let signature = crate::support::azurite::signature(&token);
        site.airlift.set(SECRET, token);
        fails(&site, &site.from, &site.export(name, "x.tar", &["app:v1"]), 5, code, &[says]);
        let run = site.run(&site.from, name).to_string();
        assert!(!run.contains(&signature), "{run}");
    }
    site.airlift.set(SECRET, "no signature at all");
    let words = site.export("nonsense", "x.tar", &["app:v1"]);
    let ran = site.airlift.run(&words).exits(1).says(&["secret.form"]);
    assert!(!ran.stderr.contains("no signature at all"), "{ran}");
    let Place::Azurite(azurite) = &site.place else { unreachable!() };
    let good = sas(azurite, &Grant::default());
    site.airlift.set(SECRET, good);
    fails(
        &site,
        &site.from,
        &site.export("misspelt", "x.tar", &["ap:v1"]),
        1,
        "registry.not-found",
        &["ap:v1", "spelling"],
    );
    fails(&site, &site.to, &site.import("absent", "nothing.tar"), 1, "storage.not-found", &["nothing.tar"]);
    // Of a container that is not there, nothing can be in it.
    let Place::Azurite(azurite) = &site.place else { unreachable!() };
    let uri = format!("http://{}/accounta/gone", azurite.address());
    let token = Azurite::account_token(Account::A, "sco");
    site.airlift.set(SECRET, token);
    let secret = format!("env:{SECRET}");
    let from = site.from.address();
    site.airlift.run(["export-pipeline", "create", "-r", from, "-n", "up", "-c", &uri, "-s", &secret]).success();
    fails(
        &site,
        &site.from,
        &site.export("gone", "x.tar", &["app:v1"]),
        1,
        "storage.not-found",
        &["gone", "container"],
    );
}

#[test]
fn layers_that_a_registry_refuses_are_explained() {
    needs!("docker-registry");
    let files = crate::support::files::Files::start();
    let content = crate::support::artifacts::noise(7, 20_000);
    let url = files.put("/base.tar.gz", content.clone());
    let mut site = Site::folder();
    site.from = Registry::start(Options { allow_urls: vec!["^http://127\\.0\\.0\\.1".into()], ..Options::default() });
    let layers = vec![Blob::layer(8, 9_000), Blob::foreign(content, &url)];
    Artifact::image("windows/amd64", layers).push(&site.from, "win", Some("v1"));
    site.up(&[]);
    site.down(&[]);
    site.airlift.run(site.export("up", "x.tar", &["win:v1"])).success();
    let says = ["validation.manifests.urls.allow", "--rewrite-foreign"];
    fails(&site, &site.to, &site.import("down", "x.tar"), 1, "registry.foreign-refused", &says);
}
