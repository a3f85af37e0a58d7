//! The files of an artifact on a disk again: in a folder beside their place first, and under their names once all are there.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use rustix::process::geteuid;
use tar::{Archive, Entry, EntryType};

use super::{
    error::Error,
    files::{TITLE, UNPACK},
    titles,
};
use crate::{
    files::{
        self, lock,
        name::{folder_of, partial},
        rename::{rename, sync_folder},
    },
    oci::{Descriptor, Manifest, Reference},
};

/// What the name of the unfinished folder begins with in a folder that is there already.
const UNFINISHED: &str = ".airlift-extract";

/// Most entries of one archive.
const MAX_ENTRIES: usize = 1_000_000;

/// How much larger than its archive a folder may be, beside [`ALWAYS`].
const MAX_RATIO: u64 = 256;

/// Bytes that are always allowed.
const ALWAYS: u64 = 64 << 20;

/// Bytes copied at once.
const CHUNK: usize = 256 << 10;

/// The begin of what is compressed by gzip, and by zstd (RFC 1952, RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A layer that is a file, or the archive of a folder.
#[derive(Clone, Debug)]
pub(crate) struct FileLayer {
    pub(crate) blob: Descriptor,
    pub(crate) title: String,
    pub(crate) is_folder: bool,
}

/// The layers of `manifest` that are files, checked: their names are safe, and each is there once.
pub(crate) fn layers(manifest: &Manifest, reference: &Reference) -> Result<Vec<FileLayer>, Error> {
    let mut titles = HashSet::new();
    let mut layers = Vec::new();
    for blob in manifest.layers() {
        let Some(title) = blob.annotations.get(TITLE) else { continue };
        let refuse = |reason: &str| unsafe_entry(reference, title, reason);
        let title = title.strip_prefix("./").unwrap_or(title);
        if !titles::is_below(title) {
            return Err(refuse("it is not a plain path below the folder"));
        }
        if !titles.insert(title) {
            return Err(refuse("two of its files have that name"));
        }
        let is_folder = blob.annotations.get(UNPACK).is_some_and(|unpack| unpack == "true");
        layers.push(FileLayer { blob: blob.clone(), title: title.to_owned(), is_folder });
    }
    if layers.is_empty() { Err(Error::NoFiles { artifact: Box::new(reference.clone()) }) } else { Ok(layers) }
}

fn unsafe_entry(reference: &Reference, name: &str, reason: impl Into<String>) -> Error {
    Error::Unsafe { artifact: Box::new(reference.clone()), name: name.to_owned(), reason: reason.into() }
}

/// Files on their way into a folder. Nothing of them is visible there before [`Staging::publish`].
pub(crate) struct Staging {
    /// Where they are to be.
    goal: PathBuf,
    /// Where they are meanwhile.
    path: PathBuf,
    reference: Reference,
    _lock: File,
}

impl Staging {
    /// Prepares to put the files of `reference` into the folder `goal`, which need not exist.
    ///
    /// # Errors
    /// Another run does the same, or something else is in the way.
    pub(crate) fn begin(goal: &Path, reference: &Reference) -> Result<Self, Error> {
        let path = match fs::metadata(goal) {
            Ok(found) if found.is_dir() => partial(&goal.join(UNFINISHED)),
            Ok(_) => return Err(files::Error::Exists { path: goal.to_owned() }.into()),
            Err(_) => partial(goal),
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => outcome.map_err(files::Error::write(&path))?,
        }
        let found = fs::symlink_metadata(&path).map_err(files::Error::read(&path))?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() {
            let reason = "is not a folder that a run of this user left";
            return Err(files::Error::Foreign { path, reason }.into());
        }
        let held = File::open(&path).map_err(files::Error::read(&path))?;
        lock::hold(&held, &path)?;
        // A run that was killed left it; what is in it was not complete.
        let content = path.join("content");
        match fs::remove_dir_all(&content) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(files::Error::write(&content)(error).into());
            }
            _ => {}
        }
        DirBuilder::new().create(&content).map_err(files::Error::write(&content))?;
        Ok(Self { goal: goal.to_owned(), path, reference: reference.clone(), _lock: held })
    }

    /// The file to which the content of `layer` is to be written: its own, or that of its archive.
    pub(crate) fn create(&self, layer: &FileLayer) -> Result<File, Error> {
        let path = if layer.is_folder { self.archive() } else { self.content().join(&layer.title) };
        if !layer.is_folder {
            self.parents(&layer.title)?;
            return self.create_new(&path, &layer.title, 0o666);
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path);
        Ok(file.map_err(files::Error::write(&path))?)
    }

    /// Unpacks the archive of `layer`, which was written and proven.
    pub(crate) fn unpack(&self, layer: &FileLayer) -> Result<(), Error> {
        let path = self.archive();
        let read = |error| Error::from(files::Error::read(&path)(error));
        let mut begin = Vec::new();
        File::open(&path).and_then(|file| file.take(4).read_to_end(&mut begin)).map_err(read)?;
        let packed = BufReader::with_capacity(CHUNK, File::open(&path).map_err(read)?);
        let plain: Box<dyn Read> = if begin.starts_with(&GZIP) {
            Box::new(MultiGzDecoder::new(packed))
        } else if begin.starts_with(&ZSTD) {
            Box::new(zstd::stream::read::Decoder::with_buffer(packed).map_err(read)?)
        } else {
            Box::new(packed)
        };
        self.parents(&layer.title)?;
        let limit = layer.blob.size.saturating_mul(MAX_RATIO).saturating_add(ALWAYS);
        FolderWriter { staging: self, layer, rest: limit, links: Vec::new() }.write(plain)?;
        fs::remove_file(&path).map_err(|error| files::Error::write(&path)(error).into())
    }

    /// Gives the files their names, all of which must be free or be those of the same content. Returns whether all of them
    /// were there already.
    pub(crate) fn publish(self) -> Result<bool, Error> {
        let content = self.content();
        let synced = File::open(&content).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        synced.map_err(files::Error::write(&content))?;
        let moved = if self.goal.is_dir() {
            self.move_each(&content)?
        } else {
            give_name(&content, &self.goal)?;
            true
        };
        fs::remove_dir_all(&self.path).map_err(files::Error::write(&self.path))?;
        Ok(!moved)
    }

    fn move_each(&self, content: &Path) -> Result<bool, Error> {
        let mut missing = Vec::new();
        for entry in fs::read_dir(content).map_err(files::Error::read(content))? {
            let from = entry.map_err(files::Error::read(content))?.path();
            let to = self.goal.join(from.file_name().unwrap_or_default());
            if fs::symlink_metadata(&to).is_err() {
                missing.push((from, to));
            } else if !is_same(&from, &to).map_err(files::Error::read(&to))? {
                return Err(files::Error::Exists { path: to }.into());
            }
        }
        for (from, to) in &missing {
            give_name(from, to)?;
        }
        Ok(!missing.is_empty())
    }

    fn content(&self) -> PathBuf {
        self.path.join("content")
    }

    fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    /// Makes the folders in which the file of that name is. No link is there yet that a path could lead through.
    fn parents(&self, name: &str) -> Result<(), Error> {
        match name.rsplit_once('/') {
            Some((folder, _)) => self.folder(folder),
            None => Ok(()),
        }
    }

    fn folder(&self, name: &str) -> Result<(), Error> {
        let path = self.content().join(name);
        DirBuilder::new().recursive(true).create(&path).map_err(|error| self.refused(name, &path, error))
    }

    fn create_new(&self, path: &Path, name: &str, mode: u32) -> Result<File, Error> {
        let created = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        created.map_err(|error| self.refused(name, path, error))
    }

    fn refused(&self, name: &str, path: &Path, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
                unsafe_entry(&self.reference, name, "another file of the artifact has that name, or a part of it")
            }
            _ => files::Error::write(path)(error).into(),
        }
    }
}

/// Renames what is finished; nothing is replaced.
fn give_name(from: &Path, to: &Path) -> Result<(), Error> {
    rename(from, to, false).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => files::Error::Exists { path: to.to_owned() },
        _ => files::Error::write(to)(error),
    })?;
    Ok(sync_folder(folder_of(to)).map_err(files::Error::write(to))?)
}

/// Unpacks the archive of one folder.
struct FolderWriter<'a> {
    staging: &'a Staging,
    layer: &'a FileLayer,
    /// Bytes that may still come.
    rest: u64,
    /// Links, which are made last: nothing is written through one.
    links: Vec<(String, String)>,
}

impl FolderWriter<'_> {
    fn write(mut self, archive: impl Read) -> Result<(), Error> {
        let mut archive = Archive::new(archive);
        let entries = archive.entries().map_err(|error| self.refuse("", format!("its archive is damaged: {error}")))?;
        for (count, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|error| self.refuse("", format!("its archive is damaged: {error}")))?;
            if count >= MAX_ENTRIES {
                return Err(self.refuse("", format!("its archive has more than {MAX_ENTRIES} entries")));
            }
            self.entry(&mut entry)?;
        }
        // An archive without an entry for the folder itself is one too.
        self.staging.folder(&self.layer.title)?;
        for (name, target) in std::mem::take(&mut self.links) {
            let path = self.staging.content().join(&name);
            self.staging.parents(&name)?;
            symlink(&target, &path).map_err(|error| self.staging.refused(&name, &path, error))?;
        }
        Ok(())
    }

    fn refuse(&self, name: &str, reason: impl Into<String>) -> Error {
        self.layer.refuse(&self.staging.reference, name, reason)
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Error> {
        let raw = entry.path_bytes().into_owned();
        let text = String::from_utf8_lossy(&raw).into_owned();
        let name = text.trim_end_matches('/');
        let name = name.strip_prefix("./").unwrap_or(name);
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let title = &self.layer.title;
        let is_ours = name == title || name.strip_prefix(title.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if std::str::from_utf8(&raw).is_err() || !is_ours || !titles::is_below(name) {
            return Err(self.refuse(&text, format!("it is not a plain path below {title}")));
        }
        match kind {
            EntryType::Directory => self.staging.folder(name),
            EntryType::Regular | EntryType::Continuous => self.file(name, entry),
            EntryType::Link => self.second_name(name, entry),
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let depth = name[title.len()..].matches('/').count().checked_sub(1);
                match (String::from_utf8(target), depth) {
                    (Ok(target), Some(depth)) if titles::stays_within(&target, depth) => {
                        self.links.push((name.to_owned(), target));
                        Ok(())
                    }
                    _ => Err(self.refuse(name, "it is a link that leads out of the folder, or by way of another link")),
                }
            }
            _ => Err(self.refuse(name, "it is not a file, a folder or a link")),
        }
    }

    fn file<R: Read>(&mut self, name: &str, entry: &mut Entry<'_, R>) -> Result<(), Error> {
        let size = entry.size();
        self.rest = self.rest.checked_sub(size).ok_or_else(|| {
            self.refuse(name, format!("its folder is more than {MAX_RATIO} times as large as its archive"))
        })?;
        self.staging.parents(name)?;
        let path = self.staging.content().join(name);
        let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let mut file = self.staging.create_new(&path, name, if is_program { 0o777 } else { 0o666 })?;
        let mut buffer = vec![0; CHUNK];
        let mut written = 0;
        loop {
            match entry.read(&mut buffer) {
                Ok(0) if written == size => return Ok(()),
                Ok(0) => return Err(self.refuse(name, "its archive ends early")),
                Ok(read) => {
                    file.write_all(&buffer[..read]).map_err(files::Error::write(&path))?;
                    written += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refuse(name, format!("its archive is damaged: {error}"))),
            }
        }
    }

    /// A hard link, to a file that came before.
    fn second_name<R: Read>(&self, name: &str, entry: &Entry<'_, R>) -> Result<(), Error> {
        let target =
            entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
        let first = self.staging.content().join(&target);
        let is_ours = target.strip_prefix(self.layer.title.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let is_file =
            is_ours && titles::is_below(&target) && fs::symlink_metadata(&first).is_ok_and(|found| found.is_file());
        if !is_file {
            return Err(self.refuse(name, "it is a second name of something that is not a file before it"));
        }
        self.staging.parents(name)?;
        let path = self.staging.content().join(name);
        fs::hard_link(&first, &path).map_err(|error| self.staging.refused(name, &path, error))
    }
}

impl FileLayer {
    /// An entry of its archive that is not written; without a name the archive itself.
    fn refuse(&self, reference: &Reference, name: &str, reason: impl Into<String>) -> Error {
        unsafe_entry(reference, if name.is_empty() { &self.title } else { name }, reason)
    }
}

/// Whether two files, folders or links have the same content.
fn is_same(first: &Path, second: &Path) -> io::Result<bool> {
    let mut pairs = vec![(first.to_owned(), second.to_owned())];
    while let Some((one, other)) = pairs.pop() {
        let (a, b) = (fs::symlink_metadata(&one)?, fs::symlink_metadata(&other)?);
        let is_program = |found: &fs::Metadata| found.mode() & 0o100 != 0;
        if a.file_type() != b.file_type() {
            return Ok(false);
        }
        if a.is_symlink() {
            if fs::read_link(&one)? != fs::read_link(&other)? {
                return Ok(false);
            }
        } else if a.is_dir() {
            let names = |folder: &Path| -> io::Result<HashSet<_>> {
                fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
            };
            let names_of_one = names(&one)?;
            if names_of_one != names(&other)? {
                return Ok(false);
            }
            pairs.extend(names_of_one.into_iter().map(|name| (one.join(&name), other.join(&name))));
        } else if !a.is_file()
            || a.len() != b.len()
            || is_program(&a) != is_program(&b)
            || !has_same_bytes(&one, &other)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(File::open(one)?), BufReader::new(File::open(other)?));
    let (mut left, mut right) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        match other.read_exact(&mut right[..read]) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            outcome => outcome?,
        }
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
