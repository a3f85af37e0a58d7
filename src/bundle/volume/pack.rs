//! What goes into which volume: a pure function of the contents and the size.
//!
//! Blobs are gathered into groups, one an artifact; artifacts that share blobs make one group as long as it fits into a
//! volume. Groups are placed the largest first, each into the first volume that has room for all of it. A group that no
//! volume can hold is taken apart, blob by blob; a blob that no volume can hold is cut, and its last segment leaves room
//! for others behind it.

use std::{cmp::Reverse, collections::HashMap};

use super::{Cut, MAX_VOLUMES, Piece, Pieces, Size};
use crate::{
    bundle::{
        Contents, Error, Facts, Graph, Order, Result,
        header::{self, BLOCK, END, blob_name, padding},
        layout::{FACTS_NAME, INDEX_NAME, MARKER, MARKER_NAME},
    },
    oci::{Descriptor, Digest, canonical::length_of},
};

/// Bytes of content that a volume must have room for at the least: with less, a set is all heads.
const LEAST: u64 = 64 * BLOCK;

/// Cuts the bundle of `contents` into volumes of at most `size` bytes.
///
/// # Errors
/// [`Error::VolumeSize`] where the index and the manifests, which every volume carries, leave no room for content, or the
/// volumes would be too many; and what [`Contents::order`] fails with.
pub fn pack(contents: &Contents, size: Size) -> Result<Cut> {
    contents.check_size()?;
    let order = contents.order()?;
    let groups = Groups::of(contents, &order)?;
    let weights = Weights::of(contents, &order);
    let too_small = |needed: u64| Error::VolumeSize { size: size.0, needed };
    // The head lists every piece, and how many there are depends on what the head leaves. More pieces make it no
    // smaller, so this ends.
    let mut pieces = order.blobs.len();
    loop {
        let head = weights.head(&order, pieces);
        let room = size.0.checked_sub(head).filter(|&room| room >= LEAST).ok_or_else(|| too_small(head + LEAST))?;
        let room = room / BLOCK * BLOCK;
        let least = order.blobs.iter().map(|blob| blob.size).fold(0, u64::saturating_add) / room;
        if least >= u64::from(MAX_VOLUMES) {
            let needed = head.saturating_add(room.saturating_mul(least / u64::from(MAX_VOLUMES) + 1));
            return Err(too_small(needed));
        }
        let packed = Packing::of(&groups.split(&order, room), &order.blobs, room);
        if packed.pieces.len() > pieces {
            pieces = packed.pieces.len() + packed.pieces.len() / 8;
            continue;
        }
        let cut = packed.into_cut(&order.blobs, size.0);
        if cut.volumes > MAX_VOLUMES {
            return Err(too_small(size.0.saturating_mul(2)));
        }
        return Ok(cut);
    }
}

/// Bytes of an entry with a whole blob.
fn whole(blob: &Descriptor) -> u64 {
    (header::length(&blob_name(&blob.digest)) + blob.size).next_multiple_of(BLOCK)
}

/// Bytes in front of a segment.
fn segment_header(blob: &Descriptor) -> u64 {
    header::length(&super::segment_name(&blob.digest, MAX_VOLUMES))
}

/// What the head of a volume weighs.
struct Weights {
    /// Everything but `airlift.json`, and the end of the file.
    fixed: u64,
    /// `airlift.json` without pieces and segments.
    facts: u64,
}

impl Weights {
    fn of(contents: &Contents, order: &Order<'_>) -> Self {
        let entry = |name: &str, size: u64| header::length(name) + size + padding(size);
        let documents =
            entry(MARKER_NAME, MARKER.len() as u64) + entry(INDEX_NAME, contents.index.to_json().len() as u64);
        let manifests: u64 = order.manifests.iter().map(|(one, _)| entry(&blob_name(&one.digest), one.size)).sum();
        let none = Cut { pieces: Pieces::default(), size: u64::MAX, volumes: MAX_VOLUMES };
        let facts = Facts::of_volume(contents.index.id(), order.absent.clone(), none, MAX_VOLUMES, Vec::new());
        Self { fixed: documents + manifests + END, facts: facts.length() }
    }

    /// Bytes of a volume without its content, at the most, if the set has so many pieces.
    fn head(&self, order: &Order<'_>, pieces: usize) -> u64 {
        let longest = |blob: &&Descriptor| {
            let piece = Piece { digest: blob.digest, from: blob.size, size: blob.size, volume: MAX_VOLUMES };
            length_of(&piece) + 1
        };
        let each = order.blobs.iter().map(longest);
        let (all, most) = each.fold((0, 0), |(all, most): (u64, u64), one| (all + one, most.max(one)));
        let more = pieces.saturating_sub(order.blobs.len()) as u64;
        // A blob that is cut is a piece more at the least, and has one segment in a volume at the most.
        let segments = more.min(order.blobs.len() as u64);
        let digest = r#""sha256:","#.len() as u64 + 64;
        let facts = self.facts + all + more * most + segments * digest;
        self.fixed + header::length(FACTS_NAME) + facts + padding(facts)
    }
}

/// Which blobs belong together, as places in the order of the bundle.
struct Groups(Vec<Vec<usize>>);

impl Groups {
    /// By artifact, the blobs that it is the first to name; with each, what is attached in its repository behind it.
    fn of(contents: &Contents, order: &Order<'_>) -> Result<Self> {
        let places: HashMap<Digest, usize> =
            order.blobs.iter().enumerate().map(|(at, blob)| (blob.digest, at)).collect();
        let graph = Graph::of(contents);
        let artifacts = contents.index.descriptors().map(|top| {
            let content = graph.content([top])?;
            let mut found: Vec<usize> = content.keys().filter_map(|digest| places.get(digest).copied()).collect();
            found.sort_unstable();
            Ok(found)
        });
        artifacts.collect::<Result<_>>().map(Self)
    }

    /// Groups that share no blob, none larger than `room` unless a single artifact is.
    fn split(&self, order: &Order<'_>, room: u64) -> Vec<Vec<usize>> {
        let weigh = |group: &[usize]| group.iter().map(|&at| whole(order.blobs[at])).fold(0, u64::saturating_add);
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut owner: HashMap<usize, usize> = HashMap::new();
        for artifact in &self.0 {
            let own: Vec<usize> = artifact.iter().copied().filter(|at| !owner.contains_key(at)).collect();
            let mut sharing: Vec<usize> = artifact.iter().filter_map(|at| owner.get(at).copied()).collect();
            sharing.sort_unstable();
            sharing.dedup();
            let mut goal = groups.len();
            groups.push(own);
            for other in sharing {
                let (low, high) = (goal.min(other), goal.max(other));
                if weigh(&groups[low]).saturating_add(weigh(&groups[high])) <= room {
                    let moved = std::mem::take(&mut groups[high]);
                    owner.extend(moved.iter().map(|&at| (at, low)));
                    groups[low].extend(moved);
                    goal = low;
                }
            }
            owner.extend(groups[goal].iter().map(|&at| (at, goal)));
        }
        groups.retain(|group| !group.is_empty());
        groups.sort_by_key(|group| (Reverse(weigh(group)), group.iter().min().copied()));
        groups
    }
}

/// Volumes as they fill.
struct Packing {
    /// Bytes that each volume has left for content.
    left: Vec<u64>,
    room: u64,
    /// By the blob's place in the bundle: where its bytes from `from` on lie.
    pieces: Vec<(usize, u64, u64, usize)>,
}

impl Packing {
    fn of(groups: &[Vec<usize>], blobs: &[&Descriptor], room: u64) -> Self {
        let mut packing = Self { left: Vec::new(), room, pieces: Vec::new() };
        for group in groups {
            let weight = group.iter().map(|&at| whole(blobs[at])).fold(0, u64::saturating_add);
            if weight <= room {
                let volume = packing.first_with(weight, 0);
                for &at in group {
                    packing.put(at, blobs[at], volume);
                }
            } else {
                packing.take_apart(group, blobs);
            }
        }
        if packing.left.is_empty() {
            packing.left.push(room);
        }
        packing
    }

    /// The first volume from `from` on that has room for `bytes`; a new one if there is none.
    fn first_with(&mut self, bytes: u64, from: usize) -> usize {
        let found = self.left.iter().skip(from).position(|&left| left >= bytes).map(|at| at + from);
        found.unwrap_or_else(|| {
            self.left.push(self.room);
            self.left.len() - 1
        })
    }

    fn put(&mut self, at: usize, blob: &Descriptor, volume: usize) {
        self.left[volume] = self.left[volume].saturating_sub(whole(blob));
        self.pieces.push((at, 0, blob.size, volume));
    }

    /// Puts a group that is too large for any volume into volumes of its own, the largest blobs first.
    fn take_apart(&mut self, group: &[usize], blobs: &[&Descriptor]) {
        let first = self.left.len();
        let mut group = group.to_vec();
        group.sort_by_key(|&at| (Reverse(blobs[at].size), at));
        for at in group {
            let blob = blobs[at];
            if whole(blob) > self.room {
                self.cut(at, blob);
            } else {
                let volume = self.first_with(whole(blob), first);
                self.put(at, blob, volume);
            }
        }
    }

    /// Cuts a blob over new volumes.
    fn cut(&mut self, at: usize, blob: &Descriptor) {
        let header = segment_header(blob);
        let most = self.room - header;
        let mut from = 0;
        while from < blob.size {
            let size = most.min(blob.size - from);
            self.left.push(self.room - header - size.next_multiple_of(BLOCK));
            self.pieces.push((at, from, size, self.left.len() - 1));
            from += size;
        }
    }

    fn into_cut(mut self, blobs: &[&Descriptor], size: u64) -> Cut {
        self.pieces.sort_by_key(|&(at, from, ..)| (at, from));
        let number = |volume: usize| u32::try_from(volume + 1).unwrap_or(u32::MAX);
        let pieces = self.pieces.iter().map(|&(at, from, size, volume)| {
            let digest = blobs[at].digest;
            Piece { digest, from, size, volume: number(volume) }
        });
        Cut { pieces: pieces.collect(), size, volumes: number(self.left.len() - 1) }
    }
}

#[cfg(test)]
mod tests;
