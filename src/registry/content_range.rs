//! `Content-Range` (RFC 9110, 14.4).

/// Which bytes of the whole an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, which belongs to it.
    pub last: u64,
    /// Bytes of the whole, where the server says so.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes FIRST-LAST/TOTAL`, where `TOTAL` may be `*`.
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once([' ', '\t'])?;
        let (span, total) = range.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let number = |text: &str| {
            let text = text.trim();
            // Rust's own parser takes a sign.
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total)?),
        };
        let range = Self { first: number(first)?, last: number(last)?, total };
        let fits = range.first <= range.last && range.total.is_none_or(|total| range.last < total);
        (unit.eq_ignore_ascii_case("bytes") && fits).then_some(range)
    }

    /// Whether this is a part of a whole of `size` bytes that begins at `offset`.
    pub fn resumes(&self, offset: u64, size: u64) -> bool {
        self.first == offset && self.last < size && self.total.is_none_or(|total| total == size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resumes(text: &str) -> bool {
        ContentRange::parse(text).is_some_and(|range| range.resumes(10, 100))
    }

    #[test]
    fn only_a_range_that_begins_where_the_last_one_ended_is_taken() {
        for good in ["bytes 10-99/100", "bytes 10-50/100", "bytes 10-99/*", " Bytes  10 - 99 / 100 "] {
            assert!(resumes(good), "{good}");
        }
        for bad in [
            "",
            "bytes 0-99/100",
            "bytes 11-99/100",
            "bytes 10-100/101",
            "bytes 10-9/100",
            "10-99/100",
            "bytes */100",
            "bytes 10-99/50",
            "bytes +10-99/100",
            "bytes 10-99",
            "bytes 10-/100",
            "items 10-99/100",
        ] {
            assert!(!resumes(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(text in "[ -~]{0,40}", first: u64, last: u64, total: u64) {
            let _ = ContentRange::parse(&text);
            let range = ContentRange::parse(&format!("bytes {first}-{last}/{total}"));
            prop_assert_eq!(range.is_some(), first <= last && last < total);
        }
    }
}
