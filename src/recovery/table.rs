//! The table of checksums: for each block, protected ones first, the beginning of its SHA-256.
//!
//! It lies in every recovery file twice, in pages that each have a checksum of their own, so that damage to one page of
//! one copy costs nothing, and to all copies of a page only the blocks that it speaks of.

use sha2::{Digest as _, Sha256};

/// Bytes of a page.
pub(super) const PAGE: usize = 512;

/// Bytes of a checksum. It finds damage; what proves a file is its whole SHA-256.
pub(super) const CHECK: usize = 8;

/// Checksums in a page, behind the page's own.
const ENTRIES: usize = PAGE / CHECK - 1;

/// The checksum of a block.
pub(super) type BlockChecksum = [u8; CHECK];

/// The checksum of `block`, the zeros behind the end of its file included.
pub(super) fn check(block: &[u8]) -> BlockChecksum {
    first_bytes(Sha256::new().chain_update(block))
}

fn first_bytes(hasher: Sha256) -> BlockChecksum {
    let digest = hasher.finalize();
    let mut check = BlockChecksum::default();
    check.copy_from_slice(&digest[..CHECK]);
    check
}

/// Bytes of the table of `blocks` blocks.
pub(super) const fn length(blocks: u64) -> u64 {
    blocks.div_ceil(ENTRIES as u64) * PAGE as u64
}

/// The table of these checksums, as it lies in a file.
pub(super) fn write(checks: &[BlockChecksum]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(checks.len().div_ceil(ENTRIES) * PAGE);
    for (number, entries) in (0_u64..).zip(checks.chunks(ENTRIES)) {
        let mut page = [0; PAGE];
        for (place, check) in page[CHECK..].chunks_mut(CHECK).zip(entries) {
            place.copy_from_slice(check);
        }
        let own = own_check(number, &page);
        page[..CHECK].copy_from_slice(&own);
        bytes.extend_from_slice(&page);
    }
    bytes
}

/// A page's own checksum. Its number is in it: a page in the place of another page is a wrong page.
fn own_check(number: u64, page: &[u8; PAGE]) -> BlockChecksum {
    first_bytes(Sha256::new().chain_update(number.to_le_bytes()).chain_update(&page[CHECK..]))
}

/// What several damaged copies say together.
#[derive(Clone, Debug)]
pub(super) struct MergedTable {
    checks: Vec<Option<BlockChecksum>>,
}

impl MergedTable {
    /// Nothing known of `blocks` blocks.
    pub(super) fn new(blocks: usize) -> Self {
        Self { checks: vec![None; blocks] }
    }

    /// Takes what is sound in `copy`; returns whether all of it is.
    pub(super) fn take(&mut self, copy: &[u8]) -> bool {
        let pages = self.checks.len().div_ceil(ENTRIES);
        let mut sound = copy.len() == pages * PAGE;
        for (number, entries) in self.checks.chunks_mut(ENTRIES).enumerate() {
            let page = copy.get(number * PAGE..).and_then(|rest| rest.first_chunk::<PAGE>());
            let Some(page) = page.filter(|page| page[..CHECK] == own_check(number as u64, page)) else {
                sound = false;
                continue;
            };
            let (said, _) = page[CHECK..].as_chunks::<CHECK>();
            for (entry, check) in entries.iter_mut().zip(said) {
                *entry = Some(*check);
            }
        }
        sound
    }

    /// The checksum of a block; `None` where every copy of its page is damaged.
    pub(super) fn get(&self, block: u64) -> Option<BlockChecksum> {
        self.checks.get(usize::try_from(block).ok()?).copied().flatten()
    }

    /// All of them, if none is unknown.
    pub(super) fn whole(&self) -> Option<Vec<BlockChecksum>> {
        self.checks.iter().copied().collect()
    }

    /// Notes what was found out anew.
    pub(super) fn set(&mut self, block: u64, check: BlockChecksum) {
        if let Some(entry) = usize::try_from(block).ok().and_then(|at| self.checks.get_mut(at)) {
            *entry = Some(check);
        }
    }

    /// Blocks of which nothing is known.
    pub(super) fn unknown(&self) -> impl Iterator<Item = u64> {
        (0_u64..).zip(&self.checks).filter(|(_, check)| check.is_none()).map(|(block, _)| block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_damaged_copies_make_one_sound_table_and_a_misplaced_page_is_none() {
        let checks: Vec<BlockChecksum> = (0..200_u64).map(|n| check(&n.to_le_bytes())).collect();
        let sound = write(&checks);
        assert_eq!(sound.len() as u64, length(200));
        let (mut first, mut second) = (sound.clone(), sound.clone());
        first[3] ^= 1;
        second[PAGE + 100] ^= 128;
        let mut table = MergedTable::new(200);
        assert!(!table.take(&first));
        assert_eq!(table.unknown().count(), ENTRIES);
        assert!(!table.take(&second));
        assert_eq!(table.whole().as_deref(), Some(&checks[..]));
        let swapped = [&sound[PAGE..2 * PAGE], &sound[..PAGE], &sound[2 * PAGE..]].concat();
        let mut table = MergedTable::new(200);
        table.take(&swapped);
        assert_eq!(table.unknown().count(), 2 * ENTRIES);
        assert!(!MergedTable::new(200).take(&sound[..sound.len() - 1]));
    }
}
