//! An object as it was when it was looked at: read from any position, continued where a connection breaks.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};

use super::{Chunks, Object, Stat, error::Error, error::Result};
use crate::content::{self, ByteStream, ReadAt};

/// Tries in a row that give not a single byte before a read is given up. Each already stands on the client's own retries.
const TRIES: u32 = 4;

/// The wait before the second try in a row; it doubles.
const WAIT: Duration = Duration::from_millis(300);

/// One version of an object.
#[derive(Clone)]
pub struct Pinned {
    object: Arc<dyn Object>,
    stat: Stat,
}

impl Pinned {
    /// Looks at `object` and holds on to what is there.
    ///
    /// # Errors
    /// Those of [`Object::stat`]; [`Error::NotFound`] where nothing is there.
    pub async fn open(object: Arc<dyn Object>) -> Result<Self> {
        let stat = object.stat().await?;
        Ok(Self { object, stat })
    }

    /// As [`Pinned::open`]; `None` where nothing is there.
    pub(crate) async fn find(object: Arc<dyn Object>) -> Result<Option<Self>> {
        match Self::open(object).await {
            Err(error) if error.is_not_found() => Ok(None),
            found => found.map(Some),
        }
    }

    /// What was there when it was opened.
    pub const fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The place it lies in.
    pub const fn object(&self) -> &Arc<dyn Object> {
        &self.object
    }

    /// The bytes of `range`, which must lie within the object; a broken connection is continued.
    ///
    /// # Errors
    /// [`Error::Changed`] as soon as another version is there; others when several tries in a row gave nothing.
    pub async fn chunks(&self, range: Range<u64>) -> Result<Chunks> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let first = self.object.read(&self.stat.version, range.clone()).await?;
        let reading = PinnedRead { pinned: self.clone(), rest: range, open: Some(first), barren: 0 };
        let step = async |mut reading: PinnedRead| {
            let next = reading.next().await?;
            Some((next, reading))
        };
        Ok(stream::unfold(reading, step).boxed())
    }

    /// The bytes of `range` in one piece; for ranges that fit into memory.
    ///
    /// # Errors
    /// As [`Pinned::chunks`].
    pub async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        let mut whole = BytesMut::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        let mut chunks = self.chunks(range).await?;
        while let Some(chunk) = chunks.try_next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Removes the object, if it is still the one that was opened.
    ///
    /// # Errors
    /// [`Error::Changed`] if it is not.
    pub async fn delete(&self) -> Result<()> {
        self.object.delete(&self.stat.version).await
    }
}

/// A read under way.
struct PinnedRead {
    pinned: Pinned,
    rest: Range<u64>,
    open: Option<Chunks>,
    barren: u32,
}

impl PinnedRead {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            match self.attempt().await {
                Ok(chunk) => {
                    self.barren = 0;
                    self.rest.start += chunk.len() as u64;
                    return Some(Ok(chunk));
                }
                Err(error) if error.is_transient() && self.barren + 1 < TRIES => {
                    let what = self.pinned.object.location();
                    tracing::debug!(%what, from = self.rest.start, "a read broke and goes on: {error}");
                    tokio::time::sleep(WAIT * 2_u32.pow(self.barren)).await;
                    self.barren += 1;
                    self.open = None;
                }
                Err(error) => {
                    // A caller that polls on after an error must not see a good end.
                    self.open = Some(stream::pending().boxed());
                    return Some(Err(error));
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<Bytes> {
        let stream = match &mut self.open {
            Some(stream) => stream,
            none => none.insert(self.pinned.object.read(&self.pinned.stat.version, self.rest.clone()).await?),
        };
        let what = || self.pinned.object.location().to_string();
        loop {
            let Some(chunk) = stream.next().await else {
                return Err(Error::Stalled { what: what(), source: "the answer ended early".into() });
            };
            let chunk = chunk?;
            if chunk.len() as u64 > self.rest.end - self.rest.start {
                return Err(Error::Protocol { what: what(), reason: "more bytes came than were asked for".to_owned() });
            }
            if !chunk.is_empty() {
                return Ok(chunk);
            }
        }
    }
}

#[async_trait]
impl ReadAt for Pinned {
    fn name(&self) -> String {
        self.object.location().to_string()
    }

    fn size(&self) -> u64 {
        self.stat.size
    }

    async fn read(&self, range: Range<u64>) -> content::Result<ByteStream> {
        let chunks = self.chunks(range).await.map_err(content::Error::place)?;
        Ok(chunks.map(|chunk| chunk.map_err(content::Error::place)).boxed())
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({} at {})", self.object.location(), self.stat.version)
    }
}
