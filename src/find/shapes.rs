//! What a document is by its members.

use super::tree::{Id, Value, ValueTree};

/// Whether the document is a compose file: `services` is a mapping of mappings, and one of them has `image` or `build`.
pub(super) fn is_compose(tree: &ValueTree) -> bool {
    if tree.get(tree.root(), "apiVersion").is_some() || tree.get(tree.root(), "kind").is_some() {
        return false;
    }
    let Some(services) = tree.get(tree.root(), "services") else { return false };
    let services = tree.entries(services);
    let is_service = |id: Id| matches!(tree.value(id), Value::Mapping(_));
    services.iter().all(|(_, id)| is_service(*id))
        && services.iter().any(|(_, id)| tree.get(*id, "image").is_some() || tree.get(*id, "build").is_some())
}
