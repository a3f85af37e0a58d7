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
    #[arg(value_name = "REGISTRY", value_parser = registry)]
    pub(crate) registry: String,
    /// The user name. Without this, airlift asks for it.
    #[arg(short, long, value_name = "USER")]
    pub(crate) username: Option<String>,
    /// Read the password from stdin.
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}

/// The name of a registry, also as browsers write it.
pub(super) fn registry(text: &str) -> Result<String, String> {
    if let Some(host) = text.strip_prefix("http://") {
        let host = host.trim_end_matches('/');
        return Err(format!("write it without http://, and allow http: {host} --plain-http {host}"));
    }
    let name = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    // As docker's own file names the Docker Hub.
    let name = if name == "index.docker.io/v1" { "docker.io" } else { name };
    if name.is_empty() || name.contains(['/', ' ', '@', '?']) {
        return Err("expected HOST or HOST:PORT, such as registry.example.com:5000".to_owned());
    }
    Ok(name.to_owned())
}
