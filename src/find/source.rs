//! What a source is, and what of a folder is read.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    chart::{self, ChartFiles, Rendering},
    context::{NO_VARIABLES, SearchContext},
    dockerfile,
    error::Error,
    finding::Findings,
    lists, reading,
    rules::SearchRules,
    variables::variables,
    walk,
};

/// Most files that are read of one folder.
const MAX_FILES: usize = 100_000;

/// How deep folders are read.
const MAX_DEPTH: usize = 64;

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    Documents,
    Dockerfile,
    List,
    Archive,
    Other,
}

fn kind(name: &str) -> FileKind {
    let name = name.to_ascii_lowercase();
    let is_docker =
        |word: &str| name == word || name.starts_with(&format!("{word}.")) || name.ends_with(&format!(".{word}"));
    let ends_in = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    match () {
        () if is_docker("dockerfile") || is_docker("containerfile") => FileKind::Dockerfile,
        () if ends_in(&[".yaml", ".yml", ".json"]) => FileKind::Documents,
        () if name == "images.lock" => FileKind::Documents,
        () if ends_in(&[".tgz", ".tar.gz"]) => FileKind::Archive,
        () if ends_in(&[".txt"]) && (name.contains("image") || name == "mapping.txt") => FileKind::List,
        () => FileKind::Other,
    }
}

/// What a folder is, beyond a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderKind {
    /// It has `Chart.yaml`.
    Chart,
    /// It has a kustomization.
    Kustomization,
    /// Neither.
    Plain,
}

/// Says what the folder `path` is.
pub fn folder_kind(path: &Path) -> FolderKind {
    let has = |name: &str| path.join(name).is_file();
    if has("Chart.yaml") {
        FolderKind::Chart
    } else if ["kustomization.yaml", "kustomization.yml", "Kustomization"].iter().any(|name| has(name)) {
        FolderKind::Kustomization
    } else {
        FolderKind::Plain
    }
}

/// What `helm template` made of each chart in a folder, by the chart's path; or why it made nothing.
pub(super) type RenderedCharts = BTreeMap<PathBuf, Result<String, String>>;

/// Most charts of one folder that are rendered.
const MAX_CHARTS: usize = 50;

/// The charts below `root`, which `label` stands for: folders and archives. Links are not followed.
pub(super) fn charts_within(root: &Path, label: &str, rules: &SearchRules) -> Vec<PathBuf> {
    let mut charts = Vec::new();
    let mut folders = vec![(root.to_owned(), label.to_owned(), 0)];
    while let Some((folder, label, depth)) = folders.pop() {
        if depth > 0 && folder_kind(&folder) == FolderKind::Chart {
            charts.push(folder);
            if charts.len() >= MAX_CHARTS {
                break;
            }
            continue;
        }
        // What cannot be read is said by the search itself.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let inner = format!("{label}/{name}");
            let Ok(file_type) = entry.file_type() else { continue };
            if name == ".git" || rules.excludes_file(&inner) {
                continue;
            }
            if file_type.is_dir() && depth + 1 < MAX_DEPTH {
                folders.push((entry.path(), inner, depth + 1));
            } else if file_type.is_file()
                && kind(&name) == FileKind::Archive
                && charts.len() < MAX_CHARTS
                && is_chart_archive(&entry.path())
            {
                charts.push(entry.path());
            }
        }
    }
    charts.sort();
    charts
}

fn is_chart_archive(path: &Path) -> bool {
    let chart = reading::whole(path).and_then(|bytes| ChartFiles::of_archive(&bytes, path));
    chart.is_ok_and(|chart| chart.is_chart())
}

/// Searches sources by a set of rules.
pub struct Searcher<'a> {
    rules: &'a SearchRules,
    findings: Findings,
    charts: RenderedCharts,
}

impl<'a> Searcher<'a> {
    /// A search by `rules` beside those of airlift.
    pub fn new(rules: &'a SearchRules) -> Self {
        Self { rules, findings: Findings::default(), charts: RenderedCharts::new() }
    }

    /// The same with charts that were rendered, which are found within folders.
    pub(super) fn with_charts(self, charts: RenderedCharts) -> Self {
        Self { charts, ..self }
    }

    /// What was found.
    pub fn finish(self) -> Findings {
        self.findings
    }

    /// Adds a remark on a source.
    pub fn remark(&mut self, source: &str, text: impl Into<String>, incomplete: bool) {
        self.findings.remark(source, None, text, incomplete);
    }

    fn context<'f>(&self, file: &'f str) -> SearchContext<'f>
    where
        'a: 'f,
    {
        SearchContext::of_file(file, self.rules)
    }

    /// Searches a text whose name says nothing about its form, such as standard input.
    pub fn text(&mut self, name: &str, text: &str) {
        let context = self.context(name);
        if dockerfile::is_dockerfile(text) {
            dockerfile::read(text, context, &mut self.findings);
        } else if lists::is_lines(text) {
            lists::search(text, context, &mut self.findings);
        } else {
            self.documents(name, text, &NO_VARIABLES);
        }
    }

    /// Searches what `helm template` or `kustomize build` wrote for `source`.
    pub fn rendered(&mut self, source: &str, text: &str) {
        let lines = (1..).zip(text.lines());
        let templates: Vec<(u64, String)> = lines
            .filter_map(|(number, line)| {
                Some((number, format!("{source}: {}", line.strip_prefix("# Source: ")?.trim())))
            })
            .collect();
        let context = SearchContext { templates: &templates, ..self.context(source) };
        walk::documents(text, context, &mut self.findings);
    }

    /// Searches a file or folder. Of a chart it searches what needs no rendering; `is_rendered` says that
    /// [`Self::rendered`] has the rest.
    ///
    /// `label` is what origins call it.
    pub fn path(&mut self, path: &Path, label: &str, is_rendered: bool) -> Result<(), Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(failed)?;
        let label = label.to_owned();
        if metadata.is_dir() {
            return match folder_kind(path) {
                FolderKind::Chart => self.chart_folder(path, &label, is_rendered),
                FolderKind::Kustomization if is_rendered => Ok(()),
                _ => self.folder(path, &label),
            };
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = reading::whole(path)?;
        if kind(&name) == FileKind::Archive || bytes.starts_with(&[0x1f, 0x8b]) {
            let chart = ChartFiles::of_archive(&bytes, path)?;
            if !chart.is_chart() {
                return Err(Error::Archive { path: path.to_owned(), reason: "it has no Chart.yaml".to_owned() });
            }
            self.chart(chart, &label, is_rendered);
            return Ok(());
        }
        let text = reading::text(bytes).ok_or_else(|| Error::Binary { path: path.to_owned() })?;
        match kind(&name) {
            FileKind::Dockerfile => dockerfile::read(&text, self.context(&label), &mut self.findings),
            FileKind::Documents => self.documents(&label, &text, &variables_beside(path)),
            FileKind::List => lists::search(&text, self.context(&label), &mut self.findings),
            FileKind::Archive | FileKind::Other => self.text(&label, &text),
        }
        Ok(())
    }

    fn documents(&mut self, label: &str, text: &str, variables: &BTreeMap<String, String>) {
        let context = SearchContext { variables, ..self.context(label) };
        if lists::is_foreign(text) {
            lists::search(text, context, &mut self.findings);
        } else {
            walk::documents(text, context, &mut self.findings);
        }
    }

    fn chart_folder(&mut self, path: &Path, label: &str, is_rendered: bool) -> Result<(), Error> {
        let chart = ChartFiles::of_folder(path)?;
        self.chart(chart, label, is_rendered);
        Ok(())
    }

    fn chart(&mut self, chart: ChartFiles, label: &str, is_rendered: bool) {
        let rendering = if is_rendered { Rendering::Done } else { Rendering::Missing };
        chart::search(chart, label, rendering, self.context(label), &mut self.findings);
    }

    fn folder(&mut self, root: &Path, label: &str) -> Result<(), Error> {
        let mut left = MAX_FILES;
        let mut folders = vec![(root.to_owned(), label.to_owned(), 0)];
        while let Some((folder, label, depth)) = folders.pop() {
            let failed = |source| Error::Read { path: folder.clone(), source };
            if depth > 0 && folder_kind(&folder) == FolderKind::Chart {
                let is_rendered = self.take_rendered(&folder, &label);
                if let Err(error) = self.chart_folder(&folder, &label, is_rendered) {
                    self.remark(&label, error.to_string(), true);
                }
                continue;
            }
            let mut entries = fs::read_dir(&folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                let inner = format!("{label}/{name}");
                let file_type = entry.file_type().map_err(failed)?;
                if self.rules.excludes_file(&inner) || name == ".git" {
                    continue;
                }
                if file_type.is_symlink() {
                    if kind(&name) != FileKind::Other {
                        self.remark(&inner, "it is a link and was not followed", false);
                    }
                } else if file_type.is_dir() {
                    if depth + 1 >= MAX_DEPTH {
                        self.remark(
                            &inner,
                            format!("folders are nested deeper than {MAX_DEPTH}; it was skipped"),
                            true,
                        );
                    } else {
                        folders.push((entry.path(), inner, depth + 1));
                    }
                } else if file_type.is_file() && kind(&name) != FileKind::Other {
                    if left == 0 {
                        self.remark(&label, format!("more than {MAX_FILES} files; the rest was skipped"), true);
                        return Ok(());
                    }
                    left -= 1;
                    self.file_of_folder(&entry.path(), &name, &inner);
                }
            }
        }
        Ok(())
    }

    /// Searches what was rendered of the chart at `path`, if it was.
    fn take_rendered(&mut self, path: &Path, label: &str) -> bool {
        match self.charts.remove(path) {
            Some(Ok(text)) => {
                self.rendered(label, &text);
                true
            }
            Some(Err(advice)) => {
                self.remark(label, advice, true);
                false
            }
            None => false,
        }
    }

    /// A file of a folder: what is wrong with it is a remark.
    fn file_of_folder(&mut self, path: &Path, name: &str, label: &str) {
        let bytes = match reading::whole(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.remark(label, error.to_string(), true),
        };
        let kind = kind(name);
        if kind == FileKind::Archive {
            match ChartFiles::of_archive(&bytes, path) {
                Ok(chart) if chart.is_chart() => {
                    let is_rendered = self.take_rendered(path, label);
                    self.chart(chart, label, is_rendered);
                }
                _ => self.remark(label, "it is an archive, but not a chart, and was skipped", false),
            }
            return;
        }
        let Some(text) = reading::text(bytes) else {
            return self.remark(label, "it is not text and was skipped", false);
        };
        match kind {
            FileKind::Dockerfile => dockerfile::read(&text, self.context(label), &mut self.findings),
            FileKind::List => lists::search(&text, self.context(label), &mut self.findings),
            _ => self.documents(label, &text, &variables_beside(path)),
        }
    }
}

/// The variables in the file `.env` beside a compose file.
fn variables_beside(path: &Path) -> BTreeMap<String, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if !name.contains("compose") {
        return BTreeMap::new();
    }
    let beside: PathBuf = path.with_file_name(".env");
    reading::whole(&beside).ok().and_then(reading::text).map(|text| variables(&text)).unwrap_or_default()
}
