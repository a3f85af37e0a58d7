//! Secrets of this machine: variables and files.

use std::{
    env, fs, io,
    io::Read,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{
    LIMIT, SecretReference,
    error::{Error, Result},
};
use crate::files::blocking::off_reactor;

/// Permissions that only owner and group may have, and the group's to write.
const OTHERS: u32 = 0o027;

pub(super) fn variable(name: &str, reference: &SecretReference) -> Result<String> {
    let what = || reference.to_string();
    let value = env::var_os(name).ok_or_else(|| Error::NotFound { what: what(), detail: "the variable is not set" })?;
    value.into_string().map_err(|_| Error::Unfit { what: what(), reason: "it is no UTF-8" })
}

pub(super) async fn file(path: PathBuf, reference: &SecretReference) -> Result<String> {
    let what = reference.to_string();
    off_reactor(move || read(&path, &what)).await
}

/// Links are followed, for that is how Kubernetes mounts secrets; what is looked at is what was opened, not what a name
/// leads to a moment later.
fn read(path: &Path, what: &str) -> Result<String> {
    let what = || what.to_owned();
    // A pipe without a writer must not block.
    let flags = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits().cast_signed();
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { what: what(), detail: "there is no such file" },
        _ => Error::Io { what: what(), source },
    })?;
    let meta = file.metadata().map_err(|source| Error::Io { what: what(), source })?;
    if !meta.is_file() {
        return Err(Error::Unfit { what: what(), reason: "it is not a regular file" });
    }
    let mode = meta.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(Error::Exposed { what: what(), mode });
    }
    let mut value = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut value).map_err(|source| Error::Io { what: what(), source })?;
    text(value, &what())
}

/// Bytes as the text of a secret.
pub(super) fn text(value: Vec<u8>, what: &str) -> Result<String> {
    if value.len() as u64 > LIMIT {
        return Err(Error::Unfit { what: what.to_owned(), reason: "it is larger than 64 KiB" });
    }
    String::from_utf8(value).map_err(|_| Error::Unfit { what: what.to_owned(), reason: "it is no UTF-8" })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::content::{Code, Fault};

    fn file(folder: &Path, name: &str, mode: u32, content: &[u8]) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_that_others_may_read_or_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o400, 0o600, 0o440, 0o640] {
            assert_eq!(read(&file(folder.path(), "good", mode, b"value\n"), "good").unwrap(), "value\n", "{mode:o}");
            fs::remove_file(folder.path().join("good")).unwrap();
        }
        for mode in [0o604, 0o644, 0o666, 0o660, 0o602, 0o601] {
            let error = read(&file(folder.path(), "open", mode, b"CANARY"), "open").unwrap_err();
            assert_eq!(error.code(), Code::SecretExposed, "{mode:o}");
            assert!(!format!("{error} {error:?}").contains("CANARY"));
        }
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (good, open) = (file(folder.path(), "good", 0o400, b"value"), file(folder.path(), "open", 0o644, b"value"));
        let link = |name: &str, to: &Path| {
            symlink(to, folder.path().join(name)).unwrap();
            read(&folder.path().join(name), name)
        };
        assert_eq!(link("to-good", &good).unwrap(), "value");
        assert_eq!(link("to-open", &open).unwrap_err().code(), Code::SecretExposed);
        assert_eq!(link("to-nothing", Path::new("absent")).unwrap_err().code(), Code::SecretNotFound);
        assert_eq!(link("to-itself", Path::new("to-itself")).unwrap_err().code(), Code::IoRead);
    }

    #[test]
    fn what_is_no_file_of_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path(), "folder").unwrap_err().code(), Code::SecretForm);
        assert_eq!(read(Path::new("/dev/null"), "device").unwrap_err().code(), Code::SecretForm);
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(read(&pipe, "pipe").unwrap_err().code(), Code::SecretForm);
        let large = vec![b'x'; usize::try_from(LIMIT).unwrap() + 1];
        assert_eq!(read(&file(folder.path(), "large", 0o600, &large), "large").unwrap_err().code(), Code::SecretForm);
        let bytes = file(folder.path(), "bytes", 0o600, &[0xff, 0xfe]);
        assert_eq!(read(&bytes, "bytes").unwrap_err().code(), Code::SecretForm);
    }
}
