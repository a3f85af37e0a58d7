//! `index.json`: the artifacts of a bundle and the names they came by (image-spec 1.1, *image-layout.md*).

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use serde::{Deserialize, Serialize, de::IgnoredAny};

use super::{Error, Result};
use crate::oci::{
    Descriptor, Digest, Name, PeerText, Reference, Tag, media_type, reference::is_repository, weight::weigh,
};

/// The annotation by which image layouts name an artifact (image-spec 1.1, *annotations.md*).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation from which containerd takes the full name.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

/// Our annotation: the repository, with its host, in which an attached artifact was found.
pub const ATTACHED: &str = "io.airlift.attached.repository";

/// The host that is put to names which have none and are no short names either, as podman does.
const NO_HOST: &str = "localhost";

/// An exported artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The name it was asked for by.
    pub reference: Reference,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// A signature, SBOM or attestation: a manifest that came along because its `subject` is in the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// `host/repository` that it was found in.
    pub repository: String,
    /// Its manifest.
    pub descriptor: Descriptor,
}

/// What a bundle holds, sorted, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    roots: Vec<Root>,
    attached: Vec<Attached>,
    id: Digest,
    weight: u64,
    doubts: Vec<String>,
}

/// `index.json`, its fields in the order of canonical JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndexDocument {
    manifests: Vec<IndexItem>,
    media_type: String,
    schema_version: u32,
}

/// A descriptor in it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndexItem {
    annotations: BTreeMap<String, String>,
    digest: Digest,
    media_type: String,
    size: u64,
}

/// What is read of other tools' `index.json`. Any member may be `null`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ForeignDocument {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<Vec<ForeignItem>>,
    layers: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
}

/// A descriptor in it.
#[derive(Deserialize)]
struct ForeignItem {
    #[serde(flatten)]
    descriptor: Descriptor,
    data: Option<String>,
}

impl Index {
    /// Sorts `roots` by reference and `attached` by repository and digest, and merges doubles; of their descriptors the
    /// media type, digest and size are kept. One reference that names two things keeps the lesser digest: who asks for
    /// artifacts resolves a reference once.
    pub fn new(mut roots: Vec<Root>, mut attached: Vec<Attached>) -> Self {
        for root in &mut roots {
            root.descriptor = bare(&root.descriptor);
        }
        roots.sort_by_cached_key(|root| (root.reference.to_string(), root.descriptor.digest));
        roots.dedup_by(|b, a| a.reference == b.reference);
        for one in &mut attached {
            one.descriptor = bare(&one.descriptor);
        }
        attached.sort_by(|a, b| (&a.repository, a.descriptor.digest).cmp(&(&b.repository, b.descriptor.digest)));
        attached.dedup_by(|b, a| a.repository == b.repository && a.descriptor.digest == b.descriptor.digest);
        let json = encode(&roots, &attached);
        Self { roots, attached, id: Digest::sha256(&json), weight: weigh(&json), doubts: Vec::new() }
    }

    /// The exported artifacts, sorted by reference.
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The artifacts that came along with them, sorted by repository and digest.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Every top-level descriptor in the order of `index.json`: where walks of the bundle begin.
    pub fn descriptors(&self) -> impl DoubleEndedIterator<Item = &Descriptor> {
        let attached = self.attached.iter().map(|one| &one.descriptor);
        self.roots.iter().map(|root| &root.descriptor).chain(attached)
    }

    /// The root of that name, if there is one.
    pub fn find(&self, reference: &Reference) -> Option<&Root> {
        self.roots.iter().find(|root| root.reference == *reference)
    }

    /// The bundle id: the SHA-256 of `index.json`.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// What another tool's index says that readers may understand in different ways.
    pub(crate) fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// About how many bytes of memory it takes.
    pub(crate) const fn weight(&self) -> u64 {
        self.weight
    }

    /// Canonical JSON.
    pub fn to_json(&self) -> Vec<u8> {
        encode(&self.roots, &self.attached)
    }

    /// Reads an `index.json` of ours: exactly what [`Index::to_json`] writes.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let seal = |reason: String| Error::Seal { document: "index.json", reason };
        let document: IndexDocument = serde_json::from_slice(text).map_err(|error| seal(error.to_string()))?;
        let mut roots = Vec::new();
        let mut attached = Vec::new();
        for item in document.manifests {
            let descriptor = Descriptor::new(item.media_type, item.digest, item.size);
            if let Some(repository) = item.annotations.get(ATTACHED) {
                check_context(repository).map_err(seal)?;
                attached.push(Attached { repository: repository.clone(), descriptor });
            } else {
                let name = item.annotations.get(REF_NAME).map_or("", String::as_str);
                let reference: Reference = name.parse().map_err(|error| seal(format!("{error}")))?;
                roots.push(Root { reference, descriptor });
            }
        }
        let index = Self::new(roots, attached);
        if index.to_json() != text {
            return Err(seal("it is not canonical JSON, sorted and without doubles".to_owned()));
        }
        Ok(index)
    }

    /// Reads an `index.json` of any tool's. A descriptor that names no repository gets `localhost/<default>`, by its tag
    /// or, where it has none, by its digest; `default` is any text, such as the archive's file name.
    pub fn parse_foreign(text: &[u8], default: &str) -> Result<Self> {
        // Nothing was sealed there, so no seal is broken.
        let malformed = |reason: String| Error::Structure { offset: 0, entry: "index.json".to_owned(), reason };
        let json = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let document: ForeignDocument = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        let doubts = doubts(&document);
        let fallback = repository_from(default);
        let mut roots: Vec<Root> = Vec::new();
        let mut attached = Vec::new();
        let mut taken: HashMap<Reference, Digest> = HashMap::new();
        for ForeignItem { descriptor, .. } in document.manifests.into_iter().flatten() {
            if let Some(repository) = descriptor.annotations.get(ATTACHED).filter(|text| check_context(text).is_ok()) {
                attached.push(Attached { repository: repository.clone(), descriptor });
                continue;
            }
            let mut reference = foreign_name(&descriptor, &fallback).map_err(malformed)?;
            if taken.get(&reference).is_some_and(|digest| *digest != descriptor.digest) {
                // One name for several platforms, as some builders write it: each keeps a name of its own.
                let name = Name::Digest(descriptor.digest);
                reference = Reference::new(reference.registry(), reference.repository(), &name)
                    .map_err(|error| malformed(error.to_string()))?;
            }
            taken.insert(reference.clone(), descriptor.digest);
            roots.push(Root { reference, descriptor });
        }
        Ok(Self { id: Digest::sha256(text), weight: weigh(text), doubts, ..Self::new(roots, attached) })
    }
}

/// What two readers of `document` may understand in two ways: none of it is read differently here, but it may be elsewhere.
fn doubts(document: &ForeignDocument) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(version) = document.schema_version.filter(|&version| version != 2) {
        doubts.push(format!("its schemaVersion is {version}, not 2"));
    }
    if let Some(kind) = document.media_type.as_ref().filter(|kind| !kind.is_empty() && !media_type::is_index(kind)) {
        doubts.push(format!("it says that it is {}, not an index", PeerText(kind)));
    }
    if document.layers.is_some() || document.config.is_some() {
        doubts.push("it has the fields of an index and of a manifest at once".to_owned());
    }
    let mut names: HashMap<String, (&str, Digest)> = HashMap::new();
    for ForeignItem { descriptor, data } in document.manifests.iter().flatten() {
        let content = data.as_ref().map(|data| base64::engine::general_purpose::STANDARD.decode(data));
        if let Some(content) = content
            && content
                .ok()
                .is_none_or(|content| Digest::of(descriptor.digest.algorithm(), &content) != descriptor.digest)
        {
            doubts.push(format!("the data beside {} is other content", descriptor.digest));
        }
        let Some(name) = descriptor.annotations.get(REF_NAME) else { continue };
        if name.is_empty() {
            doubts.push(format!("the name of {} is empty", descriptor.digest));
        }
        match names.insert(name.to_lowercase(), (name, descriptor.digest)) {
            Some((other, _)) if other != name => {
                doubts.push(format!("the names {} and {} differ by case only", PeerText(other), PeerText(name)));
            }
            Some((_, digest)) if digest != descriptor.digest => {
                doubts.push(format!("{} names {digest} and {}", PeerText(name), descriptor.digest));
            }
            _ => {}
        }
    }
    doubts
}

fn bare(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(descriptor.media_type.clone(), descriptor.digest, descriptor.size)
}

fn encode(roots: &[Root], attached: &[Attached]) -> Vec<u8> {
    let item = |descriptor: &Descriptor, annotations: &[(&str, String)]| IndexItem {
        annotations: annotations.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        digest: descriptor.digest,
        media_type: descriptor.media_type.clone(),
        size: descriptor.size,
    };
    let roots = roots.iter().map(|root| {
        let name = root.reference.to_string();
        item(&root.descriptor, &[(REF_NAME, name.clone()), (IMAGE_NAME, name)])
    });
    let attached = attached.iter().map(|one| item(&one.descriptor, &[(ATTACHED, one.repository.clone())]));
    let document = IndexDocument {
        manifests: roots.chain(attached).collect(),
        media_type: media_type::OCI_INDEX.to_owned(),
        schema_version: 2,
    };
    serde_json::to_vec(&document).expect("strings and numbers serialise")
}

/// `host/repository`, as [`Reference::context`] writes it.
fn check_context(text: &str) -> Result<(), String> {
    let good = text.split_once('/').is_some_and(|(host, rest)| {
        !host.is_empty() && is_repository(rest) && context_of(host, rest) == Some(text.to_owned())
    });
    good.then_some(()).ok_or_else(|| format!("{text:?} is not a host and a repository"))
}

fn context_of(host: &str, repository: &str) -> Option<String> {
    Reference::new(host, repository, &Name::Tag(Tag::latest())).ok().map(|reference| reference.context().to_string())
}

/// The best name that another tool left on a descriptor.
fn foreign_name(descriptor: &Descriptor, fallback: &str) -> Result<Reference, String> {
    let full = descriptor.annotations.get(IMAGE_NAME).and_then(|name| name.parse::<Reference>().ok());
    if let Some(reference) = full {
        return Ok(reference);
    }
    let name = match descriptor.annotations.get(REF_NAME).map(|name| (name, name.parse::<Tag>())) {
        Some((_, Ok(tag))) => Name::Tag(tag),
        Some((name, Err(_))) => match name.parse::<Reference>() {
            Ok(reference) => return Ok(reference),
            Err(_) => Name::Digest(descriptor.digest),
        },
        None => Name::Digest(descriptor.digest),
    };
    Reference::new(NO_HOST, fallback, &name).map_err(|error| error.to_string())
}

/// A repository name made of any text, such as a file's name: lower case, other characters become dashes.
fn repository_from(text: &str) -> String {
    let mut name = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(128);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "archive".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    fn root(reference: &str, content: &[u8]) -> Root {
        Root { reference: reference.parse().unwrap(), descriptor: Descriptor::of(media_type::OCI_MANIFEST, content) }
    }

    fn attached(repository: &str, content: &[u8]) -> Attached {
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, content);
        Attached { repository: repository.to_owned(), descriptor }
    }

    #[test]
    fn the_order_of_asking_does_not_change_the_bytes() {
        let (a, b) = (root("r.example/a:1", b"a"), root("r.example/b:1", b"b"));
        let (s, t) = (attached("r.example/a", b"s"), attached("r.example/b", b"t"));
        let one = Index::new(vec![a.clone(), b.clone()], vec![s.clone(), t.clone()]);
        let two = Index::new(vec![b.clone(), a.clone(), b], vec![t.clone(), s, t]);
        assert_eq!(one.to_json(), two.to_json());
        assert_eq!(one, Index::parse(&one.to_json()).unwrap());
        assert_eq!(one.id(), Digest::sha256(&one.to_json()));
        assert_eq!(one.find(&a.reference), Some(&a));
    }

    #[test]
    fn only_the_canonical_form_is_ours() {
        let index = Index::new(
            vec![root("r.example/a:1", b"a"), root("r.example/b:1", b"b")],
            vec![attached("r.example/a", b"s")],
        );
        let json = String::from_utf8(index.to_json()).unwrap();
        for (from, to) in [
            ("{\"manifests\"", "{ \"manifests\""),
            ("r.example/a:1", "r.example/c:1"),
            ("\"schemaVersion\":2", "\"schemaVersion\":3"),
            ("\"schemaVersion\":2", "\"schemaVersion\":2,\"x\":1"),
            ("\"io.airlift.attached.repository\":\"r.example/a\"", "\"io.airlift.attached.repository\":\"../a\""),
            ("\"io.airlift.attached.repository\"", "\"io.airlift.attached.repositors\""),
            ("/vnd.oci.image.index", "/vnd.oci.image.indey"),
        ] {
            let changed = json.replacen(from, to, 1);
            assert_ne!(changed, json, "{from}");
            assert_eq!(Index::parse(changed.as_bytes()).unwrap_err().code(), Code::BundleSeal, "{changed}");
        }
    }

    #[test]
    fn names_of_other_tools_are_understood() {
        let digest = Digest::sha256(b"m");
        let read = |annotations: &str| {
            let text = format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"a/b","digest":"{digest}","size":1{annotations}}}]}}"#
            );
            Index::parse_foreign(text.as_bytes(), "My Image.tar").unwrap().roots()[0].reference.to_string()
        };
        assert_eq!(read(""), format!("localhost/my-image-tar@{digest}"));
        assert_eq!(read(r#","annotations":null"#), format!("localhost/my-image-tar@{digest}"));
        for (name, meant) in [
            ("latest", "localhost/my-image-tar:latest"),
            ("3.18", "localhost/my-image-tar:3.18"),
            ("alpine:3", "docker.io/library/alpine:3"),
            ("r.example/x:1", "r.example/x:1"),
        ] {
            assert_eq!(read(&format!(r#","annotations":{{"{REF_NAME}":"{name}"}}"#)), meant);
        }
        let both = format!(r#","annotations":{{"{REF_NAME}":"1","{IMAGE_NAME}":"r.example/y:1"}}"#);
        assert_eq!(read(&both), "r.example/y:1");
    }

    #[test]
    fn what_another_tool_left_open_is_read_and_what_is_ambiguous_is_told() {
        let item = |name: &str, content: &[u8]| {
            let digest = Digest::sha256(content);
            format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":1,"annotations":{{"{REF_NAME}":"{name}"}}}}"#)
        };
        let doubts = |text: &str| Index::parse_foreign(text.as_bytes(), "x").unwrap().doubts().join("; ");
        let list = |items: &[String]| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, items.join(","));
        for plain in [
            list(&[item("v1", b"1"), item("v2", b"2")]),
            "\u{feff}{\"schemaVersion\":2,\"manifests\":[]}".to_owned(),
            r#"{"schemaVersion":null,"mediaType":null,"manifests":null,"annotations":null}"#.to_owned(),
        ] {
            assert_eq!(doubts(&plain), "", "{plain}");
        }
        let with_data = item("v1", b"1").replacen('{', r#"{"data":"Mg==","#, 1);
        for (text, part) in [
            (list(&[item("v1", b"1"), item("v1", b"2")]), "v1 names"),
            (list(&[item("v1", b"1"), item("V1", b"1")]), "differ by case"),
            (list(&[item("", b"1")]), "is empty"),
            (list(&[with_data]), "other content"),
            (r#"{"schemaVersion":3,"manifests":[]}"#.to_owned(), "schemaVersion is 3"),
            (format!(r#"{{"mediaType":"{}","manifests":[]}}"#, media_type::OCI_MANIFEST), "not an index"),
            (r#"{"manifests":[],"layers":[]}"#.to_owned(), "at once"),
        ] {
            assert!(doubts(&text).contains(part), "{text}: {}", doubts(&text));
        }
        let wrong = Index::parse_foreign(b"{\"manifests\":1}", "x").unwrap_err();
        assert_eq!(wrong.code(), Code::BundleStructure);
    }

    #[test]
    fn one_foreign_name_for_two_manifests_loses_neither() {
        let item = |content: &[u8]| {
            let digest = Digest::sha256(content);
            format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":1,"annotations":{{"{REF_NAME}":"v1"}}}}"#)
        };
        let text = format!(r#"{{"manifests":[{},{},{}]}}"#, item(b"1"), item(b"2"), item(b"1"));
        let index = Index::parse_foreign(text.as_bytes(), "x").unwrap();
        assert_eq!(index.roots().len(), 2);
    }
}
