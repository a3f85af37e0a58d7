//! A bundle, archive or layout folder as a source of content.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;

use super::{
    Contents, Error, Facts, Index, Layout, Result,
    contents::DOCUMENTS,
    expand::{self, Compression},
    header::{self, blob_name},
    layout::{FACTS_NAME, INDEX_NAME, MARKER_NAME},
    random_access::RandomAccess,
    scan::{self, BlobSpot},
    strict::{self, MANIFEST_LIMIT, by_digest, read_manifest, read_up_to},
    structure::Header,
    volume_file::{Aside, VolumeFile},
};
use crate::{
    content::ReadAt,
    files::{blocking::off_reactor, disk, folder::OpenFolder},
    oci::{
        Descriptor, Digest, Manifest,
        graph::{Account, walk},
    },
};

/// Largest `index.json` of another tool.
const DOCUMENT_LIMIT: u64 = 64 << 20;

/// What was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A bundle of ours: planned and sealed, read strictly.
    Bundle,
    /// A tar with an image layout that another tool made.
    Archive,
    /// A folder with an image layout.
    Folder,
}

/// Reads a bundle. Cheap to clone; many tasks may read at once.
#[derive(Clone, Debug)]
pub struct Reader(pub(super) Arc<OpenBundle>);

#[derive(Debug)]
pub(super) struct OpenBundle {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) size: u64,
    pub(super) facts: Option<Facts>,
    pub(super) contents: Contents,
    pub(super) layout: Option<Arc<Layout>>,
    pub(super) store: Backing,
    /// Segments that were put aside before the volumes they are from were taken away.
    pub(super) aside: Vec<Aside>,
    /// Of volumes, the blobs of which not all is here; found out when it is first asked for.
    pub(super) lacking: OnceLock<HashSet<Digest>>,
    /// Blobs that are cut over volumes, joined for readers by position.
    pub(super) joined: Mutex<HashMap<Digest, Arc<File>>>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Backing {
    Planned(RandomAccess),
    Set(Vec<VolumeFile>),
    Scanned(RandomAccess, HashMap<String, BlobSpot>),
    Folder(OpenFolder),
}

/// A blob's bytes as they lie in a file, unverified.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The bundle's file, or the blob's own.
    pub file: Arc<File>,
    /// Of its first byte.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

/// What is open, and where in it a blob is.
pub(super) struct FoundBlob {
    pub(super) file: RandomAccess,
    pub(super) spot: BlobSpot,
}

impl Reader {
    /// Opens a bundle, an archive of an image layout (gzip or zstd may be around it) or the folder of one. Only the head of
    /// a bundle is read, and only the index and the manifests of the others.
    ///
    /// # Errors
    /// It is none of these, or malformed: each way has its own token and says where.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        off_reactor(move || Ok(Self(Arc::new(OpenBundle::open(path)?)))).await
    }

    /// As [`Reader::open`]. Blocks.
    pub(super) fn open_file(path: &Path) -> Result<Self> {
        Ok(Self(Arc::new(OpenBundle::open(path.to_owned())?)))
    }

    /// The tar of `length` bytes in `medium`. Blocks.
    pub(super) fn of_tar(path: PathBuf, medium: RandomAccess, length: u64) -> Result<Self> {
        Ok(Self(Arc::new(OpenBundle::open_tar(path, medium, length)?)))
    }

    /// Opens a bundle, or an archive of an image layout, that lies elsewhere: in a storage. Its blobs are read by ranges.
    ///
    /// # Errors
    /// As [`Reader::open`]; one that is compressed as a whole cannot be read by ranges.
    pub async fn open_on(from: Arc<dyn ReadAt>) -> Result<Self> {
        let (path, length) = (PathBuf::from(from.name()), from.size());
        let medium = RandomAccess::remote(from);
        off_reactor(move || {
            let begin = read_up_to(&medium, 0, header::BLOCK).map_err(Error::read(&path))?;
            if Compression::of(&begin).is_some() {
                let reason = "it is compressed as a whole: copy it here first, then it can be read".to_owned();
                return Err(Error::Unknown { path, reason });
            }
            Self::of_tar(path, medium, length)
        })
        .await
    }

    /// Whether the file at `path` is a bundle of ours, sound or damaged.
    pub fn is_bundle(path: &Path) -> Result<bool> {
        let file = File::open(path).map_err(Error::read(path))?;
        let meta = file.metadata().map_err(Error::read(path))?;
        Ok(meta.is_file() && strict::is_ours(&file.into(), meta.len()).map_err(Error::read(path))?)
    }

    /// What was opened.
    pub fn format(&self) -> Format {
        self.0.format
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Bytes of the tar (expanded, if it was compressed); of a folder, bytes of all content its manifests name.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// The artifacts in it.
    pub fn index(&self) -> &Index {
        &self.0.contents.index
    }

    /// The SHA-256 of `index.json` as it stands there; of a bundle the bundle id.
    pub fn id(&self) -> Digest {
        self.index().id()
    }

    /// What `airlift.json` says, if there is one.
    pub fn facts(&self) -> Option<&Facts> {
        self.0.facts.as_ref()
    }

    /// Everything that opening learnt.
    pub fn contents(&self) -> &Contents {
        &self.0.contents
    }

    /// A manifest, if it is there.
    pub fn manifest(&self, digest: &Digest) -> Option<&Manifest> {
        self.0.contents.manifests.get(digest)
    }

    /// The plan of a bundle of ours, or of a single volume.
    pub fn layout(&self) -> Option<&Layout> {
        self.0.layout.as_deref()
    }

    /// Where in the file the content of `digest` begins; `None` if it is not there, or a file of its own.
    pub fn offset(&self, digest: &Digest) -> Option<u64> {
        match &self.0.store {
            Backing::Planned(_) => self.0.layout.as_ref()?.place(digest).map(|place| place.offset),
            Backing::Scanned(_, files) => files.get(&blob_name(digest)).map(|spot| spot.offset),
            Backing::Set(volumes) => {
                let places = volumes.iter().find_map(|volume| volume.layout.place(digest));
                places.filter(|place| place.segment.is_none()).map(|place| place.offset)
            }
            Backing::Folder(_) => None,
        }
    }

    /// The open file that has the content of `digest`, for readers by position; `None` if it is not there, in no
    /// file here, or cut over volumes and not put together by [`Reader::put_together`].
    pub fn locate(&self, digest: &Digest) -> Result<Option<Extent>> {
        let joined = self.0.joined.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(file) = joined {
            let size = file.metadata().map_err(Error::read(&self.0.path))?.len();
            return Ok(Some(Extent { file, offset: 0, size }));
        }
        if self.is_far() {
            return Ok(None);
        }
        let Some(FoundBlob { file: RandomAccess::File(file), spot }) = self.0.find(digest)? else { return Ok(None) };
        Ok(Some(Extent { file, offset: spot.offset, size: spot.size }))
    }

    /// Where the content of `digest` lies in a bundle that is elsewhere ([`Reader::open_on`]); `None` if it is not there.
    /// Nothing is read.
    pub fn locate_far(&self, digest: &Digest) -> Option<(Arc<dyn ReadAt>, Range<u64>)> {
        let (remote, span) = match &self.0.store {
            Backing::Planned(RandomAccess::Remote(remote)) => {
                let place = self.0.layout.as_ref()?.place(digest)?;
                (remote, place.offset..place.end())
            }
            Backing::Scanned(RandomAccess::Remote(remote), files) => {
                let spot = files.get(&blob_name(digest))?;
                (remote, spot.offset..spot.offset + spot.size)
            }
            Backing::Set(volumes) => {
                let in_one = |volume: &VolumeFile| match (&volume.file, volume.layout.place(digest)?) {
                    (RandomAccess::Remote(remote), place) if place.segment.is_none() => {
                        Some((Arc::clone(remote.from()), place.offset..place.end()))
                    }
                    _ => None,
                };
                return volumes.iter().find_map(in_one);
            }
            _ => return None,
        };
        Some((Arc::clone(remote.from()), span))
    }

    /// Whether content is read by requests to elsewhere.
    fn is_far(&self) -> bool {
        match &self.0.store {
            Backing::Planned(file) | Backing::Scanned(file, _) => matches!(file, RandomAccess::Remote(_)),
            Backing::Set(volumes) => volumes.iter().any(|volume| matches!(volume.file, RandomAccess::Remote(_))),
            Backing::Folder(_) => false,
        }
    }

    /// Hashes the blob as it is stored and reports bytes to `each` as they are done. Blocks; `buffer` is for use again.
    ///
    /// # Errors
    /// It is not there, has another size or another digest, or cannot be read.
    pub fn check(&self, blob: &Descriptor, buffer: &mut Vec<u8>, each: impl FnMut(u64)) -> Result<()> {
        self.0.check(blob.digest, blob.size, buffer, each)
    }

    /// Holds everything of a bundle that is not content against the plan: headers, padding, end. Blocks. Empty for what
    /// is not a bundle of ours.
    pub fn check_frame(&self) -> Result<Vec<Error>> {
        self.0.check_frame()
    }
}

impl OpenBundle {
    fn open(path: PathBuf) -> Result<Self> {
        let meta = std::fs::metadata(&path).map_err(Error::read(&path))?;
        if meta.is_dir() {
            return Self::open_folder(path);
        }
        let unknown = |path: &Path, reason: &str| Error::Unknown { path: path.to_owned(), reason: reason.to_owned() };
        if !meta.is_file() {
            return Err(unknown(&path, "it is not a regular file"));
        }
        let mut file = File::open(&path).map_err(Error::read(&path))?;
        let mut length = meta.len();
        let begin = disk::read_up_to(&file, 0, header::BLOCK).map_err(Error::read(&path))?;
        if let Some(compression) = Compression::of(&begin) {
            file = expand::expand(&file, length, compression, &path)?;
            length = file.metadata().map_err(Error::read(&path))?.len();
        }
        Self::open_tar(path, file.into(), length)
    }

    fn open_tar(path: PathBuf, file: RandomAccess, length: u64) -> Result<Self> {
        let unknown = |path: &Path, reason: &str| Error::Unknown { path: path.to_owned(), reason: reason.to_owned() };
        let begin = read_up_to(&file, 0, header::BLOCK).map_err(Error::read(&path))?;
        if begin.is_empty() {
            return Err(unknown(&path, "it is empty"));
        }
        if strict::is_ours(&file, length).map_err(Error::read(&path))? {
            let (contents, layout) = strict::open(&file, length, &path)?;
            let (facts, layout) = (Some(layout.facts().clone()), Arc::new(layout));
            let store = match &layout.facts().volume {
                None => Backing::Planned(file),
                Some(volume) => {
                    let (path, layout) = (path.clone(), Arc::clone(&layout));
                    Backing::Set(vec![VolumeFile { number: volume.number, path, file, layout }])
                }
            };
            return Ok(Self {
                path,
                format: Format::Bundle,
                size: length,
                facts,
                contents,
                layout: Some(layout),
                store,
                aside: Vec::new(),
                joined: Mutex::default(),
                lacking: OnceLock::new(),
            });
        }
        if begin.len() < 512 || Header::read(&begin).is_err() {
            return Err(unknown(&path, what_it_looks_like(&begin)));
        }
        let files = match scan::scan(&file, length, &path) {
            // Layers that are the same are links there, so that the scan ends before the list of images.
            Err(Error::Entry { entry, .. }) if entry.ends_with(DOCKER_LAYER) => {
                return Err(unknown(&path, DOCKER_SAVE));
            }
            files => files?,
        };
        if files.contains_key(DOCKER_LIST) && !files.contains_key(MARKER_NAME) {
            return Err(unknown(&path, DOCKER_SAVE));
        }
        let store = Backing::Scanned(file, files);
        Self::open_foreign(path, Format::Archive, length, store)
    }

    fn open_folder(path: PathBuf) -> Result<Self> {
        let folder = OpenFolder::open(&path).map_err(Error::read(&path))?;
        let mut inner = Self::open_foreign(path, Format::Folder, 0, Backing::Folder(folder))?;
        let order = inner.contents.order()?;
        let manifests: u64 = order.manifests.iter().map(|(_, manifest)| manifest.raw().len() as u64).sum();
        inner.size = order.blobs.iter().fold(manifests, |sum, blob| sum.saturating_add(blob.size));
        Ok(inner)
    }

    fn open_foreign(path: PathBuf, format: Format, size: u64, store: Backing) -> Result<Self> {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let index = Index::new(Vec::new(), Vec::new());
        let contents = Contents { index, manifests: HashMap::new(), absent: BTreeMap::new() };
        let mut inner = Self {
            path,
            format,
            size,
            facts: None,
            contents,
            layout: None,
            store,
            aside: Vec::new(),
            joined: Mutex::default(),
            lacking: OnceLock::new(),
        };
        let missing = |document: &str| Error::Unknown {
            path: inner.path.clone(),
            reason: format!("there is no {document} in it, so it is not an image layout"),
        };
        let marker = inner.document(MARKER_NAME)?.ok_or_else(|| missing(MARKER_NAME))?;
        let index = inner.document(INDEX_NAME)?.ok_or_else(|| missing(INDEX_NAME))?;
        check_marker(&marker)?;
        let account = DOCUMENTS.open();
        account.allows_document(&index)?;
        inner.contents.index = Index::parse_foreign(&index, &name)?;
        if let Some(text) = inner.document(FACTS_NAME)? {
            account.allows_document(&text)?;
            // An unpacked bundle: its seal still holds, and it still says what is absent on purpose.
            let facts = Facts::parse(&text)?;
            if facts.index != Digest::sha256(&index) {
                let reason = format!("it has the digest {}, sealed was {}", Digest::sha256(&index), facts.index);
                return Err(Error::Seal { document: INDEX_NAME, reason });
            }
            inner.contents.absent = facts.absent.iter().map(|absent| (absent.digest, absent.clone())).collect();
            inner.facts = Some(facts);
        }
        inner.read_manifests()?;
        Ok(inner)
    }

    fn read_manifests(&mut self) -> Result<()> {
        let mut account = DOCUMENTS.open();
        account.spend(self.contents.index.weight())?;
        let walked = walk(self.contents.index.descriptors(), &mut account, |descriptor, account| {
            // A missing manifest is reported where it is needed: verify lists it, a fetch of it fails.
            self.stored_manifest(descriptor, account).transpose()
        })?;
        self.contents.manifests = by_digest(walked);
        self.contents.check_size()
    }

    /// A manifest of another tool's layout, or of what is left of a bundle; `None` if it is not there, by intent or not.
    pub(super) fn stored_manifest(&self, descriptor: &Descriptor, account: &Account) -> Option<Result<Manifest>> {
        let digest = descriptor.digest;
        if self.contents.absent.contains_key(&digest) {
            return None;
        }
        let read = |FoundBlob { file, spot }: FoundBlob| {
            if spot.size > MANIFEST_LIMIT {
                return Err(Error::TooLarge { what: blob_name(&digest), limit: MANIFEST_LIMIT });
            }
            if spot.size != descriptor.size {
                return Err(Error::SizeMismatch { digest, expected: descriptor.size, actual: spot.size });
            }
            account.allows(spot.size)?;
            let raw = read_up_to(&file, spot.offset, spot.size).map_err(Error::read(&self.path))?;
            read_manifest(raw.into(), descriptor, spot.offset, account)
        };
        let found = self.find_file(&blob_name(&digest)).transpose()?;
        Some(found.and_then(read))
    }

    /// A small document of another tool's layout.
    pub(super) fn document(&self, name: &str) -> Result<Option<Bytes>> {
        let Some(found) = self.find_file(name)? else { return Ok(None) };
        if found.spot.size > DOCUMENT_LIMIT {
            return Err(Error::TooLarge { what: name.to_owned(), limit: DOCUMENT_LIMIT });
        }
        let bytes = read_up_to(&found.file, found.spot.offset, found.spot.size).map_err(Error::read(&self.path))?;
        Ok(Some(bytes.into()))
    }
}

fn check_marker(text: &[u8]) -> Result<()> {
    let malformed = |reason: String| Error::Structure { offset: 0, entry: MARKER_NAME.to_owned(), reason };
    let marker: serde_json::Value = serde_json::from_slice(text).map_err(|error| malformed(error.to_string()))?;
    match marker.get("imageLayoutVersion").and_then(serde_json::Value::as_str) {
        Some("1.0.0") => Ok(()),
        other => Err(malformed(format!("its imageLayoutVersion is {other:?}, known is \"1.0.0\""))),
    }
}

/// The end of a layer's name in an archive of `docker save` (moby, image/spec/v1.2).
const DOCKER_LAYER: &str = "/layer.tar";

/// The list of images in such an archive. Docker 25 and later write an image layout beside it.
pub(super) const DOCKER_LIST: &str = "manifest.json";

/// It has no manifests of a registry. An export makes them, with digests of their own.
const DOCKER_SAVE: &str = "it is an archive of `docker save` without an image layout; \
    `airlift export --from FILE -o BUNDLE` or `skopeo copy docker-archive:FILE oci-archive:NEW` makes one that is read";

/// What people take for a bundle most often.
fn what_it_looks_like(begin: &[u8]) -> &'static str {
    let text = begin.trim_ascii_start();
    let html = ["<!doctype", "<html", "<?xml"];
    let starts = |word: &&str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
    if html.iter().any(starts) {
        return "it is a web page, perhaps the answer of a proxy or a login page";
    }
    match begin {
        [b'P', b'K', 3, 4, ..] => "it is a zip archive",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "it is compressed by xz; gzip and zstd are read",
        [b'B', b'Z', b'h', ..] => "it is compressed by bzip2; gzip and zstd are read",
        [b'{' | b'[', ..] => "it is a JSON document",
        _ if begin.iter().all(|&byte| byte == 0) => "it begins with zeros only",
        _ => "it does not begin with the header of a tar",
    }
}
