//! Which addresses a registry may send us to.
//!
//! A redirect, a token realm, an upload location, a `Link` or a foreign layer's `urls` is text from a peer. Public
//! addresses are fine; private, loopback and link-local ones are only for hosts that the person named, by asking for a
//! registry there or by [`super::Settings::named_hosts`] (CVE-2020-15157 and its kin). A host that is named may be
//! reached at any port: to name a machine is to mean its services, and a port proves nothing about what answers.

use std::{
    collections::HashSet,
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, PoisonError, RwLock},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::content::names;

/// The hosts that the person named. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedHosts(Arc<RwLock<HashSet<String>>>);

impl NamedHosts {
    /// Takes `host[:port]`, or a URL, as named.
    pub(super) fn add(&self, text: &str) {
        let host = bare_host(text);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(host);
    }

    /// Whether `host` (without port) was named.
    pub(super) fn has(&self, host: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&host.to_ascii_lowercase())
    }
}

/// The host of `host[:port]` or of a URL, in lower case, IPv6 in brackets.
fn bare_host(text: &str) -> String {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}/") };
    text.parse::<Url>().ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).unwrap_or_default()
}

/// Why `url` must not be gone to; `None` if it may.
pub(super) fn objection(url: &Url, named: &NamedHosts) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some(format!("and {:?} is not a scheme that is followed", url.scheme()));
    }
    let host = url.host_str()?;
    if named.has(host) || !is_inner_host(url) {
        return None;
    }
    Some(format!("an address inside this machine or network; if {host} is meant, name it"))
}

/// Whether the host is, by its own text, an inner one. Names that merely resolve to one are caught by [`Guard`].
fn is_inner_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => is_inner(ip.into()),
        Some(Host::Ipv6(ip)) => is_inner(ip.into()),
        Some(Host::Domain(name)) => is_local_name(name),
        None => true,
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether the host of a registry is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => is_local_name(name),
        None => false,
    }
}

/// Private, loopback, link-local, unspecified, shared or otherwise not of the public network.
fn is_inner(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_inner_v4(ip),
        IpAddr::V6(ip) => is_inner_v6(ip),
    }
}

fn is_inner_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_broadcast()
        || ip.is_multicast()
        || a == 0
        || (a == 100 && (64..128).contains(&b)) // RFC 6598, shared between a carrier's customers
        || (a == 198 && (b == 18 || b == 19)) // RFC 2544, test networks
        || a >= 240
}

fn is_inner_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // Forms that carry an IPv4 address are as inner as that is: mapped, compatible, NAT64 and 6to4.
    let carried = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let v4 = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(carried(high, low))
        }
        _ => None,
    };
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || v4.is_some_and(is_inner_v4)
}

/// A resolver that gives inner addresses for named hosts only, so that no public name leads inside.
#[derive(Debug)]
pub(super) struct Guard(NamedHosts);

impl Guard {
    /// Guards by `named`, and by the proxies of the environment, which the person named too.
    pub(super) fn new(named: &NamedHosts) -> Self {
        for key in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            for key in [key.to_owned(), key.to_ascii_lowercase()] {
                if let Ok(proxy) = env::var(key) {
                    named.add(&proxy);
                }
            }
        }
        Self(named.clone())
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let free = self.0.has(name.as_str());
        Box::pin(async move {
            let found = names::lookup(name.as_str()).await?.into_iter();
            let kept: Vec<_> = found.filter(|&ip| free || !is_inner(ip)).map(|ip| SocketAddr::new(ip, 0)).collect();
            if kept.is_empty() {
                let reason =
                    format!("{} has only addresses inside this network; if it is meant, name it", name.as_str());
                return Err(reason.into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_for_named_hosts_only() {
        let named = NamedHosts::default();
        named.add("10.1.1.1:5000");
        named.add("[fd00::1]:5000");
        named.add("Registry.Corp");
        let objects = |url: &str| objection(&url.parse().unwrap(), &named).is_some();
        for inner in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://localhost:5000/",
            "http://a.localhost/",
            "http://localhost./",
            "http://169.254.169.254/latest/meta-data",
            "http://192.168.1.1/",
            "http://172.16.0.1/",
            "http://10.1.1.2/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fe80::1]/",
            "http://[fd00::2]/",
            "ftp://example.com/",
            "file:///etc/passwd",
        ] {
            assert!(objects(inner), "{inner}");
        }
        for fine in [
            "https://example.com/x",
            "http://8.8.8.8/",
            "https://[2606:4700::1111]/",
            "http://10.1.1.1:9000/",
            "http://[fd00::1]/",
            "https://registry.corp/",
        ] {
            assert!(!objects(fine), "{fine}");
        }
    }

    #[tokio::test]
    async fn a_public_name_for_an_inner_address_does_not_resolve() {
        let guard = Guard(NamedHosts::default());
        assert!(guard.resolve("localhost".parse().unwrap()).await.is_err());
        guard.0.add("localhost");
        assert!(guard.resolve("localhost".parse().unwrap()).await.is_ok());
    }
}
