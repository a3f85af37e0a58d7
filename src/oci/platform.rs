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
    pub fn selects(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || self.variant == other.variant)
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
        assert!(any.selects(&v7) && v7.selects(&v7) && !v7.selects(&any));
        assert!(!"windows/arm".parse::<Platform>().unwrap().selects(&v7));
    }

    #[test]
    fn malformed_platforms_are_refused() {
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }
}
