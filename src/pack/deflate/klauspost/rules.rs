//! What differs between the releases.

use crate::huffman::Method;
use crate::symbols::{MAX_STORED, WINDOW};

/// What a block of literals only is taken to cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiteralCost {
    /// What its own codes make of it.
    Codes,
    /// An estimate by the shares of the bytes, those that were added among them, and a 32nd of the bytes.
    Estimate,
    /// An estimate by the shares of the bytes; those that were added count only where an open block could go on.
    OldEstimate,
}

/// How levels 7 to 9 look for matches, and write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lazy {
    /// As Go's lazy levels: no look at the end of a match, blocks of their own codes.
    Plain,
    /// As is said in `docs/encoders.md`.
    Full,
}

/// How level 3 hashes, and which places it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DenseTable {
    /// Four bytes in the manner of Snappy, 15 bits; the three places before the end of a match.
    Snappy,
    /// Four bytes, 16 bits; every fifth place of a match.
    Four,
    /// Five bytes, 16 bits; every sixth place of a match.
    Five,
}

/// The rules of a line of releases.
#[expect(clippy::struct_excessive_bools, reason = "each is one deviation, and they come in any combination")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReleaseRules {
    /// How code lengths are found.
    pub(super) method: Method,
    /// A block that is not the last one is counted as if it had each symbol once at least, so that its codes are good for
    /// any other; and some choices are made otherwise.
    pub(super) filled: bool,
    /// New codes must save their size shifted right by this, at levels 1 to 6.
    pub(super) penalty: u32,
    /// The same at level -2, and the bytes of its blocks.
    pub(super) plain: (u32, usize),
    /// What a block of literals only is taken to cost.
    pub(super) literal_cost: LiteralCost,
    /// From this many tokens on, the fixed codes are not tried.
    pub(super) few: usize,
    /// The estimate takes no symbol to have less than one bit, or more than 15.
    pub(super) clamped: bool,
    /// A block that is not the last one names all literals and distances in its header, used or not.
    pub(super) full_headers: bool,
    /// Levels 1 and 2 hash four bytes, not five.
    pub(super) four_bytes: bool,
    /// The table of level 3.
    pub(super) dense: DenseTable,
    /// A match too long for one token is cut at 255 bytes, even where more would be left over than a token needs.
    pub(super) short_cuts: bool,
    /// Levels 5 and 6: how many bytes at its beginning a match that is found by its end may miss. `None`: ends are not looked up.
    pub(super) missed: Option<usize>,
    /// Level 4 judges the match at the next place by the wrong bytes: those at the index that is its distance.
    pub(super) slips: bool,
    /// How levels 7 to 9 work.
    pub(super) lazy: Lazy,
    /// Level 9 weighs matches by codes for this many of the bytes ahead.
    pub(super) weighed: usize,
    /// Level 9: what a match must save, and what it costs beside its extra bits.
    pub(super) gain: (i64, i64),
    /// Levels 7 to 9: a match that is found by its end must match from its beginning.
    pub(super) whole_matches: bool,
    /// What level 9 takes a byte without a code to cost.
    pub(super) unknown_cost: u32,
    /// Levels 7 to 9 do not count the dictionary as part of the first block.
    pub(super) dictionary_apart: bool,
    /// Levels 1 to 6 look for matches in a last block of less than 128 bytes, too, if there is something before it.
    pub(super) small_blocks: bool,
}

impl ReleaseRules {
    /// v1.10.3 to v1.11.12.
    pub(crate) fn v1_10_3() -> Self {
        let literal_cost = LiteralCost::OldEstimate;
        Self { penalty: 6, plain: (4, MAX_STORED), literal_cost, ..Self::v1_11_13() }
    }

    /// v1.11.13 to v1.12.1.
    pub(crate) fn v1_11_13() -> Self {
        Self { missed: None, ..Self::v1_12_2() }
    }

    /// v1.12.2.
    pub(crate) fn v1_12_2() -> Self {
        Self { plain: (8, WINDOW), literal_cost: LiteralCost::Estimate, clamped: false, ..Self::v1_12_3() }
    }

    /// v1.12.3 to v1.13.6.
    pub(crate) fn v1_12_3() -> Self {
        Self { filled: true, penalty: 8, dense: DenseTable::Snappy, lazy: Lazy::Plain, ..Self::v1_14() }
    }

    /// v1.14.2.
    pub(crate) fn v1_14_2() -> Self {
        Self { dense: DenseTable::Snappy, few: usize::MAX, ..Self::v1_14() }
    }

    /// v1.14.3 and v1.14.4.
    pub(crate) fn v1_14() -> Self {
        Self {
            method: Method::Packages,
            filled: false,
            penalty: 7,
            plain: (10, WINDOW),
            literal_cost: LiteralCost::Codes,
            few: 250,
            clamped: true,
            full_headers: true,
            four_bytes: true,
            dense: DenseTable::Four,
            short_cuts: true,
            missed: Some(0),
            slips: false,
            lazy: Lazy::Full,
            weighed: 1 << 16,
            gain: (0, 6),
            whole_matches: true,
            unknown_cost: 0,
            dictionary_apart: false,
            small_blocks: false,
        }
    }

    /// v1.15.0 to v1.15.9, and levels 7 to 9 of v1.15.11 to v1.15.13.
    pub(crate) fn v1_15_0() -> Self {
        Self { short_cuts: false, ..Self::v1_14() }
    }

    /// v1.15.15 to v1.17.11, and levels 1 to 6 of v1.15.11 to v1.15.13.
    pub(crate) fn v1_15_11() -> Self {
        let dense = DenseTable::Five;
        Self { four_bytes: false, dense, missed: Some(2), gain: (4, 3), whole_matches: false, ..Self::v1_15_0() }
    }

    /// v1.18.0.
    pub(crate) fn v1_18_0() -> Self {
        Self { slips: true, ..Self::v1_15_11() }
    }

    /// v1.18.2 to v1.19.2.
    pub(crate) fn v1_18_2() -> Self {
        Self { full_headers: false, weighed: 1 << 15, ..Self::v1_18_0() }
    }

    /// v1.20.0 to v1.20.3.
    pub(crate) fn v1_20_0() -> Self {
        Self { dictionary_apart: true, ..Self::v1_18_2() }
    }

    /// v1.20.4.
    pub(crate) fn v1_20_4() -> Self {
        Self { method: Method::Tree, small_blocks: true, ..Self::v1_20_0() }
    }

    /// Go 1.27.
    pub(crate) fn go_1_27() -> Self {
        Self { unknown_cost: 1, ..Self::v1_20_0() }
    }
}
