/// Store credentials for a registry where docker and podman find them too.
///
/// airlift tries the credentials at the registry before it stores them. It asks for the password unless you give
/// --password-stdin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift login registry.example.com -u robot
  airlift login registry.example.com -u robot --password-stdin < token.txt")]
pub(crate) struct Args {
    /// The registry: HOST or HOST:PORT.
    #[arg(value_name = "REGISTRY")]
    pub(crate) registry: String,
    /// The user name. Without this, airlift asks for it.
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// Read the password from stdin.
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}
