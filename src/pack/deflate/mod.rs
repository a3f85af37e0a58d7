//! Encoders that make the same gzip bytes again.
//!
//! A layer's digest is that of its gzip bytes, and a gzip stream is one of very many for the same content: which one, the
//! encoder chose. This crate has the encoders that registries are filled by, written from what the originals do. Given what
//! a stream inflates to and a [`Recipe`], an [`Encoder`] gives the stream, byte for byte. The rules of each encoder are in
//! `docs/encoders.md`.
//!
//! Nothing here reads or writes anything, and memory is bounded.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "indices of a window of 64 KiB, lengths up to 258 and positions that are lowered in time fit by construction"
)]

mod bits;
mod blocks;
mod bytes;
mod checkpoint;
mod compressor;
mod decode;
mod detect;
mod encoder;
#[cfg(test)]
mod format_page;
mod golang;
mod header;
mod huffman;
mod klauspost;
mod members;
mod raw;
mod recipe;
mod scan;
mod segment;
mod symbols;
#[doc(hidden)]
pub mod test_data;
mod tokens;
mod zlib;

pub use checkpoint::{CheckpointError, Checkpoints, SegmentPlan};
pub use detect::{Detection, agrees, candidates, detect};
pub use encoder::Encoder;
pub use header::{GzipHeader, HeaderError};
pub use members::{MemberList, MembersEncodeError, MembersEncoder, MembersError};
#[doc(hidden)]
pub use raw::RawEncoder;
pub use recipe::{Engine, Family, Framing, Recipe, RecipeError};
pub use scan::MarkScanner;
pub use segment::StreamSegment;
