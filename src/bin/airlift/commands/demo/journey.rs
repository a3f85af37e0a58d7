//! The stations of the journey, each by the call that the command of that name makes.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use airlift::{
    bundle::Reader,
    content::{Code, Referrers},
    oci::Reference,
    progress::Progress,
    registry::Client,
    storage::{Location, Settings},
    transfer::{
        Opened,
        copy::{self, CopyReport, CopyRequest},
        destination::RegistryPrefix,
        export, import,
        report::Report,
        verify::{Finding, Verification, verify},
    },
};
use serde::Serialize;

use super::{
    samples::{Sample, samples},
    site::{self, Site, VENDOR},
};
use crate::{
    failure::CommandError,
    mistake::Mistake,
    output::{count, report, size},
};

/// Transfers and threads at once.
const JOBS: usize = 4;

/// What came of the journey.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    exported: Report,
    copied_bytes: u64,
    verified_blobs: u64,
    damage_found: &'static str,
    imported: Report,
    target: Vec<HeldContent>,
}

/// What the target holds under a name.
#[derive(Debug, Serialize)]
struct HeldContent {
    name: String,
    digest: String,
    attached: usize,
}

/// Goes all the way, working in `folder`, and reports each station by `say`.
pub(super) async fn run(client: &Client, folder: &Path, say: impl Fn(String)) -> Result<Summary, CommandError> {
    let (source, target) = (Site::start(&folder.join("source")).await?, Site::start(&folder.join("target")).await?);
    let summary = Journey { client, folder, source: &source, target: &target, say: &say }.go().await;
    source.stop().await;
    target.stop().await;
    summary
}

struct Journey<'a, S> {
    client: &'a Client,
    folder: &'a Path,
    source: &'a Site,
    target: &'a Site,
    say: &'a S,
}

impl<S: Fn(String)> Journey<'_, S> {
    async fn go(&self) -> Result<Summary, CommandError> {
        let samples = samples(&format!("http://{}/v2/{VENDOR}/blobs", self.source.address()));
        self.source.load(self.client, &samples).await?;
        self.tell("source", &format!("a registry at {} holds", self.source.address()));
        for sample in &samples {
            let tag = sample.tag.as_ref().map_or_else(String::new, |tag| format!(":{:.24}", tag.as_str()));
            self.detail(&format!("{:<44} {}", format!("{}{tag}", sample.repository), sample.title));
        }
        let (bundle, exported) = self.export(&samples).await?;
        let copied = self.copy(&bundle, "stick.tar").await?;
        let verified = self.verify(&self.folder.join("stick.tar")).await?;
        let damage = self.damage(&bundle).await?;
        let imported = self.import(&self.folder.join("stick.tar")).await?;
        let target = self.list().await?;
        Ok(Summary {
            exported,
            copied_bytes: copied.bytes,
            verified_blobs: verified.blobs,
            damage_found: damage.token(),
            imported,
            target,
        })
    }

    fn tell(&self, station: &str, text: &str) {
        (self.say)(format!("{station:<8} {text}"));
    }

    fn detail(&self, text: &str) {
        (self.say)(format!("{:<8}   {text}", ""));
    }

    async fn export(&self, samples: &[Sample]) -> Result<(PathBuf, Report), CommandError> {
        // What is attached to an artifact is not asked for: it comes along.
        let named =
            samples.iter().filter(|sample| sample.tag.as_ref().is_some_and(|tag| !tag.as_str().starts_with("sha256-")));
        let artifacts: Result<Vec<Reference>, _> = named
            .filter_map(|sample| {
                Some(format!("{}/{}:{}", self.source.address(), sample.repository, sample.tag.as_ref()?))
            })
            .map(|reference| reference.parse())
            .collect();
        let request = export::Request::new(artifacts.map_err(|source| Mistake::Reference { source })?);
        let path = self.folder.join("bundle.tar");
        let to = export::Destination::File { path: path.clone(), overwrite: true };
        let report = export::run(self.client, &request, to, &Progress::silent()).await.map_err(report::failure)?;
        let attached: u64 = report.artifacts.iter().map(|artifact| artifact.attached).sum();
        self.tell(
            "export",
            &format!(
                "{} and {attached} attached to them, {} moved, into bundle.tar of {}",
                count(report.artifacts.len(), "artifact"),
                size(report.bytes_moved),
                size(report.output_bytes.unwrap_or_default())
            ),
        );
        Ok((path, report))
    }

    async fn copy(&self, bundle: &Path, name: &str) -> Result<CopyReport, CommandError> {
        let (from, to) = (Location::Path(bundle.to_owned()), Location::Path(self.folder.join(name)));
        let mut request = CopyRequest::new(from, to);
        request.overwrite = true;
        let report = copy::copy(&request, &Settings::default(), &Progress::silent()).await?;
        let digest = report.file.map(|digest| digest.hex()).unwrap_or_default();
        self.tell("copy", &format!("bundle.tar to {name}, read back and equal: sha256 {digest:.16}…"));
        Ok(report)
    }

    async fn verify(&self, bundle: &Path) -> Result<Verification, CommandError> {
        let found = verify(&Reader::open(bundle).await?, JOBS, &Progress::silent()).await?;
        if let Some(finding) = found.findings.first() {
            return Err(Mistake::Demo { what: finding.message.clone() }.into());
        }
        self.tell("verify", &format!("stick.tar: {} of {}, all sound", count_blobs(&found), size(found.bytes)));
        Ok(found)
    }

    /// Flips one bit of a copy, in the middle of the largest layer, and shows that it is found.
    async fn damage(&self, bundle: &Path) -> Result<Code, CommandError> {
        let damaged = self.folder.join("damaged.tar");
        let io = |source| Mistake::Write { path: damaged.clone(), source };
        std::fs::copy(bundle, &damaged).map_err(io)?;
        let reader = Reader::open(bundle).await?;
        let layers = reader.layout().map(airlift::bundle::Layout::blobs).unwrap_or_default();
        let at = layers.iter().max_by_key(|place| place.whole).map_or(0, |place| place.offset + place.whole / 2);
        flip(&damaged, at).map_err(io)?;
        let found = verify(&Reader::open(&damaged).await?, JOBS, &Progress::silent()).await?;
        let Some(Finding { code, message, artifacts, .. }) = found.findings.first() else {
            return Err(Mistake::Demo { what: "the flipped bit was not found".to_owned() }.into());
        };
        self.tell("damage", &format!("one bit of another copy flipped, at byte {at}; verify says"));
        self.detail(code.token());
        for artifact in artifacts {
            self.detail(&format!("of {artifact}"));
        }
        // Two digests of 71 characters do not fit on a line.
        for line in message.replacen(" has ", "\nhas ", 1).lines() {
            self.detail(line);
        }
        Ok(*code)
    }

    async fn import(&self, bundle: &Path) -> Result<Report, CommandError> {
        let opened = Opened::open(&Location::Path(bundle.to_owned()), &Settings::default()).await?;
        let to = RegistryPrefix { registry: self.target.address().to_owned(), prefix: None };
        let request = import::Request::new(to);
        let report =
            import::run(self.client, &[opened], &request, &Progress::silent()).await.map_err(report::failure)?;
        self.tell(
            "import",
            &format!("stick.tar into the registry at {}, {} moved", self.target.address(), size(report.bytes_moved)),
        );
        Ok(report)
    }

    /// What now lives in the target, asked of the target.
    async fn list(&self) -> Result<Vec<HeldContent>, CommandError> {
        self.tell("target", "which now holds");
        let mut held = Vec::new();
        let samples = samples("");
        let repositories: BTreeSet<_> = samples.iter().map(|sample| sample.repository).collect();
        for repository in repositories {
            for (tag, manifest) in site::list(self.client, self.target.address(), repository).await? {
                let place = self.client.repository(self.target.address(), repository);
                let attached = place.referrers(&manifest.digest()).await?.len();
                let name = format!("{repository}:{tag}");
                let more = if attached > 0 { format!("  + {attached} attached") } else { String::new() };
                self.detail(&format!("{:<44} {:.19}…{more}", format!("{name:.44}"), manifest.digest().to_string()));
                held.push(HeldContent { name, digest: manifest.digest().to_string(), attached });
            }
        }
        Ok(held)
    }
}

fn count_blobs(found: &Verification) -> String {
    count(usize::try_from(found.blobs).unwrap_or(usize::MAX), "blob")
}

fn flip(path: &Path, at: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)
}
