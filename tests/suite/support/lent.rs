//! Peers that are slow to start, lent to one test after another. A test has its peer alone and finds it empty.

use std::{
    mem,
    ops::Deref,
    sync::{Mutex, PoisonError},
    thread,
};

/// A peer that can be emptied.
pub(crate) trait Reusable: Send + Sized + 'static {
    /// Starts one.
    fn start() -> Self;

    /// Takes away everything that a test has left in it.
    fn empty(&self);

    /// Where those of its kind wait for the next test.
    fn pool() -> &'static Pool<Self>;
}

/// The peers of one kind that no test has. They end with the last test that has one: nothing else would end them.
pub(crate) struct Pool<T>(Mutex<State<T>>);

struct State<T> {
    idle: Vec<T>,
    lent: usize,
}

impl<T> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(State { idle: Vec::new(), lent: 0 }))
    }
}

/// A peer, until it goes out of scope.
pub(crate) struct Lent<T: Reusable> {
    peer: Option<T>,
    returns: bool,
}

impl<T: Reusable> Lent<T> {
    /// An idle peer, emptied, or a new one.
    pub(crate) fn take() -> Self {
        let idle = {
            let mut pool = T::pool().0.lock().unwrap_or_else(PoisonError::into_inner);
            pool.lent += 1;
            pool.idle.pop()
        };
        // It exists before the peer does, so that a peer which fails to start is not counted for ever.
        let mut lent = Self { peer: None, returns: true };
        let peer = idle.inspect(T::empty).unwrap_or_else(T::start);
        lent.peer = Some(peer);
        lent
    }

    /// A peer that no other test gets.
    pub(crate) fn alone(peer: T) -> Self {
        T::pool().0.lock().unwrap_or_else(PoisonError::into_inner).lent += 1;
        Self { peer: Some(peer), returns: false }
    }

    /// The peer, to do with it what one likes: no other test gets it.
    pub(crate) fn keep(&mut self) -> &mut T {
        self.returns = false;
        self.peer.as_mut().expect("it is there until the end")
    }
}

impl<T: Reusable> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.peer.as_ref().expect("it is there until the end")
    }
}

impl<T: Reusable> Drop for Lent<T> {
    fn drop(&mut self) {
        let mut ended = Vec::from_iter(self.peer.take());
        let mut pool = T::pool().0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.lent -= 1;
        if self.returns && !thread::panicking() {
            pool.idle.append(&mut ended);
        }
        if pool.lent == 0 {
            ended.append(&mut mem::take(&mut pool.idle));
        }
        // To end them takes a moment, in which others may take theirs.
        drop(pool);
    }
}
