//! The artifacts and locations that the command line names, directly or in files.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use airlift::{
    content::{Code, Origins},
    find::lists::{self, PackageEntry},
    oci::Reference,
    pack::ReadSettings,
    packaging::{ImageRuntime, Packages},
    progress::Event,
    registry::Client,
    storage::{Location, Settings},
    transfer::{
        Opened,
        export::{self, Request},
        shards::{self, PlanFile},
    },
};

use crate::{
    args::{Chosen, PackedRead, Transfer, chosen::ForeignChoice},
    context::Context,
    failure::CommandError,
    mistake::{self, Mistake},
    runtime,
};

/// Bad lines of a list that are shown. A file with more of them is not a list.
const MAX_LINES: usize = 20;

/// What a command line asks for.
pub(crate) struct Asked {
    /// Artifacts that are somewhere, each once, in the order of the arguments.
    artifacts: Vec<Reference>,
    /// What artifacts are made of.
    packages: Vec<PackageEntry>,
}

/// Returns what is asked for: at least one artifact, and at most `--max-artifacts`.
pub(crate) fn asked_for(args: &Chosen) -> Result<Asked, CommandError> {
    let registry = args.registry.as_deref();
    let mut asked = Asked { artifacts: Vec::new(), packages: Vec::new() };
    for text in &args.artifacts {
        if let Some(entry) = PackageEntry::parse(text, registry) {
            asked.packages.push(entry.map_err(|source| Mistake::Package { source })?);
        } else {
            let reference = Reference::parse(text, registry).map_err(|source| Mistake::Reference { source })?;
            asked.artifacts.push(reference);
        }
    }
    for file in &args.file {
        let list = lists::read_whole(&read(file)?, &name_of(file), registry).map_err(with_lines)?;
        let folder = file.parent().filter(|_| !is_stdin(file)).unwrap_or(Path::new(""));
        asked.artifacts.extend(list.artifacts.into_iter().map(|artifact| artifact.reference));
        asked.packages.extend(list.packages.into_iter().map(|package| package.entry.below(folder)));
    }
    let mut seen = HashSet::new();
    asked.artifacts.retain(|artifact| seen.insert(artifact.clone()));
    match asked.artifacts.len() + asked.packages.len() {
        0 => Err(Mistake::NoArtifacts.into()),
        count if count > args.max_artifacts => {
            Err(Mistake::TooManyArtifacts { count, limit: args.max_artifacts }.into())
        }
        _ => Ok(asked),
    }
}

impl Asked {
    /// The artifacts, if none of them is to be made.
    pub(crate) fn in_registries(self) -> Option<Vec<Reference>> {
        self.packages.is_empty().then_some(self.artifacts)
    }

    /// Makes what is to be made. Returns where everything comes from, `rest` being where all else is, and the artifacts.
    /// `client` fetches charts.
    pub(crate) async fn over(
        self,
        rest: Box<dyn Origins>,
        client: &Client,
        context: &Context,
    ) -> Result<(Box<dyn Origins>, Vec<Reference>), CommandError> {
        if self.packages.is_empty() {
            return Ok((rest, self.artifacts));
        }
        let packages = Packages::make(self.packages, client, &context.progress()).await?;
        let mut artifacts = packages.artifacts();
        if let Some(artifact) = artifacts.iter().find(|made| self.artifacts.contains(made)) {
            return Err(Mistake::MadeAndNamed { artifact: artifact.clone() }.into());
        }
        artifacts.extend(self.artifacts);
        Ok((Box::new(packages.over(rest)), artifacts))
    }
}

/// The artifacts in the lists `files`. `registry` is that of names without one.
pub(crate) fn listed(files: &[PathBuf], registry: Option<&str>) -> Result<Vec<Reference>, CommandError> {
    let mut artifacts = Vec::new();
    for file in files {
        let listed = lists::read(&read(file)?, &name_of(file), registry).map_err(with_lines)?;
        artifacts.extend(listed.into_iter().map(|artifact| artifact.reference));
    }
    Ok(artifacts)
}

/// What errors call a list.
fn name_of(file: &Path) -> String {
    if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() }
}

/// The failure of a list, with its bad lines.
fn with_lines(error: lists::Error) -> CommandError {
    let lines = match &error {
        lists::Error::References { bad, .. } => {
            let shown = bad.iter().take(MAX_LINES).map(ToString::to_string);
            let more = bad.len().saturating_sub(MAX_LINES);
            shown.chain((more > 0).then(|| format!("and {more} more"))).collect()
        }
        _ => Vec::new(),
    };
    CommandError::from(error).details(lines)
}

/// What a run takes of `artifacts`.
pub(crate) fn chosen(args: &Chosen, artifacts: Vec<Reference>, transfer: &Transfer) -> Request {
    let mut request = Request::new(artifacts);
    request.platforms.clone_from(&args.platform);
    request.foreign = match args.foreign {
        ForeignChoice::Include => export::Foreign::Include,
        ForeignChoice::Skip => export::Foreign::Skip,
    };
    request.referrers = !args.no_referrers;
    request.continue_on_errors = transfer.continue_on_errors;
    request.jobs = transfer.jobs.count();
    request.small_jobs = transfer.jobs.small();
    request
}

/// Returns `path` if it is a path on this machine, for commands that need one.
pub(crate) fn local(path: &Path) -> Result<&Path, CommandError> {
    match location(path)? {
        Location::Path(_) => Ok(path),
        place => Err(Mistake::NotLocal { place }.into()),
    }
}

/// Parses the location of a bundle. clap must not parse it, since its messages would show the signature of an address.
pub(crate) fn location(text: &Path) -> Result<Location, CommandError> {
    Ok(text.to_str().map_or_else(|| Ok(Location::Path(text.to_owned())), Location::parse)?)
}

/// The runtime and the image that `docker-daemon:NAME` or `containers-storage:NAME` means.
pub(crate) fn runtime_image(text: &Path) -> Option<(ImageRuntime, &str)> {
    let (runtime, name) = text.to_str()?.split_once(':')?;
    match runtime {
        "docker-daemon" => Some((ImageRuntime::Docker, name)),
        "containers-storage" => Some((ImageRuntime::Podman, name)),
        _ => None,
    }
}

/// As [`location`], of a bundle to read.
pub(crate) fn source(text: &Path) -> Result<Location, CommandError> {
    match location(text)? {
        Location::Standard => Err(Mistake::StreamSource.into()),
        place => Ok(place),
    }
}

/// Opens the plan of a set that several machines write.
pub(crate) fn plan(text: &Path, settings: &Settings) -> Result<PlanFile, CommandError> {
    let place = source(text)?;
    let opened = runtime::run(async { Ok(shards::open(&place, settings).await?) });
    let make = format!(
        "Name the plan, or make it first: `airlift plan -f LIST -o {} --volume-size SIZE`.",
        mistake::quoted(&text.to_string_lossy())
    );
    opened.map_err(|failure: CommandError| failure.hint_for(&[Code::StorageNotFound], &make))
}

/// Adds the next step to the failure of reading a damaged bundle among `paths`: repair, if there is recovery data.
pub(crate) fn or_repair(failure: CommandError, paths: &[PathBuf]) -> CommandError {
    let damages = [
        Code::BundleTruncated,
        Code::BundleStructure,
        Code::BundleSeal,
        Code::BundleDigestMismatch,
        Code::BundleSizeMismatch,
        Code::BundleVolumeMissing,
        Code::PackMalformed,
        Code::PackVolumeMissing,
    ];
    let hint = paths.iter().find(|path| has_recovery(path)).map(|path| {
        let path = mistake::quoted(&path.to_string_lossy());
        format!("There is recovery data: run `airlift repair {path}`, then the same command again.")
    });
    match hint {
        Some(hint) => failure.hint_for(&damages, &hint),
        None => failure,
    }
}

/// Whether recovery data is beside a file, or in a folder.
fn has_recovery(path: &Path) -> bool {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let name = path.file_name().filter(|_| !path.is_dir()).map(|name| name.to_string_lossy().into_owned());
    // A volume's data is named after its set: NAME.vol001.tar and NAME.vol001.recovery.
    let stem = name.as_deref().map(|name| name.split_once(".vol").map_or(name, |(stem, _)| stem));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).any(|entry| {
        entry.contains(".recovery") && !entry.ends_with(".partial") && stem.is_none_or(|stem| entry.starts_with(stem))
    })
}

/// Opens the bundle at `text`.
pub(crate) async fn open(text: &Path, context: &Context) -> Result<Opened, CommandError> {
    Ok(Opened::open(&source(text)?, &context.storage()).await?)
}

/// How packed files are read.
pub(crate) async fn reading(packed: &PackedRead, context: &Context) -> Result<ReadSettings, CommandError> {
    let places = packed.base.iter().map(|path| source(path)).collect::<Result<Vec<_>, _>>()?;
    let base = Opened::base(&places, &context.storage(), &context.progress()).await?;
    let base = base.map(|base| Arc::new(base) as _);
    Ok(ReadSettings { memory: packed.memory.0, base, ..ReadSettings::default() })
}

/// As [`open`], where packed files are read as `packed` says.
pub(crate) async fn open_packed(text: &Path, packed: &PackedRead, context: &Context) -> Result<Opened, CommandError> {
    let read = reading(packed, context).await?;
    let (opened, set) = Opened::survey_read(&[source(text)?], &context.storage(), &read).await?;
    set.map_or(Ok(()), |set| set.whole().map(drop).map_err(airlift::transfer::Error::from))?;
    Ok(opened)
}

/// As [`open`], but accepts a set with missing volumes.
pub(crate) async fn survey(text: &Path, context: &Context) -> Result<Opened, CommandError> {
    Ok(Opened::survey(&source(text)?, &context.storage()).await?.0)
}

/// Describes an unfinished file at `path`. Such a file looks complete, since its head is written first and its space is
/// reserved.
fn unfinished(path: &Path) -> Option<String> {
    const FINISHED_BY: &str = "an unfinished export or copy; run that command again to finish it";
    if path.extension().is_some_and(|extension| extension == "partial") {
        return Some(format!("{} is {FINISHED_BY}", path.display()));
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    (!path.exists() && partial.exists()).then(|| format!("{} is {FINISHED_BY}", partial.display()))
}

/// Warns about unfinished files among `paths`.
pub(crate) fn warn_of_unfinished<'a>(paths: impl IntoIterator<Item = &'a PathBuf>, context: &Context) {
    for text in paths.into_iter().filter_map(|path| unfinished(path)) {
        context.progress().tell(Event::Warned(text));
    }
}

pub(crate) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// The text of a file, or of standard input.
pub(crate) fn read(file: &Path) -> Result<String, Mistake> {
    let text = if is_stdin(file) {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|source| Mistake::Read { path: file.to_owned(), source })
}
