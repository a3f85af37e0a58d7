use std::path::PathBuf;

use airlift::{bundle::volume::Size, oci::Platform, recovery::Percent};
use clap::ValueEnum;

/// What becomes of non-distributable layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Foreign {
    #[default]
    Include,
    Skip,
}

/// Pack artifacts into a bundle.
///
/// Every artifact is resolved first: its index, platforms, signatures, SBOMs and attestations. Then each blob is fetched
/// once, verified, and written to its place. A run that was stopped goes on with the same command.
#[derive(Debug, clap::Args)]
#[command(override_usage = "\
airlift export [OPTIONS] -o DEST <ARTIFACT>...
       airlift export [OPTIONS] -o DEST -f FILE")]
#[command(after_help = "\
Examples:
  airlift export docker.io/library/alpine:3 ghcr.io/team/app@sha256:… -o bundle.tar
  airlift export -f artifacts.txt --registry registry.example.com -o /mnt/usb/bundle.tar --report report.json
  airlift export -f artifacts.txt -o bundle.tar --recovery 10%
  airlift export -f artifacts.txt -o discs/release --volume-size dvd
  airlift export -f artifacts.txt -o s3://bucket/2026-11/release --volume-size 4GiB
  airlift export alpine:3 -o - | ssh far 'cat > bundle.tar'")]
pub(crate) struct Args {
    /// registry/repo:tag, registry/repo@sha256:…, or repo (then :latest)
    #[arg(value_name = "ARTIFACT", required_unless_present = "file")]
    pub(crate) artifacts: Vec<String>,
    /// Artifacts from a file; '-' is stdin.
    ///
    /// One a line (# comments), or YAML/JSON: a list, or {registry: HOST, artifacts: [...]}.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// The registry of artifacts that name none [default: docker.io, as every tool has it]
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// Where the bundle goes: a path, an Azure blob URL, az://, s3:// or gs://, or '-' for stdout.
    #[arg(short, long, value_name = "DEST")]
    pub(crate) output: PathBuf,
    /// Most artifacts of one run.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) max_artifacts: usize,
    /// Keep only this platform; may be given several times. Indexes keep their bytes and digests [default: all]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Vec<Platform>,
    /// Non-distributable layers.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(crate) foreign: Foreign,
    /// Without signatures, SBOMs and attestations.
    #[arg(long)]
    pub(crate) no_referrers: bool,
    /// Write a set of volumes of at most this size instead of one file: 4GiB, 700MB, fat32, dvd, dvd-dl, bd, bd-dl.
    ///
    /// They go into the folder of DEST, here or in a storage, and are called NAME.vol001.tar and so on, after DEST; with them
    /// go NAME.set.json and SHA256SUMS, for `sha256sum -c`. Each volume can be read alone.
    #[arg(long, value_name = "SIZE")]
    pub(crate) volume_size: Option<Size>,
    /// Make this volume of the set alone, once more: the same bytes, if the artifacts are the same.
    #[arg(long, value_name = "N", requires = "volume_size", conflicts_with = "recovery")]
    pub(crate) only_volume: Option<u32>,
    /// Replace an existing bundle; otherwise that is refused, and nothing is touched.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Add recovery data: this many per cent of the bundle may be lost and are rebuilt by `airlift repair`.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) recovery: Option<Percent>,
    #[command(flatten)]
    pub(crate) transfer: super::Transfer,
}
