//! Lines: a reference each. With `=` it is oc-mirror's `mapping.txt`: the source, and where it is to go.

use super::{
    document::{ArtifactList, Unsupported},
    package::PackageEntry,
};

pub(super) fn read(text: &str, registry: Option<&str>, list: &mut ArtifactList) {
    let mut mapping = None;
    for (line, entry) in (1..).zip(text.lines().map(uncommented)) {
        if entry.is_empty() || entry == "---" {
            continue;
        }
        // There, what is behind `=` is the name of the artifact.
        if PackageEntry::parse(entry, registry).is_some() {
            list.add(entry, registry, line);
            continue;
        }
        let (source, destination) = entry.split_once('=').map_or((entry, None), |(source, to)| (source, Some(to)));
        if destination.is_some() {
            mapping.get_or_insert(line);
        }
        let source = ["docker://", "oci://"].iter().find_map(|scheme| source.strip_prefix(scheme)).unwrap_or(source);
        if destination.is_some_and(|to| to.starts_with("file://")) || source.starts_with("file://") {
            list.unsupported
                .push(Unsupported { line, what: "it maps to or from files of oc-mirror, not registries".to_owned() });
            continue;
        }
        list.add(source, registry, line);
    }
    if let Some(line) = mapping {
        list.notes
            .push(Unsupported { line, what: "where artifacts go is said at import (--map), not here".to_owned() });
    }
}

/// A line without its comment and outer blanks. A `#` within a word is none.
pub(in crate::find) fn uncommented(line: &str) -> &str {
    let comment = line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}
