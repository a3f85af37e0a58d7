//! Pushing and deleting manifests and tags (distribution-spec, "Pushing Manifests", "Content Management").

use std::{str::FromStr, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    answer::{self, Handled, Refusal},
    backend::{Backend, Backends, Requested},
    frontend::{Frontend, Incoming},
    push::PushRequest,
    query::Query,
    quota::too_many,
};
use crate::{
    files::blocking::caught,
    oci::{
        Algorithm, Descriptor, Digest, Manifest, Name, Tag,
        error_code::{ErrorCode, ErrorItem},
        media_type,
    },
};

/// Says that the registry keeps the list of referrers itself.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// Which of the asked-for tags were made.
const TAGS_MADE: HeaderName = HeaderName::from_static("oci-tag");

/// Tags in one request. The specification asks for ten.
const MAX_TAGS: usize = 100;

/// How many times the limit a body may have that is read to its end only so that the client hears the refusal: one that is
/// still sending when the connection closes sees a reset and no answer.
const PATIENCE: u64 = 4;

/// Bytes of room for manifests that are taken at once, and the same in KiB.
const ROOM: usize = 64 << 10;
const KIB_OF_ROOM: u32 = 64;

/// Missing blobs that a refusal lists.
const MAX_LISTED: usize = 100;

impl Frontend {
    /// `PUT` of `manifests/NAME`.
    pub(super) async fn push_manifest(&self, push: PushRequest<'_>, name: &Name, body: Incoming) -> Handled {
        let PushRequest { repository, query, headers, .. } = push;
        let target = self.writable()?.repository(repository);
        let tags = asked_tags(name, query)?;
        let (bytes, _room) = self.read_manifest(body).await?;
        let _turn = self.parsing.acquire().await.map_err(|error| Refusal::internal(&error))?;
        let algorithm = match name {
            Name::Digest(digest) => digest.algorithm(),
            Name::Tag(_) => Algorithm::Sha256,
        };
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let parse = move || Manifest::parse_as(bytes, content_type.as_deref(), algorithm);
        let manifest = caught(parse).await.map_err(|error| Refusal::internal(&error))?;
        let manifest = manifest
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, error.to_string()))?;
        if !answer::is_inert(manifest.media_type()) {
            let message = "a manifest has a media type that begins with application/ and is none that browsers show";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
                .with_detail(serde_json::json!({ "mediaType": manifest.media_type() })));
        }
        if matches!(name, Name::Digest(digest) if *digest != manifest.digest()) {
            let failure =
                Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, "the manifest has another digest");
            return Err(
                failure.with_detail(serde_json::json!({ "expected": name.to_string(), "actual": manifest.digest() }))
            );
        }
        self.check_named(repository, &manifest).await?;
        if self.immutable_tags {
            self.check_tags(repository, &tags, manifest.digest()).await?;
        }
        if let Some(taken) = target.put(&manifest, &tags, self.immutable_tags).await? {
            return Err(tag_taken(&taken));
        }

        let mut answer = answer::empty(StatusCode::CREATED);
        answer::set(&mut answer, LOCATION, &format!("/v2/{repository}/manifests/{name}"));
        answer::set_digest(&mut answer, &manifest.digest());
        if let Some(subject) = manifest.subject() {
            answer::set(&mut answer, SUBJECT, &subject.digest.to_string());
        }
        if matches!(name, Name::Digest(_)) {
            for value in tags.iter().filter_map(|tag| HeaderValue::from_str(tag.as_str()).ok()) {
                answer.headers_mut().append(TAGS_MADE, value);
            }
        }
        Ok(answer)
    }

    /// `DELETE` of `manifests/NAME`: a tag, or a manifest with its tags.
    pub(super) async fn delete_manifest(&self, repository: &str, name: &Name) -> Handled {
        let store = self.deletable()?;
        if store.repository(repository).delete(name.clone()).await? {
            return Ok(answer::empty(StatusCode::ACCEPTED));
        }
        let asked = name.clone();
        let known = self.ask(Requested::plain(repository), move |backends, at| backends.has_manifest(at, &asked));
        Self::kept_below(known.await?)?;
        Err(Refusal::manifest_unknown(name))
    }

    /// Reads a manifest. Its bytes take room that all requests share; where there is none left, the client comes again.
    async fn read_manifest(&self, mut body: Incoming) -> Result<(Bytes, Vec<OwnedSemaphorePermit>), Refusal> {
        let limit = self.manifest_limit;
        let (mut whole, mut room, mut seen) = (BytesMut::new(), Vec::new(), 0);
        while seen <= limit.saturating_mul(PATIENCE)
            && let Some(frame) = body.frame().await
        {
            let broken = |_| Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, "the request broke off");
            let Ok(chunk) = frame.map_err(broken)?.into_data() else { continue };
            seen += chunk.len() as u64;
            if seen > limit {
                continue;
            }
            if whole.len() + chunk.len() > room.len() * ROOM {
                let missing = (whole.len() + chunk.len()).div_ceil(ROOM) - room.len();
                for _ in 0..missing {
                    let more = Arc::clone(&self.manifest_room).try_acquire_many_owned(KIB_OF_ROOM);
                    room.push(more.map_err(|_| too_many("the registry is busy with other manifests"))?);
                }
            }
            whole.extend_from_slice(&chunk);
        }
        if seen > limit {
            let message = format!("a manifest has {limit} bytes at the most here");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message));
        }
        Ok((whole.freeze(), room))
    }

    /// All that a manifest names must be there, except its subject and layers that may not be pushed.
    async fn check_named(&self, repository: &str, manifest: &Manifest) -> Result<(), Refusal> {
        if self.sparse {
            return Ok(());
        }
        let blobs: Vec<Descriptor> = manifest.blobs().filter(|blob| !blob.is_foreign()).cloned().collect();
        let children = manifest.children().to_vec();
        let work = move |backends: &Backends, at: Requested<'_>| {
            let mut missing = Vec::new();
            for blob in blobs {
                if backends.blob_size(at, &blob.digest)?.is_none() {
                    missing.push(blob);
                }
            }
            for child in children {
                let known = backends.has_manifest(at, &Name::Digest(child.digest))?
                    || (!media_type::is_manifest(&child.media_type)
                        && backends.blob_size(at, &child.digest)?.is_some());
                if !known {
                    missing.push(child);
                }
            }
            Ok(missing)
        };
        let missing = self.ask(Requested::plain(repository), work).await?;
        if missing.is_empty() { Ok(()) } else { Err(unknown(&missing)) }
    }

    /// Of tags that stay: none of them may be another manifest's, also in a bundle below the store.
    async fn check_tags(&self, repository: &str, tags: &[Tag], digest: Digest) -> Result<(), Refusal> {
        let tags = tags.to_vec();
        let work = move |backends: &Backends, at: Requested<'_>| {
            for tag in tags {
                let found = backends.document(at, &Name::Tag(tag.clone()))?;
                if found.is_some_and(|found| found.digest != digest) {
                    return Err(tag_taken(&tag));
                }
            }
            Ok(())
        };
        self.ask(Requested::plain(repository), work).await
    }

    pub(super) async fn has_blob(&self, repository: &str, digest: Digest) -> Result<bool, Refusal> {
        let size = self.ask(Requested::plain(repository), move |backends, at| backends.blob_size(at, &digest));
        Ok(size.await?.is_some())
    }
}

fn tag_taken(tag: &Tag) -> Refusal {
    let message = format!("the tag {tag} names another manifest already, and tags stay here");
    Refusal::new(StatusCode::CONFLICT, ErrorCode::TagInvalid, message)
}

fn asked_tags(name: &Name, query: &Query<'_>) -> Result<Vec<Tag>, Refusal> {
    if let Name::Tag(tag) = name {
        return Ok(vec![tag.clone()]);
    }
    let asked: Vec<&str> = query.all("tag").collect();
    if asked.len() > MAX_TAGS {
        let message = format!("{MAX_TAGS} tags at the most in one request");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported, message));
    }
    let mut tags = Vec::with_capacity(asked.len());
    for text in asked {
        let invalid =
            |_| Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, "one of the tags is not a tag");
        let tag = Tag::from_str(text).map_err(invalid)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

fn unknown(missing: &[Descriptor]) -> Refusal {
    let error = |named: &Descriptor| ErrorItem {
        code: ErrorCode::ManifestBlobUnknown,
        message: "the manifest names content that the repository does not have".to_owned(),
        detail: serde_json::json!({ "digest": named.digest, "mediaType": named.media_type }),
    };
    let errors = missing.iter().take(MAX_LISTED).map(error).collect();
    Refusal { status: StatusCode::BAD_REQUEST, errors, headers: Vec::new() }
}
