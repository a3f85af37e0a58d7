//! Which artifacts a run takes, and which parts of them.

use std::path::PathBuf;

use airlift::oci::Platform;
use clap::ValueEnum;

/// What becomes of non-distributable layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ForeignChoice {
    #[default]
    Include,
    Skip,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Chosen {
    /// Artifacts to take: registry/repo:tag, registry/repo@sha256:…, or repo (means repo:latest)
    ///
    /// `file:PATH[=REPOSITORY:TAG]` makes an artifact of a file or a folder; several with one name are one artifact.
    /// `chart:URL#NAME@VERSION` makes one of a chart in a chart repository, `chart:PATH` of a packed chart.
    #[arg(value_name = "ARTIFACT", group = "chosen")]
    pub(crate) artifacts: Vec<String>,
    /// Read artifacts from this file; '-' reads stdin.
    ///
    /// Write one artifact a line (# starts a comment), or YAML or JSON: a list, or {registry: HOST, artifacts: [...]}.
    #[arg(short, long, value_name = "FILE", group = "chosen")]
    pub(crate) file: Vec<PathBuf>,
    /// The registry of artifacts that are named without one [default: docker.io]
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Option<String>,
    /// Refuse to take more artifacts than this.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) max_artifacts: usize,
    /// Take only this platform; repeatable. Indexes keep their digests [default: all platforms]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Vec<Platform>,
    /// Whether to take non-distributable layers.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(crate) foreign: ForeignChoice,
    /// Leave out signatures, SBOMs and attestations.
    #[arg(long)]
    pub(crate) no_referrers: bool,
}
