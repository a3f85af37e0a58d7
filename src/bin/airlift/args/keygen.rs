use std::path::PathBuf;

/// Make a key to sign bundles with: NAME.key and NAME.pub.
///
/// The key is P-256, which cosign reads too. Keep NAME.key; give NAME.pub to those who receive your bundles.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift keygen -o ops
  AIRLIFT_KEY_PASSWORD=... airlift keygen -o ops --encrypt")]
pub(crate) struct Args {
    /// The name of both files, without an extension.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) output: PathBuf,
    /// Encrypt the private key with the password in `AIRLIFT_KEY_PASSWORD`, or ask for one.
    #[arg(long)]
    pub(crate) encrypt: bool,
}
