//! The artifacts that the demo carries, built of the texts in `fixtures/demo`: one of each kind that matters.

use airlift::oci::{Descriptor, Manifest, Tag, media_type};
use bytes::Bytes;

use super::parts::{self, FOREIGN_LAYER, File, LAYER, Layer, SampleBlob};

/// A file of `fixtures/demo`, built in.
macro_rules! fixture {
    ($path:literal) => {
        Bytes::from_static(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo/", $path)))
    };
}

/// Bytes of pseudo-random data in a large part and in a small one: together enough that progress can be seen.
const LARGE: usize = 3 << 20;
const SMALL: usize = 1 << 20;

/// Something that a registry holds under one repository and, mostly, a tag.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// What it is, for people.
    pub(crate) title: &'static str,
    /// The repository, without a host.
    pub(crate) repository: &'static str,
    /// The tag of the last manifest; `None` for what is only attached to another artifact.
    pub(crate) tag: Option<Tag>,
    /// Children before parents; the last one is the root.
    pub(crate) manifests: Vec<Manifest>,
    /// Configs and layers that the registry holds.
    pub(crate) blobs: Vec<(Descriptor, Bytes)>,
    /// Layers that the registry does not hold: each lies at the URL that its descriptor names.
    pub(crate) elsewhere: Vec<(Descriptor, Bytes)>,
}

impl Sample {
    fn new(title: &'static str, repository: &'static str, manifests: Vec<Manifest>, blobs: Vec<SampleBlob>) -> Self {
        let blobs = blobs.into_iter().map(|blob| (blob.descriptor, blob.content)).collect();
        Self { title, repository, tag: None, manifests, blobs, elsewhere: Vec::new() }
    }

    fn tagged(self, tag: &str) -> Self {
        Self { tag: Some(tag.parse().expect("the tags of the samples are well-formed")), ..self }
    }

    /// The manifest that the tag names.
    pub(crate) fn root(&self) -> &Manifest {
        self.manifests.last().expect("a sample has a manifest")
    }
}

/// All samples, what others are attached to first. The non-distributable layer is named as `FOREIGN_URL/DIGEST`, where
/// `foreign_url` has no slash at its end.
pub(crate) fn samples(foreign_url: &str) -> Vec<Sample> {
    let base = Layer::new(
        LAYER,
        &[
            ("etc/os-release", 0o644, fixture!("base/etc/os-release")),
            ("etc/passwd", 0o644, fixture!("base/etc/passwd")),
            ("usr/lib/station/data", 0o644, parts::noise(1, LARGE)),
        ],
    );
    let beacon = beacon(&base);
    let (sbom, signature) = (sbom(beacon.root()), signature(beacon.root()));
    vec![beacon, almanac(&base), chart(), modem(&base, foreign_url), sbom, signature]
}

/// Two platforms on one base.
fn beacon(base: &Layer) -> Sample {
    let program = |seed| -> [File<'static>; 4] {
        [
            ("usr/bin/beacon", 0o755, fixture!("beacon/usr/bin/beacon")),
            ("etc/beacon/beacon.conf", 0o644, fixture!("beacon/etc/beacon/beacon.conf")),
            ("usr/share/doc/beacon/copyright", 0o644, fixture!("beacon/usr/share/doc/beacon/copyright")),
            ("usr/lib/beacon/tables", 0o644, parts::noise(seed, SMALL)),
        ]
    };
    let (amd64, arm64) = (Layer::new(LAYER, &program(2)), Layer::new(LAYER, &program(3)));
    let (amd64_manifest, amd64_config) = parts::image("amd64", "/usr/bin/beacon", &[base, &amd64]);
    let (arm64_manifest, arm64_config) = parts::image("arm64", "/usr/bin/beacon", &[base, &arm64]);
    let index = parts::index(&[("amd64", &amd64_manifest), ("arm64", &arm64_manifest)]);
    let blobs = vec![base.blob.clone(), amd64.blob, arm64.blob, amd64_config, arm64_config];
    Sample::new("image for two platforms", "station/beacon", vec![amd64_manifest, arm64_manifest, index], blobs)
        .tagged("1.4.2")
}

/// One platform, on the same base.
fn almanac(base: &Layer) -> Sample {
    let own = Layer::new(
        LAYER,
        &[
            ("usr/share/almanac/2026.csv", 0o644, fixture!("almanac/usr/share/almanac/2026.csv")),
            ("usr/share/almanac/ephemeris", 0o644, parts::noise(4, SMALL)),
        ],
    );
    let (manifest, config) = parts::image("amd64", "/usr/bin/almanac", &[base, &own]);
    let blobs = vec![base.blob.clone(), own.blob, config];
    Sample::new("image that shares a layer", "station/almanac", vec![manifest], blobs).tagged("2026")
}

/// A Helm chart, as `helm push` stores it.
fn chart() -> Sample {
    let content = Layer::new(
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        &[
            ("beacon/Chart.yaml", 0o644, fixture!("chart/Chart.yaml")),
            ("beacon/values.yaml", 0o644, fixture!("chart/values.yaml")),
            ("beacon/templates/deployment.yaml", 0o644, fixture!("chart/templates/deployment.yaml")),
        ],
    );
    let config = SampleBlob::new("application/vnd.cncf.helm.config.v1+json", fixture!("chart/config.json"));
    let manifest = parts::manifest(&config, &[&content.blob], None, None);
    Sample::new("Helm chart", "charts/beacon", vec![manifest], vec![config, content.blob]).tagged("0.3.0")
}

/// An image whose firmware the registry does not hold.
fn modem(base: &Layer, foreign_url: &str) -> Sample {
    let mut firmware = Layer::new(
        FOREIGN_LAYER,
        &[
            ("usr/share/doc/firmware/LICENCE-NOTE", 0o644, fixture!("firmware/LICENCE-NOTE")),
            ("lib/firmware/modem.bin", 0o644, parts::noise(5, SMALL)),
        ],
    );
    let digest = firmware.blob.descriptor.digest;
    firmware.blob.descriptor.urls = vec![format!("{foreign_url}/{digest}")];
    let (manifest, config) = parts::image("amd64", "/usr/bin/modem", &[base, &firmware]);
    let title = "image with a non-distributable layer";
    let sample = Sample::new(title, "station/modem", vec![manifest], vec![base.blob.clone(), config]).tagged("7");
    Sample { elsewhere: vec![(firmware.blob.descriptor, firmware.blob.content)], ..sample }
}

/// Attached by `subject`: found by the referrers API or its fallback tag.
fn sbom(subject: &Manifest) -> Sample {
    let kind = "application/spdx+json";
    let document = SampleBlob::new(kind, fixture!("beacon.spdx.json"));
    let empty = SampleBlob::new(media_type::OCI_EMPTY, Bytes::from_static(b"{}"));
    let manifest = parts::manifest(&empty, &[&document], Some(kind), Some(subject));
    Sample::new("SBOM attached to an image", "station/beacon", vec![manifest], vec![empty, document])
}

/// Attached by its name, as cosign did before referrers; the payload names the digest that it would sign.
fn signature(subject: &Manifest) -> Sample {
    let digest = subject.digest().to_string();
    let payload = String::from_utf8_lossy(&fixture!("signature.json")).trim_end().replace("{digest}", &digest);
    let mut payload = SampleBlob::new("application/vnd.dev.cosign.simplesigning.v1+json", payload);
    // The shape of an ECDSA signature in base64, signed by nobody.
    let nobody = format!("MEUCIQ{}", "A".repeat(86));
    payload.descriptor.annotations.insert("dev.cosignproject.cosign/signature".to_owned(), nobody);
    let config = SampleBlob::new(
        "application/vnd.oci.image.config.v1+json",
        r#"{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#,
    );
    let manifest = parts::manifest(&config, &[&payload], None, None);
    let [tag, ..] = Tag::cosign(&subject.digest());
    let sample = Sample::new("signature of an image", "station/beacon", vec![manifest], vec![config, payload]);
    Sample { tag: Some(tag), ..sample }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use airlift::oci::Digest;

    use super::*;

    fn all() -> Vec<Sample> {
        samples("http://127.0.0.1:1")
    }

    #[test]
    fn every_sample_is_complete_and_its_content_is_what_it_says() {
        for sample in all() {
            let mut known = BTreeSet::new();
            for (descriptor, content) in sample.blobs.iter().chain(&sample.elsewhere) {
                assert_eq!(Digest::sha256(content), descriptor.digest);
                assert_eq!(content.len() as u64, descriptor.size);
                known.insert(descriptor.digest);
            }
            for manifest in &sample.manifests {
                let named: Vec<_> = manifest.children().iter().chain(manifest.blobs()).collect();
                assert!(!named.is_empty());
                // A child that came after its parent would not be known yet.
                assert!(named.iter().all(|child| known.contains(&child.digest)), "{}", sample.title);
                known.insert(manifest.digest());
            }
        }
    }

    #[test]
    fn the_bytes_are_the_same_at_every_run_and_a_few_mebibytes() {
        let content = |samples: Vec<Sample>| -> BTreeMap<Digest, usize> {
            let blobs = samples.iter().flat_map(|sample| sample.blobs.iter().chain(&sample.elsewhere));
            let manifests = samples.iter().flat_map(|sample| &sample.manifests);
            let blobs = blobs.map(|(descriptor, content)| (descriptor.digest, content.len()));
            blobs.chain(manifests.map(|manifest| (manifest.digest(), manifest.raw().len()))).collect()
        };
        let first = content(all());
        assert_eq!(first, content(all()));
        let total: usize = first.values().sum();
        assert!((4 << 20..16 << 20).contains(&total), "{total}");
    }

    #[test]
    fn each_kind_that_matters_is_there() {
        let samples = all();
        let find = |repository, tag: &str| {
            let wanted = |sample: &&Sample| {
                sample.repository == repository && sample.tag.as_ref().map_or("", Tag::as_str) == tag
            };
            samples.iter().find(wanted).unwrap()
        };
        let beacon = find("station/beacon", "1.4.2");
        assert_eq!(beacon.root().children().len(), 2);
        let base = beacon.manifests[0].layers()[0].digest;
        for (repository, tag) in [("station/almanac", "2026"), ("station/modem", "7")] {
            assert_eq!(find(repository, tag).root().layers()[0].digest, base);
        }
        let modem = find("station/modem", "7");
        let (foreign, _) = &modem.elsewhere[0];
        assert!(foreign.is_foreign());
        assert_eq!(foreign.urls, [format!("http://127.0.0.1:1/{}", foreign.digest)]);
        let sbom = find("station/beacon", "");
        assert_eq!(sbom.root().subject().unwrap().digest, beacon.root().digest());
        assert_eq!(sbom.root().descriptor().artifact_type.as_deref(), Some("application/spdx+json"));
        let signature = find("station/beacon", &format!("sha256-{}.sig", beacon.root().digest().hex()));
        let payload = String::from_utf8_lossy(&signature.blobs[1].1);
        assert!(payload.contains(&beacon.root().digest().to_string()));
        let chart = find("charts/beacon", "0.3.0").root();
        assert_eq!(chart.config().unwrap().media_type, "application/vnd.cncf.helm.config.v1+json");
    }

    #[test]
    fn layers_are_tars_that_others_can_read() {
        let samples = all();
        let (_, layer) = &samples[0].blobs[1];
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.as_ref()));
        let paths: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(paths[..3], ["usr/", "usr/bin/", "usr/bin/beacon"]);
        assert_eq!(paths.last().unwrap(), "usr/lib/beacon/tables");
    }
}
