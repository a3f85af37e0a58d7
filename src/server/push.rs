//! Pushing blobs (distribution-spec, "Pushing blobs"): uploads in one request, in two, or in chunks; mounts.

use std::str::FromStr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE},
};
use http_body_util::BodyExt;

use super::{
    Incoming, Registry,
    answer::{self, Answer, Failure, Outcome},
    query::Query,
};
use crate::{
    oci::{Algorithm, Digest, error_code::ErrorCode, reference::is_repository},
    store::{StoreError, Upload, Writer},
};

/// What Docker's clients read the upload's name from.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Registry {
    /// `POST` of `blobs/uploads/`: a mount, a whole blob, or a new upload.
    pub(super) async fn start_upload(
        &self,
        repository: &str,
        query: &Query<'_>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Outcome {
        let target = self.writable()?.repository(repository);
        let mut algorithm = Algorithm::Sha256;
        if let Some(digest) = query.get("mount") {
            let digest = parse_digest(digest)?;
            let from = query.get("from").filter(|from| !from.is_empty());
            if let Some(from) = from.filter(|from| !is_repository(from)) {
                return Err(Failure::new(
                    StatusCode::BAD_REQUEST,
                    ErrorCode::NameInvalid,
                    "from is not a repository name",
                )
                .with_detail(serde_json::json!({ "from": from })));
            }
            if target.mount(digest, from).await? {
                return Ok(created_blob(repository, &digest));
            }
            algorithm = digest.algorithm();
        }
        if let Some(name) = query.get("digest-algorithm") {
            let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
            algorithm = known.ok_or_else(|| invalid_digest("digest-algorithm is sha256 or sha512"))?;
        }
        let Some(digest) = query.get("digest") else {
            let upload = target.begin(algorithm).await?;
            return Ok(session(StatusCode::ACCEPTED, repository, &upload, upload.received()));
        };
        let digest = parse_digest(digest)?;
        let upload = target.begin(digest.algorithm()).await?;
        let done = self.complete(repository, &upload, digest, headers, body).await;
        if done.is_err() {
            // The client was never told of this session.
            upload.cancel().await?;
        }
        done.map(|()| created_blob(repository, &digest))
    }

    /// `PATCH` of an upload: more of it.
    pub(super) async fn continue_upload(
        &self,
        repository: &str,
        id: &str,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Outcome {
        let upload = self.find_upload(repository, id).await?;
        let writer = upload.writer().await?;
        in_order(repository, &upload, &writer, headers)?;
        let received = receive(writer, body).await?.pause().await?;
        Ok(session(StatusCode::ACCEPTED, repository, &upload, received))
    }

    /// `PUT` of an upload: the rest of it, if any, and its digest.
    pub(super) async fn finish_upload(
        &self,
        repository: &str,
        id: &str,
        query: &Query<'_>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Outcome {
        let digest = query.get("digest").ok_or_else(|| invalid_digest("the digest parameter is missing"));
        let digest = parse_digest(digest?)?;
        let upload = self.find_upload(repository, id).await?;
        self.complete(repository, &upload, digest, headers, body).await?;
        Ok(created_blob(repository, &digest))
    }

    /// `GET` of an upload: how far it is.
    pub(super) async fn upload_state(&self, repository: &str, id: &str) -> Outcome {
        let upload = self.find_upload(repository, id).await?;
        Ok(session(StatusCode::NO_CONTENT, repository, &upload, upload.received()))
    }

    /// `DELETE` of an upload.
    pub(super) async fn cancel_upload(&self, repository: &str, id: &str) -> Outcome {
        self.find_upload(repository, id).await?.cancel().await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// `DELETE` of a blob.
    pub(super) async fn delete_blob(&self, repository: &str, digest: Digest) -> Outcome {
        let store = self.deletable()?;
        if store.repository(repository).delete_blob(digest).await? {
            return Ok(answer::empty(StatusCode::ACCEPTED));
        }
        self.kept_below(self.has_blob(repository, &digest)?)?;
        Err(Failure::blob_unknown(&digest))
    }

    async fn complete(
        &self,
        repository: &str,
        upload: &Upload,
        digest: Digest,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Result<(), Failure> {
        let mut writer = upload.writer().await?;
        in_order(repository, upload, &writer, headers)?;
        writer.expect(digest.algorithm());
        receive(writer, body).await?.finish(digest).await?;
        Ok(())
    }

    async fn find_upload(&self, repository: &str, id: &str) -> Result<Upload, Failure> {
        let upload = self.writable()?.repository(repository).upload(id).await?;
        upload.ok_or_else(|| {
            let message = "the repository has no such upload";
            Failure::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message)
        })
    }
}

/// Writes the whole of `body`. What came before a break is kept.
async fn receive(mut writer: Writer, mut body: Incoming) -> Result<Writer, Failure> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = writer.superseded() => return Err(StoreError::Superseded.into()),
        };
        match frame {
            None => return Ok(writer),
            Some(Ok(frame)) => {
                if let Ok(chunk) = frame.into_data() {
                    write(&mut writer, chunk).await?;
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "an upload broke off");
                writer.pause().await?;
                let message = "the request broke off; what was received is kept";
                return Err(Failure::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message));
            }
        }
    }
}

async fn write(writer: &mut Writer, chunk: Bytes) -> Result<(), StoreError> {
    if chunk.is_empty() { Ok(()) } else { writer.write(chunk).await }
}

/// A chunk must begin where the last one ended, and be as long as it says.
fn in_order(repository: &str, upload: &Upload, writer: &Writer, headers: &HeaderMap) -> Result<(), Failure> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(()) };
    let invalid = |message: &str| Failure::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message);
    let parsed = value.to_str().ok().and_then(|text| {
        // Some clients write it as responses do: "bytes 0-9/*".
        let text = text.trim_start_matches("bytes ").split('/').next()?;
        let (first, last) = text.split_once('-')?;
        Some((first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?))
    });
    let (first, last) = parsed.ok_or_else(|| invalid("Content-Range is FIRST-LAST, in bytes, both inclusive"))?;
    if first != writer.received() {
        let message = "chunks come in order; Range says how far the upload is";
        let failure = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, message);
        let state = session(StatusCode::RANGE_NOT_SATISFIABLE, repository, upload, writer.received());
        let kept =
            [LOCATION, RANGE].into_iter().filter_map(|name| Some((name.clone(), state.headers().get(name)?.clone())));
        return Err(kept.fold(failure, |failure, (name, value)| failure.with(name, value)));
    }
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if last
        .checked_sub(first)
        .and_then(|span| span.checked_add(1))
        .is_none_or(|span| length.is_some_and(|length| length != span))
    {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::SizeInvalid,
            "Content-Range and Content-Length disagree",
        ));
    }
    Ok(())
}

fn parse_digest(text: &str) -> Result<Digest, Failure> {
    Digest::from_str(text)
        .map_err(|_| invalid_digest("this is not a digest of an algorithm known here: sha256, sha512"))
}

fn invalid_digest(message: &str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
}

fn created_blob(repository: &str, digest: &Digest) -> Answer {
    let mut answer = answer::empty(StatusCode::CREATED);
    answer::set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/{digest}"));
    answer::set_digest(&mut answer, digest);
    answer
}

/// The state of an upload. `0-0` stands for nothing received as well as for one byte, as everywhere in this protocol.
fn session(status: StatusCode, repository: &str, upload: &Upload, received: u64) -> Answer {
    let mut answer = answer::empty(status);
    let id = upload.id().to_string();
    answer::set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/uploads/{id}"));
    answer::set(&mut answer, RANGE, &format!("0-{}", received.saturating_sub(1)));
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(UPLOAD_UUID, id);
    }
    answer
}
