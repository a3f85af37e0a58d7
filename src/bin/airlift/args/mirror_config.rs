use std::path::PathBuf;

use airlift::{
    server::mirror::{Mirror, Runtime},
    transfer::destination::Rule,
};
use clap::ValueEnum;

/// Print what makes container runtimes pull a bundle's artifacts from a mirror.
///
/// The runtimes go on using the original names, such as docker.io/library/nginx.
///
/// airlift reads the source registries from the bundle. Give --prefix, --keep-host and --map as for the import. Without them
/// the files fit `airlift serve` and an import without options. Without --for, it prints the files of every runtime.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift mirror-config bundle.tar --mirror registry.site:5000 --for podman > /etc/containers/registries.conf.d/airlift.conf
  airlift mirror-config bundle.tar --mirror http://10.0.0.5:5000 -o mirror-config")]
pub(crate) struct Args {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The address of the mirror: HOST:PORT (https, on loopback http), http://HOST:PORT, https://HOST:PORT/PREFIX
    #[arg(long, value_name = "ADDR")]
    pub(crate) mirror: Mirror,
    /// The prefix of the repositories, as in `import --to REGISTRY/PREFIX`.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// The import used --keep-host.
    #[arg(long)]
    pub(crate) keep_host: bool,
    /// A --map of the import; may be given several times, in the order of the import.
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) map: Vec<Rule>,
    /// Print the files of this runtime only.
    #[arg(long = "for", value_name = "RUNTIME", value_enum)]
    pub(crate) runtime: Option<ContainerRuntime>,
    /// Write the files into this folder instead of printing them.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

/// A container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ContainerRuntime {
    Containerd,
    K3s,
    Podman,
    Openshift,
    Docker,
}

impl From<ContainerRuntime> for Runtime {
    fn from(target: ContainerRuntime) -> Self {
        match target {
            ContainerRuntime::Containerd => Self::Containerd,
            ContainerRuntime::K3s => Self::K3s,
            ContainerRuntime::Podman => Self::Podman,
            ContainerRuntime::Openshift => Self::OpenShift,
            ContainerRuntime::Docker => Self::Docker,
        }
    }
}
