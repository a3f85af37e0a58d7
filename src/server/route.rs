//! What a path means. Pure, and the only place that takes a path apart.
//!
//! Repository names have any depth and may hold words like `blobs` or `tags` themselves, so a path is split from its
//! right end, where the fixed words stand.

use std::str::FromStr;

use crate::oci::{Digest, Name, Tag, reference::is_repository};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/`: the page for people.
    Page,
    /// `/healthz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/token`: where a client changes its password for a token.
    Token,
    /// `/v2/`: whether this is a registry.
    Base,
    /// `/v2/_catalog`.
    Catalog,
    /// Something of a repository.
    Repository(&'a str, Endpoint<'a>),
}

/// What a repository has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `manifests/NAME`.
    Manifest(Name),
    /// `blobs/DIGEST`.
    Blob(Digest),
    /// `blobs/uploads/`.
    Uploads,
    /// `blobs/uploads/ID`; whether there is such an upload is not the route's business.
    Upload(&'a str),
    /// `tags/list`.
    Tags,
    /// `referrers/DIGEST`.
    Referrers(Digest),
}

/// Why a path means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// No path of this API.
    #[error("there is nothing here")]
    Unknown,
    /// The repository's name breaks the grammar.
    #[error(
        "this is not a repository name: lower-case words joined by '.', '_', '__', '-' or '/', 255 characters at most"
    )]
    Name,
    /// A digest breaks the grammar, or its algorithm is unknown.
    #[error("this is not a digest: sha256 or sha512, a colon, and lower-case hexadecimal digits")]
    Digest,
    /// Neither a tag nor a digest.
    #[error("this is neither a tag nor a digest")]
    Reference,
}

/// Reads a path as it stood in the request line, without its query.
///
/// Nothing is decoded: no character of a valid path needs to be, except that some clients write a digest's colon `%3A`.
pub fn parse(path: &str) -> Result<Route<'_>, RouteError> {
    let rest = match path {
        "/" => return Ok(Route::Page),
        "/healthz" => return Ok(Route::Health),
        "/metrics" => return Ok(Route::Metrics),
        "/token" => return Ok(Route::Token),
        "/v2" | "/v2/" => return Ok(Route::Base),
        "/v2/_catalog" => return Ok(Route::Catalog),
        path => path.strip_prefix("/v2/").ok_or(RouteError::Unknown)?,
    };
    let (repository, kind, last) = split(rest).ok_or(RouteError::Unknown)?;
    if !is_repository(repository) {
        return Err(RouteError::Name);
    }
    let resource = match kind {
        "manifests" => Endpoint::Manifest(name(last)?),
        "referrers" => Endpoint::Referrers(digest(last)?),
        "tags" => Endpoint::Tags,
        "uploads" if last.is_empty() => Endpoint::Uploads,
        "uploads" => Endpoint::Upload(last),
        _ => Endpoint::Blob(digest(last)?),
    };
    Ok(Route::Repository(repository, resource))
}

/// Repository, kind and last segment of what follows `/v2/`.
fn split(rest: &str) -> Option<(&str, &str, &str)> {
    let (head, last) = rest.rsplit_once('/')?;
    let (repository, kind) = head.rsplit_once('/')?;
    match (kind, last) {
        ("blobs", "uploads") => Some((repository, "uploads", "")),
        ("tags", "list") | ("manifests" | "referrers" | "blobs", _) => Some((repository, kind, last)),
        ("uploads", _) => Some((repository.strip_suffix("/blobs")?, kind, last)),
        _ => None,
    }
}

fn name(text: &str) -> Result<Name, RouteError> {
    if text.contains(':') || text.contains('%') {
        return digest(text).map(Name::Digest);
    }
    Tag::from_str(text).map(Name::Tag).map_err(|_| RouteError::Reference)
}

fn digest(text: &str) -> Result<Digest, RouteError> {
    let parsed = match text.split_once('%') {
        Some((algorithm, rest)) => {
            let hex = rest.strip_prefix("3A").or_else(|| rest.strip_prefix("3a")).ok_or(RouteError::Digest)?;
            format!("{algorithm}:{hex}").parse()
        }
        None => text.parse(),
    };
    parsed.map_err(|_| RouteError::Digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 6] = ["blobs", "uploads", "manifests", "tags", "list", "referrers"];

    fn digest_of(text: &str) -> Digest {
        Digest::sha256(text.as_bytes())
    }

    #[test]
    fn names_may_hold_the_words_of_the_api() {
        let digest = digest_of("x");
        for (path, repository, resource) in [
            ("/v2/a/tags/list", "a", Endpoint::Tags),
            ("/v2/tags/list/tags/list", "tags/list", Endpoint::Tags),
            ("/v2/a/blobs/uploads/", "a", Endpoint::Uploads),
            ("/v2/a/blobs/uploads", "a", Endpoint::Uploads),
            ("/v2/a/blobs/blobs/uploads/1-2", "a/blobs", Endpoint::Upload("1-2")),
            (
                "/v2/a/blobs/uploads/manifests/v1",
                "a/blobs/uploads",
                Endpoint::Manifest(Name::Tag("v1".parse().unwrap())),
            ),
            (&format!("/v2/a/b/blobs/{digest}"), "a/b", Endpoint::Blob(digest)),
            (&format!("/v2/a/blobs/sha256%3A{}", digest.hex()), "a", Endpoint::Blob(digest)),
            (&format!("/v2/a/referrers/{digest}"), "a", Endpoint::Referrers(digest)),
        ] {
            assert_eq!(parse(path), Ok(Route::Repository(repository, resource)), "{path}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_apart() {
        for (path, mistake) in [
            ("/v3/", RouteError::Unknown),
            ("/v2/a", RouteError::Unknown),
            ("/v2/a/tags/other", RouteError::Unknown),
            ("/v2/tags/list", RouteError::Unknown),
            ("/v2/a/uploads/1", RouteError::Unknown),
            ("/v2/../manifests/v1", RouteError::Name),
            ("/v2/a/../../etc/manifests/v1", RouteError::Name),
            ("/v2/a%2f..%2f..%2fb/manifests/v1", RouteError::Name),
            ("/v2/A/manifests/v1", RouteError::Name),
            ("/v2//manifests/v1", RouteError::Name),
            ("/v2/a/manifests/", RouteError::Reference),
            ("/v2/a/manifests/.v1", RouteError::Reference),
            ("/v2/a/manifests/sha256:12", RouteError::Digest),
            ("/v2/a/manifests/%2e%2e", RouteError::Digest),
            ("/v2/a/blobs/v1", RouteError::Digest),
            ("/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", RouteError::Digest),
            ("/v2/a/referrers/", RouteError::Digest),
        ] {
            assert_eq!(parse(path), Err(mistake), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_name_with_any_resource_is_read_back(
            parts in proptest::collection::vec(prop_oneof![proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
                "[a-z0-9]{1,5}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}"], 1..5),
            tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
            which in 0..6,
        ) {
            let repository = parts.join("/");
            let digest = digest_of(&tag);
            let (tail, resource) = match which {
                0 => (format!("manifests/{tag}"), Endpoint::Manifest(Name::Tag(tag.parse().unwrap()))),
                1 => (format!("manifests/{digest}"), Endpoint::Manifest(Name::Digest(digest))),
                2 => (format!("blobs/{digest}"), Endpoint::Blob(digest)),
                3 => ("blobs/uploads/".to_owned(), Endpoint::Uploads),
                4 => (format!("blobs/uploads/{tag}"), Endpoint::Upload(&tag)),
                _ => (format!("referrers/{digest}"), Endpoint::Referrers(digest)),
            };
            let path = format!("/v2/{repository}/{tail}");
            prop_assert_eq!(parse(&path), Ok(Route::Repository(&repository, resource)));
        }

        #[test]
        fn no_path_makes_a_name_that_leaves_its_place(path in "/v2/([a-z./%2fF]|blobs|manifests|:){0,40}") {
            if let Ok(Route::Repository(repository, _)) = parse(&path) {
                prop_assert!(is_repository(repository));
            }
        }
    }
}
