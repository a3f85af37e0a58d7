//! Ctrl-C and a polite kill: the run is dropped where it stands, and what it has is kept.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for the first signal that asks us to stop, and names it. Signals count from this call on, not only once the
/// future is polled: call it before the work begins. Must be called within the runtime.
///
/// SIGHUP is left alone: `nohup` must go on working, and a server reloads on it.
pub(crate) fn received() -> impl Future<Output = io::Result<&'static str>> {
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (mut interrupt, mut terminate) = (interrupt?, terminate?);
        Ok(tokio::select! {
            _ = interrupt.recv() => "Ctrl-C",
            _ = terminate.recv() => "SIGTERM",
        })
    }
}

/// Every SIGHUP from now on: a server reads its credentials again on it.
pub(crate) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
