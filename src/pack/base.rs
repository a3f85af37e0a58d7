//! Layers that the receiver has, read from bundles.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, Read},
    path::PathBuf,
};

use tokio::runtime::Handle;

use super::{
    Error, Result,
    blob_read::{BundleBlobs, content},
    frames::BaseContents,
    sketch::Sketcher,
    survey::BlobSurvey,
};
use crate::{
    bundle::Reader,
    oci::{Descriptor, Digest},
};

/// The layers of some bundles, which the receiver has.
#[derive(Clone, Debug)]
pub struct BundleBase {
    bundles: Vec<BundleBlobs>,
    /// In the order of the bundles; each with the number of its bundle.
    layers: Vec<(usize, Descriptor)>,
    by_digest: HashMap<Digest, usize>,
}

impl BundleBase {
    /// The layers of `bundles`. Called on a runtime, which does the reading from then on.
    ///
    /// # Errors
    /// The manifests of a bundle contradict each other.
    pub fn new(bundles: impl IntoIterator<Item = Reader>) -> Result<Self> {
        let runtime = Handle::current();
        let mut base = Self { bundles: Vec::new(), layers: Vec::new(), by_digest: HashMap::new() };
        for reader in bundles {
            for blob in reader.contents().order()?.blobs {
                if reader.has(&blob.digest) && !base.by_digest.contains_key(&blob.digest) {
                    base.by_digest.insert(blob.digest, base.layers.len());
                    base.layers.push((base.bundles.len(), blob.clone()));
                }
            }
            base.bundles.push(BundleBlobs { reader, runtime: runtime.clone() });
        }
        Ok(base)
    }

    /// Every config and layer that is there, once.
    pub fn layers(&self) -> Vec<Descriptor> {
        self.layers.iter().map(|(_, layer)| layer.clone()).collect()
    }
}

impl BaseContents for BundleBase {
    fn open(&self, layer: &Digest, gzip: bool) -> Result<Box<dyn Read + Send>> {
        let missing = || Error::BaseUnknown { layer: *layer };
        let (bundle, blob) = &self.layers[*self.by_digest.get(layer).ok_or_else(missing)?];
        let unread = |error| match error {
            Error::Content(error) => Error::read(&self.place(layer))(io::Error::other(error)),
            other => other,
        };
        Ok(content(self.bundles[*bundle].open(blob).map_err(unread)?, gzip))
    }

    fn has(&self, layer: &Digest) -> bool {
        self.by_digest.contains_key(layer)
    }

    fn place(&self, layer: &Digest) -> PathBuf {
        let bundle = self.by_digest.get(layer).map(|at| &self.bundles[self.layers[*at].0]);
        bundle.map(|bundle| bundle.reader.path().to_owned()).unwrap_or_default()
    }
}

/// What the content of a base layer looks like. A layer that cannot be decompressed is taken as it is.
pub(super) fn survey_layer(base: &dyn BaseContents, layer: &Descriptor) -> Result<BlobSurvey> {
    let begins_as_gzip = {
        let mut begin = Vec::new();
        let read = base.open(&layer.digest, false)?.take(2).read_to_end(&mut begin);
        read.is_ok() && begin == [0x1f, 0x8b]
    };
    if begins_as_gzip && let Some(survey) = sketch(&mut *base.open(&layer.digest, true)?, true) {
        return Ok(survey);
    }
    let unread = || Error::BaseUnknown { layer: layer.digest };
    sketch(&mut *base.open(&layer.digest, false)?, false).ok_or_else(unread)
}

fn sketch(source: &mut dyn Read, gzip: bool) -> Option<BlobSurvey> {
    let mut sketcher = Sketcher::default();
    let mut length = 0;
    let mut source = std::io::BufReader::with_capacity(256 << 10, source);
    loop {
        let bytes = source.fill_buf().ok()?;
        if bytes.is_empty() {
            return Some(BlobSurvey {
                recipe: None,
                checkpoints: None,
                length,
                sketch: sketcher.finish(),
                expanded: None,
                gzip,
            });
        }
        sketcher.update(bytes);
        let count = bytes.len();
        length += count as u64;
        source.consume(count);
    }
}
