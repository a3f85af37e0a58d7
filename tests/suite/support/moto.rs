//! moto's server: S3 as AWS speaks it, in memory.

use std::process::Command;

use reqwest::Method;

use super::{http::Caller, peers, process::Process};

/// The secret key that requests are signed with; moto takes any.
pub(crate) const SECRET: &str = "moto-secret-CANARY-key";

/// A running S3 server.
pub(crate) struct Moto {
    process: Process,
    endpoint: String,
}

impl Moto {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(peers::path("moto_server"));
        // Python holds its output back where it is not a terminal.
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        let process = Process::spawn("moto", &mut command);
        let line = process.wait_for_line("Running on http://");
        let endpoint = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { process, endpoint }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Makes a bucket.
    pub(crate) fn create(&self, bucket: &str) {
        Caller::default().send(Method::PUT, &format!("{}/{bucket}", self.endpoint), &[], "").success();
    }

    /// The variables with which the usual clients find it.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        variables(&self.endpoint)
    }
}

/// The variables with which the usual clients find a server at `endpoint`.
pub(crate) fn variables(endpoint: &str) -> Vec<(String, String)> {
    let set = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "moto"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
    ];
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
