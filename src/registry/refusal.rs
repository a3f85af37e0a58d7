//! Why a manifest or a blob is refused, where the registry's answer has a reason that people meet and can act on.

use reqwest::StatusCode;

use crate::oci::{Manifest, Name, error_code::ErrorCode, media_type::IMAGE_CONFIGS};

use super::{
    detail::Detail,
    error::{At, Error},
};

/// The error for a manifest that was refused under `name`.
pub(super) fn of_manifest(error: Error, name: &Name, manifest: &Manifest) -> Error {
    let error = of_blob(of_push(error), manifest.raw().len() as u64);
    let has_urls = manifest.layers().iter().any(|layer| layer.is_foreign() || !layer.urls.is_empty());
    let is_tag = matches!(name, Name::Tag(_));
    match error {
        // distribution answers with 500 UNKNOWN where an address is not on its list.
        Error::Server { at, status: 500, detail, .. } | Error::Refused { at, detail, .. }
            if has_urls && speaks_of_blobs(&detail) =>
        {
            Error::ForeignRefused { at, detail }
        }
        Error::Refused { at, status, detail } if is_tag && speaks_of_a_tag(status, &detail) => {
            Error::TagImmutable { at, detail }
        }
        Error::Denied { at, detail } if is_tag && speaks_of_a_tag(StatusCode::FORBIDDEN.as_u16(), &detail) => {
            Error::TagImmutable { at, detail }
        }
        Error::Refused { at, detail, .. } if !manifest.children().is_empty() && lacks_content(&detail) => {
            Error::SparseRefused { at, detail }
        }
        Error::Refused { at, status, detail } if is_artifact(manifest) && refuses_a_kind(status, &detail) => {
            Error::AttachedRefused { at, detail }
        }
        error => error,
    }
}

/// The error for a push into a repository, by manifest or by upload, that is not found.
pub(super) fn of_push(error: Error) -> Error {
    match error {
        // What takes no writes and answers with a page is a web server. One that limits or forbids may stand before a registry.
        Error::NotFound { at, detail } | Error::Refused { at, status: 400 | 405 | 411 | 501, detail }
            if detail.is_page() =>
        {
            Error::WebPage { at, detail }
        }
        Error::NotFound { at, detail } if !lacks_content(&detail) => Error::NoRepository { at, detail },
        error => error,
    }
}

/// The error for a body of `bytes` that something in front of the registry did not let through.
pub(super) fn of_blob(error: Error, bytes: u64) -> Error {
    match error {
        Error::Refused { at, status: 413, detail } if detail.is_vague() => {
            let proxy = at.address().to_owned();
            Error::BodyLimit { at, proxy, bytes, detail }
        }
        error => error,
    }
}

/// Whether a registry only has not seen yet what was pushed a moment ago, as those on eventual storage do.
pub(super) fn may_lag(error: &Error) -> bool {
    matches!(error, Error::Refused { detail, .. } | Error::NotFound { detail, .. } if lacks_content(detail))
}

fn lacks_content(detail: &Detail) -> bool {
    let codes = [ErrorCode::ManifestBlobUnknown, ErrorCode::ManifestUnknown, ErrorCode::BlobUnknown];
    codes.iter().any(|code| detail.has(code))
}

fn speaks_of_blobs(detail: &Detail) -> bool {
    let codes = [ErrorCode::ManifestInvalid, ErrorCode::ManifestBlobUnknown, ErrorCode::BlobUnknown];
    detail.is_vague() || codes.iter().any(|code| detail.has(code))
}

/// ECR, Harbor, Google, Azure, Quay and Artifactory each have words and a status of their own for a tag that is fixed.
fn speaks_of_a_tag(status: u16, detail: &Detail) -> bool {
    let words = detail.to_string().to_ascii_lowercase();
    let says =
        ["immutab", "already exists", "overwrit", "write-disabled", "locked"].iter().any(|word| words.contains(word));
    matches!(status, 409 | 412) || says
}

fn refuses_a_kind(status: u16, detail: &Detail) -> bool {
    let codes = [ErrorCode::ManifestInvalid, ErrorCode::Unsupported];
    matches!(status, 400 | 405 | 406 | 415 | 422 | 501)
        && (detail.is_vague() || codes.iter().any(|code| detail.has(code)))
}

/// Whether the manifest is attached to another one, or no image.
fn is_artifact(manifest: &Manifest) -> bool {
    let kind = manifest.descriptor().artifact_type.as_deref();
    manifest.subject().is_some() || kind.is_some_and(|kind| !IMAGE_CONFIGS.contains(&kind))
}

impl At {
    /// The host, with its port, that was asked.
    pub(super) fn address(&self) -> &str {
        self.via.as_deref().unwrap_or(&self.registry)
    }
}
