//! One deflate stream by any of the engines.

use super::bits::BitWriter;
use super::recipe::{Engine, Family};
use super::tokens::DeflateToken;
use super::{blocks, golang, klauspost, zlib};

/// The encoder of one deflate stream.
#[derive(Debug)]
pub(super) enum Compressor {
    GoPlain(golang::GoPlain),
    GoFast(golang::GoFast),
    GoChain(golang::GoChain),
    Plain(klauspost::PlainEncoder),
    Fast(klauspost::FastEncoder),
    Lazy(klauspost::LazyEncoder),
    Zlib(zlib::ZlibEncoder),
}

impl Compressor {
    /// The encoder of a stream. `dictionary` is what matches may reach before its first byte.
    pub(super) fn new(engine: Engine, dictionary: &[u8]) -> Self {
        let rules = match engine.family() {
            Family::Go => return Self::go(engine.level()),
            Family::Klauspost1_10_3 => klauspost::ReleaseRules::v1_10_3(),
            Family::Klauspost1_11_13 => klauspost::ReleaseRules::v1_11_13(),
            Family::Klauspost1_12_2 => klauspost::ReleaseRules::v1_12_2(),
            Family::Klauspost1_12_3 => klauspost::ReleaseRules::v1_12_3(),
            Family::Klauspost1_14_2 => klauspost::ReleaseRules::v1_14_2(),
            Family::Klauspost1_14 => klauspost::ReleaseRules::v1_14(),
            Family::Klauspost1_15_0 => klauspost::ReleaseRules::v1_15_0(),
            Family::Klauspost1_15_11 => klauspost::ReleaseRules::v1_15_11(),
            Family::Klauspost1_18_0 => klauspost::ReleaseRules::v1_18_0(),
            Family::Klauspost1_18_2 => klauspost::ReleaseRules::v1_18_2(),
            Family::Klauspost1_20_0 => klauspost::ReleaseRules::v1_20_0(),
            Family::Klauspost1_20_4 => klauspost::ReleaseRules::v1_20_4(),
            Family::Zlib => {
                let mut zlib = zlib::ZlibEncoder::new(engine.level());
                zlib.prime(dictionary);
                return Self::Zlib(zlib);
            }
            Family::Gzip => return Self::Zlib(zlib::ZlibEncoder::gnu(engine.level())),
            Family::Go1_27 => klauspost::ReleaseRules::go_1_27(),
        };
        match engine.level() {
            0 => Self::Plain(klauspost::PlainEncoder::new(rules, false)),
            -2 => Self::Plain(klauspost::PlainEncoder::new(rules, true)),
            level @ 1..=6 => {
                let mut fast = klauspost::FastEncoder::new(rules, level);
                fast.prime(dictionary);
                Self::Fast(fast)
            }
            level => {
                let mut lazy = klauspost::LazyEncoder::new(rules, level);
                lazy.prime(dictionary);
                Self::Lazy(lazy)
            }
        }
    }

    /// The encoder of a stream as it was at a mark; `None` where the engine has none, or not this one.
    pub(super) fn resume(engine: Engine, mark: &golang::ChainMark, window: &[u8]) -> Option<Self> {
        match engine.family() {
            Family::Go if engine.level() >= 2 => {
                golang::GoChain::resume(engine.level(), mark, window).map(Self::GoChain)
            }
            _ => None,
        }
    }

    /// The last mark that was passed since the last call.
    pub(super) fn take_mark(&mut self) -> Option<golang::ChainMark> {
        match self {
            Self::GoChain(chain) => chain.take_mark(),
            _ => None,
        }
    }

    /// The tokens of the block under way, where they are found long before it ends.
    pub(super) fn tokens(&self) -> &[DeflateToken] {
        match self {
            Self::GoChain(chain) => chain.tokens(),
            Self::Lazy(lazy) => lazy.tokens(),
            Self::Zlib(zlib) => zlib.tokens(),
            Self::GoPlain(_) | Self::GoFast(_) | Self::Plain(_) | Self::Fast(_) => &[],
        }
    }

    fn go(level: i8) -> Self {
        match level {
            0 => Self::GoPlain(golang::GoPlain::new(false)),
            -2 => Self::GoPlain(golang::GoPlain::new(true)),
            1 => Self::GoFast(golang::GoFast::new()),
            level => Self::GoChain(golang::GoChain::new(level)),
        }
    }

    /// Takes input.
    pub(super) fn write(&mut self, input: &[u8], bits: &mut BitWriter) {
        match self {
            Self::GoPlain(plain) => plain.write(input, bits),
            Self::GoFast(fast) => fast.write(input, bits),
            Self::GoChain(chain) => chain.write(input, bits),
            Self::Plain(plain) => plain.write(input, bits),
            Self::Fast(fast) => fast.write(input, bits),
            Self::Lazy(lazy) => lazy.write(input, bits),
            Self::Zlib(zlib) => zlib.write(input, bits),
        }
    }

    /// Writes what is pending, then an empty stored block, which ends at a byte.
    pub(super) fn sync(&mut self, bits: &mut BitWriter) {
        self.flush(false, bits);
        blocks::stored_header(bits, 0, false);
    }

    /// Writes what is pending, then what ends it at a byte in pigz's way: nothing where it does, an empty stored block where an odd
    /// number of bits waits, else empty fixed blocks.
    pub(super) fn join(&mut self, bits: &mut BitWriter) {
        self.flush(false, bits);
        if bits.position().count % 2 == 1 {
            blocks::stored_header(bits, 0, false);
        }
        while bits.position().count > 0 {
            blocks::empty(bits, false);
        }
    }

    /// Ends the stream. All but zlib's end with an empty block that is marked as the last: Go up to 1.26 writes it stored,
    /// others fixed.
    pub(super) fn finish(&mut self, bits: &mut BitWriter) {
        self.flush(true, bits);
        match self {
            Self::GoPlain(_) | Self::GoFast(_) | Self::GoChain(_) => blocks::stored_header(bits, 0, true),
            Self::Plain(_) | Self::Fast(_) | Self::Lazy(_) => {
                blocks::empty(bits, true);
                bits.align();
            }
            // It marked its last block.
            Self::Zlib(_) => {}
        }
    }

    fn flush(&mut self, last: bool, bits: &mut BitWriter) {
        match self {
            Self::GoPlain(plain) => plain.flush(bits),
            Self::GoFast(fast) => fast.flush(bits),
            Self::GoChain(chain) => chain.flush(bits),
            Self::Plain(plain) => plain.flush(bits),
            Self::Fast(fast) => fast.flush(last, bits),
            Self::Lazy(lazy) => lazy.flush(bits),
            Self::Zlib(zlib) => zlib.flush(last, bits),
        }
    }
}
