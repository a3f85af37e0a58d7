//! One program with every target in it; `FUZZ_TARGET` says which one runs. `fuzz/run` builds and runs it.
#![no_main]

mod files;
mod ground;
mod originals;
mod pack;
mod text;
mod trust;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// What is done with an input.
type Target = fn(&[u8]);

/// Targets by name; each has seeds in `fuzz/seeds`.
const TARGETS: [(&str, Target); 29] = [
    ("archive", files::archive),
    ("artifact_list", text::artifact_list),
    ("bundle", files::bundle),
    ("certificate_signature", trust::cms),
    ("challenge", text::challenge),
    ("chart", files::chart),
    ("content_range", text::content_range),
    ("docker_config", files::docker_config),
    ("encoder", pack::encoder),
    ("find", text::find),
    ("gzip_stream", pack::gzip_stream),
    ("index", text::index),
    ("journal", files::journal),
    ("link", text::link),
    ("manifest", text::manifest),
    ("pack_head", pack::head),
    ("packed", pack::packed),
    ("plan", text::plan),
    ("receipt", text::receipt),
    ("recipe", pack::recipe),
    ("recovery", files::recovery),
    ("recovery_head", files::recovery_head),
    ("reference", text::reference),
    ("saved_images", files::saved_images),
    ("set_manifest", text::set_manifest),
    ("sigstore_bundle", trust::sigstore),
    ("ssh_signature", trust::ssh),
    ("statement", trust::statement),
    ("trust_file", trust::trust_file),
];

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    TARGETS.iter().find(|(target, _)| *target == name).unwrap_or_else(|| panic!("there is no target {name}")).1
});

fuzz_target!(|input: &[u8]| TARGET(input));
