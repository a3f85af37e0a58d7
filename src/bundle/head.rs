//! Parts 1 to 4 of a bundle as a file of their own: what the bundle has, without the bytes of it (docs/bundle-format.md, *Heads*).

use std::{fs::File, path::Path};

use super::{
    Contents, Error, Layout, Result,
    header::END,
    strict::{is_head, is_ours, read_head},
};
use crate::files::blocking::off_reactor;

/// The head of the bundle of `contents`; of a set, that of the undivided bundle.
///
/// # Errors
/// A manifest is missing, or sizes contradict each other.
pub fn encode(contents: &Contents) -> Result<Vec<u8>> {
    let mut head = Vec::from(Layout::of(contents)?.head());
    let end = usize::try_from(END).unwrap_or_default();
    head.resize(head.len() + end, 0);
    Ok(head)
}

/// What the bundle has of which the file at `path` is the head; `None` if it is not a head.
///
/// # Errors
/// It cannot be read, or it begins as a bundle and is malformed.
pub async fn open(path: &Path) -> Result<Option<Contents>> {
    let path = path.to_owned();
    off_reactor(move || read(&path)).await
}

fn read(path: &Path) -> Result<Option<Contents>> {
    let file = File::open(path).map_err(Error::read(path))?;
    let meta = file.metadata().map_err(Error::read(path))?;
    let (file, length) = (file.into(), meta.len());
    if !meta.is_file() || !is_ours(&file, length).map_err(Error::read(path))? {
        return Ok(None);
    }
    let (contents, layout) = read_head(&file, length, path)?;
    Ok(is_head(&file, length, &layout).map_err(Error::read(path))?.then_some(contents))
}
