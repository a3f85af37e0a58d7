//! Pulling: manifests and blobs (distribution-spec, "Pull").

use std::{ops::Range, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
    },
};

use super::{
    answer::{self, Handled, Refusal, Reply},
    backend::{Backend, Requested},
    blob_read::BlobRead,
    body::ReplyBody,
    file::{BlobState, FileIdentity, LocalBlob, OwnersOf},
    frontend::Frontend,
    range::{self, Wanted},
};
use crate::{
    files::blocking::caught,
    oci::{Digest, Hasher, Name, error_code::ErrorCode},
};

/// Content that a digest names never changes. One year, the longest that RFC 9111's forebears allowed.
const FOREVER: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// What a tag names may change at any moment; an entity tag makes asking again cheap.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

const OCTETS: &str = "application/octet-stream";

impl Frontend {
    /// `GET` and `HEAD` of `manifests/NAME`.
    pub(super) async fn pull_manifest(
        &self,
        method: &Method,
        at: Requested<'_>,
        name: Name,
        headers: &HeaderMap,
    ) -> Handled {
        let asked = name.clone();
        let found = self.ask(at, move |backends, at| backends.document(at, &asked)).await?;
        let document = found.ok_or_else(|| Refusal::manifest_unknown(&name))?;
        let mut answer = if not_modified(headers, &document.digest) {
            answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            // A bundle of another tool may call its manifest what it likes.
            let inert = answer::is_inert(&document.media_type);
            answer::bytes(StatusCode::OK, if inert { &document.media_type } else { OCTETS }, document.bytes)
        };
        name_content(&mut answer, &document.digest);
        let caching = if matches!(name, Name::Tag(_)) { ASK_AGAIN } else { FOREVER };
        answer.headers_mut().insert(CACHE_CONTROL, caching);
        Ok(without_body_for(method, answer))
    }

    /// `GET` and `HEAD` of `blobs/DIGEST`.
    pub(super) async fn pull_blob(
        &self,
        method: &Method,
        at: Requested<'_>,
        digest: &Digest,
        headers: &HeaderMap,
    ) -> Handled {
        if method == Method::HEAD {
            return self.blob_head(at, *digest).await;
        }
        let asked = *digest;
        let found = self.ask(at, move |backends, at| backends.blob(at, &asked)).await?;
        let Some(blob) = found else { return self.pull_far(at, digest, headers).await };
        if not_modified(headers, digest) {
            let mut answer = answer::empty(StatusCode::NOT_MODIFIED);
            name_content(&mut answer, digest);
            return Ok(answer);
        }
        let size = blob.size;
        match wanted(headers, digest, size) {
            Wanted::Whole => self.send(at, blob, None).await,
            Wanted::Part(part) => {
                let sent = self.send(at, blob, Some(part.clone())).await?;
                Ok(as_part(sent, &part, size))
            }
            Wanted::Nothing => Err(no_such_range(size)),
        }
    }

    async fn blob_head(&self, at: Requested<'_>, digest: Digest) -> Handled {
        let size = self.ask(at, move |backends, at| backends.blob_size(at, &digest)).await?;
        let size = size.ok_or_else(|| Refusal::blob_unknown(&digest))?;
        let mut answer = answer::empty(StatusCode::OK);
        describe_blob(&mut answer, &digest, size);
        Ok(answer)
    }

    async fn send(&self, at: Requested<'_>, blob: LocalBlob, part: Option<Range<u64>>) -> Handled {
        let identity = FileIdentity::of(&blob.file).map_err(|error| Refusal::internal(&error))?;
        let mut state = self.checked.state(&blob, identity);
        let (digest, size) = (blob.digest, blob.size);
        let reaches_end = part.as_ref().is_none_or(|part| part.end == size);
        let owners = self.backends.owners(at);
        if state == BlobState::Unknown && part.is_some() && reaches_end {
            // The end of a blob is never given away before the whole was seen to be right.
            let whole = self.sending(blob.clone(), identity, owners.clone());
            let verified = caught(move || whole.verify()).await;
            state = verified.map_err(|error| Refusal::internal(&error))?;
        }
        if state == BlobState::Damaged {
            let message = "the blob is damaged where it is kept; the registry's log says where";
            let code = ErrorCode::Other("UNKNOWN".to_owned());
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, code, message));
        }
        let range = part.unwrap_or(0..size);
        let length = range.end - range.start;
        let body = if length == 0 {
            ReplyBody::empty()
        } else {
            let whole = self.sending(blob, identity, owners);
            let hasher = whole.hasher.clone().filter(|_| state == BlobState::Unknown && length == size);
            ReplyBody::stream(BlobRead { range, hasher, ..whole }.stream(), length)
        };
        let mut answer = Reply::new(body);
        describe_blob(&mut answer, &digest, length);
        Ok(answer)
    }

    /// The whole of `blob`, to be hashed.
    pub(super) fn sending(&self, blob: LocalBlob, identity: FileIdentity, owners: OwnersOf) -> BlobRead {
        let (range, hasher) = (0..blob.size, Some(Hasher::new(blob.digest.algorithm())));
        let (checked, buffers) = (Arc::clone(&self.checked), self.buffers.clone());
        BlobRead { blob, identity, range, hasher, checked, buffers, owners }
    }
}

/// The entity tag of content is its digest.
fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

pub(super) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    let wanted = etag(digest);
    let matches = |value: &HeaderValue| {
        let Ok(text) = value.to_str() else { return false };
        text.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == wanted)
    };
    headers.get_all(IF_NONE_MATCH).iter().any(matches)
}

pub(super) fn wanted(headers: &HeaderMap, digest: &Digest, size: u64) -> Wanted {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(&RANGE) else { return Wanted::Whole };
    if text(&IF_RANGE).is_some_and(|tag| tag != etag(digest)) || headers.get_all(RANGE).iter().count() > 1 {
        return Wanted::Whole;
    }
    range::parse(range, size)
}

pub(super) fn name_content(answer: &mut Reply, digest: &Digest) {
    answer::set_digest(answer, digest);
    answer::set(answer, ETAG, &etag(digest));
}

pub(super) fn describe_blob(answer: &mut Reply, digest: &Digest, length: u64) {
    name_content(answer, digest);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, FOREVER);
}

/// The same answer, for `HEAD` with its headers only.
pub(super) fn without_body_for(method: &Method, answer: Reply) -> Reply {
    if method == Method::HEAD { answer.map(|_| ReplyBody::empty()) } else { answer }
}

/// A 206 of `part` of a blob of `size` bytes (RFC 9110, 15.3.7).
pub(super) fn as_part(mut answer: Reply, part: &Range<u64>, size: u64) -> Reply {
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    answer::set(&mut answer, CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1));
    answer
}

/// A 416 that states the size (RFC 9110, 15.5.17).
pub(super) fn no_such_range(size: u64) -> Refusal {
    let message = "the blob has no byte of that range";
    let failure = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::SizeInvalid, message);
    match HeaderValue::try_from(format!("bytes */{size}")) {
        Ok(range) => failure.with(CONTENT_RANGE, range),
        Err(_) => failure,
    }
}
