//! Image layouts in a folder, read without ever following a link out of it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

/// An open folder.
#[derive(Debug)]
pub(crate) struct OpenFolder(OwnedFd);

impl OpenFolder {
    /// Opens `path`, which may itself be a link: the person named it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(rustix::fs::CWD, path, flags, Mode::empty())?))
    }

    /// Opens the regular file `name`, which consists of parts joined by `/` and was made by us; `None` if there is none.
    pub(crate) fn file(&self, name: &str) -> io::Result<Option<File>> {
        let mut folder: Option<OwnedFd> = None;
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            // A pipe would let us wait for ever; opened this way it is seen for what it is.
            let kind = if last { OFlags::NONBLOCK } else { OFlags::DIRECTORY };
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
            let base = folder.as_ref().unwrap_or(&self.0).as_fd();
            match openat(base, part, flags, Mode::empty()) {
                Ok(opened) if last => return regular(opened).map(Some),
                Ok(opened) => folder = Some(opened),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is a link, or no file")));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

fn regular(opened: OwnedFd) -> io::Result<File> {
    let file = File::from(opened);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"))
}
