//! Text that a peer wrote, where people read it.

use std::fmt::{self, Write as _};

/// Text of a peer, shown so that it can say nothing but itself: what moves the cursor, ends a line or turns the direction of
/// writing is shown by its escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerText<'a>(pub &'a str);

/// Whether a terminal would do something else than to show `c`: control characters, separators of lines, and the marks
/// that turn the direction of writing (Unicode 16, UAX #9).
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl PeerText<'_> {
    /// Whether it has characters that are not shown as they are.
    pub fn is_plain(&self) -> bool {
        !self.0.contains(is_unsafe)
    }

    /// The same on several lines: none of them begins like a line of ours.
    pub fn indented(text: &str) -> String {
        let lines: Vec<String> = text.lines().map(|line| PeerText(line).to_string()).collect();
        lines.join("\n  ")
    }
}

impl fmt::Display for PeerText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| if is_unsafe(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_not_sent() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("Grüße, 世界", "Grüße, 世界"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\nb", "a\\r\\nb"),
            ("\u{202e}gnp\u{2069}\u{61c}", "\\u{202e}gnp\\u{2069}\\u{61c}"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(PeerText(text).to_string(), shown);
            assert_eq!(PeerText(text).is_plain(), text == shown);
        }
        assert_eq!(PeerText::indented("one\ntwo\x07"), "one\n  two\\u{7}");
    }
}
