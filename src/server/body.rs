//! Bodies of answers.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream::BoxStream};
use http_body::{Frame, SizeHint};

use crate::content::Error;

/// The body of an answer.
pub(super) struct ReplyBody {
    kind: BodyKind,
    /// Dropped with the body.
    held: Option<Box<dyn Send + Sync>>,
}

enum BodyKind {
    Bytes(Option<Bytes>),
    Stream { stream: BoxStream<'static, Result<Bytes, Error>>, left: u64 },
}

impl ReplyBody {
    /// None.
    pub(super) const fn empty() -> Self {
        Self { kind: BodyKind::Bytes(None), held: None }
    }

    /// Keeps `held` until the body was sent or given up.
    #[must_use]
    pub(super) fn holding(mut self, held: impl Send + Sync + 'static) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    /// Bytes in memory.
    pub(super) fn bytes(bytes: Bytes) -> Self {
        Self { kind: BodyKind::Bytes(Some(bytes).filter(|bytes| !bytes.is_empty())), held: None }
    }

    /// A stream of exactly `length` bytes. One that fails, or ends before, aborts the connection: the client can tell.
    pub(super) fn stream(stream: impl Stream<Item = Result<Bytes, Error>> + Send + 'static, length: u64) -> Self {
        Self { kind: BodyKind::Stream { stream: stream.boxed(), left: length }, held: None }
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.kind {
            BodyKind::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            BodyKind::Stream { stream, left } => stream.poll_next_unpin(cx).map(|next| {
                let next = next?;
                if let Ok(chunk) = &next {
                    *left = left.saturating_sub(chunk.len() as u64);
                }
                Some(next.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Bytes(bytes) => bytes.is_none(),
            BodyKind::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.kind {
            BodyKind::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            BodyKind::Stream { left, .. } => *left,
        })
    }
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyBody")
    }
}
