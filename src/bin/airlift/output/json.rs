//! Progress for programs: JSON lines on stderr, versioned.
//!
//! Every line is an object with `v` (1) and `event`. Fields are only ever added within a version. `progress` comes a few
//! times a second at the most; the other events come as they happen.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use airlift::progress::{Event, Observe};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{StatusOutput, print_aside, tally::Tally, words};
use crate::{failure::CommandError, mistake::Mistake};

/// Version of the lines.
pub(crate) const VERSION: u32 = 1;

/// Between two `progress` lines: often enough for a bar, rare enough for a pipe.
const PAUSE: Duration = Duration::from_millis(250);

/// `value` for stdout, as people read it too.
pub(crate) fn pretty<T: Serialize + ?Sized>(value: &T) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(|source| Mistake::Json { source })?;
    Ok(text + "\n")
}

/// `value` in one line.
pub(crate) fn line(value: &impl Serialize) -> String {
    // Our own lines have string keys and finite numbers only, which is all that serialising can fail by.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

/// Prints JSON lines.
pub(super) struct JsonLines(Mutex<JsonState>);

struct JsonState {
    tally: Tally,
    told: Option<Instant>,
}

impl JsonLines {
    pub(super) fn new() -> Self {
        Self(Mutex::new(JsonState { tally: Tally::new(Instant::now()), told: None }))
    }
}

impl JsonState {
    /// The object that `event` is worth at `now`.
    fn object(&mut self, event: &Event, now: Instant) -> Option<Value> {
        self.tally.take(event, now);
        let object = match event {
            Event::Phase(phase) => json!({"event": "phase", "phase": words::phase(*phase)}),
            Event::Resolved { artifact, pieces, bytes } => {
                json!({"event": "resolved", "artifact": artifact, "pieces": pieces, "bytes": bytes})
            }
            Event::Planned { blobs, bytes, present } => {
                json!({"event": "planned", "blobs": blobs, "bytes": bytes, "present": present})
            }
            Event::Started { blob, size } => json!({"event": "started", "blob": blob, "size": size}),
            Event::Abandoned { blob } => json!({"event": "abandoned", "blob": blob}),
            Event::Finished { blob } => json!({"event": "finished", "blob": blob}),
            Event::Retried { what, cause, attempt, wait } => {
                let wait = wait.as_secs_f64();
                json!({"event": "retried", "what": what, "cause": cause, "attempt": attempt, "wait": wait})
            }
            Event::Completed { artifact } => json!({"event": "completed", "artifact": artifact}),
            Event::Failed { artifact, reason } => json!({"event": "failed", "artifact": artifact, "reason": reason}),
            Event::Warned(text) => json!({"event": "warned", "text": text}),
            Event::Advanced { .. } => return self.advance(now),
            _ => return None,
        };
        Some(versioned(object))
    }

    fn advance(&mut self, now: Instant) -> Option<Value> {
        if self.told.is_some_and(|told| now.duration_since(told) < PAUSE) {
            return None;
        }
        self.told = Some(now);
        let Tally { bytes, done, blobs, blobs_done, .. } = &self.tally;
        let (rate, left) = (self.tally.rate(now), self.tally.left(now).map(|left| left.as_secs()));
        Some(versioned(json!({"event": "progress", "bytes": bytes, "done": done, "blobs": blobs,
            "blobs_done": blobs_done, "rate": rate, "seconds_left": left})))
    }
}

fn versioned(object: Value) -> Value {
    let mut all = Map::from_iter([("v".to_owned(), VERSION.into())]);
    if let Value::Object(fields) = object {
        all.extend(fields);
    }
    all.into()
}

impl Observe for JsonLines {
    fn observe(&self, event: Event) {
        let object = self.0.lock().ok().and_then(|mut state| state.object(&event, Instant::now()));
        if let Some(object) = object {
            print_aside(&line(&object));
        }
    }
}

impl StatusOutput for JsonLines {
    fn say(&self, text: &str) {
        print_aside(&line(&json!({"v": VERSION, "event": "log", "text": text})));
    }
}

#[cfg(test)]
mod tests {
    use airlift::oci::Digest;

    use super::*;

    #[test]
    fn every_line_is_an_object_with_version_and_event_and_advances_are_throttled() {
        let start = Instant::now();
        let mut state = JsonState { tally: Tally::new(start), told: None };
        let blob = Digest::sha256(b"1");
        let mut events = vec![Event::Planned { blobs: 1, bytes: 4, present: 0 }, Event::Started { blob, size: 4 }];
        events.extend(vec![Event::Advanced { blob, bytes: 1 }; 4]);
        events.push(Event::Finished { blob });
        let objects: Vec<_> = events.iter().filter_map(|event| state.object(event, start + PAUSE)).collect();
        let names: Vec<_> = objects.iter().map(|object| object["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["planned", "started", "progress", "finished"]);
        assert!(objects.iter().all(|object| object["v"] == 1));
        assert_eq!(objects[2]["done"], 1);
    }
}
