//! Bundles that are small on the disk and large in memory: every command says so within 256 MiB, or does its work in it.

use std::{collections::BTreeMap, fs::File, path::Path};

use airlift::{
    bundle::header::blob_name,
    oci::{Descriptor, Digest, media_type},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{Airlift, Ran, Serving};

/// Kilobytes of memory that a process may have.
const MEMORY: u32 = 256 << 10;

/// A layout of another tool's, made of manifests alone.
#[derive(Default)]
pub(crate) struct Trap {
    roots: Vec<Value>,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Trap {
    fn blob(&mut self, media_type: &str, document: &Value) -> Descriptor {
        let content = document.to_string().into_bytes();
        let descriptor = Descriptor::of(media_type, &content);
        self.blobs.insert(descriptor.digest, content);
        descriptor
    }

    pub(crate) fn index(&mut self, children: &[Value]) -> Descriptor {
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children});
        self.blob(media_type::OCI_INDEX, &document)
    }

    pub(crate) fn image(&mut self, layers: &[Value], annotations: &Value) -> Descriptor {
        let config = self.blob("application/vnd.oci.image.config.v1+json", &json!({}));
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config,
            "layers": layers, "annotations": annotations});
        self.blob(media_type::OCI_MANIFEST, &document)
    }

    pub(crate) fn root(&mut self, name: &str, descriptor: &Descriptor) {
        let mut root = json!(descriptor);
        root["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.roots.push(root);
    }

    pub(crate) fn write(&self, path: &Path) {
        let mut tar = tar::Builder::new(GzEncoder::new(File::create(path).unwrap(), Compression::fast()));
        let mut add = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content).unwrap();
        };
        add("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}");
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": self.roots});
        add("index.json", index.to_string().as_bytes());
        for (digest, content) in &self.blobs {
            add(&blob_name(digest), content);
        }
        tar.into_inner().unwrap().finish().unwrap();
    }
}

pub(crate) fn layers(count: u64) -> Vec<Value> {
    let layer = |at: u64| json!({"digest": Digest::sha256(&at.to_be_bytes()), "size": 1});
    (0..count).map(layer).collect()
}

/// A manifest of as many bytes as a registry must take, with nothing in it but descriptors, under very many names.
fn one_large_manifest_under_many_names() -> Trap {
    let mut trap = Trap::default();
    let image = trap.image(&layers(20_000), &json!({}));
    (0..26_000).for_each(|at| trap.root(&format!("r.example/a:{at}"), &image));
    trap
}

fn many_indexes_of_one_large_manifest() -> Trap {
    let mut trap = Trap::default();
    let image = trap.image(&layers(20_000), &json!({}));
    for at in 0..2000 {
        let index = trap.index(&[json!(image), json!({"digest": Digest::sha256(&[0; 4]), "size": at})]);
        trap.root(&format!("r.example/a:{at}"), &index);
    }
    trap
}

fn very_many_roots() -> Trap {
    let mut trap = Trap::default();
    for at in 0..100_000 {
        let image = Descriptor::of(media_type::OCI_MANIFEST, &u64::to_be_bytes(at));
        trap.root(&format!("r.example/a:{at}"), &image);
    }
    trap
}

/// Ten levels, of which each names the one below ten times: 10^10 paths.
fn a_fan_of_paths() -> Trap {
    let mut trap = Trap::default();
    let mut below = trap.image(&layers(10), &json!({}));
    for level in 0..10 {
        let named = (0..10).map(|at| {
            let mut one = json!(below);
            one["annotations"] = json!({"level": level.to_string(), "at": at.to_string()});
            one
        });
        let named: Vec<Value> = named.collect();
        below = trap.index(&named);
    }
    trap.root("r.example/a:1", &below);
    trap
}

fn indexes_nested_very_deep() -> Trap {
    let mut trap = Trap::default();
    let mut below = trap.image(&layers(1), &json!({}));
    for _ in 0..20_000 {
        below = trap.index(&[json!(below)]);
    }
    trap.root("r.example/a:1", &below);
    trap
}

fn a_manifest_of_tiny_annotations() -> Trap {
    let mut trap = Trap::default();
    let many: serde_json::Map<String, Value> = (0..1_500_000).map(|at| (format!("{at:x}"), json!(""))).collect();
    let image = trap.image(&layers(1), &json!({}));
    let mut named = json!(image);
    named["annotations"] = Value::Object(many);
    let index = trap.index(&[named]);
    trap.root("r.example/a:1", &index);
    trap
}

/// `airlift ARGS` with little memory.
fn confined(airlift: &Airlift, args: &[&str]) -> Ran {
    airlift.confined(MEMORY, args)
}

fn trapped(trap: &Trap) -> Airlift {
    let airlift = Airlift::new();
    trap.write(&airlift.home().join("trap.tar.gz"));
    airlift
}

const INSPECT: &[&str] = &["inspect", "trap.tar.gz"];
const VERIFY: &[&str] = &["verify", "trap.tar.gz"];
const IMPORT: &[&str] = &["import", "trap.tar.gz", "--to", "127.0.0.1:9", "--dry-run"];
const SERVE: &[&str] = &["serve", "trap.tar.gz", "--listen", "127.0.0.1:0"];

#[test]
fn what_would_fill_the_memory_is_refused_by_its_count() {
    for trap in [
        one_large_manifest_under_many_names(),
        many_indexes_of_one_large_manifest(),
        very_many_roots(),
        indexes_nested_very_deep(),
        a_manifest_of_tiny_annotations(),
    ] {
        let airlift = trapped(&trap);
        for args in [INSPECT, VERIFY, IMPORT, SERVE] {
            confined(&airlift, args).exits(1).says(&["[content.too-large]"]);
        }
    }
}

#[test]
fn what_is_shared_by_many_paths_is_handled_once() {
    let airlift = trapped(&a_fan_of_paths());
    let found = confined(&airlift, &["inspect", "trap.tar.gz", "--json"]).success().stdout;
    let found: Value = serde_json::from_str(&found).unwrap();
    // Ten indexes, an image, its config and ten layers.
    assert_eq!(found["blobs"].as_array().unwrap().len(), 22);
    for args in [INSPECT, &["inspect", "trap.tar.gz", "--tree"]] {
        assert!(confined(&airlift, args).success().stdout.len() < 16 << 20);
    }
    // The layers are not there.
    confined(&airlift, VERIFY).exits(4);
}

#[test]
fn a_bundle_of_as_many_blobs_as_people_have_is_handled() {
    let mut trap = Trap::default();
    for at in 0..1000_u64 {
        let layer = |nth: u64| {
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": Digest::sha256(&(at * 1000 + nth).to_be_bytes()), "size": 1})
        };
        let layers: Vec<Value> = (0..50).map(layer).collect();
        let image = trap.image(&layers, &json!({}));
        trap.root(&format!("r.example/a:{at}"), &image);
    }
    let airlift = trapped(&trap);
    let found = confined(&airlift, &["inspect", "trap.tar.gz"]).success().stdout;
    assert!(found.contains("1000 artifacts, 51001 blobs"), "{found}");
    // Every layer is missing, and that is told.
    let ran = confined(&airlift, &["verify", "trap.tar.gz", "--json"]);
    ran.exits(4);
}

#[test]
fn the_page_of_a_store_has_an_end_whatever_is_pushed() {
    let serving = Serving::empty();
    let layer = serving.push_blob("team/app", b"the same layer again and again");
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": layer,
        "layers": vec![json!(layer); 20_000]});
    for tag in 0..12 {
        serving.push_manifest("team/app", &tag.to_string(), &document).success();
    }
    let page = String::from_utf8(serving.get("/").success().body.to_vec()).unwrap();
    assert!((1..10).contains(&page.matches("docker pull").count()), "{page}");
}
