//! A set of volumes straight into a storage, without a disk in between.
//!
//! Volumes are sent one after the other, each as an upload in parts; none is visible before all of the set has been proven.
//! Then they are committed, and after them come the sums and the manifest, without which they are not a set.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::{
    super::{
        complete::{self, there},
        error::Error,
        report::Report,
        send::{self, FileParts, Planned, SendMode, Sending, Sent, Stop},
    },
    ExportRun,
    destination::{Prefix, exists},
    segments::{self, Segments},
};
use crate::{
    bundle::{
        self, Contents, Finished, Layout,
        volume::{Cut, Piece, SUMS, SetFile, SetManifest, VolumeGroup, pack, publication::SumsFound, volume_name},
    },
    oci::{Descriptor, Digest},
    progress::{Event, Phase},
    storage::{self, Finish, Location, Object, Parts, Pinned, Upload, UploadSpec, parts},
};

impl Prefix {
    fn volume(&self, number: u32) -> Result<Arc<dyn Object>, storage::Error> {
        storage::open(&self.folder.join(&volume_name(&self.name, number)), &self.settings)
    }

    /// Checks that nothing is in the way of `set`; whether all of it is there.
    pub(super) async fn is_there(&self, set: &VolumeLayout, contents: &Contents) -> Result<bool, Error> {
        let manifest = self.publication().manifest().await?.and_then(Result::ok);
        let is_ours = |manifest: &SetManifest| manifest.set == set.id && manifest.bundle == contents.index.id();
        if set.is_part {
            if let Some(other) = manifest.filter(|manifest| !is_ours(manifest)) {
                return Err(not_the_set(&self.manifest(), &other, contents).into());
            }
        } else if self.overwrite {
            return Ok(false);
        } else if let Some(manifest) = manifest {
            // A run that was killed after its end.
            return if is_ours(&manifest) { Ok(true) } else { Err(exists(&self.manifest()).into()) };
        } else if self.publication().sums(None).await? == SumsFound::Other {
            return Err(exists(&self.folder.join(SUMS)).into());
        }
        for &number in set.numbers.iter().filter(|_| !self.overwrite) {
            let object = self.volume(number)?;
            if let Some(stat) = there(&*object).await?
                && !send::is_same(&stat, &set.unsealed(contents, number)?)
            {
                return Err(exists(object.location()).into());
            }
        }
        Ok(false)
    }
}

fn not_the_set(place: &Location, there: &SetManifest, contents: &Contents) -> bundle::Error {
    let id = contents.index.id();
    let reason = if there.bundle == id {
        format!("the bundle is cut otherwise than into volumes of {} bytes, as that set is", there.size)
    } else {
        format!(
            "the artifacts have changed since: their bundle id is {id}, that of the set is {bundle}",
            bundle = there.bundle
        )
    };
    bundle::Error::NotTheSet { path: PathBuf::from(place.to_string()), reason }
}

/// How a bundle is cut, and what of it is to be sent.
pub(super) struct VolumeLayout {
    id: Digest,
    cut: Cut,
    /// The volumes to be sent.
    numbers: Vec<u32>,
    /// Whether they are sent without the manifest of the set.
    is_part: bool,
}

impl VolumeLayout {
    fn of(contents: &Contents, to: &Prefix) -> Result<Self, bundle::Error> {
        let cut = pack(contents, to.size)?;
        if let Some(number) = to.only.filter(|&number| number == 0 || number > cut.volumes) {
            return Err(bundle::Error::NoVolume { number, volumes: cut.volumes });
        }
        let numbers = to.only.map_or_else(|| (1..=cut.volumes).collect(), |number| vec![number]);
        Self::cut_so(contents, cut, numbers, to.only.is_some())
    }

    /// Some volumes of a set whose cut is given; it gets no manifest.
    pub(super) fn of_group(contents: &Contents, group: &VolumeGroup) -> Result<Self, bundle::Error> {
        Self::cut_so(contents, Cut::clone(&group.cut), group.numbers.clone(), true)
    }

    fn cut_so(contents: &Contents, cut: Cut, numbers: Vec<u32>, is_part: bool) -> Result<Self, bundle::Error> {
        let mut set = Self { id: contents.index.id(), cut, numbers, is_part };
        set.id = set.unsealed(contents, 1)?.facts().set_id();
        Ok(set)
    }

    /// The blobs of which a segment is to be sent.
    fn cut_here(&self) -> Vec<Descriptor> {
        let here = self.cut.segmented().filter(|pieces| pieces.iter().any(|one| self.numbers.contains(&one.volume)));
        let whole = |pieces: &[Piece]| pieces.iter().map(|piece| piece.size).sum();
        here.map(|pieces| Descriptor::new("", pieces[0].digest, whole(pieces))).collect()
    }

    /// A volume as far as it is known before the segments are: all but their digests.
    fn unsealed(&self, contents: &Contents, number: u32) -> Result<Layout, bundle::Error> {
        let any = self.cut.segments(number).map(|_| Digest::sha256(b"")).collect();
        Layout::of_volume(contents, &self.cut, number, any)
    }

    /// Bytes of all volumes that are to be sent.
    fn bytes(&self, contents: &Contents) -> Result<u64, bundle::Error> {
        self.numbers.iter().map(|&number| Ok(self.unsealed(contents, number)?.total())).sum()
    }

    /// A volume, of which every byte is fixed by digests.
    fn sealed(&self, contents: &Contents, number: u32, segments: &Segments) -> Result<Layout, bundle::Error> {
        let digest = |piece: &Piece| {
            let known = segments.get(&(piece.digest, piece.from)).copied();
            known.ok_or(bundle::Error::Missing { digest: piece.digest })
        };
        let digests = self.cut.segments(number).map(digest).collect::<Result<_, _>>()?;
        Layout::of_volume(contents, &self.cut, number, digests)
    }
}

/// A volume that is to become visible.
enum PendingVolume {
    /// An earlier run committed it, and it was read: its SHA-256.
    There(Digest),
    /// All of its parts are there.
    Sent(UploadSpec, Box<Sent>),
}

/// What was sent.
pub(super) struct SentSet {
    /// Bytes of all volumes.
    bytes: u64,
    /// How many of them were there.
    pub(super) reused: u64,
    /// Whether a volume was not there whole.
    pub(super) is_new: bool,
}

impl ExportRun<'_> {
    pub(super) async fn into_prefix(self, to: &Prefix) -> Result<Report, Error> {
        let mut run = self;
        loop {
            let contents = run.plan.contents();
            let (id, set) = (contents.index.id(), VolumeLayout::of(contents, to)?);
            let output = to.only.map_or_else(|| Ok(to.manifest()), |number| Ok(to.volume(number)?.location().clone()));
            let path = PathBuf::from(output.map_err(Error::Storage)?.to_string());
            if to.is_there(&set, contents).await? {
                let bytes = set.bytes(contents)?;
                return Ok(complete::report(run.plan, Finished { path, bytes, id }));
            }
            let stop = match run.send_set(&set, to).await {
                Ok(SentSet { bytes, reused, .. }) => {
                    return Ok(run.report(&Finished { path: path.clone(), bytes, id }, reused, Some(path)));
                }
                Err(stop) => stop,
            };
            run = run.without(stop)?;
        }
    }

    /// Sends the set and makes it visible.
    pub(super) async fn send_set(&self, set: &VolumeLayout, to: &Prefix) -> Result<SentSet, Stop> {
        let (contents, state) = (self.plan.contents(), to.settings.state()?);
        let cut_here = set.cut_here();
        let segments = self.segments(&set.cut, &cut_here, state).await?;
        let outcome = self.send_volumes(set, &segments, to).await;
        if let Err(Stop::Blob(..)) = outcome {
            // Were a digest wrong that was learnt before, the next run would fail of it again.
            segments::forget(&set.cut, &cut_here, state);
        }
        let (volumes, reused) = outcome?;
        let is_new = volumes.iter().any(|volume| matches!(volume, PendingVolume::Sent(..)));
        self.progress.tell(Event::Phase(Phase::Publishing));
        if to.overwrite && !set.is_part {
            let names: BTreeSet<_> = set.numbers.iter().map(|&number| volume_name(&to.name, number)).collect();
            to.publication().dismantle(|name| names.contains(name)).await?;
        }
        let mut files = Vec::new();
        for (&number, volume) in set.numbers.iter().zip(volumes) {
            let layout = set.sealed(contents, number, &segments)?;
            let digest = self.publish_volume(&layout, volume, to, number).await?;
            files.push(SetFile { digest, name: volume_name(&to.name, number), size: layout.total() });
        }
        let bytes = files.iter().map(|file| file.size).sum();
        if !set.is_part {
            let manifest = SetManifest::new(contents.index.id(), set.id, &set.cut, files);
            if !to.publication().publish(&manifest, to.overwrite).await? {
                return Err(exists(&to.manifest()).into());
            }
        }
        segments::forget(&set.cut, &cut_here, state);
        Ok(SentSet { bytes, reused, is_new })
    }

    /// Sends every volume; none is visible yet.
    async fn send_volumes(
        &self,
        set: &VolumeLayout,
        segments: &Segments,
        to: &Prefix,
    ) -> Result<(Vec<PendingVolume>, u64), Stop> {
        let (mut volumes, mut reused) = (Vec::new(), 0);
        for &number in &set.numbers {
            let layout = set.sealed(self.plan.contents(), number, segments)?;
            let object = to.volume(number)?;
            let (volume, there) = match self.found(&layout, &object, to.overwrite).await? {
                Some(digest) => (PendingVolume::There(digest), layout.total()),
                None => self.send_volume(&layout, &*object, number).await?,
            };
            volumes.push(volume);
            reused += there;
        }
        Ok((volumes, reused))
    }

    /// The volume that an earlier run committed, if it is there and sound.
    async fn found(&self, layout: &Layout, object: &Arc<dyn Object>, overwrite: bool) -> Result<Option<Digest>, Stop> {
        let Some(stat) = there(&**object).await? else { return Ok(None) };
        if send::is_same(&stat, layout) {
            self.progress.tell(Event::Phase(Phase::Verifying));
            let pinned = Pinned::open(Arc::clone(object)).await?;
            match send::check(pinned, layout, self.request.jobs, self.progress).await {
                Ok(digest) => return Ok(Some(digest)),
                Err(Stop::Storage(error)) => return Err(error.into()),
                Err(Stop::Blob(..) | Stop::Bundle(_)) => {}
            }
        }
        if overwrite { Ok(None) } else { Err(exists(object.location()).into()) }
    }

    /// Sends what is missing of a volume; with it the bytes that were there.
    async fn send_volume(
        &self,
        layout: &Layout,
        object: &dyn Object,
        number: u32,
    ) -> Result<(PendingVolume, u64), Stop> {
        let parts = Parts::of(layout.total(), parts::USUAL, &object.limits(), object.location())?;
        let of = layout.facts().set_id();
        let identity = format!("volume\n{of}\n{number}\n{}\n{}", parts.total(), parts.size());
        let draft =
            UploadSpec { identity: Digest::sha256(identity.as_bytes()), parts, metadata: send::metadata(layout) };
        let upload: Arc<dyn Upload> = object.upload(&draft).await?.into();
        let supply = Planned { plan: &self.plan, layout, progress: self.progress, moved: &self.moved };
        let file = FileParts::Bundle(layout);
        let sending = Sending::new(&supply, file, upload, SendMode::Put, parts, self.progress);
        let mut sending = sending.jobs(self.request.jobs).summed();
        let reused = sending.present();
        let (blobs, bytes) = (layout.blobs().len() as u64, layout.blob_bytes());
        self.progress.tell(Event::Planned { blobs, bytes, present: reused.min(bytes) });
        self.progress.tell(Event::Phase(Phase::Transferring));
        let sent = sending.run().await?;
        Ok((PendingVolume::Sent(draft, Box::new(sent)), reused))
    }

    /// Makes a volume visible; its SHA-256.
    async fn publish_volume(
        &self,
        layout: &Layout,
        volume: PendingVolume,
        to: &Prefix,
        number: u32,
    ) -> Result<Digest, Stop> {
        let (draft, sent) = match volume {
            PendingVolume::There(digest) => return Ok(digest),
            PendingVolume::Sent(draft, sent) => (draft, sent),
        };
        let object = to.volume(number)?;
        // Not held open since it was sent: a thousand volumes would be as many journals.
        let upload = object.upload(&draft).await?;
        let committed = upload.commit(&sent.notes, &Finish { overwrite: to.overwrite, md5: Some(sent.md5) }).await;
        if let Err(storage::Error::Exists { .. }) = committed
            && let Some(digest) = self.found(layout, &object, false).await?
        {
            // Another machine that writes the same volume was faster.
            return Ok(digest);
        }
        committed?;
        if let Some(sum) = sent.sum {
            return Ok(sum);
        }
        // What an earlier run sent of it did not pass by here, and the manifest needs the sum of all of it.
        let pinned = Pinned::open(object).await?;
        match send::check(pinned.clone(), layout, self.request.jobs, self.progress).await {
            Err(Stop::Blob(..) | Stop::Bundle(_)) => {
                pinned.delete().await?;
                let (what, reason) = (pinned.object().location().to_string(), "it was committed as another file");
                Err(storage::Error::Protocol { what, reason: reason.to_owned() }.into())
            }
            digest => digest,
        }
    }
}
