//! A packed chart as the artifact that `helm push` makes of it.
//!
//! One thing differs: `helm push` says when the file was last written on its machine. Here it is the time that the archive itself
//! has for `Chart.yaml`, so the same chart gives the same artifact.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::{
    body::{BlobBody, PackagedArtifact},
    chart_metadata::ChartMetadata,
    error::Error,
    go_text,
};
use crate::{
    content,
    oci::{Descriptor, Manifest, Reference, Tag, media_type},
};

/// Media types of Helm (HIP-6).
pub(super) const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
pub(super) const CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
pub(super) const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";

/// Most bytes of a packed chart.
pub(super) const MAX_CHART: u64 = 64 << 20;

/// Most bytes of a provenance file.
pub(super) const MAX_PROVENANCE: u64 = 1 << 20;

/// Most bytes of a chart, unpacked.
const MAX_UNPACKED: u64 = 256 << 20;

/// Most bytes of `Chart.yaml`, or of `requirements.yaml`.
const MAX_METADATA: u64 = 4 << 20;

/// Members of the annotations that a chart's own do not replace.
const FIXED: [&str; 2] = ["org.opencontainers.image.version", "org.opencontainers.image.title"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChartManifest<'a> {
    schema_version: u32,
    config: &'a Descriptor,
    layers: Vec<&'a Descriptor>,
    annotations: BTreeMap<String, String>,
}

/// A packed chart that was read.
pub(super) struct PackedChart {
    metadata: ChartMetadata,
    /// When its `Chart.yaml` was written, in seconds.
    written: i64,
    content: Bytes,
}

impl PackedChart {
    /// Reads the archive `content`; `name` is what errors call it.
    pub(super) fn read(content: Bytes, name: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Chart { chart: name.to_owned(), reason };
        let broken = |error: std::io::Error| refuse(format!("it is not a packed chart: {error}"));
        let mut archive = tar::Archive::new(MultiGzDecoder::new(&content[..]).take(MAX_UNPACKED));
        let (mut metadata, mut requirements) = (None, None);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some((_, inner)) = path.trim_start_matches("./").split_once('/') else { continue };
            let goal = match inner {
                "Chart.yaml" => &mut metadata,
                "requirements.yaml" => &mut requirements,
                _ => continue,
            };
            let written = entry.header().mtime().unwrap_or_default();
            let mut text = String::new();
            entry.by_ref().take(MAX_METADATA).read_to_string(&mut text).map_err(broken)?;
            *goal = Some((text.trim_start_matches('\u{feff}').to_owned(), written));
        }
        let (text, written) = metadata.ok_or_else(|| refuse("it has no Chart.yaml".to_owned()))?;
        let requirements = requirements.map(|(text, _)| text);
        let metadata = ChartMetadata::read(&text, requirements.as_deref()).map_err(refuse)?;
        Ok(Self { metadata, written: i64::try_from(written).unwrap_or_default(), content })
    }

    pub(super) fn name(&self) -> &str {
        &self.metadata.name
    }

    pub(super) fn version(&self) -> &str {
        &self.metadata.version
    }

    /// The tag of its version: tags have no `+`.
    pub(super) fn tag(&self, path: &Path) -> Result<Tag, Error> {
        let tag = self.version().replace('+', "_").parse();
        tag.map_err(|source| Error::Name { path: path.to_owned(), source })
    }

    /// The artifact, with its provenance if there is one.
    pub(super) fn package(self, reference: Reference, provenance: Option<Bytes>) -> Result<PackagedArtifact, Error> {
        let config = Bytes::from(go_text::json(&self.metadata));
        let config_blob = Descriptor::of(CONFIG, &config);
        let mut layers = vec![(Descriptor::of(CONTENT, &self.content), self.content.clone())];
        layers.extend(provenance.map(|text| (Descriptor::of(PROVENANCE, &text), text)));
        layers.sort_by_key(|(layer, _)| layer.digest.to_string());
        let document = ChartManifest {
            schema_version: 2,
            config: &config_blob,
            layers: layers.iter().map(|(layer, _)| layer).collect(),
            annotations: self.annotations(),
        };
        let manifest = Manifest::parse(go_text::json(&document).into(), Some(media_type::OCI_MANIFEST));
        let manifest = manifest.map_err(content::Error::from)?;
        let blobs = layers.into_iter().map(|(layer, bytes)| (layer.digest, BlobBody::Bytes(bytes)));
        let blobs = blobs.chain([(config_blob.digest, BlobBody::Bytes(config))]).collect();
        Ok(PackagedArtifact { reference, manifest, blobs })
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let ChartMetadata { name, version, description, home, sources, maintainers, annotations, .. } = &self.metadata;
        let created = jiff::Timestamp::from_second(self.written).unwrap_or_default();
        let people = maintainers.iter().map(|person| match &*person.email {
            "" => person.name.clone(),
            email => format!("{} ({email})", person.name),
        });
        let people = people.collect::<Vec<_>>().join(", ");
        let own = [
            ("description", description.clone()),
            ("title", name.clone()),
            ("version", version.clone()),
            ("url", home.clone()),
            ("created", created.to_string()),
            ("source", sources.first().cloned().unwrap_or_default()),
            ("authors", people),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.trim().is_empty());
        let mut all: BTreeMap<_, _> =
            own.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value)).collect();
        let theirs = annotations.iter().filter(|(key, _)| !FIXED.contains(&key.as_str()));
        all.extend(theirs.map(|(key, value)| (key.clone(), value.clone())));
        all
    }
}
