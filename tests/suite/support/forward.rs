//! A forward proxy, as sites have one between their machines and the outside: names are known to it alone.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Takes requests in absolute form and `CONNECT` on a loopback port of its own, and brings all of them to one place.
pub(crate) struct Forward {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Forward {
    /// Listens; every name leads to `upstream` (`127.0.0.1:PORT`).
    pub(crate) fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (upstream, heads) = (upstream.to_owned(), Arc::clone(&asked));
        // The thread ends with the test process; it holds nothing but sockets.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, heads) = (upstream.clone(), Arc::clone(&heads));
                // A connection that breaks is the client's to tell of.
                thread::spawn(move || pass(client, &upstream, &heads));
            }
        });
        Self { address, asked }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The head of the first request of each connection so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn pass(mut client: TcpStream, upstream: &str, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let is_tunnel = text.starts_with("CONNECT ");
    heads.lock().unwrap().push(text);
    let mut server = TcpStream::connect(upstream)?;
    if is_tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        server.write_all(&head)?;
    }
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        let end = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Write).and(end)
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)?;
    up.join().unwrap().map(drop)
}
