//! Making recovery data: two readings of what is protected, one for the checksums, one for the code.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Error, ProtectedSet, Result, SUFFIX,
    code::{self, stretches},
    head::{Head, ProtectedFile, RecoveryFile, VERSION},
    scan::scan,
    shape::{Percent, Shape},
    space::{Bench, BlockMap, Handle, Space},
    table::{self, BlockChecksum},
};
use crate::{
    bundle,
    files::{disk, partial::PartialFile},
    oci::Digest,
    progress::{Event, Phase, Progress},
};

/// What to protect, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The folder of the protected files, which is also that of the recovery files.
    pub folder: PathBuf,
    /// Names of the protected files; their order counts.
    pub files: Vec<String>,
    /// How much recovery data.
    pub percent: Percent,
    /// What the names of the recovery files begin with.
    pub stem: String,
    /// Most bytes of a recovery file; what does not fit goes into further ones.
    pub limit: Option<u64>,
    /// Whether recovery files of these names may be replaced.
    pub overwrite: bool,
}

impl Request {
    /// Recovery data of `files` in one file, however large; nothing is replaced.
    pub fn new(folder: PathBuf, files: Vec<String>, stem: impl Into<String>, percent: Percent) -> Self {
        Self { folder, files, percent, stem: stem.into(), limit: None, overwrite: false }
    }
}

/// Recovery data that was made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Created {
    /// The id of the set.
    pub id: Digest,
    /// What is protected.
    pub protected: Vec<ProtectedFile>,
    /// The recovery files.
    pub files: Vec<ProtectedFile>,
    /// The measures.
    pub shape: Shape,
}

/// Makes recovery files. They appear under their names once they are complete; run again after a break, it begins anew.
///
/// # Errors
/// A file is not there or changes meanwhile, recovery files of these names are there, or there is no room.
pub fn create(request: &Request, progress: &Progress) -> Result<Created> {
    let sources =
        request.files.iter().map(|name| ProtectedSource::open(&request.folder, name)).collect::<Result<Vec<_>>>()?;
    let lengths: Vec<u64> = sources.iter().map(|source| source.before.len()).collect();
    let shape = Shape::of(&lengths, request.percent);
    let space = Space::new(shape.block, lengths.iter().map(|length| (0, *length)));
    let total: u64 = lengths.iter().sum();
    progress.tell(Event::Phase(Phase::Protecting));
    progress.tell(Event::Planned { blobs: sources.len() as u64, bytes: total * 2, present: 0 });

    let (files, mut checks) = read_all(&sources, &space, progress)?;
    let blank = Digest::sha256(b"");
    let (block, data, groups, recovery) = (shape.block, shape.data, shape.groups, shape.recovery);
    let mut head = Head { block, data, files, groups, recovery, stores: Vec::new(), table: blank, version: VERSION };
    head.stores = stores(&head, request)?;
    head.check().map_err(|reason| Error::Unfit { reason })?;

    if !request.overwrite
        && let Some(there) = already(&head, request, progress)?
    {
        return Ok(Created { protected: head.files, shape, ..there });
    }
    let outputs = Outputs::open(&head, request)?;
    let data = BlockMap::whole(space, sources.iter().map(|source| source.handle.clone()).collect());
    let bench = outputs.bench(&head);
    let work = stretches(&shape, |_| true);
    let told = head.id();
    progress.tell(Event::Started { blob: told, size: total });
    code::encode(&shape, &data, &work, &|row, column, bytes| {
        if row == 0 {
            // A stretch of the first recovery row stands for the same stretch of every row that it was made of.
            progress.tell(Event::Advanced { blob: told, bytes: bytes.len() as u64 * shape.data });
        }
        bench.write(row * shape.row() + column, bytes)
    })?;
    progress.tell(Event::Finished { blob: told });
    sources.iter().try_for_each(ProtectedSource::unchanged)?;

    for (piece, file) in bench.space.pieces.iter().zip(bench.files.iter().flatten()) {
        let scanned = scan(file, piece, shape.block, |_| {});
        let read: Option<Vec<BlockChecksum>> = scanned.checks.into_iter().collect();
        checks.extend(read.ok_or_else(|| Error::Changed { path: file.path.clone() })?);
    }
    let table = table::write(&checks);
    head.table = Digest::sha256(&table);
    progress.tell(Event::Phase(Phase::Publishing));
    let files = outputs.publish(&head, &table)?;
    Ok(Created { id: head.id(), protected: head.files, files, shape })
}

/// A protected file, and what it looked like before it was read.
struct ProtectedSource {
    handle: Handle,
    name: String,
    before: Metadata,
}

impl ProtectedSource {
    fn open(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = File::open(&path).map_err(Error::read(&path))?;
        let before = file.metadata().map_err(Error::read(&path))?;
        if !before.is_file() {
            return Err(Error::Unfit { reason: format!("{} is not a file", path.display()) });
        }
        Ok(Self { handle: Handle { path, file: Arc::new(file) }, name: name.to_owned(), before })
    }

    fn unchanged(&self) -> Result<()> {
        let path = &self.handle.path;
        let (now, before) = (std::fs::metadata(path).map_err(Error::read(path))?, &self.before);
        let look = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
        if look(&now) == look(before) { Ok(()) } else { Err(Error::Changed { path: path.clone() }) }
    }
}

/// The first reading: what each file is, and the checksums of its blocks.
fn read_all(
    sources: &[ProtectedSource],
    space: &Space,
    progress: &Progress,
) -> Result<(Vec<ProtectedFile>, Vec<BlockChecksum>)> {
    let (mut members, mut checks) = (Vec::new(), Vec::new());
    for (source, piece) in sources.iter().zip(&space.pieces) {
        let told = Digest::sha256(source.name.as_bytes());
        progress.tell(Event::Started { blob: told, size: piece.length });
        let scanned =
            scan(&source.handle, piece, space.block, |bytes| progress.tell(Event::Advanced { blob: told, bytes }));
        progress.tell(Event::Finished { blob: told });
        let read: Option<Vec<BlockChecksum>> = scanned.checks.into_iter().collect();
        let unreadable = || Error::read(&source.handle.path)(std::io::Error::other("a part of it cannot be read"));
        let (Some(digest), Some(read)) = (scanned.digest, read) else { return Err(unreadable()) };
        members.push(ProtectedFile { digest, length: piece.length, name: source.name.clone() });
        checks.extend(read);
    }
    Ok((members, checks))
}

/// Recovery files so that none is over the limit: `STEM.recovery`, or `STEM.1.recovery` and so on.
fn stores(head: &Head, request: &Request) -> Result<Vec<RecoveryFile>> {
    let all = head.shape().recovery_blocks();
    let name = |number| format!("{}.{number}{SUFFIX}", request.stem);
    let mut count = 1;
    loop {
        let most = all.div_ceil(count);
        let blocks = |number| most.min(all.saturating_sub((number - 1) * most));
        let several = (1..=count).map(|number| RecoveryFile { blocks: blocks(number), name: name(number) });
        let stores: Vec<RecoveryFile> = if count == 1 {
            vec![RecoveryFile { blocks: all, name: format!("{}{SUFFIX}", request.stem) }]
        } else {
            several.filter(|store| store.blocks > 0).collect()
        };
        let Some(limit) = request.limit else { return Ok(stores) };
        let with = Head { stores: stores.clone(), ..head.clone() };
        // Names make the head longer, so the room for blocks is known only once the names are.
        let room = limit.saturating_sub(with.store_length(0)) / head.block;
        if most <= room {
            return Ok(stores);
        }
        if room == 0 {
            let needed = with.store_length(1);
            let reason = format!("a file of {limit} bytes has no room for one block; it takes {needed} bytes");
            return Err(Error::Unfit { reason });
        }
        count = all.div_ceil(room).max(count + 1);
    }
}

/// The recovery files that are there, if they are those that would be made: of the same content, as much, and sound.
fn already(head: &Head, request: &Request, progress: &Progress) -> Result<Option<Created>> {
    let path = |store: &RecoveryFile| request.folder.join(&store.name);
    let Some(first) = head.stores.first().map(path).filter(|path| path.exists()) else { return Ok(None) };
    // What cannot be taken for recovery data is something else that is in the way.
    let Ok(set) = ProtectedSet::find(&[first]) else { return Ok(None) };
    let (id, found) = (*set.id(), set.head().clone());
    if (Head { table: found.table, ..head.clone() }) != found || !set.assess(progress)?.is_sound() {
        return Ok(None);
    }
    let member = |store: &RecoveryFile| {
        let (path, length) = (path(store), head.store_length(store.blocks));
        let file = File::open(&path).map_err(Error::read(&path))?;
        Ok(ProtectedFile { digest: digest_of(&file, &path, length)?, length, name: store.name.clone() })
    };
    let files = found.stores.iter().map(member).collect::<Result<_>>()?;
    Ok(Some(Created { id, protected: found.files, files, shape: head.shape() }))
}

/// The recovery files while they are written.
struct Outputs(Vec<PartialFile>);

impl Outputs {
    fn open(head: &Head, request: &Request) -> Result<Self> {
        let outputs = head.stores.iter().map(|store| {
            let output = PartialFile::open(&request.folder.join(&store.name), request.overwrite)?;
            // Nothing of an earlier run is of use.
            output.file().set_len(0).map_err(Error::write(output.path()))?;
            output.reserve(head.store_length(store.blocks))?;
            Ok(output)
        });
        Ok(Self(outputs.collect::<Result<_>>()?))
    }

    fn bench(&self, head: &Head) -> Bench {
        let space = head.store_space();
        let handle = |output: &PartialFile| -> Option<Handle> {
            let file = output.file().try_clone().ok()?;
            Some(Handle { path: output.path().to_owned(), file: Arc::new(file) })
        };
        Bench { space, files: self.0.iter().map(handle).collect() }
    }

    fn publish(self, head: &Head, table: &[u8]) -> Result<Vec<ProtectedFile>> {
        for (number, output) in (0..).zip(&self.0) {
            frame(head, number, table, output)?;
        }
        let mut files = Vec::new();
        for (output, store) in self.0.into_iter().zip(&head.stores) {
            let length = head.store_length(store.blocks);
            let digest = digest_of(output.file(), output.path(), length)?;
            output.publish(length)?;
            files.push(ProtectedFile { digest, length, name: store.name.clone() });
        }
        Ok(files)
    }
}

/// SHA-256 of the first `length` bytes of a file.
pub(super) fn digest_of(file: &File, path: &Path, length: u64) -> Result<Digest> {
    let sha256 = crate::oci::Algorithm::Sha256;
    let read = disk::hash_at(file, sha256, 0, length, &mut Vec::new(), |_| {});
    let whole = read.map_err(Error::read(path))?;
    Ok(whole.ok_or_else(|| Error::Changed { path: path.to_owned() })?.finish())
}

/// Writes what stands around the blocks of recovery file `number`: head and table before, table and head behind.
pub(super) fn frame(head: &Head, number: u32, table: &[u8], output: &PartialFile) -> Result<()> {
    let own = head.write(number);
    let blocks = head.stores.get(number as usize).map_or(0, |store| store.blocks * head.block);
    let behind = head.body() + blocks;
    let parts = [(0, &own[..]), (head.written(), table), (behind, table), (behind + table.len() as u64, &own[..])];
    for (at, bytes) in parts {
        let chunk = bytes::Bytes::copy_from_slice(bytes);
        disk::write_at(output.file(), &[chunk], at).map_err(Error::write(output.path()))?;
    }
    Ok(())
}

impl From<Error> for bundle::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::File(error) => error,
            other => Self::Content(Box::new(crate::content::Error::place(other))),
        }
    }
}
