//! References that are written in parts: `registry`, `repository`, `tag` and `digest` side by side.

use super::{
    candidate::{PossibleReference, is_template},
    context::ImageDefaults,
    finding::Confidence,
    keys,
    tree::{Id, ValueTree},
};

/// The mapping that is looked at.
pub(super) struct Members<'a> {
    pub(super) tree: &'a ValueTree,
    pub(super) entries: &'a [(&'a str, Id)],
    /// Its own key, or one above it, speaks of images.
    pub(super) speaks_of_images: bool,
    /// What a missing tag stands for in a chart.
    pub(super) app_version: Option<&'a str>,
    /// What the chart says for all of its images.
    pub(super) defaults: &'a ImageDefaults,
}

/// What the parts amount to.
#[derive(Debug)]
pub(super) enum PartedReference {
    /// A reference, with the value that names its repository.
    Whole { candidate: PossibleReference, confidence: Confidence, rule: &'static str, at: Id },
    /// A name without a tag, or with a variable in it.
    Incomplete { text: String, reason: &'static str, at: Id },
}

/// A text in parts: each with the value that holds it.
#[derive(Default)]
struct Pieces<'a> {
    host: Option<&'a str>,
    repository: Option<(&'a str, Id)>,
    /// A second part of the repository.
    image: Option<&'a str>,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
    /// A member for the tag exists, even if it is empty.
    has_tag_member: bool,
    /// The repository is what a member `name` says.
    is_name: bool,
    /// A template puts the tag together from more than one member.
    has_tag_affix: bool,
}

const HOSTS: [&str; 4] = ["registry", "hub", "imageregistry", "registryhost"];
const REPOSITORIES: [&str; 4] = ["repository", "repo", "imagerepository", "imagerepo"];
const NAMES: [&str; 3] = ["image", "imagename", "name"];
const TAGS: [&str; 4] = ["tag", "imagetag", "imageversion", "version"];
const DIGESTS: [&str; 6] = ["digest", "sha", "sha256", "imagedigest", "imagesha", "digesthash"];

impl<'a> Members<'a> {
    /// The reference that the members make up together, if any, and those with a prefix (`proxyImage`, `proxyImageTag`).
    pub(super) fn parts(&self) -> Vec<PartedReference> {
        let plain: Vec<(String, Id)> = self.entries.iter().map(|(key, id)| (keys::plain(key), *id)).collect();
        let mut found: Vec<PartedReference> = self.whole(&plain).into_iter().collect();
        for (key, _) in &plain {
            if let Some(prefix) = key.strip_suffix("imagetag").filter(|prefix| !prefix.is_empty()) {
                found.extend(self.prefixed(&plain, prefix));
            }
        }
        found
    }

    fn text(&self, plain: &[(String, Id)], name: &str) -> Option<(&'a str, Id)> {
        let (_, id) = plain.iter().find(|(key, _)| key == name)?;
        self.tree.text(*id).map(|text| (text.trim(), *id))
    }

    fn first(&self, plain: &[(String, Id)], names: &[&str]) -> Option<(&'a str, Id)> {
        names.iter().filter_map(|name| self.text(plain, name)).find(|(text, _)| is_given(text))
    }

    fn whole(&self, plain: &[(String, Id)]) -> Option<PartedReference> {
        let tags = if self.speaks_of_images { &TAGS[..] } else { &TAGS[..3] };
        let mut pieces = Pieces {
            host: self.first(plain, &HOSTS).map(|(text, _)| text),
            tag: self.first(plain, tags).map(|(text, _)| text),
            digest: self.first(plain, &DIGESTS).map(|(text, _)| text),
            has_tag_member: plain.iter().any(|(key, _)| TAGS[..3].contains(&key.as_str())),
            has_tag_affix: plain.iter().any(|(key, _)| matches!(key.as_str(), "tagprefix" | "tagsuffix")),
            ..Pieces::default()
        };
        let names = if self.speaks_of_images { &NAMES[..] } else { &NAMES[..2] };
        let title = self.first(plain, names);
        if let Some(repository) = self.first(plain, &REPOSITORIES) {
            pieces.repository = Some(repository);
            pieces.image = title.map(|(text, _)| text).filter(|_| plain.iter().any(|(key, _)| key == "image"));
        } else {
            pieces.repository = title;
            pieces.is_name = self.text(plain, "image").is_none_or(|(text, _)| !is_given(text));
        }
        let is_in_parts =
            pieces.has_tag_member || pieces.tag.is_some() || pieces.digest.is_some() || pieces.host.is_some();
        let has_repository = plain.iter().any(|(key, _)| REPOSITORIES.contains(&key.as_str()));
        (is_in_parts || (self.speaks_of_images && has_repository)).then(|| self.join(&pieces)).flatten()
    }

    fn prefixed(&self, plain: &[(String, Id)], prefix: &str) -> Option<PartedReference> {
        let named = |suffix: &str| self.text(plain, &format!("{prefix}{suffix}")).filter(|(text, _)| is_given(text));
        let pieces = Pieces {
            host: named("imageregistry").map(|(text, _)| text),
            repository: ["image", "imagename", "imagerepository", "imagerepo"].iter().find_map(|suffix| named(suffix)),
            tag: named("imagetag").map(|(text, _)| text),
            digest: ["imagedigest", "imagesha"].iter().find_map(|suffix| named(suffix)).map(|(text, _)| text),
            image: None,
            has_tag_member: true,
            is_name: false,
            has_tag_affix: false,
        };
        // A registry and one word more are defaults to be completed, such as `defaultImageRegistry` and its kin.
        let is_default = pieces.host.is_some() && !pieces.repository.is_some_and(|(text, _)| text.contains('/'));
        let confidence = if is_default { Confidence::Guess } else { Confidence::Likely };
        match self.join(&pieces)? {
            PartedReference::Whole { candidate, rule: "image-parts", at, .. } => {
                Some(PartedReference::Whole { candidate, confidence, rule: "image-parts", at })
            }
            parts => Some(parts),
        }
    }

    fn join(&self, pieces: &Pieces<'_>) -> Option<PartedReference> {
        let (repository, at) = pieces.repository?;
        if is_no_repository(repository) {
            return None;
        }
        let mut name = repository
            .strip_prefix("oci://")
            .or_else(|| repository.strip_prefix("docker://"))
            .unwrap_or(repository)
            .to_owned();
        let is_word = pieces.is_name && !name.contains('/');
        if let Some(namespace) = self.defaults.namespace.as_ref().filter(|_| is_word) {
            name = format!("{namespace}/{name}");
        }
        if let Some(host) = pieces.host.or(self.defaults.registry.as_deref()).filter(|_| !has_host(&name)) {
            name = format!("{}/{name}", host.trim_end_matches('/'));
        }
        if let Some(image) = pieces.image {
            name = format!("{name}/{image}");
        }
        let is_placed = self.speaks_of_images || pieces.host.is_some() || has_host(&name);
        let is_whole = pieces.image.is_none() && !pieces.has_tag_affix && (!is_word || has_host(&name));
        let mut confidence = if is_placed && is_whole { Confidence::Likely } else { Confidence::Guess };
        let mut rule = "image-parts";
        let already = PossibleReference::read(&name).is_some_and(|candidate| candidate.is_exact());
        if already {
            let candidate = PossibleReference::read(&name)?;
            return Some(PartedReference::Whole { candidate, confidence, rule, at });
        }
        let mut text = name.clone();
        let default_tag = self.defaults.tag.as_deref().filter(|_| pieces.digest.is_none());
        if let Some(tag) = pieces.tag.or(default_tag) {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = pieces.digest {
            text = format!("{text}@{}", with_algorithm(digest));
        }
        if is_template(&text) {
            return is_placed.then_some(PartedReference::Incomplete { text, reason: "it holds a variable", at });
        }
        if pieces.tag.is_none() && pieces.digest.is_none() && default_tag.is_none() {
            match self.app_version.filter(|_| pieces.has_tag_member || self.speaks_of_images) {
                Some(version) => {
                    text = format!("{name}:{version}");
                    confidence = Confidence::Guess;
                    rule = "app-version";
                }
                None if is_placed && PossibleReference::read(&name).is_some_and(|candidate| candidate.has_slash) => {
                    return Some(PartedReference::Incomplete { text: name, reason: "no tag is given", at });
                }
                None => return None,
            }
        }
        PossibleReference::read(&text).map(|candidate| PartedReference::Whole { candidate, confidence, rule, at })
    }
}

fn is_given(text: &str) -> bool {
    !text.is_empty() && !matches!(text, "null" | "~" | "\"\"")
}

fn has_host(name: &str) -> bool {
    name.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}

/// Addresses of Git and of chart repositories, and paths.
fn is_no_repository(text: &str) -> bool {
    let is_address = text.contains("://") && !text.starts_with("oci://") && !text.starts_with("docker://");
    is_address
        || text.starts_with("git@")
        || text.strip_suffix(".git").is_some()
        || text.starts_with(['/', '.', '@'])
        || text.contains(' ')
}

/// A digest as it is written in references; some charts leave out `sha256:`.
fn with_algorithm(digest: &str) -> String {
    let is_hex = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { format!("sha256:{digest}") } else { digest.to_owned() }
}
