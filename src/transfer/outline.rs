//! What a set of volumes would be: which volume has how many bytes, and content of which artifacts.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::inspect::ShownGroup;
use crate::{
    bundle::{self, Contents, Graph, blueprint::preview, volume::Size},
    oci::Reference,
};

/// A volume of a set that was only planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outline {
    /// From 1.
    pub number: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// The artifacts that have a config or a layer in it, whole or in part, with what is attached to them.
    pub artifacts: Vec<Reference>,
}

/// The volumes that `contents` would be cut into; one of them, if `only` that is to be written.
///
/// # Errors
/// The size is too small, or there is no such volume.
pub fn outline(contents: &Contents, size: Size, only: Option<u32>) -> bundle::Result<Vec<Outline>> {
    let (cut, totals) = preview(contents, size, only)?;
    let volumes_of = cut.volumes_of();
    let mut inside: BTreeMap<u32, Vec<Reference>> = BTreeMap::new();
    let graph = Graph::of(contents);
    for group in ShownGroup::all(&graph.members()?) {
        let needed = graph.content(group.tops())?;
        let volumes: BTreeSet<u32> =
            needed.keys().filter_map(|digest| volumes_of.get(digest)).flatten().copied().collect();
        for number in volumes {
            inside.entry(number).or_default().push(group.member.root.reference.clone());
        }
    }
    let volume = |(number, bytes)| Outline { number, bytes, artifacts: inside.remove(&number).unwrap_or_default() };
    Ok(totals.into_iter().map(volume).collect())
}
