//! What decoding keeps: the frames that were decoded last, and windows of base layers for the frames that come next.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::{head::PrefixPart, window::Window};

/// A frame, by the number of its content and its own within it.
pub(super) type FrameKey = (usize, usize);

/// A window that nobody came back for is given up when so many others were kept after it.
const STALE: u64 = 16;

/// What was decoded last, as long as there is room.
#[derive(Debug)]
pub(super) struct FrameCache {
    frames: HashMap<FrameKey, Arc<Vec<u8>>>,
    /// The one that was used last is at the end.
    order: VecDeque<FrameKey>,
    /// The one that was kept last is at the end.
    windows: VecDeque<IdleWindow>,
    /// Windows that were kept so far.
    kept: u64,
    bytes: u64,
    limit: u64,
    /// What a thread is decoding now.
    underway: HashSet<FrameKey>,
}

#[derive(Debug)]
struct IdleWindow {
    layer: usize,
    window: Window,
    number: u64,
}

impl FrameCache {
    /// An empty one of at most `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        let (frames, order, windows, underway) = Default::default();
        Self { frames, order, windows, kept: 0, bytes: 0, limit, underway }
    }

    pub(super) fn is_underway(&self, key: FrameKey) -> bool {
        self.underway.contains(&key)
    }

    pub(super) fn begin(&mut self, key: FrameKey) {
        self.underway.insert(key);
    }

    /// A thread is done with a frame, which is kept if it could be decoded.
    pub(super) fn end(&mut self, key: FrameKey, bytes: Option<&Arc<Vec<u8>>>) {
        self.underway.remove(&key);
        if let Some(bytes) = bytes.filter(|bytes| self.make_room(bytes.len() as u64)) {
            self.frames.insert(key, Arc::clone(bytes));
            self.order.push_back(key);
        }
    }

    pub(super) fn get(&mut self, key: FrameKey) -> Option<Arc<Vec<u8>>> {
        let bytes = Arc::clone(self.frames.get(&key)?);
        self.order.retain(|other| *other != key);
        self.order.push_back(key);
        Some(bytes)
    }

    /// The window of a base layer that is nearest before a part, which is the caller's from then on.
    pub(super) fn take_window(&mut self, part: &PrefixPart) -> Option<Window> {
        let fits = |(_, idle): &(usize, &IdleWindow)| idle.layer == part.number && idle.window.start() <= part.from;
        let found = self.windows.iter().enumerate().filter(fits).max_by_key(|(_, idle)| idle.window.start());
        let (at, _) = found?;
        let window = self.windows.remove(at)?.window;
        self.bytes -= window.len();
        Some(window)
    }

    /// Keeps a window for the next frame.
    pub(super) fn keep_window(&mut self, layer: usize, window: Window) {
        self.kept += 1;
        if self.make_room(window.len()) {
            self.windows.push_back(IdleWindow { layer, window, number: self.kept });
        }
    }

    /// Takes `size` bytes of the room; false if there is none. Frames give way, and windows only once they are stale: of more
    /// windows than there is room for, some are kept until they are used.
    fn make_room(&mut self, size: u64) -> bool {
        if size > self.limit {
            return false;
        }
        while self.bytes + size > self.limit {
            let freed = if let Some(oldest) = self.order.pop_front() {
                self.frames.remove(&oldest).map_or(0, |bytes| bytes.len() as u64)
            } else {
                let stale = |idle: &mut IdleWindow| self.kept - idle.number >= STALE;
                let Some(idle) = self.windows.pop_front_if(stale) else { return false };
                idle.window.len()
            };
            self.bytes -= freed;
        }
        self.bytes += size;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::head::PrefixSource;

    fn window(size: u64) -> Window {
        let mut window = Window::new(Box::new(std::io::repeat(7)));
        window.slide(100, size).unwrap();
        window
    }

    fn part(number: usize, from: u64) -> PrefixPart {
        PrefixPart { from, number, size: 1, source: PrefixSource::Base }
    }

    #[test]
    fn frames_make_room_for_windows_and_windows_only_when_they_are_stale() {
        let mut cache = FrameCache::new(100);
        cache.end((0, 0), Some(&Arc::new(vec![0; 60])));
        cache.keep_window(1, window(50));
        assert!(cache.get((0, 0)).is_none(), "there is room for one");
        cache.end((0, 0), Some(&Arc::new(vec![0; 60])));
        assert!(cache.get((0, 0)).is_none(), "a window that may be used gives no room");
        assert!(cache.take_window(&part(1, 99)).is_none(), "it begins later");
        assert!(cache.take_window(&part(2, 100)).is_none(), "it is another layer's");
        for _ in 0..STALE {
            cache.keep_window(3, window(60));
        }
        assert!(cache.take_window(&part(1, 500)).is_none(), "it is stale");
        assert_eq!(cache.take_window(&part(3, 500)).map(|window| window.len()), Some(60));
        assert_eq!(cache.bytes, 0);
    }
}
