//! Bodies of answers.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use futures::{StreamExt, stream::BoxStream};
use http_body::{Frame, SizeHint};

use super::{
    direct::{Chunk, Lane},
    sending::Sending,
};
use crate::content::Error;

/// The body of an answer.
pub(super) struct Body(Kind);

enum Kind {
    Bytes(Option<Bytes>),
    /// A blob that is not yet on its way.
    Blob(Box<Sending>),
    Stream { stream: BoxStream<'static, Result<Chunk, Error>>, left: u64 },
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

    /// A blob, or a range of one. If it cannot be read to its end the connection is aborted: the client can tell.
    pub(super) fn blob(sending: Sending) -> Self {
        Self(Kind::Blob(Box::new(sending)))
    }

    /// Begins to read what must be read; over a lane, if the connection has one.
    #[must_use]
    pub(super) fn over(self, lane: Option<Arc<Lane>>) -> Self {
        match self.0 {
            Kind::Blob(sending) => {
                let left = sending.left();
                Self(Kind::Stream { stream: sending.stream(lane).boxed(), left })
            }
            kind => Self(kind),
        }
    }
}

impl http_body::Body for Body {
    type Data = Chunk;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Chunk>, Error>>> {
        match &mut self.0 {
            Kind::Bytes(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(Chunk::Bytes(bytes)))))
            }
            Kind::Blob(_) => unreachable!("a connection says over what its bodies go before it polls them"),
            Kind::Stream { stream, left } => stream.poll_next_unpin(cx).map(|next| {
                let next = next?;
                if let Ok(chunk) = &next {
                    *left = left.saturating_sub(chunk.remaining() as u64);
                }
                Some(next.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Bytes(bytes) => bytes.is_none(),
            Kind::Blob(sending) => sending.left() == 0,
            Kind::Stream { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Kind::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Kind::Blob(sending) => sending.left(),
            Kind::Stream { left, .. } => *left,
        })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
