//! The bytes that matches may reach, and the position of the first.

use crate::bytes::{common, load32, load64};
use crate::symbols::{HIGHEST_POSITION, MAX_STORED, WINDOW};

/// Blocks that are kept before the older ones are dropped: it costs a copy of the window.
const ROOM: usize = 5 * MAX_STORED;

/// The last bytes of the input.
#[derive(Debug)]
pub(super) struct History {
    bytes: Vec<u8>,
    /// The position of the first byte. Large enough that a table's 0 is out of reach.
    base: u32,
    /// Positions are lowered when the first one reaches this.
    pub(super) highest: u32,
}

impl History {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(ROOM), base: MAX_STORED as u32, highest: HIGHEST_POSITION }
    }

    /// Appends a block; gives the index of its first byte, and what positions are lowered by, if they are.
    pub(super) fn push(&mut self, block: &[u8]) -> (usize, Option<u32>) {
        if self.bytes.len() + block.len() > ROOM {
            let dropped = self.bytes.len() - WINDOW;
            self.bytes.drain(..dropped);
            self.base += dropped as u32;
        }
        let lowered = (self.base >= self.highest).then(|| self.base - MAX_STORED as u32);
        self.base -= lowered.unwrap_or(0);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(block);
        (start, lowered)
    }

    /// Puts everything so far out of reach.
    pub(super) fn forget(&mut self) {
        self.base += (WINDOW + self.bytes.len()) as u32;
        self.bytes.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn text(&self) -> Text<'_> {
        Text { bytes: &self.bytes, base: self.base }
    }
}

/// The history as matchers see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    base: u32,
}

impl Text<'_> {
    /// From here on no match begins.
    #[inline]
    pub(super) fn limit(&self) -> usize {
        self.bytes.len().saturating_sub(11)
    }

    /// The position of an index, as tables keep it.
    #[inline]
    pub(super) fn position(&self, index: usize) -> u32 {
        index as u32 + self.base
    }

    /// How far a table's position is behind an index.
    #[inline]
    pub(super) fn distance(&self, index: usize, position: u32) -> usize {
        (index as u32 + self.base - position) as usize
    }

    /// The index of a table's position, which may be before the first byte.
    #[inline]
    pub(super) fn index(&self, position: u32) -> i64 {
        i64::from(position) - i64::from(self.base)
    }

    /// The eight bytes at an index.
    #[inline]
    pub(super) fn load(&self, index: usize) -> u64 {
        load64(self.bytes, index)
    }

    /// The index that a position is at if it is nearer than `reach` and the four bytes there are those of `value`.
    #[inline]
    pub(super) fn same(&self, index: usize, position: u32, reach: usize, value: u64) -> Option<usize> {
        let distance = self.distance(index, position);
        if distance >= reach {
            return None;
        }
        let from = index.checked_sub(distance)?;
        (load32(self.bytes, from) == value as u32).then_some(from)
    }

    /// How long the match is.
    #[inline]
    pub(super) fn long(&self, from: usize, at: usize) -> usize {
        common(self.bytes, from, at, self.bytes.len() - at)
    }

    /// How long the match is, up to the longest that one token can say.
    #[inline]
    pub(super) fn short(&self, from: usize, at: usize) -> usize {
        common(self.bytes, from, at, (self.bytes.len() - at).min(258))
    }
}
