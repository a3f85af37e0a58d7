//! A wire between a client and a registry that counts what passes and can be cut.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use super::process::{PATIENCE, Process};

/// A TCP proxy on a loopback port of its own.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    upstream: String,
    down: AtomicU64,
    up: AtomicU64,
    open: AtomicUsize,
    most: AtomicUsize,
    cuts: Mutex<VecDeque<u64>>,
    hold: Mutex<Hold>,
    changed: Condvar,
}

/// Where the wire stands still.
#[derive(Default)]
struct Hold {
    after: Option<u64>,
    answers_to: Option<&'static str>,
    reached: bool,
}

impl Proxy {
    /// Listens, and passes every connection on to `upstream` (`127.0.0.1:PORT`).
    pub(crate) fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire {
            upstream: upstream.to_owned(),
            down: AtomicU64::new(0),
            up: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            cuts: Mutex::default(),
            hold: Mutex::default(),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&wire);
        // The thread ends with the test process; it holds nothing but sockets.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let wire = Arc::clone(&shared);
                thread::spawn(move || wire.join(client));
            }
        });
        Self { address, wire }
    }

    /// `127.0.0.1:PORT`, to be used in the place of the upstream's.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Bytes that came from the upstream so far, HTTP's own included.
    pub(crate) fn downloaded(&self) -> u64 {
        self.wire.down.load(SeqCst)
    }

    /// Bytes that went to the upstream so far, HTTP's own included.
    pub(crate) fn uploaded(&self) -> u64 {
        self.wire.up.load(SeqCst)
    }

    /// Bytes in both directions so far.
    pub(crate) fn passed(&self) -> u64 {
        self.wire.passed()
    }

    /// The most connections that were open at once so far.
    pub(crate) fn most(&self) -> usize {
        self.wire.most.load(SeqCst)
    }

    /// Cuts one connection once it has brought `bytes` from the upstream; the earliest cut waits for the first connection
    /// that brings so much.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.wire.cuts.lock().unwrap().push_back(bytes);
    }

    /// Lets nothing pass any more once `bytes` more than now have passed in both directions together. With
    /// [`Proxy::wait_until_held`] this makes "at some moment" a moment that the test knows, without a clock.
    pub(crate) fn hold_after(&self, bytes: u64) {
        self.wire.hold.lock().unwrap().after = Some(self.wire.passed() + bytes);
    }

    /// Lets no answer pass to a request with this method, once the upstream has given it: what was asked for is done then,
    /// and whoever asked does not know.
    pub(crate) fn hold_answers_to(&self, method: &'static str) {
        self.wire.hold.lock().unwrap().answers_to = Some(method);
    }

    /// Waits until the wire stands still; `false` if `process` ended before.
    pub(crate) fn wait_until_held(&self, process: &mut Process) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut hold = self.wire.hold.lock().unwrap();
        while !hold.reached {
            assert!(
                Instant::now() < deadline,
                "so many bytes never passed, and the process did not end:\n{}",
                process.log()
            );
            if process.try_wait().is_some() {
                return false;
            }
            // An ending process wakes nobody: look again now and then.
            hold = self.wire.changed.wait_timeout(hold, Duration::from_millis(5)).unwrap().0;
        }
        true
    }

    /// Lets everything pass again.
    pub(crate) fn release(&self) {
        *self.wire.hold.lock().unwrap() = Hold::default();
        self.wire.changed.notify_all();
    }

    /// How many of the cuts asked for did not happen yet.
    pub(crate) fn cuts_left(&self) -> usize {
        self.wire.cuts.lock().unwrap().len()
    }
}

impl Wire {
    fn join(&self, client: TcpStream) -> Option<()> {
        let server = TcpStream::connect(&self.upstream).ok()?;
        self.most.fetch_max(self.open.fetch_add(1, SeqCst) + 1, SeqCst);
        let (from_client, to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let asked = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                pass(from_client, to_server, |bytes| {
                    self.up.fetch_add(bytes.len() as u64, SeqCst);
                    if self.holds_answers_to(bytes) {
                        asked.store(true, SeqCst);
                    }
                    self.stand_still();
                    true
                });
            });
            let mut brought = 0;
            pass(server, client, |bytes| {
                let bytes = bytes.len() as u64;
                self.down.fetch_add(bytes, SeqCst);
                if asked.swap(false, SeqCst) {
                    self.hold_answer();
                }
                self.stand_still();
                brought += bytes;
                !self.cut(brought)
            });
        });
        self.open.fetch_sub(1, SeqCst);
        Some(())
    }

    /// Whether this is a request whose answer is not to pass. A client sends the head of one at once.
    fn holds_answers_to(&self, bytes: &[u8]) -> bool {
        self.hold.lock().unwrap().answers_to.is_some_and(|method| bytes.starts_with(method.as_bytes()))
    }

    /// Waits until answers may pass again.
    fn hold_answer(&self) {
        let mut hold = self.hold.lock().unwrap();
        while hold.answers_to.is_some() {
            hold.reached = true;
            self.changed.notify_all();
            hold = self.changed.wait(hold).unwrap();
        }
    }

    fn passed(&self) -> u64 {
        self.down.load(SeqCst) + self.up.load(SeqCst)
    }

    /// Waits while the wire is held.
    fn stand_still(&self) {
        let mut hold = self.hold.lock().unwrap();
        while hold.after.is_some_and(|after| self.passed() >= after) {
            hold.reached = true;
            self.changed.notify_all();
            hold = self.changed.wait(hold).unwrap();
        }
    }

    fn cut(&self, brought: u64) -> bool {
        let mut cuts = self.cuts.lock().unwrap();
        if cuts.front().is_some_and(|bytes| *bytes <= brought) {
            cuts.pop_front();
            return true;
        }
        false
    }
}

/// Passes bytes on until one side ends, or `more` says that it is enough; then both sides see the end.
fn pass(mut from: TcpStream, mut to: TcpStream, mut more: impl FnMut(&[u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || !more(&buffer[..read]) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
