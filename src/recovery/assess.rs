//! What is damaged, and whether it can be rebuilt: every byte of a set read once and held against the checksums.

use std::{fs, ops::Range, path::PathBuf};

use super::{
    Error, ProtectedSet, Result,
    find::open,
    scan::{Scanned, scan},
    space::{BlockMap, Handle, ProtectedRange, Space, read_or_zeros},
    table::MergedTable,
};
use crate::{
    files::name::PARTIAL,
    oci::Digest,
    progress::{Event, Phase, Progress},
};

/// Candidates for one file that are looked at, at the most.
const MOST_CANDIDATES: usize = 64;

/// How a file of the set was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// As it must be.
    Sound,
    /// Some of it is not as it must be.
    Damaged,
    /// No file has its name.
    Missing,
}

/// A file that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Its name in the set.
    pub name: String,
    /// Where it lies, if it is there.
    pub path: Option<PathBuf>,
    /// Damaged or missing.
    pub state: FileState,
    /// Whether it is a recovery file.
    pub recovery: bool,
    /// Bytes of it that are lost, in whole blocks; none where only its length, its head or its table is wrong.
    pub ranges: Vec<Range<u64>>,
}

/// What is known of a set after all of it was read.
#[derive(Debug)]
pub struct Assessment {
    pub(super) set: ProtectedSet,
    pub(super) table: MergedTable,
    pub(super) data: BlockMap,
    pub(super) stores: BlockMap,
    /// For each protected file, then for each recovery file: how it was found.
    pub(super) states: Vec<(FileState, Option<PathBuf>)>,
}

impl ProtectedSet {
    /// Reads every file of the set, and finds what is damaged. What cannot be read is damage, not an error.
    ///
    /// # Errors
    /// The folders cannot be listed, or the tables of checksums contradict the heads.
    pub fn assess(self, progress: &Progress) -> Result<Assessment> {
        let shape = self.head.shape();
        let total = self.head.files.iter().map(|file| file.length).sum::<u64>();
        let all = total + shape.recovery_blocks() * shape.block;
        progress.tell(Event::Phase(Phase::Verifying));
        progress.tell(Event::Planned { blobs: self.head.names().count() as u64, bytes: all, present: 0 });
        let stores = self.candidates_of_stores();
        let (table, framed) = self.gather(&stores)?;
        let mut look = AssessRun { set: &self, table, states: Vec::new(), progress };
        let data = look.protected()?;
        let stores = look.stores(stores, &framed);
        let AssessRun { table, states, .. } = look;
        Ok(Assessment { set: self, table, data, stores, states })
    }

    /// Files named `name`, folder by folder.
    fn named(&self, name: &str) -> Vec<Handle> {
        self.folders.iter().filter_map(|folder| open(&folder.join(name))).take(MOST_CANDIDATES).collect()
    }

    fn candidates_of_stores(&self) -> Vec<Vec<Handle>> {
        self.head.stores.iter().map(|store| self.named(&store.name)).collect()
    }

    /// Brings together what all copies of the table say, and finds which recovery files have head, table and length right.
    fn gather(&self, stores: &[Vec<Handle>]) -> Result<(MergedTable, Vec<Vec<bool>>)> {
        let head = &self.head;
        let blocks = head.blocks() + head.shape().recovery_blocks();
        let mut table = MergedTable::new(usize::try_from(blocks).expect("a head that was checked has few blocks"));
        let mut copy = vec![0; usize::try_from(head.table_length()).expect("a table is small")];
        let mut framed = Vec::new();
        for (number, (candidates, store)) in (0..).zip(stores.iter().zip(&head.stores)) {
            let own = head.write(number);
            let behind = head.body() + store.blocks * head.block;
            let mut sound_here = Vec::new();
            for handle in candidates {
                let mut sound =
                    handle.file.metadata().is_ok_and(|found| found.len() == head.store_length(store.blocks));
                let mut read = vec![0; own.len()];
                let length = handle.file.metadata().map_or(0, |found| found.len());
                for (at_head, at_table) in [(0, head.written()), (behind + head.table_length(), behind)] {
                    // Nothing is there; a head may claim terabytes.
                    if at_table >= length {
                        sound = false;
                        continue;
                    }
                    sound &= read_or_zeros(&handle.file, &mut read, at_head).is_ok() && read == own;
                    sound &= read_or_zeros(&handle.file, &mut copy, at_table).is_ok() && table.take(&copy);
                }
                sound_here.push(sound);
            }
            framed.push(sound_here);
        }
        if let Some(checks) = table.whole()
            && Digest::sha256(&super::table::write(&checks)) != head.table
        {
            let path = stores.iter().flatten().next().map_or_else(PathBuf::new, |handle| handle.path.clone());
            return Err(Error::malformed(&path, "its table of checksums is not the one that its head names"));
        }
        Ok((table, framed))
    }
}

struct AssessRun<'a> {
    set: &'a ProtectedSet,
    table: MergedTable,
    states: Vec<(FileState, Option<PathBuf>)>,
    progress: &'a Progress,
}

impl AssessRun<'_> {
    fn protected(&mut self) -> Result<BlockMap> {
        let head = &self.set.head;
        let space = Space::new(head.block, head.files.iter().map(|file| (0, file.length)));
        let mut found = BlockMap { from: vec![0; index(space.blocks())], space, files: Vec::new() };
        for (member, piece) in head.files.iter().zip(found.space.pieces.clone()) {
            let mut candidates = self.set.named(&member.name);
            let path = candidates.first().map(|handle| handle.path.clone());
            let mut state = if candidates.is_empty() { FileState::Missing } else { FileState::Damaged };
            if candidates.is_empty() {
                candidates = self.strangers(member.length)?;
            }
            for (number, handle) in candidates.iter().enumerate() {
                let scanned = self.read(handle, &piece, &member.name);
                let right_length = handle.file.metadata().is_ok_and(|found| found.len() == member.length);
                let proven = right_length && scanned.digest == Some(member.digest);
                self.judge(&mut found.from, &piece, 0, &scanned, number, proven);
                if proven && state == FileState::Damaged {
                    state = FileState::Sound;
                    self.states.push((state, Some(handle.path.clone())));
                    break;
                }
            }
            if state != FileState::Sound {
                self.states.push((state, path));
            }
            found.files.push(candidates);
        }
        Ok(found)
    }

    fn stores(&mut self, stores: Vec<Vec<Handle>>, framed: &[Vec<bool>]) -> BlockMap {
        let head = &self.set.head;
        let space = head.store_space();
        let mut found = BlockMap { from: vec![0; index(space.blocks())], space, files: Vec::new() };
        for ((candidates, store), (piece, framed)) in
            stores.into_iter().zip(&head.stores).zip(found.space.pieces.clone().iter().zip(framed))
        {
            let mut state = if candidates.is_empty() { FileState::Missing } else { FileState::Damaged };
            let mut path = candidates.first().map(|handle| handle.path.clone());
            for (number, (handle, framed)) in candidates.iter().zip(framed).enumerate() {
                let scanned = self.read(handle, piece, &store.name);
                let sound = self.judge(&mut found.from, piece, head.blocks(), &scanned, number, false);
                if sound && *framed {
                    (state, path) = (FileState::Sound, Some(handle.path.clone()));
                    break;
                }
            }
            self.states.push((state, path));
            found.files.push(candidates);
        }
        found
    }

    /// Notes which blocks of `piece` the candidate `number` has; whether it has all. `proven` are all of them.
    fn judge(
        &mut self,
        from: &mut [u8],
        piece: &ProtectedRange,
        before: u64,
        scanned: &Scanned,
        number: usize,
        proven: bool,
    ) -> bool {
        let mut all = true;
        let source = u8::try_from(number + 1).expect("there are few candidates");
        for (block, check) in (piece.first..).zip(&scanned.checks) {
            let Some(check) = check else {
                all = false;
                continue;
            };
            if proven {
                self.table.set(before + block, *check);
            }
            let is_right = proven || self.table.get(before + block) == Some(*check);
            all &= is_right;
            let entry = &mut from[index(block)];
            if is_right && *entry == 0 {
                *entry = source;
            }
        }
        all
    }

    fn read(&self, handle: &Handle, piece: &ProtectedRange, name: &str) -> Scanned {
        let told = Digest::sha256(name.as_bytes());
        self.progress.tell(Event::Started { blob: told, size: piece.length });
        let each = |bytes| self.progress.tell(Event::Advanced { blob: told, bytes });
        let scanned = scan(handle, piece, self.set.head.block, each);
        self.progress.tell(Event::Finished { blob: told });
        scanned
    }

    /// Files that are no part of the set by their names, and have `length` bytes: one of them may be what is missing.
    fn strangers(&self, length: u64) -> Result<Vec<Handle>> {
        let mut found = Vec::new();
        for folder in &self.set.folders {
            for entry in fs::read_dir(folder).map_err(Error::read(folder))? {
                let entry = entry.map_err(Error::read(folder))?;
                let name = entry.file_name();
                let known = name.to_str().is_none_or(|name| self.set.head.names().any(|one| one == name));
                // What a killed run left is about to be written anew.
                let is_draft = name.to_str().is_some_and(|name| name.ends_with(PARTIAL));
                let fits = || entry.metadata().is_ok_and(|found| found.is_file() && found.len() == length);
                if !known && !is_draft && fits() && found.len() < MOST_CANDIDATES {
                    found.extend(open(&entry.path()));
                }
            }
        }
        Ok(found)
    }
}

fn index(block: u64) -> usize {
    usize::try_from(block).expect("a head that was checked has few blocks")
}

impl Assessment {
    /// The set.
    pub const fn set(&self) -> &ProtectedSet {
        &self.set
    }

    /// Whether every file of the set is there and sound.
    pub fn is_sound(&self) -> bool {
        self.states.iter().all(|(state, _)| *state == FileState::Sound)
    }

    /// Everything that is not as it must be: protected files first.
    pub fn damages(&self) -> Vec<Damage> {
        let head = &self.set.head;
        let data = self.data.space.pieces.iter().map(|piece| (piece, &self.data.from));
        let stores = self.stores.space.pieces.iter().map(|piece| (piece, &self.stores.from));
        let pieces = data.chain(stores).zip(head.names()).zip(&self.states).enumerate();
        let mut damages = Vec::new();
        for (number, (((piece, from), name), (state, path))) in pieces {
            if *state != FileState::Sound {
                let (recovery, ranges) = (number >= head.files.len(), lost_ranges(piece, from, head.block));
                damages.push(Damage { name: name.to_owned(), path: path.clone(), state: *state, recovery, ranges });
            }
        }
        damages
    }

    /// Protected blocks that are damaged or missing.
    pub fn lost(&self) -> u64 {
        self.data.lost().count() as u64
    }

    /// Recovery blocks that are sound.
    pub fn spare(&self) -> u64 {
        self.stores.from.iter().filter(|from| **from > 0).count() as u64
    }

    /// Whether everything that is damaged or missing can be rebuilt.
    pub fn is_possible(&self) -> bool {
        self.beyond().is_none()
    }

    /// Why it cannot be rebuilt, if it cannot: [`Error::Beyond`] with its numbers.
    pub fn beyond(&self) -> Option<Error> {
        let shape = self.set.head.shape();
        let mut lost = vec![0_u64; index(shape.groups)];
        self.data.lost().for_each(|block| lost[index(block % shape.groups)] += 1);
        let mut spare = vec![shape.recovery; index(shape.groups)];
        self.stores.lost().for_each(|block| spare[index(block % shape.groups)] -= 1);
        let over = lost.iter().zip(&spare).filter(|(lost, spare)| lost > spare);
        let groups = over.clone().count() as u64;
        let (worst_lost, worst_sound) = over.max_by_key(|(lost, spare)| *lost - *spare)?;
        Some(Error::Beyond {
            lost: self.lost(),
            blocks: self.data.space.blocks(),
            sound: self.spare(),
            recovery: shape.recovery_blocks(),
            groups,
            of_groups: shape.groups,
            worst_lost: *worst_lost,
            worst_sound: *worst_sound,
        })
    }
}

/// The bytes of the file that lost blocks of `piece` hold.
fn lost_ranges(piece: &ProtectedRange, from: &[u8], block: u64) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for number in (0..piece.blocks).filter(|number| from[index(piece.first + number)] == 0) {
        let start = piece.offset + number * block;
        let end = piece.offset + ((number + 1) * block).min(piece.length);
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}
