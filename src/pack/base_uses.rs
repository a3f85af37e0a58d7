//! Which base layers each content run is made with, and which of them is to blame where something goes wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::{Mutex, PoisonError},
};

use super::{
    Error,
    frames::Frames,
    head::{PackHead, PrefixSource},
};
use crate::{
    content::{self, Class, Fault as _},
    oci::{Digest, Hasher},
};

/// Bytes that are read of a base layer at once.
const CHUNK: usize = 256 << 10;

/// The base layers that the content runs of a packed file need.
#[derive(Debug)]
pub(super) struct BaseUses {
    /// The numbers of the layers, for each run: its own, and those of the runs that it is coded against.
    of_runs: Vec<BTreeSet<usize>>,
    /// Layers that were looked at, and whether they are damaged.
    looked: Mutex<BTreeMap<usize, bool>>,
}

impl BaseUses {
    /// Those of the file with the checked head `head`.
    pub(super) fn of(head: &PackHead) -> Self {
        let mut of_runs: Vec<BTreeSet<usize>> = Vec::with_capacity(head.contents.len());
        for (number, run) in head.contents.iter().enumerate() {
            let mut own = BTreeSet::new();
            for part in run.frames.iter().flat_map(|frame| &frame.prefix) {
                match part.source {
                    PrefixSource::Base => drop(own.insert(part.number)),
                    PrefixSource::Content if part.number < number => own.extend(&of_runs[part.number]),
                    PrefixSource::Content => {}
                }
            }
            of_runs.push(own);
        }
        Self { of_runs, looked: Mutex::default() }
    }

    /// Whether a run is made with any.
    pub(super) fn any(&self, run: usize) -> bool {
        !self.of_runs[run].is_empty()
    }

    /// Why a run could not be made: `error`, unless one of its base layers is damaged. Reads them. Blocks.
    pub(super) fn blame(&self, frames: &Frames, run: usize, error: Error) -> Error {
        if matches!(error, Error::BaseMissing { .. } | Error::BaseUnknown { .. } | Error::BaseDamaged { .. }) {
            return error;
        }
        let Some(base) = frames.base() else { return error };
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        for &number in &self.of_runs[run] {
            let layer = &frames.head().base[number];
            let is_damaged = *looked.entry(number).or_insert_with(|| match base.open(&layer.digest, false) {
                Ok(bytes) => is_damaged(bytes, &layer.digest),
                Err(error) => error.code().class() == Class::Unverified,
            });
            if is_damaged {
                let (path, layer) = (frames.path().to_owned(), layer.digest);
                return Error::BaseDamaged { path, layer, base: base.place(&layer), source: Box::new(error) };
            }
        }
        error
    }
}

/// Whether `bytes` are not what `digest` says. That they cannot be read now says nothing.
fn is_damaged(mut bytes: impl Read, digest: &Digest) -> bool {
    let (mut hasher, mut buffer) = (Hasher::new(digest.algorithm()), vec![0; CHUNK]);
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return hasher.finish() != *digest,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) => {
                let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<content::Error>());
                return cause.is_some_and(|cause| cause.code().class() == Class::Unverified);
            }
        }
    }
}
