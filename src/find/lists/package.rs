//! Entries that name no artifact of a registry, but what airlift makes one of: files and charts.

use std::path::{Path, PathBuf};

use super::super::tags::{TagFilter, TagFilterError};
use crate::oci::{Reference, reference::ParseReferenceError};

/// The host of artifacts that are made here and are given no name.
const NO_HOST: &str = "localhost";

/// What an artifact is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSource {
    /// A file or a folder. Several with the same name are one artifact.
    File(PathBuf),
    /// A packed chart on this machine.
    ChartFile(PathBuf),
    /// A chart of a repository that is reached by HTTP.
    ChartRepository {
        /// The repository's address, as it was given.
        url: String,
        /// The chart.
        name: String,
        /// A version or a range of versions; the newest release where there is none.
        version: Option<String>,
    },
}

/// An artifact that airlift makes: `file:PATH[=REPOSITORY:TAG]`, `chart:PATH` or `chart:URL#NAME[@VERSION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageEntry {
    /// What it is made of.
    pub source: PackageSource,
    /// Its name, where one was given.
    pub name: Option<Reference>,
    /// The host of a name that airlift chooses.
    pub host: String,
}

/// Why an entry names nothing that airlift can make.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageEntryError {
    /// The name behind `=` is not a reference.
    #[error("{text:?} gives the artifact a name that is not valid")]
    Name {
        /// What was given.
        text: String,
        /// What is wrong with the name.
        source: ParseReferenceError,
    },
    /// Something is missing or too much.
    #[error("{text:?} is not valid: {reason}")]
    Form {
        /// What was given.
        text: String,
        /// What is wrong, with the form that is right.
        reason: &'static str,
    },
}

impl PackageEntry {
    /// Reads an entry. `None` where `text` does not begin as one, so that it is a reference.
    ///
    /// `registry` is the host of names without one.
    pub fn parse(text: &str, registry: Option<&str>) -> Option<Result<Self, PackageEntryError>> {
        let host = registry.unwrap_or(NO_HOST);
        // oc-mirror writes file:// for archives of its own.
        if let Some(rest) = text.strip_prefix("file:").filter(|rest| !rest.starts_with("//")) {
            return Some(file(text, rest, host));
        }
        text.strip_prefix("chart:").map(|rest| chart(text, rest, host))
    }

    /// A chart of the repository at `url`.
    pub(super) fn chart(url: &str, name: &str, version: Option<&str>, registry: Option<&str>) -> Self {
        let (url, name, version) = (url.to_owned(), name.to_owned(), version.map(str::to_owned));
        let host = registry.unwrap_or(NO_HOST).to_owned();
        Self { source: PackageSource::ChartRepository { url, name, version }, name: None, host }
    }

    /// The same with a path below `folder`, where it is relative.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        if let PackageSource::File(path) | PackageSource::ChartFile(path) = &mut self.source {
            *path = folder.join(&*path);
        }
        self
    }
}

fn file(text: &str, rest: &str, host: &str) -> Result<PackageEntry, PackageEntryError> {
    let (path, name) = rest.rsplit_once('=').map_or((rest, None), |(path, name)| (path, Some(name)));
    if path.is_empty() {
        let reason = "expected file:PATH or file:PATH=REPOSITORY:TAG";
        return Err(PackageEntryError::Form { text: text.to_owned(), reason });
    }
    let name = name.map(|name| Reference::parse(name, Some(host))).transpose();
    let name = name.map_err(|source| PackageEntryError::Name { text: text.to_owned(), source })?;
    if name.as_ref().is_some_and(|name| name.digest().is_some()) {
        let reason = "airlift computes the digest; expected file:PATH=REPOSITORY:TAG";
        return Err(PackageEntryError::Form { text: text.to_owned(), reason });
    }
    Ok(PackageEntry { source: PackageSource::File(path.into()), name, host: host.to_owned() })
}

fn chart(text: &str, rest: &str, host: &str) -> Result<PackageEntry, PackageEntryError> {
    let form = |reason| PackageEntryError::Form { text: text.to_owned(), reason };
    if rest.starts_with("oci://") {
        return Err(form(
            "a chart in a registry is an artifact; expected REGISTRY/REPOSITORY:VERSION without chart:oci://",
        ));
    }
    let entry = |source| PackageEntry { source, name: None, host: host.to_owned() };
    if !(rest.starts_with("http://") || rest.starts_with("https://")) {
        return match rest {
            "" => Err(form("expected chart:URL#NAME@VERSION or chart:PATH")),
            path => Ok(entry(PackageSource::ChartFile(path.into()))),
        };
    }
    let (url, chart) = rest.split_once('#').ok_or_else(|| form("expected chart:URL#NAME@VERSION"))?;
    let (name, version) = chart.split_once('@').map_or((chart, None), |(name, version)| (name, Some(version)));
    if name.is_empty() || version == Some("") {
        return Err(form("expected chart:URL#NAME@VERSION"));
    }
    if let Some(version) = version {
        let read: Result<_, TagFilterError> = TagFilter::default().within(version);
        read.map_err(|_| form("expected a version or a range of versions behind @, such as 1.2.3 or ^1.2"))?;
    }
    let (url, name, version) = (url.to_owned(), name.to_owned(), version.map(str::to_owned));
    Ok(entry(PackageSource::ChartRepository { url, name, version }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PackageEntry, PackageEntryError> {
        PackageEntry::parse(text, None).unwrap()
    }

    #[test]
    fn files_have_a_path_and_perhaps_a_name() {
        let entry = read("file:a b/tool=team/tool:v1").unwrap();
        assert_eq!(entry.source, PackageSource::File("a b/tool".into()));
        assert_eq!(entry.name.unwrap().to_string(), "localhost/team/tool:v1");
        assert_eq!(read("file:tool").unwrap().name, None);
        let named = PackageEntry::parse("file:x=y=r.example/t", Some("m.example")).unwrap().unwrap();
        assert_eq!(named.name.unwrap().to_string(), "r.example/t:latest");
        assert_eq!(named.source, PackageSource::File("x=y".into()));
        assert!(PackageEntry::parse("filebeat:1", None).is_none() && PackageEntry::parse("file:///x", None).is_none());
        for bad in ["file:", "file:=a:b", "file:x=UPPER", "file:x=", "file:x=a/b@sha256:1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn charts_have_a_path_or_an_address_with_a_name() {
        let PackageSource::ChartRepository { url, name, version } =
            read("chart:https://c.example/stable#web@>=1.2, <2").unwrap().source
        else {
            panic!("not a chart of a repository")
        };
        assert_eq!((&*url, &*name, version.as_deref()), ("https://c.example/stable", "web", Some(">=1.2, <2")));
        assert_eq!(read("chart:./web-1.0.0.tgz").unwrap().source, PackageSource::ChartFile("./web-1.0.0.tgz".into()));
        for bad in [
            "chart:",
            "chart:https://c.example",
            "chart:https://c.example#",
            "chart:https://c.example#a@",
            "chart:http://c#a@b",
            "chart:oci://r.example/a",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
