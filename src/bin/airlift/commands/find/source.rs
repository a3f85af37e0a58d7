//! The search of one source, by what it is.

use std::{path::Path, sync::Arc};

use airlift::{
    find::{
        self, Confidence, Findings, Mention, Provenance, SearchOptions, SearchRules, Searcher, TagFilter,
        lists::PackageEntry,
    },
    oci::Reference,
    pack, packaging,
    transfer::{discover, inspect},
};

use crate::{
    args::{Jobs, find::Args},
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
};

/// What a source names.
pub(super) async fn search(
    source: &str,
    args: &Args,
    filter: &TagFilter,
    rules: &Arc<SearchRules>,
    context: &Context,
) -> Result<Findings, CommandError> {
    let mut options = SearchOptions::default();
    options.no_render = args.no_render;
    options.helm.values.clone_from(&args.values);
    options.helm.kube_version.clone_from(&args.kube_version);
    options.helm.api_versions.clone_from(&args.api_versions);
    let path = Path::new(source);
    if artifacts::is_stdin(path) {
        let mut searcher = Searcher::new(rules);
        searcher.text("standard input", &artifacts::read(path)?);
        return Ok(searcher.finish());
    }
    if let Some(chart) = source.strip_prefix("oci://") {
        let reference = Reference::parse(chart, None).map_err(|source| Mistake::Reference { source })?;
        let folder = tempfile::tempdir().map_err(|source| Mistake::Write { path: std::env::temp_dir(), source })?;
        let archive = discover::chart(&context.client(Jobs::default())?, &reference, folder.path()).await?;
        return Ok(find::search(&archive, Some(source), &options, rules).await?);
    }
    if let Some(entry) = PackageEntry::parse(source, None).filter(|_| source.starts_with("chart:")) {
        let entry = entry.map_err(|source| Mistake::Package { source })?;
        let folder = tempfile::tempdir().map_err(|source| Mistake::Write { path: std::env::temp_dir(), source })?;
        let client = context.client(Jobs::default())?;
        let archive = packaging::chart_file(&entry, &client, folder.path(), &context.progress()).await?;
        return Ok(find::search(&archive.unwrap_or_default(), Some(source), &options, rules).await?);
    }
    if is_bundle(path) {
        return bundle(path, context).await;
    }
    let is_registry = !path.exists() && !source.starts_with(['/', '.']);
    match &args.repositories {
        Some(glob) if is_registry => {
            Ok(discover::repositories(&context.client(Jobs::default())?, source, glob, filter, args.latest).await?)
        }
        None if is_registry && (args.tags.is_some() || args.latest.is_some()) => {
            Ok(discover::tags(&context.client(Jobs::default())?, source, filter, args.latest).await?)
        }
        _ => Ok(find::search(path, None, &options, rules).await?),
    }
}

/// Whether a source is a bundle: by its ending, as a layout, or in a storage.
fn is_bundle(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let is_remote = ["az://", "s3://", "gs://", "https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
    is_remote
        || path.extension().is_some_and(|extension| extension == "tar" || extension == "pack")
        || path.join("oci-layout").is_file()
        || pack::is_packed_file(path).unwrap_or(false)
}

async fn bundle(path: &Path, context: &Context) -> Result<Findings, CommandError> {
    let opened = artifacts::survey(path, context).await?;
    let file = artifacts::location(path)?.to_string();
    let found = inspect::inspect_with_configs(opened.reader()).await?;
    let mentions = found.artifacts.into_iter().map(|artifact| Mention {
        reference: artifact.reference,
        confidence: Confidence::Sure,
        rule: "bundle".into(),
        origin: Provenance { file: file.clone(), ..Provenance::default() },
    });
    let mut findings = Findings::default();
    findings.mentions = mentions.collect();
    Ok(findings)
}
