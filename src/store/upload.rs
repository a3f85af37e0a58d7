//! Uploads: what was received stays until the upload is finished or cancelled, across requests and restarts.
//!
//! The file under `uploads/` is the session: its length is how far it came, and its name says whose it is. The hash of
//! what was received is kept in memory from one request to the next, and after a restart it is made again from the file.

use std::{
    fs::{self, File},
    io,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    batch::{BATCH, WriteBatch},
    error::{Result, StoreError},
    handle::{Store, blocking},
    sessions::{Session, session},
};
use crate::oci::{Algorithm, Digest, Hasher};

/// An upload under way.
#[derive(Clone, Debug)]
pub struct StoreUpload {
    store: Store,
    repository: Arc<str>,
    id: Uuid,
    algorithm: Algorithm,
    session: Arc<Session>,
}

pub(super) async fn begin(store: Store, repository: Arc<str>, algorithm: Algorithm) -> Result<StoreUpload> {
    let id = Uuid::new_v4();
    let path = store.paths().upload(&id, &repository, algorithm);
    let file = path.clone();
    blocking(move || File::create_new(&file).map(drop).map_err(|source| StoreError::write(&file, source))).await?;
    let session = session(path, 0, Some(Hasher::new(algorithm)));
    store.sessions().lock().insert(id, Arc::clone(&session));
    Ok(StoreUpload { store, repository, id, algorithm, session })
}

pub(super) async fn find(store: Store, repository: Arc<str>, id: &str) -> Result<Option<StoreUpload>> {
    let Ok(id) = Uuid::try_parse(id) else { return Ok(None) };
    blocking(move || {
        for algorithm in Algorithm::ALL {
            let path = store.paths().upload(&id, &repository, algorithm);
            let received = match fs::metadata(&path) {
                Ok(found) => found.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(StoreError::read(&path, source)),
            };
            let mut sessions = store.sessions().lock();
            let session = Arc::clone(sessions.entry(id).or_insert_with(|| session(path, received, None)));
            drop(sessions);
            return Ok(Some(StoreUpload { store, repository, id, algorithm, session }));
        }
        Ok(None)
    })
    .await
}

impl StoreUpload {
    /// What the session is called in URLs: a UUID.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.session.received.load(Ordering::Acquire)
    }

    /// Takes the upload over: a writer of an earlier request fails with [`StoreError::Superseded`] from now on.
    pub async fn writer(&self) -> Result<UploadWriter> {
        let turn = self.take_turn();
        let progress = Arc::clone(&self.session.progress).lock_owned().await;
        if progress.over || turn.is_cancelled() {
            return Err(StoreError::Superseded);
        }
        let (session, algorithm) = (Arc::clone(&self.session), self.algorithm);
        let batch = blocking(move || WriteBatch::reopen(session, progress, algorithm)).await?;
        Ok(UploadWriter {
            turn,
            gathered: Vec::new(),
            gathered_bytes: 0,
            received: self.received(),
            work: WriterWork::Idle(batch),
            upload: self.clone(),
        })
    }

    /// Gives the upload up. What was received is deleted.
    pub async fn cancel(&self) -> Result<()> {
        self.take_turn();
        let mut progress = Arc::clone(&self.session.progress).lock_owned().await;
        progress.over = true;
        self.store.sessions().forget(&self.id);
        let path = self.session.path.clone();
        blocking(move || match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::write(&path, error)),
            _ => Ok(()),
        })
        .await
    }

    fn take_turn(&self) -> CancellationToken {
        let turn = CancellationToken::new();
        let mut current = self.session.turn.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, turn.clone()).cancel();
        turn
    }
}

/// The one who writes an upload at present. Dropping it keeps what is in the file.
#[derive(Debug)]
pub struct UploadWriter {
    upload: StoreUpload,
    turn: CancellationToken,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    received: u64,
    work: WriterWork,
}

#[derive(Debug)]
enum WriterWork {
    Idle(WriteBatch),
    Busy(JoinHandle<Result<WriteBatch>>),
    /// Writing failed.
    Gone,
}

impl UploadWriter {
    /// Bytes received so far, those still gathered included.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Does not hash: the caller has verified the content, and whatever is finished is taken to be it.
    #[must_use]
    pub(super) fn trusting(mut self) -> Self {
        if let WriterWork::Idle(batch) = &mut self.work {
            batch.trusted = true;
        }
        self
    }

    /// Hashes by `algorithm` from now on, if nothing was received yet; a client need not say at the start which it means.
    pub fn expect(&mut self, algorithm: Algorithm) {
        if let WriterWork::Idle(batch) = &mut self.work
            && self.received == 0
        {
            batch.progress.hasher = Some(Hasher::new(algorithm));
        }
    }

    /// Takes in the next bytes.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if self.turn.is_cancelled() {
            return Err(StoreError::Superseded);
        }
        self.received += chunk.len() as u64;
        self.gathered_bytes += chunk.len();
        self.gathered.push(chunk);
        if self.gathered_bytes < BATCH {
            return Ok(());
        }
        let batch = self.reclaim().await?;
        self.work = WriterWork::Busy(self.hand_over(batch));
        Ok(())
    }

    /// Completes when a later request takes the upload over; then this writer can do no more.
    pub async fn superseded(&self) {
        self.turn.cancelled().await;
    }

    /// Waits until all bytes are in the file, and lets go of the upload. Bytes received so far.
    pub async fn pause(mut self) -> Result<u64> {
        self.settle().await?;
        Ok(self.upload.received())
    }

    /// Ends the upload: what was received must have the digest, and then the repository has the blob, durably.
    /// Content of another digest ends the upload too, and its bytes are gone. After any other failure it can go on.
    pub async fn finish(mut self, digest: Digest) -> Result<u64> {
        let batch = self.settle().await?;
        let upload = self.upload.clone();
        blocking(move || upload.publish(batch, digest)).await
    }

    fn hand_over(&mut self, batch: WriteBatch) -> JoinHandle<Result<WriteBatch>> {
        let chunks = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        tokio::task::spawn_blocking(move || batch.take_in(&chunks))
    }

    /// Waits for the batch that is being written.
    async fn reclaim(&mut self) -> Result<WriteBatch> {
        match std::mem::replace(&mut self.work, WriterWork::Gone) {
            WriterWork::Idle(batch) => Ok(batch),
            WriterWork::Busy(work) => match work.await {
                Ok(done) => done,
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            },
            WriterWork::Gone => Err(StoreError::Superseded),
        }
    }

    /// Everything gathered is in the file.
    async fn settle(&mut self) -> Result<WriteBatch> {
        if self.turn.is_cancelled() {
            return Err(StoreError::Superseded);
        }
        let batch = self.reclaim().await?;
        if self.gathered.is_empty() {
            return Ok(batch);
        }
        self.work = WriterWork::Busy(self.hand_over(batch));
        self.reclaim().await
    }
}

impl StoreUpload {
    /// Checks, syncs, renames, and enters a complete upload, in this order.
    fn publish(&self, mut batch: WriteBatch, digest: Digest) -> Result<u64> {
        let (paths, part) = (self.store.paths(), &self.session.path);
        let actual = if batch.trusted { digest } else { batch.digest(digest.algorithm())? };
        if actual != digest {
            fs::remove_file(part).map_err(|source| StoreError::write(part, source))?;
            self.is_over(&mut batch);
            return Err(StoreError::Mismatch { expected: digest, actual });
        }
        let (shard, target) = (paths.shard(&digest), paths.blob(&digest));
        let place = || -> io::Result<()> {
            batch.file.sync_data()?;
            fs::create_dir_all(&shard)?;
            fs::rename(part, &target)?;
            File::open(&shard)?.sync_all()
        };
        place().map_err(|source| StoreError::write(&target, source))?;
        let size = self.received();
        self.store.metadata().write(|db| {
            db.add_blob(&digest, size)?;
            db.hold(&self.repository, &digest)
        })?;
        self.is_over(&mut batch);
        Ok(size)
    }

    fn is_over(&self, batch: &mut WriteBatch) {
        batch.progress.over = true;
        self.store.sessions().forget(&self.id);
    }
}
