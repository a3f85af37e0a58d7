//! `--verify-on-start`: every blob of the bundles is read and compared before the first answer.

use std::sync::Arc;

use futures::{StreamExt, stream};

use super::{
    Registry, ServerError,
    file::{Identity, State},
};
use crate::oci::Digest;

/// Verifies all blobs on all cores.
pub(super) async fn all(registry: &Arc<Registry>) -> Result<(), ServerError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let verified = stream::iter(registry.bundles.blobs()).map(|digest| verify(Arc::clone(registry), digest));
    let damaged: Vec<_> = verified.buffer_unordered(cores).filter_map(async |damaged| damaged).collect().await;
    let Some((bundle, _)) = damaged.first() else { return Ok(()) };
    let of_bundle = damaged.iter().filter(|(place, _)| place == bundle).map(|(_, digest)| *digest);
    Err(ServerError::Damaged { bundle: bundle.to_string(), blobs: of_bundle.collect() })
}

/// Where the blob is damaged, if it is. One that was left out on purpose is not.
async fn verify(registry: Arc<Registry>, digest: Digest) -> Option<(Arc<str>, Digest)> {
    if let Some(far) = registry.bundles.locate_far(&digest) {
        return far.verify().await.err().map(|_| (Arc::from(far.from.name()), digest));
    }
    let work = move || {
        let blob = match registry.bundles.locate(&digest) {
            Ok(None) => return None,
            Ok(Some(blob)) => blob,
            // What frames the blob is not as planned; the log says in which bundle.
            Err(_) => return Some((Arc::from("that has it"), digest)),
        };
        let place = Arc::clone(&blob.place);
        let state = Identity::of(&blob.file).map(|identity| registry.sending(blob, identity, None).verify());
        (state.ok() != Some(State::Good)).then_some((place, digest))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(damaged) => damaged,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
