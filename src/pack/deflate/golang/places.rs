//! Where the bytes at each place were seen before.
//!
//! A level seeks along the chain of places with the same hash of four bytes, and tries so many of them. Most come
//! to nothing, since a longer match is in hand. So places are in chains by six bytes as well: what has six bytes in common is in both,
//! and by the rank within the shorter chain one knows whether the level would have come so far.

use std::ops::Range;

use crate::bytes::{boxed, common, load32};
use crate::symbols::{MAX_MATCH, WINDOW};

/// The shortest match that is looked for.
pub(super) const SHORTEST: usize = 4;
/// Bytes by which the longer chains are made. So many are ahead of each place that is remembered, but at the end of a stream.
pub(super) const LONG: usize = 6;
/// A match of four bytes only is not worth it farther back than this.
const FAR: usize = 4096;
const HASH_BITS: u32 = 17;
const LONG_HASH_BITS: u32 = 16;

/// What a search tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct SearchEffort {
    /// The first match of this length ends the search.
    pub(super) nice: usize,
    /// Places that are tried.
    pub(super) tries: u16,
}

/// The places of a window.
#[derive(Debug)]
pub(super) struct ChainPlaces {
    /// By hash of four bytes: a window index plus 1; 0 for none.
    last: Box<[u16; 1 << HASH_BITS]>,
    /// By window index modulo the window: how far back the place before with the same hash is; 0 for none within the window.
    back: Box<[u16; WINDOW]>,
    /// One more than that of the place before. It wraps, and begins anew where there is none.
    rank: Box<[u16; WINDOW]>,
    /// The same for six bytes.
    last_long: Box<[u16; 1 << LONG_HASH_BITS]>,
    back_long: Box<[u16; WINDOW]>,
}

impl ChainPlaces {
    pub(super) fn new() -> Self {
        Self { last: boxed(), back: boxed(), rank: boxed(), last_long: boxed(), back_long: boxed() }
    }

    /// Remembers a place of which at least four bytes are ahead in `window`. Where six are not, the stream ends.
    #[inline]
    pub(super) fn remember(&mut self, window: &[u8], index: usize) {
        self.remember_short(window, index);
        if index + LONG <= window.len() {
            self.remember_long(window, index);
        }
    }

    /// Remembers places, but those of which less than four bytes are ahead.
    #[inline]
    pub(super) fn remember_all(&mut self, window: &[u8], indices: Range<usize>) {
        for index in indices.start..indices.end.min((window.len() + 1).saturating_sub(SHORTEST)) {
            self.remember(window, index);
        }
    }

    #[inline]
    fn remember_short(&mut self, window: &[u8], index: usize) {
        let slot = index % WINDOW;
        let hash = load32(window, index).swap_bytes().wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS);
        let back = distance(&mut self.last[hash as usize], index);
        // With none before it the rank does not matter.
        let rank = self.rank[index.wrapping_sub(usize::from(back)) % WINDOW].wrapping_add(1);
        (self.back[slot], self.rank[slot]) = (back, rank);
    }

    #[inline]
    fn remember_long(&mut self, window: &[u8], index: usize) {
        let six = u64::from(load32(window, index)) << 16 | u64::from(load32(window, index + 2)) << 32;
        let hash = six.wrapping_mul(227_718_039_650_203) >> (64 - LONG_HASH_BITS);
        self.back_long[index % WINDOW] = distance(&mut self.last_long[hash as usize], index);
    }

    /// The window moves on by its size.
    pub(super) fn slide(&mut self) {
        self.last.iter_mut().for_each(|place| *place = place.saturating_sub(WINDOW as u16));
        self.last_long.iter_mut().for_each(|place| *place = place.saturating_sub(WINDOW as u16));
    }

    /// The longest match of a place that was remembered last, longer than three bytes: its length and its distance. Of equal ones the
    /// nearest is taken. `window` ends where the input does.
    #[inline]
    pub(super) fn search(&self, window: &[u8], index: usize, effort: SearchEffort) -> Option<(usize, usize)> {
        if self.back[index % WINDOW] == 0 {
            return None;
        }
        let limit = MAX_MATCH.min(window.len() - index);
        let effort = SearchEffort { nice: effort.nice.min(limit), ..effort };
        let window = &window[..index + limit];
        if limit < LONG {
            return self.search_short(window, index, effort, limit);
        }
        match self.search_long(window, index, effort) {
            LongSearch::Found(length, distance) => Some((length, distance)),
            LongSearch::None => self.search_short(window, index, effort, LONG - 1),
            LongSearch::Unknown => self.search_short(window, index, effort, limit),
        }
    }

    /// Goes along the chain of six bytes.
    #[inline]
    fn search_long(&self, window: &[u8], index: usize, effort: SearchEffort) -> LongSearch {
        let oldest = index.saturating_sub(WINDOW);
        let limit = window.len() - index;
        let rank = self.rank[index % WINDOW];
        let (mut candidate, mut length, mut farthest) = (index, LONG - 1, 0);
        let mut wanted = load32(window, index + length - 3);
        for step in 0..4 * u32::from(effort.tries) {
            let back = usize::from(self.back_long[candidate % WINDOW]);
            match candidate.checked_sub(back) {
                Some(next) if back > 0 && next > oldest => candidate = next,
                // Its rank is no more.
                Some(next) if back > 0 && next == oldest => return LongSearch::Unknown,
                _ => return LongSearch::of(length, farthest),
            }
            let is_late = || step >= effort.tries.into() && load32(window, candidate) == load32(window, index);
            let is_out_of_reach = || rank.wrapping_sub(self.rank[candidate % WINDOW]) > effort.tries;
            if load32(window, candidate + length - 3) == wanted {
                let now = common(window, candidate, index, limit);
                if now > length {
                    if is_out_of_reach() {
                        return LongSearch::of(length, farthest);
                    }
                    (length, farthest) = (now, index - candidate);
                    if now >= effort.nice {
                        return LongSearch::of(length, farthest);
                    }
                    wanted = load32(window, index + now - 3);
                }
            }
            if is_late() && is_out_of_reach() {
                return LongSearch::of(length, farthest);
            }
        }
        LongSearch::Unknown
    }

    /// Goes along the chain of four bytes. Matches longer than `most` are known not to be there.
    #[inline]
    fn search_short(&self, window: &[u8], index: usize, effort: SearchEffort, most: usize) -> Option<(usize, usize)> {
        let oldest = index.saturating_sub(WINDOW);
        let limit = window.len() - index;
        let (mut candidate, mut length, mut distance) = (index, SHORTEST - 1, 0);
        let mut wanted = load32(window, index);
        for _ in 0..effort.tries {
            let back = usize::from(self.back[candidate % WINDOW]);
            match candidate.checked_sub(back) {
                Some(next) if back > 0 && next >= oldest => candidate = next,
                _ => break,
            }
            if load32(window, candidate + length - 3) == wanted {
                let now = common(window, candidate, index, limit);
                if now > length && (now > SHORTEST || index - candidate <= FAR) {
                    (length, distance) = (now, index - candidate);
                    if now >= effort.nice.min(most) {
                        break;
                    }
                    wanted = load32(window, index + now - 3);
                }
            }
            if candidate == oldest {
                break;
            }
        }
        (distance > 0).then_some((length, distance))
    }
}

/// What the chain of six bytes says.
enum LongSearch {
    /// The longest match, and its distance.
    Found(usize, usize),
    /// No match of six bytes or more.
    None,
    /// It does not say.
    Unknown,
}

impl LongSearch {
    fn of(length: usize, distance: usize) -> Self {
        if distance > 0 { Self::Found(length, distance) } else { Self::None }
    }
}

/// How far back a hash was seen, 0 for not within the window; from now on it is seen at `index`.
#[inline]
fn distance(last: &mut u16, index: usize) -> u16 {
    let place = index + 1;
    let before = usize::from(std::mem::replace(last, place as u16));
    let back = place - before;
    if before > 0 && back <= WINDOW { back as u16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::mixture;

    #[test]
    fn two_chains_find_what_one_does() {
        let content = mixture(4 * WINDOW);
        for (tries, nice) in [(1, 16), (8, 16), (128, 128), (4096, 258)] {
            let effort = SearchEffort { nice, tries };
            let (mut places, mut found, mut start) = (ChainPlaces::new(), 0, 0);
            for at in 0..content.len() - SHORTEST {
                if at - start == 2 * WINDOW - 300 {
                    places.slide();
                    start += WINDOW;
                }
                let window = &content[start..content.len().min(start + 2 * WINDOW)];
                places.remember(window, at - start);
                let limit = MAX_MATCH.min(window.len() - (at - start));
                let capped = SearchEffort { nice: nice.min(limit), ..effort };
                let one = places.search_short(&window[..at - start + limit], at - start, capped, limit);
                assert_eq!(places.search(window, at - start, effort), one, "{effort:?} at {at}");
                found += usize::from(one.is_some());
            }
            assert!(found > content.len() / 3, "{found} matches");
        }
    }
}
