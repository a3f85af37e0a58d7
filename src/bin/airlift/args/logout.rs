/// Remove the stored credentials of a registry.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  airlift logout registry.example.com")]
pub(crate) struct Args {
    /// The registry: HOST or HOST:PORT.
    #[arg(value_name = "REGISTRY", value_parser = super::login::registry)]
    pub(crate) registry: String,
}
