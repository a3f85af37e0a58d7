//! Bundles that land in a storage are found by their etags.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Site, ended, told};
use crate::support::{
    Proxy,
    artifacts::{Artifact, noise},
    azurite::{Account, Azurite, Grant},
    http::block_on,
    moto::Moto,
    needs,
    process::Process,
};

/// Where bundles lie in a storage.
struct Remote<'a> {
    site: &'a Site,
    /// The container with what opens it, for `airlift copy`.
    place: Box<dyn Fn(&str) -> String + 'a>,
}

impl Remote<'_> {
    fn land(&self, name: &str, seed: u64) {
        let bundle = self.site.bundle(name, seed, 20_000);
        let to = (self.place)(name);
        self.site.airlift.run(["copy", bundle.to_str().unwrap(), &to, "--overwrite"]).success();
        fs::remove_file(bundle).unwrap();
    }

    fn is_watched(&self) {
        let watch = self.site.watch(&[]);
        self.land("one", 1);
        ended(&watch, "one", "Succeeded");
        self.land("two", 2);
        ended(&watch, "two", "Succeeded");
        assert_eq!(told(&watch, "began"), ["one", "two"]);
        drop(watch);
        let watch = self.site.watch(&[]);
        self.land("one", 3);
        ended(&watch, "one", "Succeeded");
        assert_eq!(told(&watch, "began"), ["one"], "two is known after a restart, one is another than before");
        assert_eq!(self.site.registry.manifest("one", "v1").unwrap().digest(), Artifact::small(3, 20_000).digest());
    }
}

#[test]
fn a_run_killed_between_the_removal_of_its_blob_and_its_end_is_found_to_be_done() {
    needs!("docker-registry", "azurite-blob");
    let azurite = Azurite::start();
    let wire = Proxy::before(azurite.address());
    azurite.create(Account::A, "box");
    let mut site = Site::new();
    let token = azurite.url(Account::A, "box", "", &Grant::default()).split_once('?').unwrap().1.to_owned();
    site.airlift.set("BOX_SAS", token);
    let uri = format!("http://{}/accounta/box", wire.address());
    let more = ["-s", "env:BOX_SAS", "-z", "DeleteSourceBlobOnSuccess"];
    site.pipeline("down", site.registry.address(), Path::new(&uri), &more);
    let remote =
        Remote { site: &site, place: Box::new(|name| azurite.url(Account::A, "box", name, &Grant::default())) };
    let registry = site.registry.address().to_owned();
    let words = ["pipeline-run", "create", "-r", &registry, "-n", "asked", "-p", "down", "-t", "import", "-b", "two"];
    let response = |name: &str| {
        let runs = site.runs();
        let run = runs.iter().find(|run| run["properties"]["request"]["source"]["name"] == name).expect("it is kept");
        run["properties"]["response"].clone()
    };
    let killed = |mut process: Process, name: &str| {
        assert!(wire.wait_until_held(&mut process));
        process.kill();
        wire.release();
        let place = azurite.location(Account::A, "box", name, &Grant::default());
        let object = airlift::storage::open(&place, &airlift::storage::Settings::default()).unwrap();
        assert!(block_on(object.stat()).is_err_and(|error| error.is_not_found()), "{name} is there");
        let kept = response(name);
        assert_eq!((&kept["status"], &kept["confirmed"]), (&"Interrupted".into(), &true.into()), "{kept:#}");
        assert_eq!(kept["importedArtifacts"].as_array().unwrap().len(), 1);
    };

    // Under the trigger, where the next watch concludes it.
    wire.hold_answers_to("DELETE");
    let watch = site.watch(&[]);
    remote.land("one", 1);
    killed(watch, "one");
    let began = site.registry.requests().len();
    let watch = site.watch(&[]);
    ended(&watch, "one", "Succeeded");
    let done = response("one");
    assert_eq!((&done["status"], &done["resumed"]), (&"Succeeded".into(), &1.into()), "{done:#}");
    assert!(done["trigger"]["sourceTrigger"]["timestamp"].is_string());
    assert_eq!(
        (done["importedArtifacts"].as_array().unwrap().len(), &done["progress"]["percentage"]),
        (1, &100.into())
    );
    assert_eq!(site.registry.requests().len(), began, "nothing is asked again");
    drop(watch);

    // Asked for by a person, where the same words conclude it.
    remote.land("two", 2);
    wire.hold_answers_to("DELETE");
    killed(site.airlift.start(words), "two");
    let again = site.airlift.json(words);
    assert_eq!(again["properties"]["response"]["status"], "Succeeded", "{again:#}");
    assert_eq!(site.registry.tags("two"), ["v1"]);
}

#[test]
fn blobs_are_found_by_their_etags_once_they_are_committed() {
    needs!("docker-registry", "azurite-blob");
    let azurite = Azurite::start();
    azurite.create(Account::A, "box");
    let mut site = Site::new();
    let token = azurite.url(Account::A, "box", "", &Grant::default()).split_once('?').unwrap().1.to_owned();
    site.airlift.set("BOX_SAS", token);
    let uri = format!("http://{}/accounta/box", azurite.address());
    let more = ["-s", "env:BOX_SAS", "-z", "OverwriteTags"];
    site.pipeline("down", site.registry.address(), Path::new(&uri), &more);
    let half = azurite.location(Account::A, "box", "half", &Grant::default());
    block_on(async {
        use airlift::storage::{self, PartCheckpoint, Parts, UploadSpec, parts};
        let object = storage::open(&half, &storage::Settings::default()).unwrap();
        let parts = Parts::of(1000, 1000, &object.limits(), object.location()).unwrap();
        let identity = airlift::oci::Digest::sha256(b"half");
        let upload = object.upload(&UploadSpec { identity, parts, metadata: BTreeMap::new() }).await.unwrap();
        upload.put(0, PartCheckpoint([7; parts::NOTE]), noise(1, 1000).into()).await.unwrap();
    });
    let place = |name: &str| azurite.url(Account::A, "box", name, &Grant::default());
    Remote { site: &site, place: Box::new(place) }.is_watched();
}

#[test]
fn objects_of_s3_are_found_by_their_etags() {
    needs!("docker-registry", "moto_server");
    let moto = Moto::start();
    moto.create("box");
    let mut site = Site::new();
    for (name, value) in moto.variables() {
        site.airlift.set(&name, value);
    }
    site.pipeline("down", site.registry.address(), Path::new("s3://box/in"), &["-z", "OverwriteTags"]);
    Remote { site: &site, place: Box::new(|name| format!("s3://box/in/{name}")) }.is_watched();
}
