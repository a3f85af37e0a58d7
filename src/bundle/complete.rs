//! Whether an output holds the planned bundle already: by its heads here, and then by every byte of it, which the caller
//! verifies.

use std::{fs, path::Path};

use super::{
    Contents, Layout, Reader, Result,
    blueprint::Blueprint,
    output::{Output, read_manifest},
    volume::{self, SetManifest},
};
use crate::{
    files::{disk, name},
    oci::Algorithm,
};

impl Output {
    /// Opens the files in the place of this output, if their sizes and heads are as `contents` plans them. What follows the
    /// heads is still to be verified. Blocks.
    ///
    /// # Errors
    /// The contents cannot be planned so.
    pub(crate) fn alike(&self, contents: Contents) -> Result<Option<(Reader, Layout)>> {
        let plan = Blueprint::of(contents, self.form())?;
        let mut volumes = Vec::new();
        for (number, layout) in plan.volumes() {
            match planned(&plan, *number, layout, &self.volume(*number))? {
                Some(reader) => volumes.push(reader),
                None => return Ok(None),
            }
        }
        if let Self::Set(goal) = self
            && !goal.is_vouched_for(&plan, &volumes)
        {
            return Ok(None);
        }
        let first = plan.first().clone();
        Ok(match &volumes[..] {
            [one] => Some((one.clone(), first)),
            several => Reader::join(several, &self.named()).ok().map(|reader| (reader, first)),
        })
    }

    /// Removes the journals of a run that was killed after it gave the names.
    pub(crate) fn tidy(&self) {
        let partial = name::partial(&self.volume(1));
        if !partial.exists() {
            // It has no meaning any more, so failing to remove it does no harm.
            let _ = fs::remove_file(name::journal(&partial));
        }
    }
}

impl super::Goal {
    /// Whether the manifest and the sums are those of the volumes as they are, all of which is hashed for that.
    fn is_vouched_for(&self, plan: &Blueprint, volumes: &[Reader]) -> bool {
        let manifest = read_manifest(&self.manifest()).ok().flatten();
        let hashed = plan.volumes().iter().zip(volumes).map(|((number, layout), reader)| {
            let name = volume::volume_name(&self.name, *number);
            Some(volume::SetFile { digest: sum(reader.path(), layout.total())?, name, size: layout.total() })
        });
        if self.only.is_some() {
            // The set's manifest is on another disc, perhaps.
            let Some(manifest) = manifest else { return !self.manifest().exists() };
            return hashed.flatten().all(|file| manifest.volumes.contains(&file));
        }
        let (Some(found), Some(cut), Some(files)) = (manifest, plan.cut(), hashed.collect()) else { return false };
        let planned = SetManifest::new(plan.first().id(), plan.first().facts().set_id(), cut, files);
        let own = SetManifest::file_name(&self.name);
        found == planned && fs::read(self.sums()).is_ok_and(|sums| sums == planned.sums(&own).into_bytes())
    }
}

/// Opens `path` if it is as long as the file that `layout` plans and begins as that does.
fn planned(plan: &Blueprint, number: u32, layout: &Layout, path: &Path) -> Result<Option<Reader>> {
    if fs::metadata(path).ok().map(|found| found.len()) != Some(layout.total()) {
        return Ok(None);
    }
    let Ok(reader) = Reader::open_file(path) else { return Ok(None) };
    let segments = |layout: &Layout| layout.facts().volume.as_ref().map(|volume| volume.segments.clone());
    let found = reader.layout().and_then(segments);
    if found.as_ref().map(Vec::len) != segments(layout).as_ref().map(Vec::len) {
        return Ok(None);
    }
    // Only the content knows the digests of its segments: those that the head says are held against it later.
    let sealed = plan.sealed(number, found.unwrap_or_default())?;
    let head = sealed.as_ref().unwrap_or(layout).head();
    Ok((reader.layout().map(Layout::head) == Some(head)).then_some(reader))
}

fn sum(path: &Path, size: u64) -> Option<crate::oci::Digest> {
    let file = fs::File::open(path).ok()?;
    let hasher = disk::hash_at(&file, Algorithm::Sha256, 0, size, &mut Vec::new(), |_| {}).ok()??;
    Some(hasher.finish())
}
