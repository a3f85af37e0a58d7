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
            match plan.begun_at(*number, layout, &self.volume(*number))? {
                Some(reader) => volumes.push(reader),
                None => return Ok(None),
            }
        }
        let is_vouched_for = match self {
            Self::File { .. } => true,
            Self::Set(goal) => goal.is_vouched_for(&plan, &volumes, goal.only.is_some()),
            Self::Group(goal, _) => goal.is_vouched_for(&plan, &volumes, true),
        };
        if !is_vouched_for {
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
    fn is_vouched_for(&self, plan: &Blueprint, volumes: &[Reader], is_part: bool) -> bool {
        let manifest = read_manifest(&self.manifest()).ok().flatten();
        if is_part && manifest.is_none() {
            // The set's manifest is on another disc, perhaps, or not there yet.
            return !self.manifest().exists();
        }
        let hashed = plan.volumes().iter().zip(volumes).map(|((number, layout), reader)| {
            let name = volume::volume_name(&self.name, *number);
            Some(volume::SetFile { digest: sum(reader.path(), layout.total())?, name, size: layout.total() })
        });
        let Some(found) = manifest else { return false };
        if is_part {
            return hashed.flatten().all(|file| found.volumes.contains(&file));
        }
        let (Some(cut), Some(files)) = (plan.cut(), hashed.collect()) else { return false };
        let planned = SetManifest::new(plan.first().id(), plan.first().facts().set_id(), cut, files);
        let own = SetManifest::file_name(&self.name);
        found == planned && fs::read(self.sums()).is_ok_and(|sums| sums == planned.sums(&own).into_bytes())
    }
}

fn sum(path: &Path, size: u64) -> Option<crate::oci::Digest> {
    let file = fs::File::open(path).ok()?;
    let hasher = disk::hash_at(&file, Algorithm::Sha256, 0, size, &mut Vec::new(), |_| {}).ok()??;
    Some(hasher.finish())
}
