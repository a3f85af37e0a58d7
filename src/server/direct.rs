//! Bytes of a file that the kernel sends by itself (`sendfile`), in the middle of answers that hyper writes.
//!
//! hyper writes what a body gives it to the connection's stream, in order. A body that wants a part of a file sent gives a
//! [`Chunk::File`] instead of bytes: its length is that part's, and its bytes are blanks that nobody ever reads. The stream,
//! [`Direct`], knows blanks by their address and sends as many bytes of the file in their place. Both sides keep account
//! in the connection's [`Lane`]: if blanks were ever taken for bytes (copied by a later hyper, say), the account does not
//! balance, and the connection ends before one of them leaves.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use rustix::{fs::sendfile, io::Errno};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::file::Located;

/// Bytes that one call sends at the most: long enough that calls do not count, short enough that others get their turn.
const STEP: usize = 1 << 20;

/// Stands for bytes of files. Never read, so that it takes addresses and no memory.
static BLANKS: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; STEP].into());

/// What a body is made of.
#[derive(Debug)]
pub(super) enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file, as [`Lane::send`] gave it.
    File(Part),
}

/// A part of a file in the place where it is to be sent.
#[derive(Debug)]
pub(super) struct Part {
    left: usize,
    lane: Arc<Lane>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.remaining(),
            Self::File(part) => part.left,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes.chunk(),
            Self::File(part) => &BLANKS[..part.left.min(STEP)],
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::File(part) => {
                part.left = part.left.saturating_sub(count);
                part.lane.settle(count);
            }
        }
    }
}

/// What a connection's bodies and its stream know of each other.
#[derive(Debug, Default)]
pub(super) struct Lane(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    parts: VecDeque<Waiting>,
    /// Bytes sent that the body's side does not know of yet.
    sent: usize,
    /// Blanks went elsewhere: nothing more may be written.
    broken: bool,
}

#[derive(Debug)]
struct Waiting {
    blob: Located,
    /// In the file.
    at: u64,
    left: usize,
}

impl Lane {
    /// What must be written in the place where `size` bytes of the blob's file, from `at` on, are to be sent.
    pub(super) fn send(self: &Arc<Self>, blob: &Located, at: u64, size: usize) -> Chunk {
        self.account().parts.push_back(Waiting { blob: blob.clone(), at, left: size });
        Chunk::File(Part { left: size, lane: Arc::clone(self) })
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `count` blanks were written, it is said.
    fn settle(&self, count: usize) {
        let mut account = self.account();
        match account.sent.checked_sub(count) {
            Some(rest) => account.sent = rest,
            None => account.broken = true,
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.account().broken { Err(io::Error::other("blanks were taken for bytes")) } else { Ok(()) }
    }

    /// Sends some of the first part's bytes, `wanted` at the most.
    fn forward(&self, stream: &TcpStream, wanted: usize) -> io::Result<usize> {
        let mut account = self.account();
        let Some(part) = account.parts.front_mut() else {
            account.broken = true;
            return Err(io::Error::other("blanks without a file"));
        };
        let wanted = wanted.min(part.left);
        let sent = loop {
            let mut at = part.at;
            match sendfile(stream, &*part.blob.file, Some(&mut at), wanted) {
                Ok(0) => {
                    let (place, blob) = (&part.blob.place, part.blob.digest);
                    tracing::error!(%place, %blob, "the file was cut while it was sent; the answer was broken off");
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(sent) => break sent,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        part.at += sent as u64;
        part.left -= sent;
        if part.left == 0 {
            account.parts.pop_front();
        }
        account.sent += sent;
        Ok(sent)
    }
}

/// A connection without TLS: bytes are written, blanks are replaced.
#[derive(Debug)]
pub(super) struct Direct {
    stream: TcpStream,
    lane: Arc<Lane>,
}

impl Direct {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, lane: Arc::default() }
    }

    /// For the bodies of this connection's answers.
    pub(super) fn lane(&self) -> Arc<Lane> {
        Arc::clone(&self.lane)
    }

    fn poll_forward(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_io(Interest::WRITABLE, || self.lane.forward(&self.stream, wanted)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

fn is_blank(slice: &[u8]) -> bool {
    BLANKS.as_ptr_range().contains(&slice.as_ptr())
}

impl AsyncRead for Direct {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Direct {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.lane.check()?;
        if !bytes.is_empty() && is_blank(bytes) {
            return self.poll_forward(cx, bytes.len());
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lane.check()?;
        let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
        let slices = &slices[empty..];
        let plain = slices.iter().position(|slice| !slice.is_empty() && is_blank(slice)).unwrap_or(slices.len());
        if plain == 0 && !slices.is_empty() {
            return self.poll_forward(cx, slices[0].len());
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..plain])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::oci::Digest;

    async fn pair() -> (Direct, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Direct::new(listener.accept().await.unwrap().0), theirs)
    }

    fn blob(content: &[u8]) -> Located {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let (digest, size) = (Digest::sha256(content), content.len() as u64);
        Located { file: Arc::new(file), offset: 0, size, digest, place: "here".into() }
    }

    #[tokio::test]
    async fn blanks_are_replaced_in_their_place_and_bytes_stay() {
        let (mut ours, mut theirs) = pair().await;
        let content: Vec<u8> = (0..3 * STEP + 5).map(|at| (at % 251).to_le_bytes()[0]).collect();
        let mut parts = [
            Chunk::Bytes(Bytes::from_static(b"head")),
            ours.lane().send(&blob(&content), 7, content.len() - 7),
            Chunk::Bytes(Bytes::from_static(b"tail")),
        ];
        let expected = [b"head", &content[7..], b"tail"].concat();
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            all
        });
        while parts.iter().any(Buf::has_remaining) {
            // All of them at once, as hyper does it.
            let slices: Vec<_> = parts.iter().filter(|part| part.has_remaining()).map(Buf::chunk).collect();
            let slices: Vec<_> = slices.into_iter().map(IoSlice::new).collect();
            let mut written = ours.write_vectored(&slices).await.unwrap();
            for part in &mut parts {
                let step = written.min(part.remaining());
                part.advance(step);
                written -= step;
            }
        }
        drop(ours);
        assert!(reading.await.unwrap() == expected);
    }

    #[tokio::test]
    async fn blanks_that_were_copied_end_the_connection_before_they_leave() {
        let (mut ours, mut theirs) = pair().await;
        let mut part = ours.lane().send(&blob(b"content"), 0, 7);
        let copied = part.copy_to_bytes(7);
        assert!(ours.write_all(&copied).await.is_err());
        assert!(ours.write_all(b"more").await.is_err());
        drop(ours);
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).await.unwrap();
        assert!(all.is_empty());
    }

    #[tokio::test]
    async fn a_file_that_ends_too_early_ends_the_connection() {
        let (mut ours, _theirs) = pair().await;
        let part = ours.lane().send(&blob(b"short"), 5, 10);
        let error = ours.write_vectored(&[IoSlice::new(part.chunk())]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
