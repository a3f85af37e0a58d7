//! Bytes that arrived under one plan, brought to where another plan wants them, within the same file.

use std::{collections::BTreeMap, fs::File, io};

use crate::files::disk;

/// What ranges are moved on: one file, or several.
pub(crate) trait Shift {
    /// Moves `size` bytes; the ranges may overlap.
    fn shift(&self, from: u64, to: u64, size: u64) -> io::Result<()>;
}

impl Shift for File {
    fn shift(&self, from: u64, to: u64, size: u64) -> io::Result<()> {
        disk::move_within(self, from, to, size)
    }
}

/// A range of the file that is to lie elsewhere. Ranges of one set overlap neither at their origins nor at their goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relocation {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) size: u64,
}

/// Carries out `moves` in an order in which none overwrites what another still needs, and calls `done` with the position
/// in `moves` of each as it is done. Where they wait for each other in a circle, one goes by way of the bytes from
/// `scratch` on, which nothing else uses.
pub(crate) fn carry_out(
    ground: &impl Shift,
    moves: &[Relocation],
    scratch: u64,
    mut done: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<()> {
    // What is still to be moved, by where it lies.
    let mut waiting: BTreeMap<u64, (usize, Relocation)> = BTreeMap::new();
    for (at, step) in moves.iter().enumerate() {
        if step.size == 0 || step.from == step.to {
            // It stays, and blocks no other range: goals do not overlap.
            done(at)?;
        } else {
            waiting.insert(step.from, (at, *step));
        }
    }
    let mut scratch = scratch;
    while !waiting.is_empty() {
        let before = waiting.len();
        // Both ways, for what moves down frees room for what lies above it, and the other way round.
        let upwards: Vec<u64> = waiting.keys().copied().collect();
        for from in upwards.iter().chain(upwards.iter().rev()) {
            let Some(&(at, step)) = waiting.get(from) else { continue };
            if is_free(&waiting, &step) {
                ground.shift(step.from, step.to, step.size)?;
                waiting.remove(from);
                done(at)?;
            }
        }
        if waiting.len() == before
            && let Some((_, (at, step))) = waiting.pop_first()
        {
            ground.shift(step.from, scratch, step.size)?;
            waiting.insert(scratch, (at, Relocation { from: scratch, ..step }));
            scratch += step.size;
        }
    }
    Ok(())
}

/// Whether nothing but the range itself still lies where `step` wants to go.
fn is_free(waiting: &BTreeMap<u64, (usize, Relocation)>, step: &Relocation) -> bool {
    let overlapping = waiting
        .range(..step.to + step.size)
        .rev()
        .take_while(|(from, (_, other))| **from + other.size > step.to)
        .filter(|(from, _)| **from != step.from);
    overlapping.count() == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_rearrangement_keeps_every_range(
            sizes in proptest::collection::vec((1_u64..200, 0_u64..60, 0_u64..60), 1..12),
            keys in proptest::collection::vec(any::<u32>(), 12),
        ) {
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            order.sort_by_key(|&at| keys[at]);
            let mut moves: Vec<Relocation> = sizes.iter().map(|&(size, _, _)| Relocation { from: 0, to: 0, size }).collect();
            let (mut from, mut to) = (0, 0);
            for (at, &(size, gap, _)) in sizes.iter().enumerate() {
                moves[at].from = from + gap;
                from += gap + size;
            }
            for &at in &order {
                moves[at].to = to + sizes[at].2;
                to = moves[at].to + sizes[at].0;
            }
            let file = tempfile::tempfile().unwrap();
            let of = |at: usize, step: &Relocation| vec![u8::try_from(at).unwrap() + 1; usize::try_from(step.size).unwrap()];
            for (at, step) in moves.iter().enumerate() {
                file.write_all_at(&of(at, step), step.from).unwrap();
            }
            let mut told = vec![0; moves.len()];
            carry_out(&file, &moves, from.max(to), |at| { told[at] += 1; Ok(()) }).unwrap();
            prop_assert!(told.iter().all(|&count| count == 1));
            for (at, step) in moves.iter().enumerate() {
                let mut bytes = vec![0; of(at, step).len()];
                file.read_exact_at(&mut bytes, step.to).unwrap();
                prop_assert!(bytes == of(at, step), "range {at} of {moves:?}");
            }
        }
    }
}
