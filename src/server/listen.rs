//! Connections: accepted up to a limit, watched for standing still, ended gracefully.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    config::ServeLimits,
    connections::{Connections, NoRoom, Seat},
    frontend::Frontend,
    pace::{Paced, RequestPace},
};

/// Bytes of a request's head; above it the answer is 431. Tokens of identity providers can have some KiB.
const MAX_HEAD: usize = 64 << 10;

/// Bytes of a connection's read buffer, which grows to it only while a body comes faster than it is taken.
const MAX_BUFFER: usize = 512 << 10;

/// How long accepting rests when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// How long a connection that has to leave may take to send what is left of its last answer.
const FAREWELL: Duration = Duration::from_secs(5);

/// Accepts and answers until `until`.
pub(super) async fn serve(
    listener: TcpListener,
    frontend: Arc<Frontend>,
    limits: ServeLimits,
    until: impl Future<Output = ()> + Send,
) {
    let (connections, tasks, stop) = (Arc::new(Connections::default()), TaskTracker::new(), CancellationToken::new());
    let mut until = pin!(until);
    let mut number = 0;
    loop {
        let next = tokio::select! {
            next = listener.accept() => next,
            () = &mut until => break,
        };
        let (stream, peer) = match next {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(BREATH).await;
                continue;
            }
        };
        number += 1;
        let seat = tokio::select! {
            seat = seat(&connections, number, peer, limits) => seat,
            () = &mut until => break,
        };
        let Some(seat) = seat else { continue };
        let connection =
            Connection { peer, frontend: Arc::clone(&frontend), limits, seat: Arc::new(seat), stop: stop.clone() };
        tasks.spawn(connection.open(stream));
    }
    drop(listener);
    stop.cancel();
    tasks.close();
    if timeout(limits.grace, tasks.wait()).await.is_err() {
        tracing::warn!("requests that did not end in time are broken off");
    }
}

/// A place for a connection, once there is one; none for an address that has more than its share under way.
async fn seat(connections: &Arc<Connections>, number: u64, peer: SocketAddr, limits: ServeLimits) -> Option<Seat> {
    loop {
        match connections.enter(number, peer.ip(), limits.connections, limits.share) {
            Ok(seat) => return Some(seat),
            Err(NoRoom::Address) => {
                tracing::warn!(%peer, "the address has its share of connections; a further one is closed");
                return None;
            }
            Err(NoRoom::Total) => connections.freed().await,
        }
    }
}

/// One connection, from the handshake to its end.
struct Connection {
    peer: SocketAddr,
    frontend: Arc<Frontend>,
    limits: ServeLimits,
    seat: Arc<Seat>,
    stop: CancellationToken,
}

impl Connection {
    async fn open(self, stream: TcpStream) {
        // Answers are written whole; waiting to fill a packet only delays their last one.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.frontend.tls else { return self.serve(stream).await };
        let handshake = timeout(self.limits.head, tls.acceptor().accept(stream));
        let done = tokio::select! {
            done = handshake => done,
            () = self.seat.close.cancelled() => return,
            () = self.stop.cancelled() => return,
        };
        match done {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "no TLS"),
            Err(_) => tracing::debug!(peer = %self.peer, "the TLS handshake took too long"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S) {
        let Self { peer, frontend, limits, seat, stop } = self;
        let metrics = Arc::clone(&frontend.metrics);
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        let pace = Arc::new(RequestPace::new(Arc::clone(&metrics)));
        let io = TokioIo::new(Paced::new(stream, Arc::clone(&pace), limits.stall));
        let at = Arc::clone(&seat);
        let service = service_fn(move |request| {
            let (frontend, pace, under_way) = (Arc::clone(&frontend), Arc::clone(&pace), at.begin());
            async move {
                let _reading = pace.reading();
                let reply = frontend.answer(request, peer).await;
                Ok::<_, Infallible>(reply.map(|body| body.holding(under_way)))
            }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.idle)
                .max_header_size(MAX_HEAD)
                .max_buf_size(MAX_BUFFER)
                .serve_connection(io, service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = seat.close.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
            }
            () = silent(&seat, limits.head) => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended");
        }
        metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Completes if no request has come in the time that the first one has.
async fn silent(seat: &Seat, patience: Duration) {
    sleep(patience).await;
    if seat.was_served() {
        std::future::pending::<()>().await;
    }
}
