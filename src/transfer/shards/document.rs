//! The plan as a file (docs/plan-format.md): every name resolved, every manifest, and the cut into volumes.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{
    super::export::{Foreign, Request},
    Error,
};
use crate::{
    bundle::{
        self, Absent, Contents, Facts, Index, assemble,
        volume::{Cut, Size, pack},
    },
    oci::{
        Digest, Reference,
        canonical::{is_written_as, sha256_of},
    },
};

/// The version that this code writes and reads.
const VERSION: u64 = 1;

/// What its member `type` says.
const KIND: &str = "airlift-plan";

/// Largest plan that is read, in bytes: its manifests are bounded as those of a bundle are.
pub const LIMIT: u64 = 512 << 20;

/// What was asked for. Fields stand in the order of canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedList {
    /// Names, sorted, each once.
    pub artifacts: Vec<Reference>,
    /// Whether non-distributable layers are carried.
    pub foreign: bool,
    /// Platforms to keep, sorted; none keeps all.
    pub platforms: Vec<String>,
    /// Whether signatures, SBOMs and attestations belong to it.
    pub referrers: bool,
}

impl PlannedList {
    /// What `request` asks for.
    pub fn of(request: &Request) -> Self {
        let mut artifacts = request.artifacts.clone();
        artifacts.sort_by_cached_key(ToString::to_string);
        artifacts.dedup();
        let mut platforms: Vec<String> = request.platforms.iter().map(ToString::to_string).collect();
        platforms.sort();
        platforms.dedup();
        Self { artifacts, foreign: request.foreign == Foreign::Include, platforms, referrers: request.referrers }
    }
}

/// A manifest in the document: base64, made when it is written, and taken out of the text when that is read.
#[derive(Deserialize)]
#[serde(transparent)]
struct Base64<'a>(#[serde(borrow)] Cow<'a, str>);

/// A manifest that is written in base64.
struct InBase64<'a>(&'a Bytes);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for InBase64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

/// The document, whose manifests are of type `M`. Fields stand in the order of canonical JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanDocument<M> {
    absent: Vec<Absent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Digest>,
    index: Value,
    list: PlannedList,
    manifests: BTreeMap<Digest, M>,
    set: Cut,
    #[serde(rename = "type")]
    kind: String,
    version: u64,
}

/// The members that tell what a document is.
#[derive(Deserialize)]
struct AnyPlan {
    #[serde(rename = "type")]
    kind: Option<String>,
    version: Option<u64>,
}

/// A plan of a set of volumes.
#[derive(Clone, Debug)]
pub struct PlanFile {
    id: Digest,
    set: Digest,
    list: PlannedList,
    contents: Contents,
    cut: Cut,
}

impl PlanFile {
    /// Cuts what was resolved for `request` into volumes of at most `size` bytes.
    ///
    /// # Errors
    /// The size is too small, or the contents contradict themselves.
    pub fn new(request: &Request, contents: Contents, size: Size) -> Result<Self, bundle::Error> {
        let cut = pack(&contents, size)?;
        let set = set_id(&contents, &cut)?;
        let mut plan = Self { id: set, set, list: PlannedList::of(request), contents, cut };
        plan.id = sha256_of(&plan.document(None)?);
        Ok(plan)
    }

    /// The SHA-256 of the plan without its own member `id`: two plans with the same id are the same work.
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// The id of the set that follows from it.
    pub const fn set(&self) -> Digest {
        self.set
    }

    /// What was asked for.
    pub const fn list(&self) -> &PlannedList {
        &self.list
    }

    /// The registries that the artifacts are in.
    pub fn registries(&self) -> BTreeSet<&str> {
        self.contents.index.roots().iter().map(|root| root.reference.registry()).collect()
    }

    /// The artifacts with their manifests.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// How they are cut.
    pub const fn cut(&self) -> &Cut {
        &self.cut
    }

    /// Takes the parts.
    pub(super) fn into_parts(self) -> (Contents, Cut) {
        (self.contents, self.cut)
    }

    /// Checks that `asked` is what the plan at `place` was made of.
    ///
    /// # Errors
    /// It is not.
    pub fn check_list(&self, asked: &PlannedList, size: Option<Size>, place: &str) -> Result<(), Error> {
        if self.list == *asked && size.is_none_or(|size| size.0 == self.cut.size) {
            return Ok(());
        }
        let lacks = |list: &PlannedList, other: &PlannedList| {
            list.artifacts.iter().find(|one| !other.artifacts.contains(one)).cloned().map(Box::new)
        };
        let (more, less) = (lacks(asked, &self.list), lacks(&self.list, asked));
        let is_asked = more.is_some();
        Err(Error::OtherList { place: place.to_owned(), artifact: more.or(less), is_asked })
    }

    fn document(&self, id: Option<Digest>) -> Result<PlanDocument<InBase64<'_>>, bundle::Error> {
        let order = self.contents.order()?;
        let manifests = order.manifests.iter().map(|(one, manifest)| (one.digest, InBase64(manifest.raw())));
        Ok(PlanDocument {
            manifests: manifests.collect(),
            absent: order.absent,
            id,
            index: serde_json::from_slice(&self.contents.index.to_json()).unwrap_or_default(),
            list: self.list.clone(),
            set: self.cut.clone(),
            kind: KIND.to_owned(),
            version: VERSION,
        })
    }

    /// Canonical JSON.
    ///
    /// # Errors
    /// As [`Contents::order`].
    ///
    /// # Panics
    /// Never: strings and numbers can always be written.
    pub fn to_json(&self) -> Result<Vec<u8>, bundle::Error> {
        Ok(serde_json::to_vec(&self.document(Some(self.id))?).expect("strings and numbers serialise"))
    }

    /// Reads the plan that is at `place`: canonical, of a known version, and with the id that follows from it.
    ///
    /// # Errors
    /// It is not.
    pub fn parse(text: &[u8], place: &str) -> Result<Self, Error> {
        let malformed = |reason: String| Error::Malformed { place: place.to_owned(), reason };
        let AnyPlan { kind, version } = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if kind.as_deref() != Some(KIND) {
            return Err(malformed(format!("its type is not {KIND}")));
        }
        match version {
            Some(VERSION) => {}
            Some(found) => return Err(Error::Version { place: place.to_owned(), found, known: VERSION }),
            None => return Err(malformed("it has no version".to_owned())),
        }
        let mut document: PlanDocument<Base64<'_>> =
            serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
        if !is_written_as(&document, text) {
            return Err(malformed("it is not canonical JSON".to_owned()));
        }
        let said = document.id.take();
        let id = sha256_of(&document);
        if said != Some(id) {
            let said = said.map_or_else(|| "none".to_owned(), |said| said.to_string());
            return Err(malformed(format!("expected the id {id}, got {said}")));
        }
        Self::of_document(document, id).map_err(|error| malformed(error.to_string()))
    }

    /// The plan in `text` with the id that follows from it, for what is behind the check of the id.
    #[cfg(feature = "testing")]
    pub fn resealed(text: &[u8]) -> Option<Vec<u8>> {
        let mut document: PlanDocument<Base64<'_>> = serde_json::from_slice(text).ok()?;
        document.id = None;
        document.id = Some(sha256_of(&document));
        serde_json::to_vec(&document).ok()
    }

    fn of_document(document: PlanDocument<Base64<'_>>, id: Digest) -> Result<Self, bundle::Error> {
        let PlanDocument { absent, index, list, manifests, set: cut, .. } = document;
        let index = serde_json::to_vec(&index).unwrap_or_default();
        let wrong = |reason: &str| bundle::Error::Seal { document: "the plan", reason: reason.to_owned() };
        let mut raw: HashMap<Digest, Bytes> = HashMap::with_capacity(manifests.len());
        for (digest, text) in manifests {
            let bytes = BASE64.decode(text.0.as_bytes()).map_err(|_| wrong("a manifest is not base64"))?;
            raw.insert(digest, bytes.into());
        }
        let contents = assemble(Index::parse(&index)?, absent, raw)?;
        if contents.order()?.absent.iter().ne(contents.absent.values()) {
            return Err(wrong("what it says to be absent is not what the manifests name"));
        }
        cut.place(contents.order()?.blobs, |_, _, _| {})?;
        Ok(Self { set: set_id(&contents, &cut)?, id, list, contents, cut })
    }
}

/// The id of the set that is cut so.
fn set_id(contents: &Contents, cut: &Cut) -> Result<Digest, bundle::Error> {
    Ok(Facts::of_volume(contents.index.id(), contents.order()?.absent, cut.clone(), 1, Vec::new()).set_id())
}
