//! Faults as values: a source that goes wrong in a chosen way.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};

use super::{ByteStream, Error, Lookup, Result, Source};
use crate::oci::{Descriptor, Digest};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFault {
    /// One bit of the byte at this offset is flipped.
    Flip(u64),
    /// The stream ends, as if well, after so many bytes.
    Cut(u64),
    /// The stream fails after so many bytes.
    Break(u64),
    /// One byte too many.
    Grow,
    /// The stream gives so many bytes and then nothing more, without an end.
    Stall(u64),
    /// The first `n` calls fail; later ones are sound.
    Refuse(u32),
}

/// A source with one fault, for one piece of content or for all.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    fault: InjectedFault,
    only: Option<Digest>,
    calls: AtomicU32,
}

impl<S> Faulty<S> {
    /// `inner`, but each fetch shows `fault`.
    pub const fn new(inner: S, fault: InjectedFault) -> Self {
        Self { inner, fault, only: None, calls: AtomicU32::new(0) }
    }

    /// The fault shows only where `content` is fetched.
    #[must_use]
    pub const fn only(mut self, content: Digest) -> Self {
        self.only = Some(content);
        self
    }

    /// How often content was fetched.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

fn failure() -> Error {
    Error::NotFound { what: "an injected fault".to_owned() }
}

#[async_trait]
impl<S: Lookup> Lookup for Faulty<S> {
    async fn contains(&self, content: &Descriptor) -> Result<bool> {
        self.inner.contains(content).await
    }
}

#[async_trait]
impl<S: Source> Source for Faulty<S> {
    async fn fetch(&self, content: &Descriptor, from: u64) -> Result<ByteStream> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let sound = self.inner.fetch(content, from).await?;
        if self.only.is_some_and(|only| only != content.digest) {
            return Ok(sound);
        }
        Ok(match self.fault {
            InjectedFault::Refuse(calls) if call < calls => return Err(failure()),
            InjectedFault::Refuse(_) => sound,
            InjectedFault::Flip(at) => flip(sound, from, at),
            InjectedFault::Cut(after) => cut(sound, from, after),
            InjectedFault::Break(after) => {
                cut(sound, from, after).chain(stream::once(async { Err(failure()) })).boxed()
            }
            InjectedFault::Stall(after) => cut(sound, from, after).chain(stream::pending()).boxed(),
            InjectedFault::Grow => sound.chain(stream::once(async { Ok(Bytes::from_static(b"+")) })).boxed(),
        })
    }
}

fn flip(sound: ByteStream, from: u64, at: u64) -> ByteStream {
    let mut position = from;
    sound
        .map(move |chunk| {
            let chunk = chunk?;
            let start = position;
            position += chunk.len() as u64;
            if !(start..position).contains(&at) {
                return Ok(chunk);
            }
            let mut damaged = BytesMut::from(&chunk[..]);
            damaged[usize::try_from(at - start).expect("inside a chunk")] ^= 1;
            Ok(damaged.freeze())
        })
        .boxed()
}

fn cut(sound: ByteStream, from: u64, after: u64) -> ByteStream {
    let mut left = after.saturating_sub(from);
    sound
        .map(move |chunk| {
            let mut chunk = chunk?;
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= chunk.len() as u64;
            Ok(chunk)
        })
        .boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::content::{Sink, Verified, memory::Memory};

    #[tokio::test]
    async fn every_fault_is_seen_by_the_verifier() {
        let content = Bytes::from(vec![7; 40_000]);
        let blob = Descriptor::of("a/b", &content);
        for fault in [
            InjectedFault::Flip(39_999),
            InjectedFault::Cut(20_000),
            InjectedFault::Break(16_384),
            InjectedFault::Grow,
            InjectedFault::Refuse(1),
        ] {
            let memory = Memory::new();
            memory.push(&blob, Verified::bytes(blob.clone(), content.clone())).await.unwrap();
            let faulty = Arc::new(Faulty::new(memory, fault));
            let outcome = match Verified::open(faulty, &blob).await {
                Ok(body) => body.collect().await.map(drop),
                Err(error) => Err(error),
            };
            assert!(outcome.is_err(), "{fault:?}");
        }
    }
}
