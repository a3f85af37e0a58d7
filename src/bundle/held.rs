//! What partial files hold: found by their journal, proven by hashing, brought to where a plan wants it.

use std::{
    collections::HashMap,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    blueprint::Blueprint,
    canvas::Canvas,
    journal::{Journal, JournalLine},
    relocate::{self, Relocation},
};
use crate::oci::{Digest, Hasher};

/// Bytes of a blob that are in the files and sound.
#[derive(Clone, Debug)]
pub(crate) struct HeldBytes {
    pub(crate) digest: Digest,
    /// Where they lie, in the order of the blob: positions and numbers of bytes.
    pub(crate) places: Vec<(u64, u64)>,
    /// Has taken them in, where they are only the blob's beginning; `None` for all of it.
    pub(crate) hasher: Option<Hasher>,
}

impl HeldBytes {
    /// How many there are.
    pub(crate) fn bytes(&self) -> u64 {
        total(&self.places)
    }
}

fn total(places: &[(u64, u64)]) -> u64 {
    places.iter().fold(0, |sum, (_, size)| sum.saturating_add(*size))
}

/// Hashes what `lines` say is on `canvas`, as far as `plan` wants it, on all cores, and returns what is sound.
pub(crate) fn recheck(canvas: &Canvas, lines: &[JournalLine], plan: &Blueprint) -> io::Result<Vec<HeldBytes>> {
    let mut last: HashMap<Digest, &JournalLine> = HashMap::new();
    for line in lines {
        last.insert(line.digest(), line);
    }
    let claim = |line: &JournalLine| {
        let (places, prefix) = line.claim()?;
        let size = plan.kept(&line.digest())?;
        let is_whole = prefix == line.digest();
        let fits = if is_whole { total(&places) == size } else { total(&places) < size };
        // A position that no file has is the journal's error, not the disk's.
        let is_place = |(at, size): &(u64, u64)| at.checked_add(*size).is_some_and(|end| i64::try_from(end).is_ok());
        (fits && places.iter().all(is_place)).then_some((line.digest(), places, prefix))
    };
    let mut wanted: Vec<_> = last.into_values().filter_map(claim).collect();
    wanted.sort_by_key(|(_, places, _)| std::cmp::Reverse(total(places)));
    let next = AtomicUsize::new(0);
    let sound = Mutex::new(Vec::new());
    let cores = thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| -> io::Result<()> {
                    let mut buffer = Vec::new();
                    while let Some((digest, places, prefix)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let hasher = canvas.hash(prefix.algorithm(), places, &mut buffer)?;
                        let Some(hasher) = hasher.filter(|hasher| hasher.clone().finish() == *prefix) else { continue };
                        let hasher = (prefix != digest).then_some(hasher);
                        let held = HeldBytes { digest: *digest, places: places.clone(), hasher };
                        sound.lock().unwrap_or_else(PoisonError::into_inner).push(held);
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

/// Content that contains other content could be found sound at overlapping places; one of the two is enough.
fn without_overlaps(mut held: Vec<HeldBytes>) -> Vec<HeldBytes> {
    held.sort_by_key(|one| (one.places.first().copied(), one.bytes()));
    let mut taken: std::collections::BTreeMap<u64, u64> = std::collections::BTreeMap::new();
    held.retain(|one| {
        let free = one
            .places
            .iter()
            .all(|&(at, size)| size == 0 || taken.range(..at + size).next_back().is_none_or(|(_, &end)| end <= at));
        if free {
            taken.extend(one.places.iter().filter(|(_, size)| *size > 0).map(|&(at, size)| (at, at + size)));
        }
        free
    });
    held
}

/// Brings `held` to where `plan` wants it, and records each in the journal as it is done. What moves in circles goes by way
/// of the positions from `scratch` on, or behind all that is held if that is further.
pub(crate) fn bring(
    canvas: &Canvas,
    journal: &Journal,
    held: &mut [HeldBytes],
    plan: &Blueprint,
    scratch: u64,
) -> io::Result<()> {
    let mut moves = Vec::new();
    // By move, whose it is; by blob, how many of its moves are still to be done.
    let (mut owners, mut waiting) = (Vec::new(), vec![0_usize; held.len()]);
    let mut goals = Vec::with_capacity(held.len());
    for (at, one) in held.iter().enumerate() {
        let goal = plan.places(&one.digest, one.bytes()).unwrap_or_else(|| one.places.clone());
        if goal == one.places {
            // It stays, and nothing may be put there on the way.
            owners.extend(one.places.iter().map(|_| at));
            moves.extend(one.places.iter().map(|&(at, size)| Relocation { from: at, to: at, size }));
        } else {
            let steps = refined(&one.places, &goal);
            waiting[at] = steps.len();
            owners.extend(steps.iter().map(|_| at));
            moves.extend(steps);
        }
        goals.push(goal);
    }
    let ends = moves.iter().map(|step| step.from.max(step.to) + step.size);
    let scratch = ends.max().unwrap_or(0).max(scratch);
    relocate::carry_out(canvas, &moves, scratch, |step| {
        let owner = owners[step];
        if waiting[owner] == 0 {
            return Ok(());
        }
        waiting[owner] -= 1;
        if waiting[owner] > 0 {
            return Ok(());
        }
        let prefix = held[owner].hasher.as_ref().map_or(held[owner].digest, |hasher| hasher.clone().finish());
        journal.add(&JournalLine::of(held[owner].digest, goals[owner].clone(), prefix)).map_err(io::Error::other)
    })?;
    for (one, goal) in held.iter_mut().zip(goals) {
        one.places = goal;
    }
    Ok(())
}

/// The moves by which bytes that lie at `from` come to lie at `to`, both in the order of the blob.
fn refined(from: &[(u64, u64)], to: &[(u64, u64)]) -> Vec<Relocation> {
    let mut moves = Vec::new();
    let (mut sources, mut goals) = (from.iter().copied(), to.iter().copied());
    let (mut source, mut goal) = (sources.next(), goals.next());
    while let (Some((at, left)), Some((place, room))) = (source, goal) {
        let size = left.min(room);
        moves.push(Relocation { from: at, to: place, size });
        source = if left == size { sources.next() } else { Some((at + size, left - size)) };
        goal = if room == size { goals.next() } else { Some((place + size, room - size)) };
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_stretches_come_to_lie_in_other_stretches() {
        let steps = refined(&[(0, 10), (100, 5)], &[(50, 4), (200, 11)]);
        let step = |from, to, size| Relocation { from, to, size };
        assert_eq!(steps, [step(0, 50, 4), step(4, 200, 6), step(100, 206, 5)]);
        assert_eq!(refined(&[(7, 0)], &[(9, 0)]), [step(7, 9, 0)]);
    }
}
