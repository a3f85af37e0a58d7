//! Whether a bundle that lies in a storage is the planned one: it flows past as if it were to be sent, and goes nowhere.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;

use super::{FileParts, PinnedObject, SendMode, Sending, Stop};
use crate::{
    bundle::Layout,
    oci::Digest,
    progress::Progress,
    storage::{Body, Error, Finish, PartCheckpoint, PartLimits, Parts, Pinned, Result, Stat, Upload, parts},
};

/// Reads what lies at `source` once, and holds every byte against `layout`; the SHA-256 of all of it.
pub(crate) async fn check(
    source: Pinned,
    layout: &Layout,
    jobs: usize,
    progress: &Progress,
) -> std::result::Result<Digest, Stop> {
    let location = source.object().location().clone();
    // The layout would find a file that is too long good as far as it goes.
    let wrong = |reason: &str| Error::Protocol { what: location.to_string(), reason: reason.to_owned() };
    if source.stat().size != layout.total() {
        return Err(wrong("it has another size than the bundle").into());
    }
    let limits = PartLimits { parts: u64::MAX, smallest: 1, largest: u64::MAX };
    let parts = Parts::of(layout.total(), parts::USUAL, &limits, &location)?;
    let supply = PinnedObject { source, jobs, progress };
    let file = FileParts::Bundle(layout);
    let mut sending = Sending::new(&supply, file, Arc::new(Nowhere), SendMode::Put, parts, progress).summed();
    let sent = sending.pass(0, &HashMap::new()).await?;
    sent.sum.ok_or_else(|| wrong("it was not summed").into())
}

/// Takes parts and keeps none.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Upload for Nowhere {
    fn present(&self) -> &[(u32, PartCheckpoint)] {
        &[]
    }

    async fn put(&self, _number: u32, _note: PartCheckpoint, _body: Body) -> Result<()> {
        Ok(())
    }

    async fn commit(&self, _notes: &[PartCheckpoint], _finish: &Finish) -> Result<Stat> {
        Err(Error::Protocol { what: "nowhere".to_owned(), reason: "nothing can lie there".to_owned() })
    }

    async fn abandon(&self) -> Result<()> {
        Ok(())
    }
}
