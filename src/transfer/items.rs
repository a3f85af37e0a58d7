//! The plan of an import: each artifact of the bundles with everything that goes with it and its name in the target.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use super::{destination::Renaming, error::Error, named::NamedBlob, rewrite, supply::ArtifactSupply};
use crate::{
    bundle::{BundledArtifact, Contents, Graph},
    content,
    oci::{Descriptor, Digest, Manifest, Reference, Repository, Tag, media_type},
};

/// One artifact to import.
#[derive(Clone, Debug)]
pub(super) struct ImportItem {
    /// Its name in the bundle.
    pub(super) reference: Reference,
    /// Its name in the target.
    pub(super) target: Reference,
    /// Its root in the bundle; the one that goes to the target is the last of `manifests`.
    pub(super) digest: Digest,
    /// Its manifests, children before those that name them.
    pub(super) manifests: Vec<Manifest>,
    /// What is attached to it, each after its subject.
    pub(super) attached: Vec<Manifest>,
    /// Its configs and layers, each once, without those that the bundle leaves out.
    pub(super) blobs: Vec<NamedBlob>,
    /// Blobs that the bundle leaves out because the target has them.
    pub(super) assumed: Vec<NamedBlob>,
    /// Which of the supplies it is in.
    pub(super) supply: usize,
    /// Blobs that another one of the supplies has instead.
    pub(super) elsewhere: HashMap<Digest, usize>,
    /// Artifacts of the run of which any has what this one is attached to by cosign's tag; none for most.
    pub(super) after: Vec<usize>,
}

impl ImportItem {
    /// The root as it will be in the target.
    pub(super) fn root(&self) -> &Manifest {
        self.manifests.last().expect("an artifact has at least its root")
    }

    /// Which of the supplies has a blob of it.
    pub(super) fn supply_of(&self, blob: &Digest) -> usize {
        self.elsewhere.get(blob).copied().unwrap_or(self.supply)
    }

    /// Takes what the bundle leaves to the target from another one of the supplies, where that has it.
    fn overlay(&mut self, supplies: &[Arc<dyn ArtifactSupply>]) {
        for blob in std::mem::take(&mut self.assumed) {
            let mut others = (0..supplies.len()).filter(|&at| at != self.supply);
            match others.find(|&at| supplies[at].brings(&blob.digest)) {
                Some(at) => {
                    self.elsewhere.insert(blob.digest, at);
                    self.blobs.push(blob);
                }
                None => self.assumed.push(blob),
            }
        }
    }

    /// Bytes of its blobs.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

/// Every artifact of `supplies`, by target name. The same artifact in two of them counts once.
pub(super) fn items(
    supplies: &[Arc<dyn ArtifactSupply>],
    renaming: &Renaming,
    rewrite_foreign: bool,
) -> Result<(Vec<ImportItem>, Vec<String>), Error> {
    let mut by_target: BTreeMap<Reference, ImportItem> = BTreeMap::new();
    let mut warnings = Vec::new();
    for (at, supply) in supplies.iter().enumerate() {
        let contents = supply.contents();
        let graph = Graph::of(contents);
        for member in graph.members()? {
            let item = ImportItem { supply: at, ..item(contents, &graph, &member, renaming, rewrite_foreign)? };
            if item.root().digest() != item.digest {
                warnings.push(rewrite_warning(&item));
            }
            match by_target.get(&item.target) {
                Some(other) if other.root().digest() != item.root().digest() => {
                    let (first, second) = (Box::new(other.reference.clone()), Box::new(item.reference));
                    return Err(Error::Collision { first, second, target: Box::new(item.target) });
                }
                Some(_) => {}
                None => {
                    by_target.insert(item.target.clone(), item);
                }
            }
        }
    }
    let mut items: Vec<ImportItem> = by_target.into_values().collect();
    for item in &mut items {
        item.overlay(supplies);
    }
    for rule in &renaming.rules {
        if !items.iter().any(|item| rule.matches(&item.reference)) {
            warnings
                .push(format!("{rule} renames nothing: no artifact has a repository that begins with {}", rule.from));
        }
    }
    let after = attached_by_tag(&items);
    for (item, after) in items.iter_mut().zip(after) {
        item.after = after;
    }
    Ok((items, warnings))
}

/// By item, the items of its repository that hold what its tag says it is attached to. cosign ties a signature to an image
/// by nothing else, so a signature is an artifact of its own, and would otherwise arrive without its image.
fn attached_by_tag(items: &[ImportItem]) -> Vec<Vec<usize>> {
    let mut holders: HashMap<(Repository, Tag), Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let manifests = item.manifests.iter().chain(&item.attached).map(Manifest::digest);
        let digests: HashSet<Digest> = manifests.chain([item.digest]).collect();
        for tag in digests.iter().flat_map(Tag::cosign) {
            holders.entry((item.target.context().clone(), tag)).or_default().push(at);
        }
    }
    let tagged = |item: &ImportItem| {
        let tag = item.target.tag()?.clone();
        holders.get(&(item.target.context().clone(), tag)).cloned()
    };
    let mut after: Vec<Vec<usize>> = items.iter().map(|item| tagged(item).unwrap_or_default()).collect();
    untangle(&mut after);
    after
}

/// Takes away what would let artifacts wait for each other in a circle: tags are free names, and may say so.
fn untangle(after: &mut [Vec<usize>]) {
    let mut free: HashSet<usize> = (0..after.len()).filter(|&at| after[at].is_empty()).collect();
    loop {
        // Each may wait for those only that were found before it.
        let next: Vec<usize> = (0..after.len())
            .filter(|at| !free.contains(at) && after[*at].iter().any(|one| free.contains(one)))
            .collect();
        if next.is_empty() {
            break;
        }
        for &at in &next {
            after[at].retain(|one| free.contains(one));
        }
        free.extend(next);
    }
    for (at, after) in after.iter_mut().enumerate() {
        if !free.contains(&at) {
            after.clear();
        }
    }
}

fn rewrite_warning(item: &ImportItem) -> String {
    let mut text = format!(
        "{}: foreign layers made distributable, {} became {}",
        item.reference,
        item.digest,
        item.root().digest()
    );
    if !item.attached.is_empty() {
        text.push_str("; what is attached to it (signatures, SBOMs) speaks of the digest before");
    }
    text
}

fn item(
    contents: &Contents,
    graph: &Graph<'_>,
    member: &BundledArtifact<'_>,
    renaming: &Renaming,
    rewrite_foreign: bool,
) -> Result<ImportItem, Error> {
    let (reference, digest) = (&member.root.reference, member.root.descriptor.digest);
    let missing = || content::Error::NotFound { what: format!("manifest {digest} of {reference}") };
    if !contents.manifests.contains_key(&digest) {
        return Err(missing().into());
    }
    let mut manifests: Vec<Manifest> = member.manifests.children_first().copied().cloned().collect();
    let own: HashSet<Digest> = manifests.iter().map(Manifest::digest).collect();
    // A child that is left out on purpose is named as such; of any other child it is not known what was lost.
    let mut children = manifests.iter().flat_map(Manifest::children);
    let lacks = |child: &&Descriptor| {
        let known = contents.manifests.contains_key(&child.digest) || contents.absent.contains_key(&child.digest);
        !known && media_type::is_manifest(&child.media_type)
    };
    if let Some(child) = children.find(lacks) {
        return Err(crate::bundle::Error::Missing { digest: child.digest }.into());
    }
    let attached = graph.attached(member)?;
    let attached = attached.children_first().filter(|manifest| !own.contains(&manifest.digest()));
    let attached: Vec<Manifest> = attached.copied().cloned().collect();
    if rewrite_foreign {
        let rewritten = rewrite::foreign(&manifests).map_err(content::Error::from)?;
        for manifest in &mut manifests {
            if let Some(new) = rewritten.get(&manifest.digest()) {
                *manifest = new.clone();
            }
        }
    }
    let (blobs, assumed) = blobs(manifests.iter().chain(&attached), contents);
    let target = manifests.last().map_or(digest, Manifest::digest);
    let target = renaming
        .reference(reference, target)
        .map_err(|source| Error::Rename { artifact: Box::new(reference.clone()), source })?;
    Ok(ImportItem {
        reference: reference.clone(),
        target,
        digest,
        manifests,
        attached,
        blobs,
        assumed,
        supply: 0,
        elsewhere: HashMap::new(),
        after: Vec::new(),
    })
}

/// The blobs that `manifests` name: those in the bundle, and those that it leaves to the target.
fn blobs<'a>(manifests: impl Iterator<Item = &'a Manifest>, contents: &Contents) -> (Vec<NamedBlob>, Vec<NamedBlob>) {
    let mut seen = HashSet::new();
    let mut present = Vec::new();
    let mut assumed = Vec::new();
    for manifest in manifests {
        for (place, blob) in manifest.blobs().enumerate() {
            if !seen.insert(blob.digest) {
                continue;
            }
            match contents.absent.get(&blob.digest).map(|absent| absent.reason) {
                None => present.extend(NamedBlob::of(manifest, place)),
                Some(crate::bundle::Reason::Delta) => assumed.extend(NamedBlob::of(manifest, place)),
                Some(_) => {}
            }
        }
    }
    present.shrink_to_fit();
    (present, assumed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_in_a_circle() {
        // 0 stands alone; 1 waits for 0 or 2, 2 for 1 or itself; 3 and 4 for each other.
        let mut after = [vec![], vec![0, 2], vec![1, 2], vec![4], vec![3]];
        untangle(&mut after);
        assert_eq!(after, [vec![], vec![0], vec![1], vec![], vec![]]);
    }
}
