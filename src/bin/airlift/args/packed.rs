use std::path::PathBuf;

use airlift::bundle::volume::Size;

/// How packed bundles are read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PackedRead {
    /// A bundle that holds the layers against which a packed bundle was packed; repeatable.
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) base: Vec<PathBuf>,
    /// The memory that reading a packed bundle may take.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) memory: Size,
}
