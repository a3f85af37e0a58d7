//! A read that crawls is as bad as one that stands still: after a while it counts as broken, and goes on elsewhere.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::{Chunks, error::Error};

/// Bytes a second below which a read is given up. A telephone line did more.
const SLOWEST: u64 = 1 << 10;

/// `chunks`, which must bring [`SLOWEST`] on the average of every `window`.
pub(super) fn at_least(chunks: Chunks, window: Duration, what: String) -> Chunks {
    let quota = (window.as_secs() * SLOWEST).max(1);
    let pace = Pace { chunks: Some(chunks), window, quota, until: Instant::now() + window, brought: 0, what };
    let step = async |mut pace: Pace| {
        let next = timeout_at(pace.until, pace.chunks.as_mut()?.next()).await;
        let Ok(next) = next else {
            pace.chunks = None;
            let source = format!("fewer than {} bytes came in {:?}", pace.quota, pace.window).into();
            return Some((Err(Error::Stalled { what: pace.what.clone(), source }), pace));
        };
        let next = next?;
        if let Ok(chunk) = &next {
            pace.brought += chunk.len() as u64;
            if pace.brought >= pace.quota {
                (pace.until, pace.brought) = (Instant::now() + pace.window, 0);
            }
        }
        Some((next, pace))
    };
    stream::unfold(pace, step).boxed()
}

struct Pace {
    chunks: Option<Chunks>,
    window: Duration,
    quota: u64,
    until: Instant,
    brought: u64,
    what: String,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A byte every ten seconds, `count` of them.
    fn drops(count: u32) -> Chunks {
        let drop = async |left: u32| {
            let left = left.checked_sub(1)?;
            tokio::time::sleep(Duration::from_secs(10)).await;
            Some((Ok(Bytes::from_static(b"x")), left))
        };
        stream::unfold(count, drop).boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_crawls_is_given_up_and_one_that_ends_is_not() {
        let window = Duration::from_mins(1);
        let crawling: Vec<_> = at_least(drops(100), window, "x".to_owned()).collect().await;
        assert!(crawling.len() <= 7, "{} bytes came first", crawling.len());
        assert!(matches!(crawling.last(), Some(Err(Error::Stalled { .. }))));
        let short: Vec<_> = at_least(drops(3), window, "x".to_owned()).collect().await;
        assert!(short.len() == 3 && short.iter().all(Result::is_ok));
        let full = stream::repeat_with(|| Ok(Bytes::from(vec![0; 100_000]))).then(async |chunk| {
            tokio::time::sleep(Duration::from_secs(40)).await;
            chunk
        });
        let fast_enough: Vec<_> = at_least(full.take(10).boxed(), window, "x".to_owned()).collect().await;
        assert!(fast_enough.iter().all(Result::is_ok));
    }
}
