//! A signature that is replaced while it is in use, because it is about to end or was refused.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{Sas, error::Cause};

/// How long before its end a signature is replaced: longer than the longest single request.
const MARGIN: Duration = Duration::from_mins(5);

/// How long a source of signatures is left alone after it was asked, so that many refused requests make one question.
const PAUSE: Duration = Duration::from_secs(20);

/// Where a fresh signature comes from: a vault, a file, a command.
#[async_trait]
pub trait Renew: Send + Sync + fmt::Debug {
    /// The signature as it is there now.
    ///
    /// # Errors
    /// It cannot be had; the text is fit for logs.
    async fn renew(&self) -> Result<Sas, Cause>;
}

/// The signature that requests are sent with.
#[derive(Debug)]
pub(super) struct Current {
    source: Option<Arc<dyn Renew>>,
    state: Mutex<RenewalState>,
}

#[derive(Debug)]
struct RenewalState {
    sas: Sas,
    asked: Option<Instant>,
}

impl Current {
    pub(super) fn new(sas: Sas, source: Option<Arc<dyn Renew>>) -> Self {
        Self { source, state: Mutex::new(RenewalState { sas, asked: None }) }
    }

    /// The signature for a request that is about to be sent; replaced first if it ends soon.
    pub(super) async fn fresh(&self) -> Sas {
        let mut state = self.state.lock().await;
        if ends_soon(&state.sas) {
            self.replace(&mut state).await;
        }
        state.sas.clone()
    }

    /// Another signature than `refused`, if there is one.
    pub(super) async fn instead_of(&self, refused: &Sas) -> Option<Sas> {
        let mut state = self.state.lock().await;
        if state.sas == *refused {
            self.replace(&mut state).await;
        }
        (state.sas != *refused).then(|| state.sas.clone())
    }

    async fn replace(&self, state: &mut RenewalState) {
        let Some(source) = &self.source else { return };
        if state.asked.is_some_and(|asked| asked.elapsed() < PAUSE) {
            return;
        }
        state.asked = Some(Instant::now());
        match source.renew().await {
            Ok(sas) => {
                tracing::info!(?sas, "the signature was fetched again");
                state.sas = sas;
            }
            // The one in use may hold yet; if not, the storage says so.
            Err(error) => tracing::warn!("the signature cannot be fetched again: {error}"),
        }
    }
}

fn ends_soon(sas: &Sas) -> bool {
    sas.expiry().is_some_and(|end| Timestamp::now() + MARGIN >= end)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn sas(name: &str, minutes: i64) -> Sas {
        let end = Timestamp::now() + Duration::from_mins(minutes.unsigned_abs());
        Sas::parse(&format!("sv=1&sp=r&se={end}&sig={name}")).unwrap()
    }

    #[derive(Debug)]
    struct Vault(AtomicU32, Option<Sas>);

    #[async_trait]
    impl Renew for Vault {
        async fn renew(&self) -> Result<Sas, Cause> {
            self.0.fetch_add(1, Ordering::SeqCst);
            self.1.clone().ok_or_else(|| "the vault is closed".into())
        }
    }

    #[tokio::test]
    async fn a_signature_that_ends_soon_is_replaced_once() {
        let vault = Arc::new(Vault(AtomicU32::new(0), Some(sas("new", 60))));
        let current = Current::new(sas("old", 1), Some(Arc::clone(&vault) as _));
        assert!(current.fresh().await.query().contains("sig=new"));
        assert!(current.fresh().await.query().contains("sig=new"));
        assert_eq!(vault.0.load(Ordering::SeqCst), 1);
        let lasting = Current::new(sas("old", 60), Some(Arc::clone(&vault) as _));
        assert!(lasting.fresh().await.query().contains("sig=old"));
        assert_eq!(vault.0.load(Ordering::SeqCst), 1, "one that lasts is not asked for again");
    }

    #[tokio::test]
    async fn a_refused_signature_is_replaced_only_by_another() {
        let old = sas("old", 60);
        let same = Arc::new(Vault(AtomicU32::new(0), Some(old.clone())));
        let current = Current::new(old.clone(), Some(Arc::clone(&same) as _));
        assert!(current.instead_of(&old).await.is_none());
        assert!(current.instead_of(&old).await.is_none());
        assert_eq!(same.0.load(Ordering::SeqCst), 1, "many refusals are one question");
        let rotated = Current::new(old.clone(), Some(Arc::new(Vault(AtomicU32::new(0), Some(sas("new", 60))))));
        assert!(rotated.instead_of(&old).await.unwrap().query().contains("sig=new"));
    }

    #[tokio::test]
    async fn a_source_that_fails_leaves_the_signature_in_use() {
        let current = Current::new(sas("old", 1), Some(Arc::new(Vault(AtomicU32::new(0), None))));
        assert!(current.fresh().await.query().contains("sig=old"));
        let alone = Current::new(sas("old", 1), None);
        assert!(alone.fresh().await.query().contains("sig=old"));
    }
}
