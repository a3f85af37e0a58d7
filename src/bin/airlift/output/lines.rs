//! Progress for logs: a line for each step, and one from time to time for the bytes moved.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use airlift::progress::{Event, Observe};

use super::{
    StatusOutput, print_aside,
    tally::Tally,
    words::{clock, size, step},
};

/// Between two lines about the bytes moved. The log of an hour then has some hundred of them.
const PAUSE: Duration = Duration::from_secs(5);

/// Prints lines.
pub(super) struct TextLines(Mutex<TextState>);

struct TextState {
    tally: Tally,
    told: Instant,
}

impl TextState {
    /// The line that `event` is worth at `now`.
    fn line(&mut self, event: &Event, now: Instant) -> Option<String> {
        self.tally.take(event, now);
        if let Some(step) = step(event) {
            return Some(step);
        }
        let due = matches!(event, Event::Advanced { .. }) && now.duration_since(self.told) >= PAUSE;
        due.then(|| {
            self.told = now;
            let (tally, left) = (&self.tally, self.tally.left(now).map_or("?".to_owned(), clock));
            let (done, bytes, rate) = (size(tally.done), size(tally.bytes), size(tally.rate(now)));
            format!("{:>3} %: {done} of {bytes}, {rate}/s, {left} left", tally.percent())
        })
    }
}

impl TextLines {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self(Mutex::new(TextState { tally: Tally::new(now), told: now }))
    }
}

impl Observe for TextLines {
    fn observe(&self, event: Event) {
        let line = self.0.lock().ok().and_then(|mut state| state.line(&event, Instant::now()));
        if let Some(line) = line {
            self.say(&line);
        }
    }
}

impl StatusOutput for TextLines {
    fn say(&self, line: &str) {
        print_aside(&format!("{line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use airlift::oci::Digest;

    use super::*;

    #[test]
    fn many_small_advances_make_one_line_a_pause() {
        let start = Instant::now();
        let mut state = TextState { tally: Tally::new(start), told: start };
        let planned = state.line(&Event::Planned { blobs: 1, bytes: 2000, present: 0 }, start);
        assert_eq!(planned.as_deref(), Some("1 blob, 2.0 KiB"));
        let blob = Digest::sha256(b"1");
        let lines: Vec<_> = (1..=1000)
            .filter_map(|tick| {
                state.line(&Event::Advanced { blob, bytes: 1 }, start + Duration::from_millis(tick * 10))
            })
            .collect();
        assert_eq!(
            lines,
            [" 25 %: 500 B of 2.0 KiB, 100 B/s, 0:15 left", " 50 %: 1000 B of 2.0 KiB, 100 B/s, 0:10 left"]
        );
    }
}
