//! Options that every command takes.

use std::path::PathBuf;

use clap::ValueEnum;

/// How a run tells of itself while it works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Bars: total, rate, time left, the current blobs.
    Bars,
    /// A line now and then, for logs.
    Lines,
    /// JSON lines on stderr: `{"v":1,"event":…}`.
    Json,
    /// Nothing.
    None,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// How to tell of progress, on stderr.
    #[arg(long, global = true, value_name = "HOW", value_enum, default_value_t, hide_possible_values = true)]
    #[arg(help = "Progress on stderr: auto, bars, lines, json or none")]
    pub(crate) progress: Progress,
    /// Print results as JSON on stdout, and an error as JSON on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No status on stderr, only errors; results are printed still.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log to stderr: error, warn, info, debug, trace, or filters such as `airlift=debug,hyper=info`.
    #[arg(long, global = true, value_name = "LEVEL", env = "AIRLIFT_LOG", hide_env_values = true)]
    pub(crate) log: Option<String>,
    #[command(flatten)]
    pub(crate) registry: Registry,
}

/// How registries are reached and who we are there.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct Registry {
    /// Trust the certificate authorities in this PEM file too, also for Azure's storages and vaults; may be given several times.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_cert: Vec<PathBuf>,
    /// Present this client certificate (PEM) to registries.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) client_cert: Option<PathBuf>,
    /// The private key (PEM) of --client-cert.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) client_key: Option<PathBuf>,
    /// Do not check the TLS certificates of the registries named on this command line.
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) insecure: bool,
    /// Speak http with this host; may be given several times. Loopback hosts need it not.
    #[arg(long, global = true, value_name = "HOST", hide_short_help = true)]
    pub(crate) plain_http: Vec<String>,
    /// Let redirects, token endpoints and layer URLs lead to this host though its address is private.
    #[arg(long, global = true, value_name = "HOST", hide_short_help = true)]
    pub(crate) allow_host: Vec<String>,
    /// Read credentials from this file (docker's config.json or podman's auth.json).
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) authfile: Option<PathBuf>,
}
