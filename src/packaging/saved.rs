//! Archives of `docker save` without an image layout (moby, *image/spec/v1.2*), as Docker wrote them until version 25 and podman still does.
//!
//! They have configs and layers, but no manifests. A manifest is made here, so its digest is a new one; the config, and with it the
//! image's id, is the one of the archive.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek as _},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    body::{BlobBody, FileRange, Hashing, PackagedArtifact},
    error::Error,
};
use crate::{
    bundle::{Compression, Reader, expand},
    content,
    oci::{Descriptor, Digest, Manifest, Reference, media_type},
};

/// The list of the archive's images.
const LIST: &str = "manifest.json";

/// The mark of an image layout, which is read as one.
const LAYOUT: &str = "oci-layout";

/// Most bytes of the list, or of a config.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Most entries of an archive.
const MAX_ENTRIES: usize = 1_000_000;

/// Most links that lead to one layer.
const MAX_LINKS: usize = 8;

/// One image of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct SavedConfig {
    rootfs: SavedLayers,
}

#[derive(Deserialize)]
struct SavedLayers {
    diff_ids: Vec<Digest>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: &'a Descriptor,
    layers: Vec<&'a Descriptor>,
}

enum SavedEntry {
    File(FileRange),
    Link(String),
}

/// The entries of an archive.
pub(super) struct SavedArchive<'a> {
    path: &'a Path,
    entries: HashMap<String, SavedEntry>,
    /// Layers that were hashed already, with the digest of what is in them.
    known: HashMap<String, (Descriptor, Digest)>,
}

impl<'a> SavedArchive<'a> {
    /// Opens the archive at `path`, which may be compressed. `None` where it is none: what it is, others say. Blocks.
    pub(super) fn open(path: &'a Path) -> Result<Option<Self>, Error> {
        if !path.is_file() || Reader::is_bundle(path).unwrap_or(false) {
            return Ok(None);
        }
        let read = |error| Error::read(path)(error);
        let mut file = File::open(path).map_err(read)?;
        let mut begin = [0; 4];
        let got = file.read_at(&mut begin, 0).map_err(read)?;
        if let Some(compression) = Compression::of(&begin[..got]) {
            let length = file.metadata().map_err(read)?.len();
            file = expand(&file, length, compression, path).map_err(content::Error::from)?;
            file.rewind().map_err(read)?;
        }
        let file = Arc::new(file);
        let Some(entries) = entries(&file, path) else { return Ok(None) };
        let is_saved = entries.contains_key(LIST) && !entries.contains_key(LAYOUT);
        Ok(is_saved.then(|| Self { path, entries, known: HashMap::new() }))
    }

    /// Every image by each of its names, and the ids of images without one. Reads all of it, and blocks.
    pub(super) fn images(mut self) -> Result<(Vec<PackagedArtifact>, Vec<Digest>), Error> {
        let list = self.document(LIST)?;
        let list: Vec<SavedImage> =
            serde_json::from_slice(&list).map_err(|error| self.refuse(format!("{LIST} cannot be read: {error}")))?;
        let (mut artifacts, mut unnamed) = (Vec::new(), Vec::new());
        for image in list {
            let (manifest, blobs) = self.image(&image)?;
            let names = image.repo_tags.unwrap_or_default();
            if names.is_empty() {
                unnamed.extend(manifest.config().map(|config| config.digest));
            }
            for name in names {
                let reference = Reference::parse(&name, None);
                let reference = reference.map_err(|source| Error::Name { path: self.path.to_owned(), source })?;
                artifacts.push(PackagedArtifact { reference, manifest: manifest.clone(), blobs: blobs.clone() });
            }
        }
        Ok((artifacts, unnamed))
    }

    fn image(&mut self, image: &SavedImage) -> Result<(Manifest, Vec<(Digest, BlobBody)>), Error> {
        let text = self.document(&image.config)?;
        let config = Descriptor::of(media_type::IMAGE_CONFIGS[0], &text);
        let named = image.config.strip_suffix(".json").unwrap_or(&image.config).rsplit('/').next().unwrap_or_default();
        if named.len() == 64 && named != config.digest.hex() {
            return Err(self.refuse(format!("its config {} has the digest {}", image.config, config.digest)));
        }
        let saved: SavedConfig = serde_json::from_slice(&text)
            .map_err(|error| self.refuse(format!("its config {} cannot be read: {error}", image.config)))?;
        if saved.rootfs.diff_ids.len() != image.layers.len() {
            let (expected, actual) = (saved.rootfs.diff_ids.len(), image.layers.len());
            return Err(self.refuse(format!("its config has {expected} layers, and the list {actual}")));
        }
        let mut layers = Vec::new();
        let mut blobs = vec![(config.digest, BlobBody::Bytes(text))];
        for (name, expected) in image.layers.iter().zip(saved.rootfs.diff_ids) {
            let (layer, actual, range) = self.layer(name)?;
            if actual != expected {
                return Err(
                    self.refuse(format!("its layer {name} has the content {actual}, and its config says {expected}"))
                );
            }
            blobs.push((layer.digest, BlobBody::Range(range)));
            layers.push(layer);
        }
        let document = ImageManifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST,
            config: &config,
            layers: layers.iter().collect(),
        };
        let text = serde_json::to_vec(&document).unwrap_or_default();
        let manifest = Manifest::parse(text.into(), Some(media_type::OCI_MANIFEST)).map_err(content::Error::from)?;
        Ok((manifest, blobs))
    }

    /// A layer, the digest of the tar in it, and where it is.
    fn layer(&mut self, name: &str) -> Result<(Descriptor, Digest, FileRange), Error> {
        let range = self.find(name)?;
        if let Some((layer, content)) = self.known.get(name) {
            return Ok((layer.clone(), *content, range));
        }
        let read = |error| Error::read(self.path)(error);
        let mut begin = [0; 4];
        let got = range.reader().read(&mut begin).map_err(read)?;
        let compression = Compression::of(&begin[..got]);
        let suffix = match compression {
            Some(Compression::Gzip) => "+gzip",
            Some(Compression::Zstd) => "+zstd",
            None => "",
        };
        let media_type = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
        let layer = BlobBody::Range(range.clone()).describe(&media_type)?;
        let content = match compression {
            None => layer.digest,
            Some(compression) => {
                let damaged = |error| self.refuse(format!("its layer {name} cannot be unpacked: {error}"));
                unpacked(&range, compression).map_err(damaged)?
            }
        };
        self.known.insert(name.to_owned(), (layer.clone(), content));
        Ok((layer, content, range))
    }

    fn document(&self, name: &str) -> Result<Bytes, Error> {
        let range = self.find(name)?;
        if range.size > MAX_DOCUMENT {
            return Err(self.refuse(format!("{name} has more than {MAX_DOCUMENT} bytes")));
        }
        let mut text = Vec::new();
        range.reader().read_to_end(&mut text).map_err(Error::read(self.path))?;
        Ok(text.into())
    }

    /// The file of that name, or the one that a link of that name leads to.
    fn find(&self, name: &str) -> Result<FileRange, Error> {
        let mut name = name.to_owned();
        for _ in 0..MAX_LINKS {
            match self.entries.get(&name) {
                Some(SavedEntry::File(range)) => return Ok(range.clone()),
                Some(SavedEntry::Link(target)) => name = joined(&name, target),
                None => return Err(self.refuse(format!("it has no {name}"))),
            }
        }
        Err(self.refuse(format!("its links to {name} lead in a circle")))
    }

    fn refuse(&self, reason: String) -> Error {
        Error::Saved { path: self.path.to_owned(), reason }
    }
}

/// The entries of the tar in `file`; `None` where it is not a tar.
fn entries(file: &Arc<File>, path: &Path) -> Option<HashMap<String, SavedEntry>> {
    let mut found = HashMap::new();
    let mut archive = tar::Archive::new(&**file);
    for entry in archive.entries_with_seek().ok()? {
        let entry = entry.ok()?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let kind = entry.header().entry_type();
        if kind.is_file() {
            let range = FileRange {
                file: Arc::clone(file),
                path: path.into(),
                offset: entry.raw_file_position(),
                size: entry.size(),
            };
            found.insert(name, SavedEntry::File(range));
        } else if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
            // A hard link names its target from the root of the archive.
            let target = target.map(|target| if kind.is_hard_link() { format!("/{target}") } else { target });
            found.insert(name, SavedEntry::Link(target.unwrap_or_default()));
        }
        if found.len() > MAX_ENTRIES {
            return None;
        }
    }
    Some(found)
}

/// The path that the link at `name` leads to.
fn joined(name: &str, target: &str) -> String {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let whole = target.strip_prefix('/').map_or_else(|| format!("{folder}/{target}"), str::to_owned);
    let mut parts = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn unpacked(range: &FileRange, compression: Compression) -> io::Result<Digest> {
    let packed = BufReader::new(range.reader());
    let mut plain: Box<dyn Read> = match compression {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
    };
    let mut hashing = Hashing::default();
    io::copy(&mut plain, &mut hashing)?;
    Ok(hashing.describe("").digest)
}
