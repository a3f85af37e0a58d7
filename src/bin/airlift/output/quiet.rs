//! `--progress none` and `--quiet`.

use airlift::progress::{Event, Observe};

use super::{StatusOutput, print_aside};

/// Prints no progress, and warnings only if `warns`.
pub(super) struct Quiet {
    pub(super) warns: bool,
}

impl Observe for Quiet {
    fn observe(&self, event: Event) {
        if let (true, Event::Warned(text)) = (self.warns, event) {
            self.say(&format!("warning: {text}"));
        }
    }
}

impl StatusOutput for Quiet {
    fn say(&self, line: &str) {
        print_aside(&format!("{line}\n"));
    }
}
