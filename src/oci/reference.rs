//! References: how people and tools name an artifact.
//!
//! Parsing is that of the `oci-distribution` crate (the grammar of `distribution/reference`), narrowed by our own
//! [`Digest`], so that a reference never carries a digest which could not name a blob. What is written out in full, as
//! everything in a bundle is, is read without it (`in_full`).

use std::{cmp::Ordering, fmt, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    digest::{Digest, ParseDigestError},
    repository::Repository,
};

/// Longest tag the distribution-spec allows, in characters.
const MAX_TAG: usize = 128;

/// Longest repository name, in characters; the limit of `distribution/reference`.
const MAX_REPOSITORY: usize = 255;

/// Why a text names no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReferenceError {
    /// The text does not have the form `[host/]repository[:tag][@digest]`.
    #[error("{text:?} is not a reference: {reason}")]
    Malformed {
        /// What was given.
        text: String,
        /// The grammar's complaint.
        reason: String,
    },
    /// The digest is malformed or of an unknown algorithm.
    #[error("{text:?} is not a reference")]
    Digest {
        /// What was given.
        text: String,
        /// What is wrong with its digest.
        source: ParseDigestError,
    },
    /// Not `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    #[error("{0:?} is not a tag")]
    Tag(String),
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec 1.1, "Pulling manifests").
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The tag that tools assume where none is written.
    pub fn latest() -> Self {
        Self("latest".to_owned())
    }

    /// The tag under which clients keep the referrers of `subject` where a registry has no referrers API
    /// (distribution-spec 1.1, "Referrers tag schema"): the digest with `-` for `:`, cut to the tag's length.
    pub fn referrers_fallback(subject: &Digest) -> Self {
        Self(fallback_stem(subject))
    }

    /// The tags by which cosign attaches a signature, attestations and SBOMs to `subject`.
    pub fn cosign(subject: &Digest) -> [Self; 3] {
        let stem = fallback_stem(subject);
        ["sig", "att", "sbom"].map(|suffix| Self(format!("{stem}.{suffix}")))
    }

    /// Whether it is a tag of one of those forms, so that it names what is attached, if anything.
    pub fn is_of_attached(&self) -> bool {
        let stem = ["sig", "att", "sbom"].iter().find_map(|suffix| self.0.strip_suffix(suffix)?.strip_suffix('.'));
        let parts = stem.unwrap_or(&self.0).split_once('-');
        parts.is_some_and(|(_, hex)| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `alg-hex`, the hex part cut to 64 characters as the referrers tag schema has it.
fn fallback_stem(subject: &Digest) -> String {
    format!("{}-{:.64}", subject.algorithm(), subject.hex())
}

impl FromStr for Tag {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good = match text.as_bytes() {
            [first, rest @ ..] => {
                word(*first) && rest.len() < MAX_TAG && rest.iter().all(|&b| word(b) || b == b'.' || b == b'-')
            }
            [] => false,
        };
        good.then(|| Self(text.to_owned())).ok_or_else(|| ParseReferenceError::Tag(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a manifest is asked for by, within a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// A name that can move.
    Tag(Tag),
    /// A name that cannot.
    Digest(Digest),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A full reference: host, repository, and a tag, a digest or both. Displayed as `host/repository[:tag][@digest]`.
///
/// `docker.io` short names are completed (`alpine` is `docker.io/library/alpine:latest`), as every tool does.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses what a person typed. `default_registry` is the host for a reference that names none.
    ///
    /// A first part counts as a host when it holds a dot or a colon, or is `localhost`.
    pub fn parse(text: &str, default_registry: Option<&str>) -> Result<Self, ParseReferenceError> {
        match default_registry {
            Some(registry) if !names_host(text) => format!("{registry}/{text}").parse(),
            _ => text.parse(),
        }
    }

    /// The reference of `repository` on `registry` by `name`; the parts must be valid together.
    pub fn new(registry: &str, repository: &str, name: &Name) -> Result<Self, ParseReferenceError> {
        match name {
            Name::Tag(tag) => format!("{registry}/{repository}:{tag}").parse(),
            Name::Digest(digest) => format!("{registry}/{repository}@{digest}").parse(),
        }
    }

    /// The host, with its port if any: `docker.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        self.repository.registry()
    }

    /// The repository below the host: `library/alpine`.
    pub fn repository(&self) -> &str {
        self.repository.path()
    }

    /// The tag, if any.
    pub const fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if any.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What the manifest is asked for by: the digest where there is one, for it is exact; else the tag.
    pub fn name(&self) -> Name {
        match (self.digest, &self.tag) {
            (Some(digest), _) => Name::Digest(digest),
            (None, Some(tag)) => Name::Tag(tag.clone()),
            (None, None) => Name::Tag(Tag::latest()),
        }
    }

    /// `host/repository`, which two artifacts of one repository share.
    pub const fn context(&self) -> &Repository {
        &self.repository
    }
}

impl Repository {
    /// The repository `path` on `registry`; the parts must be valid together.
    pub fn new(registry: &str, path: &str) -> Result<Self, ParseReferenceError> {
        format!("{registry}/{path}").parse()
    }

    /// The artifact of that name in this repository.
    pub fn named(&self, name: &Name) -> Reference {
        let (tag, digest) = match name {
            Name::Tag(tag) => (Some(tag.clone()), None),
            Name::Digest(digest) => (None, Some(*digest)),
        };
        Reference { repository: self.clone(), tag, digest }
    }
}

impl FromStr for Repository {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The grammar of references knows best which part is the host; the name stands for any.
        let reference: Reference = format!("{text}:{}", Tag::latest()).parse()?;
        Ok(reference.repository)
    }
}

/// Whether `name` is a repository name (distribution-spec 1.1, "Pulling manifests"): lower-case words joined by `.`, `_`,
/// `__` or dashes, in parts joined by `/`, of 255 characters at the most.
pub fn is_repository(name: &str) -> bool {
    name.len() <= MAX_REPOSITORY && name.split('/').all(is_repository_part)
}

fn is_repository_part(part: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_in_words = |bytes: &[u8]| bytes.first().is_some_and(word) && bytes.last().is_some_and(word);
    let joined = |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|&b| b == b'-');
    ends_in_words(part.as_bytes())
        && part.as_bytes().chunk_by(|a, b| word(a) == word(b)).all(|run| run.iter().all(word) || joined(run))
}

/// Whether the first part of a typed reference is a host.
fn names_host(text: &str) -> bool {
    text.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}

/// Reads `host/repository[:tag][@digest]`. `None` where the grammar must be asked: for short names, and for what is wrong.
///
/// The grammar is a regular expression that takes longer to build than most bundles take to open, and a bundle names
/// every artifact in full.
fn in_full(text: &str) -> Option<Reference> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().ok()?)),
        None => (text, None),
    };
    let (registry, rest) = rest.split_once('/')?;
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag.parse().ok()?)),
        None => (rest, None),
    };
    // Docker's registry has names that stand for other ones.
    let is_short = registry == "index.docker.io" || registry == "docker.io" && !repository.contains('/');
    if is_short || !is_host(registry) || !is_repository(repository) {
        return None;
    }
    let tag = tag.or_else(|| digest.is_none().then(Tag::latest));
    Some(Reference { repository: Repository::of(registry, repository), tag, digest })
}

/// Whether `text` is a host and perhaps a port, and can be nothing else at the start of a reference.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_known_by_its_form = name.contains('.') || port.is_some() || name == "localhost";
    is_known_by_its_form && name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// What to write instead, where a text is written as other programs or documents write it.
fn slip(text: &str) -> Option<String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        return Some(format!("leave out \"{scheme}://\" and write {:?}", rest.trim_end_matches('/')));
    }
    let named = text.split_once('@').map_or(text, |(named, _)| named);
    let (_, tag) = named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let written = text.replace(tag, &tag.replace('+', "_"));
    tag.contains('+').then(|| format!("a tag has no \"+\"; Helm stores such a version with \"_\": {written:?}"))
}

/// A host as the first part of a repository's name, where neither a colon nor a bracket can stand: `registry.example-5000`
/// for `registry.example:5000`, `0-0-0-0-0-0-0-1-5000` for `[::1]:5000`.
pub fn host_as_part(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let plain = match bracketed.and_then(|(address, port)| Some((address.parse::<Ipv6Addr>().ok()?, port))) {
        Some((address, port)) => address.segments().map(|word| format!("{word:x}")).join(":") + port,
        None => host,
    };
    plain.replace(':', "-")
}

/// Reads a reference by the grammar.
fn by_grammar(text: &str) -> Result<Reference, ParseReferenceError> {
    let parsed: oci_distribution::Reference = text.parse().map_err(|error: oci_distribution::ParseError| {
        ParseReferenceError::Malformed { text: text.to_owned(), reason: error.to_string() }
    })?;
    let digest = parsed
        .digest()
        .map(Digest::from_str)
        .transpose()
        .map_err(|source| ParseReferenceError::Digest { text: text.to_owned(), source })?;
    if !is_repository(parsed.repository()) {
        // The crate takes a first part without a dot for a host by its grammar and for a path by its meaning.
        let reason = format!("{:?} is not a repository name (lower case only)", parsed.repository());
        return Err(ParseReferenceError::Malformed { text: text.to_owned(), reason });
    }
    Ok(Reference {
        repository: Repository::of(parsed.registry(), parsed.repository()),
        tag: parsed.tag().map(Tag::from_str).transpose()?,
        digest,
    })
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(read) = in_full(text) {
            return Ok(read);
        }
        match slip(text) {
            Some(reason) => Err(ParseReferenceError::Malformed { text: text.to_owned(), reason }),
            None => by_grammar(text),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// By text: a bundle's index is sorted by reference, and a reader of the index sees only text.
impl Ord for Reference {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
