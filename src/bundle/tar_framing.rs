//! Everything of a file of ours that is not content: compared with what the plan computes.

use std::path::Path;

use super::{
    Error, Layout, Result, header, random_access::RandomAccess, strict::read_up_to, structure::header_differs,
};

/// Everything that differs in the headers, the padding and the end of `file`, which is called `path`.
pub(super) fn check(file: &RandomAccess, layout: &Layout, path: &Path) -> Result<Vec<Error>> {
    let mut findings = Vec::new();
    for (at, (offset, planned)) in layout.frame().enumerate() {
        let found = read_up_to(file, offset, planned.len() as u64).map_err(Error::read(path))?;
        if found == planned {
            continue;
        }
        findings.push(frame_differs(layout, at, offset, &found, &planned));
    }
    Ok(findings)
}

/// What is wrong with the piece `at` of the frame, which begins at `offset`.
fn frame_differs(layout: &Layout, at: usize, offset: u64, found: &[u8], planned: &[u8]) -> Error {
    let blobs = layout.blobs();
    let before = at.checked_sub(2).and_then(|at| blobs.get(at));
    let entry = before.map_or_else(|| "the head".to_owned(), super::TarEntry::name);
    if found.len() < planned.len() {
        return Error::Truncated { length: offset + found.len() as u64, expected: layout.total(), entry };
    }
    let first = found.iter().zip(planned).position(|(a, b)| a != b).unwrap_or(0);
    let structure = |reason: &str| Error::Structure {
        offset: offset + first as u64,
        entry: entry.clone(),
        reason: reason.to_owned(),
    };
    if at == 0 {
        return structure("it is not as planned");
    }
    let Some(place) = blobs.get(at - 1) else {
        let padding = before.map_or(0, |place| header::padding(place.size()));
        let in_padding = (first as u64) < padding;
        return structure(if in_padding { "its padding is not zero" } else { "the end blocks after it are not zero" });
    };
    let skip = usize::try_from(place.header_offset - offset).unwrap_or(0);
    if first < skip {
        return structure("its padding is not zero");
    }
    header_differs(&found[skip..], &planned[skip..], place.header_offset, &place.name(), place.size())
}
