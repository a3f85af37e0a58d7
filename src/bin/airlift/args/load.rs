use std::path::PathBuf;

use airlift::{load::LoadTarget, oci::Platform, transfer::choice::NamePattern};

/// Load images of a bundle into the container runtime of this machine.
///
/// No registry is needed. The images have their own names and digests afterwards, and airlift asks the runtime for them. containerd and
/// k3s import the images; docker and podman pull them from the bundle, which airlift serves to this machine meanwhile. Charts, files
/// and signatures are left out. Without ARTIFACT, airlift loads every image for the platform.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift load bundle.tar --into podman
  airlift load /mnt/usb/bundle.tar library/nginx 'quay.io/*' --into containerd
  airlift load bundle.tar --into k3s
  airlift load bundle.tar --into /var/lib/rancher/k3s/agent/images")]
pub(crate) struct Args {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Images to load, with or without registry and tag; '*' stands for any characters.
    #[arg(value_name = "ARTIFACT")]
    pub(crate) artifacts: Vec<NamePattern>,
    /// docker, podman, containerd or k3s; or a folder for one archive, which k3s and RKE2 import when they start.
    #[arg(long, value_name = "docker|podman|containerd|k3s|DIR")]
    pub(crate) into: LoadTarget,
    /// The socket of the runtime, if it is not the usual one.
    #[arg(long, value_name = "SOCKET")]
    pub(crate) address: Option<String>,
    /// The namespace of containerd [default: k8s.io, which Kubernetes uses]
    #[arg(long, value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// Load images for this platform [default: that of this machine]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
    #[command(flatten)]
    pub(crate) record: super::RecordTo,
}
