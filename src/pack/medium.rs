//! What a packed file is read from: one file, or its volumes one after another.

use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Error, Result};
use crate::{
    bundle::random_access::RandomAccess,
    content::ReadAt,
    oci::{Digest, Hasher},
};

/// The bytes of a packed file, wherever they lie. Every read blocks.
#[derive(Debug)]
pub(crate) struct Medium {
    stretches: Vec<Stretch>,
}

/// A stretch of a packed file.
#[derive(Debug)]
struct Stretch {
    file: RandomAccess,
    /// What messages call the file.
    path: PathBuf,
    /// Where in the file it begins.
    offset: u64,
    /// Its bytes in the packed file: each begins where the one before ends.
    range: Range<u64>,
    /// Their SHA-256, where it is known.
    digest: Option<Digest>,
}

impl Stretch {
    /// Whether its bytes have another digest than they must.
    fn is_wrong(&self) -> bool {
        let Some(expected) = self.digest else { return false };
        let mut hasher = Hasher::new(expected.algorithm());
        let length = self.range.end - self.range.start;
        let read = self.file.update_at(&mut hasher, self.offset, length, &mut Vec::new(), |_| {});
        !read.is_ok_and(|is_all| is_all && hasher.finish() == expected)
    }
}

impl Medium {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self { stretches: Vec::new() }
    }

    /// All of a file of `length` bytes.
    pub(super) fn whole(file: RandomAccess, path: PathBuf, length: u64) -> Self {
        let mut whole = Self::new();
        whole.add(file, path, 0, length, None);
        whole
    }

    /// All of the file at `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::read(path))?;
        let length = file.metadata().map_err(Error::read(path))?.len();
        Ok(Self::whole(file.into(), path.to_owned(), length))
    }

    /// What is elsewhere. Called on a runtime, which does the reading from then on.
    pub(super) fn remote(from: Arc<dyn ReadAt>) -> Self {
        let (path, length) = (PathBuf::from(from.name()), from.size());
        Self::whole(RandomAccess::remote(from), path, length)
    }

    /// Adds `length` bytes of a file from `offset` on, which have that SHA-256.
    pub(super) fn add(&mut self, file: RandomAccess, path: PathBuf, offset: u64, length: u64, digest: Option<Digest>) {
        let start = self.length();
        self.stretches.push(Stretch { file, path, offset, range: start..start.saturating_add(length), digest });
    }

    /// All bytes.
    pub(super) fn length(&self) -> u64 {
        self.stretches.last().map_or(0, |last| last.range.end)
    }

    /// What messages call it: the first of its files.
    pub(super) fn path(&self) -> PathBuf {
        self.stretches.first().map(|first| first.path.clone()).unwrap_or_default()
    }

    /// Up to `size` bytes at `offset`, fewer where they end.
    pub(super) fn read_up_to(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(size);
        let mut bytes = Vec::new();
        for stretch in &self.stretches[self.at(offset)..] {
            let (from, to) = (offset.max(stretch.range.start), end.min(stretch.range.end));
            if from >= to {
                break;
            }
            let read = stretch.file.read_up_to(stretch.offset + (from - stretch.range.start), to - from)?;
            let is_all = read.len() as u64 == to - from;
            // Most reads are of one file.
            if bytes.is_empty() {
                bytes = read;
            } else {
                bytes.extend_from_slice(&read);
            }
            if !is_all {
                break;
            }
        }
        Ok(bytes)
    }

    /// Where the damage is of what is in `range`: the file, and where in it that begins. If several files have a part of it, they
    /// are hashed to see which one it is.
    pub(super) fn damage(&self, range: &Range<u64>) -> (&Path, u64) {
        let touched = self.stretches[self.at(range.start)..].iter().take_while(|one| one.range.start < range.end);
        let touched: Vec<&Stretch> = touched.collect();
        let wrong = touched.iter().find(|one| touched.len() > 1 && one.is_wrong());
        match wrong.or(touched.first()) {
            Some(Stretch { path, offset, range: own, .. }) => (path, offset + range.start.saturating_sub(own.start)),
            None => (Path::new(""), range.start),
        }
    }

    /// The number of the stretch that has the byte `offset`.
    fn at(&self, offset: u64) -> usize {
        self.stretches.partition_point(|stretch| stretch.range.end <= offset)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn several_files_are_read_as_one() {
        let all = b"abcdefghij";
        let mut medium = Medium::new();
        for (front, content) in [(3, &all[..4]), (0, &all[4..5]), (7, &all[5..])] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&[&vec![b'-'; front][..], content, b"more"].concat()).unwrap();
            let (path, digest) = (format!("f{front}").into(), Digest::sha256(content));
            medium.add(file.into(), path, front as u64, content.len() as u64, Some(digest));
        }
        assert_eq!(medium.length(), 10);
        for from in 0..=all.len() {
            for to in from..=all.len() {
                let read = medium.read_up_to(from as u64, (to - from) as u64).unwrap();
                assert_eq!(read, &all[from..to], "{from}..{to}");
            }
        }
        assert_eq!(medium.read_up_to(8, 100).unwrap(), b"ij");
        assert_eq!(medium.read_up_to(11, 1).unwrap(), b"");
        assert_eq!(medium.damage(&(4..5)), (Path::new("f0"), 0));
        assert_eq!(medium.damage(&(6..8)), (Path::new("f7"), 8));
        // Of several files the one that is damaged.
        assert_eq!(medium.damage(&(3..8)), (Path::new("f3"), 6));
        medium.stretches[2].digest = Some(Digest::sha256(b"other"));
        assert_eq!(medium.damage(&(3..8)), (Path::new("f7"), 7));
    }
}
