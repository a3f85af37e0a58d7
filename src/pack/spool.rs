//! Base layers that were found where artifacts go to: fetched when they are needed, verified, into files without a name.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::runtime::Handle;

use super::{Error, Result, blob_read, frames::BaseContents};
use crate::{
    bundle::Reader,
    content::{self, Code, Fault as _, Source, Verified},
    files::{self, disk},
    oci::{Descriptor, Digest},
};

/// Finds base layers that are not given.
#[async_trait]
pub trait BaseFinder: Send + Sync + fmt::Debug {
    /// Where `layers` are, as far as they are anywhere. `documents` has the documents of the bundle that needs them; nothing else
    /// of it can be read yet.
    async fn find(&self, documents: &Reader, layers: &[Descriptor]) -> Result<Vec<FoundLayer>>;
}

/// A base layer, and what it can be fetched from.
pub struct FoundLayer {
    /// The layer.
    pub layer: Descriptor,
    /// A repository that has it.
    pub from: Arc<dyn Source>,
    /// What messages call that.
    #[doc(hidden)]
    pub place: String,
}

/// Base layers that are given, and such as were found.
pub(super) struct WithFound {
    given: Option<Arc<dyn BaseContents>>,
    found: HashMap<Digest, FoundLayer>,
    fetched: Mutex<HashMap<Digest, Arc<File>>>,
    runtime: Handle,
    path: PathBuf,
    /// Where the files are.
    folder: PathBuf,
}

impl WithFound {
    /// Called on a runtime, which does the fetching from then on. `path` is the packed file that needs them.
    ///
    /// # Errors
    /// The temporary folder has no room for them.
    pub(super) fn new(given: Option<Arc<dyn BaseContents>>, found: Vec<FoundLayer>, path: &Path) -> Result<Self> {
        let folder = std::env::temp_dir();
        let needed = found.iter().fold(0_u64, |sum, one| sum.saturating_add(one.layer.size));
        let free = disk::free(&folder).map_err(Error::read(&folder))?;
        if needed > free {
            return Err(files::Error::Space { path: folder, needed, free }.into());
        }
        let found = found.into_iter().map(|one| (one.layer.digest, one)).collect();
        let (fetched, runtime) = (Mutex::default(), Handle::current());
        Ok(Self { given, found, fetched, runtime, path: path.to_owned(), folder })
    }

    /// The layer in a file. It is fetched once; others that need one wait, so that not all are on their way at once.
    fn file(&self, found: &FoundLayer) -> Result<Arc<File>> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = fetched.get(&found.layer.digest) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(self.runtime.block_on(self.fetch(found))?);
        fetched.insert(found.layer.digest, Arc::clone(&file));
        Ok(file)
    }

    async fn fetch(&self, found: &FoundLayer) -> Result<File> {
        let mut file = tempfile::tempfile_in(&self.folder).map_err(Error::write(&self.folder))?;
        let mut content =
            Verified::open(Arc::clone(&found.from), &found.layer).await.map_err(|error| self.told(found, error))?;
        while let Some(chunk) = content.next().await {
            let chunk = chunk.map_err(|error| self.told(found, error))?;
            file.write_all(&chunk).map_err(|error| self.unwritten(found, error))?;
        }
        Ok(file)
    }

    /// Why a layer could not be fetched, as the packed file puts it: one that is gone since it was found is missing.
    fn told(&self, found: &FoundLayer, error: content::Error) -> Error {
        let (path, layer) = (self.path.clone(), found.layer.digest);
        match error.code() {
            Code::ContentDigestMismatch | Code::ContentSizeMismatch => {
                Error::BaseDamaged { path, layer, base: self.place(&layer), source: Box::new(error.into()) }
            }
            _ if error.is_not_found() => Error::BaseMissing { path, missing: 1, first: layer },
            _ => error.into(),
        }
    }

    fn unwritten(&self, found: &FoundLayer, error: io::Error) -> Error {
        if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Error::write(&self.folder)(error);
        }
        let free = disk::free(&self.folder).unwrap_or(0);
        files::Error::Space { path: self.folder.clone(), needed: found.layer.size, free }.into()
    }
}

impl BaseContents for WithFound {
    fn open(&self, layer: &Digest, gzip: bool) -> Result<Box<dyn Read + Send>> {
        if let Some(given) = self.given.as_ref().filter(|given| given.has(layer)) {
            return given.open(layer, gzip);
        }
        let found = self.found.get(layer).ok_or(Error::BaseUnknown { layer: *layer })?;
        let whole = FileBytes { file: self.file(found)?, at: 0 };
        Ok(blob_read::content(BufReader::with_capacity(256 << 10, whole), gzip))
    }

    fn has(&self, layer: &Digest) -> bool {
        self.given.as_ref().is_some_and(|given| given.has(layer)) || self.found.contains_key(layer)
    }

    fn place(&self, layer: &Digest) -> PathBuf {
        if let Some(given) = self.given.as_ref().filter(|given| given.has(layer)) {
            return given.place(layer);
        }
        self.found.get(layer).map(|found| found.place.clone().into()).unwrap_or_default()
    }
}

impl fmt::Debug for WithFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WithFound({} layers)", self.found.len())
    }
}

/// A file from its beginning; several may read one.
struct FileBytes {
    file: Arc<File>,
    at: u64,
}

impl Read for FileBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
