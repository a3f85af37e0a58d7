//! Pushing blobs (distribution-spec, "Pushing blobs"): uploads in one request, in two, or in chunks; mounts.

use std::str::FromStr;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE},
};
use http_body_util::BodyExt;

use super::{
    answer::{self, Handled, Refusal, Reply},
    auth::Caller,
    frontend::{Frontend, Incoming},
    policy::Action,
    query::Query,
    quota,
};
use crate::{
    files::blocking::caught,
    oci::{Algorithm, Digest, error_code::ErrorCode, reference::is_repository},
    store::{StoreError, StoreUpload, UploadWriter},
};

/// What Docker's clients read the upload's name from.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// How often it is looked whether the disk has room, in bytes received.
const LOOK_EVERY: u64 = 8 << 20;

/// A request that changes a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct PushRequest<'a> {
    pub(super) repository: &'a str,
    pub(super) query: &'a Query<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) caller: &'a Caller,
    /// Whom the unfinished uploads are counted for: a user, or an address.
    pub(super) client: &'a str,
}

impl Frontend {
    /// `POST` of `blobs/uploads/`: a mount, a whole blob, or a new upload.
    pub(super) async fn start_upload(&self, push: PushRequest<'_>, body: Incoming) -> Handled {
        let PushRequest { repository, query, .. } = push;
        let target = self.writable()?.repository(repository);
        let mut algorithm = Algorithm::Sha256;
        if let Some(digest) = query.get("mount") {
            let digest = parse_digest(digest)?;
            let from = query.get("from").filter(|from| !from.is_empty());
            if let Some(from) = from.filter(|from| !is_repository(from)) {
                return Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    ErrorCode::NameInvalid,
                    "from is not a repository name",
                )
                .with_detail(serde_json::json!({ "from": from })));
            }
            if self.may_mount(push.caller, from) && target.mount(digest, from).await? {
                return Ok(created_blob(repository, &digest));
            }
            algorithm = digest.algorithm();
        }
        if let Some(name) = query.get("digest-algorithm") {
            let known = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
            algorithm = known.ok_or_else(|| invalid_digest("digest-algorithm is sha256 or sha512"))?;
        }
        let digest = query.get("digest").map(parse_digest).transpose()?;
        self.quota.admit(push.client, Some(repository))?;
        let upload = target.begin(digest.map_or(algorithm, |digest| digest.algorithm())).await?;
        self.quota.began(upload.id(), push.client, repository);
        let Some(digest) = digest else {
            return Ok(session(StatusCode::ACCEPTED, repository, &upload, upload.received()));
        };
        let done = self.complete(push, &upload, digest, body).await;
        if done.is_err() {
            // The client does not know this session.
            self.give_up(&upload).await?;
        }
        done.map(|()| created_blob(repository, &digest))
    }

    /// Whether the caller may take blobs from there. Without a policy a repository need not be named.
    fn may_mount(&self, caller: &Caller, from: Option<&str>) -> bool {
        match (&self.door, from) {
            (None, _) => true,
            (Some(door), None) => !door.has_policy(),
            (Some(door), Some(from)) => door.authorise(caller, (Action::Pull, from), None, "").is_ok(),
        }
    }

    async fn give_up(&self, upload: &StoreUpload) -> Result<(), StoreError> {
        self.quota.ended(&upload.id());
        upload.cancel().await
    }

    /// `PATCH` of an upload: more of it.
    pub(super) async fn continue_upload(&self, push: PushRequest<'_>, id: &str, body: Incoming) -> Handled {
        let upload = self.find_upload(push.repository, id).await?;
        self.quota.admit(push.client, None)?;
        let writer = upload.writer().await?;
        in_order(push.repository, &upload, &writer, push.headers)?;
        let received = self.receive(push, &upload, writer, body).await;
        self.quota.rests(upload.id(), upload.received());
        let received = received?.pause().await?;
        self.quota.rests(upload.id(), received);
        Ok(session(StatusCode::ACCEPTED, push.repository, &upload, received))
    }

    /// `PUT` of an upload: the rest of it, if any, and its digest.
    pub(super) async fn finish_upload(&self, push: PushRequest<'_>, id: &str, body: Incoming) -> Handled {
        let digest = push.query.get("digest").ok_or_else(|| invalid_digest("the digest parameter is missing"));
        let digest = parse_digest(digest?)?;
        let upload = self.find_upload(push.repository, id).await?;
        let done = self.complete(push, &upload, digest, body).await;
        self.quota.rests(upload.id(), upload.received());
        done?;
        self.quota.ended(&upload.id());
        Ok(created_blob(push.repository, &digest))
    }

    /// `GET` of an upload: how far it is.
    pub(super) async fn upload_state(&self, repository: &str, id: &str) -> Handled {
        let upload = self.find_upload(repository, id).await?;
        Ok(session(StatusCode::NO_CONTENT, repository, &upload, upload.received()))
    }

    /// `DELETE` of an upload.
    pub(super) async fn cancel_upload(&self, repository: &str, id: &str) -> Handled {
        let upload = self.find_upload(repository, id).await?;
        self.give_up(&upload).await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// `DELETE` of a blob.
    pub(super) async fn delete_blob(&self, repository: &str, digest: Digest) -> Handled {
        let store = self.deletable()?;
        if store.repository(repository).delete_blob(digest).await? {
            return Ok(answer::empty(StatusCode::ACCEPTED));
        }
        Self::kept_below(self.has_blob(repository, digest).await?)?;
        Err(Refusal::blob_unknown(&digest))
    }

    async fn complete(
        &self,
        push: PushRequest<'_>,
        upload: &StoreUpload,
        digest: Digest,
        body: Incoming,
    ) -> Result<(), Refusal> {
        let mut writer = upload.writer().await?;
        in_order(push.repository, upload, &writer, push.headers)?;
        writer.expect(digest.algorithm());
        let ended = self.receive(push, upload, writer, body).await?.finish(digest).await;
        if matches!(ended, Ok(_) | Err(StoreError::Mismatch { .. })) {
            self.quota.ended(&upload.id());
        }
        ended?;
        Ok(())
    }

    /// Writes the whole of `body`. What came before a break is kept; what is larger than any blob may be is not.
    async fn receive(
        &self,
        push: PushRequest<'_>,
        upload: &StoreUpload,
        mut writer: UploadWriter,
        mut body: Incoming,
    ) -> Result<UploadWriter, Refusal> {
        let length = push.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let mut expected = writer.received().saturating_add(length.unwrap_or(0));
        let mut look_at = 0;
        loop {
            if let Err(refusal) = self.quota.fits(expected.max(writer.received())) {
                drop(writer);
                self.give_up(upload).await?;
                return Err(refusal);
            }
            if writer.received() >= look_at {
                self.leaves_room().await?;
                look_at = writer.received() + LOOK_EVERY;
                expected = 0;
            }
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
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message));
                }
            }
        }
    }

    async fn leaves_room(&self) -> Result<(), Refusal> {
        let store = self.writable()?.clone();
        let space = caught(move || store.space()).await;
        let (free, size) = space.map_err(|error| Refusal::internal(&error))??;
        quota::leaves_room(free, size)
    }

    async fn find_upload(&self, repository: &str, id: &str) -> Result<StoreUpload, Refusal> {
        let upload = self.writable()?.repository(repository).upload(id).await?;
        upload.ok_or_else(|| {
            let message = "the repository has no such upload";
            Refusal::new(StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown, message)
        })
    }
}

async fn write(writer: &mut UploadWriter, chunk: Bytes) -> Result<(), StoreError> {
    if chunk.is_empty() { Ok(()) } else { writer.write(chunk).await }
}

/// A chunk must begin where the last one ended, and be as long as it says.
fn in_order(repository: &str, upload: &StoreUpload, writer: &UploadWriter, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(CONTENT_RANGE) else { return Ok(()) };
    let invalid = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid, message);
    let parsed = value.to_str().ok().and_then(|text| {
        // Some clients write it as responses do: "bytes 0-9/*".
        let text = text.trim_start_matches("bytes ").split('/').next()?;
        let (first, last) = text.split_once('-')?;
        Some((first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?))
    });
    let (first, last) = parsed.ok_or_else(|| invalid("Content-Range is FIRST-LAST, in bytes, both inclusive"))?;
    if first != writer.received() {
        let message = "chunks come in order; Range says how far the upload is";
        let failure = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BlobUploadInvalid, message);
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
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::SizeInvalid,
            "Content-Range and Content-Length disagree",
        ));
    }
    Ok(())
}

fn parse_digest(text: &str) -> Result<Digest, Refusal> {
    Digest::from_str(text)
        .map_err(|_| invalid_digest("this is not a digest of an algorithm known here: sha256, sha512"))
}

fn invalid_digest(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, message)
}

fn created_blob(repository: &str, digest: &Digest) -> Reply {
    let mut answer = answer::empty(StatusCode::CREATED);
    answer::set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/{digest}"));
    answer::set_digest(&mut answer, digest);
    answer
}

/// The state of an upload. `0-0` stands for nothing received as well as for one byte, as everywhere in this protocol.
fn session(status: StatusCode, repository: &str, upload: &StoreUpload, received: u64) -> Reply {
    let mut answer = answer::empty(status);
    let id = upload.id().to_string();
    answer::set(&mut answer, LOCATION, &format!("/v2/{repository}/blobs/uploads/{id}"));
    answer::set(&mut answer, RANGE, &format!("0-{}", received.saturating_sub(1)));
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(UPLOAD_UUID, id);
    }
    answer
}
