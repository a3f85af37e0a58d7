//! Packed charts as files.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    body::PackagedArtifact,
    chart::{MAX_CHART, MAX_PROVENANCE, PackedChart},
    chart_repository,
    error::Error,
    stamp::{self, Links, Stamp},
};
use crate::{
    files,
    find::lists::{PackageEntry, PackageSource},
    oci::{Name, Repository},
    progress::Progress,
    registry::Client,
};

/// The artifact of the packed chart at `path`, on `host`. A provenance file beside it goes with it, as by `helm push`.
pub(super) fn local(path: &Path, host: &str) -> Result<PackagedArtifact, Error> {
    if path.is_dir() {
        let reason = "it is a folder; `helm package` packs a chart".to_owned();
        return Err(Error::Chart { chart: path.display().to_string(), reason });
    }
    let packed = PackedChart::read(whole(path, MAX_CHART)?, &path.display().to_string())?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".prov");
    let beside = PathBuf::from(beside);
    let provenance = beside.exists().then(|| whole(&beside, MAX_PROVENANCE)).transpose()?;
    let repository = Repository::new(host, &format!("charts/{}", packed.name()));
    let repository = repository.map_err(|source| Error::Name { path: path.to_owned(), source })?;
    let tag = packed.tag(path)?;
    packed.package(repository.named(&Name::Tag(tag)), provenance)
}

/// The packed chart that `entry` names, as a file: one of a repository is fetched into `folder`. `None` where it names no chart.
///
/// # Errors
/// The chart cannot be had, or is not what its index says.
pub async fn chart_file(
    entry: &PackageEntry,
    client: &Client,
    folder: &Path,
    progress: &Progress,
) -> Result<Option<PathBuf>, Error> {
    match &entry.source {
        PackageSource::File(_) => Ok(None),
        PackageSource::ChartFile(path) => Ok(Some(path.clone())),
        PackageSource::ChartRepository { url, name, version } => {
            let fetched = chart_repository::download(client, url, name, version.as_deref(), progress).await?;
            let path = folder.join("chart.tgz");
            let written = tokio::fs::write(&path, &fetched.content).await;
            written.map_err(|source| files::Error::Write { path: path.clone(), source })?;
            Ok(Some(path))
        }
    }
}

fn whole(path: &Path, limit: u64) -> Result<Bytes, Error> {
    let stamp = Stamp::at(path, Links::Followed)?;
    if stamp.size > limit {
        let reason = format!("{} has more than {limit} bytes", path.display());
        return Err(Error::Chart { chart: path.display().to_string(), reason });
    }
    let mut bytes = Vec::new();
    stamp::copy(path, Links::Followed, stamp, &mut bytes.by_ref())?;
    Ok(bytes.into())
}
