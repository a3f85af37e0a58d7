//! The import trigger: what lands is imported once, and nothing half-written is touched.

mod packed;
mod sets;
mod storages;
mod trouble;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use airlift::{server::Config, store::Store};
use serde_json::Value;

use crate::support::{
    Airlift, Options, Registry, artifacts::Artifact, http::block_on, needs, packed::Packed, process::Process,
    serving::Serving, with,
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
    let to = Serving::new(with(config, |config| config.sparse = true));
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
    ended(&watch, "a", "Succeeded");
    site.fence(&watch, "b");
    assert_eq!(told(&watch, "began"), ["a", "b"]);
    assert_eq!((child(0), child(1)), (200, 200));
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
