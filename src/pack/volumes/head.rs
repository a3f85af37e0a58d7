//! The head of a volume: which stretch of which packed file follows it (docs/pack-format.md, *Volumes*).

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::{Error, Result, sealed_json::SealedJson};
use crate::{
    bundle::volume::MAX_VOLUMES,
    oci::{Algorithm, Digest},
};

/// How a volume begins.
pub(in crate::pack) const VOLUME: SealedJson = SealedJson {
    magic: b"airpvol\x1a",
    what: "a volume of a packed file",
    version: 1,
    most: 1024,
    beginning: br#"{"bundle":""#,
};

/// Most bytes of a head: what a volume has besides its stretch.
pub(crate) const MOST_HEAD: u64 = SealedJson::length(VOLUME.most) as u64;

/// The head of a volume. Fields have the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeHead {
    /// The id of the bundle that is coded.
    pub(crate) bundle: Digest,
    /// SHA-256 of the stretch.
    pub(crate) digest: Digest,
    /// Which volume it is, from 1.
    pub(crate) number: u32,
    /// SHA-256 of the head of the packed file, which names every byte of it.
    pub(crate) pack: Digest,
    /// Bytes of the packed file.
    pub(crate) size: u64,
    /// Bytes of a stretch; the last has what is left.
    pub(crate) stretch: u64,
}

impl VolumeHead {
    /// Whether a file that begins with `begin` was written as a volume, perhaps damaged since.
    pub(crate) fn begins(begin: &[u8]) -> bool {
        VOLUME.begins(begin)
    }

    /// How many volumes there are.
    pub(crate) fn volumes(&self) -> u32 {
        u32::try_from(self.size.div_ceil(self.stretch)).unwrap_or(u32::MAX)
    }

    /// Where in the packed file the stretch begins.
    pub(crate) fn from(&self) -> u64 {
        u64::from(self.number - 1) * self.stretch
    }

    /// Bytes of the stretch.
    pub(crate) fn length(&self) -> u64 {
        self.stretch.min(self.size - self.from())
    }

    /// The bytes that a volume begins with.
    pub(crate) fn write(&self) -> Vec<u8> {
        VOLUME.write(&self.json())
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// Reads the head that `bytes` begin with, and its bytes.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<(Self, u64)> {
        let json = VOLUME.json(bytes, path)?;
        let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
        let head: Self = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if head.json() != json {
            return Err(malformed("it is not canonical JSON".to_owned()));
        }
        let is_sha256 = [&head.bundle, &head.digest, &head.pack].iter().all(|one| one.algorithm() == Algorithm::Sha256);
        if !is_sha256 || head.stretch == 0 || head.size == 0 || head.size >= 1 << 62 {
            return Err(malformed("no volume is so".to_owned()));
        }
        let volumes = head.volumes();
        if volumes > MAX_VOLUMES || head.number == 0 || head.number > volumes {
            return Err(malformed(format!("volume {} of {volumes}", head.number)));
        }
        Ok((head, SealedJson::length(json.len()) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    fn head() -> VolumeHead {
        let digest = |text: &str| Digest::sha256(text.as_bytes());
        let (bundle, own, pack) = (digest("bundle"), digest("stretch"), digest("head"));
        VolumeHead { bundle, digest: own, number: 3, pack, size: 2500, stretch: 1000 }
    }

    #[test]
    fn a_head_is_read_back_and_says_where_its_stretch_is() {
        let bytes = head().write();
        let (read, length) = VolumeHead::parse(&[&bytes[..], b"content"].concat(), Path::new("v")).unwrap();
        assert_eq!((read, length), (head(), bytes.len() as u64));
        assert_eq!((head().volumes(), head().from(), head().length()), (3, 2000, 500));
        assert!(length < MOST_HEAD);
    }

    #[test]
    fn heads_that_cannot_be_are_refused() {
        let sha512 = Digest::of(Algorithm::Sha512, b"");
        let bad = [
            VolumeHead { number: 0, ..head() },
            VolumeHead { number: 4, ..head() },
            VolumeHead { stretch: 0, ..head() },
            VolumeHead { size: 0, number: 1, ..head() },
            VolumeHead { size: u64::MAX, stretch: u64::MAX / 2, ..head() },
            VolumeHead { stretch: 1, ..head() },
            VolumeHead { pack: sha512, ..head() },
        ];
        for head in bad {
            let error = VolumeHead::parse(&head.write(), Path::new("v")).unwrap_err();
            assert_eq!(error.code(), Code::PackMalformed, "{head:?}");
        }
        let sound = head().write();
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 1;
            assert!(VolumeHead::begins(&damaged), "byte {at}");
            assert!(VolumeHead::parse(&damaged, Path::new("v")).is_err(), "byte {at}");
            assert!(VolumeHead::parse(&sound[..at], Path::new("v")).is_err(), "{at} bytes");
        }
        let later = SealedJson { version: 2, ..VOLUME }.write(&head().json());
        assert_eq!(VolumeHead::parse(&later, Path::new("v")).unwrap_err().code(), Code::PackVersion);
        let spaced = VOLUME.write(&[&head().json()[..], b" "].concat());
        assert_eq!(VolumeHead::parse(&spaced, Path::new("v")).unwrap_err().code(), Code::PackMalformed);
    }
}
