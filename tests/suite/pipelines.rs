//! Pipelines and their runs, between real registries and storages.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    Airlift, Options, Registry,
    artifacts::Artifact,
    azurite::{Account, Azurite, Grant},
    compare, needs,
};

/// Where both ends of a transfer meet.
enum Place {
    Folder,
    Azurite(Box<Azurite>),
}

/// Two registries with pipelines between them, and a home for airlift.
struct Site {
    from: Registry,
    to: Registry,
    airlift: Airlift,
    place: Place,
}

/// The environment variable that keeps the SAS token.
const SECRET: &str = "TRANSFER_SAS";

impl Site {
    fn with(place: Place) -> Self {
        let [from, to] = [(), ()].map(|()| Registry::start(Options::default()));
        let mut airlift = Airlift::new();
        match &place {
            Place::Folder => fs::create_dir(airlift.home().join("transfer")).unwrap(),
            Place::Azurite(azurite) => {
                azurite.create(Account::A, "transfer");
                airlift.set(SECRET, sas(azurite, &Grant::default()));
            }
        }
        Self { from, to, airlift, place }
    }

    fn folder() -> Self {
        Self::with(Place::Folder)
    }

    fn azurite() -> Self {
        Self::with(Place::Azurite(Box::new(Azurite::start())))
    }

    /// The options that name the container.
    fn container(&self) -> Vec<String> {
        match &self.place {
            Place::Folder => vec!["-c".into(), "transfer".into()],
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
