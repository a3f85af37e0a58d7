//! A search over sources of every kind: what needs rendering is rendered first, by the programs that can.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    error::Error,
    finding::Findings,
    program::{self, HelmOptions, ProgramError},
    rules::SearchRules,
    source::{self, FolderKind, RenderedCharts, Searcher, folder_kind},
};
use crate::files::blocking::off_reactor;

/// How sources are searched.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SearchOptions {
    /// How charts are rendered.
    pub helm: HelmOptions,
    /// Charts and kustomizations are searched without rendering them.
    pub no_render: bool,
}

/// Searches the file, folder, chart or kustomization at `path`. `label` is what origins call it, if not by its path.
///
/// A chart or kustomization that cannot be rendered is searched as far as that goes, with a remark that it is incomplete.
pub async fn search(
    path: &Path,
    label: Option<&str>,
    options: &SearchOptions,
    rules: &Arc<SearchRules>,
) -> Result<Findings, Error> {
    let source = label.map_or_else(|| path.to_string_lossy().trim_end_matches('/').to_owned(), str::to_owned);
    let result = match rendered_kind(path) {
        Some(FolderKind::Chart) if !options.no_render => Some(program::helm_template(path, &options.helm).await),
        Some(FolderKind::Kustomization) if !options.no_render => Some(program::kustomize_build(path).await),
        _ => None,
    };
    let is_chart = rendered_kind(path) == Some(FolderKind::Chart);
    let within = match rendered_kind(path) {
        None if path.is_dir() && !options.no_render => charts_within(path, &source, &options.helm, rules).await,
        _ => RenderedCharts::default(),
    };
    let values = if is_chart { options.helm.values.clone() } else { Vec::new() };
    let (path, rules) = (path.to_owned(), Arc::clone(rules));
    off_reactor(move || {
        let mut searcher = Searcher::new(&rules).with_charts(within);
        let is_rendered = match result {
            Some(Ok(text)) => {
                searcher.rendered(&source, &text);
                true
            }
            Some(Err(error)) => {
                searcher.remark(&source, advice(&error), true);
                false
            }
            None => false,
        };
        searcher.path(&path, &source, is_rendered)?;
        // What rendering would have taken in must not get lost without it.
        for file in values.iter().filter(|_| !is_rendered) {
            searcher.path(file, &file.to_string_lossy(), true)?;
        }
        Ok(searcher.finish())
    })
    .await
}

/// Renders the charts in a folder by their own values: those of the person are for a chart that they name.
async fn charts_within(folder: &Path, label: &str, options: &HelmOptions, rules: &Arc<SearchRules>) -> RenderedCharts {
    let (root, name, own) = (folder.to_owned(), label.to_owned(), Arc::clone(rules));
    let charts = off_reactor(move || source::charts_within(&root, &name, &own)).await;
    let options = HelmOptions { values: Vec::new(), ..options.clone() };
    let mut rendered = RenderedCharts::default();
    for chart in charts {
        match program::helm_template(&chart, &options).await {
            Ok(text) => drop(rendered.insert(chart, Ok(text))),
            // Then they are read as far as that goes, and say so themselves where that is not all.
            Err(ProgramError::Missing { .. }) => break,
            Err(error) => drop(rendered.insert(chart, Err(advice(&error)))),
        }
    }
    rendered
}

fn advice(error: &ProgramError) -> String {
    let next = match error {
        ProgramError::Missing { .. } => "install it, or pipe its output to `airlift find -`",
        ProgramError::Refused { program: "helm", .. } => {
            "vendor its dependencies (helm dependency build) or give --values, --kube-version or --api-versions"
        }
        _ => "render it yourself and pipe the output to `airlift find -`",
    };
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}; {next}")
}

/// What `path` must be rendered as, if at all.
fn rendered_kind(path: &Path) -> Option<FolderKind> {
    let name: PathBuf = path.file_name().map(PathBuf::from).unwrap_or_default();
    let is_archive = [".tgz", ".tar.gz"].iter().any(|ending| name.to_string_lossy().ends_with(ending));
    if path.is_dir() {
        return Some(folder_kind(path)).filter(|kind| *kind != FolderKind::Plain);
    }
    (is_archive && path.is_file()).then_some(FolderKind::Chart)
}
