//! Events in words, for bars and lines alike.

use std::time::Duration;

use airlift::{
    oci::PeerText,
    progress::{Event, Phase},
};
use bytesize::ByteSize;

/// `1.5 GiB`
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// `1 artifact`, `2 artifacts`
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `0:07`, `12:34`, `1:02:03`
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// The current phase of a run.
pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolving => "resolving",
        Phase::Planning => "planning",
        Phase::Transferring => "transferring",
        Phase::Verifying => "verifying",
        Phase::Protecting => "protecting",
        Phase::Repairing => "repairing",
        Phase::Publishing => "publishing",
        _ => "working",
    }
}

/// Retries, failures and warnings, which are printed even above bars.
pub(super) fn notice(event: &Event) -> Option<String> {
    let notice = match event {
        Event::Retried { what, cause, attempt, wait } => {
            // Errors name what they happened to; once is enough.
            let cause = cause.strip_prefix(what.as_str()).map_or(cause.as_str(), |rest| rest.trim_start_matches(": "));
            format!("retry: {what}: {cause}; try {attempt} in {:.1} s", wait.as_secs_f64())
        }
        Event::Failed { artifact, reason } => format!("failed: {artifact}: {reason}"),
        Event::Warned(text) => format!("warning: {text}"),
        _ => return None,
    };
    Some(PeerText::indented(&notice))
}

/// Steps of a run that are worth a line in a log.
pub(super) fn step(event: &Event) -> Option<String> {
    Some(match event {
        Event::Phase(now) => phase(*now).to_owned(),
        Event::Resolved { artifact, pieces, bytes } => {
            format!("{artifact}: {}, {}", count(*pieces, "blob"), size(*bytes))
        }
        Event::Planned { blobs, bytes, present: 0 } => format!("{}, {}", count(*blobs, "blob"), size(*bytes)),
        Event::Planned { blobs, bytes, present } => {
            format!("{}, {}; {} already present", count(*blobs, "blob"), size(*bytes), size(*present))
        }
        Event::Completed { artifact } => format!("done: {artifact}"),
        other => return notice(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_counts_read_as_people_write_them() {
        assert_eq!([size(0), size(1536), size(3 << 30)], ["0 B", "1.5 KiB", "3.0 GiB"]);
        assert_eq!([7, 754, 3723].map(|s| clock(Duration::from_secs(s))), ["0:07", "12:34", "1:02:03"]);
        assert_eq!([count(0_u64, "blob"), count(1_usize, "blob")], ["0 blobs", "1 blob"]);
    }

    #[test]
    fn a_retry_tells_what_why_and_when() {
        let wait = Duration::from_millis(1500);
        for cause in ["503", "r.example/app: manifest 1: 503"] {
            let event =
                Event::Retried { what: "r.example/app: manifest 1".into(), cause: cause.into(), attempt: 2, wait };
            assert_eq!(notice(&event).unwrap(), "retry: r.example/app: manifest 1: 503; try 2 in 1.5 s");
        }
    }
}
