//! Patience: how often, how long, and what counts as standing still.

use std::{
    collections::HashSet,
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

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
    /// Longest wait that a registry's `Retry-After` can impose where it has failed.
    pub longest_asked: Duration,
    /// How long a call waits, all its waits together, for a registry that limits the rate of requests. Such limits are
    /// counted by the minute, so that the tries of a failure would be used up in the middle of one.
    pub limited: Duration,
    /// How long connecting may take, TLS included.
    pub connect: Duration,
    /// How long the head of an answer may take.
    pub answer: Duration,
    /// How long the answer to a completed upload may take: some registries move or hash the blob once more.
    pub commit: Duration,
    /// How long a small document may take, from the request to its last byte: a manifest, a token, a page of a list.
    pub document: Duration,
    /// After so much time a call that fails is not tried again, but for the second try that each has.
    pub whole: Duration,
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
            limited: Duration::from_mins(5),
            connect: Duration::from_secs(15),
            answer: Duration::from_mins(1),
            commit: Duration::from_mins(10),
            document: Duration::from_mins(1),
            whole: Duration::from_mins(2),
            stall_window: Duration::from_secs(30),
            stall_bytes: 30 << 10,
            renewed_by: 1 << 20,
        }
    }
}

/// The addresses that a call has waited for with all its patience, in vain. All that come later look once: a run with many
/// artifacts must not wait for the same address again and again. An answer takes an address off. Clones are one.
#[derive(Clone, Default)]
pub(super) struct GivenUpAddresses(Arc<Mutex<HashSet<String>>>);

impl GivenUpAddresses {
    /// Whether `address` was waited for in vain.
    pub(super) fn has(&self, address: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(address)
    }

    fn add(&self, address: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned());
    }

    /// Notes that `address` answers.
    pub(super) fn remove(&self, address: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

impl Retry {
    /// The waits between the tries of one call.
    pub(super) fn waits(&self, given_up: &GivenUpAddresses) -> Waits {
        let own = ExponentialBuilder::default().with_min_delay(self.first).with_max_delay(self.longest).with_jitter();
        let tries = self.attempts.saturating_sub(1) as usize;
        Waits {
            own: own.with_max_times(tries).build(),
            limits: own.without_max_times().build(),
            limited: self.limited,
            attempt: 1,
            longest_asked: self.longest_asked,
            begun: Instant::now(),
            whole: self.whole,
            given_up: given_up.clone(),
        }
    }
}

/// What remains of a call's patience.
pub(super) struct Waits {
    own: ExponentialBackoff,
    /// The waits for a limit of requests that says nothing of its end.
    limits: ExponentialBackoff,
    /// What is left of the patience with limits.
    limited: Duration,
    attempt: u32,
    longest_asked: Duration,
    begun: Instant,
    whole: Duration,
    given_up: GivenUpAddresses,
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
        let wait = if error.is_limit() { self.for_limit(&error) } else { self.for_failure(&error) };
        let Some(wait) = wait else {
            if let Some(at) = error.down() {
                self.given_up.add(at.address());
            }
            return Err(error);
        };
        self.pause(wait, &error, at, progress).await;
        Ok(error)
    }

    /// Waits once more after `error`, which passes where the registry only lags behind itself.
    pub(super) async fn after_lag(&mut self, error: Error, at: &At, progress: &Progress) -> Result<(), Error> {
        let Some(wait) = self.for_failure(&error) else { return Err(error) };
        self.pause(wait, &error, at, progress).await;
        Ok(())
    }

    async fn pause(&mut self, wait: Duration, error: &Error, at: &At, progress: &Progress) {
        self.attempt += 1;
        let cause = iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let cause = cause.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::debug!(%at, %cause, attempt = self.attempt, ?wait, "trying again");
        progress.tell(Event::Retried { what: at.to_string(), cause, attempt: self.attempt, wait });
        tokio::time::sleep(wait).await;
    }

    fn for_failure(&mut self, error: &Error) -> Option<Duration> {
        let is_over = self.attempt > 1 && self.begun.elapsed() > self.whole;
        if is_over || error.down().is_some_and(|at| self.given_up.has(at.address())) {
            return None;
        }
        // An unknown name is most often a typing error; once more is enough for a resolver that was busy.
        let own = self.own.next().filter(|_| self.attempt < 2 || !error.is_unknown_host())?;
        Some(error.asked_wait().map_or(own, |asked| asked.min(self.longest_asked).max(own)))
    }

    /// A limit that ends beyond our patience is not waited for at all: asking earlier would only renew it.
    fn for_limit(&mut self, error: &Error) -> Option<Duration> {
        let own = self.limits.next()?;
        let wait = error.asked_wait().map_or(own, |asked| asked.max(own));
        self.limited = self.limited.checked_sub(wait)?;
        // It has a patience of its own, and takes nothing from that with failures.
        self.begun += wait;
        Some(wait)
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
    use crate::registry::detail::Detail;

    fn after(text: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]))
    }

    fn waits() -> Waits {
        Retry::default().waits(&GivenUpAddresses::default())
    }

    fn at() -> At {
        At { registry: "r.example".to_owned(), repository: None, what: "manifest v1".to_owned(), via: None }
    }

    fn limit(after: Option<Duration>) -> Error {
        Error::RateLimited { at: at(), after, detail: Detail::default() }
    }

    /// How long a call goes on, and how often it asks, where `error` comes back for the first `minute` and then no more.
    async fn outlives(minute: Duration, error: impl Fn() -> Error) -> Result<u32, Error> {
        let (begun, mut waits, mut asked) = (Instant::now(), waits(), 1);
        while begun.elapsed() < minute {
            waits.after(error(), &at(), &Progress::silent()).await?;
            asked += 1;
        }
        Ok(asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_a_minute_is_waited_out_whether_its_end_is_told_or_not() {
        for told in [None, Some(Duration::ZERO), Some(Duration::from_secs(1)), Some(Duration::from_mins(1))] {
            let asked = outlives(Duration::from_mins(1), || limit(told)).await.unwrap();
            assert!(asked < 60, "{asked} requests in the minute of a registry that wants fewer");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_patience_is_told_at_once_with_its_length() {
        let begun = Instant::now();
        let error = outlives(Duration::from_hours(2), || limit(Some(Duration::from_hours(1)))).await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(error.to_string().contains("asks to wait 3600 s"), "{error}");
        outlives(Duration::from_hours(2), || limit(None)).await.unwrap_err();
        assert!(begun.elapsed() <= Retry::default().limited);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_tried_as_often_as_they_may_be_whatever_was_limited_before() {
        let failure = || Error::Server { at: at(), status: 503, after: None, detail: Detail::default() };
        let mut waits = waits();
        for _ in 0..8 {
            waits.after(limit(None), &at(), &Progress::silent()).await.unwrap();
        }
        for _ in 1..Retry::default().attempts {
            waits.after(failure(), &at(), &Progress::silent()).await.unwrap();
        }
        waits.after(failure(), &at(), &Progress::silent()).await.unwrap_err();
    }

    fn down() -> Error {
        Error::Server { at: at(), status: 503, after: None, detail: Detail::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_was_given_up_is_looked_at_once_until_it_answers() {
        let given_up = GivenUpAddresses::default();
        let tries = async || {
            let mut waits = Retry::default().waits(&given_up);
            let mut tries = 1;
            while waits.after(down(), &at(), &Progress::silent()).await.is_ok() {
                tries += 1;
            }
            tries
        };
        assert_eq!((tries().await, tries().await), (Retry::default().attempts, 1));
        given_up.remove("r.example");
        assert_eq!(tries().await, Retry::default().attempts);
    }

    #[tokio::test(start_paused = true)]
    async fn tries_that_each_take_long_have_one_patience() {
        let stalled = || Error::Stalled { at: at(), waited: Duration::from_mins(1), bytes: 0 };
        let (begun, mut waits) = (Instant::now(), waits());
        tokio::time::sleep(Duration::from_mins(1)).await;
        while waits.after(stalled(), &at(), &Progress::silent()).await.is_ok() {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        assert!(begun.elapsed() < Duration::from_mins(4), "{:?}", begun.elapsed());
        // An upload whose answer alone takes longer than all that is still asked for once more.
        let mut waits = self::waits();
        tokio::time::sleep(Duration::from_mins(10)).await;
        waits.after(stalled(), &at(), &Progress::silent()).await.unwrap();
        waits.after(stalled(), &at(), &Progress::silent()).await.unwrap_err();
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
