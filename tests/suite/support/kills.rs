//! How long the long tests are, and at which counted events they kill a process: spread over all of them, and picked by a seed
//! that can be given again.

use std::{env, str::FromStr};

use super::{artifacts::noise, peers::tell, process::Process, proxy::Proxy};

/// Kills at each place; `AIRLIFT_KILLS` sets another number, for a long run.
const KILLS: usize = 10;

/// Kills at each place.
pub(crate) fn count() -> usize {
    variable("AIRLIFT_KILLS").unwrap_or(KILLS)
}

/// A number that differs from run to run, printed, unless `AIRLIFT_SEED` gives the one of an earlier run.
pub(crate) fn seed() -> u64 {
    let seed = variable("AIRLIFT_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    tell(&format!("{}: AIRLIFT_SEED={seed}", std::thread::current().name().unwrap_or("a test")));
    seed
}

/// Whether everything is to run at full length, as `tests/all --long` says by `AIRLIFT_LONG`.
pub(crate) fn is_long() -> bool {
    env::var_os("AIRLIFT_LONG").is_some()
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

/// One of `whole` events from each of `count()` equal stretches of them. The last hundredth is left out: two runs do not
/// agree to the byte, and each of these must come.
pub(crate) fn moments(whole: u64) -> Vec<u64> {
    moments_of_leg(whole, 1)
}

/// The same where a place is reached by `legs` runs, which share its kills: their engine is the same, and its peer is slow.
pub(crate) fn moments_of_leg(whole: u64, legs: usize) -> Vec<u64> {
    let count = count().div_ceil(legs);
    let length = (whole - whole / 100) / count as u64;
    let within = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap()) % length.max(1);
    let random = noise(seed(), 8 * count);
    (0..).zip(random.chunks(8)).map(|(n, bytes)| length * n + within(bytes)).collect()
}

/// Kills what `start` starts once `bytes` have passed `wire`; fails the test if it ends before.
pub(crate) fn kill_after(wire: &Proxy, bytes: u64, start: impl FnOnce() -> Process) {
    wire.hold_after(bytes);
    let mut process = start();
    let held = wire.wait_until_held(&mut process);
    process.kill();
    wire.release();
    assert!(held, "the process ended before {bytes} bytes had passed:\n{}", process.log());
}

/// Kills what `start` starts once it says `line`: there is no wire at the end of a run, but it reports its phases.
pub(crate) fn kill_at_line(line: &str, start: impl FnOnce() -> Process) {
    let mut process = start();
    process.wait_for_line(line);
    process.kill();
}
