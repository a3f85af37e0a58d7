//! Which manifests and blobs belong to which artifact: the one way through the manifests of a bundle.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Contents, Result, Root};
use crate::oci::{
    Descriptor, Digest, Manifest, Repository, Tag,
    graph::{Account, Budget, Walked, walk},
};

/// What they may cost when each artifact is counted by itself, with what it shares with others: an import and a listing
/// handle them one by one.
const ARTIFACTS: Budget = Budget { manifests: 400_000, descriptors: 400_000, bytes: 160 << 20, depth: 64 };

/// The manifests of a bundle, with what is attached to what.
#[derive(Debug)]
pub struct Graph<'a> {
    contents: &'a Contents,
    /// By repository and subject.
    attached: HashMap<(&'a str, Digest), Vec<&'a Descriptor>>,
}

/// An artifact with its manifests and what is attached to it.
#[derive(Debug)]
#[non_exhaustive]
pub struct BundledArtifact<'a> {
    /// Its name and root.
    pub root: &'a Root,
    /// The manifests of it that are there.
    pub manifests: Walked<&'a Manifest>,
    /// What is attached to it by `subject`, each after its own subject.
    pub attached: Vec<&'a Descriptor>,
}

impl<'a> Graph<'a> {
    /// The graph of `contents`, however large.
    pub fn of(contents: &'a Contents) -> Self {
        let mut attached: HashMap<_, Vec<_>> = HashMap::new();
        for one in contents.index.attached() {
            let subject = contents.manifests.get(&one.descriptor.digest).and_then(Manifest::subject);
            if let Some(subject) = subject {
                attached.entry((one.repository.as_str(), subject.digest)).or_default().push(&one.descriptor);
            }
        }
        Self { contents, attached }
    }

    /// The manifests from `tops` down.
    fn below<'t>(
        &self,
        tops: impl IntoIterator<Item = &'t Descriptor>,
        account: &mut Account,
    ) -> Result<Walked<&'a Manifest>> {
        walk(tops, account, |descriptor, _| Ok(self.contents.manifests.get(&descriptor.digest)))
    }

    /// Every artifact of the bundle, in the order of the index.
    ///
    /// # Errors
    /// Together they are more than a run can handle.
    pub fn members(&self) -> Result<Vec<BundledArtifact<'a>>> {
        let mut account = ARTIFACTS.open();
        self.contents.index.roots().iter().map(|root| self.member(root, &mut account)).collect()
    }

    /// As [`Graph::members`], of one of them.
    ///
    /// # Errors
    /// It is more than a run can handle.
    pub fn member_of(&self, root: &'a Root) -> Result<BundledArtifact<'a>> {
        self.member(root, &mut ARTIFACTS.open())
    }

    fn member(&self, root: &'a Root, account: &mut Account) -> Result<BundledArtifact<'a>> {
        let manifests = self.below([&root.descriptor], account)?;
        let repository = root.reference.context().to_string();
        let mut attached: Vec<&Descriptor> = Vec::new();
        let mut seen: HashSet<Digest> = manifests.manifests().map(|manifest| manifest.digest()).collect();
        let mut subjects: Vec<Digest> = manifests.manifests().map(|manifest| manifest.digest()).collect();
        while !subjects.is_empty() {
            let on = subjects.iter().filter_map(|subject| self.attached.get(&(repository.as_str(), *subject)));
            let mut now: Vec<&Descriptor> = on.flatten().copied().filter(|one| seen.insert(one.digest)).collect();
            now.sort_by_key(|one| one.digest);
            let below = self.below(now.iter().copied(), account)?;
            subjects = below.manifests().map(|manifest| manifest.digest()).collect();
            seen.extend(&subjects);
            attached.extend(now);
        }
        Ok(BundledArtifact { root, manifests, attached })
    }

    /// The manifests of what is attached to `member`, each after its subject, children before those that name them.
    ///
    /// # Errors
    /// They are more than a run can handle.
    pub fn attached(&self, member: &BundledArtifact<'a>) -> Result<Walked<&'a Manifest>> {
        self.below(member.attached.iter().copied(), &mut ARTIFACTS.open())
    }

    /// Sizes of all that `tops` lead to, themselves included, without what is absent on purpose.
    ///
    /// # Errors
    /// They are more than a run can handle.
    pub fn content<'t>(&self, tops: impl IntoIterator<Item = &'t Descriptor> + Clone) -> Result<BTreeMap<Digest, u64>> {
        let below = self.below(tops.clone(), &mut ARTIFACTS.open())?;
        let named = below.manifests().flat_map(|manifest| manifest.children().iter().chain(manifest.blobs()));
        let all = named.map(|one| (one.digest, one.size)).chain(tops.into_iter().map(|one| (one.digest, one.size)));
        Ok(all.filter(|(digest, _)| !self.contents.absent.contains_key(digest)).collect())
    }

    /// By member, the one that its tag attaches it to, as cosign and the fallback of the referrers API do.
    pub fn attached_by_tag(members: &[BundledArtifact<'_>]) -> HashMap<usize, usize> {
        let named: HashMap<(&Repository, &Tag), usize> = members
            .iter()
            .enumerate()
            .filter_map(|(at, member)| Some(((member.root.reference.context(), member.root.reference.tag()?), at)))
            .collect();
        let mut parents = HashMap::new();
        for (at, member) in members.iter().enumerate() {
            let context = member.root.reference.context();
            for manifest in member.manifests.manifests() {
                let digest = manifest.digest();
                for tag in Tag::cosign(&digest).iter().chain([&Tag::referrers_fallback(&digest)]) {
                    if let Some(&child) = named.get(&(context, tag))
                        && child != at
                    {
                        parents.insert(child, at);
                    }
                }
            }
        }
        parents
    }
}

impl Contents {
    /// Whether the artifacts, each counted by itself, are no more than a run can handle.
    ///
    /// # Errors
    /// They are more.
    pub fn check_size(&self) -> Result<()> {
        Graph::of(self).members().map(drop)
    }
}
