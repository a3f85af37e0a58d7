//! Platforms (image-spec 1.1, *image-index.md*, `platform`) and the filter that `--platform` makes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{null::null_is_empty, text::PeerText};

/// An operating system, a CPU architecture and, where it matters, a variant of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// Go's `GOARCH`: `amd64`, `arm64`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub architecture: String,
    /// Go's `GOOS`: `linux`, `windows`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub os: String,
    /// Windows' build, mostly.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// `v7`, `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that is not `OS/ARCH[/VARIANT]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a platform; write OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64")]
pub struct ParsePlatformError(String);

impl Platform {
    /// Whether `self`, as a filter, lets `other` through: equal in os and architecture, and in variant if one was asked.
    /// Where no variant is said, the usual one is meant: most arm64 images say none, and are v8.
    pub fn selects(&self, other: &Self) -> bool {
        let is_variant = |asked: &str| other.variant.as_deref().or_else(|| other.usual_variant()) == Some(asked);
        self.os == other.os && self.architecture == other.architecture && self.variant.as_deref().is_none_or(is_variant)
    }

    /// The variant of an architecture that images leave out (containerd `platforms.Normalize`).
    fn usual_variant(&self) -> Option<&'static str> {
        match self.architecture.as_str() {
            "arm64" => Some("v8"),
            "arm" => Some("v7"),
            "amd64" => Some("v1"),
            _ => None,
        }
    }

    /// Whether it says what it is for. Attestations are of platform unknown/unknown.
    pub fn is_known(&self) -> bool {
        !self.os.is_empty() && !self.architecture.is_empty() && self.os != "unknown"
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(ParsePlatformError(text.to_owned())),
        };
        let word =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !(word(os) && word(architecture) && variant.is_none_or(word)) {
            return Err(ParsePlatformError(text.to_owned()));
        }
        Ok(Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            os_version: None,
            variant: variant.map(str::to_owned),
        })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", PeerText(&self.os), PeerText(&self.architecture))?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{}", PeerText(variant)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_variant_takes_every_variant() {
        let any: Platform = "linux/arm".parse().unwrap();
        let v7: Platform = "linux/arm/v7".parse().unwrap();
        let v6: Platform = "linux/arm/v6".parse().unwrap();
        assert!(any.selects(&v7) && v7.selects(&v7) && !v6.selects(&any) && !v6.selects(&v7));
        assert!(!"windows/arm".parse::<Platform>().unwrap().selects(&v7));
    }

    #[test]
    fn an_image_without_variant_is_of_the_usual_one() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        for (filter, image, selects) in [
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v9", "linux/arm64", false),
            ("linux/arm/v7", "linux/arm", true),
            ("linux/arm/v6", "linux/arm", false),
            ("linux/amd64/v1", "linux/amd64", true),
            ("linux/s390x/v8", "linux/s390x", false),
        ] {
            assert_eq!(platform(filter).selects(&platform(image)), selects, "{filter} {image}");
        }
    }

    #[test]
    fn malformed_platforms_are_refused() {
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }
}
