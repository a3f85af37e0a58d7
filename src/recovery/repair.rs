//! Rebuilding what is damaged or missing: into new files, proven, and only then given their names.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Assessment, Error, FileState, Result,
    code::{self, Gap, cut, stretches},
    create::{digest_of, frame},
    draft::DraftFile,
    head::Head,
    scan::scan,
    space::{Bench, BlockMap, Space},
    table::{self, MergedTable},
};
use crate::{
    oci::Digest,
    progress::{Event, Phase, Progress},
};

/// Bytes copied at a time, at the least a block.
const CHUNK: u64 = 1 << 20;

/// A file that was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Its name in the set.
    pub name: String,
    /// Where it lies now.
    pub path: PathBuf,
    /// Its bytes.
    pub length: u64,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Whether it is a recovery file.
    pub recovery: bool,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Every file that was rebuilt; none if there was nothing to do.
    pub files: Vec<Rebuilt>,
    /// Protected blocks that were lost, each of which took a recovery block.
    pub blocks: u64,
}

impl Assessment {
    /// Rebuilds everything that is not as it must be: where it lies, or into `output`. A damaged file is replaced only
    /// once the new one has the digest that the heads say.
    ///
    /// # Errors
    /// More is damaged than can be rebuilt, there is no room, or what was rebuilt is not what it must be. Nothing that was
    /// there is changed then.
    pub fn repair(&self, output: Option<&Path>, progress: &Progress) -> Result<Repaired> {
        if self.is_sound() {
            return Ok(Repaired::default());
        }
        if let Some(beyond) = self.beyond() {
            return Err(beyond);
        }
        let run = RepairRun { of: self, head: &self.set.head, output, progress };
        let gaps = run.gaps();
        run.tell(&gaps);
        let mut files = Vec::new();
        let data = run.rebuild_data(&gaps, &mut files)?;
        run.rebuild_stores(&data, &mut files)?;
        Ok(Repaired { files, blocks: self.lost() })
    }
}

struct RepairRun<'a> {
    of: &'a Assessment,
    head: &'a Head,
    output: Option<&'a Path>,
    progress: &'a Progress,
}

impl RepairRun<'_> {
    /// What must be decoded: neighbouring groups that lack the same rows in one go.
    fn gaps(&self) -> Vec<Gap> {
        let shape = self.head.shape();
        let mut lost: Vec<(u64, u64)> =
            self.of.data.lost().map(|block| (block % shape.groups, block / shape.groups)).collect();
        lost.sort_unstable();
        let row = |row: u64| usize::try_from(row).expect("a group has fewer rows than the code has points");
        let mut patterns: Vec<(u64, u64, Vec<usize>, Vec<usize>)> = Vec::new();
        for group in lost.chunk_by(|one, other| one.0 == other.0) {
            let number = group[0].0;
            let missing: Vec<usize> = group.iter().map(|(_, at)| row(*at)).collect();
            let sound = (0..shape.recovery).filter(|at| self.of.stores.has(at * shape.groups + number));
            let by: Vec<usize> = sound.map(row).take(missing.len()).collect();
            match patterns.last_mut() {
                Some((first, run, same, also)) if *first + *run == number && *same == missing && *also == by => {
                    *run += 1;
                }
                _ => patterns.push((number, 1, missing, by)),
            }
        }
        let gaps = patterns.into_iter().flat_map(|(first, run, lost, by)| {
            cut(&shape, first, run).map(move |stretch| Gap { stretch, lost: lost.clone(), by: by.clone() })
        });
        gaps.collect()
    }

    fn tell(&self, gaps: &[Gap]) {
        let decoded: u64 = gaps.iter().map(|gap| gap.stretch.width as u64 * self.head.data).sum();
        let copied: u64 = self.bad_data().map(|(number, _)| self.head.files[number].length).sum();
        self.progress.tell(Event::Phase(Phase::Repairing));
        let blobs = self.of.states.iter().filter(|(state, _)| *state != FileState::Sound).count() as u64;
        self.progress.tell(Event::Planned { blobs, bytes: decoded + copied, present: 0 });
        self.progress.tell(Event::Started { blob: self.of.set.id, size: decoded + copied });
    }

    fn advance(&self, bytes: u64) {
        self.progress.tell(Event::Advanced { blob: self.of.set.id, bytes });
    }

    fn bad_data(&self) -> impl Iterator<Item = (usize, &Option<PathBuf>)> {
        let states = self.of.states.iter().take(self.head.files.len()).enumerate();
        states.filter(|(_, (state, _))| *state != FileState::Sound).map(|(number, (_, path))| (number, path))
    }

    fn bad_stores(&self) -> impl Iterator<Item = (usize, &Option<PathBuf>)> {
        let states = self.of.states.iter().skip(self.head.files.len()).enumerate();
        states.filter(|(_, (state, _))| *state != FileState::Sound).map(|(number, (_, path))| (number, path))
    }

    /// Where a file goes: in place of the damaged one, or into the output folder.
    fn draft(&self, name: &str, found: Option<&Path>, length: u64) -> Result<(DraftFile, PathBuf)> {
        let folder = self.output.or_else(|| found.and_then(Path::parent));
        let folder = folder.or_else(|| self.of.set.folders.first().map(PathBuf::as_path)).unwrap_or(Path::new("."));
        let goal = folder.join(name);
        let replace = found == Some(&goal);
        Ok((DraftFile::open(&goal, replace, length)?, goal))
    }

    /// Rebuilds and publishes the protected files; returns all of them, now whole.
    fn rebuild_data(&self, gaps: &[Gap], files: &mut Vec<Rebuilt>) -> Result<BlockMap> {
        let (shape, members) = (self.head.shape(), &self.head.files);
        let mut drafts = Vec::new();
        for (number, found) in self.bad_data() {
            let member = &members[number];
            drafts.push((number, self.draft(&member.name, found.as_deref(), member.length)?));
        }
        let bench = bench(&self.of.data.space, drafts.iter().map(|(number, (draft, _))| (*number, draft)));
        for (number, _) in &drafts {
            self.copy_sound(&self.of.data, &bench, *number)?;
        }
        code::decode(&shape, &self.of.data, &self.of.stores, gaps, &|row, column, bytes| {
            bench.write(row * shape.row() + column, bytes)?;
            // A gap's rows come out together: each stands for its part of all that was read for them.
            self.advance(bytes.len() as u64);
            Ok(())
        })?;
        let mut whole = self.of.data.clone();
        for (number, (draft, _)) in &drafts {
            let member = &members[*number];
            let actual = digest_of(draft.partial().file(), draft.partial().path(), member.length)?;
            if actual != member.digest {
                return Err(Error::Unproven { name: member.name.clone(), expected: member.digest, actual });
            }
            whole.files[*number] = vec![draft.handle.clone()];
        }
        for (number, (draft, path)) in drafts {
            let member = &members[number];
            draft.publish(member.length)?;
            let piece = whole.space.pieces[number];
            let range = at(piece.first)..at(piece.first + piece.blocks);
            whole.from[range].fill(1);
            let (name, length, digest) = (member.name.clone(), member.length, member.digest);
            files.push(Rebuilt { name, path, length, digest, recovery: false });
        }
        Ok(whole)
    }

    /// Rebuilds and publishes the recovery files from protected files that are whole.
    fn rebuild_stores(&self, data: &BlockMap, files: &mut Vec<Rebuilt>) -> Result<()> {
        let (shape, stores) = (self.head.shape(), &self.head.stores);
        let mut drafts = Vec::new();
        for (number, found) in self.bad_stores() {
            let store = &stores[number];
            let length = self.head.store_length(store.blocks);
            drafts.push((number, length, self.draft(&store.name, found.as_deref(), length)?));
        }
        if drafts.is_empty() {
            return Ok(());
        }
        let bench = bench(&self.of.stores.space, drafts.iter().map(|(number, _, (draft, _))| (*number, draft)));
        for (number, ..) in &drafts {
            self.copy_sound(&self.of.stores, &bench, *number)?;
        }
        let mut wanted = vec![false; at(shape.groups)];
        self.of.stores.lost().for_each(|block| wanted[at(block % shape.groups)] = true);
        let work = stretches(&shape, |group| wanted[at(group)]);
        code::encode(&shape, data, &work, &|row, column, bytes| bench.write(row * shape.row() + column, bytes))?;
        let table = self.prove_stores(data, &bench)?;
        for (number, length, (draft, path)) in drafts {
            frame(self.head, u32::try_from(number).expect("a head names few files"), &table, draft.partial())?;
            let digest = digest_of(draft.partial().file(), draft.partial().path(), length)?;
            draft.publish(length)?;
            files.push(Rebuilt { name: stores[number].name.clone(), path, length, digest, recovery: true });
        }
        Ok(())
    }

    /// Holds what was rebuilt against the table, and the table against the head.
    fn prove_stores(&self, data: &BlockMap, bench: &Bench) -> Result<Vec<u8>> {
        let mut gathered = self.of.table.clone();
        let protected = self.head.blocks();
        self.learn(&mut gathered, data, protected)?;
        for (piece, file) in bench.space.pieces.iter().zip(&bench.files) {
            let Some(file) = file else { continue };
            for (block, check) in (protected + piece.first..).zip(scan(file, piece, self.head.block, |_| {}).checks) {
                let check = check.ok_or_else(|| Error::Changed { path: file.path.clone() })?;
                // Known or not, the digest of the whole table decides.
                gathered.set(block, check);
            }
        }
        let table = table::write(&gathered.whole().unwrap_or_default());
        let actual = Digest::sha256(&table);
        if actual != self.head.table {
            let name = "the table of checksums".to_owned();
            return Err(Error::Unproven { name, expected: self.head.table, actual });
        }
        Ok(table)
    }

    /// Checksums of protected blocks of which every copy was damaged.
    fn learn(&self, gathered: &mut MergedTable, data: &BlockMap, protected: u64) -> Result<()> {
        let unknown: Vec<u64> = gathered.unknown().take_while(|block| *block < protected).collect();
        let mut buffer = vec![0; at(self.head.block)];
        for block in unknown {
            data.read(block * self.head.block, &mut buffer)?;
            gathered.set(block, table::check(&buffer));
        }
        Ok(())
    }

    /// Copies the sound blocks of piece `number`.
    fn copy_sound(&self, from: &BlockMap, to: &Bench, number: usize) -> Result<()> {
        let (piece, block) = (from.space.pieces[number], self.head.block);
        let most = (CHUNK / block).max(1);
        let mut buffer = Vec::new();
        let (mut next, end) = (piece.first, piece.first + piece.blocks);
        while next < end {
            let run = (next..end.min(next + most)).take_while(|one| from.has(*one)).count() as u64;
            if run > 0 {
                buffer.resize(at(run * block), 0);
                from.read(next * block, &mut buffer)?;
                to.write(next * block, &buffer)?;
                self.advance(run * block);
            }
            next += run.max(1);
        }
        Ok(())
    }
}

/// Where to write: into the drafts of these pieces.
fn bench<'a>(space: &Space, drafts: impl Iterator<Item = (usize, &'a DraftFile)>) -> Bench {
    let mut files = vec![None; space.pieces.len()];
    for (number, draft) in drafts {
        files[number] =
            Some(super::space::Handle { path: draft.handle.path.clone(), file: Arc::clone(&draft.handle.file) });
    }
    Bench { space: space.clone(), files }
}

fn at(number: u64) -> usize {
    usize::try_from(number).expect("a head that was checked has few blocks")
}
