//! Connections: accepted up to a limit, watched for standing still, ended gracefully.

use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
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
            Ok((stream, permit)) => connection(stream, permit, Arc::clone(&registry), limits, &graceful),
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time are broken off");
    }
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

fn connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    registry: Arc<Registry>,
    limits: Limits,
    graceful: &GracefulShutdown,
) {
    // Answers are written whole; waiting to fill a packet only delays their last one.
    let _ = stream.set_nodelay(true);
    let pace = Arc::new(Pace::default());
    let io = TokioIo::new(Paced::new(stream, Arc::clone(&pace), limits.stall));
    let service = service_fn(move |request| {
        let (registry, pace) = (Arc::clone(&registry), Arc::clone(&pace));
        async move {
            let _reading = pace.reading();
            Ok::<_, Infallible>(registry.answer(request).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended");
        }
        drop(permit);
    });
}
