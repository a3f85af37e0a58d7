//! Connections: accepted up to a limit, watched for standing still, ended gracefully.

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Limits, Registry,
    pace::{Pace, Paced},
};

/// Bytes of a request's head; above it the answer is 431. Tokens of identity providers can have some KiB.
const MAX_HEAD: usize = 64 << 10;

/// Bytes of a connection's read buffer, which grows to it only while a body comes faster than it is taken.
const MAX_BUFFER: usize = 512 << 10;

/// How long accepting rests when the process is out of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Accepts and answers until `until`.
pub(super) async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    limits: Limits,
    until: impl Future<Output = ()> + Send,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut until = pin!(until);
    loop {
        let next = tokio::select! {
            next = accept(&listener, &room) => next,
            () = &mut until => break,
        };
        match next {
            Ok((stream, peer, permit)) => {
                let connection =
                    Connection { peer, registry: Arc::clone(&registry), limits, watcher: graceful.watcher() };
                tokio::spawn(async move {
                    connection.open(stream).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    if timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time are broken off");
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

/// One connection, from the handshake to its end.
struct Connection {
    peer: SocketAddr,
    registry: Arc<Registry>,
    limits: Limits,
    watcher: Watcher,
}

impl Connection {
    async fn open(self, stream: TcpStream) {
        // Answers are written whole; waiting to fill a packet only delays their last one.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.registry.tls else { return self.serve(stream).await };
        match timeout(self.limits.idle, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "no TLS"),
            Err(_) => tracing::debug!(peer = %self.peer, "the TLS handshake took too long"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S) {
        let Self { peer, registry, limits, watcher } = self;
        let metrics = Arc::clone(&registry.metrics);
        metrics.connections.fetch_add(1, Ordering::Relaxed);
        let pace = Arc::new(Pace::new(Arc::clone(&metrics)));
        let io = TokioIo::new(Paced::new(stream, Arc::clone(&pace), limits.stall));
        let service = service_fn(move |request| {
            let (registry, pace) = (Arc::clone(&registry), Arc::clone(&pace));
            async move {
                let _reading = pace.reading();
                Ok::<_, Infallible>(registry.answer(request, peer).await)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(io, service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "a connection ended");
        }
        metrics.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
