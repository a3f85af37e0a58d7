//! Random access: one immutable run of bytes, wherever it lies.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use super::{ByteStream, Error, Result};

/// Bytes that can be read from any position: a local file, an object in a storage.
///
/// What was opened stays what is read: an implementation pins the version it found, and answers with an error, never with
/// other bytes, once it is gone or replaced.
#[async_trait]
pub trait ReadAt: Send + Sync + fmt::Debug {
    /// What to call it in messages; without secrets.
    fn name(&self) -> String;

    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Bytes from one position on that one read had better bring, where small reads follow each other.
    fn read_ahead(&self) -> u64 {
        1 << 20
    }

    /// The bytes of `range` in order; it must lie within [`ReadAt::size`]. Broken connections are continued below.
    async fn read(&self, range: Range<u64>) -> Result<ByteStream>;
}

/// The bytes of `range` in one piece. For what is known to be small: the caller has checked its length.
///
/// # Errors
/// Those of the read, and [`Error::Short`] where fewer bytes came.
pub async fn read_whole(from: &dyn ReadAt, range: Range<u64>) -> Result<Bytes> {
    let expected = range.end.saturating_sub(range.start);
    let mut whole = BytesMut::with_capacity(usize::try_from(expected).unwrap_or(0));
    let mut stream = from.read(range).await?;
    while let Some(chunk) = stream.try_next().await? {
        whole.extend_from_slice(&chunk);
    }
    if whole.len() as u64 == expected {
        return Ok(whole.freeze());
    }
    Err(Error::Short { what: from.name(), expected, actual: whole.len() as u64 })
}
