//! The `Range` header (RFC 9110, section 14), as far as one range.

use std::ops::Range;

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range was asked for, or one that may be ignored (several at once, another unit).
    Whole,
    /// These bytes, never none.
    Part(Range<u64>),
    /// No byte of it: 416.
    Nothing,
}

/// Reads a `Range` header for content of `size` bytes.
pub fn parse(header: &str, size: u64) -> Wanted {
    let Some(set) = header.trim().strip_prefix("bytes=") else { return Wanted::Whole };
    if set.contains(',') {
        // A server may ignore a set of ranges (section 14.2), and clients that pull blobs do not send one.
        return Wanted::Whole;
    }
    let Some((first, last)) = set.split_once('-') else { return Wanted::Whole };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match number(last) {
            Some(count) if count > 0 && size > 0 => Wanted::Part(size.saturating_sub(count)..size),
            Some(_) => Wanted::Nothing,
            None => Wanted::Whole,
        };
    }
    let end = if last.is_empty() { Some(size) } else { number(last).map(|last| last.saturating_add(1).min(size)) };
    match (number(first), end) {
        (Some(first), Some(end)) if first < end => Wanted::Part(first..end),
        (Some(_), Some(_)) => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

/// Digits only; a number too large for its type is as large as can be.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clamped_and_what_lies_outside_is_nothing() {
        for (header, wanted) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=500-", Wanted::Part(500..1000)),
            ("bytes=-300", Wanted::Part(700..1000)),
            ("bytes=-3000", Wanted::Part(0..1000)),
            ("bytes=900-5000", Wanted::Part(900..1000)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..1000)),
            ("bytes=1000-", Wanted::Nothing),
            ("bytes=500-0", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=--5", Wanted::Whole),
            ("bytes=", Wanted::Whole),
        ] {
            assert_eq!(parse(header, 1000), wanted, "{header}");
        }
        assert_eq!(parse("bytes=-5", 0), Wanted::Nothing);
        assert_eq!(parse("bytes=0-", 0), Wanted::Nothing);
    }
}
