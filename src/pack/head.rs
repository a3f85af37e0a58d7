//! The head of a packed file: what is in it, how it is coded, and where it is (docs/pack-format.md).
//!
//! Nothing is decoded by a head that was not checked: its numbers are held against each other and against limits first.

use std::{collections::HashSet, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{
    Error, Result,
    deflate::{Checkpoints, MemberList},
    medium::Medium,
    nested::NestedStreams,
    sealed_json::{FRONT, SealedJson},
};
use crate::oci::{Algorithm, Digest};

/// How a packed file begins. The JSON of some ten thousand layers has 32 MiB.
pub(super) const HEAD: SealedJson =
    SealedJson { magic: b"airpack\x1a", what: "a packed file", version: 1, most: 32 << 20, beginning: br#"{"base":["# };

/// The longest content of a frame, and the longest prefix of one.
pub(super) const MOST_FRAME: u64 = 256 << 20;

/// The longest front: the documents of a bundle at their limits.
const MOST_FRONT: u64 = 256 << 20;

/// Deflate never expands its input more than this.
const MOST_RATIO: u64 = 1032;

/// The most that is decoded for one frame, with all that its prefix needs.
const MOST_WORK: u64 = 16 << 30;

/// The most frames that all prefixes are in, each counted as often as it is named.
const MOST_TOUCHED: usize = 1 << 24;

/// A packed file's head. Fields have the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackHead {
    /// Layers that the receiver has, against which others are coded.
    pub(crate) base: Vec<BaseLayer>,
    /// The bundle that is coded.
    pub(crate) bundle: PackedBundle,
    /// What is coded, in the order of the file.
    pub(crate) contents: Vec<PackedContent>,
    /// Bytes at the beginning of the first content that are the front of the bundle, up to its first config or layer.
    pub(crate) front: u64,
}

/// A layer that the receiver has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaseLayer {
    /// The layer's digest.
    pub(crate) digest: Digest,
    /// Whether its content is what gzip decompresses it to.
    pub(crate) gzip: bool,
    /// Bytes of its content.
    pub(crate) length: u64,
    /// Bytes of the layer.
    pub(crate) size: u64,
}

/// The identity of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackedBundle {
    /// The bundle id.
    pub(crate) id: Digest,
    /// The SHA-256 of `airlift.json`.
    pub(crate) seal: Digest,
    /// Bytes of the bundle.
    pub(crate) size: u64,
}

/// A run of blobs that are coded as one stream, cut into frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackedContent {
    /// The blobs, one after another.
    pub(crate) blobs: Vec<PackedBlob>,
    /// The frames, one after another.
    pub(crate) frames: Vec<PackFrame>,
}

/// A config or layer of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackedBlob {
    /// Where the encoder can be resumed, as base64; only with one recipe.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) checkpoints: Option<String>,
    /// Its digest.
    pub(crate) digest: Digest,
    /// Bytes of its content: of itself, or of what the recipe makes it of; of what that is expanded to, if it is.
    pub(crate) length: u64,
    /// The streams within its content that are expanded, as base64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) nested: Option<String>,
    /// The list of members from which it is made again, as base64; without one the content is the blob.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) recipe: Option<String>,
    /// Its bytes.
    pub(crate) size: u64,
}

/// How a frame is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FrameCoding {
    /// As it is.
    Stored,
    /// As one frame of zstd.
    Zstd,
}

/// A stretch of a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackFrame {
    /// How it is coded.
    pub(crate) coding: FrameCoding,
    /// SHA-256 of the bytes in the file.
    pub(crate) digest: Digest,
    /// Bytes that it decodes to.
    pub(crate) length: u64,
    /// The bytes that zstd takes for granted, part after part.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) prefix: Vec<PrefixPart>,
    /// Bytes in the file.
    pub(crate) size: u64,
}

/// Where a part of a prefix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PrefixSource {
    /// In the content of a base layer.
    Base,
    /// In a content of the file.
    Content,
}

/// A part of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrefixPart {
    /// Where in it the part begins.
    pub(crate) from: u64,
    /// Which one, from 0.
    pub(crate) number: usize,
    /// Bytes.
    pub(crate) size: u64,
    /// Of what.
    pub(crate) source: PrefixSource,
}

impl PackedContent {
    /// Bytes of all frames.
    pub(crate) fn length(&self) -> u64 {
        self.frames.iter().map(|frame| frame.length).sum()
    }
}

impl PackedBlob {
    /// The recipe, decoded.
    pub(super) fn member_list(&self, path: &Path) -> Result<Option<MemberList>> {
        let Some(text) = &self.recipe else { return Ok(None) };
        let bytes = decode(text, path)?;
        let list = MemberList::decode(&bytes);
        list.map(Some).map_err(|source| Error::Recipe { path: path.to_owned(), blob: self.digest, source })
    }

    /// The nested streams, decoded.
    pub(super) fn nested_list(&self, path: &Path) -> Result<Option<NestedStreams>> {
        let malformed = |error| {
            let reason = format!("{error}, of {}", self.digest);
            Error::Malformed { path: path.to_owned(), reason }
        };
        self.nested.as_deref().map(NestedStreams::parse).transpose().map_err(malformed)
    }

    /// Holds its lists against its sizes.
    fn check_lists(&self, path: &Path) -> Result<()> {
        let malformed = |reason: &str| {
            let reason = format!("{reason}: {}", self.digest);
            Err(Error::Malformed { path: path.to_owned(), reason })
        };
        let nested = self.nested_list(path)?;
        let content = nested.as_ref().map_or(self.length, |nested| nested.content);
        let list = self.member_list(path)?;
        let lengths = list.as_ref().map(|list| list.iter().map(|(_, length)| length));
        let members = lengths.map_or(self.size, |lengths| lengths.fold(0, u64::saturating_add));
        if members != content {
            return malformed("its members are not its content");
        }
        if self.mark_list(path)?.is_some() && list.is_none_or(|list| list.iter().count() != 1) {
            return malformed("it has checkpoints and not one recipe");
        }
        if content > most_content(self.size) || self.length > most_content(content) {
            return malformed("a content is longer than its blob allows");
        }
        if nested.is_some_and(|nested| nested.expanded().is_none_or(|expanded| expanded > self.length)) {
            return malformed("its nested streams are longer than its content");
        }
        Ok(())
    }

    /// The checkpoints, decoded.
    pub(super) fn mark_list(&self, path: &Path) -> Result<Option<Checkpoints>> {
        let Some(text) = &self.checkpoints else { return Ok(None) };
        let bytes = decode(text, path)?;
        let marks = Checkpoints::decode(&bytes);
        marks.map(Some).map_err(|source| Error::Checkpoints { path: path.to_owned(), blob: self.digest, source })
    }
}

/// Bytes as a head has them.
pub(super) fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn decode(text: &str, path: &Path) -> Result<Vec<u8>> {
    let malformed = |error| Error::Malformed { path: path.to_owned(), reason: format!("{error}") };
    BASE64_STANDARD.decode(text).map_err(malformed)
}

impl PackHead {
    /// The bytes of the head as the file begins with them.
    pub(super) fn write(&self) -> Vec<u8> {
        HEAD.write(&self.json())
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers serialise")
    }

    /// Reads the head at the beginning of `file`, and its bytes. Blocks.
    pub(super) fn read(file: &Medium) -> Result<(Self, u64)> {
        let path = file.path();
        let read = |size| file.read_up_to(0, size).map_err(Error::read(&path));
        let length = SealedJson::length(HEAD.json_length(&read(FRONT as u64)?, &path)?) as u64;
        Ok((Self::parse(&read(length)?, &path)?, length))
    }

    /// Reads the head that `bytes` are, seal included, and checks everything that can be checked without decoding.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let json = HEAD.json(bytes, path)?;
        let malformed = |reason: String| Error::Malformed { path: path.to_owned(), reason };
        let head: Self = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if head.json() != json {
            return Err(malformed("it is not canonical JSON".to_owned()));
        }
        head.check().map_err(malformed)?;
        for blob in head.contents.iter().flat_map(|content| &content.blobs) {
            blob.check_lists(path)?;
        }
        Ok(head)
    }

    /// Why no packed file can be so, if none can.
    fn check(&self) -> Result<(), String> {
        let say = |is_so: bool, reason: &str| if is_so { Ok(()) } else { Err(reason.to_owned()) };
        say(self.bundle.size < 1 << 62, "no bundle is so large")?;
        say(self.front <= MOST_FRONT, "the front is longer than any is")?;
        say(self.bundle.id.algorithm() == Algorithm::Sha256, "the bundle id is no SHA-256")?;
        say(self.bundle.seal.algorithm() == Algorithm::Sha256, "the bundle's seal is no SHA-256")?;
        let mut seen = HashSet::new();
        for layer in &self.base {
            say(seen.insert(layer.digest), "a base layer is there twice")?;
            say(layer.gzip || layer.length == layer.size, "a base layer has two sizes")?;
            say(layer.length <= most_content(layer.size), "a base layer is longer than its bytes allow")?;
        }
        seen.clear();
        for (number, content) in self.contents.iter().enumerate() {
            let front = if number == 0 { self.front } else { 0 };
            let mut length = front;
            for blob in &content.blobs {
                say(seen.insert(blob.digest), "a blob is there twice")?;
                let is_coded = blob.recipe.is_some() || blob.nested.is_some();
                say(is_coded || blob.length == blob.size, "a blob without a recipe has two sizes")?;
                say(blob.recipe.is_some() || blob.checkpoints.is_none(), "a blob has checkpoints without a recipe")?;
                let most = most_content(blob.size);
                let most = if blob.nested.is_some() { most_content(most) } else { most };
                say(blob.length <= most, "a content is longer than its blob allows")?;
                length = length.checked_add(blob.length).filter(|&sum| sum < 1 << 62).ok_or("too long a content")?;
            }
            let mut start = 0;
            for frame in &content.frames {
                self.check_frame(number, frame, start)?;
                start += frame.length;
            }
            say(start == length, "the frames of a content do not add up to its blobs")?;
        }
        say(!self.contents.is_empty() || self.front == 0, "the front is in no content")?;
        self.check_work()
    }

    fn check_frame(&self, number: usize, frame: &PackFrame, start: u64) -> Result<(), String> {
        let say = |is_so: bool, reason: &str| if is_so { Ok(()) } else { Err(reason.to_owned()) };
        say((1..=MOST_FRAME).contains(&frame.length), "a frame is longer than any is")?;
        say(frame.digest.algorithm() == Algorithm::Sha256, "a frame's digest is no SHA-256")?;
        match frame.coding {
            FrameCoding::Stored => {
                say(frame.size == frame.length && frame.prefix.is_empty(), "a stored frame is coded")?;
            }
            FrameCoding::Zstd => say(frame.size <= frame.length + frame.length / 128 + 1024, "a frame is too large")?,
        }
        let mut prefix = 0_u64;
        for part in &frame.prefix {
            let end = part.from.checked_add(part.size).ok_or("a part of a prefix ends nowhere")?;
            let limit = match part.source {
                PrefixSource::Base => self.base.get(part.number).map(|layer| layer.length),
                PrefixSource::Content if part.number == number => Some(start),
                PrefixSource::Content => {
                    self.contents.get(part.number).filter(|_| part.number < number).map(PackedContent::length)
                }
            };
            say(
                part.size > 0 && limit.is_some_and(|limit| end <= limit),
                "a part of a prefix is not before its frame",
            )?;
            prefix = prefix.saturating_add(part.size);
        }
        say(prefix <= MOST_FRAME, "a prefix is longer than any is")
    }

    /// Checks that no frame needs the decoding of endless others.
    fn check_work(&self) -> Result<(), String> {
        let cost = |frame: &PackFrame, below: &[u64]| {
            below.iter().fold(frame.length, |sum, cost| sum.saturating_add(*cost)).saturating_add(prefix_bytes(frame))
        };
        let starts: Vec<Vec<u64>> = self.contents.iter().map(|content| starts_of(&content.frames)).collect();
        let touched = self.contents.iter().flat_map(|content| &content.frames).try_fold(0_usize, |sum, frame| {
            let parts = frame.prefix.iter().filter(|part| part.source == PrefixSource::Content);
            let frames = parts.map(|part| touched(&starts[part.number], part.from, part.from + part.size).len());
            Some(frames.fold(sum, usize::saturating_add)).filter(|&sum| sum <= MOST_TOUCHED)
        });
        if touched.is_none() {
            return Err("prefixes are in too many frames".to_owned());
        }
        let work = self.fold_frames(cost);
        if work.iter().flatten().all(|&work| work <= MOST_WORK) {
            Ok(())
        } else {
            Err("a frame needs too much to be decoded before it".to_owned())
        }
    }

    /// Bytes of memory that decoding needs at the most, the frame that is decoded included.
    pub(super) fn needs(&self) -> Vec<Vec<u64>> {
        self.fold_frames(|frame, below| {
            let own = frame.length + frame.size;
            prefix_bytes(frame) + below.iter().copied().max().unwrap_or(0).max(own)
        })
    }

    /// A number for each frame, from those of the frames that its prefix is in.
    fn fold_frames(&self, of: impl Fn(&PackFrame, &[u64]) -> u64) -> Vec<Vec<u64>> {
        let mut all: Vec<Vec<u64>> = Vec::with_capacity(self.contents.len());
        let mut starts: Vec<Vec<u64>> = Vec::with_capacity(self.contents.len());
        for content in &self.contents {
            all.push(Vec::with_capacity(content.frames.len()));
            starts.push(starts_of(&content.frames));
            for frame in &content.frames {
                let mut below = Vec::new();
                for part in frame.prefix.iter().filter(|part| part.source == PrefixSource::Content) {
                    let touched = touched(&starts[part.number], part.from, part.from + part.size);
                    below.extend(touched.filter_map(|at| all[part.number].get(at)));
                }
                let number = of(frame, &below);
                all.last_mut().expect("it was just added").push(number);
            }
        }
        all
    }
}

/// The longest content of a blob of `size` bytes.
const fn most_content(size: u64) -> u64 {
    size.saturating_mul(MOST_RATIO).saturating_add(1024)
}

/// Bytes of a frame's prefix.
pub(super) fn prefix_bytes(frame: &PackFrame) -> u64 {
    frame.prefix.iter().map(|part| part.size).sum()
}

/// Where each frame begins in its content.
pub(super) fn starts_of(frames: &[PackFrame]) -> Vec<u64> {
    let mut start = 0;
    let starts = frames.iter().map(|frame| {
        let own = start;
        start += frame.length;
        own
    });
    starts.collect()
}

/// The frames that have a byte of `from..to`, where frames begin at `starts`.
pub(super) fn touched(starts: &[u64], from: u64, to: u64) -> std::ops::Range<usize> {
    let first = starts.partition_point(|&start| start <= from).saturating_sub(1);
    first..starts.partition_point(|&start| start < to).max(first)
}
