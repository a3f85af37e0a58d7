//! The encoder of zlib at its usual settings: a window of 32 KiB, memory level 8, default strategy. Levels 1 to 9.

mod blocks;
mod matcher;
mod tree;

pub(super) use matcher::ZlibEncoder;
