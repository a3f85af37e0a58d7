//! moto's server: S3 as AWS speaks it, in memory.

use std::process::Command;

use reqwest::Method;

use super::{
    http::Caller,
    lent::{Lent, Pool, Reusable},
    peers,
    process::Process,
};

/// The secret key that requests are signed with; moto takes any.
pub(crate) const SECRET: &str = "moto-secret-CANARY-key";

/// A running S3 server, empty at first.
pub(crate) struct Moto(Lent<Server>);

struct Server {
    process: Process,
    endpoint: String,
}

static IDLE: Pool<Server> = Pool::new();

impl Reusable for Server {
    fn start() -> Self {
        let mut command = Command::new(peers::path("moto_server"));
        // Python holds its output back where it is not a terminal.
        command.args(["-H", "127.0.0.1", "-p", "0"]).env("PYTHONUNBUFFERED", "1");
        // moto reads an object whole for each range of it. In fresh pages of the system that takes longer than all else it does,
        // so what is freed is kept.
        command.envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "1073741824")]);
        let process = Process::spawn("moto", &mut command);
        let line = process.wait_for_line("Running on http://");
        let endpoint = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { process, endpoint }
    }

    fn empty(&self) {
        Caller::default().send(Method::POST, &format!("{}/moto-api/reset", self.endpoint), &[], "").success();
    }

    fn pool() -> &'static Pool<Self> {
        &IDLE
    }
}

impl Moto {
    /// One on a free port.
    pub(crate) fn start() -> Self {
        Self(Lent::take())
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Its process; no other test gets it.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.0.keep().process
    }

    /// Makes a bucket.
    pub(crate) fn create(&self, bucket: &str) {
        Caller::default().send(Method::PUT, &format!("{}/{bucket}", self.endpoint()), &[], "").success();
    }

    /// The variables with which the usual clients find it.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        variables(self.endpoint())
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
