//! Levels 1 to 3: one table, by hashes of five bytes, in older releases of four.

use super::history::Text;
use super::matcher::{FoundMatch, Latest, LatestTwo, Matcher, Next, hash4, hash5, snappy_hash};
use super::rules::DenseTable;
use crate::bytes::load32;
use crate::symbols::WINDOW;

/// Levels 1 and 2: one position for each hash, every second place.
#[derive(Debug)]
pub(super) struct Sparse {
    table: Latest,
    /// The hash of level 1, or of level 2.
    hash: fn(u64) -> usize,
    /// Bytes that the hash takes a place to have ahead.
    ahead: usize,
    /// Level 2 remembers places within matches, too.
    within: bool,
}

impl Sparse {
    /// Level 1.
    pub(super) fn level1(four_bytes: bool) -> Self {
        if four_bytes {
            Self { table: Latest::new(15), hash: |value| snappy_hash(value, 15), ahead: 4, within: false }
        } else {
            Self { table: Latest::new(15), hash: |value| hash5(value, 15), ahead: 8, within: false }
        }
    }

    /// Level 2.
    pub(super) fn level2(four_bytes: bool) -> Self {
        if four_bytes {
            Self { table: Latest::new(17), hash: |value| hash4(value, 17), ahead: 4, within: true }
        } else {
            Self { table: Latest::new(17), hash: |value| hash5(value, 17), ahead: 8, within: true }
        }
    }

    #[inline]
    fn remember(&mut self, text: Text<'_>, index: usize, value: u64) -> u32 {
        self.table.replace((self.hash)(value), text.position(index))
    }
}

impl Matcher for Sparse {
    fn find(&mut self, text: Text<'_>, mut at: usize, literals: usize) -> Option<FoundMatch> {
        let mut value = text.load(at);
        loop {
            let next = at + 2 + ((at - literals) >> 5);
            if next > text.limit() {
                return None;
            }
            let ahead = text.load(next);
            let candidate = self.remember(text, at, value);
            if let Some(from) = text.same(at, candidate, WINDOW, value) {
                self.remember(text, next, ahead);
                return Some(FoundMatch { at, from, length: text.long(from + 4, at + 4) + 4, next });
            }
            // The next place is tried without a step of its own, and the one after it comes with the hash at hand.
            let candidate = self.remember(text, next, ahead);
            if let Some(from) = text.same(next, candidate, WINDOW, ahead) {
                if !self.within {
                    // Level 1 puts the place after it under the hash of this one.
                    self.table.set((self.hash)(ahead), text.position(next + 1));
                }
                return Some(FoundMatch { at: next, from, length: text.long(from + 4, next + 4) + 4, next: next + 1 });
            }
            at = next + 1;
            value = ahead >> 8;
        }
    }

    fn follow(&mut self, text: Text<'_>, written: FoundMatch, end: usize) -> Next {
        if end >= text.limit() {
            if end + written.length + self.ahead < text.bytes.len() {
                self.remember(text, end, text.load(end));
            }
            return Next::End;
        }
        if self.within {
            for index in (end - written.length + 2..end.saturating_sub(5)).step_by(7) {
                let value = text.load(index);
                self.remember(text, index, value);
                self.remember(text, index + 2, value >> 16);
                self.remember(text, index + 4, value >> 32);
            }
        }
        let value = text.load(end - 2);
        self.remember(text, end - 2, value);
        if self.within {
            self.remember(text, end - 1, value >> 8);
        }
        let candidate = self.remember(text, end, value >> 16);
        // Here a match may be as far as the format allows; elsewhere it is one byte nearer.
        match text.same(end, candidate, WINDOW + 1, value >> 16) {
            Some(from) => {
                let length = text.long(from + 4, end + 4) + 4;
                Next::Match(FoundMatch { at: end, from, length, next: written.next })
            }
            None => Next::Search(end + 1),
        }
    }

    fn lower(&mut self, by: u32) {
        self.table.lower(by);
    }
}

/// Level 3: two positions for each hash, every place.
#[derive(Debug)]
pub(super) struct Dense {
    table: LatestTwo,
    kind: DenseTable,
}

/// Matches of level 3 stay this much nearer than the format allows.
const REACH: usize = WINDOW - 4;

impl Dense {
    /// Level 3.
    pub(super) fn level3(kind: DenseTable) -> Self {
        let bits = if kind == DenseTable::Snappy { 15 } else { 16 };
        Self { table: LatestTwo::new(bits), kind }
    }

    /// Older releases hash four bytes and step sooner.
    #[inline]
    fn four_bytes(&self) -> bool {
        self.kind != DenseTable::Five
    }

    /// The bytes at a place, as many as the hash takes.
    #[inline]
    fn load(&self, text: Text<'_>, index: usize) -> u64 {
        if self.four_bytes() { load32(text.bytes, index).into() } else { text.load(index) }
    }

    /// From here on no match begins.
    #[inline]
    fn limit(&self, text: Text<'_>) -> usize {
        if self.four_bytes() { text.limit() + 4 } else { text.limit() }
    }

    #[inline]
    fn remember(&mut self, text: Text<'_>, index: usize, value: u64) -> [u32; 2] {
        let hash = match self.kind {
            DenseTable::Snappy => snappy_hash(value, 15),
            DenseTable::Four => hash4(value, 16),
            DenseTable::Five => hash5(value, 16),
        };
        self.table.push(hash, text.position(index))
    }
}

impl Matcher for Dense {
    fn find(&mut self, text: Text<'_>, mut at: usize, literals: usize) -> Option<FoundMatch> {
        let mut value = self.load(text, at);
        let steps = if self.four_bytes() { 6 } else { 7 };
        loop {
            let next = at + 1 + ((at - literals) >> steps);
            if next > self.limit(text) {
                return None;
            }
            let ahead = self.load(text, next);
            let [latest, before] = self.remember(text, at, value);
            let from = match text.same(at, latest, REACH + 1, value) {
                Some(from) => match text.same(at, before, REACH + 1, value) {
                    Some(other) if text.long(other + 4, at + 4) > text.long(from + 4, at + 4) => Some(other),
                    _ => Some(from),
                },
                // The last of a block is put late, so the one before may be nearer: it does not count then.
                None if text.distance(at, latest) > REACH => None,
                None => text.same(at, before, REACH, value),
            };
            if let Some(from) = from {
                return Some(FoundMatch { at, from, length: text.long(from + 4, at + 4) + 4, next });
            }
            at = next;
            value = ahead;
        }
    }

    fn follow(&mut self, text: Text<'_>, written: FoundMatch, end: usize) -> Next {
        if end >= self.limit(text) {
            let index = written.from + written.length;
            if index + (if self.four_bytes() { 4 } else { 8 }) < text.bytes.len() {
                self.remember(text, index, self.load(text, index));
            }
            return Next::End;
        }
        let every = match self.kind {
            DenseTable::Snappy => None,
            DenseTable::Four => Some(5),
            DenseTable::Five => Some(6),
        };
        if let Some(every) = every {
            for index in (end - written.length + 2..end.saturating_sub(5)).step_by(every) {
                self.remember(text, index, self.load(text, index));
            }
        } else {
            self.remember(text, end - 3, text.load(end - 3));
        }
        let value = text.load(end - 2);
        self.remember(text, end - 2, value);
        self.remember(text, end - 1, value >> 8);
        let value = value >> 16;
        let [latest, before] = self.remember(text, end, value);
        let from = if text.distance(end, latest) < REACH {
            match text.same(end, latest, REACH, value) {
                None => text.same(end, before, REACH, value),
                // Here the newer one only tells that the older one is not asked.
                Some(_) if self.kind == DenseTable::Snappy => None,
                found => found,
            }
        } else {
            None
        };
        match from {
            Some(from) => {
                let length = text.long(from + 4, end + 4) + 4;
                Next::Match(FoundMatch { at: end, from, length, next: written.next })
            }
            None => Next::Search(end + 1),
        }
    }

    fn lower(&mut self, by: u32) {
        self.table.lower(by);
    }
}
