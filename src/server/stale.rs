//! Uploads that nobody continues: what was received of them goes after a time, while the store is served.

use tokio::time::{MissedTickBehavior, interval};

use super::{Limits, answer::Chain};
use crate::store::Store;

/// Looks at once and then again and again, until the task is aborted.
pub(super) async fn sweep(store: Store, limits: Limits) {
    let mut ticks = interval(limits.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let store = store.clone();
        match tokio::task::spawn_blocking(move || store.expire_uploads(limits.upload)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(expired)) => tracing::info!(expired, "uploads that nobody continued were deleted"),
            Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "stale uploads cannot be deleted"),
            Err(failed) => tracing::error!(%failed, "looking for stale uploads failed"),
        }
    }
}
