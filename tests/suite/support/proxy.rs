//! A wire between a client and a registry that counts what passes and can be cut.

use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

/// A TCP proxy on a loopback port of its own.
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
}

struct Wire {
    upstream: String,
    down: AtomicU64,
    up: AtomicU64,
    cuts: Mutex<VecDeque<u64>>,
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
            cuts: Mutex::default(),
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

    /// Cuts one connection once it has brought `bytes` from the upstream; the earliest cut waits for the first connection
    /// that brings so much.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.wire.cuts.lock().unwrap().push_back(bytes);
    }

    /// How many of the cuts asked for did not happen yet.
    pub(crate) fn cuts_left(&self) -> usize {
        self.wire.cuts.lock().unwrap().len()
    }
}

impl Wire {
    fn join(&self, client: TcpStream) -> Option<()> {
        let server = TcpStream::connect(&self.upstream).ok()?;
        let (from_client, to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
        thread::scope(|scope| {
            scope.spawn(|| {
                pass(from_client, to_server, |bytes| {
                    self.up.fetch_add(bytes, SeqCst);
                    true
                });
            });
            let mut brought = 0;
            pass(server, client, |bytes| {
                self.down.fetch_add(bytes, SeqCst);
                brought += bytes;
                !self.cut(brought)
            });
        });
        Some(())
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
fn pass(mut from: TcpStream, mut to: TcpStream, mut more: impl FnMut(u64) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || !more(read as u64) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
