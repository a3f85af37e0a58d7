//! Content descriptors (image-spec 1.1, *descriptor.md*).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{digest::Digest, media_type, null::null_is_empty, platform::Platform, text::is_unsafe};

/// What a manifest says of a piece of content: its type, its digest, and its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type; empty where an old tool left it out.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub media_type: String,
    /// What names the content.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Where else the content may be had; used by foreign layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "without_null")]
    pub urls: Vec<String>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "annotations")]
    pub annotations: BTreeMap<String, String>,
    /// The type of the artifact that the described manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What the described image runs on; used in indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<Platform>>,
}

impl Descriptor {
    /// A bare descriptor.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            artifact_type: None,
            platform: None,
        }
    }

    /// The descriptor of `content` itself, by SHA-256.
    pub fn of(media_type: impl Into<String>, content: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(content), content.len() as u64)
    }

    /// Texts in it, with the names of their fields, that a terminal would obey and not show. People write annotations of
    /// several lines; these are no harm, since none is shown as a line.
    pub fn deceptive(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let platform = self.platform.iter().flat_map(|platform| {
            let Platform { architecture, os, os_version, variant } = &**platform;
            [Some(architecture), Some(os), os_version.as_ref(), variant.as_ref()].into_iter().flatten()
        });
        let texts = [("media type", Some(&self.media_type)), ("artifact type", self.artifact_type.as_ref())];
        let texts = texts.into_iter().filter_map(|(field, text)| Some((field, text?)));
        let texts = texts.chain(platform.map(|text| ("platform", text)));
        let annotations = self.annotations.iter().flat_map(|(key, value)| [key, value]);
        let is_bad = |text: &&String| text.contains(|c| is_unsafe(c) && !matches!(c, '\n' | '\r' | '\t'));
        let texts = texts.filter(|(_, text)| text.contains(is_unsafe));
        let annotations = annotations.filter(is_bad).map(|text| ("annotations", text));
        texts.chain(annotations).map(|(field, text)| (field, text.as_str()))
    }

    /// Whether this describes a non-distributable layer.
    pub fn is_foreign(&self) -> bool {
        media_type::is_foreign_layer(&self.media_type)
    }
}

fn without_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all: Vec<Option<String>> = null_is_empty(deserializer)?;
    Ok(all.into_iter().flatten().collect())
}

fn annotations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all: BTreeMap<String, Option<String>> = null_is_empty(deserializer)?;
    Ok(all.into_iter().filter_map(|(key, text)| Some((key, text?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_annotations_and_unknown_fields_are_read_and_a_bad_digest_is_not() {
        let digest = Digest::sha256(b"abc");
        let text = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":3,"annotations":null,"x":1}}"#);
        let descriptor: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!(descriptor, Descriptor::new("a/b", digest, 3));
        for bad in [r#""sha256:../..""#, "1", "null"] {
            let text = format!(r#"{{"mediaType":"a/b","digest":{bad},"size":3}}"#);
            assert!(serde_json::from_str::<Descriptor>(&text).is_err());
        }
        let negative = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":-1}}"#);
        assert!(serde_json::from_str::<Descriptor>(&negative).is_err());
    }
}
