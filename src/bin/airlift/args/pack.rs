use std::path::PathBuf;

use airlift::bundle::volume::Size;
use clap::value_parser;

/// Pack a bundle into fewer bytes, for a slow link or a small disc.
///
/// A packed file codes one bundle. verify, inspect, import, copy and serve read it directly, and `airlift unpack` writes the same
/// bundle again, byte for byte. Layers are decompressed, compressed together, and compressed again by the encoder that made
/// them when they are read, so digests, signatures and names stay as they are. What no known encoder makes is stored as it is.
/// airlift decodes everything that it wrote before the packed file gets its name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift pack bundle.tar -o bundle.pack
  airlift pack bundle.tar --estimate
  airlift pack bundle.tar -o bundle.pack --level 19
  airlift pack bundle.tar -o discs/bundle.pack --volume-size dvd
  airlift pack june.tar --base may.tar -o june.pack")]
pub(crate) struct Args {
    /// The bundle to pack: a path, an Azure blob URL, az://, s3:// or gs://.
    pub(crate) bundle: PathBuf,
    /// The packed file.
    #[arg(short, long, value_name = "FILE", required_unless_present = "estimate", conflicts_with = "estimate")]
    pub(crate) output: Option<PathBuf>,
    /// Write volumes of at most this size instead of one file: 4GiB, 700MB, fat32, dvd, dvd-dl, bd, bd-dl.
    ///
    /// FILE names the folder and the file names: of NAME.pack the volumes are NAME.vol001.pack, NAME.vol002.pack and so on. To
    /// read them, put all of them into one folder and name any of them.
    #[arg(long, value_name = "SIZE", conflicts_with = "estimate")]
    pub(crate) volume_size: Option<Size>,
    /// A bundle whose layers the receiver has. Layers are coded against them, and the receiver needs them to read the packed file; repeatable.
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) base: Vec<PathBuf>,
    /// Print what packing would save, layer by layer, and write nothing. This takes as long as packing.
    #[arg(long)]
    pub(crate) estimate: bool,
    /// The memory that reading the packed file may take. Less memory makes the file larger. Packing keeps to it too, but for high
    /// levels, of which one frame at a time takes up to 1 GiB.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) memory: Size,
    /// The level of zstd, from 1 to 22. Higher levels are slower to pack and as fast to read.
    #[arg(long, value_name = "N", default_value_t = airlift::pack::LEVEL, value_parser = value_parser!(i32).range(1..=22))]
    pub(crate) level: i32,
    /// Replace an existing file. Without this, an existing file is an error and stays as it is.
    #[arg(long)]
    pub(crate) overwrite: bool,
    #[command(flatten)]
    pub(crate) jobs: super::Jobs,
}
