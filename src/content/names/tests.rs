use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, AAAA},
    },
};
use tempfile::TempDir;
use tokio::{net::UdpSocket as Socket, task::JoinHandle};

use super::*;

/// A name server on loopback that knows a few names.
struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl NameServer {
    async fn start(ip: &str, port: u16, zone: &[(&str, &str)]) -> Self {
        let zone: BTreeMap<String, IpAddr> =
            zone.iter().map(|(name, ip)| (format!("{name}."), ip.parse().unwrap())).collect();
        let socket = Socket::bind((ip, port)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let answer = answer(&buffer[..length], &zone, &seen);
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        Self { address, asked, task }
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.dedup();
        asked
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &[u8], zone: &BTreeMap<String, IpAddr>, seen: &Mutex<Vec<String>>) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let name = query.name().to_ascii();
    seen.lock().unwrap().push(name.clone());
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    let data = zone.get(&name).map(|ip| match *ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    });
    match data {
        Some(data) if data.record_type() == query.query_type() => {
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
        }
        Some(_) => {}
        None => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.to_vec().unwrap()
}

/// The names of a machine whose files have this content.
fn names(hosts: &str, resolv_conf: &str, port: u16) -> (TempDir, Names) {
    let folder = TempDir::new().unwrap();
    let files = Files { hosts: folder.path().join("hosts"), resolv_conf: folder.path().join("resolv.conf"), port };
    fs::write(&files.hosts, hosts).unwrap();
    fs::write(&files.resolv_conf, resolv_conf).unwrap();
    (folder, Names::read(files))
}

fn ips(text: &[&str]) -> Vec<IpAddr> {
    text.iter().map(|ip| ip.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_host_of_the_file_is_not_asked_for() {
    let server = NameServer::start("127.0.0.1", 0, &[("registry.site", "127.0.0.9")]).await;
    let hosts = "127.0.0.7 Registry.Site reg # the registry\n::1 six\n";
    let (_folder, names) = names(hosts, "nameserver 127.0.0.1\n", server.address.port());
    assert_eq!(names.lookup("registry.site").await.unwrap(), ips(&["127.0.0.7"]));
    assert_eq!(names.lookup("reg").await.unwrap(), ips(&["127.0.0.7"]));
    assert_eq!(names.lookup("six").await.unwrap(), ips(&["::1"]));
    assert_eq!(names.lookup("localhost").await.unwrap(), ips(&["127.0.0.1", "::1"]));
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[tokio::test]
async fn search_domains_and_dots_are_those_of_the_file() {
    let zone = [("registry.hq.site", "127.0.0.8"), ("a.b", "127.0.0.9"), ("my_registry", "127.0.0.6")];
    let server = NameServer::start("127.0.0.1", 0, &zone).await;
    let resolv_conf =
        "domain wrong.site\nsearch lab.site hq.site\nnameserver 127.0.0.1\noptions ndots:2 trust-ad new\n";
    let (_folder, names) = names("", resolv_conf, server.address.port());
    assert_eq!(names.lookup("registry").await.unwrap(), ips(&["127.0.0.8"]));
    assert_eq!(server.asked(), ["registry.lab.site.", "registry.hq.site."]);
    assert_eq!(names.lookup("a.b").await.unwrap(), ips(&["127.0.0.9"]), "as it is, after the domains");
    assert_eq!(names.lookup("registry.hq.site.").await.unwrap(), ips(&["127.0.0.8"]));
    assert_eq!(names.lookup("my_registry").await.unwrap(), ips(&["127.0.0.6"]), "names of containers have underscores");
}

#[tokio::test]
async fn what_nobody_knows_is_told_from_what_nobody_answers() {
    let server = NameServer::start("127.0.0.1", 0, &[]).await;
    let (_folder, known) = names("", "nameserver 127.0.0.1\n", server.address.port());
    let error = known.lookup("gone.site").await.unwrap_err();
    assert!(matches!(&error, Error::Unknown { servers, .. } if servers == "127.0.0.1"), "{error:?}");
    let silent = Socket::bind("127.0.0.1:0").await.unwrap();
    let resolv_conf = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
    let (_folder, unanswered) = names("", resolv_conf, silent.local_addr().unwrap().port());
    let error = unanswered.lookup("any.site").await.unwrap_err();
    assert!(matches!(error, Error::Unanswered { .. }), "{error:?}");
    assert!(matches!(known.lookup("a..b").await.unwrap_err(), Error::Malformed { .. }));
}

/// The second server may be a public one, which does not know the inner hosts.
#[tokio::test]
async fn servers_are_asked_in_their_order() {
    let inner = NameServer::start("127.0.0.2", 0, &[("registry.site", "127.0.0.8")]).await;
    let public = NameServer::start("127.0.0.3", inner.address.port(), &[("only.public", "127.0.0.9")]).await;
    let (_folder, names) = names("", "nameserver 127.0.0.2\nnameserver 127.0.0.3\n", inner.address.port());
    assert_eq!(names.lookup("registry.site").await.unwrap(), ips(&["127.0.0.8"]));
    assert!(matches!(names.lookup("only.public").await.unwrap_err(), Error::Unknown { .. }));
    assert!(public.asked().is_empty(), "{:?}", public.asked());
}

#[tokio::test]
async fn without_a_name_server_nobody_is_asked() {
    for resolv_conf in ["", "# none\nsearch site\n", "nameserver\n", "nameserver not-an-address\n"] {
        let (_folder, names) = names("127.0.0.7 known\n", resolv_conf, 53);
        assert!(names.resolver.is_none(), "{resolv_conf:?}");
        assert_eq!(names.lookup("known").await.unwrap(), ips(&["127.0.0.7"]));
        let error = names.lookup("registry.example.com").await.unwrap_err();
        assert!(matches!(error, Error::NoServer { .. }), "{error:?}");
    }
    let folder = TempDir::new().unwrap();
    let missing = Files { hosts: folder.path().join("h"), resolv_conf: folder.path().join("r"), port: 53 };
    let names = Names::read(missing);
    assert!(matches!(names.lookup("registry.example.com").await.unwrap_err(), Error::NoServer { .. }));
    assert_eq!(names.lookup("a.localhost").await.unwrap(), ips(&["127.0.0.1", "::1"]));
}

#[test]
fn options_are_held_within_the_bounds_of_glibc() {
    let text = "nameserver ::1\noptions ndots:200 timeout:900 attempts:99 rotate no-aaaa\n";
    let (said, _) = resolv_conf::Config::parse_with_errors(text.as_bytes());
    let options = options(&said);
    assert_eq!((options.ndots, options.timeout.as_secs(), options.attempts), (15, 30, 4));
    assert_eq!(options.ip_strategy, LookupIpStrategy::Ipv4Only);
    assert_eq!(options.server_ordering_strategy, ServerOrderingStrategy::RoundRobin);
    let none = super::options(&resolv_conf::Config::new());
    assert_eq!((none.ndots, none.timeout.as_secs(), none.attempts), (1, 5, 1));
}

#[test]
fn addresses_without_a_route_come_last() {
    // Addresses of this network cannot be a peer of a socket, on any machine.
    let found = reachable_first(ips(&["255.255.255.255", "127.0.0.1"]));
    assert_eq!(found, ips(&["127.0.0.1", "255.255.255.255"]));
}
