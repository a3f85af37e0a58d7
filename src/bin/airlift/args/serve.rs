use std::path::PathBuf;

/// Be a registry: bundles in place, a read-write store, or both.
///
/// A bundle's artifacts are served as library/nginx and as docker.io/library/nginx, straight out of the file: nothing is
/// unpacked, and every blob is verified when it is first read. With --store, pushes are taken too.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a switch is a bool")]
#[command(after_help = "\
Examples:
  airlift serve bundle.tar
  airlift serve base.tar update.tar --listen 0.0.0.0:5000 --tls-cert cert.pem --tls-key key.pem
  airlift serve --store /var/lib/airlift")]
pub(crate) struct Args {
    /// Bundles; of two with the same tag the later one wins.
    #[arg(value_name = "BUNDLE", required_unless_present = "store")]
    pub(crate) bundles: Vec<PathBuf>,
    /// Take pushes into this folder, and serve what it has, above the bundles.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000", value_parser = address)]
    pub(crate) listen: String,
    /// Refuse every change, also to the store.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Refuse to delete tags, manifests and blobs.
    #[arg(long)]
    pub(crate) no_delete: bool,
    /// Take manifests that name content which was not pushed, such as indexes of which some platforms are left out.
    #[arg(long)]
    pub(crate) allow_sparse: bool,
    /// Read all bundles and compare every digest before the first answer.
    #[arg(long)]
    pub(crate) verify_on_start: bool,
    /// Speak TLS with this certificate chain (PEM); SIGHUP reads it again.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key (PEM) of --tls-cert.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Let in only the users of this file, made by `htpasswd -B`; SIGHUP reads it again.
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
}

/// Whether it has the form of an address; whether this machine has it is seen when it is listened on.
fn address(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = !host.is_empty() && (bare.is_some() || !host.contains(':'));
    if !is_host || port.parse::<u16>().is_err() {
        return Err("write HOST:PORT, such as 127.0.0.1:5000, 0.0.0.0:5000 for all of this machine, or [::1]:5000");
    }
    Ok(text.to_owned())
}
