//! The bases that the command line names: receipts, heads, bundles, layouts, stores and registries.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use super::{
    super::{destination::RegistryPrefix, error::Error, export, opened::Opened, origin::Places},
    base::Bases,
};
use crate::{
    bundle::{Contents, Format, Index, head},
    content::Targets,
    holding::{Receipt, receipt},
    progress::Progress,
    storage::{Location, Settings},
    store::Store,
};

/// What begins a base that is only said to be there: it was sent.
const SENT: &str = "sent:";

/// Where a base is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseLocation {
    /// A receipt, a head, a bundle, a layout or a store.
    Place(Location),
    /// A registry, and the part of it that artifacts are under.
    Registry(RegistryPrefix),
}

/// A text that names no base.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a file, a folder, an address of a storage or a registry")]
pub struct ParseBaseError {
    text: String,
}

impl FromStr for BaseLocation {
    type Err = ParseBaseError;

    /// What exists here is a file or a folder; what is a path or an address by its form is a location; the rest is a registry.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_prefix(SENT).unwrap_or(text);
        let error = || ParseBaseError { text: text.to_owned() };
        let location = Location::parse(text).ok().filter(|location| !matches!(location, Location::Standard));
        let path = Path::new(text);
        let is_file =
            path.extension().is_some_and(|end| ["json", "tar", "head", "gz", "zst"].iter().any(|one| end == *one));
        let is_path = text.starts_with(['/', '.']) || is_file || path.exists();
        match location {
            Some(Location::Path(_)) if !is_path => text.parse().map(Self::Registry).map_err(|_| error()),
            Some(location) => Ok(Self::Place(location)),
            None => Err(error()),
        }
    }
}

/// Opens every base. `targets` are the registries of the run.
///
/// # Errors
/// One cannot be read, or is none.
pub async fn open(
    bases: &[BaseLocation],
    targets: Option<&Arc<dyn Targets>>,
    settings: &Settings,
    progress: &Progress,
) -> Result<Bases, Error> {
    let mut all = Bases::default();
    for base in bases {
        match base {
            BaseLocation::Registry(to) => {
                if let Some(targets) = targets {
                    all.add_registry(to.clone(), Arc::clone(targets));
                }
            }
            BaseLocation::Place(location) => match read(location, settings, progress).await? {
                Held::Receipt(receipt) => all.add_receipt(&receipt),
                Held::Contents { contents, bundle } => all.add_contents(&contents, bundle)?,
            },
        }
    }
    Ok(all)
}

/// What a place says that it has.
pub(in crate::transfer) enum Held {
    Receipt(Box<Receipt>),
    Contents { contents: Box<Contents>, bundle: Option<crate::oci::Digest> },
}

/// Reads what a place holds, whatever it is.
///
/// # Errors
/// It cannot be read, or is none of these.
pub(in crate::transfer) async fn read(
    location: &Location,
    settings: &Settings,
    progress: &Progress,
) -> Result<Held, Error> {
    let held = |contents: Contents, is_bundle: bool| {
        let bundle = is_bundle.then(|| contents.index.id());
        Held::Contents { contents: Box::new(contents), bundle }
    };
    if let Some(path) = location.path() {
        if Store::is_store(path) {
            return Ok(held(contents_of_store(location, settings, progress).await?, false));
        }
        if path.is_file() {
            if let Some(receipt) = read_receipt(path)? {
                return Ok(Held::Receipt(Box::new(receipt)));
            }
            if let Some(contents) = head::open(path).await? {
                return Ok(held(contents, true));
            }
        }
    }
    let (opened, _) = Opened::survey(location, settings).await?;
    let reader = opened.reader();
    Ok(held(reader.contents().clone(), reader.format() == Format::Bundle))
}

/// What a store has, asked blob by blob.
async fn contents_of_store(store: &Location, settings: &Settings, progress: &Progress) -> Result<Contents, Error> {
    let places = Places::open(std::slice::from_ref(store), None, settings, progress).await?;
    let mut request = export::Request::new(places.artifacts());
    request.continue_on_errors = true;
    match export::plan(&places, &request, &Progress::silent()).await {
        Ok(plan) => Ok(plan.contents().clone()),
        Err(Error::Artifacts { .. }) => Ok(Contents {
            index: Index::new(Vec::new(), Vec::new()),
            manifests: HashMap::new(),
            absent: BTreeMap::new(),
        }),
        Err(error) => Err(error),
    }
}

/// The receipt at `path`; `None` if what is there is no JSON.
fn read_receipt(path: &Path) -> Result<Option<Receipt>, Error> {
    let read = |source| Error::Io { what: "read", path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(read)?;
    let begin = crate::files::disk::read_up_to(&file, 0, 1).map_err(read)?;
    if begin != b"{" {
        return Ok(None);
    }
    let text = crate::files::disk::read_up_to(&file, 0, receipt::LIMIT + 1).map_err(read)?;
    let receipt = Receipt::parse(&text).map_err(|source| Error::Receipt { path: PathBuf::from(path), source })?;
    Ok(Some(receipt))
}
