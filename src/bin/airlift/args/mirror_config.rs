use std::path::PathBuf;

use airlift::server::mirror::{Mirror, Runtime};
use clap::ValueEnum;

/// Print what container runtimes need to pull a bundle's artifacts from a mirror.
///
/// The artifacts keep the names that the runtimes know.
///
/// The source hosts are read from the bundle. Without --for, the files of every runtime are made.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift mirror-config bundle.tar --mirror registry.site:5000 --for podman > /etc/containers/registries.conf.d/airlift.conf
  airlift mirror-config bundle.tar --mirror http://10.0.0.5:5000 -o mirror-config")]
pub(crate) struct Args {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Where it is served: HOST:PORT (https, on loopback http), http://HOST:PORT, https://HOST:PORT/PREFIX
    #[arg(long, value_name = "ADDR")]
    pub(crate) mirror: Mirror,
    /// For one runtime only.
    #[arg(long = "for", value_name = "RUNTIME", value_enum)]
    pub(crate) runtime: Option<Target>,
    /// Write the files below this folder instead of printing them.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// Who pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    Containerd,
    K3s,
    Podman,
    Openshift,
    Docker,
}

impl From<Target> for Runtime {
    fn from(target: Target) -> Self {
        match target {
            Target::Containerd => Self::Containerd,
            Target::K3s => Self::K3s,
            Target::Podman => Self::Podman,
            Target::Openshift => Self::OpenShift,
            Target::Docker => Self::Docker,
        }
    }
}
