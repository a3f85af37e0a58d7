//! A file that lies somewhere, read from front to back by ranges, some of them ahead.

use std::{collections::HashMap, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    flow::{ByteFeed, ByteSupply, Content},
    stop::{Stop, broken_task},
};
use crate::{
    bundle,
    oci::Digest,
    progress::{Event, Progress},
    storage::Pinned,
};

/// Bytes of one ranged read: enough that its round trip does not count, so few that some of them fit into memory.
const RANGE: u64 = 2 << 20;

/// Ranges that are read at once, at the most: parts need the memory more.
const AHEAD: usize = 4;

/// What a copy sends: another object, as it was when it was opened.
pub(crate) struct PinnedObject<'a> {
    pub(crate) source: Pinned,
    /// Ranges that are read at once.
    pub(crate) jobs: usize,
    pub(crate) progress: &'a Progress,
}

impl ByteSupply for PinnedObject<'_> {
    fn feed<'s>(&'s self, position: u64, _tries: &'s HashMap<Digest, u32>) -> Box<dyn ByteFeed + 's> {
        let size = self.source.stat().size;
        let starts = (position..size).step_by(usize::try_from(RANGE).unwrap_or(usize::MAX));
        let ranges = starts.map(move |start| start..(start + RANGE).min(size));
        let source = self.source.clone();
        let reading = move |range: Range<u64>| {
            let source = source.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { source.bytes(range).await }))
        };
        let ranges = stream::iter(ranges).map(reading).buffered(self.jobs.clamp(1, AHEAD));
        let ranges = ranges.map(|read| read.map_err(|error| broken_task(&error))?.map_err(Stop::from)).boxed();
        Box::new(CopiedRange { object: self, ranges, rest: Bytes::new() })
    }
}

struct CopiedRange<'a> {
    object: &'a PinnedObject<'a>,
    ranges: BoxStream<'static, Result<Bytes, Stop>>,
    rest: Bytes,
}

impl CopiedRange<'_> {
    /// The next bytes, at most `most` of them; `None` at the end.
    async fn next(&mut self, most: u64) -> Result<Option<Bytes>, Stop> {
        while self.rest.is_empty() {
            match self.ranges.next().await {
                Some(read) => self.rest = read?,
                None => return Ok(None),
            }
        }
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        Ok(Some(self.rest.split_to(length)))
    }
}

#[async_trait]
impl ByteFeed for CopiedRange<'_> {
    async fn frame(&mut self, offset: u64, expected: &Bytes) -> Result<(), Stop> {
        let mut done = 0;
        while done < expected.len() {
            let found = self.next((expected.len() - done) as u64).await?;
            let wanted = &expected[done..];
            if found.as_ref().is_none_or(|found| !wanted.starts_with(found)) {
                return Err(Stop::Bundle(bundle::Error::Structure {
                    offset: offset + done as u64,
                    entry: "a header or padding".to_owned(),
                    reason: "it is not what the plan of the bundle says".to_owned(),
                }));
            }
            done += found.map_or(0, |found| found.len());
        }
        Ok(())
    }

    fn begin(&mut self, _content: &Content) {}

    async fn chunk(&mut self, content: &Content, left: u64) -> Result<Option<Bytes>, Stop> {
        let chunk = self.next(left).await?;
        if let Some(chunk) = &chunk {
            self.object.progress.tell(Event::Advanced { blob: content.token, bytes: chunk.len() as u64 });
        }
        Ok(chunk)
    }
}
