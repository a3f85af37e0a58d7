//! Copying a set of volumes: each file by itself, read back and verified; what vouches for the set comes last.

use std::path::{Path, PathBuf};

use super::copy::{self, Error, Request};
use crate::{
    bundle::{
        self, Gathered,
        disk::{self, off_reactor},
        output::publish_file,
        volume::{File, Manifest, SUMS, volume_name},
    },
    oci::Algorithm,
    progress::Progress,
};

/// A set that was copied and proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The folder it is in.
    pub folder: PathBuf,
    /// The manifest of the set there.
    pub manifest: PathBuf,
    /// How many volumes it has.
    pub volumes: usize,
    /// Bytes of the volumes.
    pub bytes: u64,
    /// Bytes that an earlier run had copied.
    pub reused: u64,
}

/// Copies a whole set into the folder `to`, where its files have the names that the manifest says, whatever they are called
/// now. Run again after a break it goes on where that one stopped.
///
/// # Errors
/// See [`Error`]; the source is untouched then, and there is no manifest of the set at the destination.
pub async fn copy(
    set: Gathered,
    to: &Path,
    overwrite: bool,
    delete_source: bool,
    progress: &Progress,
) -> Result<Report, Error> {
    let mut set = set.whole()?;
    if !set.faults.is_empty() {
        return Err(set.faults.remove(0).1.into());
    }
    let (name, files) = listed(&set);
    let manifest_path = to.join(Manifest::file_name(&name));
    if !overwrite && let Some(path) = [&manifest_path, &to.join(SUMS)].into_iter().find(|path| path.exists()) {
        return Err(bundle::Error::Exists { path: path.clone() }.into());
    }
    check_room(to, &files)?;
    let (mut volumes, mut bytes, mut reused) = (Vec::new(), 0, 0);
    for (number, source, name) in &files {
        let destination = to.join(name);
        let known = set.manifest.as_ref().map(|(_, manifest)| &manifest.volumes[*number]);
        let there = if overwrite { None } else { same(&destination, known).await? };
        let (digest, size) = if let Some(file) = there {
            reused += file.size;
            (file.digest, file.size)
        } else {
            let request = Request { source: source.clone(), destination, overwrite, delete_source: false };
            let report = copy::copy(request, progress).await?;
            reused += report.reused;
            (report.digest, report.bytes)
        };
        if known.is_some_and(|known| known.digest != digest) {
            let reason = format!("it says another SHA-256 of {name} than it has, {}", digest.hex());
            return Err(bundle::Error::SetManifest { path: source.clone(), reason }.into());
        }
        bytes += size;
        volumes.push(File { digest, name: name.clone(), size });
    }
    let report = Report { folder: to.to_owned(), manifest: manifest_path, volumes: volumes.len(), bytes, reused };
    publish(&set, &name, volumes, to)?;
    if delete_source {
        for path in &set.files {
            std::fs::remove_file(path).map_err(bundle::Error::write(path))?;
        }
    }
    Ok(report)
}

/// The set's name, and each volume: its place in the manifest, its file, and the name it is to have.
fn listed(set: &Gathered) -> (String, Vec<(usize, PathBuf, String)>) {
    let of_manifest = set.manifest.as_ref().and_then(|(path, _)| Manifest::set_name(path.file_name()?.to_str()?));
    let of_volume = set.reader.volume_name(1);
    let of_volume = of_volume.strip_suffix(&volume_name("", 1)).unwrap_or("bundle");
    let name = of_manifest.unwrap_or(of_volume).to_owned();
    let files = set.reader.volumes().into_iter().enumerate().map(|(at, (number, path))| {
        let known = set.manifest.as_ref().map(|(_, manifest)| manifest.volumes[at].name.clone());
        (at, path.to_owned(), known.unwrap_or_else(|| volume_name(&name, number)))
    });
    let files = files.collect();
    (name, files)
}

/// Checks that all volumes fit into the folder, each and together, before the first of them is begun.
fn check_room(to: &Path, files: &[(usize, PathBuf, String)]) -> Result<(), Error> {
    if !to.is_dir() {
        return Err(Error::NoFolder { path: to.to_owned() });
    }
    let limit = disk::largest_file(to).map_err(bundle::Error::read(to))?;
    let mut needed = 0;
    for (_, source, name) in files {
        let size = std::fs::metadata(source).map_err(bundle::Error::read(source))?.len();
        if let Some(limit) = limit.filter(|limit| size > *limit) {
            return Err(bundle::Error::FileLimit { path: to.join(name), needed: size, limit }.into());
        }
        let partial = to.join(format!("{name}.partial"));
        let there = [to.join(name), partial]
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|meta| meta.len())
            .max();
        needed += size.saturating_sub(there.unwrap_or(0));
    }
    let free = disk::free(to).map_err(bundle::Error::read(to))?;
    if needed > free {
        return Err(bundle::Error::Space { path: to.to_owned(), needed, free }.into());
    }
    Ok(())
}

/// What an earlier run has copied and given its name already, if it is the file that the manifest says.
async fn same(path: &Path, known: Option<&File>) -> Result<Option<File>, Error> {
    let (Some(known), true) = (known.cloned(), path.exists()) else { return Ok(None) };
    let path = path.to_owned();
    off_reactor(move || {
        let file = std::fs::File::open(&path).map_err(bundle::Error::read(&path))?;
        if file.metadata().map_err(bundle::Error::read(&path))?.len() != known.size {
            return Ok(None);
        }
        let hasher = disk::hash_at(&file, Algorithm::Sha256, 0, known.size, &mut Vec::new(), |_| {});
        let found = hasher.map_err(bundle::Error::read(&path))?.map(crate::oci::Hasher::finish);
        Ok((found == Some(known.digest)).then_some(known))
    })
    .await
}

/// Writes the sums, and then the manifest.
fn publish(set: &Gathered, name: &str, volumes: Vec<File>, to: &Path) -> Result<(), Error> {
    let manifest = match (&set.manifest, set.reader.cut(), set.reader.set_id()) {
        (Some((_, manifest)), ..) => manifest.clone(),
        (None, Some(cut), Some(id)) => Manifest::new(set.reader.id(), id, cut, volumes),
        _ => return Err(Error::NotAFile { path: set.reader.path().to_owned() }),
    };
    let own = Manifest::file_name(name);
    publish_file(&to.join(SUMS), manifest.sums(&own).as_bytes())?;
    publish_file(&to.join(&own), &manifest.to_json())?;
    Ok(disk::sync_folder(to).map_err(bundle::Error::write(to))?)
}
