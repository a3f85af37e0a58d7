//! Pulling blobs of bundles that are in a storage location.

use std::ops::Range;

use http::{HeaderMap, StatusCode};

use super::{
    answer::{self, Handled, Refusal, Reply},
    backend::{Backend, Requested},
    body::ReplyBody,
    file::OwnersOf,
    frontend::Frontend,
    pull::{as_part, describe_blob, name_content, no_such_range, not_modified, wanted},
    range::Wanted,
    remote_blob::RemoteBlob,
};
use crate::{
    content::Error,
    oci::{Digest, error_code::ErrorCode},
};

impl Frontend {
    /// `GET` of a blob that no backend has at hand.
    pub(super) async fn pull_far(&self, at: Requested<'_>, digest: &Digest, headers: &HeaderMap) -> Handled {
        let asked = *digest;
        let found = self.ask(at, move |backends, at| backends.far(at, &asked)).await?;
        let far = found.ok_or_else(|| Refusal::blob_unknown(digest))?;
        if not_modified(headers, digest) {
            let mut answer = answer::empty(StatusCode::NOT_MODIFIED);
            name_content(&mut answer, digest);
            return Ok(answer);
        }
        let (size, owners) = (far.size, self.backends.owners(at));
        match wanted(headers, digest, size) {
            Wanted::Whole => send_far(&far, 0..size, owners).await,
            Wanted::Part(part) => {
                if part.end == size {
                    // The end of a blob is never given away before the whole was seen to be right.
                    far.verify(owners.clone()).await.map_err(|error| unreadable(&far, &error))?;
                }
                let sent = send_far(&far, part.clone(), owners).await?;
                Ok(as_part(sent, &part, size))
            }
            Wanted::Nothing => Err(no_such_range(size)),
        }
    }
}

async fn send_far(far: &RemoteBlob, part: Range<u64>, owners: OwnersOf) -> Handled {
    let length = part.end - part.start;
    let body = if length == 0 {
        ReplyBody::empty()
    } else {
        ReplyBody::stream(far.stream(part, owners).await.map_err(|error| unreadable(far, &error))?, length)
    };
    let mut answer = Reply::new(body);
    describe_blob(&mut answer, &far.digest, length);
    Ok(answer)
}

fn unreadable(far: &RemoteBlob, error: &Error) -> Refusal {
    tracing::error!(place = far.from.name(), blob = %far.digest, %error, "the blob cannot be read");
    let message = "the blob cannot be read where it is kept; the registry's log says why";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Other("UNKNOWN".to_owned()), message)
}
