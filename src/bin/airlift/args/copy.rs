use std::path::PathBuf;

/// Copy a bundle, read the copy back and compare it.
///
/// If a copy is interrupted, run the same command again to resume it. To copy a whole set of volumes with its recovery data,
/// name its folder, its set manifest or any of its volumes, and give a folder, container or prefix as DST. To copy a single
/// volume, give DST a file name. The bundle in a packed file is checked, too; for one that was packed against other bundles,
/// name those with --base.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift copy bundle.tar /mnt/usb/bundle.tar
  airlift copy /mnt/usb/bundle.tar ./bundle.tar --delete-source
  airlift copy s3://bucket/bundle.tar az://account/container/bundle.tar
  airlift copy discs az://account/container/2026-11")]
pub(crate) struct Args {
    /// The bundle or set to copy: a path, an Azure blob URL, az://, s3:// or gs://.
    #[arg(value_name = "SRC")]
    pub(crate) from: PathBuf,
    /// The destination: a file or folder, or an object, container, bucket or prefix (PREFIX/) in a storage.
    #[arg(value_name = "DST")]
    pub(crate) to: PathBuf,
    /// Replace an existing file. Without this, an existing file is an error and stays as it is.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Remove the source after the copy was verified.
    #[arg(long)]
    pub(crate) delete_source: bool,
    /// Accept S3's SHA-256 checksum instead of reading the copy back.
    ///
    /// This has no effect on files, Azure and Google: airlift always reads those copies back, since their checksums are weaker.
    #[arg(long)]
    pub(crate) trust_checksums: bool,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
    #[command(flatten)]
    pub(crate) record: super::RecordTo,
}
