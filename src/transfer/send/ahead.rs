//! Blobs of a plan, fetched from its repositories before the file has got to them.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, atomic::AtomicU64},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{execute::Meter, plan::Plan},
    flow::{ByteFeed, ByteSupply, Content},
    stop::Stop,
};
use crate::{
    bundle::{Layout, TarEntry},
    content::{self, ByteStream, Source},
    oci::{Descriptor, Digest},
    progress::Progress,
};

/// Blobs that are fetched beside the one that is being sent.
const AHEAD: usize = 3;

/// Chunks of a blob that wait in memory until the file has got to it.
const WAITING: usize = 16;

/// What an export sends: the plan, whose blobs its repositories have.
pub(crate) struct Planned<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) layout: &'a Layout,
    pub(crate) progress: &'a Progress,
    pub(crate) moved: &'a Arc<AtomicU64>,
}

impl ByteSupply for Planned<'_> {
    fn feed<'s>(&'s self, position: u64, tries: &'s HashMap<Digest, u32>) -> Box<dyn ByteFeed + 's> {
        // An empty blob that begins here was not looked at yet.
        let is_ahead = |place: &&TarEntry| place.end() > position || place.offset >= position;
        let rest = self.layout.blobs().iter().filter(is_ahead).collect();
        let current = mpsc::channel(1).1;
        Box::new(Ahead { planned: self, tries, position, rest, open: VecDeque::new(), current, task: None })
    }
}

/// Chunks of a blob, or why there are no more.
type BlobChunks = mpsc::Receiver<content::Result<Bytes>>;

/// A fetch that ends with its consumer.
type Fetching = AbortOnDropHandle<()>;

struct Ahead<'a> {
    planned: &'a Planned<'a>,
    tries: &'a HashMap<Digest, u32>,
    position: u64,
    rest: VecDeque<&'a TarEntry>,
    open: VecDeque<(BlobChunks, Fetching)>,
    current: BlobChunks,
    task: Option<Fetching>,
}

impl Ahead<'_> {
    fn begin(&self, place: &TarEntry) -> (BlobChunks, Fetching) {
        let Planned { plan, progress, moved, .. } = self.planned;
        let blob = plan.described(&place.descriptor());
        let behind = self.position.saturating_sub(place.offset);
        let range = place.from() + behind..place.from() + place.size();
        let origins = plan.origins(&blob.digest);
        let tried = usize::try_from(self.tries.get(&blob.digest).copied().unwrap_or(0)).unwrap_or(0);
        let origin = origins.get(tried % origins.len().max(1)).map(|origin| Meter::new(progress, moved).over(origin));
        let (send, chunks) = mpsc::channel(WAITING);
        let task = tokio::spawn(async move {
            if let Err(error) = forward(origin, &blob, range, &send).await {
                let _ = send.send(Err(error)).await;
            }
        });
        (chunks, AbortOnDropHandle::new(task))
    }
}

#[async_trait]
impl ByteFeed for Ahead<'_> {
    /// The plan has the frame already.
    async fn frame(&mut self, _offset: u64, _expected: &Bytes) -> Result<(), Stop> {
        Ok(())
    }

    /// The chunks of the next blob are wanted; those behind it begin to come.
    fn begin(&mut self, _content: &Content) {
        while self.open.len() <= AHEAD
            && let Some(place) = self.rest.pop_front()
        {
            let opened = Ahead::begin(self, place);
            self.open.push_back(opened);
        }
        if let Some((chunks, task)) = self.open.pop_front() {
            (self.current, self.task) = (chunks, Some(task));
        }
    }

    async fn chunk(&mut self, content: &Content, _left: u64) -> Result<Option<Bytes>, Stop> {
        let failed = |error| Stop::Blob(content.token, error);
        self.current.recv().await.transpose().map_err(failed)
    }
}

/// The bytes of `range` of a blob.
async fn forward(
    origin: Option<Arc<dyn Source>>,
    blob: &Descriptor,
    range: Range<u64>,
    to: &mpsc::Sender<content::Result<Bytes>>,
) -> content::Result<()> {
    let origin = origin.ok_or_else(|| content::Error::NotFound { what: blob.digest.to_string() })?;
    let mut stream: ByteStream = origin.fetch(blob, range.start).await?;
    // Behind a segment the blob goes on, in another volume; behind a whole blob nothing may come.
    let mut left = if range.end < blob.size { range.end - range.start } else { u64::MAX };
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk?;
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= chunk.len() as u64;
        // The receiver is gone where the pass has ended.
        if to.send(Ok(chunk)).await.is_err() || left == 0 {
            break;
        }
    }
    Ok(())
}
