//! How many requests a host is asked at once: more, while more of them are answered in the same time.
//!
//! Over a line with a long round trip most of the time is waiting, and a host that is asked twice as much at once answers twice
//! as much. One that is busy answers no more, only later. So the rate of answers is measured over rounds of as many requests as
//! may be under way, and the limit doubles from round to round while the rate grows. A host that says that it is too much,
//! or that fails, gets half as many, and after that one more a round.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use url::Origin;

/// Requests at once to a host of which nothing is known.
const FIRST: usize = 16;

/// The limit grows where a round was answered at so many times the rate of the best one before.
const GAIN: f64 = 1.1;

/// The limits of all hosts.
pub(super) struct RequestLimits {
    most: usize,
    hosts: Mutex<HashMap<Origin, Arc<HostLimit>>>,
}

impl RequestLimits {
    /// Limits of at most `most` requests a host, and at least one.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), hosts: Mutex::default() }
    }

    /// The limit of one host.
    pub(super) fn of(&self, host: &Origin) -> Arc<HostLimit> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get(host) {
            return Arc::clone(known);
        }
        Arc::clone(hosts.entry(host.clone()).or_insert_with(|| HostLimit::new(self.most)))
    }
}

/// The limit of one host.
pub(super) struct HostLimit {
    most: usize,
    places: Arc<Semaphore>,
    state: Mutex<LimitState>,
}

struct LimitState {
    /// How many may be under way.
    limit: usize,
    /// Places to take away as they become free: more were given than may be taken.
    excess: usize,
    round: Round,
    /// The most that was answered in a second.
    best: f64,
    /// When it was last too much.
    cut: Option<Instant>,
}

/// As many requests as may be under way.
struct Round {
    begun: Instant,
    answered: usize,
    /// Every place was taken at some time: without that, the limit was none.
    was_full: bool,
    /// It is not measured: connections are being made for a limit that has just changed.
    settles: bool,
}

impl Round {
    fn new(settles: bool) -> Self {
        Self { begun: Instant::now(), answered: 0, was_full: false, settles }
    }
}

/// What an answer says of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// It answered.
    Fine,
    /// It has too much to do, or fails.
    TooMuch,
}

/// A place among the requests that are under way. Dropped, it becomes free, and nothing is learnt.
pub(super) struct RequestSlot {
    host: Arc<HostLimit>,
    permit: Option<OwnedSemaphorePermit>,
    since: Instant,
}

impl HostLimit {
    fn new(most: usize) -> Arc<Self> {
        let limit = FIRST.min(most);
        let state = LimitState { limit, excess: 0, round: Round::new(true), best: 0.0, cut: None };
        Arc::new(Self { most, places: Arc::new(Semaphore::new(limit)), state: Mutex::new(state) })
    }

    /// Waits for a place.
    pub(super) async fn enter(self: Arc<Self>) -> RequestSlot {
        // The semaphore is never closed; were it, to ask unbounded would still be right.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        RequestSlot { host: self, permit, since: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, LimitState> {
        // Every change leaves the state sound, so a panic elsewhere does, too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, load: Load, since: Instant) {
        let mut state = self.state();
        match load {
            // What was sent before the limit was cut says nothing of the new one.
            Load::TooMuch if state.cut.is_none_or(|cut| cut < since) => {
                let less = (state.limit / 2).max(1);
                state.excess += state.limit - less;
                state.limit = less;
                state.cut = Some(Instant::now());
                (state.best, state.round) = (0.0, Round::new(true));
                tracing::debug!(limit = less, "fewer requests at once");
            }
            Load::TooMuch => {}
            Load::Fine => {
                state.round.answered += 1;
                state.round.was_full |= self.places.available_permits() == 0;
                if state.round.answered >= state.limit {
                    self.end_round(&mut state);
                }
            }
        }
    }

    fn end_round(&self, state: &mut LimitState) {
        let seconds = state.round.begun.elapsed().as_secs_f64().max(1e-9);
        #[expect(clippy::cast_precision_loss, reason = "a round has at most some dozens of requests")]
        let rate = state.round.answered as f64 / seconds;
        let (is_measured, was_full) = (!state.round.settles, state.round.was_full);
        let grows = is_measured && was_full && rate > state.best * GAIN && state.limit < self.most;
        if is_measured && was_full {
            state.best = state.best.max(rate);
        }
        if grows {
            let step = if state.cut.is_some() { 1 } else { state.limit };
            let more = step.min(self.most - state.limit);
            state.limit += more;
            // Places that are still to be taken away are left instead.
            let left = more.min(state.excess);
            state.excess -= left;
            self.places.add_permits(more - left);
            tracing::debug!(limit = state.limit, rate, "more requests at once");
        }
        state.round = Round::new(grows);
    }
}

impl RequestSlot {
    /// Leaves the place with what the answer said of the host.
    pub(super) fn leave(self, load: Load) {
        self.host.learn(load, self.since);
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let mut state = self.host.state();
        if state.excess > 0
            && let Some(permit) = self.permit.take()
        {
            state.excess -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests;
