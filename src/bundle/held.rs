//! What a partial bundle holds: found by its journal, proven by hashing, brought to where a plan wants it.

use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Layout, disk,
    journal::{Journal, Line},
    moves::{self, Move},
};
use crate::oci::{Digest, Hasher};

/// Bytes of a blob that are in the file and sound.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) digest: Digest,
    /// Where they begin.
    pub(crate) from: u64,
    /// How many there are.
    pub(crate) bytes: u64,
    /// Has taken them in, where they are only the blob's beginning; `None` for all of it.
    pub(crate) hasher: Option<Hasher>,
}

/// Hashes what `lines` say is in `file`, as far as `layout` wants it, on all cores, and tells what is sound.
pub(crate) fn recheck(file: &File, lines: &[Line], layout: &Layout) -> io::Result<Vec<Held>> {
    let mut last: HashMap<Digest, &Line> = HashMap::new();
    for line in lines {
        last.insert(line.digest(), line);
    }
    let mut wanted: Vec<&Line> = last.into_values().filter(|line| fits(line, layout)).collect();
    wanted.sort_by_key(|line| std::cmp::Reverse(size(line)));
    let next = AtomicUsize::new(0);
    let sound = Mutex::new(Vec::new());
    let cores = thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| -> io::Result<()> {
                    let mut buffer = Vec::new();
                    while let Some(line) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Some(held) = check(file, line, &mut buffer)? {
                            sound.lock().unwrap_or_else(PoisonError::into_inner).push(held);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok(without_overlaps(sound.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

fn fits(line: &Line, layout: &Layout) -> bool {
    let Some(place) = layout.place(&line.digest()) else { return false };
    match line {
        Line::Blob { size, .. } => *size == place.blob.size,
        Line::Mark { size, .. } => *size < place.blob.size,
        Line::Drop { .. } => false,
    }
}

const fn size(line: &Line) -> u64 {
    match line {
        Line::Blob { size, .. } | Line::Mark { size, .. } => *size,
        Line::Drop { .. } => 0,
    }
}

fn check(file: &File, line: &Line, buffer: &mut Vec<u8>) -> io::Result<Option<Held>> {
    let (digest, offset, size, expected) = match *line {
        Line::Blob { digest, offset, size } => (digest, offset, size, digest),
        Line::Mark { digest, offset, size, prefix } => (digest, offset, size, prefix),
        Line::Drop { .. } => return Ok(None),
    };
    // An offset that no file has is the journal's error, not the disk's.
    if offset.checked_add(size).is_none_or(|end| i64::try_from(end).is_err()) {
        return Ok(None);
    }
    let Some(hasher) = disk::hash_at(file, expected.algorithm(), offset, size, buffer, |_| {})? else {
        return Ok(None);
    };
    if hasher.clone().finish() != expected {
        return Ok(None);
    }
    let hasher = matches!(line, Line::Mark { .. }).then_some(hasher);
    Ok(Some(Held { digest, from: offset, bytes: size, hasher }))
}

/// Content that contains other content could be found sound at overlapping places; one of the two is enough.
fn without_overlaps(mut held: Vec<Held>) -> Vec<Held> {
    held.sort_by_key(|one| (one.from, one.bytes));
    let mut end = 0;
    held.retain(|one| {
        let free = one.from >= end || one.bytes == 0;
        if free {
            end = end.max(one.from + one.bytes);
        }
        free
    });
    held
}

/// Brings `held` to where `layout` wants it, and tells the journal of each as it is done.
pub(crate) fn bring(file: &File, journal: &Journal, held: &[Held], layout: &Layout) -> io::Result<()> {
    let to = |one: &Held| layout.place(&one.digest).map_or(one.from, |place| place.offset);
    let moves: Vec<Move> = held.iter().map(|one| Move { from: one.from, to: to(one), size: one.bytes }).collect();
    let ends = moves.iter().map(|step| step.from.max(step.to) + step.size);
    let scratch = ends.max().unwrap_or(0).max(layout.total());
    moves::carry_out(file, &moves, scratch, |at| {
        let (Held { digest, bytes: size, .. }, Move { from, to: offset, .. }) = (held[at].clone(), moves[at]);
        if from == offset {
            return Ok(());
        }
        let line = match &held[at].hasher {
            None => Line::Blob { digest, offset, size },
            Some(hasher) => Line::Mark { digest, offset, size, prefix: hasher.clone().finish() },
        };
        journal.add(&line).map_err(io::Error::other)
    })
}
