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
pub(super) struct Body(Kind);

enum Kind {
    Bytes(Option<Bytes>),
    Stream { stream: BoxStream<'static, Result<Bytes, Error>>, left: u64 },
}

impl Body {
    /// None.
    pub(super) const fn empty() -> Self {
        Self(Kind::Bytes(None))
    }

    /// Bytes in memory.
    pub(super) fn bytes(bytes: Bytes) -> Self {
        Self(Kind::Bytes(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A stream of exactly `length` bytes. One that fails, or ends before, aborts the connection: the client can tell.
    pub(super) fn stream(stream: impl Stream<Item = Result<Bytes, Error>> + Send + 'static, length: u64) -> Self {
        Self(Kind::Stream { stream: stream.boxed(), left: length })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream { stream, left } => stream.poll_next_unpin(cx).map(|next| {
                let next = next?;
                if let Ok(chunk) = &next {
                    *left = left.saturating_sub(chunk.len() as u64);
                }
                Some(next.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.is_none(),
            Kind::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Kind::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Kind::Stream { left, .. } => *left,
        })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
