//! Files and folders as an artifact that `oras pull` restores under their names.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde::Serialize;

use super::{
    body::{BlobBody, Hashing, PackagedArtifact},
    error::Error,
    folder::FolderTar,
    stamp::{Links, Stamp},
    titles,
};
use crate::{
    content,
    oci::{Descriptor, Manifest, Name, Reference, Repository, Tag, media_type},
};

/// What an artifact of files is.
const ARTIFACT_TYPE: &str = "application/vnd.airlift.files.v1";

/// The media type of a file, which may be anything.
const FILE: &str = "application/octet-stream";

/// The media type of a folder.
const FOLDER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The name of a layer's file (image-spec 1.1, *annotations.md*).
pub(super) const TITLE: &str = "org.opencontainers.image.title";

/// Says that a layer is an archive of the folder of its title (`content/file` of oras-go).
pub(super) const UNPACK: &str = "io.deis.oras.content.unpack";

/// The digest of that archive without gzip.
const UNPACKED_DIGEST: &str = "io.deis.oras.content.digest";

/// The config that says nothing.
const EMPTY: &[u8] = b"{}";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FilesManifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    artifact_type: &'a str,
    config: &'a Descriptor,
    layers: Vec<&'a Descriptor>,
}

/// The name of the artifact of the file at `path`, which was given none, on `host`.
pub(super) fn name_of(path: &Path, host: &str) -> Result<Reference, Error> {
    let title = title_of(path)?;
    let repository = titles::repository(&title).ok_or_else(|| Error::Unnamed { path: path.to_owned() })?;
    let named = Repository::new(host, &repository).map(|repository| repository.named(&Name::Tag(Tag::latest())));
    named.map_err(|source| Error::Name { path: path.to_owned(), source })
}

/// The artifact `reference` of the files and folders at `paths`. Reads all of them, and blocks.
pub(super) fn make(reference: &Reference, paths: &[PathBuf]) -> Result<PackagedArtifact, Error> {
    // By title, so that the order in which they were named does not matter.
    let mut layers = BTreeMap::new();
    for path in paths {
        let title = title_of(path)?;
        let layer = layer(path, &title)?;
        if layers.insert(title.clone(), layer).is_some() {
            return Err(Error::TwoOfOneTitle { artifact: Box::new(reference.clone()), title });
        }
    }
    let config = Descriptor::of(media_type::OCI_EMPTY, EMPTY);
    let document = FilesManifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST,
        artifact_type: ARTIFACT_TYPE,
        config: &config,
        layers: layers.values().map(|(layer, _)| layer).collect(),
    };
    let text = serde_json::to_vec(&document).unwrap_or_default();
    let manifest = Manifest::parse(text.into(), Some(media_type::OCI_MANIFEST)).map_err(content::Error::from)?;
    let mut blobs = vec![(config.digest, BlobBody::Bytes(Bytes::from_static(EMPTY)))];
    blobs.extend(layers.into_values().map(|(layer, body)| (layer.digest, body)));
    Ok(PackagedArtifact { reference: reference.clone(), manifest, blobs })
}

/// The last part of a path, which its file is called in the artifact.
fn title_of(path: &Path) -> Result<String, Error> {
    let whole = match path.file_name() {
        Some(_) => path.to_owned(),
        // Such as `.` and `..`.
        None => fs::canonicalize(path).map_err(Error::read(path))?,
    };
    let title = whole.file_name().and_then(|name| name.to_str()).filter(|name| titles::is_part(name));
    let reason = "its name is not text, or has control characters or a backslash";
    title.map(str::to_owned).ok_or_else(|| Error::Entry { path: path.to_owned(), reason })
}

fn layer(path: &Path, title: &str) -> Result<(Descriptor, BlobBody), Error> {
    let titled = |mut layer: Descriptor| {
        layer.annotations.insert(TITLE.to_owned(), title.to_owned());
        layer
    };
    if !fs::metadata(path).map_err(Error::read(path))?.is_dir() {
        let body = BlobBody::File(path.to_owned(), Stamp::at(path, Links::Followed)?);
        return Ok((titled(body.describe(FILE)?), body));
    }
    let folder = Arc::new(FolderTar::list(path, title)?);
    let plain = folder.write(Hashing::default())?.describe(FOLDER);
    let body = BlobBody::Folder(folder);
    let mut layer = titled(body.describe(FOLDER)?);
    layer.annotations.insert(UNPACK.to_owned(), true.to_string());
    layer.annotations.insert(UNPACKED_DIGEST.to_owned(), plain.digest.to_string());
    Ok((layer, body))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use futures::TryStreamExt as _;

    use super::*;
    use crate::content::{Code, Fault as _};

    fn made(paths: &[&Path]) -> Result<PackagedArtifact, Error> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
        make(&"localhost/files/x:latest".parse().unwrap(), &paths)
    }

    fn folder(root: &Path) -> PathBuf {
        let path = root.join("tools");
        fs::create_dir_all(path.join("b/empty")).unwrap();
        fs::write(path.join("b/run"), "#!/bin/sh").unwrap();
        fs::set_permissions(path.join("b/run"), fs::Permissions::from_mode(0o711)).unwrap();
        fs::write(path.join("a.txt"), vec![7; 70_000]).unwrap();
        fs::write(path.join("n".repeat(200)), "long").unwrap();
        symlink("b/run", path.join("c")).unwrap();
        symlink("../a.txt", path.join("b/up")).unwrap();
        path
    }

    #[tokio::test]
    async fn the_same_content_makes_the_same_artifact_and_every_blob_is_what_its_digest_says() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (folder(here.path()), folder(there.path()));
        // What does not count: times, and permissions other than one.
        fs::set_permissions(second.join("a.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::File::open(second.join("b/run")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let (first, second) = (made(&[&first]).unwrap(), made(&[&second]).unwrap());
        assert_eq!(first.manifest.raw(), second.manifest.raw());
        for (digest, body) in &first.blobs {
            for from in [0, 1, 65_536, 1 << 20] {
                let whole: Vec<Bytes> = body.stream(0).try_collect().await.unwrap();
                let whole = whole.concat();
                assert_eq!(crate::oci::Digest::sha256(&whole), *digest);
                let rest: Vec<Bytes> = body.stream(from as u64).try_collect().await.unwrap();
                assert_eq!(rest.concat(), whole[from.min(whole.len())..]);
            }
        }
    }

    #[test]
    fn what_counts_changes_the_digest() {
        let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
        let paths = folders.each_ref().map(|root| folder(root.path()));
        fs::set_permissions(paths[1].join("a.txt"), fs::Permissions::from_mode(0o744)).unwrap();
        fs::remove_dir(paths[2].join("b/empty")).unwrap();
        fs::write(paths[3].join("b/run"), "#!/bin/ch").unwrap();
        let digests: std::collections::HashSet<_> =
            paths.iter().map(|path| made(&[path]).unwrap().manifest.digest()).collect();
        assert_eq!(digests.len(), 4);
    }

    #[tokio::test]
    async fn a_file_that_changes_after_it_was_hashed_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let (file, tools) = (root.path().join("f"), folder(root.path()));
        fs::write(&file, "before").unwrap();
        let made = made(&[&file, &tools]).unwrap();
        fs::write(&file, "behind").unwrap();
        fs::File::open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        fs::remove_file(tools.join("a.txt")).unwrap();
        for (digest, body) in made.blobs.iter().filter(|(_, body)| !matches!(body, BlobBody::Bytes(_))) {
            let error = body.stream(0).try_collect::<Vec<Bytes>>().await.unwrap_err();
            assert_eq!(error.code(), Code::PackageChanged, "{digest}: {error}");
        }
    }

    #[test]
    fn what_no_artifact_can_hold_is_refused_by_name() {
        for plant in [
            |path: &Path| symlink("/etc/passwd", path.join("bad")).unwrap(),
            |path: &Path| symlink("../../x", path.join("b/bad")).unwrap(),
            |path: &Path| {
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path.join("bad"), kind, 0o600.into(), 0).unwrap();
            },
            |path: &Path| fs::write(path.join("bad\nname"), "").unwrap(),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = folder(root.path());
            plant(&path);
            let error = made(&[&path]).unwrap_err();
            assert!(error.code() == Code::PackageEntry && error.to_string().contains("bad"), "{error}");
        }
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let paths = [here.path().join("same"), there.path().join("same")];
        for path in &paths {
            fs::write(path, "x").unwrap();
        }
        assert_eq!(made(&[&paths[0], &paths[1]]).unwrap_err().code(), Code::PackageTwice);
    }
}
