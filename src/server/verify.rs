//! `--verify-on-start`: every blob of the bundles is read and compared before the first answer.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};

use super::{
    Registry, ServerError,
    closure::Asked,
    file::{Identity, State},
};
use crate::oci::{Digest, Reference};

/// Artifacts that a message names; the log names all of them.
const NAMED: usize = 8;

/// A blob that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file name of the bundle that has it.
    pub bundle: String,
    /// Which blob.
    pub blob: Digest,
    /// The artifacts that need it, by the names they were exported by.
    pub artifacts: Vec<Reference>,
}

/// Verifies all blobs on all cores.
pub(super) async fn all(registry: &Arc<Registry>) -> Result<(), ServerError> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let verified = stream::iter(registry.bundles.blobs()).map(|digest| verify(Arc::clone(registry), digest));
    let damaged = verified.buffer_unordered(cores).filter_map(async |damaged| damaged);
    let mut damage: Vec<Damage> = damaged
        .map(|(place, blob)| Damage {
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
async fn verify(registry: Arc<Registry>, digest: Digest) -> Option<(Arc<str>, Digest)> {
    let asked = Asked::AtStart(Arc::clone(&registry.bundles));
    if let Some(far) = registry.bundles.locate_far(&digest) {
        return far.verify(asked).await.err().map(|_| (Arc::from(far.from.name()), digest));
    }
    let work = move || {
        let blob = match registry.bundles.locate(&digest) {
            Ok(None) => return None,
            Ok(Some(blob)) => blob,
            // What frames the blob is not as planned; the log says what is wrong.
            Err(_) => {
                let place = registry.bundles.place_of(&digest).cloned().unwrap_or_default();
                tracing::error!(%place, blob = %digest, artifact = asked.artifacts(&digest), "the blob is damaged");
                return Some((place, digest));
            }
        };
        let place = Arc::clone(&blob.place);
        let state = Identity::of(&blob.file).map(|identity| registry.sending(blob, identity, asked).verify());
        (state.ok() != Some(State::Good)).then_some((place, digest))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(damaged) => damaged,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// All of it in one sentence.
pub(super) fn told(damage: &[Damage]) -> String {
    let count = |number: usize, what: &str| if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") };
    let bundles: BTreeSet<&str> = damage.iter().map(|one| one.bundle.as_str()).collect();
    let blobs: Vec<String> = damage.iter().map(|one| one.blob.to_string()).collect();
    let artifacts: BTreeSet<String> = damage.iter().flat_map(|one| &one.artifacts).map(ToString::to_string).collect();
    let mut named: Vec<_> = artifacts.iter().take(NAMED).cloned().collect();
    if artifacts.len() > NAMED {
        named.push(format!("{} more", artifacts.len() - NAMED));
    }
    let bundles = bundles.into_iter().collect::<Vec<_>>().join(", ");
    let first = blobs.first().map(String::as_str).unwrap_or_default();
    let needed = if named.is_empty() { String::new() } else { format!("; needed by {}", named.join(", ")) };
    format!("{bundles}: {} damaged, the first {first}{needed}", count(blobs.len(), "blob"))
}
