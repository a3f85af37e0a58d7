//! The encoder of zlib at its usual settings: a window of 32 KiB, memory level 8, default strategy. Levels 1 to 9. And that of GNU
//! gzip, from which zlib's came.

mod blocks;
mod ends;
mod matcher;
mod tree;

pub(super) use matcher::ZlibEncoder;
