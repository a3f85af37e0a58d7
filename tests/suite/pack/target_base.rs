//! The base of a packed update, fetched from a registry that the update goes to.

use std::{fs, sync::Arc};

use airlift::{
    bundle::Reader,
    content::{Fault, memory::Memory},
    oci::Descriptor,
    pack::{self, BaseFinder, FoundLayer, PackedFile, ReadSettings},
    progress::Progress,
};
use async_trait::async_trait;

use super::{base::versions, sample::Sample};
use crate::support::{
    Options, Registry, compare::same, kills::kill_after, needs, process::files_below, proxy::Proxy, tmpfs::Tmpfs,
};

/// A registry, and a wire before it.
struct Target {
    sample: Sample,
    registry: Registry,
    wire: Proxy,
}

impl Target {
    /// With `v2.pack`, packed against `v1.tar`; the whole of the second version is in `whole/app`.
    fn new() -> Self {
        let sample = versions();
        sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
        let registry = Registry::start(Options::default());
        let wire = Proxy::before(registry.address());
        let target = Self { sample, registry, wire };
        target.put("v2.tar", "whole");
        target
    }

    /// Imports a bundle past the wire, to `FOLDER/app`.
    fn put(&self, bundle: &str, folder: &str) {
        let map = format!("team={folder}");
        self.sample.airlift.run(["import", bundle, "--to", self.registry.address(), "--map", &map]).success();
    }

    /// The command that imports the update over the wire, to `FOLDER/app`.
    fn update(&self, folder: &str) -> [String; 6] {
        let address = self.wire.address();
        ["import", "v2.pack", "--to", &address, "--map", &format!("team={folder}")].map(str::to_owned)
    }

    /// Whether `FOLDER/app` has all of the second version.
    fn has_all(&self, folder: &str) {
        same((&self.registry, "whole/app"), (&self.registry, &format!("{folder}/app")), "2");
    }

    /// Nothing of the second version is visible in `FOLDER/app`.
    fn has_nothing(&self, folder: &str) {
        assert_eq!(self.registry.tags(&format!("{folder}/app")), ["1"]);
    }
}

#[test]
fn a_base_is_fetched_from_the_registry_that_the_update_goes_to() {
    needs!("docker-registry");
    let target = Target::new();
    let airlift = &target.sample.airlift;
    target.put("v1.tar", "plain");
    // What is only to be shown asks for the base, and fetches none of it.
    let told = airlift.run(target.update("plain").iter().map(String::as_str).chain(["--dry-run"])).success();
    assert!(told.stdout.contains("plain/app:2"), "{told}");
    let shown = target.wire.downloaded();
    assert!(shown < 30_000, "{shown} bytes came for a plan");
    target.has_nothing("plain");
    airlift.run(target.update("plain")).success();
    target.has_all("plain");
    let fetched = target.wire.downloaded() - shown;
    let length = fs::metadata(target.sample.path("v1.tar")).unwrap().len();
    assert!(fetched > length / 2 && fetched < length + 100_000, "{fetched} bytes came of a base of {length}");
    // By another rule the artifacts go where no base is.
    let refused = airlift.run(target.update("elsewhere")).exits(4);
    refused.says(&["pack.base-missing", "v2.pack"]);
    assert!(!target.registry.repositories().contains(&"elsewhere/app".to_owned()));
}

#[test]
fn a_base_whose_fetch_breaks_off_is_fetched_again() {
    needs!("docker-registry");
    let target = Target::new();
    target.put("v1.tar", "cut");
    for _ in 0..2 {
        target.wire.cut_after(40_000);
    }
    target.sample.airlift.run(target.update("cut")).success();
    assert_eq!(target.wire.cuts_left(), 0, "no connection was cut");
    target.has_all("cut");
    target.put("v1.tar", "killed");
    kill_after(&target.wire, 60_000, || target.sample.airlift.start(target.update("killed")));
    target.has_nothing("killed");
    target.sample.airlift.run(target.update("killed")).success();
    target.has_all("killed");
}

/// Finds everything, in a place that has none of it any more.
#[derive(Debug)]
struct Gone;

#[async_trait]
impl BaseFinder for Gone {
    async fn find(&self, _documents: &Reader, layers: &[Descriptor]) -> pack::Result<Vec<FoundLayer>> {
        let found = layers.iter().map(|layer| FoundLayer {
            layer: layer.clone(),
            from: Arc::new(Memory::default()),
            place: "r.site/team/app".to_owned(),
        });
        Ok(found.collect())
    }
}

#[test]
fn a_base_that_goes_between_being_found_and_being_fetched_is_missing() {
    let sample = versions();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        let settings = ReadSettings { finder: Some(Arc::new(Gone)), ..ReadSettings::default() };
        let packed = PackedFile::open(&sample.path("v2.pack"), settings).await.unwrap();
        pack::unpack(&packed, &sample.path("x.tar"), false, 1, &Progress::silent()).await.unwrap_err()
    });
    assert_eq!(error.code().token(), "pack.base-missing", "{error:?}");
    assert!(!sample.path("x.tar").exists());
}

#[test]
fn a_temporary_folder_without_room_for_the_base_is_named_before_anything_is_moved() {
    let Some(small) = Tmpfs::mount(64 << 10) else { return };
    let mut sample = versions();
    sample.airlift.run(["pack", "v2.tar", "-o", "v2.pack", "--base", "v1.tar"]).success();
    sample.airlift.run(["import", "v1.tar", "--store", "there"]).success();
    let before = files_below(&sample.path("there"));
    let folder = small.path().to_str().unwrap().to_owned();
    sample.airlift.set("TMPDIR", &*folder);
    let ran = sample.airlift.run(["import", "v2.pack", "--store", "there"]).exits(1);
    ran.says(&["output.no-space", &folder, "bytes more", "free"]);
    assert_eq!(files_below(&sample.path("there")), before);
    // A base that is given needs no room.
    sample.airlift.run(["import", "v2.pack", "--base", "v1.tar", "--store", "there"]).success();
}
