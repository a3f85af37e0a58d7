//! Keeps `^C` off the screen while bars are on it.
//!
//! The terminal prints it after the last bar, which fills its line. So it wraps to a line of its own, and the code that
//! clears the bars afterwards starts one line too low.

use std::io;

use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};

/// The settings of the terminal as they were.
pub(super) struct Echo(Termios);

impl Echo {
    /// Control characters are not shown from now on; `None` where that cannot be, or is so already.
    pub(super) fn off() -> Option<Self> {
        let terminal = io::stderr();
        // One in the background would be stopped for it.
        if tcgetpgrp(&terminal).ok()? != getpgrp() {
            return None;
        }
        let before = tcgetattr(&terminal).ok()?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHOCTL);
        if without.local_modes == before.local_modes {
            return None;
        }
        tcsetattr(&terminal, OptionalActions::Now, &without).ok()?;
        Some(Self(before))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let terminal = io::stderr();
        if tcgetpgrp(&terminal).is_ok_and(|group| group == getpgrp()) {
            let _ = tcsetattr(&terminal, OptionalActions::Now, &self.0);
        }
    }
}
