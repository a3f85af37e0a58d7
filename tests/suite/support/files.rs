//! A small HTTP server on loopback that holds files: where `urls` of foreign layers point to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use bytes::Bytes;

/// Serves `GET` and `HEAD` of a fixed set of paths, and remembers what was asked.
pub(crate) struct Files {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    files: Mutex<BTreeMap<String, Bytes>>,
    asked: Mutex<Vec<String>>,
}

impl Files {
    /// Starts the server, empty.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // The thread ends with the test process; it holds nothing but memory.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || state.answer(stream));
            }
        });
        Self { address, state }
    }

    /// Puts a file under `path` (with a leading slash) and returns its URL.
    pub(crate) fn put(&self, path: &str, content: impl Into<Bytes>) -> String {
        self.state.files.lock().unwrap().insert(path.to_owned(), content.into());
        format!("http://{}{path}", self.address)
    }

    /// `METHOD PATH` of every request so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().clone()
    }
}

impl State {
    /// One request a connection: enough for whoever follows HTTP.
    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let first = lines.next()?.ok()?;
        for line in lines {
            if line.ok()?.is_empty() {
                break;
            }
        }
        let mut words = first.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        self.asked.lock().unwrap().push(format!("{method} {path}"));
        let file = self.files.lock().unwrap().get(path).cloned();
        let (status, body) = file.map_or(("404 Not Found", Bytes::new()), |body| ("200 OK", body));
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        if method == "GET" {
            stream.write_all(&body).ok()?;
        }
        Some(())
    }
}
