//! What lists hold, and one document of a list with what every format needs to read it.

use super::super::{
    tags::{TagFilter, TagFilterError, TagQuery},
    tree::{Id, ValueTree},
};
use super::package::{PackageEntry, PackageEntryError};
use crate::{
    content::{Code, Fault},
    oci::{Reference, reference::ParseReferenceError},
};

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is neither lines nor YAML nor JSON.
    #[error("{file}, line {line}: not a list of artifacts: {reason}")]
    Syntax {
        /// The file as it was given.
        file: String,
        /// From 1; 0 where the parser names none.
        line: u64,
        /// The parser's complaint.
        reason: String,
    },
    /// It is of no form that is known.
    #[error("{file}, line {line}: not a list of artifacts in a form that docs/lists.md describes")]
    Form {
        /// The file as it was given.
        file: String,
        /// From 1.
        line: u64,
    },
    /// Entries are not references.
    #[error("{file}: {} not name an artifact", lines_do(.bad))]
    References {
        /// The file as it was given.
        file: String,
        /// Each of them; never empty.
        bad: Vec<BadEntry>,
    },
    /// An entry chooses tags in a way that cannot be read.
    #[error("{file}, line {line}")]
    Filter {
        /// The file as it was given.
        file: String,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        source: TagFilterError,
    },
    /// The list asks for something that airlift does not do.
    #[error("{file}, line {line}: {what}")]
    Unsupported {
        /// The file as it was given.
        file: String,
        /// From 1.
        line: u64,
        /// What it asks for.
        what: String,
    },
    /// The list chooses tags, and the registry must be asked for those that exist.
    #[error("{file}, line {line}: the tags of {repository} must be looked up in the registry first")]
    Query {
        /// The file as it was given.
        file: String,
        /// From 1.
        line: u64,
        /// The repository with its host.
        repository: String,
    },
}

/// An entry that names no artifact.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}{}", why(.source))]
pub struct BadEntry {
    /// From 1.
    pub line: u64,
    /// What is wrong with it.
    pub source: EntryError,
}

/// What is wrong with an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It is not a reference.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// It begins as one that airlift makes an artifact of, and is none.
    #[error(transparent)]
    Package(#[from] PackageEntryError),
}

fn lines_do(bad: &[BadEntry]) -> String {
    if bad.len() == 1 { "1 line does".to_owned() } else { format!("{} lines do", bad.len()) }
}

fn why(error: &EntryError) -> String {
    std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default()
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } | Self::Form { .. } | Self::Filter { .. } => Code::UsageFile,
            Self::References { .. } => Code::UsageReference,
            Self::Unsupported { .. } => Code::UsageListUnsupported,
            Self::Query { .. } => Code::UsageListQuery,
        }
    }
}

/// An artifact of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedArtifact {
    /// The artifact, in full.
    pub reference: Reference,
    /// Its line, from 1.
    pub line: u64,
}

/// An entry of a list that airlift makes an artifact of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPackage {
    /// What it is made of, and its name.
    pub entry: PackageEntry,
    /// Its line, from 1.
    pub line: u64,
}

/// Something that a list asks for and airlift does not do, or does in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its line, from 1.
    pub line: u64,
    /// What it asks for, and what to do instead where something can be done.
    pub what: String,
}

/// The content of a list.
#[derive(Debug, Default)]
pub struct ArtifactList {
    /// What it names.
    pub artifacts: Vec<ListedArtifact>,
    /// Files and charts that artifacts are made of.
    pub packages: Vec<ListedPackage>,
    /// Choices of tags, which only a registry can answer.
    pub queries: Vec<TagQuery>,
    /// What changes the result and is not done.
    pub unsupported: Vec<Unsupported>,
    /// What does not change which artifacts are meant, such as where they are to go.
    pub notes: Vec<Unsupported>,
    /// Entries that are not references; a list that is given out has none.
    pub(super) bad: Vec<BadEntry>,
}

impl ArtifactList {
    /// Adds the artifact `text` of a line.
    pub(super) fn add(&mut self, text: &str, registry: Option<&str>, line: u64) {
        match PackageEntry::parse(text, registry) {
            Some(Ok(entry)) => self.packages.push(ListedPackage { entry, line }),
            Some(Err(source)) => self.bad.push(BadEntry { line, source: source.into() }),
            None => match Reference::parse(text, registry) {
                Ok(reference) => self.artifacts.push(ListedArtifact { reference, line }),
                Err(source) => self.bad.push(BadEntry { line, source: source.into() }),
            },
        }
    }
}

/// One document of a list.
pub(super) struct ListDocument<'a> {
    pub(super) tree: &'a ValueTree,
    pub(super) file: &'a str,
    pub(super) registry: Option<&'a str>,
}

impl ListDocument<'_> {
    pub(super) fn root(&self) -> Id {
        self.tree.root()
    }

    /// The value at a path of keys below `id`.
    pub(super) fn at(&self, id: Id, path: &[&str]) -> Option<Id> {
        path.iter().try_fold(id, |id, key| self.tree.get(id, key))
    }

    pub(super) fn text_at(&self, id: Id, path: &[&str]) -> Option<&str> {
        self.at(id, path).and_then(|id| self.tree.text(id)).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The items of the list at a path of keys below `id`.
    pub(super) fn items(&self, id: Id, path: &[&str]) -> &[Id] {
        self.at(id, path).map_or(&[], |id| self.tree.items(id))
    }

    /// Adds the reference `text`, which is at `id`.
    pub(super) fn artifact(&self, id: Id, text: &str, list: &mut ArtifactList) {
        self.artifact_of(id, text, self.registry, list);
    }

    pub(super) fn artifact_of(&self, id: Id, text: &str, registry: Option<&str>, list: &mut ArtifactList) {
        let line = self.tree.line(id);
        let text = ["docker://", "oci://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        list.add(text, registry, line);
    }

    /// Adds a choice of tags.
    pub(super) fn query(
        &self,
        id: Id,
        repository: String,
        filter: TagFilter,
        latest: Option<usize>,
        list: &mut ArtifactList,
    ) {
        list.queries.push(TagQuery { repository, filter, latest, line: self.tree.line(id) });
    }

    pub(super) fn filter_error(&self, id: Id) -> impl Fn(TagFilterError) -> Error + use<'_> {
        let line = self.tree.line(id);
        move |source| Error::Filter { file: self.file.to_owned(), line, source }
    }

    /// Adds a chart of `repository`: an artifact of a registry, or one that is made of a chart repository's file.
    pub(super) fn chart(&self, id: Id, repository: &str, name: &str, version: &str, list: &mut ArtifactList) {
        let Some(repository) = repository.strip_prefix("oci://") else {
            if ["http://", "https://"].iter().any(|scheme| repository.starts_with(scheme)) && !name.is_empty() {
                let entry = PackageEntry::chart(repository, name, Some(version), self.registry);
                list.packages.push(ListedPackage { entry, line: self.tree.line(id) });
            } else {
                let what = format!("the chart {name} comes from {repository:?}, which is not a chart repository");
                self.unsupported(id, what, list);
            }
            return;
        };
        let tag = version.replace('+', "_");
        let repository = repository.trim_end_matches('/');
        let is_whole = name.is_empty() || repository.rsplit('/').next() == Some(name);
        let whole = if is_whole { repository.to_owned() } else { format!("{repository}/{name}") };
        self.artifact_of(id, &format!("{whole}:{tag}"), None, list);
    }

    pub(super) fn unsupported(&self, id: Id, what: impl Into<String>, list: &mut ArtifactList) {
        list.unsupported.push(Unsupported { line: self.tree.line(id), what: what.into() });
    }

    pub(super) fn note(&self, id: Id, what: impl Into<String>, list: &mut ArtifactList) {
        list.notes.push(Unsupported { line: self.tree.line(id), what: what.into() });
    }

    pub(super) fn form(&self, id: Id) -> Error {
        Error::Form { file: self.file.to_owned(), line: self.tree.line(id) }
    }
}
