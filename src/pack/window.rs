//! A stretch of a stream that moves on, so that prefixes that follow one another are read once.

use std::io::{self, Read};

/// The last bytes that were read of a stream.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// A window at the beginning of `source`.
    pub(super) const fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, start: 0, bytes: Vec::new() }
    }

    /// Where it begins: it never moves back.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Bytes that it holds.
    pub(super) const fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Moves to `from`, which is not before its beginning, and gives `size` bytes; `None` if the stream ends earlier.
    pub(super) fn slide(&mut self, from: u64, size: u64) -> io::Result<Option<&[u8]>> {
        let gone = from - self.start;
        let kept = self.len().min(gone);
        self.bytes.drain(..usize::try_from(kept).unwrap_or(usize::MAX));
        let skipped = io::copy(&mut (&mut self.source).take(gone - kept), &mut io::sink())?;
        self.start = from;
        let missing = size.saturating_sub(self.len());
        self.bytes.reserve_exact(usize::try_from(missing).unwrap_or(0));
        let read = (&mut self.source).take(missing).read_to_end(&mut self.bytes)? as u64;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(self.bytes.get(..size).filter(|_| skipped == gone - kept && read == missing))
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Window({} from {})", self.bytes.len(), self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_moves_on_and_ends_with_its_stream() {
        let content: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let mut window = Window::new(Box::new(io::Cursor::new(content.clone())));
        for (from, size) in [(0, 100), (0, 50), (20, 300), (20, 300), (1000, 2000), (1500, 10), (2000, 8000)] {
            let part = window.slide(from as u64, size as u64).unwrap();
            assert_eq!(part, Some(&content[from..from + size]), "{size} from {from}");
        }
        assert_eq!((window.start(), window.len()), (2000, 8000));
        assert_eq!(window.slide(2000, 8001).unwrap(), None);
        assert_eq!(window.slide(10_001, 1).unwrap(), None);
    }
}
