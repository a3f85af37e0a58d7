//! What a bundle is a pure function of, and the order in which its content lies in the file.

use std::collections::{BTreeMap, HashMap, HashSet, hash_map::Entry};

use super::{Absent, Error, Facts, Index, Result};
use crate::oci::{Descriptor, Digest, Manifest};

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
    /// Configs by first use, then layers by first use.
    pub blobs: Vec<Descriptor>,
    /// What the manifests name and is absent on purpose, by digest.
    pub absent: Vec<Absent>,
    /// Manifests that are neither there nor absent on purpose. A bundle of ours has none.
    pub missing: Vec<Descriptor>,
}

impl Contents {
    /// `airlift.json` of the bundle.
    pub fn facts(&self) -> Result<Facts> {
        Ok(Facts::new(self.index.id(), self.order()?.absent))
    }

    /// The content in the order of the file.
    ///
    /// # Errors
    /// Two descriptors say different sizes of one digest.
    pub fn order(&self) -> Result<Order<'_>> {
        let mut walk = Walk { contents: self, sizes: HashMap::new(), absent: BTreeMap::new(), missing: Vec::new() };
        let manifests = walk.manifests()?;
        let mut taken: HashSet<Digest> = manifests.iter().map(|(_, manifest)| manifest.digest()).collect();
        let mut blobs = Vec::new();
        let configs = manifests.iter().filter_map(|(_, manifest)| manifest.config());
        let layers = manifests.iter().flat_map(|(_, manifest)| manifest.layers());
        for blob in configs.chain(layers) {
            walk.agree(blob)?;
            if !walk.is_absent(blob) && taken.insert(blob.digest) {
                blobs.push(Descriptor::new(blob.media_type.clone(), blob.digest, blob.size));
            }
        }
        Ok(Order { manifests, blobs, absent: walk.absent.into_values().collect(), missing: walk.missing })
    }
}

struct Walk<'a> {
    contents: &'a Contents,
    sizes: HashMap<Digest, u64>,
    absent: BTreeMap<Digest, Absent>,
    missing: Vec<Descriptor>,
}

impl<'a> Walk<'a> {
    fn manifests(&mut self) -> Result<Vec<(&'a Descriptor, &'a Manifest)>> {
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        // A stack of our own: how deep indexes nest is the content's choice.
        let mut stack: Vec<&Descriptor> = self.contents.index.descriptors().rev().collect();
        while let Some(descriptor) = stack.pop() {
            self.agree(descriptor)?;
            if self.is_absent(descriptor) || !seen.insert(descriptor.digest) {
                continue;
            }
            let Some(manifest) = self.contents.manifests.get(&descriptor.digest) else {
                self.missing.push(descriptor.clone());
                continue;
            };
            let actual = manifest.raw().len() as u64;
            if actual != descriptor.size {
                return Err(Error::SizeMismatch { digest: descriptor.digest, expected: descriptor.size, actual });
            }
            order.push((descriptor, manifest));
            stack.extend(manifest.children().iter().rev());
        }
        Ok(order)
    }

    /// All that is said of one digest must be the same size.
    fn agree(&mut self, descriptor: &Descriptor) -> Result<()> {
        match self.sizes.entry(descriptor.digest) {
            Entry::Vacant(entry) => {
                entry.insert(descriptor.size);
            }
            Entry::Occupied(entry) if *entry.get() == descriptor.size => {}
            Entry::Occupied(entry) => {
                let (expected, actual) = (*entry.get(), descriptor.size);
                return Err(Error::SizeMismatch { digest: descriptor.digest, expected, actual });
            }
        }
        Ok(())
    }

    fn is_absent(&mut self, descriptor: &Descriptor) -> bool {
        let Some(absent) = self.contents.absent.get(&descriptor.digest) else { return false };
        // The manifests' word counts: a reader compares what follows from them with what the file says.
        self.absent.insert(descriptor.digest, Absent { size: descriptor.size, ..absent.clone() });
        true
    }
}
