//! What is left of a bundle whose head is damaged: read by the tar's own headers, as far as they go.
//!
//! It is for telling, not for taking: a bundle that does not open strictly is not imported or served. What is found here is
//! believed by its digest only; the names of artifacts are those that the index still says, broken seal or not.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};

use super::{
    Contents, Error, Facts, Format, Index, Reader, Result,
    contents::DOCUMENTS,
    layout::{FACTS_NAME, INDEX_NAME},
    reader::{Backing, OpenBundle},
    scan,
    set::FileCheck,
    strict::{self, by_digest},
};
use crate::{
    files::{self, blocking::off_reactor},
    oci::{Digest, graph::walk},
};

impl Reader {
    /// Opens what is left of a bundle that [`Reader::open`] refuses, and returns everything that is wrong with it; `None`
    /// where that is not a bundle of ours, or a volume of a set.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn open_remains(path: &Path) -> Result<Option<(Self, Vec<Error>)>> {
        let path = path.to_owned();
        off_reactor(move || Ok(OpenBundle::open_remains(&path)?.map(|(inner, wrong)| (Self(inner.into()), wrong))))
            .await
    }

    /// Checks of the blobs that are there and that no manifest leads to; none for what was opened strictly.
    pub fn stray_checks(&self) -> Vec<FileCheck> {
        let Backing::Scanned(_, files) = &self.0.store else { return Vec::new() };
        let contents = self.contents();
        let known = contents.manifests.values().flat_map(|manifest| manifest.blobs().map(|blob| blob.digest));
        let known: std::collections::HashSet<Digest> = known.chain(contents.manifests.keys().copied()).collect();
        let stray = files.iter().filter_map(|(name, spot)| Some((digest_of(name)?, spot.size)));
        let stray = stray.filter(|(digest, _)| !known.contains(digest));
        stray.map(|(digest, size)| FileCheck::whole(digest, size)).collect()
    }
}

impl OpenBundle {
    fn open_remains(path: &Path) -> Result<Option<(Self, Vec<Error>)>> {
        let file = File::open(path).map_err(Error::read(path))?;
        let meta = file.metadata().map_err(Error::read(path))?;
        let (file, length) = (file.into(), meta.len());
        if !meta.is_file() || !strict::is_ours(&file, length).map_err(Error::read(path))? {
            return Ok(None);
        }
        let (files, fault) = scan::scan_as_far_as_it_goes(&file, length, path);
        let mut inner = Self {
            path: path.to_owned(),
            format: Format::Bundle,
            size: length,
            facts: None,
            contents: Arc::new(Contents {
                index: Index::new(Vec::new(), Vec::new()),
                manifests: HashMap::new(),
                absent: BTreeMap::new(),
            }),
            layout: None,
            store: Backing::Scanned(file, files),
            aside: Vec::new(),
            joined: Mutex::default(),
            lacking: OnceLock::new(),
        };
        let mut wrong: Vec<Error> = fault.into_iter().collect();
        inner.take_facts(&mut wrong)?;
        if inner.facts.as_ref().is_some_and(|facts| facts.volume.is_some()) {
            return Ok(None);
        }
        inner.take_index(&mut wrong)?;
        inner.take_manifests(&mut wrong)?;
        Ok(Some((inner, wrong)))
    }

    fn take_facts(&mut self, wrong: &mut Vec<Error>) -> Result<()> {
        let Some(text) = self.document(FACTS_NAME)? else { return Ok(()) };
        DOCUMENTS.open().allows_document(&text)?;
        match Facts::parse(&text) {
            Ok(facts) => {
                let absent = facts.absent.iter().map(|absent| (absent.digest, absent.clone()));
                Arc::make_mut(&mut self.contents).absent = absent.collect();
                self.facts = Some(facts);
            }
            Err(error) => wrong.push(error),
        }
        Ok(())
    }

    fn take_index(&mut self, wrong: &mut Vec<Error>) -> Result<()> {
        let Some(text) = self.document(INDEX_NAME)? else { return Ok(()) };
        DOCUMENTS.open().allows_document(&text)?;
        let found = Digest::sha256(&text);
        if let Some(sealed) = self.facts.as_ref().map(|facts| facts.index).filter(|sealed| *sealed != found) {
            let reason = format!("it has the digest {found}, sealed was {sealed}");
            wrong.push(Error::Seal { document: INDEX_NAME, reason });
        }
        // What is not ours any more may still be an index.
        match Index::parse_foreign(&text, "") {
            Ok(index) => Arc::make_mut(&mut self.contents).index = index,
            Err(error) => wrong.push(error),
        }
        Ok(())
    }

    fn take_manifests(&mut self, wrong: &mut Vec<Error>) -> Result<()> {
        let mut account = DOCUMENTS.open();
        let walked = walk(self.contents.index.descriptors(), &mut account, |descriptor, account| {
            match self.stored_manifest(descriptor, account).transpose() {
                Err(error @ (Error::File(files::Error::Read { .. }) | Error::Budget(_))) => Err(error),
                Err(error) => {
                    wrong.push(error);
                    Ok(None)
                }
                found => found,
            }
        })?;
        let manifests = by_digest(walked);
        Arc::make_mut(&mut self.contents).manifests = manifests;
        self.contents.check_size()
    }
}

/// The digest that an entry is named by.
fn digest_of(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}
