//! A name server on port 53 of a loopback address of its own. Needs root.

use std::{
    net::{Ipv4Addr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType, rdata::A},
};

/// A server that says 127.0.0.1 for some hosts and does not know any other.
pub(crate) struct NameServer {
    address: Ipv4Addr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Starts it; `None`, which is said, where this person is not root. CI is.
    pub(crate) fn start(hosts: &'static [&'static str]) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "a name server at port 53 and chroot need root");
            eprintln!("SKIPPED: a name server at port 53 and chroot need root");
            return None;
        }
        // Addresses differ by process, since tests of others may run beside these.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let found = (53..90).find_map(|first| {
            let address = Ipv4Addr::new(127, first, high, low.max(1));
            Some((address, UdpSocket::bind((address, 53)).ok()?))
        });
        let (address, socket) = found.expect("no address of loopback has port 53 free");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        // The thread ends with the test process; it holds nothing but a socket.
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
                let answer = answer(&question, hosts, &seen);
                let _ = socket.send_to(&answer.to_vec().unwrap(), peer);
            }
        });
        Some(Self { address, asked })
    }

    /// Where it answers.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The names that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(question: &Message, hosts: &[&str], seen: &Mutex<Vec<String>>) -> Message {
    let query = question.queries[0].clone();
    let name = query.name().to_ascii();
    seen.lock().unwrap().push(name.clone());
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    answer.add_query(query.clone());
    if !hosts.contains(&name.trim_end_matches('.')) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    } else if query.query_type() == RecordType::A {
        answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::A(A(Ipv4Addr::LOCALHOST))));
    }
    answer
}
