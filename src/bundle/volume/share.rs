//! The share that one of several machines has in a set: whole volumes, which follow from the cut alone.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::Cut;
use crate::oci::Digest;

/// Volumes of a set that are written together, without the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VolumeGroup {
    /// How all of the set is cut.
    pub(crate) cut: Arc<Cut>,
    /// The volumes to write, lowest first; never empty.
    pub(crate) numbers: Vec<u32>,
}

impl Cut {
    /// Volumes that belong together since a blob is cut over them: who writes all of them reads that blob once. Every
    /// volume is in one group, and groups are sorted.
    pub(crate) fn groups(&self) -> Vec<Vec<u32>> {
        let mut first: BTreeMap<u32, u32> = (1..=self.volumes).map(|number| (number, number)).collect();
        for volumes in self.volumes_of().into_values().filter(|volumes| volumes.len() > 1) {
            let roots: BTreeSet<u32> = volumes.iter().map(|number| first[number]).collect();
            let lowest = roots.first().copied().unwrap_or_default();
            for root in first.values_mut().filter(|root| roots.contains(root)) {
                *root = lowest;
            }
        }
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (number, root) in first {
            groups.entry(root).or_default().push(number);
        }
        groups.into_values().collect()
    }

    /// The groups of volumes that machine `index` of `count` writes: the largest group goes first, to the machine that has
    /// least to do so far.
    pub(crate) fn share(&self, index: u32, count: u32) -> Vec<Vec<u32>> {
        let mut bytes: HashMap<u32, u64> = HashMap::new();
        for piece in &self.pieces {
            *bytes.entry(piece.volume).or_default() += piece.size;
        }
        let weigh = |group: &[u32]| group.iter().filter_map(|number| bytes.get(number)).sum::<u64>();
        let mut groups = self.groups();
        groups.sort_by_key(|group| (Reverse(weigh(group)), group[0]));
        let weights: Vec<u64> = groups.iter().map(|group| weigh(group)).collect();
        let of = deal(weights, count);
        let mut own: Vec<Vec<u32>> =
            groups.into_iter().zip(of).filter(|(_, machine)| *machine == index).map(|(group, _)| group).collect();
        own.sort();
        own
    }

    /// The blobs of which at least a part is in one of `volumes`.
    pub(crate) fn blobs_in(&self, volumes: &BTreeSet<u32>) -> BTreeSet<Digest> {
        self.pieces.iter().filter(|piece| volumes.contains(&piece.volume)).map(|piece| piece.digest).collect()
    }
}

/// Deals items of these weights, heaviest first, to `count` machines: each to the one that has least so far.
pub(crate) fn deal(weights: impl IntoIterator<Item = u64>, count: u32) -> impl Iterator<Item = u32> {
    // An item costs something also where it has no bytes.
    let mut machines: BTreeSet<(u64, u32)> = (0..count.max(1)).map(|machine| (0, machine)).collect();
    weights.into_iter().map(move |weight| {
        let (load, machine) = machines.pop_first().unwrap_or_default();
        machines.insert((load.saturating_add(weight).saturating_add(1), machine));
        machine
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::volume::Piece;

    fn cut(pieces: &[(&str, u64, u64, u32)], volumes: u32) -> Cut {
        let piece = |&(name, from, size, volume): &(&str, u64, u64, u32)| Piece {
            digest: Digest::sha256(name.as_bytes()),
            from,
            size,
            volume,
        };
        Cut { pieces: pieces.iter().map(piece).collect(), size: 4096, volumes }
    }

    #[test]
    fn volumes_that_share_a_blob_are_in_one_group() {
        let cut = cut(&[("a", 0, 9, 1), ("a", 9, 9, 2), ("b", 0, 5, 2), ("b", 5, 5, 4), ("c", 0, 7, 3)], 5);
        assert_eq!(cut.groups(), [vec![1, 2, 4], vec![3], vec![5]]);
    }

    #[test]
    fn every_volume_is_of_one_share_and_shares_are_even() {
        let pieces: Vec<_> = (1..=10).map(|n| ("blob", u64::from(n), 100, n)).collect();
        let names: Vec<String> = (1..=10).map(|n| format!("blob {n}")).collect();
        let pieces: Vec<_> = pieces.iter().zip(&names).map(|(p, name)| (name.as_str(), 0, p.2, p.3)).collect();
        let cut = cut(&pieces, 10);
        for count in [1, 2, 3, 7, 20] {
            let shares: Vec<_> = (0..count).map(|index| cut.share(index, count)).collect();
            let mut all: Vec<u32> = shares.iter().flatten().flatten().copied().collect();
            all.sort_unstable();
            assert_eq!(all, (1..=10).collect::<Vec<_>>(), "{count} shares");
            let sizes = shares.iter().map(Vec::len);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{shares:?}");
        }
    }

    #[test]
    fn the_heaviest_goes_to_a_machine_of_its_own() {
        let cut = cut(&[("a", 0, 10, 1), ("b", 0, 1000, 2), ("c", 0, 10, 3), ("d", 0, 10, 4)], 4);
        assert_eq!(cut.share(0, 2), [vec![2]]);
        assert_eq!(cut.share(1, 2), [vec![1], vec![3], vec![4]]);
    }
}
