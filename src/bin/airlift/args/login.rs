/// Store credentials for a registry, where docker and podman find them too.
///
/// The credentials are tried at the registry first. Without --password-stdin the password is asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift login registry.example.com -u robot
  airlift login registry.example.com -u robot --password-stdin < token.txt")]
pub(crate) struct Args {
    /// The registry's host, with its port if any.
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,
    /// Who to be; asked for if not given.
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// Read the password from stdin.
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}
