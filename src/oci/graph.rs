//! One walk over manifests: each is visited once, however many paths lead to it, and nothing is loaded that the budget
//! does not allow.

use std::{borrow::Borrow, collections::HashSet};

use super::{Descriptor, Digest, Manifest, weight::weigh};

/// What a walk may cost at the most. A document is counted by the memory that it takes when it is parsed: a list of a
/// million tiny descriptors is small on the disk only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Manifests and indexes.
    pub manifests: u64,
    /// Descriptors in them.
    pub descriptors: u64,
    /// Bytes of memory, as estimated before it is parsed.
    pub bytes: u64,
    /// Indexes within indexes.
    pub depth: u64,
}

/// A walk would cost more than its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifests exceed the limit of {limit} {what}")]
pub struct OverBudget {
    /// What there is too much of.
    pub what: &'static str,
    /// How much of it is allowed.
    pub limit: u64,
}

impl Budget {
    /// For what was counted before.
    pub const UNLIMITED: Self = Self { manifests: u64::MAX, descriptors: u64::MAX, bytes: u64::MAX, depth: u64::MAX };

    /// An account on which nothing is spent yet.
    pub const fn open(self) -> Account {
        Account { budget: self, manifests: 0, descriptors: 0, bytes: 0 }
    }
}

/// What was spent of a budget.
#[derive(Clone, Debug)]
pub struct Account {
    budget: Budget,
    manifests: u64,
    descriptors: u64,
    bytes: u64,
}

impl Account {
    /// Spends `bytes` of memory.
    pub fn spend(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.bytes = self.bytes.saturating_add(bytes);
        within("bytes of memory", self.bytes, self.budget.bytes)
    }

    /// Whether a document of `size` bytes may be read, before it is.
    pub fn allows(&self, size: u64) -> Result<(), OverBudget> {
        within("bytes of memory", self.bytes.saturating_add(size), self.budget.bytes)
    }

    /// Whether `document` may be parsed, before it is.
    pub fn allows_document(&self, document: &[u8]) -> Result<(), OverBudget> {
        self.allows(weigh(document))
    }

    /// Spends what `manifest` costs.
    fn enter(&mut self, manifest: &Manifest) -> Result<(), OverBudget> {
        self.manifests += 1;
        within("manifests", self.manifests, self.budget.manifests)?;
        self.descriptors += (manifest.children().len() + manifest.blobs().count()) as u64;
        within("descriptors", self.descriptors, self.budget.descriptors)?;
        self.spend(manifest.weight())
    }
}

const fn within(what: &'static str, spent: u64, limit: u64) -> Result<(), OverBudget> {
    if spent > limit { Err(OverBudget { what, limit }) } else { Ok(()) }
}

/// A manifest that a walk came to.
#[derive(Clone, Copy, Debug)]
pub struct Visit<M> {
    /// The manifest.
    pub manifest: M,
    /// What named it first: a manifest of the walk by its place, or the walk's beginning.
    parent: Option<usize>,
    /// Which child of the parent it is, or which of the beginnings.
    nth: usize,
}

/// What a walk came to.
#[derive(Clone, Debug)]
pub struct Walked<M> {
    /// Each manifest once: before its children, children in the order of the document.
    pub visits: Vec<Visit<M>>,
    /// Places in `visits`, each after all below it.
    order: Vec<usize>,
}

impl<M: Borrow<Manifest>> Walked<M> {
    /// The manifests, each before its children.
    pub fn into_manifests(self) -> impl Iterator<Item = M> {
        self.visits.into_iter().map(|visit| visit.manifest)
    }

    /// The manifests, each before its children.
    pub fn manifests(&self) -> impl Iterator<Item = &M> {
        self.visits.iter().map(|visit| &visit.manifest)
    }

    /// The manifests, children before those that name them.
    pub fn children_first(&self) -> impl Iterator<Item = &M> {
        self.order.iter().map(|&at| &self.visits[at].manifest)
    }
}

impl<'a> Walked<&'a Manifest> {
    /// The manifests with the descriptors that led to them first; `tops` are those that the walk began at.
    pub fn described(&self, tops: &[&'a Descriptor]) -> Vec<(&'a Descriptor, &'a Manifest)> {
        let descriptor = |visit: &Visit<&'a Manifest>| match visit.parent {
            Some(parent) => &self.visits[parent].manifest.children()[visit.nth],
            None => tops[visit.nth],
        };
        self.visits.iter().map(|visit| (descriptor(visit), visit.manifest)).collect()
    }
}

/// Walks from `tops` down. `load` is called once for each digest, and gives `None` for what is not there or not wanted.
///
/// # Errors
/// What `load` fails with, and [`OverBudget`].
pub fn walk<'t, M: Borrow<Manifest>, E: From<OverBudget>>(
    tops: impl IntoIterator<Item = &'t Descriptor>,
    account: &mut Account,
    mut load: impl FnMut(&Descriptor, &Account) -> Result<Option<M>, E>,
) -> Result<Walked<M>, E> {
    let mut walked = Walked { visits: Vec::new(), order: Vec::new() };
    let mut seen: HashSet<Digest> = HashSet::new();
    // How deep indexes nest is the content's choice, so the stack is our own: manifests with their next child.
    let mut stack: Vec<(usize, usize)> = Vec::new();
    for (top, descriptor) in tops.into_iter().enumerate() {
        let mut next = seen.insert(descriptor.digest).then(|| load(descriptor, account)).transpose()?.flatten();
        let (mut parent, mut nth) = (None, top);
        loop {
            if let Some(manifest) = next.take() {
                account.enter(manifest.borrow())?;
                walked.visits.push(Visit { manifest, parent, nth });
                stack.push((walked.visits.len() - 1, 0));
                within("nested indexes", stack.len() as u64, account.budget.depth)?;
            }
            let Some((at, child)) = stack.last_mut() else { break };
            let Some(descriptor) = walked.visits[*at].manifest.borrow().children().get(*child) else {
                walked.order.push(*at);
                stack.pop();
                continue;
            };
            (parent, nth) = (Some(*at), *child);
            *child += 1;
            if seen.insert(descriptor.digest) {
                next = load(descriptor, account)?;
            }
        }
    }
    Ok(walked)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bytes::Bytes;

    use super::*;
    use crate::oci::media_type;

    const BUDGET: Budget = Budget { manifests: 100, descriptors: 1000, bytes: 1 << 20, depth: 100 };

    fn index(children: &[&Manifest], more: &str) -> Manifest {
        let children: Vec<_> = children.iter().map(|m| serde_json::to_string(m.descriptor()).unwrap()).collect();
        let text =
            format!(r#"{{"schemaVersion":2,"manifests":[{}],"annotations":{{"a":"{more}"}}}}"#, children.join(","));
        Manifest::parse(Bytes::from(text), Some(media_type::OCI_INDEX)).unwrap()
    }

    fn walked(top: &Manifest, all: &[&Manifest], budget: Budget) -> Result<Vec<[Digest; 2]>, OverBudget> {
        let by_digest: HashMap<Digest, &Manifest> = all.iter().map(|one| (one.digest(), *one)).collect();
        let load = |descriptor: &Descriptor, _: &Account| Ok(by_digest.get(&descriptor.digest).copied());
        let walked = walk::<_, OverBudget>([top.descriptor()], &mut budget.open(), load)?;
        let pairs = walked.manifests().zip(walked.children_first());
        Ok(pairs.map(|(one, other)| [one.digest(), other.digest()]).collect())
    }

    #[test]
    fn each_manifest_is_visited_once_in_both_orders() {
        let leaf = index(&[], "leaf");
        let (left, right) = (index(&[&leaf], "left"), index(&[&leaf], "right"));
        let top = index(&[&left, &right, &left], "top");
        let found = walked(&top, &[&leaf, &left, &right, &top], BUDGET).unwrap();
        let names: Vec<_> =
            [[&top, &leaf], [&left, &left], [&leaf, &right], [&right, &top]].map(|p| p.map(Manifest::digest)).into();
        assert_eq!(found, names);
    }

    #[test]
    fn the_walk_ends_where_the_budget_does() {
        let mut chain = vec![index(&[], "0")];
        for at in 1..10 {
            chain.push(index(&[&chain[at - 1]], &at.to_string()));
        }
        let (top, all): (_, Vec<_>) = (chain.last().unwrap(), chain.iter().collect());
        assert_eq!(walked(top, &all, BUDGET).unwrap().len(), 10);
        for (budget, what) in [
            (Budget { depth: 9, ..BUDGET }, "nested indexes"),
            (Budget { manifests: 9, ..BUDGET }, "manifests"),
            (Budget { descriptors: 8, ..BUDGET }, "descriptors"),
            (Budget { bytes: 3000, ..BUDGET }, "bytes of memory"),
        ] {
            assert_eq!(walked(top, &all, budget).unwrap_err().what, what);
        }
    }

    #[test]
    fn a_document_weighs_what_its_parts_take_when_parsed() {
        let tiny = format!("[{}]", vec!["{}"; 1000].join(","));
        assert!(weigh(tiny.as_bytes()) > 60 * tiny.len() as u64);
        let text = format!("[\"{}\"]", r#"{,:[\""#.repeat(1000));
        assert_eq!(weigh(text.as_bytes()), weigh(b"[]") + text.len() as u64 - 2);
    }
}
