//! The only form in which content enters a sink.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use crate::oci::{Descriptor, Digest, Hasher};

use super::{
    Source,
    error::{Error, Result},
    hash_pool,
};

/// Bytes that a batch of [`Verified::drain`] has at the least, but for the last: few system calls, and still in the
/// processor's cache when they are written after hashing.
const BATCH: usize = 512 << 10;

/// Chunks that a batch has at the most; Linux takes 1024 (`IOV_MAX`) in one call.
const BATCH_CHUNKS: usize = 1024;

/// Bytes on their way, in order.
pub type ByteStream = stream::BoxStream<'static, Result<Bytes>>;

/// A stream that ends well only if it was exactly the content its descriptor names.
///
/// The last bytes are held back until the digest was found right and the source has ended, so a consumer that read the whole
/// stream without an error has proven content, and one that did not has never had the whole of it.
pub struct Verified {
    expected: Descriptor,
    inner: ByteStream,
    hasher: Option<Hasher>,
    seen: u64,
    held: Option<Bytes>,
    origin: Option<Arc<dyn Source>>,
    verdict: ContentVerdict,
}

/// Whether a push that failed did so because of what came, and not because of where it went.
#[derive(Clone, Debug, Default)]
pub struct ContentVerdict(Arc<AtomicBool>);

impl ContentVerdict {
    /// The content ended early, was wrong, or could not be read.
    pub fn blames_content(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, blames: bool) {
        self.0.store(blames, Ordering::Relaxed);
    }
}

impl Verified {
    /// Verifies `stream`, which must give the content from its first byte.
    pub fn new(expected: Descriptor, stream: ByteStream) -> Self {
        let hasher = Some(Hasher::new(expected.digest.algorithm()));
        Self { expected, inner: stream, hasher, seen: 0, held: None, origin: None, verdict: ContentVerdict::default() }
    }

    /// Fetches `blob` from `source`. A sink can have it again by [`Verified::reopen`], to continue a broken upload.
    pub async fn open(source: Arc<dyn Source>, blob: &Descriptor) -> Result<Self> {
        let stream = source.fetch(blob, 0).await?;
        Ok(Self { origin: Some(source), ..Self::new(blob.clone(), stream) })
    }

    /// Goes on where an earlier attempt stopped: `hasher` has taken in the first `from` bytes, and the stream gives the
    /// rest only.
    pub async fn resume(source: Arc<dyn Source>, blob: &Descriptor, hasher: Hasher, from: u64) -> Result<Self> {
        let stream = source.fetch(blob, from).await?;
        Ok(Self { hasher: Some(hasher), seen: from, ..Self::new(blob.clone(), stream) })
    }

    /// Verifies bytes that are in memory, such as a manifest.
    pub fn bytes(expected: Descriptor, content: Bytes) -> Self {
        Self::new(expected, stream::once(async { Ok(content) }).boxed())
    }

    /// What the stream must turn out to be.
    pub const fn descriptor(&self) -> &Descriptor {
        &self.expected
    }

    /// What will be known of the content once a sink has failed with it.
    pub fn verdict(&self) -> ContentVerdict {
        self.verdict.clone()
    }

    /// The same content once more from its first byte, or `None` where the source cannot be asked again.
    ///
    /// The future does not borrow `self`, which cannot be shared between threads.
    pub fn reopen(&self) -> impl Future<Output = Result<Option<Self>>> + Send + use<> {
        let (origin, expected, verdict) = (self.origin.clone(), self.expected.clone(), self.verdict());
        async move {
            let Some(source) = origin else { return Ok(None) };
            let opened = Self::open(source, &expected).await;
            verdict.set(opened.is_err());
            Ok(Some(Self { verdict, ..opened? }))
        }
    }

    /// The whole content in memory. For documents only: the caller has checked `descriptor().size` against a limit.
    pub async fn collect(mut self) -> Result<Bytes> {
        let mut whole = Vec::with_capacity(usize::try_from(self.expected.size).unwrap_or(0));
        while let Some(chunk) = self.next().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole.into())
    }

    /// Hashes the content and hands it to `landing` in batches, both on threads for blocking work: the reactor neither
    /// hashes nor writes. While one batch lands, the next is gathered; no more than two are in memory. Call it instead of
    /// polling, on a fresh value and within a tokio runtime.
    ///
    /// # Errors
    /// What the stream or the landing fails with, and a mismatch of size or digest.
    pub async fn drain<L: Landing>(mut self, landing: L) -> Result<()> {
        // Only a value that was polled to its end has no hasher; a new one then finds the digest wrong.
        let hasher = self.hasher.take().unwrap_or_else(|| Hasher::new(self.expected.digest.algorithm()));
        let verdict = self.verdict();
        let mut drained = Some((Drained { landing, at: self.seen, expected: self.expected.digest, verdict }, hasher));
        let mut under_way = None;
        loop {
            let gathered = self.gather().await;
            if let Some(step) = under_way.take() {
                drained = Some(step.await?);
            }
            let (batch, last) = gathered.inspect_err(|_| self.verdict.set(true))?;
            let Some((state, hasher)) = drained.take() else {
                unreachable!("a batch that landed gives its state back")
            };
            let left = self.expected.size - self.seen;
            let step = hash_pool::hash(hasher, batch, left, move |hasher, batch| state.step(hasher, &batch, last));
            if last {
                return step.await.map(drop);
            }
            under_way = Some(step);
        }
    }

    /// The next batch, and whether the content ends with it.
    async fn gather(&mut self) -> Result<(Vec<Bytes>, bool)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(chunk) = self.inner.next().await {
            let chunk = chunk?;
            self.seen += chunk.len() as u64;
            if self.seen > self.expected.size {
                return Err(self.mismatch());
            }
            bytes += chunk.len();
            batch.push(chunk);
            if bytes >= BATCH || batch.len() == BATCH_CHUNKS {
                return Ok((batch, false));
            }
        }
        if self.seen < self.expected.size { Err(self.mismatch()) } else { Ok((batch, true)) }
    }

    fn mismatch(&self) -> Error {
        Error::SizeMismatch { digest: self.expected.digest, expected: self.expected.size, actual: self.seen }
    }

    /// Takes in the next chunk; `Some` is what may be passed on now.
    fn take_in(&mut self, chunk: Bytes) -> Result<Option<Bytes>> {
        self.seen += chunk.len() as u64;
        if self.seen > self.expected.size {
            return Err(self.mismatch());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        if self.seen < self.expected.size {
            return Ok(Some(chunk));
        }
        self.check_digest()?;
        self.held = Some(chunk);
        Ok(None)
    }

    /// Called once, when every byte was taken in.
    fn check_digest(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.expected.digest {
            return Ok(());
        }
        Err(Error::DigestMismatch { expected: self.expected.digest, actual })
    }

    /// The source has ended: what was held back may go, if all was there.
    fn at_end(&mut self) -> Result<Option<Bytes>> {
        if self.seen < self.expected.size {
            return Err(self.mismatch());
        }
        // Only empty content, and content resumed at its very end, come here unchecked.
        self.check_digest()?;
        Ok(self.held.take())
    }
}

/// Where [`Verified::drain`] puts content. Called on threads for blocking work, one call at a time.
///
/// Bytes land before they are proven: a landing must not make them visible until [`Landing::proven`]. It is dropped
/// when the last call has returned, also where the draining was given up.
pub trait Landing: Send + 'static {
    /// Takes `chunks`, the content from byte `at` on; `hasher` has taken in everything up to their end.
    fn land(&mut self, at: u64, chunks: &[Bytes], hasher: &Hasher) -> Result<()>;

    /// All has landed, and it is the content that was expected.
    fn proven(&mut self) -> Result<()>;
}

/// What goes from batch to batch.
struct Drained<L> {
    landing: L,
    at: u64,
    expected: Digest,
    verdict: ContentVerdict,
}

impl<L: Landing> Drained<L> {
    /// Lands a batch that `hasher` has taken in.
    fn step(mut self, hasher: Hasher, batch: &[Bytes], last: bool) -> Result<(Self, Hasher)> {
        self.landing.land(self.at, batch, &hasher)?;
        self.at += batch.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        if last {
            let actual = hasher.clone().finish();
            if actual != self.expected {
                self.verdict.set(true);
                return Err(Error::DigestMismatch { expected: self.expected, actual });
            }
            self.landing.proven()?;
        }
        Ok((self, hasher))
    }
}

impl Stream for Verified {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let step = match ready!(self.inner.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => match self.take_in(chunk) {
                    Ok(None) => continue,
                    step => step,
                },
                Some(Err(error)) => Err(error),
                None => {
                    // What was held back goes out after the source's end, which must not be asked for twice.
                    self.inner = stream::empty().boxed();
                    self.at_end()
                }
            };
            if step.is_err() {
                self.verdict.set(true);
                // A caller that polls on after an error must not see a good end.
                self.inner = stream::pending().boxed();
            }
            return Poll::Ready(step.transpose());
        }
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("expected", &self.expected.digest)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(parts: &[&[u8]]) -> ByteStream {
        let parts: Vec<_> = parts.iter().map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        stream::iter(parts).boxed()
    }

    /// What came through before the end, and the end.
    async fn run(expected: Descriptor, stream: ByteStream) -> (Vec<u8>, Result<()>) {
        let mut verified = Verified::new(expected, stream);
        let mut passed = Vec::new();
        while let Some(chunk) = verified.next().await {
            match chunk {
                Ok(chunk) => passed.extend_from_slice(&chunk),
                Err(error) => return (passed, Err(error)),
            }
        }
        (passed, Ok(()))
    }

    #[tokio::test]
    async fn the_last_bytes_of_wrong_content_are_never_passed_on() {
        let expected = Descriptor::of("a/b", b"abcdef");
        let (passed, end) = run(expected.clone(), chunks(&[b"abc", b"", b"def"])).await;
        assert_eq!((passed.as_slice(), end.is_ok()), (b"abcdef".as_slice(), true));

        let (passed, end) = run(expected.clone(), chunks(&[b"abc", b"deF"])).await;
        assert_eq!(passed, b"abc");
        assert!(matches!(end, Err(Error::DigestMismatch { .. })));

        let (passed, end) = run(expected.clone(), chunks(&[b"abc", b"def", b"g"])).await;
        assert_eq!(passed, b"abc");
        assert!(matches!(end, Err(Error::SizeMismatch { actual: 7, .. })));

        let (_, end) = run(expected, chunks(&[b"abc"])).await;
        assert!(matches!(end, Err(Error::SizeMismatch { actual: 3, .. })));
    }

    /// What landed, and whether it was proven.
    #[derive(Default)]
    struct FakeSink(Vec<u8>, bool);

    struct Lands(Arc<std::sync::Mutex<FakeSink>>);

    impl Landing for Lands {
        fn land(&mut self, at: u64, chunks: &[Bytes], _: &Hasher) -> Result<()> {
            let ground = &mut self.0.lock().unwrap().0;
            assert_eq!(at, ground.len() as u64, "batches land in order, without gaps");
            for chunk in chunks {
                ground.extend_from_slice(chunk);
            }
            Ok(())
        }

        fn proven(&mut self) -> Result<()> {
            self.0.lock().unwrap().1 = true;
            Ok(())
        }
    }

    #[tokio::test]
    async fn drained_content_is_proven_only_if_it_is_the_content() {
        let content: Vec<u8> = (0..3 * BATCH + 7).map(|at| (at % 251).to_le_bytes()[0]).collect();
        let expected = Descriptor::of("a/b", &content);
        let mut damaged = content.clone();
        damaged[BATCH] ^= 1;
        let longer = [&content[..], b"x"].concat();
        for (given, good) in [(&content, true), (&damaged, false), (&content[1..].to_vec(), false), (&longer, false)] {
            for size in [1 << 10, 100_000, 4 * BATCH] {
                let ground = Arc::default();
                let parts: Vec<&[u8]> = given.chunks(size).collect();
                let end = Verified::new(expected.clone(), chunks(&parts)).drain(Lands(Arc::clone(&ground))).await;
                let ground = ground.lock().unwrap();
                assert_eq!((end.is_ok(), ground.1), (good, good));
                assert!(!good || ground.0 == content);
            }
        }
        let ground = Arc::default();
        Verified::new(Descriptor::of("a/b", b""), chunks(&[])).drain(Lands(Arc::clone(&ground))).await.unwrap();
        assert!(ground.lock().unwrap().1, "empty content is proven too");
    }

    #[tokio::test]
    async fn a_source_that_has_ended_is_not_asked_again() {
        let content = Bytes::from_static(b"abcdef");
        let expected = Descriptor::of("a/b", &content);
        let once = stream::unfold(Some(content), async |left| left.map(|chunk| (Ok(chunk), None))).boxed();
        // An unfolded stream panics where it is polled after its end.
        assert_eq!(run(expected, once).await.0, b"abcdef");
    }

    #[tokio::test]
    async fn empty_content_is_checked_too() {
        assert!(run(Descriptor::of("a/b", b""), chunks(&[])).await.1.is_ok());
        let wrong = Descriptor::new("a/b", Digest::sha256(b"x"), 0);
        assert!(matches!(run(wrong, chunks(&[])).await.1, Err(Error::DigestMismatch { .. })));
    }

    proptest! {
        #[test]
        fn any_cutting_of_the_right_bytes_passes_and_any_changed_byte_does_not(
            content in proptest::collection::vec(any::<u8>(), 1..200),
            cuts in proptest::collection::vec(1usize..40, 0..12),
            at in any::<prop::sample::Index>(),
        ) {
            let cut = |bytes: &[u8]| {
                let mut rest = bytes;
                let mut parts = Vec::new();
                for size in cuts.iter().copied() {
                    let (head, tail) = rest.split_at(size.min(rest.len()));
                    parts.push(Ok(Bytes::copy_from_slice(head)));
                    rest = tail;
                }
                parts.push(Ok(Bytes::copy_from_slice(rest)));
                stream::iter(parts).boxed()
            };
            let expected = Descriptor::of("a/b", &content);
            let (passed, end) = futures::executor::block_on(run(expected.clone(), cut(&content)));
            prop_assert!(end.is_ok());
            prop_assert_eq!(&passed, &content);

            let mut damaged = content.clone();
            damaged[at.index(content.len())] ^= 1;
            let (passed, end) = futures::executor::block_on(run(expected, cut(&damaged)));
            prop_assert!(end.is_err());
            prop_assert!(passed.len() < content.len());
        }
    }
}
