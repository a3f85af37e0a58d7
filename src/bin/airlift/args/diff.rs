use airlift::transfer::delta::open::BaseLocation;

/// Show which artifacts differ between two places.
///
/// A and B are bundles, heads, receipts, OCI layouts or stores; one of them may be a registry, which is asked for the artifacts of
/// the other.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift diff november.tar december.tar
  airlift diff november.head december.tar --json
  airlift diff receipt.json registry.site:5000/mirror")]
pub(crate) struct Args {
    /// The place before.
    #[arg(value_name = "A")]
    pub(crate) from: BaseLocation,
    /// The place after.
    #[arg(value_name = "B")]
    pub(crate) to: BaseLocation,
}
