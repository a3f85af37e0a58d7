//! A peer that misbehaves as told: an HTTP/1.1 server whose every answer is a script.
//!
//! Real registries cannot be made to break in mid-blob at a chosen byte or to lie about a digest; this one can. It speaks
//! just enough HTTP for a client that is correct.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    task::JoinHandle,
};

/// One request, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// `GET`, `PUT`, …
    pub(crate) method: String,
    /// Path without query.
    pub(crate) path: String,
    /// Query, as it came.
    pub(crate) query: String,
    /// Headers by lower-case name; of several of one name the last.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body, or as much as the script let in.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's text, empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// `METHOD PATH`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As it should; the connection is kept.
    Good,
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Close,
    /// Nothing more comes, and the connection stays.
    Hang,
    /// Nothing comes at all, and the connection stays.
    Silent,
    /// The body goes on for ever.
    Endless,
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// `Content-Length`, where it is not the body's; `None` leaves it out.
    length: Option<usize>,
    end: End,
}

impl Reply {
    /// An empty answer with a status.
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), length: Some(0), end: End::Good }
    }

    /// 200 with a body.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200).body(body)
    }

    /// 401 that leads to a token service at `realm`.
    pub(crate) fn bearer(realm: &str, scope: &str) -> Self {
        Self::new(401).header("www-authenticate", &format!("Bearer realm=\"{realm}\",service=\"it\",scope=\"{scope}\""))
    }

    /// An error envelope.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": "as told"}]}).to_string();
        Self::new(status).body(body)
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body and its length.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.length = Some(self.body.len());
        self
    }

    /// Only the first `bytes` of the body are sent; then the connection is reset.
    pub(crate) fn reset_after(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self.end = End::Reset;
        self
    }

    /// Only the first `bytes` of the body are sent; then nothing more.
    pub(crate) fn hang_after(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self.end = End::Hang;
        self
    }

    /// No answer comes.
    pub(crate) fn silent() -> Self {
        Self { end: End::Silent, ..Self::new(200) }
    }

    /// No length is told, and the body ends with the connection.
    pub(crate) fn close_delimited(mut self) -> Self {
        self.length = None;
        self.end = End::Close;
        self
    }

    /// No length is told, and after the body it goes on with more of the same.
    pub(crate) fn endless(mut self) -> Self {
        self.length = None;
        self.end = End::Endless;
        self
    }
}

/// A script: what happens to each request.
pub(crate) trait Script: Send + Sync + 'static {
    /// Bytes of the body after which the connection is reset, judged by the head alone; `None` reads the whole body.
    fn interrupt(&self, _head: &Request) -> Option<usize> {
        None
    }

    /// The answer.
    fn reply(&self, request: &Request) -> Reply;
}

impl<F: Fn(&Request) -> Reply + Send + Sync + 'static> Script for F {
    fn reply(&self, request: &Request) -> Reply {
        self(request)
    }
}

/// A running script; it ends when it goes out of scope.
pub(crate) struct Hostile {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Hostile {
    /// Starts the script that `make` makes of the server's own address, at a free port.
    pub(crate) async fn start<S: Script>(make: impl FnOnce(&str) -> S) -> Self {
        Self::start_at("127.0.0.1:0", make).await
    }

    /// As [`Self::start`], at an address.
    pub(crate) async fn start_at<S: Script>(address: impl ToSocketAddrs, make: impl FnOnce(&str) -> S) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(make(&address.to_string()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, count) = (Arc::clone(&requests), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                tokio::spawn(async move {
                    // A client that hangs up is not a failure of the script.
                    let _ = serve(stream, script.as_ref(), &log).await;
                });
            }
        });
        Self { address, requests, connections, task }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Connections that were made so far: each carries one request at a time.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What was asked so far, without the first question of a client: whether TLS is spoken here.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let all = self.requests.lock().unwrap();
        all.iter().filter(|request| request.path != "/v2/").cloned().collect()
    }

    /// `METHOD PATH` of each request.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, script: &dyn Script, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_head(&mut stream).await? {
        let length = request.header("content-length").parse().unwrap_or(0);
        let interrupted = script.interrupt(&request);
        let wanted = interrupted.unwrap_or(length).min(length);
        request.body = vec![0; wanted];
        stream.read_exact(&mut request.body).await?;
        let reply = script.reply(&request);
        log.lock().unwrap().push(request.clone());
        if interrupted.is_some() {
            return reset(stream.into_inner());
        }
        if reply.end == End::Silent {
            stream.read_u8().await?;
            return Ok(());
        }
        let is_head = request.method == "HEAD";
        stream.write_all(&head(&reply)).await?;
        if !is_head {
            stream.write_all(&reply.body).await?;
        }
        stream.flush().await?;
        match reply.end {
            End::Good => {}
            End::Close => return Ok(()),
            End::Reset => return reset(stream.into_inner()),
            End::Hang | End::Silent => {
                // Until the client gives up.
                stream.read_u8().await?;
                return Ok(());
            }
            End::Endless => loop {
                stream.write_all(&[b' '; 4096]).await?;
            },
        }
    }
    Ok(())
}

fn reset(stream: TcpStream) -> std::io::Result<()> {
    stream.set_zero_linger()?;
    drop(stream);
    Ok(())
}

/// `None` at the end of the connection.
async fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.split("\r\n");
    let mut line = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    Ok(Some(Request { method, path, query, headers, body: Vec::new() }))
}

fn head(reply: &Reply) -> Vec<u8> {
    let mut lines = vec![format!("HTTP/1.1 {} As Told", reply.status)];
    lines.extend(reply.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(match reply.length {
        Some(length) => format!("content-length: {length}"),
        None => "connection: close".to_owned(),
    });
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}
