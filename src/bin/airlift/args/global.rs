//! Options that every command takes.

use std::path::PathBuf;

use clap::ValueEnum;

/// How a run shows its progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Bars: total, rate, time left, the current blobs.
    Bars,
    /// A line from time to time, for logs.
    Lines,
    /// JSON lines on stderr: `{"v":1,"event":…}`.
    Json,
    /// Nothing.
    None,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How to show progress on stderr.
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t, hide_possible_values = true)]
    #[arg(help = "Progress on stderr: auto, bars, lines, json or none")]
    pub(crate) progress: ProgressChoice,
    /// Print results as JSON to stdout, and errors as JSON to stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no status to stderr, only errors. Results are still printed to stdout.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log to stderr: error, warn, info, debug, or filters such as `airlift=debug,hyper=info`. Builds for development have trace, too.
    #[arg(long, global = true, value_name = "LEVEL", env = "AIRLIFT_LOG", hide_env_values = true)]
    pub(crate) log: Option<String>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How to reach registries, and with which credentials.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct Registry {
    /// Also trust the certificates in this PEM file, for registries, storages and vaults; repeatable.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_cert: Vec<PathBuf>,
    /// Present this client certificate (PEM) to registries.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) client_cert: Option<PathBuf>,
    /// The private key (PEM) of --client-cert.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) client_key: Option<PathBuf>,
    /// Do not verify the TLS certificates of the registries named on this command line.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) insecure: bool,
    /// Use http for this host; repeatable. Not needed for localhost and other loopback addresses.
    #[arg(long, global = true, value_name = "HOST", hide_short_help = true)]
    pub(crate) plain_http: Vec<String>,
    /// Allow redirects, token endpoints and layer URLs to lead to this host although its address is private.
    #[arg(long, global = true, value_name = "HOST", hide_short_help = true)]
    pub(crate) allow_host: Vec<String>,
    /// Read credentials from this file (docker's config.json or podman's auth.json).
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) authfile: Option<PathBuf>,
}
