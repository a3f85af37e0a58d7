//! An HTTP wire that answers some requests itself, as a storage in trouble does.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use reqwest::Method;

use super::http::Caller;

/// Decides on a request: its number from 0 and its head. `Some` is the answer's first lines, up to the empty one.
type Rule = Box<dyn Fn(usize, &str) -> Option<String> + Send>;

/// A proxy for one upstream, with one request a connection.
pub(crate) struct Faults {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    took: AtomicUsize,
    rule: Mutex<(usize, Rule)>,
    /// Which bodies arrive with one bit turned over.
    flips: Mutex<Flips>,
}

/// Decides on a request by its head.
type Flips = Box<dyn FnMut(&str) -> bool + Send>;

/// The head of Azure's answer when it wants to be left alone for a moment.
pub(crate) fn busy() -> String {
    "HTTP/1.1 503 Server Busy\r\nx-ms-error-code: ServerBusy\r\nretry-after: 0".to_owned()
}

/// The head of Azure's answer to a signature that is none.
pub(crate) fn forbidden() -> String {
    "HTTP/1.1 403 Forbidden\r\nx-ms-error-code: AuthenticationFailed".to_owned()
}

impl Faults {
    /// Listens, and passes everything on to `upstream` (`127.0.0.1:PORT`).
    pub(crate) fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let rule: Rule = Box::new(|_, _| None);
        let flips: Flips = Box::new(|_| false);
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            took: AtomicUsize::new(0),
            rule: Mutex::new((0, rule)),
            flips: Mutex::new(flips),
        });
        let all = Arc::clone(&shared);
        // The thread ends with the test process; it holds nothing but sockets.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&all);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`, to be used in the place of the upstream's.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on `rule` decides, and counts from 0.
    pub(crate) fn rule(&self, rule: impl Fn(usize, &str) -> Option<String> + Send + 'static) {
        *self.shared.rule.lock().unwrap_or_else(PoisonError::into_inner) = (0, Box::new(rule));
    }

    /// From now on the bodies of requests that `flips` picks arrive with one bit turned over.
    pub(crate) fn flip(&self, flips: impl FnMut(&str) -> bool + Send + 'static) {
        *self.shared.flips.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(flips);
    }

    /// How many blocks were taken from another account.
    pub(crate) fn took(&self) -> usize {
        self.shared.took.load(Ordering::SeqCst)
    }

    /// How many requests came since the rule was set.
    pub(crate) fn requests(&self) -> usize {
        self.shared.rule.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let (mut head, mut length) = (String::new(), 0_u64);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
            if !lower.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        let answer = {
            let mut rule = self.rule.lock().unwrap_or_else(PoisonError::into_inner);
            rule.0 += 1;
            (rule.1)(rule.0 - 1, &head)
        };
        let mut client = client;
        let mut body = reader.take(length);
        if let Some(answer) = answer {
            std::io::copy(&mut body, &mut std::io::sink()).ok()?;
            return client
                .write_all(format!("{answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
                .ok();
        }
        if let Some(source) = value(&head, "x-ms-copy-source") {
            let status = self.take(&head, source)?;
            return client
                .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
                .ok();
        }
        let mut server = TcpStream::connect(&self.upstream).ok()?;
        server.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).ok()?;
        if (self.flips.lock().unwrap_or_else(PoisonError::into_inner))(&head) {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes).ok()?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            server.write_all(&bytes).ok()?;
        } else {
            std::io::copy(&mut body, &mut server).ok()?;
        }
        std::io::copy(&mut server, &mut client).ok()?;
        Some(())
    }

    /// Put Block From URL, which Azure has and Azurite has not: the block is fetched and put as a plain one.
    fn take(&self, head: &str, source: &str) -> Option<u16> {
        let range = value(head, "x-ms-source-range")?;
        let version = value(head, "x-ms-source-if-match")?;
        let got = Caller::default().send(Method::GET, source, &[("x-ms-range", range), ("if-match", version)], "");
        if !got.status.is_success() {
            return Some(409);
        }
        self.took.fetch_add(1, Ordering::SeqCst);
        let path = head.split(' ').nth(1)?;
        let url = format!("http://{}{path}", self.upstream);
        Some(Caller::default().send(Method::PUT, &url, &[], got.body).status.as_u16())
    }
}

/// The value of a header in a request's head.
fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
