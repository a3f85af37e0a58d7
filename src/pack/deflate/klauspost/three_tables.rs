//! Levels 5 and 6: one position by hashes of four bytes, two by hashes of seven.

use super::history::Text;
use super::matcher::{FoundMatch, Latest, LatestTwo, Matcher, Next, hash4, hash7};
use crate::symbols::WINDOW;

const BITS: u32 = 15;
/// The longest match that is compared before a choice is made.
const COMPARED: usize = 258;

/// The tables of levels 5 and 6.
#[derive(Debug)]
pub(super) struct Thorough {
    short: Latest,
    long: LatestTwo,
    /// Level 6 remembers every place, tries the distance of the last match again, and looks longer.
    more: bool,
    /// How many bytes at its beginning a match that is found by its end may miss. `None`: ends are not looked up.
    missed: Option<usize>,
    /// The distance of the last match, for level 6.
    repeated: usize,
}

impl Thorough {
    /// Level 5.
    pub(super) fn level5(missed: Option<usize>) -> Self {
        Self { short: Latest::new(BITS), long: LatestTwo::new(BITS), more: false, missed, repeated: 1 }
    }

    /// Level 6.
    pub(super) fn level6(missed: Option<usize>) -> Self {
        Self { more: true, ..Self::level5(missed) }
    }

    #[inline]
    fn remember_short(&mut self, text: Text<'_>, index: usize, value: u64) -> u32 {
        self.short.replace(hash4(value, BITS), text.position(index))
    }

    #[inline]
    fn remember_long(&mut self, text: Text<'_>, index: usize, value: u64) -> [u32; 2] {
        self.long.push(hash7(value, BITS), text.position(index))
    }

    /// Chooses at a place with a match by the four bytes: that one, or a longer one that begins one place later.
    #[inline]
    fn choose(&self, text: Text<'_>, here: FoundMatch, ahead: u64, long: [u32; 2]) -> FoundMatch {
        let mut best = here;
        if self.more {
            // The last distance once more, one byte on.
            let (at, from) = (here.at + 1, here.at + 1 - self.repeated);
            if text.load(from) as u32 == text.load(at) as u32 {
                let length = text.short(from, at);
                if length > best.length {
                    return FoundMatch { at, from, length, ..here };
                }
            }
        }
        if text.distance(here.next, long[0]) < WINDOW {
            for position in long {
                if let Some(from) = text.same(here.next, position, WINDOW, ahead) {
                    let length = text.short(from, here.next);
                    if length > best.length {
                        best = FoundMatch { at: here.next, from, length, ..here };
                        // Level 5 is content with the first.
                        if !self.more {
                            break;
                        }
                    }
                }
            }
        }
        best
    }

    /// Looks up the bytes after the end: another match that covers them, though it may miss some at the beginning, can be longer.
    #[inline]
    fn try_the_end(&self, text: Text<'_>, mut found: FoundMatch) -> FoundMatch {
        let Some(missed) = self.missed else { return found };
        let end = found.at + found.length;
        if end >= text.limit() || (!self.more && found.length >= 30) {
            return found;
        }
        let positions = self.long.get(hash7(text.load(end), BITS));
        let at = found.at + missed;
        for position in &positions[..if self.more { 2 } else { 1 }] {
            let from = text.index(*position) - found.length as i64 + missed as i64;
            let distance = at as i64 - from;
            if distance >= WINDOW as i64 {
                break;
            }
            if let Some(from) = usize::try_from(from).ok().filter(|_| distance > 0) {
                let length = text.long(from, at);
                if length > found.length {
                    found = FoundMatch { at, from, length, ..found };
                }
            }
        }
        found
    }

    /// Level 5: every third place within a match, and the two before its end.
    fn remember_some(&mut self, text: Text<'_>, start: usize, end: usize) {
        if start < end - 1 {
            let value = text.load(start);
            self.remember_short(text, start, value);
            self.remember_long(text, start, value);
            self.remember_long(text, start + 1, value >> 8);
            self.remember_short(text, start + 2, value >> 16);
        }
        for index in (start + 4..end - 1).step_by(3) {
            let value = text.load(index);
            self.remember_long(text, index, value);
            self.remember_short(text, index + 1, value >> 8);
        }
        let value = text.load(end - 1);
        self.remember_short(text, end - 1, value);
        self.remember_long(text, end - 1, value);
    }
}

impl Matcher for Thorough {
    fn begin(&mut self) {
        self.repeated = 1;
    }

    fn find(&mut self, text: Text<'_>, mut at: usize, literals: usize) -> Option<FoundMatch> {
        let mut value = text.load(at);
        let steps = if self.more { 7 } else { 6 };
        loop {
            let next = at + 1 + ((at - literals) >> steps);
            if next > text.limit() {
                return None;
            }
            let ahead = text.load(next);
            let short = self.remember_short(text, at, value);
            let [latest, before] = self.remember_long(text, at, value);
            let found = |from: usize, length: usize| FoundMatch { at, from, length, next };
            if text.distance(at, latest) < WINDOW {
                let one = text.same(at, latest, WINDOW, value);
                let other = text.same(at, before, WINDOW, value);
                let best = match (one, other) {
                    (Some(one), Some(other)) => {
                        let (a, b) = (text.short(one, at), text.short(other, at));
                        Some(if b > a { found(other, b) } else { found(one, a) })
                    }
                    (Some(from), None) | (None, Some(from)) => Some(found(from, text.short(from, at))),
                    (None, None) => None,
                };
                if let Some(best) = best {
                    self.remember_short(text, next, ahead);
                    self.remember_long(text, next, ahead);
                    return Some(self.try_the_end(text, whole(text, best)));
                }
            }
            if let Some(from) = text.same(at, short, WINDOW, value) {
                self.remember_short(text, next, ahead);
                let long = self.remember_long(text, next, ahead);
                let best = self.choose(text, found(from, text.short(from, at)), ahead, long);
                return Some(self.try_the_end(text, whole(text, best)));
            }
            at = next;
            value = ahead;
        }
    }

    fn follow(&mut self, text: Text<'_>, written: FoundMatch, end: usize) -> Next {
        if !self.more {
            if end >= text.limit() {
                return Next::End;
            }
            self.remember_some(text, end - written.length + 1, end);
            return Next::Search(end);
        }
        self.repeated = written.at - written.from;
        if end >= text.limit() {
            for index in (written.next + 1..text.bytes.len().saturating_sub(8)).step_by(2) {
                let value = text.load(index);
                self.remember_short(text, index, value);
                self.remember_long(text, index, value);
            }
            return Next::End;
        }
        for index in (written.next + 1..end - 1).step_by(2) {
            let value = text.load(index);
            self.remember_short(text, index, value);
            self.remember_long(text, index, value);
            self.remember_long(text, index + 1, value >> 8);
        }
        Next::Search(end)
    }

    fn lower(&mut self, by: u32) {
        self.short.lower(by);
        self.long.lower(by);
    }
}

/// Measures a match to its end, where it was compared only as far as one token reaches.
#[inline]
fn whole(text: Text<'_>, found: FoundMatch) -> FoundMatch {
    if found.length < COMPARED {
        return found;
    }
    let length = found.length + text.long(found.from + found.length, found.at + found.length);
    FoundMatch { length, ..found }
}
