//! Everything of a file of ours that is not content: compared with what the plan computes.

use std::path::Path;

use super::{
    Error, Layout, Result, header, random_access::RandomAccess, strict::read_up_to, structure::header_differs,
};

/// Everything that differs in the headers, the padding and the end of `file`, which is called `path`.
pub(super) fn check(file: &RandomAccess, layout: &Layout, path: &Path) -> Result<Vec<Error>> {
    let mut findings = Vec::new();
    for (offset, planned) in layout.head_entries() {
        let found = read_up_to(file, offset, planned.len() as u64).map_err(Error::read(path))?;
        if found != planned {
            findings.push(head_differs(layout, offset, &found, &planned));
            break;
        }
    }
    for (at, (offset, planned)) in layout.headers().enumerate() {
        let found = read_up_to(file, offset, planned.len() as u64).map_err(Error::read(path))?;
        if found == planned {
            continue;
        }
        findings.push(header_or_padding_differs(layout, at, offset, &found, &planned));
    }
    Ok(findings)
}

/// What is wrong with an entry of the head, which begins at `offset`.
fn head_differs(layout: &Layout, offset: u64, found: &[u8], planned: &[u8]) -> Error {
    let entry = "the head".to_owned();
    if found.len() < planned.len() {
        return Error::Truncated { length: offset + found.len() as u64, expected: layout.total(), entry };
    }
    Error::Structure { offset: offset + first_other(found, planned), entry, reason: "it is not as planned".to_owned() }
}

/// Where the first byte is that is not as planned.
fn first_other(found: &[u8], planned: &[u8]) -> u64 {
    found.iter().zip(planned).position(|(a, b)| a != b).unwrap_or(0) as u64
}

/// What is wrong with the piece `at` of [`Layout::headers`], which begins at `offset`.
fn header_or_padding_differs(layout: &Layout, at: usize, offset: u64, found: &[u8], planned: &[u8]) -> Error {
    let blobs = layout.blobs();
    let before = at.checked_sub(1).and_then(|at| blobs.get(at));
    let entry = before.map_or_else(|| "the head".to_owned(), super::TarEntry::name);
    if found.len() < planned.len() {
        return Error::Truncated { length: offset + found.len() as u64, expected: layout.total(), entry };
    }
    let first = first_other(found, planned);
    let structure =
        |reason: &str| Error::Structure { offset: offset + first, entry: entry.clone(), reason: reason.to_owned() };
    let Some(place) = blobs.get(at) else {
        let padding = before.map_or(0, |place| header::padding(place.size()));
        let in_padding = first < padding;
        return structure(if in_padding { "its padding is not zero" } else { "the end blocks after it are not zero" });
    };
    let skip = place.header_offset - offset;
    if first < skip {
        return structure("its padding is not zero");
    }
    let skip = usize::try_from(skip).unwrap_or(0);
    header_differs(&found[skip..], &planned[skip..], place.header_offset, &place.name(), place.size())
}
