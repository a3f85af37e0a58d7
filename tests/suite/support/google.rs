//! fake-gcs-server: Google Cloud Storage with its JSON interface and what reads of its XML interface, in memory.

use std::{fs, process::Command};

use reqwest::Method;

use super::{http::Caller, peers, process::Process};

/// A running server.
pub(crate) struct Google {
    _process: Process,
    address: String,
}

impl Google {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(peers::path("fake-gcs-server"));
        // The public host without a port: requests may come through a proxy that has another.
        let fixed = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-public-host", "127.0.0.1"];
        command.args(fixed).args(["-port", "0", "-log-level", "info"]);
        let process = Process::spawn("fake-gcs-server", &mut command);
        process.wait_for_line("server started at");
        let address = format!("127.0.0.1:{}", listens(process.pid()));
        Self { _process: process, address }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Makes a bucket.
    pub(crate) fn create(&self, bucket: &str) {
        let url = format!("http://{}/storage/v1/b", self.address);
        let kind = [("content-type", "application/json")];
        Caller::default().send(Method::POST, &url, &kind, format!("{{\"name\":\"{bucket}\"}}")).success();
    }

    /// Removes an object behind everybody's back.
    pub(crate) fn remove(&self, bucket: &str, name: &str) {
        let url = format!("http://{}/storage/v1/b/{bucket}/o/{name}", self.address);
        Caller::default().send(Method::DELETE, &url, &[], "").success();
    }

    /// The names of everything in `bucket`.
    pub(crate) fn names(&self, bucket: &str) -> Vec<String> {
        let url = format!("http://{}/storage/v1/b/{bucket}/o", self.address);
        let answer = Caller::default().send(Method::GET, &url, &[], "").success();
        let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The variables with which the usual clients find it.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        variables(&self.address)
    }
}

/// The variables with which the usual clients find a server at `address`.
pub(crate) fn variables(address: &str) -> Vec<(String, String)> {
    vec![("STORAGE_EMULATOR_HOST".to_owned(), address.to_owned())]
}

/// The port on which process `pid` listens; the server does not say which one it was given.
fn listens(pid: u32) -> u16 {
    let links =
        fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let sockets: Vec<String> = links.map(|link| link.display().to_string()).collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap();
    let port = table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns[1], columns[3], columns[9]);
        let ours = state == "0A" && sockets.contains(&format!("socket:[{inode}]"));
        ours.then(|| u16::from_str_radix(local.rsplit_once(':').unwrap().1, 16).unwrap())
    });
    port.expect("it listens")
}
