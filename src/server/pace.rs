//! A stream that gives up on a peer that stands still or crawls.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::metrics::Metrics;

/// Bytes a second that a peer must manage while it is waited for.
const MIN_RATE: u64 = 1 << 10;

/// Whether a connection is within a request: only then must bytes come. Between requests the idle time-out counts.
#[derive(Debug)]
pub(super) struct RequestPace {
    requests: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl RequestPace {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { requests: AtomicUsize::new(0), metrics }
    }

    /// A request is read until the guard is dropped.
    pub(super) fn reading(self: &Arc<Self>) -> RequestGuard {
        self.requests.fetch_add(1, Ordering::Relaxed);
        RequestGuard(Arc::clone(self))
    }

    fn is_reading(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }
}

/// See [`RequestPace::reading`].
pub(super) struct RequestGuard(Arc<RequestPace>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One direction: how long it was waited for, and what came meanwhile.
#[derive(Debug, Default)]
struct Waited {
    since: Option<Instant>,
    total: Duration,
    bytes: u64,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Waited {
    fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.total += since.elapsed();
        }
        self.bytes += bytes as u64;
        if self.total.is_zero() {
            self.bytes = 0;
        }
    }

    /// The peer is waited for. `true` once it was too slow for as long as `patience`.
    fn blocked(&mut self, cx: &mut Context<'_>, patience: Duration) -> bool {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let total = self.total + now.duration_since(since);
        if total >= patience {
            if self.bytes < MIN_RATE * patience.as_secs().max(1) {
                return true;
            }
            *self = Self { since: Some(now), alarm: self.alarm.take(), ..Self::default() };
        }
        let deadline = since.max(now) + patience.saturating_sub(self.total);
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // An alarm that rings early only leads here again; moving it at each wait would cost more than it saves.
        if alarm.as_mut().poll(cx).is_ready() {
            alarm.as_mut().reset(deadline);
            let _ = alarm.as_mut().poll(cx);
        }
        false
    }

    fn reset(&mut self) {
        *self = Self { alarm: self.alarm.take(), ..Self::default() };
    }
}

/// A connection's stream, watched in both directions.
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<RequestPace>,
    patience: Duration,
    read: Waited,
    written: Waited,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<RequestPace>, patience: Duration) -> Self {
        Self { stream, pace, patience, read: Waited::default(), written: Waited::default() }
    }

    fn settle<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &poll {
            Poll::Ready(Ok(done)) => {
                let bytes = bytes(done);
                self.written.moved(bytes);
                self.pace.metrics.sent.fetch_add(bytes as u64, Ordering::Relaxed);
            }
            Poll::Pending if self.written.blocked(cx, self.patience) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        poll
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let poll = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        this.pace.metrics.received.fetch_add(read as u64, Ordering::Relaxed);
        if !this.pace.is_reading() {
            this.read.reset();
            return poll;
        }
        match &poll {
            Poll::Ready(_) => this.read.moved(read),
            Poll::Pending if this.read.blocked(cx, this.patience) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => {}
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.settle(cx, poll, |written| *written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.settle(cx, poll, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.settle(cx, poll, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.settle(cx, poll, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn paced() -> (Paced<tokio::io::DuplexStream>, Arc<RequestPace>, tokio::io::DuplexStream) {
        let (ours, theirs) = duplex(1024);
        let pace = Arc::new(RequestPace::new(Arc::default()));
        (Paced::new(ours, Arc::clone(&pace), PATIENCE), pace, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_is_given_up() {
        let (mut ours, _, _theirs) = paced();
        let started = Instant::now();
        let error = ours.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), PATIENCE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_crawls_is_given_up_and_a_slow_one_is_not() {
        for (bytes, every, good) in [(1, 1, false), (1024, 1, true)] {
            let (mut ours, _, mut theirs) = paced();
            let slow = tokio::spawn(async move {
                let mut buffer = vec![0; bytes];
                while theirs.read_exact(&mut buffer).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(900 * every)).await;
                }
            });
            let written = ours.write_all(&vec![0; 64 << 10]).await;
            assert_eq!(written.is_ok(), good, "{bytes} bytes every {every} s");
            slow.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_request_under_way_must_send() {
        let (mut ours, pace, mut theirs) = paced();
        let mut buffer = [0; 1];
        let idle = tokio::time::timeout(PATIENCE * 5, ours.read(&mut buffer)).await;
        assert!(idle.is_err(), "between requests nothing need come");
        let guard = pace.reading();
        let error = ours.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(guard);
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(ours.read(&mut buffer).await.unwrap(), 1);
    }
}
