use std::path::PathBuf;

/// Copy a bundle and prove the copy equal by reading it back.
///
/// A copy that was stopped goes on with the same command. A set of volumes, by its folder, its manifest or a volume of it, is
/// copied whole into a folder, a container or a prefix, with its recovery data; a volume that is given a name is copied alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift copy bundle.tar /mnt/usb/bundle.tar
  airlift copy /mnt/usb/bundle.tar ./bundle.tar --delete-source
  airlift copy s3://bucket/bundle.tar az://account/container/bundle.tar
  airlift copy discs az://account/container/2026-11")]
pub(crate) struct Args {
    /// The bundle or the set: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "SRC")]
    pub(crate) from: PathBuf,
    /// Where to: a file or folder, or a name, container, bucket or prefix (PREFIX/) of a storage.
    #[arg(value_name = "DST")]
    pub(crate) to: PathBuf,
    /// Replace what is there; otherwise that is refused, and nothing is touched.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Remove the source once the copy is proven.
    #[arg(long)]
    pub(crate) delete_source: bool,
    /// Do not read the copy back where the storage's own checksum proves it: a SHA-256, as S3 keeps it.
    ///
    /// Files are always read back, and so is what lies in Azure and Google, whose checksums are weaker.
    #[arg(long)]
    pub(crate) trust_checksums: bool,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
}
