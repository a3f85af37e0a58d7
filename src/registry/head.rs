//! `HEAD` is a courtesy of registries: where it fails or says less than it should, `GET` decides.
//!
//! Proxy caches answer 404 to `HEAD` for what `GET` would bring, storage behind a redirect has signed for `GET` only, and
//! some registries know no `HEAD` at all. A 404 is believed once `GET` has said the same of that registry, so that what is
//! absent costs one request more for a registry and not for each blob.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::future::BoxFuture;
use tokio::sync;

use super::error::Error;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A blob.
    Blob,
    /// A manifest.
    Manifest,
}

/// What was learnt of the `HEAD` of each registry.
#[derive(Default)]
pub(super) struct Courtesies(Mutex<HashMap<(String, Subject), Arc<Courtesy>>>);

#[derive(Default)]
struct Courtesy {
    /// `GET` has found nothing where `HEAD` said so.
    is_true: AtomicBool,
    /// `GET` has found what `HEAD` did not.
    misleads: AtomicBool,
    /// Held by the call that finds out which of the two.
    asking: sync::Mutex<()>,
}

impl Courtesies {
    fn of(&self, registry: &str, subject: Subject) -> Arc<Courtesy> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((registry.to_owned(), subject)).or_default())
    }
}

impl Courtesies {
    /// What is there, `None` if it is definitely not: as `head` says, and where that does not tell (`Ok(None)`, or an
    /// answer that `HEAD` alone may get) as `get` says.
    pub(super) async fn head_or_get<T: Send>(
        &self,
        registry: &str,
        subject: Subject,
        head: BoxFuture<'_, Result<Option<T>, Error>>,
        get: BoxFuture<'_, Result<Option<T>, Error>>,
    ) -> Result<Option<T>, Error> {
        let courtesy = self.of(registry, subject);
        if courtesy.misleads.load(Ordering::Relaxed) {
            return get.await;
        }
        let is_absent = match head.await {
            Ok(Some(found)) => return Ok(Some(found)),
            Err(Error::NotFound { .. }) => true,
            Err(error) if !may_be_for_head_only(&error) => return Err(error),
            Ok(None) | Err(_) => false,
        };
        let believed = || is_absent && courtesy.is_true.load(Ordering::Relaxed);
        if believed() {
            return Ok(None);
        }
        let asking = if is_absent { Some(courtesy.asking.lock().await) } else { None };
        if believed() {
            return Ok(None);
        }
        let found = get.await?;
        match found {
            Some(_) => courtesy.misleads.store(true, Ordering::Relaxed),
            None if is_absent => courtesy.is_true.store(true, Ordering::Relaxed),
            None => {}
        }
        drop(asking);
        Ok(found)
    }
}

/// Whether a `GET` may be answered where a `HEAD` was not.
fn may_be_for_head_only(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound { .. }
            | Error::Denied { .. }
            | Error::Unauthorized { .. }
            | Error::Refused { .. }
            | Error::Protocol { .. }
    )
}
