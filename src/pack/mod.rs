//! Packed bundles: the same bundle in fewer bytes.

pub mod deflate;
