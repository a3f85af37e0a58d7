use std::path::PathBuf;

/// Serve bundles in place as a registry, or a store that accepts pushes.
///
/// Clients can pull an artifact as library/nginx and as docker.io/library/nginx. airlift reads it directly from the bundle
/// and verifies each blob when it is first read. With --store, clients can push too.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a switch is a bool")]
#[command(after_help = "\
Examples:
  airlift serve bundle.tar
  airlift serve base.tar update.tar --listen 0.0.0.0:5000 --tls-cert cert.pem --tls-key key.pem
  airlift serve --store /var/lib/airlift")]
pub(crate) struct Args {
    /// Bundles to serve. If two bundles have the same tag, the later one wins.
    #[arg(value_name = "BUNDLE", required_unless_present = "store")]
    pub(crate) bundles: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
    /// Accept pushes into this folder and serve its content too. It takes precedence over the bundles.
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// The address to listen on. Port 0 picks a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000", value_parser = address)]
    pub(crate) listen: String,
    /// Refuse all changes, to the store too.
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Refuse to delete tags, manifests and blobs.
    #[arg(long)]
    pub(crate) no_delete: bool,
    /// Accept manifests that name missing content, such as an index without some of its platforms.
    #[arg(long)]
    pub(crate) allow_sparse: bool,
    /// Verify all bundles before the first request is answered.
    #[arg(long)]
    pub(crate) verify_on_start: bool,
    /// Use TLS with this certificate chain (PEM). SIGHUP reloads it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key (PEM) of --tls-cert.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Accept only the users of this file, made by `htpasswd -B`. SIGHUP reloads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) htpasswd: Option<PathBuf>,
    /// What each user may do, as YAML: users: {ann: {pull: "**", push: "team/**"}}, anonymous: {pull: "public/**"}.
    ///
    /// Actions are pull, push (which includes pull) and delete; "*" as a user is everybody who has logged in. In a pattern *
    /// stands for any characters of one part of a repository's name, ** for one part or more. What no line allows is
    /// refused. SIGHUP reads it again.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Let no tag be moved, and nothing be deleted.
    #[arg(long)]
    pub(crate) immutable_tags: bool,
    /// Refuse blobs that are larger, such as 20GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_upload: Option<u64>,
    /// The address that clients use where a TLS proxy stands in front, such as `https://registry.example.com`.
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pub(crate) public_url: Option<String>,
    /// Let in only clients with a certificate of one of these authorities (PEM); SIGHUP reads it again.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) client_ca: Option<PathBuf>,
}

/// Checks the form of an address. Whether this machine has the address shows when the server listens.
fn address(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = !host.is_empty() && (bare.is_some() || !host.contains(':'));
    if !is_host || port.parse::<u16>().is_err() {
        return Err("write HOST:PORT, such as 127.0.0.1:5000, 0.0.0.0:5000 for all of this machine, or [::1]:5000");
    }
    Ok(text.to_owned())
}

fn size(text: &str) -> Result<u64, &'static str> {
    let size = text.parse::<bytesize::ByteSize>().map_err(|_| "write a number of bytes, such as 500MB or 20GiB")?;
    if size.as_u64() == 0 { Err("no blob fits into 0 bytes") } else { Ok(size.as_u64()) }
}

/// Clients look for a registry at the root of its host, so a path would lead nowhere.
fn public_url(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return Err("write https://HOST or https://HOST:PORT, without a path");
    }
    Ok(text.trim_end_matches('/').to_owned())
}
