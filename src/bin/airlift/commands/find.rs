use std::{fs, io::Write as _, path::Path, sync::Arc};

use airlift::{
    find::{
        self, Confidence, Findings, FoundArtifact, Inventory, Mention, Provenance, SearchOptions, SearchRules,
        Searcher, TagFilter, UpdatedList, lists::PackageEntry, update,
    },
    oci::Reference,
    packaging,
    progress::Event,
    transfer::{discover, inspect},
};
use serde::Serialize;

use crate::{
    args::{Jobs, find::Args},
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    runtime,
};

/// What `--update` prints.
#[derive(Serialize)]
struct Updated<'a> {
    file: &'a Path,
    appeared: &'a [String],
    went: &'a [String],
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let rules = Arc::new(rules(args)?);
    let filter = args.tags.as_deref().map(str::parse::<TagFilter>).transpose().map_err(find::Error::from)?;
    let inventory = runtime::run(search(args, filter.unwrap_or_default(), &rules, context))?;
    for remark in &inventory.remarks {
        context.progress().tell(Event::Warned(remark.to_string()));
    }
    if let Some(text) = &args.why {
        return why(text, &inventory, context);
    }
    match &args.update {
        Some(file) => bring_up_to_date(file, &inventory, context)?,
        None => context.answer(&inventory, Inventory::to_list)?,
    }
    match inventory.remarks.iter().filter(|remark| remark.incomplete).count() {
        0 => Ok(()),
        gaps => Err(Mistake::Incomplete { gaps }.into()),
    }
}

fn rules(args: &Args) -> Result<SearchRules, CommandError> {
    let Some(file) = &args.rules else { return Ok(SearchRules::default()) };
    let text = artifacts::read(file)?;
    Ok(SearchRules::parse(&text, &file.display().to_string()).map_err(find::Error::from)?)
}

async fn search(
    args: &Args,
    filter: TagFilter,
    rules: &Arc<SearchRules>,
    context: &Context,
) -> Result<Inventory, CommandError> {
    let mut findings = Findings::default();
    for source in &args.sources {
        findings.append(one(source, args, &filter, rules, context).await?);
    }
    if args.pin {
        discover::queries(&context.client(Jobs::default())?, &mut findings).await;
    }
    let mut inventory = Inventory::of(findings, rules);
    if args.pin {
        discover::pin(&context.client(Jobs::default())?, &mut inventory).await;
    }
    Ok(inventory)
}

/// Searches one source, by what it is.
async fn one(
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
    is_remote || path.extension().is_some_and(|extension| extension == "tar") || path.join("oci-layout").is_file()
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

fn why(text: &str, inventory: &Inventory, context: &Context) -> Result<(), CommandError> {
    let found = inventory.why(text);
    if found.is_empty() {
        return Err(Mistake::Nowhere { reference: text.to_owned() }.into());
    }
    context.answer(&found, |found| found.iter().map(|artifact| origins(artifact)).collect())
}

fn origins(artifact: &FoundArtifact) -> String {
    let line = |origin: &find::Sighting| format!("  {} {}: {}\n", origin.confidence, origin.rule, origin.place);
    format!("{}\n{}", artifact.reference, artifact.origins.iter().map(line).collect::<String>())
}

/// Writes the list anew beside itself, and then in its place.
fn bring_up_to_date(file: &Path, inventory: &Inventory, context: &Context) -> Result<(), CommandError> {
    let is_new = !file.exists();
    let old = if is_new { String::new() } else { artifacts::read(file)? };
    let UpdatedList { text, appeared, went, .. } = update(&old, inventory);
    let failed = |source| Mistake::Write { path: file.to_owned(), source };
    if is_new {
        fs::write(file, &text).map_err(failed)?;
    } else if text != old {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut new = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        new.write_all(text.as_bytes()).map_err(failed)?;
        let permissions = fs::metadata(file).map_err(failed)?.permissions();
        fs::set_permissions(new.path(), permissions).map_err(failed)?;
        new.as_file().sync_all().map_err(failed)?;
        new.persist(file).map_err(|error| failed(error.error))?;
    }
    context.answer(&Updated { file, appeared: &appeared, went: &went }, |updated| {
        let lines = updated.appeared.iter().map(|name| format!("+ {name}\n"));
        lines.chain(updated.went.iter().map(|name| format!("- {name}\n"))).collect()
    })
}
