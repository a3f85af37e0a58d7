//! Abandoned uploads: what was received of them goes after a time, while the store is served.

use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval};

use super::{answer::ErrorChain, config::ServeLimits, quota::Quota};
use crate::{
    files::blocking::caught,
    store::{Store, StoreError},
};

/// Looks at once and then again and again, until the task is aborted.
pub(super) async fn sweep(store: Store, quota: Arc<Quota>, limits: ServeLimits) {
    let mut ticks = interval(limits.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (store, quota) = (store.clone(), Arc::clone(&quota));
        let work = move || {
            let expired = store.expire_uploads(limits.upload)?;
            quota.recount(&store.unfinished()?);
            Ok::<_, StoreError>(expired)
        };
        match caught(work).await {
            Ok(Ok(0)) => {}
            Ok(Ok(expired)) => tracing::info!(expired, "abandoned uploads were deleted"),
            Ok(Err(error)) => tracing::warn!(error = %ErrorChain(&error), "stale uploads cannot be deleted"),
            Err(failed) => tracing::error!(%failed, "looking for stale uploads failed"),
        }
    }
}
