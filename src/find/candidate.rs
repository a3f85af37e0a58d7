//! Which texts can be references, judged by the text alone.

use crate::oci::Reference;

/// Longest text that is looked at as one reference: a host, a repository of 255 characters, a tag of 128, a digest.
const MAX_LENGTH: usize = 640;

/// Endings of files, which are no tags and no repositories.
const FILE_ENDINGS: [&str; 22] = [
    ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".iso", ".img", ".qcow2", ".raw", ".vmdk", ".ova",
    ".vhd", ".tar", ".tgz", ".gz", ".zip", ".yaml", ".yml", ".json", ".sh",
];

/// A text that is a reference by its grammar, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that hold or not, in any combination")]
pub(super) struct PossibleReference {
    pub(super) reference: Reference,
    /// The first part is a host: it has a dot or a port, or is `localhost`.
    pub(super) has_host: bool,
    /// A tag is written.
    pub(super) has_tag: bool,
    /// A digest is written.
    pub(super) has_digest: bool,
    /// It has more than one part.
    pub(super) has_slash: bool,
}

impl PossibleReference {
    /// Reads `text` as a reference. `None` where it is none, is a file, or holds a variable.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = ["docker://", "oci://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let lower = text.to_ascii_lowercase();
        if text.is_empty() || text.len() > MAX_LENGTH || FILE_ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
            return None;
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') {
            return None;
        }
        let reference: Reference = text.parse().ok()?;
        let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
        let has_slash = named.contains('/');
        let first = named.split('/').next().unwrap_or_default();
        Some(Self {
            reference,
            has_host: has_slash && (first.contains(['.', ':']) || first == "localhost"),
            has_tag: named.rsplit('/').next().is_some_and(|last| last.contains(':')),
            has_digest: digest.is_some(),
            has_slash,
        })
    }

    /// It says which version: by a tag or a digest.
    pub(super) const fn is_exact(&self) -> bool {
        self.has_tag || self.has_digest
    }

    /// It looks like a reference whatever its place: a host that can be one, and a version.
    ///
    /// Without a host `name:word` is anything, and `host:8080/path` is an address.
    pub(super) fn stands_alone(&self) -> bool {
        self.has_host && self.is_exact() && is_plausible_host(self.reference.registry())
    }
}

/// Whether `host` has a port, is `localhost`, or ends as the name of a host does: in letters.
fn is_plausible_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    // Labels and API groups: `kubernetes.io/os:linux`.
    let is_label = name == "kubernetes.io" || name.ends_with(".kubernetes.io");
    let is_group = name.ends_with("k8s.io") && !name.starts_with("registry");
    if is_label || is_group {
        return false;
    }
    let is_domain = name.contains('.') && last.len() >= 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_domain || (port.is_some() && (is_address || name == "localhost"))
}

/// Whether `text` holds a variable or a template, so that it says nothing by itself.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("${") || text.contains("$(") || text.contains("<%") || text.contains("###")
}

/// The words of a longer text that may be references, for arguments, scripts and prose.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_outside = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '`' | '=' | ',' | ';' | '(' | ')' | '<' | '>' | '|' | '[' | ']' | '\\')
    };
    text.split(is_outside)
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| word.len() > 4 && word.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_alone_has_a_host_and_a_version() {
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for text in [
            "quay.io/a/b:1",
            "r.example:5000/a:1",
            "localhost:5000/a:1",
            "10.0.0.1:5000/a:v1",
            &format!("r.example/a@{digest}"),
        ] {
            assert!(PossibleReference::read(text).unwrap().stands_alone(), "{text}");
        }
        for text in [
            "nginx:1",
            "a/b:1",
            "quay.io/a/b",
            "v1.2/a:1",
            "1.2.3.4/a:1",
            "localhost/a:1",
            "kubernetes.io/os:linux",
            "node.k8s.io/v1:x",
        ] {
            assert!(!PossibleReference::read(text).is_some_and(|candidate| candidate.stands_alone()), "{text}");
        }
    }

    #[test]
    fn files_addresses_and_names_of_roles_are_none() {
        for text in [
            "https://example.com/a:1",
            "/var/lib/a:1",
            "images/logo.png",
            "./a",
            "UPPER/a:1",
            "a b",
            "*",
            "a/*:1",
            "system:kube-scheduler:admin",
            "rbac.authorization.k8s.io/v1/x:y z",
            "{{ .Values.image }}",
        ] {
            assert_eq!(PossibleReference::read(text), None, "{text}");
        }
    }

    #[test]
    fn words_of_a_command_are_taken_apart() {
        let all: Vec<_> = words("--image=quay.io/a/b:1 --x \"r.example/c:2\", see quay.io/d/e:3.").collect();
        assert_eq!(all, ["quay.io/a/b:1", "r.example/c:2", "quay.io/d/e:3"]);
    }
}
