//! The encoder of Go's `compress/flate` up to Go 1.26: levels 0 to 9 and Huffman only (-2).

mod blocks;
mod chain;
mod fast;
mod places;
mod plain;

pub(super) use blocks::smallest as smallest_block;
pub(super) use chain::{ChainMark, GoChain};
pub(super) use fast::GoFast;
pub(super) use plain::GoPlain;
