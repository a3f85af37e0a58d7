//! Where segments of layers wait that are cut over volumes, until the rest of them came.

use std::path::{Path, PathBuf};

use airlift::oci::Digest;

/// A folder of the set's own, below what was asked for.
pub(super) fn of(asked: Option<&Path>, set: Option<Digest>) -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = || {
        let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        state.unwrap_or_else(std::env::temp_dir).join("airlift/spool")
    };
    let name = set.map_or_else(|| "none".to_owned(), |set| set.hex());
    asked.map_or_else(state, Path::to_owned).join(name)
}
