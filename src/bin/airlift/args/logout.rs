/// Forget the credentials of a registry.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  airlift logout registry.example.com")]
pub(crate) struct Args {
    /// The registry's host, with its port if any.
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,
}
