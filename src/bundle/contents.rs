//! What a bundle is a pure function of, and the order in which its content lies in the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Absent, Error, Facts, Index, Result, index::is_content};
use crate::oci::{
    Descriptor, Digest, Manifest,
    graph::{Budget, walk},
};

/// What the manifests of one bundle may cost, each once. With all that is made of them (the plan of the file, the list of
/// what is to be hashed, a tree for people) a run stays below 256 MiB.
pub(crate) const DOCUMENTS: Budget = Budget { manifests: 100_000, descriptors: 200_000, bytes: 96 << 20, depth: 64 };

/// Everything the bytes of a bundle follow from, but for the blobs' own.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The artifacts.
    pub index: Index,
    /// Every manifest that the index leads to and that is not absent. Others may be here too; they are not used.
    pub manifests: HashMap<Digest, Manifest>,
    /// What is left out on purpose. Others than the manifests name may be here too; they are not used.
    pub absent: BTreeMap<Digest, Absent>,
}

/// The content of a bundle in the order of the file.
#[derive(Debug)]
#[non_exhaustive]
pub struct Order<'a> {
    /// Manifests by first use: from each top-level descriptor down, before its children, children in document order;
    /// each with the descriptor that led to it first.
    pub manifests: Vec<(&'a Descriptor, &'a Manifest)>,
    /// Configs by first use, then layers by first use; each as it is described there.
    pub blobs: Vec<&'a Descriptor>,
    /// What the manifests name and is absent on purpose, by digest.
    pub absent: Vec<Absent>,
    /// Manifests that are neither there nor absent on purpose. A bundle of ours has none.
    pub missing: Vec<Descriptor>,
}

impl Contents {
    /// Text in the manifests that is made to deceive a reader at a terminal.
    pub(crate) fn deceptions(&self) -> Vec<Error> {
        let tops = self.index.descriptors();
        let manifests = self.manifests.values();
        let named = manifests.flat_map(|one| one.children().iter().chain(one.blobs()).chain([one.descriptor()]));
        let deceptive =
            tops.chain(named).flat_map(|one| one.deceptive().map(|(field, text)| (one.digest, field, text)));
        let found: BTreeSet<_> = deceptive.map(|(digest, field, text)| (digest, field, text.to_owned())).collect();
        found.into_iter().map(|(digest, field, text)| Error::Text { digest, field, text }).collect()
    }

    /// Manifests that carry something else in a descriptor's `data` than the content of its digest: readers differ in which of
    /// the two they take.
    pub(crate) fn inline_doubts(&self) -> Vec<String> {
        let mut doubts = BTreeSet::new();
        for manifest in self.manifests.values().filter(|manifest| may_inline(manifest.raw())) {
            let document: serde_json::Value = serde_json::from_slice(manifest.raw()).unwrap_or_default();
            let lists =
                ["manifests", "layers", "blobs"].into_iter().filter_map(|list| document[list].as_array()).flatten();
            for descriptor in lists.chain([&document["config"], &document["subject"]]) {
                let (data, digest) = (descriptor["data"].as_str(), descriptor["digest"].as_str());
                let Some((data, digest)) = data.zip(digest.and_then(|digest| digest.parse().ok())) else { continue };
                if !is_content(data, &digest) {
                    doubts.insert(format!(
                        "manifest {} has data beside {digest} that is other content",
                        manifest.digest()
                    ));
                }
            }
        }
        doubts.into_iter().collect()
    }

    /// `airlift.json` of the bundle.
    pub fn facts(&self) -> Result<Facts> {
        Ok(Facts::new(self.index.id(), self.order()?.absent))
    }

    /// The content in the order of the file.
    ///
    /// # Errors
    /// Two descriptors say different sizes of one digest, or the manifests are more than a bundle may have.
    pub fn order(&self) -> Result<Order<'_>> {
        let mut account = DOCUMENTS.open();
        account.spend(self.index.weight())?;
        let tops: Vec<&Descriptor> = self.index.descriptors().collect();
        let mut missing = Vec::new();
        let walked = walk(tops.iter().copied(), &mut account, |descriptor, _| {
            if self.absent.contains_key(&descriptor.digest) {
                return Ok(None);
            }
            let manifest = self.manifests.get(&descriptor.digest);
            if manifest.is_none() {
                missing.push(descriptor.clone());
            }
            Ok::<_, Error>(manifest)
        })?;
        let manifests = walked.described(&tops);
        let mut named = NamedContent { contents: self, known: HashMap::new(), absent: BTreeMap::new() };
        let children = manifests.iter().flat_map(|(_, manifest)| manifest.children());
        for one in tops.into_iter().chain(children) {
            named.agree(one)?;
            named.is_absent(one);
        }
        for (descriptor, manifest) in &manifests {
            let (digest, expected, actual) = (descriptor.digest, descriptor.size, manifest.raw().len() as u64);
            if actual != expected {
                return Err(Error::SizeMismatch { digest, expected, actual });
            }
        }
        for (_, manifest) in &manifests {
            named.take(manifest.descriptor())?;
        }
        let mut blobs = Vec::new();
        let configs = manifests.iter().filter_map(|(_, manifest)| manifest.config());
        let layers = manifests.iter().flat_map(|(_, manifest)| manifest.layers());
        for blob in configs.chain(layers) {
            named.agree(blob)?;
            if !named.is_absent(blob) && named.take(blob)? {
                blobs.push(blob);
            }
        }
        Ok(Order { manifests, blobs, absent: named.absent.into_values().collect(), missing })
    }
}

/// What is said of content, as far as it was seen.
struct NamedContent<'a> {
    contents: &'a Contents,
    /// The size of each, and whether it has its place in the order.
    known: HashMap<&'a Digest, (u64, bool)>,
    absent: BTreeMap<Digest, Absent>,
}

impl<'a> NamedContent<'a> {
    /// All that is said of one digest must be the same size.
    fn agree(&mut self, descriptor: &'a Descriptor) -> Result<&mut bool> {
        let (expected, taken) = self.known.entry(&descriptor.digest).or_insert((descriptor.size, false));
        if *expected == descriptor.size {
            return Ok(taken);
        }
        Err(Error::SizeMismatch { digest: descriptor.digest, expected: *expected, actual: descriptor.size })
    }

    /// Gives it its place in the order, unless it has one.
    fn take(&mut self, descriptor: &'a Descriptor) -> Result<bool> {
        Ok(!std::mem::replace(self.agree(descriptor)?, true))
    }

    fn is_absent(&mut self, descriptor: &Descriptor) -> bool {
        let Some(absent) = self.contents.absent.get(&descriptor.digest) else { return false };
        // The manifests' word counts: a reader compares what follows from them with what the file says.
        self.absent.insert(descriptor.digest, Absent { size: descriptor.size, ..absent.clone() });
        true
    }
}

/// Whether a document may have a member `data`; most have none, and need not be read again.
fn may_inline(raw: &[u8]) -> bool {
    raw.windows(6).any(|window| window == b"\"data\"")
}
