//! Carrying where a storage is at one end or both: in parts, by the storage itself where it can.
//!
//! The source passes by here in any case, and is proven before the part leaves in which a blob ends; the storage holds each
//! part against our checksum as it arrives. So what a commit makes visible is proven.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    super::send::{self, FileParts, SendMode, Sending, Stop},
    error::Error,
    file::{FileCopy, MARK},
    unfinished::{Carried, Unfinished},
};
use crate::{
    bundle::Reader,
    content::{self, Code, Fault},
    oci::Digest,
    progress::{Event, Phase},
    storage::{Parts, Stat, Upload, UploadSpec, parts},
};

/// Bytes of a part that one storage takes from another: nothing of it is kept here.
const TAKEN: u64 = 64 << 20;

impl FileCopy<'_> {
    /// Whether an object says that it is the volume that is copied.
    pub(super) fn is_said(&self, stat: &Stat) -> bool {
        let layout = self.reader.as_ref().and_then(Reader::layout);
        layout.is_some_and(|layout| send::is_volume(layout) && send::is_same(stat, layout))
    }

    /// Sends the parts that are not there, or has the storage take them from the source.
    pub(super) async fn send(&self, taken: bool) -> Result<Carried, Error> {
        let Self { request, source, target, progress, .. } = self;
        let size = source.stat().size;
        let wish = if taken { TAKEN } else { parts::USUAL };
        let parts = Parts::of(size, wish, &target.limits(), target.location())?;
        let identity = Digest::sha256(format!("{}\n{}\n{taken}", self.what(), parts.size()).as_bytes());
        let layout = self.reader.as_ref().and_then(Reader::layout);
        let mut metadata: BTreeMap<String, String> = source.stat().metadata.clone();
        metadata.extend(layout.map(send::metadata).unwrap_or_default());
        metadata.insert(MARK.to_owned(), self.mark());
        let upload: Arc<dyn Upload> = target.upload(&UploadSpec { identity, parts, metadata }).await?.into();
        let file = layout.map_or_else(|| FileParts::of_file(size, identity), FileParts::Bundle);
        let way = if taken { SendMode::Take(source.clone()) } else { SendMode::Put };
        let supply = send::PinnedObject { source: source.clone(), jobs: request.jobs, progress };
        let (blobs, bytes) = layout.map_or((1, size), |layout| (layout.blobs().len() as u64, layout.blob_bytes()));
        let mut sending = Sending::new(&supply, file, Arc::clone(&upload), way, parts, progress).jobs(request.jobs);
        let reused = sending.present();
        progress.tell(Event::Phase(Phase::Transferring));
        progress.tell(Event::Planned { blobs, bytes, present: reused.min(bytes) });
        let sent = sending.run().await.map_err(|stop| self.stopped(stop))?;
        let learnt = sent.learnt;
        Ok(Carried { unfinished: Unfinished::Parts(upload, sent), reused, learnt })
    }

    fn stopped(&self, stop: Stop) -> Error {
        let path = PathBuf::from(self.source.object().location().to_string());
        match stop {
            Stop::Storage(error) => error.into(),
            Stop::Bundle(error) => Error::Damaged { path, count: 1, first: error.to_string(), code: error.code() },
            Stop::Blob(digest, error) => {
                let code = match &error {
                    content::Error::DigestMismatch { .. } => Code::BundleDigestMismatch,
                    error => error.code(),
                };
                Error::Damaged { path, count: 1, first: format!("blob {digest}: {error}"), code }
            }
        }
    }
}
