//! A folder as a reproducible tar: entries by name, without times and owners, and one bit of each file's permissions.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tar::{Builder, EntryType, Header};

use super::{
    error::Error,
    gzip::StoredGzip,
    stamp::{self, Links, Stamp},
    titles,
};

/// Most entries of one folder.
const MAX_ENTRIES: usize = 1_000_000;

/// How deep a folder is read.
const MAX_DEPTH: usize = 100;

#[derive(Debug)]
enum EntryKind {
    Folder,
    File { stamp: Stamp, is_program: bool },
    Link(String),
}

#[derive(Debug)]
struct FolderEntry {
    /// Its path in the tar, which begins with the folder's title.
    name: String,
    path: PathBuf,
    kind: EntryKind,
}

/// The entries of a folder at one moment. Their content is read later, and must still be that of the moment.
#[derive(Debug)]
pub(super) struct FolderTar(Vec<FolderEntry>);

impl FolderTar {
    /// Lists the folder at `root`, whose name in the tar is `title`.
    pub(super) fn list(root: &Path, title: &str) -> Result<Self, Error> {
        let mut entries = vec![FolderEntry { name: title.to_owned(), path: root.to_owned(), kind: EntryKind::Folder }];
        let mut folders = vec![(root.to_owned(), title.to_owned(), 0)];
        while let Some((folder, prefix, depth)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(Error::read(&folder))? {
                let path = entry.map_err(Error::read(&folder))?.path();
                let refuse = |reason| Error::Entry { path: path.clone(), reason };
                let name = path.file_name().and_then(|name| name.to_str()).filter(|name| titles::is_part(name));
                let name =
                    name.ok_or_else(|| refuse("its name is not text, or has control characters or a backslash"))?;
                let name = format!("{prefix}/{name}");
                let kind = Self::kind(&path, depth)?;
                if matches!(kind, EntryKind::Folder) {
                    if depth + 1 >= MAX_DEPTH {
                        return Err(refuse("it is nested too deeply"));
                    }
                    folders.push((path.clone(), name.clone(), depth + 1));
                }
                entries.push(FolderEntry { name, path, kind });
                if entries.len() > MAX_ENTRIES {
                    return Err(Error::Entry { path: root.to_owned(), reason: "it has more than 1,000,000 entries" });
                }
            }
        }
        // By parts, so that a folder comes before what is in it.
        entries.sort_by(|a, b| a.name.split('/').cmp(b.name.split('/')));
        Ok(Self(entries))
    }

    /// `depth` is that of the folder in which `path` is.
    fn kind(path: &Path, depth: usize) -> Result<EntryKind, Error> {
        let found = fs::symlink_metadata(path).map_err(Error::read(path))?;
        let refuse = |reason| Err(Error::Entry { path: path.to_owned(), reason });
        if found.is_dir() {
            return Ok(EntryKind::Folder);
        }
        if found.is_file() {
            let is_program = found.permissions().mode() & 0o100 != 0;
            return Ok(EntryKind::File { stamp: Stamp::at(path, Links::Refused)?, is_program });
        }
        if !found.is_symlink() {
            return refuse("it is a device, a pipe or a socket");
        }
        let target = fs::read_link(path).map_err(Error::read(path))?;
        match target.to_str() {
            Some(target) if titles::stays_within(target, depth) => Ok(EntryKind::Link(target.to_owned())),
            _ => refuse("it is a link that leads out of the folder, or by way of another link"),
        }
    }

    /// Writes the tar, in gzip.
    pub(super) fn write_gzip<W: Write>(&self, out: W) -> Result<W, Error> {
        let gzip = self.write(StoredGzip::new(out).map_err(|source| Error::Sent { source })?)?;
        gzip.finish().map_err(|source| Error::Sent { source })
    }

    /// Writes the tar.
    pub(super) fn write<W: Write>(&self, out: W) -> Result<W, Error> {
        let mut tar = Builder::new(out);
        for entry in &self.0 {
            entry.write(&mut tar)?;
        }
        tar.into_inner().map_err(|source| Error::Sent { source })
    }
}

impl FolderEntry {
    fn write<W: Write>(&self, tar: &mut Builder<W>) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        header.set_mode(0o755);
        let written = match &self.kind {
            EntryKind::Folder => {
                header.set_entry_type(EntryType::Directory);
                tar.append_data(&mut header, format!("{}/", self.name), io::empty())
            }
            EntryKind::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                tar.append_link(&mut header, &self.name, target)
            }
            EntryKind::File { stamp, is_program } => {
                header.set_entry_type(EntryType::Regular);
                header.set_mode(if *is_program { 0o755 } else { 0o644 });
                header.set_size(stamp.size);
                return self.write_file(header, *stamp, tar);
            }
        };
        written.map_err(|source| Error::Sent { source })
    }

    fn write_file<W: Write>(&self, mut header: Header, stamp: Stamp, tar: &mut Builder<W>) -> Result<(), Error> {
        // The header by the crate, for it knows long names; the content by us, for we know a file that changes.
        let padding = io::empty();
        let sent = |source| Error::Sent { source };
        tar.append_data(&mut header, &self.name, padding).map_err(sent)?;
        let out = tar.get_mut();
        stamp::copy(&self.path, Links::Refused, stamp, out)?;
        let rest = usize::try_from(stamp.size.next_multiple_of(512) - stamp.size).unwrap_or(0);
        out.write_all(&[0; 512][..rest]).map_err(sent)
    }
}
