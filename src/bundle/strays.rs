//! What is in the archive or folder of another tool and belongs to no artifact. It harms nothing, so these are warnings; in
//! a bundle of ours such bytes are findings, since its plan has no room for them.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::Path,
};

use super::{
    Error, Reader, Result,
    header::{blob_name, padding},
    layout::{FACTS_NAME, INDEX_NAME, MARKER_NAME},
    random_access::RandomAccess,
    reader::{Backing, DOCKER_LIST},
    structure::shown,
};
use crate::oci::Digest;

/// Most warnings of one bundle; the rest is counted.
const SHOWN: usize = 20;

/// What `docker save` writes beside an image layout.
const DOCKER_FILES: [&str; 2] = [DOCKER_LIST, "repositories"];

impl Reader {
    /// Entries that belong to no artifact, and padding that is not zero, in the order of their names. Empty for a bundle of
    /// ours. Blocks.
    ///
    /// # Errors
    /// The archive or folder cannot be read.
    pub fn strays(&self) -> Result<Vec<String>> {
        let mut strays = Vec::new();
        let known = self.known_names();
        match &self.0.store {
            Backing::Scanned(file, files) => {
                let mut names: Vec<_> = files.iter().collect();
                names.sort_by_key(|(name, _)| *name);
                for (name, spot) in names {
                    if !known.contains(name.as_str()) {
                        strays.push(stray(name));
                    }
                    // Of a file elsewhere, each would be a request of its own.
                    if matches!(file, RandomAccess::File(_)) {
                        let end = spot.offset + spot.size;
                        let filler = file.read_up_to(end, padding(spot.size)).map_err(Error::read(self.path()))?;
                        if filler.iter().any(|&byte| byte != 0) {
                            let name = shown(name.as_bytes());
                            strays.push(format!("the padding of {name} is not zero, at byte {end}"));
                        }
                    }
                }
            }
            Backing::Folder(_) => {
                let mut names = Vec::new();
                list(self.path(), "", &mut names).map_err(Error::read(self.path()))?;
                names.sort();
                strays.extend(names.iter().filter(|name| !known.contains(name.as_str())).map(|name| stray(name)));
            }
            Backing::Planned(_) | Backing::Set(_) => {}
        }
        if strays.len() > SHOWN {
            let more = strays.len() - SHOWN;
            strays.truncate(SHOWN);
            strays.push(format!("{more} more of this kind"));
        }
        Ok(strays)
    }

    /// The names of all files that an artifact needs, or that belong to the layout itself.
    fn known_names(&self) -> HashSet<String> {
        let contents = self.contents();
        let blobs = contents.manifests.values().flat_map(|manifest| manifest.blobs().map(|blob| blob.digest));
        let digests: BTreeSet<Digest> = blobs.chain(contents.manifests.keys().copied()).collect();
        let fixed = [MARKER_NAME, INDEX_NAME, FACTS_NAME].into_iter().chain(DOCKER_FILES).map(str::to_owned);
        digests.iter().map(blob_name).chain(fixed).collect()
    }
}

fn stray(name: &str) -> String {
    format!("{} belongs to no artifact", shown(name.as_bytes()))
}

/// The names of the files of a layout. A folder that no layout has counts as one file.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let of_layout = name == "blobs" || prefix == "blobs/";
        if of_layout && entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
