//! Folders that are for their owner only.

use std::{
    env, fs,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::error::{Error, Result};

/// The folder for what airlift keeps between runs: `$XDG_STATE_HOME/airlift`, or `~/.local/state/airlift`.
///
/// # Errors
/// [`Error::NoHome`]. There is no fallback to a shared folder: a stranger could put files there that a later run trusts.
pub fn state_folder() -> Result<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    Ok(state.ok_or(Error::NoHome)?.join("airlift"))
}

/// Creates `folder` for this user alone, unless it is there; then no other user may be able to put files into it.
///
/// # Errors
/// [`Error::Exposed`]; it cannot be created.
pub(crate) fn create(folder: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(Error::write(folder))?;
    check(folder)
}

/// Refuses a folder in which another user can put files.
fn check(folder: &Path) -> Result<()> {
    let found = fs::metadata(folder).map_err(Error::read(folder))?;
    let (is_own, is_roots) = (found.uid() == geteuid().as_raw(), found.uid() == 0);
    // An administrator may share a folder with a group, as the volumes of Kubernetes are.
    let shared = if is_own { 0o022 } else { 0o002 };
    if !(is_own || is_roots) || found.mode() & shared != 0 {
        return Err(Error::Exposed { path: folder.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        create(&path).unwrap();
        for shared in [0o720, 0o702, 0o1777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(shared)).unwrap();
            assert!(matches!(create(&path), Err(Error::Exposed { .. })), "{shared:o}");
        }
    }
}
