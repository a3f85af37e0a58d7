//! A bundle written to a pipe: in the order of the file, in bounded memory, without a second look.

use std::path::PathBuf;

use futures::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    Contents, Error, Finished, Layout, Result,
    header::{self, BLOCK_LEN, END, blob_name, padding},
};
use crate::{content::Verified, oci::Descriptor};

/// Writes a bundle to `W`. The reader of a pipe sees bytes before they are proven: a run that fails leaves it a file
/// without its end, which no reader takes for a bundle.
#[derive(Debug)]
pub struct StreamWriter<W> {
    out: W,
    layout: Layout,
    next: usize,
    begun: bool,
}

impl<W: AsyncWrite + Unpin + Send> StreamWriter<W> {
    /// A writer of the bundle of `contents`; nothing is written yet.
    pub fn new(contents: &Contents, out: W) -> Result<Self> {
        Ok(Self { out, layout: Layout::of(contents)?, next: 0, begun: false })
    }

    /// The plan, and so the order to push in.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes the next blob of the layout.
    ///
    /// # Errors
    /// `blob` is not the next one, it does not verify, or the pipe is closed.
    pub async fn push(&mut self, blob: &Descriptor, mut body: Verified) -> Result<()> {
        self.begin().await?;
        let expected = self.layout.blobs().get(self.next).copied();
        let Some(expected) = expected.filter(|expected| expected.digest == blob.digest) else {
            let expected = self.layout.blobs().get(self.next);
            let expected = expected.map_or_else(|| "the end".to_owned(), |place| place.digest.to_string());
            return Err(Error::Order { expected, found: blob.digest });
        };
        if body.descriptor().size != expected.whole {
            let actual = body.descriptor().size;
            return Err(Error::SizeMismatch { digest: expected.digest, expected: expected.whole, actual });
        }
        self.write(&header::encode(&blob_name(&expected.digest), expected.whole)).await?;
        while let Some(chunk) = body.next().await {
            self.write(&chunk?).await?;
        }
        self.zeros(padding(expected.whole)).await?;
        self.next += 1;
        Ok(())
    }

    /// Writes the end; all blobs must have been pushed. The path of what is given back is `-`.
    pub async fn finish(mut self) -> Result<Finished> {
        self.begin().await?;
        let missing = &self.layout.blobs()[self.next..];
        if let Some(first) = missing.first() {
            return Err(Error::Incomplete { missing: missing.len(), first: first.digest });
        }
        self.zeros(END).await?;
        self.out.flush().await.map_err(Error::write("-".as_ref()))?;
        Ok(Finished { path: PathBuf::from("-"), bytes: self.layout.total(), id: self.layout.id() })
    }

    async fn begin(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let head = self.layout.head();
            self.write(&head).await?;
        }
        Ok(())
    }

    async fn zeros(&mut self, count: u64) -> Result<()> {
        const ZEROS: [u8; 2 * BLOCK_LEN] = [0; 2 * BLOCK_LEN];
        let count = usize::try_from(count).unwrap_or(ZEROS.len());
        self.write(&ZEROS[..count.min(ZEROS.len())]).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).await.map_err(Error::write("-".as_ref()))
    }
}
