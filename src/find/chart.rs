//! Helm charts without Helm: annotations, values, dependencies and definitions; templates only where they say an image
//! outright.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Component, Path},
};

use flate2::read::MultiGzDecoder;

use super::{
    candidate::PossibleReference,
    context::{ImageDefaults, SearchContext},
    error::Error,
    finding::{Confidence, Findings, Mention},
    lists, reading, text,
    tree::{Documents, ValueTree},
    walk,
};

/// Most bytes of one chart, unpacked, subcharts included.
const MAX_UNPACKED: u64 = 256 << 20;

/// Most files of one chart.
const MAX_FILES: usize = 20_000;

/// How deep charts within charts are read.
const MAX_SUBCHARTS: usize = 8;

/// The files of a chart that can name images, by their path below its folder.
#[derive(Debug, Default)]
pub(super) struct ChartFiles {
    files: BTreeMap<String, Vec<u8>>,
    bytes: u64,
    /// Entries that were left out, with the reason.
    skipped: Vec<String>,
}

/// Whether a file of this name can name images.
fn is_wanted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    [".yaml", ".yml", ".json", ".tpl", ".lock", ".tgz", ".txt"].iter().any(|ending| name.ends_with(ending))
}

/// Whether it is a lock file of images by its name: `Images.lock`, `images-lock.yaml`, `.images.lock.yaml`.
fn is_lock(path: &str) -> bool {
    let plain = super::keys::plain(path);
    matches!(plain.as_str(), "imageslock" | "imageslockyaml" | "imageslockyml")
}

/// Whether it is an archive by its name.
fn is_packed(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tgz"))
}

impl ChartFiles {
    /// The files of the chart in the folder `root`. Links are not followed.
    pub(super) fn of_folder(root: &Path) -> Result<Self, Error> {
        let mut chart = Self::default();
        let mut folders = vec![(root.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let failed = |source| Error::Read { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if kind.is_symlink() {
                    if is_wanted(&path) {
                        chart.skipped.push(format!("{path} is a link and was not followed"));
                    }
                } else if kind.is_dir() {
                    folders.push((entry.path(), format!("{path}/")));
                } else if is_wanted(&path) {
                    chart.add(path, reading::whole(&entry.path())?, root)?;
                }
            }
        }
        Ok(chart)
    }

    /// The files of a packed chart: a gzipped tar with one folder at its top.
    pub(super) fn of_archive(bytes: &[u8], name: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Archive { path: name.to_owned(), reason };
        let mut chart = Self::default();
        let mut archive = tar::Archive::new(MultiGzDecoder::new(bytes).take(MAX_UNPACKED));
        for (count, entry) in archive.entries().map_err(|error| failed(error.to_string()))?.enumerate() {
            let mut entry = entry.map_err(|error| failed(error.to_string()))?;
            if count >= MAX_FILES {
                return Err(failed(format!("more than {MAX_FILES} files")));
            }
            let path = entry.path().map_err(|error| failed(error.to_string()))?.into_owned();
            let Some(inner) = inner_path(&path) else {
                return Err(failed(format!("it has a file named {:?}", path.to_string_lossy())));
            };
            if !entry.header().entry_type().is_file() || !is_wanted(&inner) {
                continue;
            }
            let mut content = Vec::new();
            entry
                .by_ref()
                .take(reading::MAX_FILE + 1)
                .read_to_end(&mut content)
                .map_err(|error| failed(error.to_string()))?;
            chart.add(inner, content, name)?;
        }
        Ok(chart)
    }

    /// Whether it is a chart at all.
    pub(super) fn is_chart(&self) -> bool {
        self.files.contains_key("Chart.yaml")
    }

    fn add(&mut self, path: String, content: Vec<u8>, chart: &Path) -> Result<(), Error> {
        self.bytes += content.len() as u64;
        if self.bytes > MAX_UNPACKED || content.len() as u64 > reading::MAX_FILE {
            return Err(Error::TooLarge { path: chart.to_owned(), limit: MAX_UNPACKED });
        }
        if self.files.len() >= MAX_FILES {
            return Err(Error::Archive { path: chart.to_owned(), reason: format!("more than {MAX_FILES} files") });
        }
        self.files.insert(path, content);
        Ok(())
    }

    fn text(&self, path: &str) -> Option<String> {
        self.files.get(path).and_then(|bytes| reading::text(bytes.clone()))
    }

    /// The charts within: folders and archives under `charts/`, by their path.
    fn subcharts(&mut self) -> Vec<(String, Self)> {
        let inner: Vec<String> = self.files.keys().filter(|path| path.starts_with("charts/")).cloned().collect();
        let mut folders: BTreeMap<String, Self> = BTreeMap::new();
        let mut charts = Vec::new();
        for path in inner {
            let Some(content) = self.files.remove(&path) else { continue };
            let below = &path["charts/".len()..];
            match below.split_once('/') {
                Some((folder, file)) => {
                    folders.entry(format!("charts/{folder}")).or_default().files.insert(file.to_owned(), content);
                }
                None if is_packed(below) => match Self::of_archive(&content, Path::new(&path)) {
                    Ok(chart) => charts.push((path, chart)),
                    Err(error) => self.skipped.push(error.to_string()),
                },
                None => {}
            }
        }
        charts.extend(folders);
        charts
    }
}

/// The path below the one folder at the top of an archive. `None` where it leads out of it.
fn inner_path(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(parts.get(1..).unwrap_or_default().join("/"))
}

/// How far a chart was rendered by Helm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rendering {
    /// Its templates were: what only its values name is a guess.
    Done,
    /// They were not.
    Missing,
}

/// Finds what a chart names by itself. `label` is what origins call its folder or archive.
pub(super) fn search(
    mut chart: ChartFiles,
    label: &str,
    rendering: Rendering,
    context: SearchContext<'_>,
    findings: &mut Findings,
) {
    one(&mut chart, label, rendering, context, findings, 0);
}

fn one(
    chart: &mut ChartFiles,
    label: &str,
    rendering: Rendering,
    context: SearchContext<'_>,
    findings: &mut Findings,
    depth: usize,
) {
    let subcharts = chart.subcharts();
    let metadata = chart.text("Chart.yaml").unwrap_or_default();
    let tree = Documents::new(&metadata).flatten().next();
    let app_version = tree.as_ref().and_then(|tree| tree.get_text(tree.root(), "appVersion")).map(str::to_owned);
    let defaults = image_defaults(chart, tree.as_ref());
    let mut has_templates = false;
    let paths: Vec<String> = chart.files.keys().cloned().collect();
    for path in paths {
        let Some(body) = chart.text(&path) else {
            if !is_packed(&path) {
                findings.remark(&format!("{label}/{path}"), None, "it is not text and was skipped", false);
            }
            continue;
        };
        let file = format!("{label}/{path}");
        let here = SearchContext { file: &file, app_version: app_version.as_deref(), defaults: &defaults, ..context };
        let is_top = !path.contains('/');
        match path.as_str() {
            "Chart.yaml" => {
                walk::documents(&body, here, findings);
                dependencies(&body, here, findings);
            }
            "Chart.lock" | "requirements.yaml" | "requirements.lock" => {}
            _ if is_top && is_lock(&path) => lists::search(&body, here, findings),
            "values.yaml" | "values.yml" => {
                let cap = if rendering == Rendering::Done { Confidence::Guess } else { context.cap };
                walk::documents(&body, SearchContext { cap, ..here }, findings);
            }
            _ if is_top
                && path.starts_with("values")
                && [".yaml", ".yml"].iter().any(|ending| path.ends_with(ending)) =>
            {
                walk::documents(&body, SearchContext { cap: Confidence::Guess, ..here }, findings);
            }
            _ if path.starts_with("crds/") => walk::documents(&body, here, findings),
            _ if path.starts_with("templates/") && rendering == Rendering::Missing => {
                has_templates |= template(&body, here, findings);
            }
            _ => {}
        }
    }
    for reason in chart.skipped.drain(..) {
        findings.remark(label, None, reason, true);
    }
    if has_templates && depth == 0 {
        findings.remark(
            label,
            None,
            "its templates were not rendered, so images that they put together may be missing",
            true,
        );
    }
    for (path, mut subchart) in subcharts {
        let inner = format!("{label}/{path}");
        if depth + 1 >= MAX_SUBCHARTS {
            findings.remark(
                &inner,
                None,
                format!("charts are nested deeper than {MAX_SUBCHARTS}; it was skipped"),
                true,
            );
        } else if subchart.is_chart() {
            one(&mut subchart, &inner, rendering, context, findings, depth + 1);
        }
    }
}

/// A template: a document like any other where it has no actions, else read line by line.
///
/// Whether it names images by its actions.
fn template(body: &str, context: SearchContext<'_>, findings: &mut Findings) -> bool {
    if body.contains("{{") {
        return text::scan(body, context, None, findings);
    }
    walk::documents(body, context, findings);
    false
}

/// What the values of a chart say for all of its images, in the usual places.
fn image_defaults(chart: &ChartFiles, metadata: Option<&ValueTree>) -> ImageDefaults {
    let values = chart.text("values.yaml").unwrap_or_default();
    let values = Documents::new(&values).flatten().next();
    let first = |paths: &[&[&str]]| {
        let tree = values.as_ref()?;
        let texts = paths.iter().filter_map(|path| {
            let id = path.iter().try_fold(tree.root(), |id, key| tree.get(id, key))?;
            tree.text(id)
        });
        texts.map(str::trim).find(|text| !matches!(*text, "" | "null" | "~")).map(str::to_owned)
    };
    let dependencies = metadata.map(|tree| {
        let list = tree.get(tree.root(), "dependencies").map_or(&[][..], |id| tree.items(id));
        let names =
            list.iter().filter_map(|item| tree.get_text(*item, "alias").or_else(|| tree.get_text(*item, "name")));
        names.map(str::to_owned).collect()
    });
    ImageDefaults {
        registry: first(&[
            &["global", "imageRegistry"],
            &["global", "image", "registry"],
            &["imageRegistry"],
            &["defaultImageRegistry"],
        ]),
        namespace: first(&[&["imageNamespace"], &["defaultImageRepository"]]),
        tag: first(&[&["defaultImageTag"]]),
        dependencies: dependencies.unwrap_or_default(),
    }
}

/// Dependencies in registries are artifacts themselves. Whether they are needed depends on whether they are vendored.
fn dependencies(metadata: &str, context: SearchContext<'_>, findings: &mut Findings) {
    let Some(tree) = Documents::new(metadata).flatten().next() else { return };
    let Some(list) = tree.get(tree.root(), "dependencies") else { return };
    for item in tree.items(list) {
        let member = |name: &str| tree.get_text(*item, name);
        let (Some(repository), Some(name), Some(version)) = (member("repository"), member("name"), member("version"))
        else {
            continue;
        };
        let Some(repository) = repository.strip_prefix("oci://") else { continue };
        let tag = version.replace('+', "_");
        if let Some(read) = PossibleReference::read(&format!("{}/{name}:{tag}", repository.trim_end_matches('/'))) {
            let origin = context.origin(tree.line(*item), None, Some(".dependencies".to_owned()));
            let mention = Mention {
                reference: read.reference,
                confidence: Confidence::Guess,
                rule: "chart-dependency".into(),
                origin,
            };
            findings.mentions.push(mention);
        }
    }
}
