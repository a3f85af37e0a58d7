//! The import trigger: what lands is imported once, nothing half-written is touched, and neither kills nor crowds change
//! that.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use airlift::{server::Config, store::Store};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Airlift, Options, Proxy, Registry, Tmpfs,
    artifacts::{Artifact, noise},
    azurite::{Account, Azurite, Grant},
    http::block_on,
    moto::Moto,
    needs,
    packed::Packed,
    process::Process,
    serving::Serving,
};

/// A registry, a folder that bundles land in, and a home for airlift with a pipeline between them.
struct Site {
    registry: Registry,
    airlift: Airlift,
    /// Where bundles are made, on the same file system.
    aside: PathBuf,
    source: PathBuf,
}

impl Site {
    fn new() -> Self {
        let (registry, airlift) = (Registry::start(Options::default()), Airlift::new());
        let [aside, source] = ["aside", "source"].map(|name| airlift.home().join(name));
        for folder in [&aside, &source] {
            fs::create_dir(folder).unwrap();
        }
        Self { registry, airlift, aside, source }
    }

    /// A site with the pipeline `down` from the folder.
    fn watched(more: &[&str]) -> Self {
        let site = Self::new();
        site.pipeline("down", site.registry.address(), &site.source, more);
        site
    }

    fn pipeline(&self, name: &str, registry: &str, source: &Path, more: &[&str]) {
        let source = source.to_str().unwrap();
        let args = ["import-pipeline", "create", "-r", registry, "-n", name, "-c", source];
        self.airlift.run(args.iter().chain(more)).success();
    }

    /// Starts the watch; it listens when this returns.
    fn watch(&self, more: &[&str]) -> Process {
        let watch = self.airlift.start(["watch", "--json", "--interval", "1s"].iter().chain(more));
        watch.wait_for_line("\"watching\"");
        watch
    }

    /// A bundle with one artifact, `REPOSITORY:v1`.
    fn bundle(&self, name: &str, seed: u64, size: usize) -> PathBuf {
        bundle(&self.aside.join(name), &format!("up.example/{name}:v1"), seed, size)
    }

    /// Renames a bundle into the source.
    fn land(&self, bundle: &Path) {
        fs::rename(bundle, self.source.join(bundle.file_name().unwrap())).unwrap();
    }

    /// Lets one more bundle land, and waits until it is imported: what landed before it has been seen by then.
    fn fence(&self, watch: &Process, name: &str) {
        self.land(&self.bundle(name, 4242, 100));
        ended(watch, name, "Succeeded");
    }

    /// The runs of the trigger, as they are kept.
    fn runs(&self) -> Vec<Value> {
        let runs = self.airlift.json(["pipeline-run", "list", "-o", "json"]);
        runs.as_array().unwrap().clone()
    }
}

fn bundle(path: &Path, reference: &str, seed: u64, size: usize) -> PathBuf {
    block_on(Packed::new().with(reference, Artifact::small(seed, size)).write(path));
    path.to_owned()
}

/// Waits for the end of a run of that bundle.
fn ended(watch: &Process, blob: &str, status: &str) -> String {
    watch.wait_for_line(&format!("\"event\":\"ended\",\"blob\":\"{blob}\",\"status\":\"{status}\""))
}

/// The events of that kind, as blob names.
fn told(watch: &Process, event: &str) -> Vec<String> {
    let lines = watch.log();
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let named = objects.filter(|object| object["event"] == event);
    named.map(|object| object["blob"].as_str().unwrap_or_default().to_owned()).collect()
}

fn exit(watch: &mut Process) -> Option<i32> {
    watch.wait().code()
}

#[test]
fn a_bundle_that_lands_is_imported_once_and_again_only_with_other_content() {
    needs!("docker-registry");
    let site = Site::watched(&["-z", "OverwriteTags"]);
    let first = Artifact::small(1, 50_000).digest();
    let mut watch = site.watch(&[]);
    site.land(&site.bundle("a", 1, 50_000));
    ended(&watch, "a", "Succeeded");
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), first);
    // The same bytes in another file, and again after a restart.
    site.land(&site.bundle("a", 1, 50_000));
    site.fence(&watch, "b");
    assert_eq!(told(&watch, "began"), ["a", "b"]);
    watch.kill();
    site.land(&site.bundle("a", 1, 50_000));
    let watch = site.watch(&[]);
    site.fence(&watch, "c");
    assert_eq!(told(&watch, "began"), ["c"]);
    site.land(&site.bundle("a", 2, 50_000));
    ended(&watch, "a", "Succeeded");
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(2, 50_000).digest());
    let runs = site.runs();
    let of_a: Vec<_> = runs.iter().filter(|run| run["properties"]["request"]["source"]["name"] == "a").collect();
    assert_eq!(of_a.len(), 2, "{of_a:#?}");
    assert!(of_a.iter().all(|run| run["properties"]["response"]["trigger"]["sourceTrigger"]["timestamp"].is_string()));
}

#[test]
fn a_damaged_copy_is_not_what_was_imported_and_the_sound_one_after_it_is_imported_again() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let sound = fs::read(site.bundle("a", 1, 50_000)).unwrap();
    let damaged = {
        let layer =
            Artifact::small(1, 50_000).blobs.into_iter().filter_map(|blob| blob.content).max_by_key(bytes::Bytes::len);
        let at = sound.windows(64).position(|window| window == &layer.as_ref().unwrap()[..64]).unwrap();
        let mut bytes = sound.clone();
        bytes[at + 100] ^= 1;
        bytes
    };
    let land = |bytes: &[u8]| {
        fs::write(site.aside.join("a"), bytes).unwrap();
        site.land(&site.aside.join("a"));
    };
    // Damaged from the start: its run fails, and the repaired one is imported.
    let watch = site.watch(&[]);
    land(&damaged);
    let line = ended(&watch, "a", "Failed");
    assert!(line.contains("has the digest"), "{line}");
    assert_eq!(site.registry.repositories(), Vec::<String>::new());
    land(&sound);
    ended(&watch, "a", "Succeeded");
    drop(watch);
    // The same once more is known. A damaged copy of it has all of its names, and the same index; it is not the same.
    let watch = site.watch(&[]);
    land(&sound);
    site.fence(&watch, "b");
    assert_eq!(told(&watch, "began"), ["b"]);
    land(&damaged);
    ended(&watch, "a", "Succeeded");
    land(&sound);
    site.fence(&watch, "c");
    let began = told(&watch, "began");
    assert_eq!(began.iter().filter(|name| *name == "a").count(), 2, "{began:?}");
}

#[test]
fn a_bundle_that_has_more_of_the_same_artifact_is_another_one() {
    needs!("docker-registry");
    let (from, site) = (Registry::start(Options::default()), Site::new());
    let store = tempfile::tempdir().unwrap();
    let config = Config::store(Store::open(store.path()).unwrap());
    // A registry that takes an index of which platforms are missing.
    let to = Serving::new(Config { sparse: true, ..config });
    site.pipeline("down", to.address(), &site.source, &[]);
    let app = Artifact::multi_platform(1, 20_000);
    app.push(&from, "a", Some("v1"));
    let make = |more: &[&str]| {
        let path = site.aside.join("a");
        let reference = from.reference("a:v1");
        let words = ["export", &reference, "-o", path.to_str().unwrap()];
        site.airlift.run(words.iter().chain(more)).success();
        path
    };
    let watch = site.watch(&[]);
    // Its index is that of the whole, and so is its bundle id.
    let part = make(&["--platform", "linux/amd64"]);
    let id = |path: &Path| site.airlift.json(["inspect", path.to_str().unwrap(), "--json"])["id"].clone();
    let id_of_part = id(&part);
    site.land(&part);
    ended(&watch, "a", "Succeeded");
    let child = |n: usize| to.get(&format!("/v2/a/manifests/{}", app.children[n].digest())).status.as_u16();
    assert_eq!((child(0), child(1)), (200, 404));
    drop(watch);
    let whole = make(&[]);
    assert_eq!(id(&whole), id_of_part);
    let watch = site.watch(&[]);
    site.land(&whole);
    site.fence(&watch, "b");
    assert_eq!(told(&watch, "began"), ["a", "b"]);
    ended(&watch, "a", "Succeeded");
    assert_eq!((child(0), child(1)), (200, 200));
}

/// The files of a set of the artifact `a:v1` with this seed, in the order of their names: the manifest, the volumes, the sums.
fn set_of(site: &Site, from: &Registry, seed: u64) -> Vec<PathBuf> {
    Artifact::small(seed, 250_000).push(from, "a", Some("v1"));
    let folder = site.aside.join(format!("set-{seed}"));
    fs::create_dir(&folder).unwrap();
    let (reference, to) = (from.reference("a:v1"), folder.join("a"));
    let words = ["export", &reference, "-o", to.to_str().unwrap(), "--volume-size", "100KiB"];
    site.airlift.run(words).success();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "three volumes at least: {files:?}");
    files
}

#[test]
fn a_set_begins_with_the_last_of_its_volumes_and_goes_as_a_whole() {
    needs!("docker-registry");
    let (from, site) = (Registry::start(Options::default()), Site::watched(&["-z", "OverwriteTags"]));
    let first = |files: &[PathBuf]| {
        let volume = files.iter().find(|file| file.to_str().unwrap().ends_with(".vol001.tar")).unwrap();
        volume.file_name().unwrap().to_str().unwrap().to_owned()
    };
    let watch = site.watch(&[]);
    // Discs come in any order.
    let files = set_of(&site, &from, 1);
    let is_late = |file: &&PathBuf| file.ends_with("a.vol002.tar") || file.ends_with("a.set.json");
    let (late, early): (Vec<_>, Vec<_>) = files.iter().partition(is_late);
    let [manifest, last] = late[..] else { panic!("{late:?}") };
    for file in early.into_iter().rev() {
        site.land(file);
    }
    watch.wait_for_line("a.vol002.tar is not there yet");
    let lacking = fs::read(last).unwrap();
    // And the last one slowly, with all of its size from the start.
    let path = site.source.join(last.file_name().unwrap());
    let mut slow = fs::File::create(&path).unwrap();
    slow.set_len(lacking.len() as u64).unwrap();
    slow.write_all(&lacking[..lacking.len() / 2]).unwrap();
    // Now every file is there, and all but one are whole.
    site.land(manifest);
    watch.wait_for_line("a.vol002.tar is being written");
    site.fence(&watch, "fence");
    assert_eq!(told(&watch, "began"), ["fence"]);
    slow.write_all(&lacking[lacking.len() / 2..]).unwrap();
    drop(slow);
    let blob = first(&files);
    ended(&watch, &blob, "Succeeded");
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(1, 250_000).digest());
    drop(watch);

    // It is known after a restart, and so is that another set is another one.
    let watch = site.watch(&[]);
    site.fence(&watch, "other");
    assert_eq!(told(&watch, "began"), ["other"]);
    for file in set_of(&site, &from, 2) {
        site.land(&file);
    }
    ended(&watch, &blob, "Succeeded");
    site.fence(&watch, "third");
    assert_eq!(told(&watch, "began").iter().filter(|name| **name == blob).count(), 1, "{}", watch.log());
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(2, 250_000).digest());
    drop(watch);

    // Sets that lie there when the watch begins; after success nothing is left of one.
    for entry in fs::read_dir(&site.source).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for file in set_of(&site, &from, 3) {
        site.land(&file);
    }
    let more = ["-z", "OverwriteTags", "DeleteSourceBlobOnSuccess"];
    site.pipeline("down", site.registry.address(), &site.source, &more);
    let watch = site.watch(&[]);
    ended(&watch, &blob, "Succeeded");
    let left: Vec<_> = fs::read_dir(&site.source).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(3, 250_000).digest());
}

#[test]
fn a_volume_that_is_repaired_has_its_set_imported() {
    needs!("docker-registry");
    let (from, site) = (Registry::start(Options::default()), Site::watched(&[]));
    let files = set_of(&site, &from, 1);
    let volume = files.iter().find(|file| file.to_str().unwrap().ends_with(".vol002.tar")).unwrap();
    let sound = fs::read(volume).unwrap();
    let mut damaged = sound.clone();
    let at = damaged.len() - 4096;
    damaged[at] ^= 1;
    fs::write(volume, damaged).unwrap();
    // A first try after the repair would be due in an hour.
    let watch = site.airlift.start(["watch", "--json", "--interval", "1h"]);
    watch.wait_for_line("\"watching\"");
    for file in &files {
        site.land(file);
    }
    let blob = "a.vol001.tar";
    ended(&watch, blob, "Failed");
    fs::write(volume, sound).unwrap();
    site.land(volume);
    ended(&watch, blob, "Succeeded");
    assert_eq!(site.registry.tags("a"), ["v1"]);
}

#[test]
fn nothing_begins_on_a_file_that_is_still_being_written() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let begun = |name: &str| {
        let content = fs::read(site.bundle(name, 7, 300_000)).unwrap();
        let mut file = fs::File::create(site.source.join(name)).unwrap();
        // All of its size from the start, as copying tools have it that reserve space.
        file.set_len(content.len() as u64).unwrap();
        let (now, later) = content.split_at(content.len() / 2);
        file.write_all(now).unwrap();
        (file, later.to_vec())
    };
    let (mut before, rest_of_before) = begun("before");
    let watch = site.watch(&[]);
    watch.wait_for_line("\"event\":\"waiting\"");
    let (mut after, rest_of_after) = begun("after");
    fs::write(site.source.join("x.tar.partial"), "half").unwrap();
    fs::write(site.source.join(".hidden"), "half").unwrap();
    fs::write(site.source.join("notes.txt"), "no bundle").unwrap();
    watch.wait_for_line("\"event\":\"ignored\"");
    site.fence(&watch, "fence");
    assert_eq!(told(&watch, "began"), ["fence"]);
    assert_eq!(told(&watch, "ignored"), ["notes.txt"]);
    before.write_all(&rest_of_before).unwrap();
    after.write_all(&rest_of_after).unwrap();
    drop((before, after));
    ended(&watch, "before", "Succeeded");
    ended(&watch, "after", "Succeeded");
}

#[test]
fn a_trigger_that_is_disabled_does_nothing_until_it_is_enabled() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let aside = site.airlift.home().join("quiet");
    fs::create_dir(&aside).unwrap();
    site.pipeline("quiet", site.registry.address(), &aside, &["-e", "false"]);
    fs::rename(site.bundle("early", 1, 1000), aside.join("early")).unwrap();
    let watch = site.watch(&[]);
    site.fence(&watch, "fence");
    assert_eq!(told(&watch, "began"), ["fence"]);
    site.pipeline("quiet", site.registry.address(), &aside, &["-e", "true"]);
    ended(&watch, "early", "Succeeded");
    site.pipeline("down", site.registry.address(), &site.source, &["-e", "false"]);
    drop(watch);
    let watch = site.watch(&[]);
    site.land(&site.bundle("late", 2, 1000));
    fs::rename(site.bundle("third", 3, 1000), aside.join("third")).unwrap();
    ended(&watch, "third", "Succeeded");
    assert_eq!(told(&watch, "began"), ["third"]);
}

#[test]
fn a_run_that_fails_is_tried_again_and_the_bundle_goes_only_after_success() {
    needs!("docker-registry");
    let site = Site::watched(&["-z", "DeleteSourceBlobOnSuccess"]);
    let other = Artifact::small(9, 500);
    other.push(&site.registry, "a", Some("v1"));
    let watch = site.watch(&[]);
    site.land(&site.bundle("a", 1, 1000));
    let line = ended(&watch, "a", "Failed");
    assert!(line.contains("\"next\":") && line.contains("v1"), "{line}");
    assert!(site.source.join("a").exists());
    let path = format!("/v2/a/manifests/{}", other.digest());
    site.registry.send(reqwest::Method::DELETE, &path, &[], bytes::Bytes::new()).success();
    ended(&watch, "a", "Succeeded");
    assert!(!site.source.join("a").exists());
    assert_eq!(site.registry.manifest("a", "v1").unwrap().digest(), Artifact::small(1, 1000).digest());
}

#[test]
fn a_signal_finishes_or_parks_what_is_under_way_and_a_second_one_ends_it_at_once() {
    needs!("docker-registry");
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    site.pipeline("down", &wire.address(), &site.source, &[]);
    let response = |name: &str| {
        let runs = site.runs();
        let run = runs.iter().find(|run| run["properties"]["request"]["source"]["name"] == name).expect("it is kept");
        run["properties"]["response"].clone()
    };
    let held = |name: &str, grace: &str| {
        let mut watch = site.watch(&["--grace", grace]);
        wire.hold_after(200_000);
        site.land(&site.bundle(name, 1, 2_000_000));
        assert!(wire.wait_until_held(&mut watch));
        watch
    };
    let mut parked = held("parked", "0s");
    parked.signal(Signal::TERM);
    assert_eq!(exit(&mut parked), Some(0));
    assert_eq!(response("parked")["status"], "Interrupted");
    wire.release();
    let watch = site.watch(&[]);
    ended(&watch, "parked", "Succeeded");
    assert_eq!(response("parked")["resumed"], 1);
    drop(watch);

    let mut finished = held("finished", "1h");
    finished.signal(Signal::TERM);
    wire.release();
    assert_eq!(exit(&mut finished), Some(0));
    assert_eq!(response("finished")["status"], "Succeeded");

    let mut cut = held("cut", "1h");
    let code = loop {
        // The second signal counts once the first was heard, so it is said until it is.
        cut.signal(Signal::TERM);
        if let Some(status) = cut.wait_at_most(Duration::from_millis(50)) {
            break status.code();
        }
    };
    assert_eq!(code, Some(130));
    wire.release();
    assert_eq!(response("cut")["status"], "Interrupted");
}

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
        use airlift::storage::{self, Draft, Note, Parts, parts};
        let object = storage::open(&half, &storage::Settings::default()).unwrap();
        let parts = Parts::of(1000, 1000, &object.limits(), object.location()).unwrap();
        let identity = airlift::oci::Digest::sha256(b"half");
        let upload = object.upload(&Draft { identity, parts, metadata: BTreeMap::new() }).await.unwrap();
        upload.put(0, Note([7; parts::NOTE]), noise(1, 1000).into()).await.unwrap();
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

#[test]
fn a_full_disk_forgets_no_bundle_and_no_run_of_the_watch() {
    needs!("docker-registry", "mount", "umount");
    let Some(disk) = Tmpfs::mount(1 << 20) else { return };
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    let state = disk.path().display().to_string();
    let more = ["-z", "DeleteSourceBlobOnSuccess", "--state", &state];
    site.pipeline("down", &wire.address(), &site.source, &more);
    let runs = || site.airlift.json(["pipeline-run", "list", "-o", "json", "--state", &state]);
    let mut watch = site.airlift.start(["watch", "--json", "--interval", "1s", "--state", &state]);
    watch.wait_for_line("\"watching\"");
    site.land(&site.bundle("before", 1, 1000));
    ended(&watch, "before", "Succeeded");
    let filler = disk.path().join("filler");
    let fill = || {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    };
    // It fills up while a run is under way: what cannot be written down as confirmed is not removed.
    wire.hold_after(200_000);
    site.land(&site.bundle("amid", 2, 2_000_000));
    assert!(wire.wait_until_held(&mut watch));
    fill();
    wire.release();
    let line = watch.wait_for_line("\"event\":\"trouble\"");
    assert!(line.contains("output.no-space") || line.contains("pipeline.state"), "{line}");
    assert!(site.source.join("amid").exists());
    // And it is full when one lands: no run begins that could not be written down.
    site.land(&site.bundle("late", 3, 1000));
    watch.wait_for_line("\"blob\":\"late\",\"token\":\"");
    let kept = runs();
    let names: Vec<&str> = kept.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert!(names.len() == 2 && names[0].contains("amid") && names[1].contains("before"), "{names:?}");
    assert_eq!(site.registry.repositories().iter().filter(|name| *name == "late").count(), 0);
    fs::remove_file(&filler).unwrap();
    for name in ["amid", "late"] {
        ended(&watch, name, "Succeeded");
        assert_eq!(site.registry.tags(name), ["v1"]);
        assert!(!site.source.join(name).exists());
    }
    assert_eq!(runs().as_array().unwrap().len(), 3);
}

/// Moments at which the watch is killed.
const MOMENTS: u32 = 30;

#[test]
fn killed_at_any_moment_no_bundle_is_imported_twice_and_none_is_forgotten() {
    needs!("docker-registry");
    let site = Site::watched(&[]);
    let land = |n: u32| site.land(&site.bundle(&format!("b{n}"), u64::from(n), 400_000));
    let begun = Instant::now();
    // How long it takes from the beginning of the watch to the end of a run.
    let watch = site.watch(&[]);
    let watching = Instant::now();
    land(1000);
    ended(&watch, "b1000", "Succeeded");
    let whole = watching.elapsed();
    drop(watch);
    let random = noise(u64::from(std::process::id()), 4 * MOMENTS as usize);
    let mut kept: HashSet<String> = HashSet::new();
    for (n, bytes) in (0..MOMENTS).zip(random.chunks(4)) {
        let fraction = f64::from(u32::from_le_bytes(bytes.try_into().unwrap())) / f64::from(u32::MAX);
        // Landed before the watch begins, while it is not there, or under its eyes.
        if n % 3 == 0 {
            land(n);
        }
        let mut watch = site.watch(&[]);
        if n % 3 == 1 {
            land(n);
        }
        watch.wait_at_most(whole.mul_f64(fraction));
        watch.kill();
        if n % 3 == 2 {
            land(n);
        }
        let runs: HashSet<String> = site.runs().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect();
        assert!(kept.is_subset(&runs), "rows were lost: {kept:?} {runs:?}");
        kept = runs;
    }
    let broken = site.runs().iter().filter(|run| run["properties"]["response"]["resumed"] != 0).count();
    let watch = site.watch(&[]);
    site.fence(&watch, "last");
    assert!(broken > 0, "no run was killed before its end");
    let names: Vec<String> = (0..MOMENTS).chain([1000]).map(|n| format!("b{n}")).collect();
    let requests = loop {
        let tagged = names.iter().filter(|name| site.registry.tags(name) == ["v1"]).count();
        if tagged == names.len() {
            break site.registry.requests();
        }
        assert!(Instant::now() < begun + crate::support::process::PATIENCE, "{tagged} of {} are there", names.len());
    };
    let puts = |name: &str| {
        let path = format!("/v2/{name}/manifests/v1");
        requests.iter().filter(|request| request.method == "PUT" && request.path == path).count()
    };
    let twice: Vec<_> = names.iter().filter(|name| puts(name) != 1).collect();
    assert!(twice.is_empty(), "pushed more than once: {twice:?}");
}

/// Bundles that land at once.
const CROWD: u64 = 200;

#[test]
fn two_hundred_bundles_at_once_are_all_imported_once_within_bounds() {
    needs!("docker-registry");
    let site = Site::new();
    let wire = Proxy::before(site.registry.address());
    site.pipeline("down", &wire.address(), &site.source, &["-z", "DeleteSourceBlobOnSuccess"]);
    let bundles: Vec<PathBuf> = (0..CROWD).map(|n| site.bundle(&format!("b{n}"), n, 20_000)).collect();
    let watch = site.watch(&["--runs", "4", "--jobs", "3"]);
    for bundle in &bundles {
        site.land(bundle);
    }
    for n in 0..CROWD {
        ended(&watch, &format!("b{n}"), "Succeeded");
    }
    assert_eq!(site.registry.repositories().len() as u64, CROWD);
    let mut began = told(&watch, "began");
    began.sort();
    began.dedup();
    assert_eq!((began.len() as u64, told(&watch, "ended").len() as u64), (CROWD, CROWD));
    assert_eq!(fs::read_dir(&site.source).unwrap().count(), 0);
    let status = fs::read_to_string(format!("/proc/{}/status", watch.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak <= 96 << 10, "{peak} KiB at the most");
    // Two runs of a pipeline at once, each with its own connections.
    assert!(wire.most() <= 2 * 16, "{} connections at once", wire.most());
}
