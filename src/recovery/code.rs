//! The code itself, column by column: rows of protected bytes in, rows of recovery bytes out, and back.
//!
//! The code mixes the bytes at one position of all rows and no others, so any stretch of columns can be worked on alone. A
//! run's memory is the rows times the width of a stretch, and does not depend on what is protected.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use reed_solomon_simd::{
    engine::DefaultEngine,
    rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder},
};

use super::{
    Result,
    shape::{Shape, UNIT},
    space::BlockMap,
};

/// Bytes of working memory, of all threads together.
const MEMORY: u64 = 64 << 20;

/// Most threads: with more, stretches would be so narrow that reading them is slow.
const MOST_THREADS: usize = 8;

/// Most bytes of a stretch, where there are few rows.
const WIDEST: u64 = 256 << 10;

/// A stretch of columns to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ColumnRange {
    pub(super) from: u64,
    pub(super) width: usize,
}

/// A stretch of columns to decode: which rows of it are lost, and which recovery rows to take for them.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) stretch: ColumnRange,
    pub(super) lost: Vec<usize>,
    pub(super) by: Vec<usize>,
}

/// Threads that work here.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_THREADS)
}

/// Bytes of the stretches that the memory allows.
pub(super) fn width(shape: &Shape) -> u64 {
    let bytes = MEMORY / (threads() as u64 * shape.working_rows());
    (bytes / UNIT * UNIT).clamp(UNIT, WIDEST)
}

/// The columns of the groups that `wanted` names, cut into stretches.
pub(super) fn stretches(shape: &Shape, wanted: impl Fn(u64) -> bool) -> Vec<ColumnRange> {
    let mut stretches = Vec::new();
    let mut group = 0;
    while group < shape.groups {
        let run = (group..shape.groups).take_while(|group| wanted(*group)).count() as u64;
        stretches.extend(cut(shape, group, run));
        group += run + 1;
    }
    stretches
}

/// The columns of `run` groups from `group` on, cut into stretches.
pub(super) fn cut(shape: &Shape, group: u64, run: u64) -> impl Iterator<Item = ColumnRange> {
    let (mut at, end, width) = (group * shape.block, (group + run) * shape.block, width(shape));
    std::iter::from_fn(move || {
        let step = width.min(end - at);
        let stretch = ColumnRange { from: at, width: usize::try_from(step).expect("a stretch fits into memory") };
        at += step;
        (step > 0).then_some(stretch)
    })
}

/// A callback for each row that comes out: its number, its column, its bytes.
pub(super) type Taker<'a> = dyn Fn(u64, u64, &[u8]) -> Result<()> + Sync + 'a;

/// Computes the recovery rows of `stretches`.
pub(super) fn encode(shape: &Shape, data: &BlockMap, stretches: &[ColumnRange], take: &Taker<'_>) -> Result<()> {
    let (rows, recovery) = (index(shape.data), index(shape.recovery));
    on_all_threads(stretches, || {
        let mut coder = None;
        let mut buffer = Vec::new();
        move |stretch: &ColumnRange| {
            let coder = match &mut coder {
                Some(coder) => {
                    RateEncoder::reset(coder, rows, recovery, stretch.width)?;
                    coder
                }
                none => none.insert(HighRateEncoder::new(rows, recovery, stretch.width, DefaultEngine::new(), None)?),
            };
            buffer.resize(stretch.width, 0);
            for row in 0..shape.data {
                data.read(row * shape.row() + stretch.from, &mut buffer)?;
                coder.add_original_shard(&buffer)?;
            }
            let encoded = coder.encode()?;
            (0..).zip(encoded.recovery_iter()).try_for_each(|(row, bytes)| take(row, stretch.from, bytes))
        }
    })
}

/// Computes the lost rows of `gaps`.
pub(super) fn decode(
    shape: &Shape,
    data: &BlockMap,
    recovery: &BlockMap,
    gaps: &[Gap],
    take: &Taker<'_>,
) -> Result<()> {
    let (rows, spare) = (index(shape.data), index(shape.recovery));
    on_all_threads(gaps, || {
        let mut coder = None;
        let mut buffer = Vec::new();
        move |gap: &Gap| {
            let ColumnRange { from, width } = gap.stretch;
            let coder = match &mut coder {
                Some(coder) => {
                    RateDecoder::reset(coder, rows, spare, width)?;
                    coder
                }
                none => none.insert(HighRateDecoder::new(rows, spare, width, DefaultEngine::new(), None)?),
            };
            buffer.resize(width, 0);
            let mut lost = gap.lost.iter().peekable();
            for row in 0..rows {
                if lost.next_if_eq(&&row).is_some() {
                    continue;
                }
                data.read(row as u64 * shape.row() + from, &mut buffer)?;
                coder.add_original_shard(row, &buffer)?;
            }
            for row in &gap.by {
                recovery.read(*row as u64 * shape.row() + from, &mut buffer)?;
                coder.add_recovery_shard(*row, &buffer)?;
            }
            let decoded = coder.decode()?;
            gap.lost.iter().try_for_each(|row| {
                let bytes = decoded.restored_original(*row).expect("a lost row is restored");
                take(*row as u64, from, bytes)
            })
        }
    })
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a group has fewer rows than the code has points")
}

/// Works `items` off, each thread with a worker of its own; the first failure ends all.
fn on_all_threads<T: Sync, W: FnMut(&T) -> Result<()>>(items: &[T], worker: impl Fn() -> W + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let work = || {
        let mut worker = worker();
        while !stop.load(Ordering::Relaxed)
            && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
        {
            if let Err(error) = worker(item) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads().min(items.len()) {
            scope.spawn(work);
        }
        work();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
