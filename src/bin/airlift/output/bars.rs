//! Progress for people: the whole on one bar, the blobs that move now below it.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use airlift::{
    oci::Digest,
    progress::{Event, Observe, Phase},
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{StatusOutput, echo::Echo, words};

/// Redraws a second.
const HZ: u8 = 10;

/// Blobs shown at once, so that a small terminal has room for them.
const SHOWN: usize = 8;

/// Blobs below this are gone before they can be read.
const WORTH_SHOWING: u64 = 1 << 20;

/// Hexadecimal digits that tell one blob from another.
const SHORT: usize = 12;

const WHOLE: &str =
    "{msg:13} {percent:>3}% [{bar:32}] {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
const UNKNOWN: &str = "{spinner} {msg} {prefix}";
const BLOB: &str = "  {msg} {percent:>3}% [{bar:32}] {binary_bytes}/{binary_total_bytes}";

/// Draws bars on stderr.
pub(super) struct Bars {
    screen: MultiProgress,
    state: Mutex<BarsState>,
}

struct BarsState {
    whole: ProgressBar,
    /// Bytes of each blob that moves, and its bar if it has one.
    moving: HashMap<Digest, (u64, Option<ProgressBar>)>,
    resolved: u64,
    finished: bool,
    /// While something is on the screen.
    echo: Option<Echo>,
}

impl Bars {
    pub(super) fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(HZ));
        // Not on the screen before something happens: most commands end at once.
        let whole = ProgressBar::hidden();
        Self {
            screen,
            state: Mutex::new(BarsState { whole, moving: HashMap::new(), resolved: 0, finished: false, echo: None }),
        }
    }
}

impl BarsState {
    fn show(&mut self, screen: &MultiProgress, event: &Event) {
        match event {
            Event::Phase(phase) => self.begin(screen, *phase),
            Event::Resolved { .. } => {
                self.resolved += 1;
                self.whole.set_prefix(words::count(self.resolved, "artifact"));
            }
            Event::Planned { bytes, present, .. } => self.plan(*bytes, *present),
            Event::Started { blob, size } => self.start(screen, *blob, *size),
            Event::Advanced { blob, bytes } => self.advance(*blob, *bytes),
            Event::Abandoned { blob } => {
                let moved = self.end(screen, blob);
                self.whole.set_position(self.whole.position().saturating_sub(moved));
            }
            Event::Finished { blob } => {
                self.end(screen, blob);
            }
            _ => {}
        }
    }

    fn begin(&mut self, screen: &MultiProgress, phase: Phase) {
        if self.whole.is_hidden() {
            self.echo = Echo::off();
            self.whole = screen.add(ProgressBar::no_length().with_style(style(UNKNOWN)));
            self.whole.enable_steady_tick(Duration::from_millis(1000 / u64::from(HZ)));
        }
        self.whole.set_message(words::phase(phase));
    }

    fn plan(&self, bytes: u64, present: u64) {
        self.whole.set_style(style(WHOLE));
        self.whole.set_length(bytes);
        // Bytes that were present before must not count for the rate.
        self.whole.set_position(present);
        self.whole.reset_eta();
    }

    fn start(&mut self, screen: &MultiProgress, blob: Digest, size: u64) {
        let shown = self.moving.values().filter(|(_, bar)| bar.is_some()).count();
        let bar = (size >= WORTH_SHOWING && shown < SHOWN).then(|| {
            let bar = screen.add(ProgressBar::new(size).with_style(style(BLOB)));
            bar.set_message(blob.hex()[..SHORT].to_owned());
            bar
        });
        self.moving.insert(blob, (0, bar));
    }

    fn advance(&mut self, blob: Digest, bytes: u64) {
        self.whole.inc(bytes);
        let (moved, bar) = self.moving.entry(blob).or_default();
        *moved += bytes;
        if let Some(bar) = bar {
            bar.inc(bytes);
        }
    }

    /// Takes everything off the screen; the next phase puts its own there.
    fn clear(&mut self, screen: &MultiProgress) {
        // Taken away without being drawn once more, each on another line: then what is drawn goes at once.
        for bar in self.moving.drain().filter_map(|(_, (_, bar))| bar) {
            screen.remove(&bar);
        }
        screen.remove(&self.whole);
        self.whole = ProgressBar::hidden();
        let _ = screen.clear();
        self.echo = None;
    }

    /// Takes a blob off the screen and returns its bytes so far.
    fn end(&mut self, screen: &MultiProgress, blob: &Digest) -> u64 {
        let (moved, bar) = self.moving.remove(blob).unwrap_or_default();
        if let Some(bar) = bar {
            bar.finish_and_clear();
            screen.remove(&bar);
        }
        moved
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

impl Observe for Bars {
    fn observe(&self, event: Event) {
        if let Some(notice) = words::notice(&event) {
            self.say(&notice);
        }
        if let Ok(mut state) = self.state.lock()
            && !state.finished
        {
            state.show(&self.screen, &event);
        }
    }
}

impl StatusOutput for Bars {
    fn say(&self, line: &str) {
        self.screen.suspend(|| super::print_aside(&format!("{line}\n")));
    }

    fn pause(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.clear(&self.screen);
        }
    }

    fn finish(&self) {
        if let Ok(mut state) = self.state.lock() {
            state.finished = true;
            state.clear(&self.screen);
        }
    }
}
