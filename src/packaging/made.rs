//! Artifacts that are made here, as an origin.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use super::{
    body::{BlobBody, PackagedArtifact},
    chart_repository, charts,
    error::Error,
    files,
    program::Program,
    saved::SavedArchive,
};
use crate::{
    content::{self, Absence, ByteStream, Lookup, Origin, Origins, Referrers, Resolve, Source},
    files::blocking::off_reactor,
    find::lists::{PackageEntry, PackageSource},
    oci::{Descriptor, Digest, Manifest, Name, Reference, Repository, Tag},
    progress::{Event, Phase, Progress},
    registry::Client,
};

/// A runtime that has images of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageRuntime {
    /// The daemon that the program `docker` talks to.
    Docker,
    /// The storage of the program `podman`.
    Podman,
}

impl ImageRuntime {
    /// Saves the image `name` as an archive at `to`.
    ///
    /// # Errors
    /// The program is not there, or fails.
    pub async fn save(self, name: &str, to: &Path) -> Result<(), Error> {
        let program = match self {
            Self::Docker => Program::find("docker")?.with(["save"]),
            Self::Podman => Program::find("podman")?.with(["save", "--quiet", "--format", "docker-archive"]),
        };
        let program = program.with([OsStr::new("--output"), to.as_os_str(), OsStr::new("--"), OsStr::new(name)]);
        program.output().await?;
        Ok(())
    }
}

/// Artifacts that are made here.
#[derive(Default)]
pub struct Packages {
    repositories: BTreeMap<Repository, Arc<PackagedRepository>>,
    /// Where everything else comes from.
    rest: Option<Box<dyn Origins>>,
}

impl Packages {
    /// Makes an artifact of each entry; entries of files with the same name are one artifact. Every file is read, to be hashed.
    ///
    /// # Errors
    /// A file cannot be read, or be part of an artifact; a chart cannot be had, or is not what its index says.
    pub async fn make(entries: Vec<PackageEntry>, client: &Client, progress: &Progress) -> Result<Self, Error> {
        progress.tell(Event::Phase(Phase::Resolving));
        let mut files: BTreeMap<Reference, Vec<PathBuf>> = BTreeMap::new();
        let mut packages = Self::default();
        for entry in entries {
            match entry.source {
                PackageSource::File(path) => {
                    let name = match entry.name {
                        Some(name) => name,
                        None => files::name_of(&path, &entry.host)?,
                    };
                    let paths = files.entry(name).or_default();
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                }
                PackageSource::ChartFile(path) => {
                    packages.add(off_reactor(move || charts::local(&path, &entry.host)).await?)?;
                }
                PackageSource::ChartRepository { url, name, version } => {
                    let chart = chart_repository::fetch(client, &url, &name, version.as_deref(), progress).await?;
                    packages.add(chart)?;
                }
            }
        }
        for (name, paths) in files {
            packages.add(off_reactor(move || files::make(&name, &paths)).await?)?;
        }
        Ok(packages)
    }

    /// The images in the archive of `docker save` at `path`. `None` where it is none, or has an image layout beside.
    ///
    /// # Errors
    /// It is damaged, or none of its images has a name.
    pub async fn saved(path: &Path, progress: &Progress) -> Result<Option<Self>, Error> {
        let owned = path.to_owned();
        let read = move || SavedArchive::open(&owned)?.map(SavedArchive::images).transpose();
        let Some((artifacts, unnamed)) = off_reactor(read).await? else { return Ok(None) };
        for id in unnamed {
            let text = format!("{}: the image {id} has no name, so it is left out", path.display());
            progress.tell(Event::Warned(text));
        }
        let mut packages = Self::default();
        for artifact in artifacts {
            let text = format!(
                "{}: the archive has no manifest of it, so airlift made one: the digest {} is not that of a registry, and no signature is for it",
                artifact.reference,
                artifact.manifest.digest()
            );
            progress.tell(Event::Warned(text));
            packages.add(artifact)?;
        }
        if packages.repositories.is_empty() {
            Err(Error::NoNames { path: path.to_owned() })
        } else {
            Ok(Some(packages))
        }
    }

    /// The same with everything else from `rest`.
    #[must_use]
    pub fn over(self, rest: Box<dyn Origins>) -> Self {
        Self { rest: Some(rest), ..self }
    }

    /// The name of every artifact.
    pub fn artifacts(&self) -> Vec<Reference> {
        let named = |(repository, made): (&Repository, &Arc<PackagedRepository>)| {
            made.tags.keys().map(|tag| repository.named(&Name::Tag(tag.clone()))).collect::<Vec<_>>()
        };
        self.repositories.iter().flat_map(named).collect()
    }

    /// # Errors
    /// Another artifact has the name already.
    fn add(&mut self, artifact: PackagedArtifact) -> Result<(), Error> {
        let made = self.repositories.entry(artifact.reference.context().clone()).or_default();
        let made = Arc::make_mut(made);
        let tag = artifact.reference.tag().cloned().unwrap_or_else(Tag::latest);
        let (first, second) = (made.tags.get(&tag).copied(), artifact.manifest.digest());
        if let Some(first) = first.filter(|first| *first != second) {
            return Err(Error::TwoOfOneName { artifact: Box::new(artifact.reference), first, second });
        }
        made.tags.insert(tag, second);
        made.manifests.insert(artifact.manifest.digest(), artifact.manifest);
        made.blobs.extend(artifact.blobs);
        Ok(())
    }
}

impl Origins for Packages {
    fn origin(&self, repository: &Repository) -> Arc<dyn Origin> {
        let made = self.repositories.get(repository).cloned().unwrap_or_default();
        Arc::new(PackagedOrigin { made, rest: self.rest.as_ref().map(|rest| rest.origin(repository)) })
    }
}

/// The artifacts of one repository that are made here.
#[derive(Clone, Default)]
struct PackagedRepository {
    tags: BTreeMap<Tag, Digest>,
    manifests: HashMap<Digest, Manifest>,
    blobs: HashMap<Digest, BlobBody>,
}

impl PackagedRepository {
    fn resolve(&self, name: &Name) -> Option<&Manifest> {
        let digest = match name {
            Name::Tag(tag) => self.tags.get(tag),
            Name::Digest(digest) => Some(digest),
        };
        digest.and_then(|digest| self.manifests.get(digest))
    }

    fn has(&self, content: &Digest) -> bool {
        self.blobs.contains_key(content) || self.manifests.contains_key(content)
    }

    /// Whether `tag` is one by which cosign attaches something to what is made here, to which nothing is attached.
    fn is_of_ours(&self, tag: &Tag) -> bool {
        tag.is_of_attached() && self.manifests.keys().any(|digest| Tag::cosign(digest).contains(tag))
    }
}

/// What is made here, and behind it the repository of that name elsewhere. That one is asked for nothing of ours: files need no
/// network.
struct PackagedOrigin {
    made: Arc<PackagedRepository>,
    rest: Option<Arc<dyn Origin>>,
}

impl PackagedOrigin {
    fn rest(&self, what: &impl ToString) -> content::Result<&Arc<dyn Origin>> {
        self.rest.as_ref().ok_or_else(|| content::Error::NotFound { what: what.to_string() })
    }
}

#[async_trait]
impl Lookup for PackagedOrigin {
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        match &self.rest {
            _ if self.made.has(&content.digest) => Ok(true),
            Some(rest) => rest.contains(content).await,
            None => Ok(false),
        }
    }
}

#[async_trait]
impl Source for PackagedOrigin {
    async fn fetch(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        if let Some(body) = self.made.blobs.get(&content.digest) {
            return Ok(body.stream(from));
        }
        match self.made.manifests.get(&content.digest) {
            Some(manifest) => Ok(BlobBody::Bytes(manifest.raw().clone()).stream(from)),
            None => self.rest(&content.digest)?.fetch(content, from).await,
        }
    }
}

#[async_trait]
impl Resolve for PackagedOrigin {
    async fn resolve(&self, name: &Name) -> content::Result<Manifest> {
        match (self.made.resolve(name), name) {
            (Some(manifest), _) => Ok(manifest.clone()),
            (None, Name::Tag(tag)) if self.made.is_of_ours(tag) => {
                Err(content::Error::NotFound { what: name.to_string() })
            }
            (None, _) => self.rest(name)?.resolve(name).await,
        }
    }

    async fn head(&self, name: &Name) -> content::Result<Option<Digest>> {
        match (self.made.resolve(name), name, &self.rest) {
            (Some(manifest), ..) => Ok(Some(manifest.digest())),
            (None, Name::Tag(tag), _) if self.made.is_of_ours(tag) => Ok(None),
            (None, _, Some(rest)) => rest.head(name).await,
            (None, _, None) => Ok(None),
        }
    }
}

#[async_trait]
impl Referrers for PackagedOrigin {
    async fn referrers(&self, subject: &Digest) -> content::Result<Vec<Descriptor>> {
        match &self.rest {
            Some(rest) if !self.made.has(subject) => rest.referrers(subject).await,
            _ => Ok(Vec::new()),
        }
    }
}

impl Origin for PackagedOrigin {
    fn absence(&self, content: &Digest) -> Option<Absence> {
        if self.made.has(content) { None } else { self.rest.as_ref()?.absence(content) }
    }
}
