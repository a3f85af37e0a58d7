//! Local places that artifacts are taken from once more: bundles, layouts, archives and stores, several as one.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;

use super::{error::Error, opened::Opened};
use crate::{
    content::{self, Absence, ByteStream, Lookup, Origin, Origins, Referrers, Resolve, Source},
    oci::{Descriptor, Digest, Manifest, Name, Reference, Repository, Tag},
    packaging::{ImageRuntime, Packages},
    progress::Progress,
    storage::{Location, Settings},
    store::Store,
};

/// The host of a store's repositories, which has none of its own.
const NO_HOST: &str = "localhost";

/// Repositories or tags of a store that are listed at once.
const PAGE: usize = 1000;

/// Places as one. What several have is taken from the first that gives it.
pub struct Places {
    origins: Vec<Arc<dyn Origins>>,
    artifacts: BTreeMap<Reference, Digest>,
}

impl Places {
    /// Opens every place: the folder of a store, or what an import can open. `host` is that of a store's repositories.
    ///
    /// # Errors
    /// One cannot be opened, or two have different artifacts of one name.
    pub async fn open(
        locations: &[Location],
        host: Option<&str>,
        settings: &Settings,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let mut places = Self { origins: Vec::new(), artifacts: BTreeMap::new() };
        let is_store = |location: &&Location| location.path().is_some_and(|path| Store::is_store(path));
        let (stores, bundles): (Vec<_>, Vec<_>) = locations.iter().partition(is_store);
        for folder in stores.into_iter().filter_map(|store| store.path()) {
            places.add_store(folder, host.unwrap_or(NO_HOST)).await?;
        }
        let mut layouts = Vec::new();
        for bundle in bundles {
            match bundle.path() {
                Some(path) if places.add_saved(path, progress).await? => {}
                _ => layouts.push(bundle.clone()),
            }
        }
        for bundle in Opened::all(&layouts, settings, progress).await? {
            places.add_bundle(&bundle)?;
        }
        Ok(places)
    }

    /// Also takes the image `name` of a runtime on this machine. The runtime saves it into a temporary file first.
    ///
    /// # Errors
    /// The runtime's program is not there or fails; another place has a different artifact of that name.
    pub async fn add_image(
        &mut self,
        runtime: ImageRuntime,
        name: &str,
        settings: &Settings,
        progress: &Progress,
    ) -> Result<(), Error> {
        let failed = |source| Error::Io { what: "write", path: std::env::temp_dir(), source };
        let folder = tempfile::tempdir().map_err(failed)?;
        let archive = folder.path().join("image.tar");
        runtime.save(name, &archive).await?;
        // What is open can be read when its folder is gone.
        if !self.add_saved(&archive, progress).await? {
            self.add_bundle(&Opened::open(&Location::Path(archive), settings).await?)?;
        }
        Ok(())
    }

    /// Takes the images of an archive of `docker save`, if that is what is at `path`.
    async fn add_saved(&mut self, path: &Path, progress: &Progress) -> Result<bool, Error> {
        let Some(packages) = Packages::saved(path, progress).await? else { return Ok(false) };
        for artifact in packages.artifacts() {
            let digest = packages.origin(artifact.context()).resolve(&artifact.name()).await?.digest();
            self.add(artifact, digest)?;
        }
        self.origins.push(Arc::new(packages));
        Ok(true)
    }

    /// Bundles that are open already.
    ///
    /// # Errors
    /// Two have different artifacts of one name.
    pub fn of(bundles: &[Opened]) -> Result<Self, Error> {
        let mut places = Self { origins: Vec::new(), artifacts: BTreeMap::new() };
        bundles.iter().try_for_each(|bundle| places.add_bundle(bundle))?;
        Ok(places)
    }

    fn add_bundle(&mut self, bundle: &Opened) -> Result<(), Error> {
        for root in bundle.reader().index().roots() {
            self.add(root.reference.clone(), root.descriptor.digest)?;
        }
        self.origins.push(Arc::new(bundle.reader().clone()));
        Ok(())
    }

    /// Every artifact by its name.
    pub fn artifacts(&self) -> Vec<Reference> {
        self.artifacts.keys().cloned().collect()
    }

    fn add(&mut self, reference: Reference, digest: Digest) -> Result<(), Error> {
        match self.artifacts.entry(reference) {
            Entry::Vacant(entry) => {
                entry.insert(digest);
                Ok(())
            }
            Entry::Occupied(entry) if *entry.get() == digest => Ok(()),
            Entry::Occupied(entry) => Err(Error::TwoOfOneName {
                artifact: Box::new(entry.key().clone()),
                first: *entry.get(),
                second: digest,
            }),
        }
    }

    async fn add_store(&mut self, folder: &Path, host: &str) -> Result<(), Error> {
        let store = Store::open(folder).map_err(content::Error::from)?;
        for name in pages(|after| store.repositories(after, PAGE))? {
            let rename = |source| Error::UnnamedRepository { repository: name.clone(), source };
            let repository = Repository::new(host, &name).map_err(rename)?;
            let place = store.repository(&name);
            for tag in pages(|after| Ok(place.tags(after, PAGE)?.unwrap_or_default()))? {
                let tag: Tag = tag.parse().map_err(rename)?;
                let name = Name::Tag(tag);
                if let Some(digest) = place.head(&name).await? {
                    self.add(repository.named(&name), digest)?;
                }
            }
        }
        self.origins.push(Arc::new(store));
        Ok(())
    }
}

/// All that `list` has, page by page.
fn pages(list: impl Fn(Option<&str>) -> crate::store::Result<Vec<String>>) -> Result<Vec<String>, Error> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let page = list(all.last().map(String::as_str)).map_err(content::Error::from)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

impl Origins for Places {
    fn origin(&self, repository: &Repository) -> Arc<dyn Origin> {
        Arc::new(Union(self.origins.iter().map(|origins| origins.origin(repository)).collect()))
    }
}

/// One repository in several places.
struct Union(Vec<Arc<dyn Origin>>);

#[async_trait]
impl Lookup for Union {
    async fn contains(&self, content: &Descriptor) -> content::Result<bool> {
        for origin in &self.0 {
            if origin.contains(content).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[async_trait]
impl Source for Union {
    async fn fetch(&self, content: &Descriptor, from: u64) -> content::Result<ByteStream> {
        for origin in &self.0 {
            if origin.contains(content).await? {
                return origin.fetch(content, from).await;
            }
        }
        Err(content::Error::NotFound { what: content.digest.to_string() })
    }
}

#[async_trait]
impl Resolve for Union {
    async fn resolve(&self, name: &Name) -> content::Result<Manifest> {
        for origin in &self.0 {
            match origin.resolve(name).await {
                Err(error) if error.is_not_found() => {}
                answer => return answer,
            }
        }
        Err(content::Error::NotFound { what: name.to_string() })
    }
}

#[async_trait]
impl Referrers for Union {
    async fn referrers(&self, subject: &Digest) -> content::Result<Vec<Descriptor>> {
        let mut all = BTreeMap::new();
        for origin in &self.0 {
            all.extend(origin.referrers(subject).await?.into_iter().map(|one| (one.digest, one)));
        }
        Ok(all.into_values().collect())
    }
}

impl Origin for Union {
    /// Only what no place has is absent.
    fn absence(&self, content: &Digest) -> Option<Absence> {
        self.0.iter().map(|origin| origin.absence(content)).reduce(Option::and).flatten()
    }
}
