//! Recovery data beside bundles: made after an export, looked at before a repair is promised, used to repair.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Error, Report,
    export::{self, Destination, Request},
    verify::{Finding, verify},
};
use crate::{
    bundle::{
        Goal, Reader,
        volume::{SUMS, SetManifest},
    },
    content::{Code, Origins},
    files::{self, blocking::off_reactor, name},
    oci::{Digest, Reference},
    progress::Progress,
    recovery::{self, Assessment, Created, Damage, Percent, ProtectedSet, Repaired},
};

/// Exports to `path` and makes recovery data of it. A bundle that is there already, and is the very one that would be
/// written, is kept: so an export that was stopped between the two is finished by the same call.
///
/// # Errors
/// Those of the export; recovery data is there already; it cannot be made.
pub async fn export(
    origins: &dyn Origins,
    request: &Request,
    (path, overwrite): (&Path, bool),
    percent: Percent,
    progress: &Progress,
) -> Result<Report, Error> {
    let beside = recovery_of(path);
    if !overwrite && beside.exists() && !path.exists() {
        return Err(files::Error::Exists { path: beside }.into());
    }
    let to = Destination::File { path: path.to_owned(), overwrite };
    let mut report = export::run(origins, request, to, progress).await?;
    let created = protect(&[path], percent, overwrite, progress).await?;
    report.recovery = created.files.iter().map(|file| path.with_file_name(&file.name)).collect();
    Ok(report)
}

/// Exports the volumes of a set, and makes recovery data of all its files: the volumes, the manifest and the sums. No
/// recovery file is larger than a volume, so they fit the same media.
///
/// # Errors
/// Those of the export; recovery data is there already; it cannot be made. The set is complete then, and [`protect`] makes
/// recovery data of its files.
pub async fn export_set(
    origins: &dyn Origins,
    request: &Request,
    goal: Goal,
    percent: Percent,
    progress: &Progress,
) -> Result<Report, Error> {
    let Goal { folder, name: stem, size, overwrite, .. } = goal.clone();
    let path = goal.manifest();
    let mut report = export::run(origins, request, Destination::Volumes(goal), progress).await?;
    let (told, into) = (progress.clone(), folder.clone());
    let created = off_reactor(move || {
        let read = |source| Error::Io { what: "read", path: path.clone(), source };
        let text = std::fs::read(&path).map_err(read)?;
        let manifest = SetManifest::parse(&text).map_err(|error| read(std::io::Error::other(error)))?;
        let volumes = manifest.files().map(|file| file.name.clone());
        let files = volumes.chain([SetManifest::file_name(&stem), SUMS.to_owned()]).collect();
        let request = recovery::Request { folder: into, files, percent, stem, limit: Some(size.0), overwrite };
        recovery::create(&request, &told).map_err(Error::from)
    })
    .await?;
    report.recovery = created.files.iter().map(|file| folder.join(&file.name)).collect();
    Ok(report)
}

/// The recovery file of a bundle at `path`.
fn recovery_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(recovery::SUFFIX);
    name.into()
}

/// Makes recovery data of `files`, all in one folder, beside them. What is made of one file has that file's name, what is
/// made of several the folder's.
///
/// # Errors
/// They lie in several folders, and see [`recovery::Error`].
pub async fn protect(
    files: &[&Path],
    percent: Percent,
    overwrite: bool,
    progress: &Progress,
) -> Result<Created, Error> {
    protect_as(files, percent, None, overwrite, progress).await
}

/// As [`protect`]. Of volumes: the name that recovery files get, and the most bytes that one of them has.
///
/// # Errors
/// As [`protect`].
pub async fn protect_as(
    files: &[&Path],
    percent: Percent,
    volumes: Option<(String, u64)>,
    overwrite: bool,
    progress: &Progress,
) -> Result<Created, Error> {
    let unfit = |reason: String| Error::Recovery(recovery::Error::Unfit { reason });
    let Some(first) = files.first() else { return Err(unfit("no file was named".to_owned())) };
    let folder = name::folder_of(first).to_owned();
    let mut names = Vec::new();
    for path in files {
        if name::folder_of(path) != folder {
            return Err(unfit(format!("{} and {} lie in two folders", first.display(), path.display())));
        }
        let name = path.file_name().and_then(|name| name.to_str());
        names.push(name.ok_or_else(|| unfit(format!("{} has no name that can be kept", path.display())))?.to_owned());
    }
    let (name, limit) = volumes.unzip();
    let stem = if let Some(name) = name {
        name
    } else if let [one] = &names[..] {
        one.clone()
    } else {
        let whole = std::path::absolute(&folder).ok();
        let name = whole.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        name.unwrap_or("files").to_owned()
    };
    let request = recovery::Request { folder, files: names, percent, stem, limit, overwrite };
    let progress = progress.clone();
    Ok(off_reactor(move || recovery::create(&request, &progress)).await?)
}

/// What can be said of a set before anything is rebuilt.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outlook {
    /// The id of the set of recovery data.
    pub set: Digest,
    /// Whether every file of the set is there and sound.
    pub sound: bool,
    /// Whether everything that is damaged or missing can be rebuilt.
    pub possible: bool,
    /// Protected blocks that are damaged or missing: as many recovery blocks are needed.
    pub needed: u64,
    /// Recovery blocks that are sound.
    pub available: u64,
    /// Bytes of a block.
    pub block: u64,
    /// Why repair is not possible, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is damaged or missing.
    pub damaged: Vec<DamagedFile>,
}

/// A file that is damaged or missing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DamagedFile {
    /// Its name in the set.
    pub name: String,
    /// Where it lies, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Whether it is missing.
    pub missing: bool,
    /// Whether it is a recovery file.
    pub recovery: bool,
    /// Bytes that are lost, from and to, in whole blocks.
    pub ranges: Vec<(u64, u64)>,
    /// The artifacts that have content there, as far as that can be told.
    pub artifacts: Vec<Reference>,
}

/// A set that was looked at.
#[derive(Debug)]
#[non_exhaustive]
pub struct Survey {
    assessment: Assessment,
    /// What can be said of it.
    pub outlook: Outlook,
}

/// Reads all of the set that `paths` name: its folders, or files of it.
///
/// # Errors
/// There is no recovery data, or it is not of the files that are named.
pub async fn survey(paths: &[PathBuf], progress: &Progress) -> Result<Survey, Error> {
    let (paths, told) = (paths.to_vec(), progress.clone());
    let assessment = off_reactor(move || ProtectedSet::find(&paths)?.assess(&told)).await?;
    let mut damaged = Vec::new();
    for damage in assessment.damages() {
        damaged.push(hurt(damage).await?);
    }
    let beyond = assessment.beyond().map(|error| error.to_string());
    let outlook = Outlook {
        set: *assessment.set().id(),
        sound: assessment.is_sound(),
        possible: beyond.is_none(),
        needed: assessment.lost(),
        available: assessment.spare(),
        block: assessment.set().head().block,
        reason: beyond,
        damaged,
    };
    Ok(Survey { assessment, outlook })
}

/// The recovery data that protects the file at `path`, or lies in the folder of that name, if there is some.
///
/// # Errors
/// There is some, and it cannot be read or taken.
pub async fn survey_of(path: &Path, progress: &Progress) -> Result<Option<Survey>, Error> {
    let (sought, paths) = (path.to_owned(), vec![path.to_owned()]);
    let found =
        off_reactor(move || ProtectedSet::find(&paths).map(|set| sought.is_dir() || set.protects(&sought))).await;
    match found {
        Ok(true) => survey(&[path.to_owned()], progress).await.map(Some),
        Ok(false) | Err(recovery::Error::NotFound { .. } | recovery::Error::Several { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// With the artifacts that a damaged bundle still names.
async fn hurt(damage: Damage) -> Result<DamagedFile, Error> {
    let Damage { name, path, state, recovery, ranges } = damage;
    let missing = state == recovery::FileState::Missing;
    let mut artifacts = Vec::new();
    if let Some(path) = path.as_ref().filter(|_| !recovery)
        && let Ok(reader) = Reader::open(path).await
    {
        let verification = verify(&reader, 1, &Progress::silent()).await?;
        if verification.is_sound() {
            return Err(Error::StaleRecovery { path: path.clone() });
        }
        artifacts = verification.findings.into_iter().flat_map(|finding| finding.artifacts).collect();
        artifacts.sort_by_key(ToString::to_string);
        artifacts.dedup();
    }
    let ranges = ranges.into_iter().map(|range| (range.start, range.end)).collect();
    Ok(DamagedFile { name, path, missing, recovery, ranges, artifacts })
}

impl Survey {
    /// Whether the file at `path` is of the set, by its name.
    pub fn covers(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        self.assessment.set().head().names().any(|known| Some(known) == name)
    }

    /// Rebuilds what is damaged or missing, where it lies or into `output`.
    ///
    /// # Errors
    /// See [`Assessment::repair`].
    pub async fn repair(self, output: Option<PathBuf>, progress: &Progress) -> Result<Repaired, Error> {
        let progress = progress.clone();
        Ok(off_reactor(move || self.assessment.repair(output.as_deref(), &progress)).await?)
    }

    /// What is wrong with the recovery files themselves, as findings of a verification.
    pub fn findings(&self) -> Vec<Finding> {
        let of_recovery = self.outlook.damaged.iter().filter(|hurt| hurt.recovery);
        let finding = |hurt: &DamagedFile| Finding {
            code: Code::RecoveryDamaged,
            artifacts: Vec::new(),
            digest: None,
            offset: None,
            file: None,
            message: format!("{} is {}", hurt.name, if hurt.missing { "missing" } else { "damaged" }),
        };
        of_recovery.map(finding).collect()
    }
}
