//! Blobs as blocking readers.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use tokio::runtime::Handle;

use super::Result;
use crate::{
    bundle::Reader,
    content::{ByteStream, Source as _},
    oci::Descriptor,
};

/// The blobs of a bundle, for threads that may wait.
#[derive(Clone, Debug)]
pub(super) struct BundleBlobs {
    pub(super) reader: Reader,
    /// What does the reading.
    pub(super) runtime: Handle,
}

impl BundleBlobs {
    /// A blob from its beginning, unverified.
    pub(super) fn open(&self, blob: &Descriptor) -> Result<BlobStream> {
        let stream = self.runtime.block_on(self.reader.fetch(blob, 0))?;
        Ok(BlobStream { stream, runtime: self.runtime.clone(), chunk: Bytes::new() })
    }
}

/// A blob under way.
pub(super) struct BlobStream {
    stream: ByteStream,
    runtime: Handle,
    chunk: Bytes,
}

impl BufRead for BlobStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                None => break,
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, count: usize) {
        self.chunk.advance(count);
    }
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The content of a blob: what gzip decompresses it to, or the blob itself.
pub(super) fn content(blob: impl BufRead + Send + 'static, gzip: bool) -> Box<dyn Read + Send> {
    if gzip { Box::new(flate2::bufread::MultiGzDecoder::new(blob)) } else { Box::new(blob) }
}
