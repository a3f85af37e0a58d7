//! What only a registry can say of the artifacts that are needed: which tags and repositories there are, which digest a tag
//! has, and what is in a chart.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, stream};

use crate::{
    content::{self, Code, Fault, Resolve as _, Verified},
    find::{
        Confidence, FoundArtifact, Inventory, Provenance, TagFilter,
        lists::TagQuery,
        {Findings, Mention},
    },
    oci::{Digest, Name, Reference, Tag, reference::ParseReferenceError},
    registry::Client,
};

/// Calls to registries at once.
const PARALLEL: usize = 6;

/// The layer of a Helm chart in a registry (Helm, "Use OCI-based registries").
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Largest chart that is fetched, in bytes.
const MAX_CHART: u64 = 64 << 20;

/// Why a registry could not be searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry failed.
    #[error("{what} cannot be searched")]
    Registry {
        /// The registry or repository.
        what: String,
        /// Its failure.
        source: content::Error,
    },
    /// A name on the command line is not a repository.
    #[error("the name of a repository is invalid")]
    Name(#[from] ParseReferenceError),
    /// The artifact is not a chart.
    #[error("{reference} is not a Helm chart")]
    NoChart {
        /// The artifact.
        reference: Reference,
    },
    /// The chart cannot be put aside to be read.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Registry { source, .. } => source.code(),
            Self::Name(_) => Code::UsageReference,
            Self::NoChart { .. } => Code::FindArchive,
            Self::Write { .. } => Code::IoWrite,
        }
    }
}

/// The tags of `repository` (with its host) that `filter` chooses, `latest` of them at the most. Tags of signatures and
/// other attached artifacts are left out, since an export carries those with their subject.
pub async fn tags(
    client: &Client,
    repository: &str,
    filter: &TagFilter,
    latest: Option<usize>,
) -> Result<Findings, Error> {
    let reference: Reference = repository.parse()?;
    let place = client.repository(reference.registry(), reference.repository());
    let failed = |source| Error::Registry { what: repository.to_owned(), source };
    let tags = place.tags().await.map_err(failed)?;
    let own = tags.iter().filter(|tag| !tag.is_of_attached()).map(ToString::to_string);
    let mut findings = Findings::default();
    for tag in filter.select(own, latest) {
        let Ok(tag) = tag.parse::<Tag>() else { continue };
        let reference = Reference::new(reference.registry(), reference.repository(), &Name::Tag(tag))?;
        let origin = Provenance { file: reference.context().to_string(), ..Provenance::default() };
        findings.mentions.push(Mention {
            reference,
            confidence: Confidence::Sure,
            rule: "registry-tag".into(),
            origin,
        });
    }
    if findings.mentions.is_empty() {
        findings.remark(repository, None, format!("none of its {} tags is chosen", tags.len()), true);
    }
    Ok(findings)
}

/// The tags of each repository of `registry` whose name matches `glob`, in which `*` stands for any text.
pub async fn repositories(
    client: &Client,
    registry: &str,
    glob: &str,
    filter: &TagFilter,
    latest: Option<usize>,
) -> Result<Findings, Error> {
    let failed = |source| Error::Registry { what: registry.to_owned(), source };
    let all = client.repositories(registry).await.map_err(failed)?;
    let mut findings = Findings::default();
    let chosen: Vec<String> = all
        .iter()
        .filter(|name| crate::find::matches_glob(glob, name))
        .map(|name| format!("{registry}/{name}"))
        .collect();
    if chosen.is_empty() {
        findings.remark(
            registry,
            None,
            format!("none of the {} repositories that it shows is chosen", all.len()),
            true,
        );
    }
    let each = chosen.iter().map(|repository| tags(client, repository, filter, latest));
    let mut each = stream::iter(each).buffered(PARALLEL);
    while let Some(found) = each.next().await {
        findings.append(found?);
    }
    Ok(findings)
}

/// Looks up the choices of tags in lists. One that fails is a remark.
pub async fn queries(client: &Client, findings: &mut Findings) {
    for (file, query) in std::mem::take(&mut findings.queries) {
        let TagQuery { repository, filter, latest, line } = query;
        match tags(client, &repository, &filter, latest).await {
            Ok(found) => findings.append(found),
            Err(error) => findings.remark(&file, Some(line), chain(&error), true),
        }
    }
}

/// Adds its digest to each artifact that has a tag only. Guesses stay as they are: a registry is not asked for them. One
/// that cannot be resolved keeps its tag, with a remark.
pub async fn pin(client: &Client, inventory: &mut Inventory) {
    let wanted =
        |artifact: &FoundArtifact| artifact.confidence < Confidence::Guess && artifact.reference.digest().is_none();
    let places: Vec<usize> = (0..inventory.artifacts.len()).filter(|at| wanted(&inventory.artifacts[*at])).collect();
    let calls = places.into_iter().map(|at| {
        let reference = inventory.artifacts[at].reference.clone();
        async move { (at, digest(client, &reference).await) }
    });
    let results: Vec<_> = stream::iter(calls.collect::<Vec<_>>()).buffered(PARALLEL).collect().await;
    for (at, result) in results {
        let reference = inventory.artifacts[at].reference.clone();
        let pinned = result.map_err(|error| chain(&error)).and_then(|digest| {
            format!("{reference}@{digest}").parse().map_err(|error: ParseReferenceError| error.to_string())
        });
        match pinned {
            Ok(pinned) => inventory.artifacts[at].reference = pinned,
            Err(reason) => inventory.remark(&reference.to_string(), format!("it is not pinned: {reason}")),
        }
    }
}

async fn digest(client: &Client, reference: &Reference) -> content::Result<Digest> {
    let place = client.repository(reference.registry(), reference.repository());
    let manifest = place.resolve(&reference.name()).await?;
    Ok(manifest.digest())
}

/// Fetches the chart `reference` into `folder`, verified, as the archive that Helm packed. Returns its path.
pub async fn chart(client: &Client, reference: &Reference, folder: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Registry { what: reference.to_string(), source };
    let place = client.repository(reference.registry(), reference.repository());
    let manifest = place.resolve(&reference.name()).await.map_err(failed)?;
    let layer = manifest.layers().iter().find(|layer| layer.media_type == CHART_LAYER && layer.size <= MAX_CHART);
    let layer = layer.ok_or_else(|| Error::NoChart { reference: reference.clone() })?;
    let content = Verified::open(std::sync::Arc::new(place), layer).await.map_err(failed)?;
    let content = content.collect().await.map_err(failed)?;
    let path = folder.join("chart.tgz");
    fs::write(&path, content).map_err(|source| Error::Write { path: path.clone(), source })?;
    Ok(path)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
