//! A bundle of ours is read by what it must be: each header is computed and compared, nothing is searched.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    Absent, Contents, Error, Facts, Index, Layout, Result,
    contents::DOCUMENTS,
    header::{self, BLOCK, BLOCK_LEN, END, blob_name, padding},
    layout::{FACTS_NAME, INDEX_NAME, MARKER, MARKER_NAME},
    random_access::RandomAccess,
    structure::{Header, header_differs},
};
use crate::oci::{
    Descriptor, Digest, Manifest,
    graph::{Account, Walked, walk},
};

/// Largest `index.json` or `airlift.json`: some hundred bytes for each artifact or absent blob.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// Largest manifest: what the command line lets people raise the limit to.
pub(crate) const MANIFEST_LIMIT: u64 = 20 << 20;

/// Whether `file` was written as a bundle of ours, perhaps damaged since: its first header or its third is exactly what
/// we write. One flipped bit cannot make the reader take it for another tool's.
pub(crate) fn is_ours(file: &RandomAccess, length: u64) -> io::Result<bool> {
    let first = header::encode(MARKER_NAME, MARKER.len() as u64);
    let begin = read_up_to(file, 0, BLOCK)?;
    if !begin.is_empty() && first.starts_with(&begin) {
        return Ok(true);
    }
    let index = BLOCK + MARKER.len() as u64 + padding(MARKER.len() as u64);
    let Ok(found) = Header::read(&padded(read_up_to(file, index, BLOCK)?)) else { return Ok(false) };
    let facts = found.size.checked_next_multiple_of(BLOCK).and_then(|size| size.checked_add(index + BLOCK));
    let Some(facts) = facts.filter(|&facts| facts < length) else { return Ok(false) };
    let block = padded(read_up_to(file, facts, BLOCK)?);
    Ok(Header::read(&block).is_ok_and(|found| block == header::encode(FACTS_NAME, found.size)))
}

fn padded(mut block: Vec<u8>) -> Vec<u8> {
    block.resize(BLOCK_LEN, 0);
    block
}

/// Up to `size` bytes at `offset`, fewer where the medium ends.
pub(crate) fn read_up_to(medium: &RandomAccess, offset: u64, size: u64) -> io::Result<Vec<u8>> {
    medium.read_up_to(offset, size)
}

/// What is known of a set before a file is opened that may be a volume of it. All of its volumes have the same manifests and say the
/// same of the cut: of very many blobs that is most of what is in memory of a volume, and a set has up to a thousand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownSet<'a> {
    /// What is in the set.
    pub(crate) contents: &'a Arc<Contents>,
    /// The plan of any of its volumes.
    pub(crate) layout: &'a Layout,
}

/// Reads the head of a bundle of `length` bytes and checks that the file has exactly the length that follows from it.
pub(crate) fn open(
    file: &RandomAccess,
    length: u64,
    path: &Path,
    known: Option<KnownSet<'_>>,
) -> Result<(Arc<Contents>, Layout)> {
    let of_known = known.and_then(|known| Some((Arc::clone(known.contents), read_volume(file, length, path, known)?)));
    let (contents, layout) = match of_known {
        Some(found) => found,
        // It is not of the set, or is damaged: reading all of it tells.
        None => read_head(file, length, path).map(|(contents, layout)| (Arc::new(contents), layout))?,
    };
    check_length(file, length, path, &layout)?;
    Ok((contents, layout))
}

/// The plan of a volume of the set that is `known`; `None` where it is anything else, or damaged.
fn read_volume(file: &RandomAccess, length: u64, path: &Path, known: KnownSet<'_>) -> Option<Layout> {
    let mut cursor = Cursor { file, path, length, at: 0 };
    cursor.document(MARKER_NAME).ok().filter(|marker| marker == MARKER)?;
    let index = cursor.document(INDEX_NAME).ok()?;
    if Digest::sha256(&index) != known.layout.id() {
        return None;
    }
    let facts = known.layout.facts().of_another_volume(&cursor.document(FACTS_NAME).ok()?)?;
    let (cut, volume) = facts.set.as_ref().zip(facts.volume.as_ref())?;
    let layout = Layout::of_volume(known.contents, cut, volume.number, volume.segments.clone()).ok()?;
    if *layout.facts() != facts {
        return None;
    }
    for (place, raw) in layout.manifests().iter().zip(layout.raw_manifests()) {
        cursor.entry(&place.name(), raw.len() as u64, MANIFEST_LIMIT).ok().filter(|found| found == raw)?;
    }
    Some(layout.sharing(known.layout))
}

/// Reads the head of a bundle, whatever follows it.
pub(crate) fn read_head(file: &RandomAccess, length: u64, path: &Path) -> Result<(Contents, Layout)> {
    let mut cursor = Cursor { file, path, length, at: 0 };
    let marker = cursor.document(MARKER_NAME)?;
    if marker != MARKER {
        let reason = "it is not the one that image layouts have".to_owned();
        return Err(Error::Structure { offset: BLOCK, entry: MARKER_NAME.to_owned(), reason });
    }
    let index_json = cursor.document(INDEX_NAME)?;
    let facts_json = cursor.document(FACTS_NAME)?;
    let account = DOCUMENTS.open();
    account.allows_document(&index_json)?;
    account.allows_document(&facts_json)?;
    let facts = Facts::parse(&facts_json)?;
    if facts.index != Digest::sha256(&index_json) {
        let reason = format!("it has the digest {}, sealed was {}", Digest::sha256(&index_json), facts.index);
        return Err(Error::Seal { document: INDEX_NAME, reason });
    }
    let index = Index::parse(&index_json)?;
    let absent = facts.absent.iter().map(|absent| (absent.digest, absent.clone())).collect();
    let mut contents = Contents { index, manifests: HashMap::new(), absent };
    cursor.manifests(&mut contents)?;
    let layout = match (&facts.set, &facts.volume) {
        (Some(cut), Some(volume)) => Layout::of_volume(&contents, cut, volume.number, volume.segments.clone())?,
        _ => Layout::of(&contents)?,
    };
    if *layout.facts() != facts {
        let reason = "what it says to be absent is not what the manifests name and the bundle lacks".to_owned();
        return Err(Error::Seal { document: FACTS_NAME, reason });
    }
    Ok((contents, layout))
}

/// Checks that a file of `length` bytes, which begins as `layout` says, also ends there.
fn check_length(file: &RandomAccess, length: u64, path: &Path, layout: &Layout) -> Result<()> {
    if is_head(file, length, layout).map_err(Error::read(path))? {
        let reason = "it is the head of a bundle, without configs and layers: use it with `export --base` or `diff`";
        return Err(Error::Unknown { path: path.to_owned(), reason: reason.to_owned() });
    }
    if length < layout.total() {
        let entry = layout.entries().take_while(|entry| entry.header_offset < length).last();
        let entry = entry.map_or_else(|| MARKER_NAME.to_owned(), |entry| entry.name);
        return Err(Error::Truncated { length, expected: layout.total(), entry });
    }
    if length > layout.total() {
        let reason = format!("{} bytes follow it", length - layout.total());
        return Err(Error::Structure { offset: layout.total(), entry: "the end".to_owned(), reason });
    }
    Ok(())
}

/// Whether a file is the head of the bundle of `layout`, which has more than that, and the end of a tar.
pub(crate) fn is_head(file: &RandomAccess, length: u64, layout: &Layout) -> io::Result<bool> {
    let head = layout.head_size();
    let is_short = layout.total() > head + END && length == head + END;
    Ok(is_short && read_up_to(file, head, END)?.iter().all(|&byte| byte == 0))
}

struct Cursor<'a> {
    file: &'a RandomAccess,
    path: &'a Path,
    length: u64,
    at: u64,
}

impl Cursor<'_> {
    /// The next entry, which must be called `name`, of any size.
    fn document(&mut self, name: &str) -> Result<Bytes> {
        let block = self.read(self.at, BLOCK, name)?;
        // Where the header is unreadable any size will do: the comparison says what is wrong with it.
        let size = Header::read(&block).map_or(0, |header| header.size);
        self.entry(name, size, DOCUMENT_LIMIT)
    }

    /// The next entry, which must be called `name` and have `size` bytes.
    fn entry(&mut self, name: &str, size: u64, limit: u64) -> Result<Bytes> {
        let planned = header::encode(name, size);
        let found = self.read(self.at, planned.len() as u64, name)?;
        if found != planned {
            return Err(header_differs(&found, &planned, self.at, name, size));
        }
        if size > limit {
            return Err(Error::TooLarge { what: name.to_owned(), limit });
        }
        let offset = self.at + planned.len() as u64;
        let mut content = self.read(offset, size + padding(size), name)?;
        let zeros = content.split_off(usize::try_from(size).unwrap_or(usize::MAX).min(content.len()));
        if let Some(at) = zeros.iter().position(|&byte| byte != 0) {
            let offset = offset + size + at as u64;
            return Err(Error::Structure {
                offset,
                entry: name.to_owned(),
                reason: "its padding is not zero".to_owned(),
            });
        }
        self.at = offset + size + padding(size);
        Ok(content.into())
    }

    fn read(&self, offset: u64, size: u64, entry: &str) -> Result<Vec<u8>> {
        let expected = offset.saturating_add(size);
        let truncated = || Error::Truncated { length: self.length, expected, entry: entry.to_owned() };
        if expected > self.length {
            return Err(truncated());
        }
        let bytes = read_up_to(self.file, offset, size).map_err(Error::read(self.path))?;
        if (bytes.len() as u64) < size { Err(truncated()) } else { Ok(bytes) }
    }

    /// Every manifest that `contents.index` leads to, in the order in which they must lie.
    fn manifests(&mut self, contents: &mut Contents) -> Result<()> {
        take_manifests(contents, |descriptor| {
            let name = blob_name(&descriptor.digest);
            let offset = self.at + header::length(&name);
            Ok((self.entry(&name, descriptor.size, MANIFEST_LIMIT)?, offset))
        })
    }
}

/// Fills in every manifest that `contents.index` leads to. `next` gives the bytes of each, and where they are in the file.
fn take_manifests(contents: &mut Contents, mut next: impl FnMut(&Descriptor) -> Result<(Bytes, u64)>) -> Result<()> {
    let mut account = DOCUMENTS.open();
    account.spend(contents.index.weight())?;
    let walked = walk(contents.index.descriptors(), &mut account, |descriptor, account| {
        if contents.absent.contains_key(&descriptor.digest) {
            return Ok(None);
        }
        account.allows(descriptor.size)?;
        let (raw, offset) = next(descriptor)?;
        read_manifest(raw, descriptor, offset, account).map(Some)
    })?;
    contents.manifests = by_digest(walked);
    Ok(())
}

/// The contents of `index` whose manifests are `raw`, each held against its digest.
///
/// # Errors
/// A manifest is missing, is not what its digest says, or is needed by nothing; together they are more than a bundle may have.
pub(crate) fn assemble(index: Index, absent: Vec<Absent>, mut raw: HashMap<Digest, Bytes>) -> Result<Contents> {
    let absent = absent.into_iter().map(|absent| (absent.digest, absent)).collect();
    let mut contents = Contents { index, manifests: HashMap::new(), absent };
    take_manifests(&mut contents, |descriptor| {
        let bytes = raw.remove(&descriptor.digest).ok_or(Error::Missing { digest: descriptor.digest })?;
        Ok((bytes, 0))
    })?;
    match raw.into_keys().next() {
        Some(digest) => Err(Error::Unplanned { digest }),
        None => Ok(contents),
    }
}

/// The manifests of a walk, to be found by their digests.
pub(crate) fn by_digest(walked: Walked<Manifest>) -> HashMap<Digest, Manifest> {
    walked.into_manifests().map(|manifest| (manifest.digest(), manifest)).collect()
}

/// The manifest that `descriptor` names, its digest checked.
pub(crate) fn read_manifest(raw: Bytes, descriptor: &Descriptor, offset: u64, account: &Account) -> Result<Manifest> {
    let expected = descriptor.digest;
    let actual = Digest::of(expected.algorithm(), &raw);
    if actual != expected {
        return Err(Error::DigestMismatch { expected, actual, offset });
    }
    account.allows_document(&raw)?;
    Ok(Manifest::parse_as(raw, Some(&descriptor.media_type), expected.algorithm())?)
}
