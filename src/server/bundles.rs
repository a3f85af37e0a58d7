//! Bundles in place as a backend: the repositories that their references name, under each name a client may use for them.
//!
//! A bundle holds full references. `docker.io/library/nginx` is served as that, as `library/nginx` and as `nginx`; where two
//! hosts have a repository of one path, the `ns` of the request tells which is meant, and without it content that only a
//! tag names is not given away: that it might be the other one would go unnoticed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, OnceLock},
};

use http::StatusCode;

use super::{
    answer::Refusal,
    backend::{Backend, Requested},
    file::LocalBlob,
    remote_blob::{RemoteBlob, SeenBlobs},
};
use crate::{
    bundle::{self, Owners, Reader, Reason},
    oci::{
        Descriptor, Digest, Manifest, Name, Reference,
        error_code::ErrorCode,
        graph::{Budget, OverBudget, Walked, walk},
        reference::host_as_part,
    },
    review::Review,
    store::{self, RawManifest},
};

/// The host whose repositories have short names.
const DOCKER_HUB: &str = "docker.io";

/// Where Docker Hub keeps the repositories whose names have one part.
const LIBRARY: &str = "library/";

/// Some bundles, the later ones over the earlier ones.
#[derive(Debug)]
pub(super) struct Bundles {
    readers: Vec<(Reader, Arc<str>)>,
    /// What was read whole of those that lie in a storage.
    seen: Vec<SeenBlobs>,
    /// By `host/path`, the host spelled as a path can have it.
    repositories: BTreeMap<String, BundledRepository>,
    /// Hosts by path, for names without a host.
    hosts: BTreeMap<String, BTreeSet<String>>,
    notes: Vec<String>,
    /// Which artifacts need which content; empty until there is damage to tell of.
    needing: OnceLock<HashMap<Digest, Vec<Reference>>>,
}

/// One repository, of all bundles.
#[derive(Debug, Default)]
struct BundledRepository {
    tags: BTreeMap<String, Digest>,
    /// Artifacts that were asked for by digest alone.
    pinned: BTreeSet<Digest>,
    manifests: HashSet<Digest>,
    /// Size, by digest.
    blobs: HashMap<Digest, u64>,
    referrers: HashMap<Digest, Vec<Descriptor>>,
}

impl Bundles {
    pub(super) fn new(readers: Vec<Reader>) -> Self {
        let named = readers.into_iter().map(|reader| {
            let name = reader.path().file_name().unwrap_or_default().to_string_lossy().into();
            (reader, name)
        });
        let readers: Vec<_> = named.collect();
        let seen = readers.iter().map(|_| SeenBlobs::default()).collect();
        let mut bundles = Self {
            readers,
            seen,
            repositories: BTreeMap::new(),
            hosts: BTreeMap::new(),
            notes: Vec::new(),
            needing: OnceLock::new(),
        };
        for index in 0..bundles.readers.len() {
            bundles.take_in(index);
        }
        bundles.note_missing();
        bundles
    }

    /// Notes of each delta what of its base no bundle here has.
    fn note_missing(&mut self) {
        for (at, (reader, place)) in self.readers.iter().enumerate() {
            let is_there = |digest: &Digest| {
                let mut others = self.readers.iter().enumerate().filter(|(other, _)| *other != at);
                others.any(|(_, (other, _))| {
                    let is_absent = other.contents().absent.contains_key(digest);
                    !is_absent
                        && other.contents().manifests.values().any(|one| one.blobs().any(|b| b.digest == *digest))
                })
            };
            let absent = reader.contents().absent.values().filter(|one| one.reason == Reason::Delta);
            let missing: Vec<_> = absent.filter(|one| !is_there(&one.digest)).collect();
            if missing.is_empty() {
                continue;
            }
            let bytes = missing.iter().fold(0, |sum, one| u64::saturating_add(sum, one.size));
            let of: BTreeSet<String> = missing.iter().flat_map(|one| &one.bundles).map(ToString::to_string).collect();
            let of = of.into_iter().collect::<Vec<_>>().join(", ");
            self.notes.push(format!(
                "{place} is a delta, and {} of its blobs ({bytes} bytes) are in no bundle here; serve their bundles as well: {of}",
                missing.len()
            ));
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// What people should know when the server starts.
    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What a reviewer should know of each bundle.
    ///
    /// # Errors
    /// One is more than can be shown.
    pub(super) fn reviews(&self) -> bundle::Result<Vec<Review>> {
        let review =
            |(reader, place): &(Reader, Arc<str>)| Review::of(place, reader.contents(), reader.facts(), reader.size());
        self.readers.iter().map(review).collect()
    }

    /// Every blob that a manifest of a bundle names, once.
    pub(super) fn blobs(&self) -> HashSet<Digest> {
        self.repositories.values().flat_map(|repository| repository.blobs.keys()).copied().collect()
    }

    fn take_in(&mut self, index: usize) {
        let (reader, place) = self.readers[index].clone();
        for root in reader.index().roots() {
            let reference = &root.reference;
            let repository = self.repository(reference.registry(), reference.repository());
            if let Some(tag) = tag_of(reference) {
                let before = repository.tags.insert(tag.clone(), root.descriptor.digest);
                if before.is_some_and(|before| before != root.descriptor.digest) {
                    self.notes.push(format!("{}:{tag} is in more than one bundle; {place} wins", reference.context()));
                }
            } else {
                repository.pinned.insert(root.descriptor.digest);
            }
            self.add(&full(reference.registry(), reference.repository()), &root.descriptor);
        }
        for attached in reader.index().attached() {
            if let Some((host, path)) = attached.repository.split_once('/') {
                self.repository(host, path);
                self.add(&full(host, path), &attached.descriptor);
            }
        }
    }

    fn repository(&mut self, host: &str, path: &str) -> &mut BundledRepository {
        let host = &host_as_part(host);
        self.hosts.entry(path.to_owned()).or_default().insert(host.to_owned());
        self.repositories.entry(format!("{host}/{path}")).or_default()
    }

    /// Puts a manifest and all below it into the repository.
    fn add(&mut self, repository: &str, root: &Descriptor) {
        let Some(entry) = self.repositories.get_mut(repository) else { return };
        let known = &entry.manifests;
        let readers = &self.readers;
        // Opening has counted what is in the bundles; what is below a manifest that is known is known as well.
        let walked = walk([root], &mut Budget::UNLIMITED.open(), |descriptor, _| {
            let found = readers.iter().rev().find_map(|(reader, _)| reader.manifest(&descriptor.digest));
            Ok::<_, OverBudget>(found.filter(|_| !known.contains(&descriptor.digest)))
        });
        for manifest in walked.into_iter().flat_map(Walked::into_manifests) {
            entry.manifests.insert(manifest.digest());
            // An index may list content that is not a manifest.
            let named = manifest.blobs().chain(manifest.children());
            entry.blobs.extend(named.map(|one| (one.digest, one.size)));
            if let Some(subject) = manifest.subject() {
                entry.referrers.entry(subject.digest).or_default().push(store::referrer(manifest));
            }
        }
    }

    /// The repositories that a request may mean, by full name.
    fn meant(&self, at: Requested<'_>) -> Vec<(&str, &BundledRepository)> {
        let path = at.repository;
        let short = (!path.contains('/')).then(|| format!("{LIBRARY}{path}"));
        let get = |name: String| self.repositories.get_key_value(&name).map(|(name, found)| (name.as_str(), found));
        if let Some(host) = at.namespace {
            let host = &host_as_part(host);
            let host =
                if host == "registry-1.docker.io" || host == "index.docker.io" { DOCKER_HUB } else { host.as_str() };
            let short = short.filter(|_| host == DOCKER_HUB);
            let found = get(format!("{host}/{path}")).or_else(|| get(format!("{host}/{}", short?)));
            return found.into_iter().collect();
        }
        if let Some(full) = get(path.to_owned()) {
            return vec![full];
        }
        let hosts = self.hosts.get(path).into_iter().flatten();
        let mut found: Vec<_> = hosts.filter_map(|host| get(format!("{host}/{path}"))).collect();
        if let Some(hub) = short.and_then(|short| get(format!("{DOCKER_HUB}/{short}"))) {
            found.push(hub);
        }
        found
    }

    /// The one repository that a request means, where a digest does not say what is meant.
    fn only(&self, at: Requested<'_>) -> Result<Option<&BundledRepository>, Refusal> {
        match &self.meant(at)[..] {
            [] => Ok(None),
            [(_, only)] => Ok(Some(only)),
            several => {
                let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "{} is ambiguous here: {}; ask for one of these, or name the host in the ns parameter",
                    at.repository,
                    names.join(" and ")
                );
                Err(Refusal::new(StatusCode::NOT_FOUND, ErrorCode::NameUnknown, message))
            }
        }
    }

    fn manifest(&self, digest: &Digest) -> Option<&Manifest> {
        self.readers.iter().rev().find_map(|(reader, _)| reader.manifest(digest))
    }

    /// The blob in the last bundle that has it.
    pub(super) fn locate(&self, digest: &Digest) -> Result<Option<LocalBlob>, Refusal> {
        let mut damage = None;
        for (reader, place) in self.readers.iter().rev() {
            match reader.locate(digest) {
                Ok(Some(found)) => {
                    let place = Arc::clone(place);
                    return Ok(Some(LocalBlob {
                        file: found.file,
                        offset: found.offset,
                        size: found.size,
                        digest: *digest,
                        place,
                    }));
                }
                Ok(None) => {}
                Err(error) => damage = Some(Refusal::internal(&error)),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// The blob in the last bundle in a storage that has it.
    pub(super) fn locate_far(&self, digest: &Digest) -> Option<RemoteBlob> {
        self.readers.iter().zip(&self.seen).rev().find_map(|((reader, _), seen)| {
            let (from, span) = reader.locate_far(digest)?;
            let (offset, size) = (span.start, span.end - span.start);
            Some(RemoteBlob { from, offset, size, digest: *digest, seen: seen.clone() })
        })
    }

    /// The file name of the last bundle that has content of that digest, whatever state it is in.
    pub(super) fn place_of(&self, digest: &Digest) -> Option<&Arc<str>> {
        let found = self.readers.iter().rev().find(|(reader, _)| reader.offset(digest).is_some());
        found.map(|(_, place)| place)
    }

    /// The artifacts that need content, under the names they were exported by.
    pub(super) fn needing(&self, digest: &Digest) -> &[Reference] {
        let all = self.needing.get_or_init(|| {
            let mut all: HashMap<Digest, Vec<Reference>> = HashMap::new();
            for (reader, _) in &self.readers {
                // A bundle that is too large for this was not opened.
                let owners = Owners::of(reader.contents()).map(Owners::into_all);
                for (digest, owners) in owners.into_iter().flatten() {
                    all.entry(digest).or_default().extend(owners.into_iter().cloned());
                }
            }
            all
        });
        all.get(digest).map_or(&[], Vec::as_slice)
    }

    fn has_blob(&self, at: Requested<'_>, digest: &Digest) -> bool {
        self.meant(at).iter().any(|(_, repository)| repository.blobs.contains_key(digest))
    }
}

impl Backend for Bundles {
    fn knows(&self, at: Requested<'_>) -> Result<bool, Refusal> {
        Ok(self.only(at)?.is_some())
    }

    fn document(&self, at: Requested<'_>, name: &Name) -> Result<Option<RawManifest>, Refusal> {
        let digest = match name {
            Name::Digest(digest) => {
                self.meant(at).iter().any(|(_, found)| found.manifests.contains(digest)).then_some(digest)
            }
            Name::Tag(tag) => self.only(at)?.and_then(|found| found.tags.get(tag.as_str())),
        };
        let found = digest.and_then(|digest| self.manifest(digest));
        Ok(found.map(|manifest| RawManifest {
            digest: manifest.digest(),
            media_type: manifest.media_type().to_owned(),
            bytes: manifest.raw().clone(),
        }))
    }

    fn blob(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<LocalBlob>, Refusal> {
        if self.has_blob(at, digest) { self.locate(digest) } else { Ok(None) }
    }

    fn far(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<RemoteBlob>, Refusal> {
        Ok(if self.has_blob(at, digest) { self.locate_far(digest) } else { None })
    }

    fn blob_size(&self, at: Requested<'_>, digest: &Digest) -> Result<Option<u64>, Refusal> {
        match self.blob(at, digest)? {
            Some(blob) => Ok(Some(blob.size)),
            None => Ok(self.far(at, digest)?.map(|blob| blob.size)),
        }
    }

    fn has_manifest(&self, at: Requested<'_>, name: &Name) -> Result<bool, Refusal> {
        Ok(self.document(at, name)?.is_some())
    }

    fn tags(&self, at: Requested<'_>, after: &str, limit: usize) -> Result<Vec<String>, Refusal> {
        let Some(found) = self.only(at)? else { return Ok(Vec::new()) };
        Ok(found.tags.keys().filter(|tag| tag.as_str() > after).take(limit).cloned().collect())
    }

    fn pinned(&self, at: Requested<'_>) -> Result<Vec<Digest>, Refusal> {
        let Some(found) = self.only(at)? else { return Ok(Vec::new()) };
        let is_tagged = |digest: &&Digest| found.tags.values().any(|tagged| tagged == *digest);
        Ok(found.pinned.iter().filter(|digest| !is_tagged(digest)).copied().collect())
    }

    fn hosts(&self, at: Requested<'_>) -> Vec<String> {
        let host = |(name, _): (&str, &BundledRepository)| name.split('/').next().unwrap_or_default().to_owned();
        self.meant(at).into_iter().map(host).collect()
    }

    fn referrers(&self, at: Requested<'_>, subject: &Digest) -> Result<Vec<Descriptor>, Refusal> {
        let found = self.meant(at).into_iter().filter_map(|(_, found)| found.referrers.get(subject));
        Ok(found.flatten().cloned().collect())
    }

    fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>, Refusal> {
        let mut names = BTreeSet::new();
        for (path, hosts) in &self.hosts {
            match hosts.len() {
                1 => drop(names.insert(path.clone())),
                _ => names.extend(hosts.iter().map(|host| format!("{host}/{path}"))),
            }
        }
        Ok(names.into_iter().filter(|name| name.as_str() > after).take(limit).collect())
    }
}

fn full(host: &str, path: &str) -> String {
    format!("{}/{path}", host_as_part(host))
}

/// The tag that an artifact is served under, if it was asked for by one.
fn tag_of(reference: &Reference) -> Option<String> {
    match reference.name() {
        Name::Tag(tag) => Some(tag.to_string()),
        Name::Digest(_) => reference.tag().map(ToString::to_string),
    }
}
