//! Pushing and deleting manifests and tags (distribution-spec, "Pushing Manifests", "Content Management").

use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use http_body_util::BodyExt;

use super::{
    Incoming, Registry,
    answer::{self, Failure, Outcome},
    query::Query,
    shelf::{At, Shelf},
};
use crate::oci::{
    Algorithm, Descriptor, Manifest, Name, Tag,
    error_code::{ErrorCode, ErrorItem},
    media_type,
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

/// Missing blobs that a refusal lists.
const MAX_LISTED: usize = 100;

impl Registry {
    /// `PUT` of `manifests/NAME`.
    pub(super) async fn push_manifest(
        &self,
        repository: &str,
        name: &Name,
        query: &Query<'_>,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Outcome {
        let target = self.writable()?.repository(repository);
        let tags = asked_tags(name, query)?;
        let bytes = self.read_manifest(headers, body).await?;
        let algorithm = match name {
            Name::Digest(digest) => digest.algorithm(),
            Name::Tag(_) => Algorithm::Sha256,
        };
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let manifest = Manifest::parse_as(bytes, content_type, algorithm)
            .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, error.to_string()))?;
        if !answer::is_inert(manifest.media_type()) {
            let message = "a manifest has a media type that begins with application/ and is none that browsers show";
            return Err(Failure::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, message)
                .with_detail(serde_json::json!({ "mediaType": manifest.media_type() })));
        }
        if matches!(name, Name::Digest(digest) if *digest != manifest.digest()) {
            let failure =
                Failure::new(StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid, "the manifest has another digest");
            return Err(
                failure.with_detail(serde_json::json!({ "expected": name.to_string(), "actual": manifest.digest() }))
            );
        }
        self.check_named(repository, &manifest)?;
        target.put(&manifest, &tags).await?;

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
    pub(super) async fn delete_manifest(&self, repository: &str, name: &Name) -> Outcome {
        let store = self.deletable()?;
        if store.repository(repository).delete(name.clone()).await? {
            return Ok(answer::empty(StatusCode::ACCEPTED));
        }
        self.kept_below(self.shelves.has_manifest(At::plain(repository), name)?)?;
        Err(Failure::manifest_unknown(name))
    }

    async fn read_manifest(&self, headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Failure> {
        let limit = self.manifest_limit;
        let told = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let mut whole = BytesMut::with_capacity(usize::try_from(told.unwrap_or(0).min(limit)).unwrap_or(0));
        let mut seen = 0;
        while seen <= limit.saturating_mul(PATIENCE)
            && let Some(frame) = body.frame().await
        {
            let broken = |_| Failure::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, "the request broke off");
            let Ok(chunk) = frame.map_err(broken)?.into_data() else { continue };
            seen += chunk.len() as u64;
            if seen <= limit {
                whole.extend_from_slice(&chunk);
            }
        }
        if seen > limit {
            let message = format!("a manifest has {limit} bytes at the most here");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid, message));
        }
        Ok(whole.freeze())
    }

    /// All that a manifest names must be there, except its subject and layers that may not be pushed.
    fn check_named(&self, repository: &str, manifest: &Manifest) -> Result<(), Failure> {
        if self.sparse {
            return Ok(());
        }
        let mut missing = Vec::new();
        for blob in manifest.blobs().filter(|blob| !blob.is_foreign()) {
            if !self.has_blob(repository, &blob.digest)? {
                missing.push(blob);
            }
        }
        for child in manifest.children() {
            let known = self.shelves.has_manifest(At::plain(repository), &Name::Digest(child.digest))?
                || (!media_type::is_manifest(&child.media_type) && self.has_blob(repository, &child.digest)?);
            if !known {
                missing.push(child);
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(unknown(&missing)) }
    }

    pub(super) fn has_blob(&self, repository: &str, digest: &crate::oci::Digest) -> Result<bool, Failure> {
        Ok(self.shelves.blob_size(At::plain(repository), digest)?.is_some())
    }
}

fn asked_tags(name: &Name, query: &Query<'_>) -> Result<Vec<Tag>, Failure> {
    if let Name::Tag(tag) = name {
        return Ok(vec![tag.clone()]);
    }
    let asked: Vec<&str> = query.all("tag").collect();
    if asked.len() > MAX_TAGS {
        let message = format!("{MAX_TAGS} tags at the most in one request");
        return Err(Failure::new(StatusCode::URI_TOO_LONG, ErrorCode::Unsupported, message));
    }
    let mut tags = Vec::with_capacity(asked.len());
    for text in asked {
        let invalid =
            |_| Failure::new(StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid, "one of the tags is not a tag");
        let tag = Tag::from_str(text).map_err(invalid)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(tags)
}

fn unknown(missing: &[&Descriptor]) -> Failure {
    let error = |named: &&Descriptor| ErrorItem {
        code: ErrorCode::ManifestBlobUnknown,
        message: "the manifest names content that the repository does not have".to_owned(),
        detail: serde_json::json!({ "digest": named.digest, "mediaType": named.media_type }),
    };
    let errors = missing.iter().take(MAX_LISTED).map(error).collect();
    Failure { status: StatusCode::BAD_REQUEST, errors, headers: Vec::new() }
}
