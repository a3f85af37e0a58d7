//! The content of an upload, from which each request takes its part.

use std::{
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use reqwest::Body;
use tokio::time::timeout;

use crate::content::{self, Verified};

use super::{
    answer::Answer,
    error::Error,
    transport::{Call, Transport},
};

/// Content under way. A request holds a share of it while it runs; no two requests run at once.
pub(super) struct UploadBody(Arc<Mutex<BodyState>>);

struct BodyState {
    content: Verified,
    rest: Bytes,
    /// Bytes that requests took.
    taken: u64,
    /// Why the content itself failed, as against its transport.
    failure: Option<content::Error>,
    /// Whether we wait for the source of the content, and not for the registry.
    is_starved: bool,
    /// Which request may take: a connection that was given up may still want to.
    turn: u64,
}

/// What one request sends.
struct Part {
    state: Arc<Mutex<BodyState>>,
    turn: u64,
    left: u64,
}

impl UploadBody {
    pub(super) fn new(content: Verified) -> Self {
        let state = BodyState { content, rest: Bytes::new(), taken: 0, failure: None, is_starved: false, turn: 0 };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// Why the content failed, once.
    pub(super) fn failure(&self) -> Option<content::Error> {
        self.lock().failure.take()
    }

    /// Sends the next `length` bytes with `call`; gives up when the registry stops taking them, or never answers.
    pub(super) async fn send(&self, transport: &Transport, call: Call, length: u64) -> Result<Answer, Error> {
        let retry = &transport.settings.retry;
        let end = self.taken() + length;
        let part = Part { state: Arc::clone(&self.0), turn: self.next_turn(), left: length };
        let at = call.at.clone();
        let mut sending = pin!(transport.send_content(call, Body::wrap_stream(part), length));
        let mut seen = self.taken();
        let mut answering = Duration::ZERO;
        let outcome = loop {
            if let Ok(outcome) = timeout(retry.stall_window, &mut sending).await {
                break outcome;
            }
            let (taken, is_starved) = {
                let state = self.lock();
                (state.taken, state.is_starved)
            };
            if taken >= end {
                answering += retry.stall_window;
                if answering >= retry.commit {
                    break Err(Error::Stalled { at, waited: answering, bytes: 0 });
                }
            } else if !is_starved && taken - seen < retry.stall_bytes {
                break Err(Error::Stalled { at, waited: retry.stall_window, bytes: taken - seen });
            }
            seen = taken;
        };
        self.next_turn();
        outcome
    }

    fn next_turn(&self) -> u64 {
        let mut state = self.lock();
        state.turn += 1;
        state.turn
    }

    /// Makes `position` the next byte to take: as it is, or from the content opened anew. `false` if that cannot be had.
    pub(super) async fn rewind(&mut self, position: u64) -> content::Result<bool> {
        if self.taken() == position {
            return Ok(true);
        }
        let reopening = self.lock().content.reopen();
        let Some(mut content) = reopening.await? else { return Ok(false) };
        let mut skipped = 0;
        let mut rest = Bytes::new();
        while skipped < position {
            // The end cannot come before `position`: Verified fails where there are too few bytes.
            let Some(chunk) = content.next().await else { return Ok(false) };
            rest = chunk?;
            let used = usize::try_from(position - skipped).unwrap_or(usize::MAX).min(rest.len());
            skipped += used as u64;
            rest = rest.slice(used..);
        }
        // A new share: whatever still holds the old one has nothing to take.
        let turn = self.lock().turn;
        *self = Self(Arc::new(Mutex::new(BodyState {
            content,
            rest,
            taken: position,
            failure: None,
            is_starved: false,
            turn,
        })));
        Ok(true)
    }
}

impl Stream for Part {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let shared = Arc::clone(&self.state);
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turn != self.turn {
            return Poll::Ready(Some(Err(io::Error::other("the request was given up"))));
        }
        if state.rest.is_empty() {
            state.is_starved = true;
            match ready!(state.content.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => state.rest = chunk,
                Some(Err(error)) => {
                    state.failure = Some(error);
                    return Poll::Ready(Some(Err(io::Error::other("the content failed"))));
                }
                None => return Poll::Ready(None),
            }
            state.is_starved = false;
        }
        let length = state.rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let chunk = state.rest.split_to(length);
        state.taken += length as u64;
        self.left -= length as u64;
        Poll::Ready(Some(Ok(chunk)))
    }
}
