//! The blobs of artifacts that are made here, and how they become streams.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::{
    error::Error,
    folder::FolderTar,
    stamp::{self, Links, Stamp},
};
use crate::{
    content::{self, ByteStream},
    oci::{Algorithm, Descriptor, Digest, Hasher, Manifest, Reference},
};

/// Bytes of a chunk of a stream; three are in memory for each.
const CHUNK: usize = 256 << 10;

/// An artifact that was made here, with its content.
#[derive(Debug)]
pub(super) struct PackagedArtifact {
    pub(super) reference: Reference,
    pub(super) manifest: Manifest,
    pub(super) blobs: Vec<(Digest, BlobBody)>,
}

/// A part of a file that is open.
#[derive(Clone, Debug)]
pub(super) struct FileRange {
    pub(super) file: Arc<File>,
    /// What errors call it.
    pub(super) path: Arc<Path>,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl FileRange {
    /// Reads it from its first byte on, and does not move the position of the file.
    pub(super) fn reader(&self) -> RangeReader<'_> {
        RangeReader { file: &self.file, at: self.offset, end: self.offset.saturating_add(self.size) }
    }

    fn write(&self, out: &mut impl Write) -> Result<(), Error> {
        let mut reader = self.reader();
        let mut buffer = vec![0; CHUNK];
        let mut rest = self.size;
        while rest > 0 {
            match reader.read(&mut buffer).map_err(Error::read(&self.path))? {
                0 => return Err(Error::Changed { path: self.path.to_path_buf() }),
                read => {
                    out.write_all(&buffer[..read]).map_err(|source| Error::Sent { source })?;
                    rest -= read as u64;
                }
            }
        }
        Ok(())
    }
}

/// Reads a part of a file.
pub(super) struct RangeReader<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for RangeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Where the bytes of a blob are.
#[derive(Clone, Debug)]
pub(super) enum BlobBody {
    /// Here.
    Bytes(Bytes),
    /// They are a file.
    File(PathBuf, Stamp),
    /// They are a part of a file, such as an archive.
    Range(FileRange),
    /// They are made of a folder each time.
    Folder(Arc<FolderTar>),
}

impl BlobBody {
    /// Writes all of it.
    fn write(&self, out: &mut impl Write) -> Result<(), Error> {
        match self {
            Self::Bytes(bytes) => out.write_all(bytes).map_err(|source| Error::Sent { source }),
            Self::File(path, stamp) => stamp::copy(path, Links::Followed, *stamp, out),
            Self::Range(range) => range.write(out),
            Self::Folder(folder) => folder.write_gzip(out).map(drop),
        }
    }

    /// Its digest and size. Reads all of it, and blocks.
    pub(super) fn describe(&self, media_type: &str) -> Result<Descriptor, Error> {
        let mut hashing = Hashing::default();
        self.write(&mut hashing)?;
        Ok(hashing.describe(media_type))
    }

    /// Its bytes from `from` on.
    pub(super) fn stream(&self, from: u64) -> ByteStream {
        if let Self::Bytes(bytes) = self {
            let start = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            return stream::iter([Ok(bytes.slice(start..))]).boxed();
        }
        let (sender, receiver) = mpsc::channel(1);
        let body = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut out = ChunkSender { sender, chunk: BytesMut::new(), skip: from };
            let written = body.write(&mut out).and_then(|()| out.flush().map_err(|source| Error::Sent { source }));
            match written {
                // The reader has gone, which is not an error.
                Ok(()) | Err(Error::Sent { .. }) => {}
                Err(error) => drop(out.sender.blocking_send(Err(error.into()))),
            }
        });
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|chunk| (chunk, receiver)) })
            .boxed()
    }
}

/// A writer that only hashes.
pub(super) struct Hashing {
    hasher: Hasher,
    size: u64,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { hasher: Hasher::new(Algorithm::Sha256), size: 0 }
    }
}

impl Hashing {
    pub(super) fn describe(self, media_type: &str) -> Descriptor {
        Descriptor::new(media_type, self.hasher.finish(), self.size)
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends what is written to a stream.
struct ChunkSender {
    sender: mpsc::Sender<content::Result<Bytes>>,
    chunk: BytesMut,
    /// Bytes that the reader has already.
    skip: u64,
}

impl Write for ChunkSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        let rest = &bytes[skipped..];
        let taken = rest.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&rest[..taken]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(skipped + taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = self.chunk.split().freeze();
        self.sender.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
