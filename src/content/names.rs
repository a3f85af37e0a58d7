//! The addresses of hosts, as the files of this machine say: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.
//!
//! The resolver is part of the program, since that of a static glibc needs shared libraries at run time. It is the same in
//! every build. A machine that names no name server has none: no public one is ever asked.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts, ServerOrderingStrategy},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
};
use reqwest::dns::{self, Addrs, Resolving};
use tokio::runtime;

/// The most that glibc takes of what `resolv.conf` says, so that a slip of the pen does not stop a run for hours.
const MOST_SERVERS: usize = 3;
const MOST_DOTS: u32 = 15;
const MOST_SECONDS: u32 = 30;
const MOST_ATTEMPTS: u32 = 5;

/// Answers kept, each for as long as its server says.
const CACHED: u64 = 256;

/// Why a host has no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The text is not a name.
    #[error("{host:?} is not a name of a host: {source}")]
    Malformed {
        /// What was asked for.
        host: String,
        /// What is wrong with it.
        source: hickory_resolver::proto::ProtoError,
    },
    /// The name servers know no such host.
    #[error("no such host: {host} is not in {hosts}, and the name server {servers} knows no address of it")]
    Unknown {
        /// What was asked for.
        host: String,
        /// The file of hosts.
        hosts: String,
        /// The name servers, in their order.
        servers: String,
    },
    /// There is no name server to ask.
    #[error("{host} is not in {hosts}, and {resolv_conf} names no name server")]
    NoServer {
        /// What was asked for.
        host: String,
        /// The file of hosts.
        hosts: String,
        /// The file that names the name servers.
        resolv_conf: String,
    },
    /// No name server gave an answer.
    #[error("the name server {servers} has no answer for {host}: {source}")]
    Unanswered {
        /// What was asked for.
        host: String,
        /// The name servers, in their order.
        servers: String,
        /// What happened instead.
        source: NetError,
    },
}

/// The files that say where hosts are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    /// The port of the name servers, which the files cannot say.
    port: u16,
}

impl Files {
    fn of_this_machine() -> Self {
        Self { hosts: "/etc/hosts".into(), resolv_conf: "/etc/resolv.conf".into(), port: 53 }
    }
}

/// What tells one state of a file from the next.
type Stamp = Option<(u64, SystemTime)>;

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// What the files said, for as long as they and the runtime, which owns the sockets, stay the same.
struct Kept {
    stamps: [Stamp; 2],
    runtime: runtime::Id,
    names: Arc<Names>,
}

/// The addresses of `host`, a name without a port.
///
/// # Errors
/// No file and no name server knows it.
pub(crate) async fn lookup(host: &str) -> Result<Vec<IpAddr>, Error> {
    static KEPT: Mutex<Option<Kept>> = Mutex::new(None);
    let files = Files::of_this_machine();
    let stamps = [stamp(&files.hosts), stamp(&files.resolv_conf)];
    let runtime = runtime::Handle::current().id();
    let names = {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |kept: &&Kept| kept.stamps == stamps && kept.runtime == runtime;
        if let Some(kept) = kept.as_ref().filter(is_current) {
            Arc::clone(&kept.names)
        } else {
            let names = Arc::new(Names::read(files));
            *kept = Some(Kept { stamps, runtime, names: Arc::clone(&names) });
            names
        }
    };
    names.lookup(host).await
}

/// The names of this machine, for HTTP clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MachineNames;

impl dns::Resolve for MachineNames {
    fn resolve(&self, name: dns::Name) -> Resolving {
        Box::pin(async move {
            let found = lookup(name.as_str()).await?;
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// What the files say.
struct Names {
    files: Files,
    hosts: Hosts,
    /// Their addresses, as messages name them.
    servers: String,
    /// `None` where no name server is named.
    resolver: Option<TokioResolver>,
}

impl Names {
    /// A file that is not there says nothing; a line that cannot be read is passed over, as every resolver does.
    fn read(files: Files) -> Self {
        let mut hosts = Hosts::default();
        if let Ok(file) = fs::File::open(&files.hosts)
            && let Err(error) = hosts.read_hosts_conf(file)
        {
            tracing::warn!(path = %files.hosts.display(), %error, "the file of hosts cannot be read to its end");
        }
        let text = fs::read(&files.resolv_conf).unwrap_or_default();
        let (said, unread) = resolv_conf::Config::parse_with_errors(&text);
        for error in unread {
            tracing::debug!(path = %files.resolv_conf.display(), %error, "a line is passed over");
        }
        let servers: Vec<IpAddr> = said.nameservers.iter().take(MOST_SERVERS).map(IpAddr::from).collect();
        let resolver = (!servers.is_empty()).then(|| resolver(&said, &servers, files.port)).and_then(Result::ok);
        let servers = servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Self { files, hosts, servers, resolver }
    }

    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let name = Name::from_str_relaxed(host);
        let name = name.map_err(|source| Error::Malformed { host: host.to_owned(), source })?;
        let written = self.written(&name);
        if !written.is_empty() {
            return Ok(written);
        }
        if name.is_localhost() {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let hosts = self.files.hosts.display().to_string();
        let Some(resolver) = &self.resolver else {
            let resolv_conf = self.files.resolv_conf.display().to_string();
            return Err(Error::NoServer { host: host.to_owned(), hosts, resolv_conf });
        };
        let servers = self.servers.clone();
        match resolver.lookup_ip(name).await {
            Ok(found) => Ok(reachable_first(found.iter().collect())),
            Err(source) if source.is_nx_domain() || source.is_no_records_found() => {
                Err(Error::Unknown { host: host.to_owned(), hosts, servers })
            }
            Err(source) => Err(Error::Unanswered { host: host.to_owned(), servers, source }),
        }
    }

    /// What the file of hosts says. If it says anything of a host, no server is asked, not even for the other family.
    fn written(&self, name: &Name) -> Vec<IpAddr> {
        let kinds = [RecordType::A, RecordType::AAAA];
        let found = kinds.into_iter().filter_map(|kind| {
            let lookup = self.hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
            Some(lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
        });
        found.flatten().collect()
    }
}

fn resolver(said: &resolv_conf::Config, servers: &[IpAddr], port: u16) -> Result<TokioResolver, NetError> {
    let servers = servers.iter().map(|&ip| {
        let mut server = if said.use_vc { NameServerConfig::tcp(ip) } else { NameServerConfig::udp_and_tcp(ip) };
        server.connections.iter_mut().for_each(|connection| connection.port = port);
        server
    });
    let mut search: Vec<String> = said.get_last_search_or_domain().map(ToOwned::to_owned).collect();
    if search.is_empty() {
        // That of the machine's own name.
        search.extend(said.get_system_domain());
    }
    let search = search.iter().filter_map(|domain| Name::from_str_relaxed(domain).ok()).collect();
    let config = ResolverConfig::from_parts(None, search, servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options(said);
    builder.build()
}

fn options(said: &resolv_conf::Config) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.ndots = said.ndots.min(MOST_DOTS) as usize;
    options.timeout = Duration::from_secs(said.timeout.clamp(1, MOST_SECONDS).into());
    // Tries beyond the first.
    options.attempts = said.attempts.clamp(1, MOST_ATTEMPTS) as usize - 1;
    options.edns0 = said.edns0;
    options.ip_strategy = if said.no_aaaa { LookupIpStrategy::Ipv4Only } else { LookupIpStrategy::Ipv6AndIpv4 };
    options.cache_size = CACHED;
    options.use_hosts_file = ResolveHosts::Never;
    // One after the other in their order: the second one may be a public server, which does not know the inner hosts.
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy =
        if said.rotate { ServerOrderingStrategy::RoundRobin } else { ServerOrderingStrategy::UserProvidedOrder };
    options
}

/// Addresses that no route leads to come last: a machine without IPv6 goes to the others at once.
fn reachable_first(mut found: Vec<IpAddr>) -> Vec<IpAddr> {
    found.sort_by_key(|&ip| !has_route(ip));
    found
}

/// Nothing is sent: the system looks for a route when a socket for datagrams is given its peer.
fn has_route(ip: IpAddr) -> bool {
    let own: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((own, 0)).and_then(|socket| socket.connect((ip, 53))).is_ok()
}

#[cfg(test)]
mod tests;
