//! Manifests and indexes: the raw bytes, and a view of what they name.
//!
//! The bytes are what travels; the view only tells which other content belongs to them. Parsing is structural (image-spec
//! 1.1, *manifest.md* and *image-index.md*), so that a document of an unknown media type keeps its layers, and refuses
//! what two readers could understand differently.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    descriptor::Descriptor,
    digest::{Algorithm, Digest},
    media_type,
    weight::weigh,
};

/// Largest manifest read by default: the 4 MiB that the distribution-spec asks registries to accept.
pub const DEFAULT_LIMIT: u64 = 4 << 20;

/// Why a document is not carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or a field has the wrong form.
    #[error("manifest {digest} is malformed: {reason}")]
    Malformed {
        /// Of the bytes received.
        digest: Digest,
        /// The parser's complaint.
        reason: String,
    },
    /// It could be read as two different things (CVE-2021-41190).
    #[error("manifest {digest} is ambiguous: {reason}")]
    Ambiguous {
        /// Of the bytes received.
        digest: Digest,
        /// Which two readings there are.
        reason: String,
    },
    /// Docker schema 1.
    #[error("manifest {digest} is Docker schema 1, which has no digests to carry it by")]
    Schema1 {
        /// Of the bytes received.
        digest: Digest,
    },
}

/// What kind of document it is, with the content it names, in the document's own order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum View {
    /// An image manifest: one config and its layers. OCI artifacts with `artifactType` are of this kind too.
    Image {
        /// `config`; absent only in documents of unknown types.
        config: Option<Descriptor>,
        /// `layers`.
        layers: Vec<Descriptor>,
    },
    /// An index or manifest list.
    Index {
        /// Of `manifests`, those that are manifests by their media type.
        manifests: Vec<Descriptor>,
        /// Of `manifests`, the others: build caches list layers there.
        blobs: Vec<Descriptor>,
    },
    /// A document of an unknown type that names nothing: carried as it is.
    Opaque,
}

/// A manifest or index: bytes, descriptor and view that belong together. Clones share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest(Arc<Parsed>);

#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    raw: Bytes,
    descriptor: Descriptor,
    view: View,
    subject: Option<Descriptor>,
    weight: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestDocument {
    schema_version: Option<u32>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    // Only schema 1 has it.
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Parses bytes that came with `content_type` (of HTTP, or of the descriptor that named them); digest by SHA-256.
    pub fn parse(raw: Bytes, content_type: Option<&str>) -> Result<Self, ManifestError> {
        Self::parse_as(raw, content_type, Algorithm::Sha256)
    }

    /// [`Manifest::parse`] for a manifest that is named by another algorithm.
    pub fn parse_as(raw: Bytes, content_type: Option<&str>, algorithm: Algorithm) -> Result<Self, ManifestError> {
        let digest = Digest::of(algorithm, &raw);
        // `application/json` says nothing, and some registries answer nothing better.
        let declared = content_type.map(essence).filter(|t| !t.is_empty() && t != "application/json");
        if declared.as_deref().is_some_and(media_type::is_schema_1) {
            return Err(ManifestError::Schema1 { digest });
        }
        let mut document = match serde_json::from_slice::<ManifestDocument>(&raw) {
            Ok(document) => document,
            // An index may list documents that are no JSON of ours; they are carried as they are.
            Err(_) if declared.as_deref().is_some_and(|t| !media_type::is_manifest(t)) => ManifestDocument::empty(),
            Err(error) => return Err(ManifestError::Malformed { digest, reason: error.to_string() }),
        };
        // Go's tools read and write an empty text where there is none.
        document.media_type = document.media_type.filter(|own| !own.is_empty());
        document.artifact_type = document.artifact_type.filter(|own| !own.is_empty());
        if document.fs_layers.is_some() || document.schema_version == Some(1) {
            return Err(ManifestError::Schema1 { digest });
        }
        let media_type = document.agreed_media_type(declared, digest)?;
        // distribution-spec 1.1, "Listing referrers": where artifactType is absent the config's type stands for it.
        let artifact_type = document.artifact_type.take();
        let artifact_type = artifact_type.or_else(|| document.config.as_ref().map(|config| config.media_type.clone()));
        let view = document.take_view(&media_type, digest)?;
        let mut descriptor = Descriptor::new(media_type, digest, raw.len() as u64);
        descriptor.artifact_type = artifact_type;
        let weight = weigh(&raw);
        Ok(Self(Arc::new(Parsed { raw, descriptor, view, subject: document.subject, weight })))
    }

    /// The bytes, exactly as received.
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// Media type, digest, size and artifact type of the bytes.
    pub fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> u64 {
        self.0.weight
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        self.0.descriptor.digest
    }

    /// The media type, agreed between the document and what it came with.
    pub fn media_type(&self) -> &str {
        &self.0.descriptor.media_type
    }

    /// What the document names.
    pub fn view(&self) -> &View {
        &self.0.view
    }

    /// The manifest that this one is attached to, if any. It is a weak link: it may be absent.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.0.subject.as_ref()
    }

    /// The child manifests of an index; empty for anything else.
    pub fn children(&self) -> &[Descriptor] {
        match self.view() {
            View::Index { manifests, .. } => manifests,
            View::Image { .. } | View::Opaque => &[],
        }
    }

    /// The config of an image.
    pub fn config(&self) -> Option<&Descriptor> {
        match self.view() {
            View::Image { config, .. } => config.as_ref(),
            View::Index { .. } | View::Opaque => None,
        }
    }

    /// The layers of an image, the blobs of an artifact, or what an index lists beside manifests.
    pub fn layers(&self) -> &[Descriptor] {
        match self.view() {
            View::Image { layers, .. } => layers,
            View::Index { blobs, .. } => blobs,
            View::Opaque => &[],
        }
    }

    /// The one of [`Manifest::blobs`] at `place`.
    pub(crate) fn blob(&self, place: usize) -> Option<&Descriptor> {
        match (self.config(), place) {
            (Some(config), 0) => Some(config),
            (Some(_), place) => self.layers().get(place - 1),
            (None, place) => self.layers().get(place),
        }
    }

    /// Config and layers, in that order.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> + Clone {
        self.config().into_iter().chain(self.layers())
    }
}

impl ManifestDocument {
    const fn empty() -> Self {
        Self {
            schema_version: None,
            media_type: None,
            artifact_type: None,
            config: None,
            layers: None,
            blobs: None,
            manifests: None,
            subject: None,
            fs_layers: None,
        }
    }

    /// The document's own `mediaType` and the declared one must agree where both are known; an OCI document may leave
    /// its own out.
    fn agreed_media_type(&self, declared: Option<String>, digest: Digest) -> Result<String, ManifestError> {
        match (&self.media_type, declared) {
            (Some(own), Some(declared)) if *own != declared => Err(ManifestError::Ambiguous {
                digest,
                reason: format!("it says of itself that it is {own:?} but came as {declared:?}"),
            }),
            (Some(own), _) => Ok(own.clone()),
            (None, Some(declared)) => Ok(declared),
            (None, None) if self.manifests.is_some() => Ok(media_type::OCI_INDEX.to_owned()),
            (None, None) if self.config.is_some() || self.layers.is_some() => Ok(media_type::OCI_MANIFEST.to_owned()),
            (None, None) => Err(ManifestError::Malformed {
                digest,
                reason: "it has no mediaType, no config, no layers and no manifests".to_owned(),
            }),
        }
    }

    /// What it names, which is then no longer in it.
    fn take_view(&mut self, media_type: &str, digest: Digest) -> Result<View, ManifestError> {
        let says_what_it_is = self.schema_version.is_some() || self.media_type.is_some();
        let content = self.layers.is_some() || self.config.is_some() || self.blobs.is_some();
        if self.manifests.is_some() && content {
            return Err(ManifestError::Ambiguous {
                digest,
                reason: "it has the fields of an index and of a manifest at once".to_owned(),
            });
        }
        let malformed = |reason: &str| ManifestError::Malformed { digest, reason: reason.to_owned() };
        if media_type::is_index(media_type) && self.manifests.is_none() {
            // Go's tools write `null` for an empty list, or leave it out.
            if content || !says_what_it_is {
                return Err(malformed("an index without manifests"));
            }
            self.manifests = Some(Vec::new());
        }
        if matches!(media_type, media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST) && self.config.is_none() {
            return Err(malformed("a manifest without config"));
        }
        if let Some(mut manifests) = self.manifests.take() {
            manifests.shrink_to_fit();
            let is_manifest =
                |child: &Descriptor| child.media_type.is_empty() || media_type::is_manifest(&child.media_type);
            // Most list manifests only, and these may be many: they are not copied.
            if manifests.iter().all(is_manifest) {
                return Ok(View::Index { manifests, blobs: Vec::new() });
            }
            let (manifests, blobs) = manifests.into_iter().partition(is_manifest);
            return Ok(View::Index { manifests, blobs });
        }
        if content {
            let mut layers = self.layers.take().unwrap_or_default();
            layers.extend(self.blobs.take().into_iter().flatten());
            // What a list grew by is up to half of it, and there may be a hundred thousand of these.
            layers.shrink_to_fit();
            return Ok(View::Image { config: self.config.take(), layers });
        }
        // A known artifact manifest may have no blobs at all; then it names nothing, as an unknown document does.
        Ok(View::Opaque)
    }
}

/// The media type without its parameters, in lower case: `text/Html; charset=x` is `text/html`.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
        Manifest::parse(Bytes::copy_from_slice(text.as_bytes()), content_type)
    }

    fn descriptor(content: &[u8]) -> String {
        serde_json::to_string(&Descriptor::of("a/b", content)).unwrap()
    }

    #[test]
    fn an_image_names_config_and_layers_and_keeps_its_bytes() {
        let text = format!(
            r#"{{ "schemaVersion":2, "config":{}, "layers":[{},{}],
                 "subject":{} }}"#,
            descriptor(b"c"),
            descriptor(b"1"),
            descriptor(b"2"),
            descriptor(b"s")
        );
        let manifest = parse(&text, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).unwrap();
        assert_eq!(manifest.raw(), text.as_bytes());
        assert_eq!(manifest.digest(), Digest::sha256(text.as_bytes()));
        assert_eq!(manifest.blobs().count(), 3);
        assert_eq!(manifest.subject().unwrap().digest, Digest::sha256(b"s"));
        assert_eq!(manifest.descriptor().artifact_type.as_deref(), Some("a/b"));
    }

    #[test]
    fn a_document_with_two_readings_is_refused() {
        let both = format!(r#"{{"schemaVersion":2,"manifests":[],"layers":[{}]}}"#, descriptor(b"1"));
        assert!(matches!(parse(&both, None), Err(ManifestError::Ambiguous { .. })));
        let index = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, media_type::OCI_INDEX);
        assert!(matches!(parse(&index, Some(media_type::OCI_MANIFEST)), Err(ManifestError::Ambiguous { .. })));
        assert!(parse(&index, Some(media_type::OCI_INDEX)).is_ok());
        assert!(parse(&index, Some("application/json")).is_ok());
    }

    #[test]
    fn an_index_tells_manifests_from_the_layers_that_build_caches_list() {
        let child = serde_json::to_string(&Descriptor::of(media_type::OCI_MANIFEST, b"m")).unwrap();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{},{child}]}}"#, descriptor(b"layer"));
        let index = parse(&text, None).unwrap();
        assert_eq!(index.children().iter().map(|c| c.digest).collect::<Vec<_>>(), [Digest::sha256(b"m")]);
        assert_eq!(index.blobs().map(|b| b.digest).collect::<Vec<_>>(), [Digest::sha256(b"layer")]);
    }

    #[test]
    fn schema_1_is_recognised_by_type_and_by_content() {
        let one = r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#;
        for content_type in [None, Some("application/vnd.docker.distribution.manifest.v1+prettyjws")] {
            assert!(matches!(parse(one, content_type), Err(ManifestError::Schema1 { .. })));
        }
    }

    #[test]
    fn unknown_documents_are_carried_and_keep_what_they_name() {
        let opaque = parse("not json", Some("application/x-thing")).unwrap();
        assert_eq!((opaque.view(), opaque.media_type()), (&View::Opaque, "application/x-thing"));
        let layered = format!(r#"{{"mediaType":"application/x-thing","layers":[{}]}}"#, descriptor(b"1"));
        assert_eq!(parse(&layered, None).unwrap().layers().len(), 1);
        assert!(parse("not json", None).is_err());
        assert!(parse("{}", None).is_err());
    }

    #[test]
    fn null_is_read_as_absence() {
        let own = |media_type: &str, rest: &str| format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}",{rest}}}"#);
        for text in [
            own(media_type::OCI_INDEX, r#""manifests":null"#),
            own(
                media_type::OCI_INDEX,
                r#""manifests":[],"layers":null,"config":null,"subject":null,"annotations":null"#,
            ),
            own(media_type::DOCKER_MANIFEST_LIST, r#""annotations":null"#),
        ] {
            let index = parse(&text, None).unwrap();
            assert!(matches!(index.view(), View::Index { manifests, .. } if manifests.is_empty()), "{text}");
        }
        let null = r#""urls":null,"annotations":{"a":null,"b":"c"},"artifactType":null"#;
        let layer =
            descriptor(b"1").replace('}', &format!(r#",{null},"platform":{{"os":null,"architecture":null}}}}"#));
        let untyped = descriptor(b"2").replace(r#""a/b""#, "null");
        for rest in [r#""layers":null"#, r#""manifests":null"#, &format!(r#""layers":[{layer},{untyped}]"#)] {
            let text = format!(r#"{{"schemaVersion":2,"mediaType":null,"config":{},{rest}}}"#, descriptor(b"c"));
            let image = parse(&text, Some(media_type::OCI_MANIFEST)).unwrap();
            assert!(matches!(image.view(), View::Image { config: Some(_), .. }), "{text}");
            if let [first, second] = image.layers() {
                assert_eq!(first.annotations, [("b".to_owned(), "c".to_owned())].into());
                assert_eq!((first.urls.len(), second.media_type.as_str()), (0, ""));
            }
        }
    }

    #[test]
    fn an_index_with_the_fields_of_a_manifest_is_refused_whatever_is_null() {
        for rest in [r#""layers":[]"#, r#""manifests":null,"layers":[]"#] {
            let text = format!(r#"{{"schemaVersion":2,"mediaType":"{}",{rest}}}"#, media_type::OCI_INDEX);
            assert!(matches!(parse(&text, None), Err(ManifestError::Malformed { .. })), "{text}");
        }
    }

    #[test]
    fn a_manifest_of_a_known_type_needs_its_fields() {
        for (text, content_type) in [
            ("{}", media_type::OCI_INDEX),
            (r#"{"manifests":null}"#, media_type::DOCKER_MANIFEST_LIST),
            (r#"{"layers":[]}"#, media_type::OCI_MANIFEST),
            (r#"{"config":1,"layers":[]}"#, media_type::OCI_MANIFEST),
        ] {
            assert!(matches!(parse(text, Some(content_type)), Err(ManifestError::Malformed { .. })), "{text}");
        }
    }
}
