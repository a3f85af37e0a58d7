//! Level 4: one table by hashes of four bytes, one by hashes of seven.

use super::history::Text;
use super::matcher::{FoundMatch, Latest, Matcher, Next, hash4, hash7};
use crate::symbols::WINDOW;

const BITS: u32 = 15;

/// The tables of level 4.
#[derive(Debug)]
pub(super) struct ShortAndLong {
    short: Latest,
    long: Latest,
    slips: bool,
}

impl ShortAndLong {
    /// Level 4. `slips`: see [`ReleaseRules`](super::ReleaseRules).
    pub(super) fn level4(slips: bool) -> Self {
        Self { short: Latest::new(BITS), long: Latest::new(BITS), slips }
    }

    /// The match at the next place, if it seems longer than `length`.
    #[inline]
    fn better(&self, text: Text<'_>, at: usize, ahead: u64, length: usize) -> Option<FoundMatch> {
        let from = text.same(at, self.long.get(hash7(ahead, BITS)), WINDOW, ahead)?;
        let judged = if self.slips { at - from } else { from };
        if text.long(judged + 4, at + 4) + 4 <= length {
            return None;
        }
        Some(FoundMatch { at, from, length: text.long(from + 4, at + 4) + 4, next: at })
    }

    /// Remembers a place in both tables; gives what was there.
    #[inline]
    fn remember(&mut self, text: Text<'_>, index: usize, value: u64) -> (u32, u32) {
        let position = text.position(index);
        (self.short.replace(hash4(value, BITS), position), self.long.replace(hash7(value, BITS), position))
    }
}

impl Matcher for ShortAndLong {
    fn find(&mut self, text: Text<'_>, mut at: usize, literals: usize) -> Option<FoundMatch> {
        let mut value = text.load(at);
        loop {
            let next = at + 1 + ((at - literals) >> 6);
            if next > text.limit() {
                return None;
            }
            let ahead = text.load(next);
            let (short, long) = self.remember(text, at, value);
            if let Some(from) = text.same(at, long, WINDOW, value) {
                return Some(FoundMatch { at, from, length: text.long(from + 4, at + 4) + 4, next });
            }
            if let Some(from) = text.same(at, short, WINDOW, value) {
                let length = text.long(from + 4, at + 4) + 4;
                // A longer match at the next place is worth a literal.
                let better = self.better(text, next, ahead, length);
                return Some(better.unwrap_or(FoundMatch { at, from, length, next }));
            }
            at = next;
            value = ahead;
        }
    }

    fn follow(&mut self, text: Text<'_>, written: FoundMatch, end: usize) -> Next {
        if end >= text.limit() {
            if end + 8 < text.bytes.len() {
                self.remember(text, end, text.load(end));
            }
            return Next::End;
        }
        for index in (written.next..end - 1).step_by(3) {
            let value = text.load(index);
            self.long.set(hash7(value, BITS), text.position(index));
            self.remember(text, index + 1, value >> 8);
        }
        self.remember(text, end - 1, text.load(end - 1));
        Next::Search(end)
    }

    fn lower(&mut self, by: u32) {
        self.short.lower(by);
        self.long.lower(by);
    }
}
