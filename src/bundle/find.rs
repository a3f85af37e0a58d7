//! Where content is in a bundle's files, and whether it is what it should be.

use super::{
    Error, Layout, Result,
    header::{self, blob_name},
    random_access::RandomAccess,
    reader::{Backing, FoundBlob, OpenBundle},
    scan::BlobSpot,
    strict::read_up_to,
    structure::header_differs,
    tar_framing,
};
use crate::oci::{Digest, Hasher};

impl OpenBundle {
    pub(super) fn find_file(&self, name: &str) -> Result<Option<FoundBlob>> {
        match &self.store {
            Backing::Planned(_) | Backing::Set(_) => Ok(None),
            Backing::Scanned(file, files) => Ok(files.get(name).map(|&spot| FoundBlob { file: file.clone(), spot })),
            Backing::Folder(folder) => {
                let path = self.path.join(name);
                let Some(file) = folder.file(name).map_err(Error::read(&path))? else { return Ok(None) };
                let size = file.metadata().map_err(Error::read(&path))?.len();
                Ok(Some(FoundBlob { file: file.into(), spot: BlobSpot { offset: 0, size } }))
            }
        }
    }

    /// Where a blob is, if all of it is in one place. In a bundle of ours the header in front of it must be the planned one.
    pub(super) fn find(&self, digest: &Digest) -> Result<Option<FoundBlob>> {
        let parts = self.find_parts(digest)?.and_then(|parts| <[FoundBlob; 1]>::try_from(parts).ok());
        Ok(parts.map(|[found]| found))
    }

    /// Where a blob is: of one that is cut over volumes the parts of it in order. `None` unless all of it is here.
    pub(super) fn find_parts(&self, digest: &Digest) -> Result<Option<Vec<FoundBlob>>> {
        let whole = |found: Option<FoundBlob>| found.map(|found| vec![found]);
        match (&self.store, &self.layout) {
            (Backing::Planned(file), Some(layout)) => self.planned(file, layout, digest).map(whole),
            (Backing::Set(volumes), _) => {
                let Some(set) = self.facts.as_ref().and_then(|facts| facts.set.as_ref()) else { return Ok(None) };
                let mut parts = Vec::new();
                // The cut was checked when a volume was opened: the pieces of a blob stand in their order.
                for piece in set.pieces.of(digest) {
                    let volume = volumes.iter().find(|volume| volume.number == piece.volume);
                    let found = match volume {
                        Some(volume) => self.planned(&volume.file, &volume.layout, digest)?,
                        None => self.aside_of(digest, piece.from),
                    };
                    let Some(found) = found else { return Ok(None) };
                    parts.push(found);
                }
                Ok((!parts.is_empty()).then_some(parts))
            }
            _ => self.find_file(&blob_name(digest)).map(whole),
        }
    }

    fn aside_of(&self, digest: &Digest, from: u64) -> Option<FoundBlob> {
        let aside = self.aside.iter().find(|aside| aside.digest == *digest && aside.from == from)?;
        Some(FoundBlob { file: aside.file.clone(), spot: BlobSpot { offset: 0, size: aside.size } })
    }

    /// Where `digest`, or the segment of it, is in a file of ours.
    pub(super) fn planned(&self, file: &RandomAccess, layout: &Layout, digest: &Digest) -> Result<Option<FoundBlob>> {
        let Some(place) = layout.place(digest) else { return Ok(None) };
        let name = place.name();
        let planned = header::encode(&name, place.size());
        let found = read_up_to(file, place.header_offset, planned.len() as u64).map_err(Error::read(&self.path))?;
        if found.len() < planned.len() {
            let length = place.header_offset + found.len() as u64;
            return Err(Error::Truncated { length, expected: layout.total(), entry: name });
        }
        if found != planned {
            return Err(header_differs(&found, &planned, place.header_offset, &name, place.size()));
        }
        Ok(Some(FoundBlob { file: file.clone(), spot: BlobSpot { offset: place.offset, size: place.size() } }))
    }

    /// As [`OpenBundle::find_parts`], of the size that is asked for.
    pub(super) fn find_sized(&self, digest: &Digest, expected: u64) -> Result<Vec<FoundBlob>> {
        let found = self.find_parts(digest)?.ok_or(Error::Missing { digest: *digest })?;
        let actual = found.iter().map(|part| part.spot.size).sum();
        if actual != expected {
            return Err(Error::SizeMismatch { digest: *digest, expected, actual });
        }
        Ok(found)
    }

    pub(super) fn check(&self, digest: Digest, size: u64, buffer: &mut Vec<u8>, each: impl FnMut(u64)) -> Result<()> {
        self.check_parts(&self.find_sized(&digest, size)?, digest, digest, buffer, each)
    }

    /// Hashes what lies at `parts` of the blob `digest`, and holds it against `expected`.
    pub(super) fn check_parts(
        &self,
        parts: &[FoundBlob],
        digest: Digest,
        expected: Digest,
        buffer: &mut Vec<u8>,
        mut each: impl FnMut(u64),
    ) -> Result<()> {
        let mut hasher = Hasher::new(expected.algorithm());
        for FoundBlob { file, spot } in parts {
            let updated = file.update_at(&mut hasher, spot.offset, spot.size, buffer, &mut each);
            if !updated.map_err(Error::read(&self.path))? {
                return Err(self.ends_early(*spot, &digest));
            }
        }
        let actual = hasher.finish();
        if actual == expected {
            return Ok(());
        }
        let offset = parts.first().map_or(0, |part| part.spot.offset);
        if expected == digest {
            return Err(Error::DigestMismatch { expected, actual, offset });
        }
        Err(Error::Segment { digest, expected, actual, offset })
    }

    pub(super) fn ends_early(&self, spot: BlobSpot, digest: &Digest) -> Error {
        let expected = spot.offset + spot.size;
        Error::Truncated { length: self.size.min(expected - 1), expected, entry: blob_name(digest) }
    }

    pub(super) fn check_frame(&self) -> Result<Vec<Error>> {
        match (&self.store, &self.layout) {
            (Backing::Planned(file), Some(layout)) => tar_framing::check(file, layout, &self.path),
            _ => Ok(Vec::new()),
        }
    }
}
