//! Lists of artifacts as people and tools keep them. One reader serves `export -f` and `find`.
//!
//! | format | recognised by |
//! |---|---|
//! | lines (also Rancher's, k3s's and RKE2's `images.txt`), oc-mirror's `mapping.txt` | no YAML or JSON |
//! | a list, or `{registry, artifacts}` | airlift's own forms |
//! | hauler, oc-mirror, imgpkg, Flux Mirror, zarf, dt | `apiVersion` and `kind` |
//! | regsync | `sync` with `source` and `type` |
//! | skopeo sync, mindthegap | registries with `images` |
//! | compose, Kubernetes | as in a search: what is sure or likely |
//!
//! What a format asks for beyond artifacts is [`Unsupported`], with its line: an error in an export, a remark in a search.

mod document;
mod flux_mirror;
mod hauler;
mod imgpkg;
mod lines;
mod mindthegap;
mod oc_mirror;
mod own;
mod package;
mod registries;
mod regsync;
mod zarf;

use super::{
    context::SearchContext,
    finding::{Confidence, Findings, Mention},
    rules::SearchRules,
    shapes,
    tree::{Documents, TreeError, Value, ValueTree},
    walk::Walker,
};

pub use super::tags::TagQuery;
pub use document::{ArtifactList, BadEntry, EntryError, Error, ListedArtifact, ListedPackage, Unsupported};
pub use package::{PackageEntry, PackageEntryError, PackageSource};

use document::ListDocument;
pub(in crate::find) use lines::uncommented;

/// Reads the list `text` of artifacts that are in registries: anything else in it is an error.
///
/// `file` is what errors call it. `registry` is the host for references without one, and is stronger than one that the list
/// names itself.
pub fn read(text: &str, file: &str, registry: Option<&str>) -> Result<Vec<ListedArtifact>, Error> {
    let list = read_whole(text, file, registry)?;
    match list.packages.into_iter().next() {
        Some(ListedPackage { line, .. }) => {
            let what = "only `airlift export` and `airlift mirror` make artifacts of files and charts".to_owned();
            Err(Error::Unsupported { file: file.to_owned(), line, what })
        }
        None => Ok(list.artifacts),
    }
}

/// As [`read`], with the files and charts that artifacts are made of.
pub fn read_whole(text: &str, file: &str, registry: Option<&str>) -> Result<ArtifactList, Error> {
    let mut list = parse(text, file, registry)?;
    let first = list.unsupported.drain(..).min_by_key(|what| what.line);
    if let Some(Unsupported { line, what }) = first {
        return Err(Error::Unsupported { file: file.to_owned(), line, what });
    }
    match list.queries.first() {
        Some(TagQuery { line, repository, .. }) => {
            Err(Error::Query { file: file.to_owned(), line: *line, repository: repository.clone() })
        }
        None => Ok(list),
    }
}

/// Reads the list `text` with everything it asks for.
pub fn parse(text: &str, file: &str, registry: Option<&str>) -> Result<ArtifactList, Error> {
    let text = text.trim_start_matches('\u{feff}');
    let mut list = ArtifactList::default();
    if is_lines(text) {
        lines::read(text, registry, &mut list);
        return whole(list, file);
    }
    let mut count = 0;
    for document in Documents::new(text) {
        let tree = document.map_err(|error| syntax(&error, file))?;
        if matches!(tree.value(tree.root()), Value::Scalar(text, _) if text.is_empty()) {
            continue;
        }
        count += 1;
        let document = ListDocument { tree: &tree, file, registry };
        read_document(&document, &mut list)?;
    }
    if count == 0 && text.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with('#')) {
        return Err(Error::Form { file: file.to_owned(), line: 1 });
    }
    whole(list, file)
}

/// The list, if each of its entries is a reference.
fn whole(mut list: ArtifactList, file: &str) -> Result<ArtifactList, Error> {
    let bad = std::mem::take(&mut list.bad);
    if bad.is_empty() { Ok(list) } else { Err(Error::References { file: file.to_owned(), bad }) }
}

/// Whether `text` is lines of references: no reference begins with `-`, `[` or `{`, or holds a colon before a blank or an
/// end.
pub(super) fn is_lines(text: &str) -> bool {
    let mut lines = text.lines().map(lines::uncommented).filter(|line| !line.is_empty() && *line != "---");
    lines.next().is_none_or(|first| {
        !(first.starts_with(['-', '[', '{', '%', '"', '\'']) || first.ends_with(':') || first.contains(": "))
    })
}

/// Whether the first document of `text` is a list of a tool, and not of Kubernetes or compose.
pub(super) fn is_foreign(text: &str) -> bool {
    let first = Documents::new(text).flatten().next();
    first.is_some_and(|tree| {
        let format = ListFormat::of(&tree);
        !matches!(format, None | Some(ListFormat::Compose | ListFormat::Kubernetes | ListFormat::Own))
    })
}

/// As a source of a search: artifacts are sure, everything else is a remark.
pub(super) fn search(text: &str, context: SearchContext<'_>, findings: &mut Findings) {
    let list = match parse(text, context.file, None) {
        Ok(list) => list,
        Err(error) => return findings.remark(context.file, None, chain(&error), true),
    };
    for ListedArtifact { reference, line } in list.artifacts {
        let origin = context.origin(line, None, None);
        findings.mentions.push(Mention {
            reference,
            confidence: Confidence::Sure.max(context.cap),
            rule: "list".into(),
            origin,
        });
    }
    for ListedPackage { line, entry } in list.packages {
        let what = match entry.source {
            PackageSource::File(_) => "`airlift export` makes an artifact of it; it is not searched",
            _ => {
                "`airlift export` makes an artifact of the chart; `airlift find` with this entry as its source finds its images"
            }
        };
        findings.remark(context.file, Some(line), what.to_owned(), false);
    }
    for Unsupported { line, what } in list.unsupported {
        findings.remark(context.file, Some(line), what, true);
    }
    for Unsupported { line, what } in list.notes {
        findings.remark(context.file, Some(line), what, false);
    }
    findings.queries.extend(list.queries.into_iter().map(|query| (context.file.to_owned(), query)));
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn syntax(error: &TreeError, file: &str) -> Error {
    let (line, reason) = match error {
        TreeError::Syntax { line, reason } => (*line, reason.clone()),
        TreeError::Depth { line } => (*line, "it is nested too deeply".to_owned()),
        error @ TreeError::Values { .. } => (0, error.to_string()),
    };
    Error::Syntax { file: file.to_owned(), line, reason }
}

/// The formats of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListFormat {
    Own,
    Hauler,
    OcMirror,
    Imgpkg,
    Dt,
    FluxMirror,
    Zarf,
    Regsync,
    Registries,
    MindthegapCharts,
    Compose,
    Kubernetes,
}

impl ListFormat {
    fn of(tree: &ValueTree) -> Option<Self> {
        let root = tree.root();
        let version = tree.get_text(root, "apiVersion").unwrap_or_default();
        let kind = tree.get_text(root, "kind").unwrap_or_default();
        let has = |key: &str| tree.get(root, key).is_some();
        let group = version.split('/').next().unwrap_or_default();
        Some(match (group, kind) {
            ("content.hauler.cattle.io", _) => Self::Hauler,
            ("mirror.openshift.io", _) => Self::OcMirror,
            ("imgpkg.carvel.dev", _) => Self::Imgpkg,
            ("v0", "ImagesLock") => Self::Dt,
            ("mirror.fluxcd.io" | "mirror.plugin.fluxcd.io", _) => Self::FluxMirror,
            ("zarf.dev", _) | (_, "ZarfPackageConfig" | "ZarfInitConfig") => Self::Zarf,
            (group, kind) if !group.is_empty() && !kind.is_empty() => Self::Kubernetes,
            _ if has("sync") && regsync::is_regsync(tree) => Self::Regsync,
            _ if shapes::is_compose(tree) => Self::Compose,
            _ if registries::is_registries(tree) => Self::Registries,
            _ if mindthegap::is_charts(tree) => Self::MindthegapCharts,
            _ if has("artifacts") || own::is_list(tree) => Self::Own,
            _ => return None,
        })
    }
}

/// Reads one document by its format.
fn read_document(document: &ListDocument<'_>, list: &mut ArtifactList) -> Result<(), Error> {
    match ListFormat::of(document.tree) {
        Some(ListFormat::Own) => own::read(document, list),
        Some(ListFormat::Hauler) => hauler::read(document, list),
        Some(ListFormat::OcMirror) => oc_mirror::read(document, list),
        Some(ListFormat::Imgpkg) => imgpkg::read(document, list),
        Some(ListFormat::Dt) => imgpkg::read_dt(document, list),
        Some(ListFormat::FluxMirror) => flux_mirror::read(document, list),
        Some(ListFormat::Zarf) => zarf::read(document, list),
        Some(ListFormat::Regsync) => regsync::read(document, list),
        Some(ListFormat::Registries) => registries::read(document, list),
        Some(ListFormat::MindthegapCharts) => mindthegap::read_charts(document, list),
        Some(ListFormat::Compose | ListFormat::Kubernetes) => {
            walk(document, list);
            Ok(())
        }
        None => Err(Error::Form { file: document.file.to_owned(), line: document.tree.line(document.tree.root()) }),
    }
}

/// What a search of the document is sure of, or takes as likely.
fn walk(document: &ListDocument<'_>, list: &mut ArtifactList) {
    let mut findings = Findings::default();
    let rules = SearchRules::default();
    let context = SearchContext::of_file(document.file, &rules);
    Walker::new(document.tree, context, &mut findings).run();
    for mention in findings.mentions.into_iter().filter(|mention| mention.confidence < Confidence::Guess) {
        let line = mention.origin.line.unwrap_or_default();
        list.artifacts.push(ListedArtifact { reference: mention.reference, line });
    }
    for unresolved in findings.unresolved {
        let what = format!("{:?} cannot be read: {}", unresolved.text, unresolved.reason);
        list.unsupported.push(Unsupported { line: unresolved.origin.line.unwrap_or_default(), what });
    }
}

#[cfg(test)]
mod tests;
