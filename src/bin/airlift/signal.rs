//! Ctrl-C and a polite kill: the run is dropped where it stands, and what it has is kept.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first signal that asks us to stop, and names it.
///
/// SIGHUP is left alone: `nohup` must go on working, and a server reloads on it.
pub(crate) async fn received() -> io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    })
}
