//! `--verify-on-start`: every blob of the bundles is read and compared before the first answer.

use std::sync::Arc;

use futures::{StreamExt, stream};

use super::{
    error::{DamagedBlob, ServerError},
    file::{BlobState, FileIdentity, OwnersOf},
    frontend::Frontend,
};
use crate::{files::blocking::off_reactor, oci::Digest};

/// Verifies all blobs on all cores.
pub(super) async fn all(registry: &Arc<Frontend>) -> Result<(), ServerError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let verified = stream::iter(registry.bundles.blobs()).map(|digest| verify(Arc::clone(registry), digest));
    let damaged = verified.buffer_unordered(cores).filter_map(async |damaged| damaged);
    let mut damage: Vec<DamagedBlob> = damaged
        .map(|(place, blob)| DamagedBlob {
            bundle: place.to_string(),
            blob,
            artifacts: registry.bundles.needing(&blob).to_vec(),
        })
        .collect()
        .await;
    damage.sort_by(|a, b| (&a.bundle, a.blob).cmp(&(&b.bundle, b.blob)));
    if damage.is_empty() { Ok(()) } else { Err(ServerError::Damaged { damage }) }
}

/// Where the blob is damaged, if it is. One that was left out on purpose is not.
async fn verify(registry: Arc<Frontend>, digest: Digest) -> Option<(Arc<str>, Digest)> {
    let bundles = Arc::clone(&registry.bundles);
    let owners: OwnersOf = Arc::new(move |blob| {
        let names: Vec<_> = bundles.needing(blob).iter().map(ToString::to_string).collect();
        names.join(", ")
    });
    if let Some(far) = registry.bundles.locate_far(&digest) {
        return far.verify(owners).await.err().map(|_| (Arc::from(far.from.name()), digest));
    }
    let work = move || {
        let blob = match registry.bundles.locate(&digest) {
            Ok(None) => return None,
            Ok(Some(blob)) => blob,
            // What frames the blob is not as planned; the log says what is wrong.
            Err(_) => {
                let place = registry.bundles.place_of(&digest).cloned().unwrap_or_default();
                tracing::error!(%place, blob = %digest, artifact = owners(&digest), "the blob is damaged");
                return Some((place, digest));
            }
        };
        let place = Arc::clone(&blob.place);
        let state = FileIdentity::of(&blob.file).map(|identity| registry.sending(blob, identity, owners).verify());
        (state.ok() != Some(BlobState::Good)).then_some((place, digest))
    };
    off_reactor(work).await
}
