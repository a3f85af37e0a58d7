//! Patience: how often, how long, and what counts as standing still.

use std::{
    iter,
    time::{Duration, SystemTime},
    vec,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::progress::{Event, Progress};

use super::error::{At, Error};

/// How failures that may pass are waited out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Retry {
    /// Tries of one call, the first included.
    pub attempts: u32,
    /// Wait before the second try; it doubles from there, with jitter.
    pub first: Duration,
    /// Longest wait of our own choosing.
    pub longest: Duration,
    /// Longest wait that a registry's `Retry-After` can impose.
    pub longest_asked: Duration,
    /// How long connecting may take, TLS included.
    pub connect: Duration,
    /// How long the head of an answer may take.
    pub answer: Duration,
    /// How long the answer to a completed upload may take: some registries move or hash the blob once more.
    pub commit: Duration,
    /// Over this time of waiting …
    pub stall_window: Duration,
    /// … at least so many bytes must pass, or the connection counts as broken.
    pub stall_bytes: u64,
    /// After so many bytes of progress a broken transfer has all its tries again.
    pub renewed_by: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_millis(400),
            longest: Duration::from_secs(20),
            longest_asked: Duration::from_mins(2),
            connect: Duration::from_secs(15),
            answer: Duration::from_mins(1),
            commit: Duration::from_mins(10),
            stall_window: Duration::from_secs(30),
            stall_bytes: 30 << 10,
            renewed_by: 1 << 20,
        }
    }
}

impl Retry {
    /// The waits between the tries of one call.
    pub(super) fn waits(&self) -> Waits {
        let own = ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.attempts.saturating_sub(1) as usize)
            .with_jitter()
            .build()
            .collect::<Vec<_>>();
        Waits { own: own.into_iter(), attempt: 1, longest_asked: self.longest_asked }
    }
}

/// What remains of a call's patience.
pub(super) struct Waits {
    own: vec::IntoIter<Duration>,
    attempt: u32,
    longest_asked: Duration,
}

impl Waits {
    /// Waits until the next try, or gives `error` back: for good, if it cannot pass or the tries are used up.
    pub(super) async fn after(&mut self, error: Error, at: &At, progress: &Progress) -> Result<(), Error> {
        self.after_keeping(error, at, progress).await.map(drop)
    }

    /// [`Self::after`], and `error` comes back also when there is a next try, which may not be possible for other reasons.
    pub(super) async fn after_keeping(&mut self, error: Error, at: &At, progress: &Progress) -> Result<Error, Error> {
        if !error.may_pass() {
            return Err(error);
        }
        // A name that nobody knows is most often a slip of the pen; once more is enough for a resolver that was busy.
        let Some(own) = self.own.next().filter(|_| self.attempt < 2 || !error.is_unknown_host()) else {
            return Err(error);
        };
        let wait = error.asked_wait().map_or(own, |asked| asked.min(self.longest_asked).max(own));
        self.attempt += 1;
        let cause = iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let cause = cause.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::debug!(%at, %cause, attempt = self.attempt, ?wait, "trying again");
        progress.tell(Event::Retried { what: at.to_string(), cause, attempt: self.attempt, wait });
        tokio::time::sleep(wait).await;
        Ok(error)
    }
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(SystemTime::from(date.timestamp()).duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]))
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(after("Fri, 31 Dec 2100 23:59:59 GMT").unwrap() > Duration::from_hours(24));
        for bad in ["", "-1", "soon", "99999999999999999999999"] {
            assert_eq!(after(bad), None, "{bad}");
        }
    }
}
