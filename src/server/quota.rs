//! What clients may leave unfinished: uploads and their bytes, counted by client, by repository and in total.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use uuid::Uuid;

use super::{answer::Refusal, config::ServeLimits};
use crate::oci::error_code::ErrorCode;

/// Of the disk's size, the part that uploads leave free.
const RESERVED: u64 = 20;

/// Bytes that are left free at the most.
const MAX_RESERVE: u64 = 1 << 30;

/// The unfinished uploads.
#[derive(Debug)]
pub(super) struct Quota {
    limits: ServeLimits,
    uploads: Mutex<HashMap<Uuid, Unfinished>>,
}

#[derive(Debug, Default)]
struct Unfinished {
    client: String,
    repository: String,
    bytes: u64,
}

impl Quota {
    pub(super) fn new(limits: ServeLimits) -> Self {
        Self { limits, uploads: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Unfinished>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a further upload, or more of one, where there is too much already.
    pub(super) fn admit(&self, client: &str, repository: Option<&str>) -> Result<(), Refusal> {
        let uploads = self.lock();
        let own = || uploads.values().filter(|upload| upload.client == client);
        let bytes = |sum: u64, upload: &Unfinished| sum.saturating_add(upload.bytes);
        let [own_bytes, all_bytes] = self.limits.unfinished;
        if own().fold(0, bytes) > own_bytes || uploads.values().fold(0, bytes) > all_bytes {
            return Err(too_many("there are too many bytes of unfinished uploads; finish or cancel some"));
        }
        let Some(repository) = repository else { return Ok(()) };
        let [of_client, of_repository, of_all] = self.limits.uploads;
        let in_repository = uploads.values().filter(|upload| upload.repository == repository).count();
        if own().count() >= of_client || in_repository >= of_repository || uploads.len() >= of_all {
            return Err(too_many("there are too many unfinished uploads; finish or cancel some"));
        }
        Ok(())
    }

    /// An upload was begun.
    pub(super) fn began(&self, id: Uuid, client: &str, repository: &str) {
        let upload = Unfinished { client: client.to_owned(), repository: repository.to_owned(), bytes: 0 };
        self.lock().insert(id, upload);
    }

    /// So much of an upload was received.
    pub(super) fn rests(&self, id: Uuid, bytes: u64) {
        self.lock().entry(id).or_default().bytes = bytes;
    }

    /// An upload is finished or cancelled.
    pub(super) fn ended(&self, id: &Uuid) {
        self.lock().remove(id);
    }

    /// Corrects the count by what is in the store: uploads of an earlier run belong to no client.
    pub(super) fn recount(&self, found: &HashMap<Uuid, u64>) {
        let mut uploads = self.lock();
        uploads.retain(|id, _| found.contains_key(id));
        for (id, bytes) in found {
            uploads.entry(*id).or_insert_with(|| Unfinished { bytes: *bytes, ..Unfinished::default() });
        }
    }

    /// Refuses a blob that is larger than any may be.
    pub(super) fn fits(&self, bytes: u64) -> Result<(), Refusal> {
        if bytes <= self.limits.max_upload {
            return Ok(());
        }
        let message = format!("a blob has {} bytes at the most here", self.limits.max_upload);
        Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message))
    }
}

/// Whether uploads may take more of a disk of `size` bytes of which `free` are free.
pub(super) fn leaves_room(free: u64, size: u64) -> Result<(), Refusal> {
    if free >= (size / RESERVED).min(MAX_RESERVE) {
        return Ok(());
    }
    tracing::error!("the store's disk is nearly full; uploads are refused");
    let code = ErrorCode::Other("UNKNOWN".to_owned());
    Err(Refusal::new(StatusCode::INSUFFICIENT_STORAGE, code, "the registry's disk is nearly full"))
}

/// A refusal to a client that may come again.
pub(super) fn too_many(message: &str) -> Refusal {
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Toomanyrequests, message)
        .with(http::header::RETRY_AFTER, http::HeaderValue::from_static("30"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_uploads_are_bounded_by_client_repository_and_in_total() {
        let limits =
            ServeLimits { uploads: [2, 3, 4], unfinished: [100, 150], max_upload: 10, ..ServeLimits::default() };
        let quota = Quota::new(limits);
        let begin = |client: &str, repository: &str| {
            quota.admit(client, Some(repository))?;
            let id = Uuid::new_v4();
            quota.began(id, client, repository);
            Ok::<_, Refusal>(id)
        };
        let first = begin("ann", "r").unwrap();
        begin("ann", "r").unwrap();
        assert!(begin("ann", "s").is_err(), "of a client");
        let third = begin("bob", "r").unwrap();
        assert!(begin("bob", "r").is_err(), "of a repository");
        begin("bob", "s").unwrap();
        assert!(begin("eve", "t").is_err(), "of all");
        quota.ended(&third);
        quota.rests(first, 101);
        assert!(quota.admit("ann", None).is_err() && quota.admit("bob", None).is_ok(), "bytes of a client");
        let found = HashMap::from([(first, 101), (Uuid::new_v4(), 60)]);
        quota.recount(&found);
        assert!(quota.admit("bob", None).is_err(), "bytes of all, those of an earlier run included");
        quota.recount(&HashMap::new());
        assert!(begin("ann", "r").is_ok());
        assert!(quota.fits(10).is_ok() && quota.fits(11).is_err());
    }

    #[test]
    fn a_part_of_the_disk_is_left_free() {
        assert!(leaves_room(5, 100).is_ok() && leaves_room(4, 100).is_err());
        assert!(leaves_room(1 << 30, 1 << 60).is_ok());
    }
}
