//! What lists hold, and one document of a list with what every format needs to read it.

use super::super::{
    tags::{TagFilter, TagFilterError, TagQuery},
    tree::{Id, ValueTree},
};
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
    /// An entry is no reference.
    #[error("{file}, line {line}")]
    Reference {
        /// The file as it was given.
        file: String,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        source: ParseReferenceError,
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

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Syntax { .. } | Self::Form { .. } | Self::Filter { .. } => Code::UsageFile,
            Self::Reference { .. } => Code::UsageReference,
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

/// Something that a list asks for and airlift does not do, or does in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its line, from 1.
    pub line: u64,
    /// What it asks for, and what to do instead where something can be done.
    pub what: String,
}

/// The content of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArtifactList {
    /// What it names.
    pub artifacts: Vec<ListedArtifact>,
    /// Choices of tags, which only a registry can answer.
    pub queries: Vec<TagQuery>,
    /// What changes the result and is not done.
    pub unsupported: Vec<Unsupported>,
    /// What does not change which artifacts are meant, such as where they are to go.
    pub notes: Vec<Unsupported>,
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
    pub(super) fn artifact(&self, id: Id, text: &str, list: &mut ArtifactList) -> Result<(), Error> {
        self.artifact_of(id, text, self.registry, list)
    }

    pub(super) fn artifact_of(
        &self,
        id: Id,
        text: &str,
        registry: Option<&str>,
        list: &mut ArtifactList,
    ) -> Result<(), Error> {
        let line = self.tree.line(id);
        let text = ["docker://", "oci://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let reference = Reference::parse(text, registry).map_err(|source| Error::Reference {
            file: self.file.to_owned(),
            line,
            source,
        })?;
        list.artifacts.push(ListedArtifact { reference, line });
        Ok(())
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

    /// Adds a chart of `repository`, which is one artifact if that is a registry.
    pub(super) fn chart(
        &self,
        id: Id,
        repository: &str,
        name: &str,
        version: &str,
        list: &mut ArtifactList,
    ) -> Result<(), Error> {
        let Some(repository) = repository.strip_prefix("oci://") else {
            self.unsupported(
                id,
                format!("the chart {name} comes from {repository:?}, which is not an OCI registry"),
                list,
            );
            return Ok(());
        };
        let tag = version.replace('+', "_");
        let repository = repository.trim_end_matches('/');
        let is_whole = name.is_empty() || repository.rsplit('/').next() == Some(name);
        let whole = if is_whole { repository.to_owned() } else { format!("{repository}/{name}") };
        self.artifact_of(id, &format!("{whole}:{tag}"), None, list)
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
