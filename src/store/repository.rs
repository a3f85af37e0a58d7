//! One repository of a store, as the seam's traits and as the server see it.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    document::{self, RawManifest},
    error::{Result, StoreError},
    handle::Store,
    upload::{self, StoreUpload, UploadWriter},
};
use crate::{
    content::{self, Assign, ByteStream, Lookup, Referrers, Resolve, Sink, Source, Verified},
    files::blocking::off_reactor,
    oci::{Algorithm, Descriptor, Digest, Manifest, Name, Tag, manifest, media_type},
};

/// Bytes read at once from a blob's file.
const READ: usize = 256 << 10;

/// A repository. It costs nothing to have one: there is something behind it after the first push.
#[derive(Clone, Debug)]
pub struct StoredRepository {
    store: Store,
    name: Arc<str>,
}

/// A blob that can be read.
#[derive(Clone, Debug)]
pub struct StoredBlob {
    /// Its bytes, from the first on.
    pub file: Arc<File>,
    /// How many bytes.
    pub size: u64,
}

impl Store {
    /// The repository of that name, which need not exist yet: the first push makes it.
    pub fn repository(&self, name: &str) -> StoredRepository {
        StoredRepository { store: self.clone(), name: name.into() }
    }
}

impl StoredRepository {
    /// Its name, as in a URL's path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether anything was ever pushed to it.
    pub fn exists(&self) -> Result<bool> {
        Ok(self.store.metadata().read(|db| db.repository(&self.name))?.is_some())
    }

    /// Bytes of the blob, if the repository has it.
    pub fn blob_size(&self, digest: &Digest) -> Result<Option<u64>> {
        self.store.metadata().read(|db| db.blob(&self.name, digest))
    }

    /// The blob, if the repository has it.
    pub fn blob(&self, digest: &Digest) -> Result<Option<StoredBlob>> {
        let Some(size) = self.blob_size(digest)? else { return Ok(None) };
        let path = self.store.paths().blob(digest);
        match File::open(&path) {
            Ok(file) => Ok(Some(StoredBlob { file: Arc::new(file), size })),
            // A delete and a sweep came between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::read(&path, source)),
        }
    }

    /// The bytes of the manifest of that name, checked against its digest.
    pub fn document(&self, name: &Name) -> Result<Option<RawManifest>> {
        self.store.metadata().read(|db| db.document(&self.name, name))
    }

    /// Whether the repository has a manifest of that name.
    pub fn has_manifest(&self, name: &Name) -> Result<bool> {
        Ok(self.store.metadata().read(|db| db.named(&self.name, name))?.is_some())
    }

    /// Tags in ASCII order, at the most `limit`, those after `after` only; `None` if there is no such repository.
    pub fn tags(&self, after: Option<&str>, limit: usize) -> Result<Option<Vec<String>>> {
        self.store.metadata().read(|db| match db.repository(&self.name)? {
            Some(id) => db.tags(id, after.unwrap_or_default(), limit).map(Some),
            None => Ok(None),
        })
    }

    /// What is attached to `subject`, by digest.
    pub fn attached(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        self.store.metadata().read(|db| db.referrers(&self.name, subject))
    }

    /// Takes a blob that another repository has (`from`, or any where that is `None`). Whether there was one to take.
    pub async fn mount(&self, digest: Digest, from: Option<&str>) -> Result<bool> {
        let (store, name, from) = (self.store.clone(), Arc::clone(&self.name), from.map(str::to_owned));
        off_reactor(move || {
            let found = store.metadata().read(|db| match &from {
                Some(from) => db.blob(from, &digest),
                None => db.blob_anywhere(&digest),
            })?;
            if found.is_none() {
                return Ok(false);
            }
            store.metadata().write(|db| db.hold(&name, &digest))?;
            Ok(true)
        })
        .await
    }

    /// Puts a manifest and gives it tags, all in one step. Whether what it names is there is the caller's business.
    ///
    /// With `fixed` a tag that names another manifest stays: it is returned, and nothing was changed.
    pub async fn put(&self, manifest: &Manifest, tags: &[Tag], fixed: bool) -> Result<Option<Tag>> {
        let (store, name, tags) = (self.store.clone(), Arc::clone(&self.name), tags.to_vec());
        let descriptor = document::referrer(manifest);
        let (subject, bytes) = (manifest.subject().map(|subject| subject.digest), manifest.raw().clone());
        off_reactor(move || {
            store.metadata().write(|db| {
                let digest = descriptor.digest.to_string();
                for tag in tags.iter().filter(|_| fixed) {
                    if db.named(&name, &Name::Tag(tag.clone()))?.is_some_and(|found| found != digest) {
                        return Ok(Some(tag.clone()));
                    }
                }
                db.add_manifest(&name, &descriptor, subject.as_ref(), &bytes)?;
                tags.iter().try_for_each(|tag| db.set_tag(&name, tag, &descriptor.digest))?;
                Ok(None)
            })
        })
        .await
    }

    /// Deletes a tag, or a manifest with all its tags. Whether there was one.
    pub async fn delete(&self, named: Name) -> Result<bool> {
        let (store, name) = (self.store.clone(), Arc::clone(&self.name));
        off_reactor(move || store.metadata().write(|db| db.delete(&name, &named))).await
    }

    /// Takes a blob out of this repository; its bytes go with the next sweep, if no other has it. Whether it was there.
    pub async fn delete_blob(&self, digest: Digest) -> Result<bool> {
        let (store, name) = (self.store.clone(), Arc::clone(&self.name));
        off_reactor(move || store.metadata().write(|db| db.let_go(&name, &digest))).await
    }

    /// Begins an upload whose content is expected to be named by `algorithm`.
    pub async fn begin(&self, algorithm: Algorithm) -> Result<StoreUpload> {
        upload::begin(self.store.clone(), Arc::clone(&self.name), algorithm).await
    }

    /// An upload that was begun in this repository, also before a restart; `None` if there is none of that id.
    pub async fn upload(&self, id: &str) -> Result<Option<StoreUpload>> {
        upload::find(self.store.clone(), Arc::clone(&self.name), id).await
    }

    async fn push_blob(&self, content: &Descriptor, mut body: Verified) -> Result<(), content::Error> {
        if self.blob_size(&content.digest)?.is_some() {
            return Ok(());
        }
        let upload = self.begin(content.digest.algorithm()).await?;
        let written = async {
            let mut writer = upload.writer().await?.trusting();
            while let Some(chunk) = body.next().await {
                writer.write(chunk?).await?;
            }
            finish(writer, content).await
        };
        let done = written.await;
        if done.is_err() {
            upload.cancel().await?;
        }
        done
    }
}

/// `Verified` has ended well, so what was written is `content`.
async fn finish(writer: UploadWriter, content: &Descriptor) -> Result<(), content::Error> {
    writer.finish(content.digest).await?;
    Ok(())
}

#[async_trait]
impl Lookup for StoredRepository {
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        let named = Name::Digest(content.digest);
        Ok(self.blob_size(&content.digest)?.is_some() || self.has_manifest(&named)?)
    }
}

#[async_trait]
impl Source for StoredRepository {
    async fn fetch(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        if let Some(blob) = self.blob(&content.digest)? {
            return Ok(read_from(blob, from));
        }
        let document = self.document(&Name::Digest(content.digest))?;
        let mut bytes = document.ok_or_else(|| not_found(&content.digest))?.bytes;
        let start = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.split_off(start);
        Ok(stream::once(async { Ok(rest) }).boxed())
    }
}

/// The blob's bytes from `from` on, read ahead by nothing: a fast reader reads the file itself.
fn read_from(blob: StoredBlob, from: u64) -> ByteStream {
    let step = |(blob, at): (StoredBlob, u64)| async move {
        let left = usize::try_from(blob.size.saturating_sub(at)).unwrap_or(usize::MAX).min(READ);
        if left == 0 {
            return Ok(None);
        }
        let file = Arc::clone(&blob.file);
        let read = off_reactor(move || {
            let mut buffer = vec![0; left];
            file.read_exact_at(&mut buffer, at).map(|()| Bytes::from(buffer))
        });
        match read.await {
            Ok(bytes) => Ok(Some((bytes, (blob, at + left as u64)))),
            Err(source) => Err(StoreError::read("blob".as_ref(), source).into()),
        }
    };
    stream::try_unfold((blob, from), step).boxed()
}

#[async_trait]
impl Sink for StoredRepository {
    async fn push(&self, content: &Descriptor, body: Verified) -> content::Result<()> {
        if !media_type::is_manifest(&content.media_type) {
            return self.push_blob(content, body).await;
        }
        if content.size > manifest::DEFAULT_LIMIT {
            return Err(content::Error::TooLarge { what: content.digest.to_string(), limit: manifest::DEFAULT_LIMIT });
        }
        let bytes = body.collect().await?;
        let manifest = Manifest::parse_as(bytes, Some(&content.media_type), content.digest.algorithm())?;
        self.put(&manifest, &[], false).await?;
        Ok(())
    }
}

#[async_trait]
impl Resolve for StoredRepository {
    async fn resolve(&self, name: &Name) -> content::Result<Manifest> {
        let document = self.document(name)?.ok_or_else(|| not_found(name))?;
        let algorithm = document.digest.algorithm();
        Ok(Manifest::parse_as(document.bytes, Some(&document.media_type), algorithm)?)
    }
}

#[async_trait]
impl Assign for StoredRepository {
    async fn tag(&self, tag: &Tag, manifest: &Manifest) -> content::Result<()> {
        self.put(manifest, std::slice::from_ref(tag), false).await?;
        Ok(())
    }
}

#[async_trait]
impl Referrers for StoredRepository {
    async fn referrers(&self, subject: &Digest) -> content::Result<Vec<Descriptor>> {
        Ok(self.attached(subject)?)
    }
}

fn not_found(what: &impl ToString) -> content::Error {
    content::Error::NotFound { what: what.to_string() }
}
