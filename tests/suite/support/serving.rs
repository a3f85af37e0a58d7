//! The registry of our own, served by this process.

use airlift::{
    oci::{Descriptor, media_type},
    server::{Config, Server},
    store::Store,
};
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::http::{Answer, Caller};

/// A server of this process, on a thread of its own; it stops when it goes out of scope.
pub(crate) struct Serving {
    address: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    folder: Option<TempDir>,
}

impl Serving {
    pub(crate) fn new(config: Config) -> Self {
        let (tell, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::bind(config, "127.0.0.1:0").await.unwrap();
                tell.send(server.local_addr().to_string()).unwrap();
                server.run(async { drop(stopped.await) }).await;
            });
        });
        Self { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread), folder: None }
    }

    /// Over an empty store.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut serving = Self::new(Config::store(store));
        serving.folder = Some(folder);
        serving
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        Caller::default().send(method, &format!("http://{}{path}", self.address), headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "")
    }

    pub(crate) fn push_blob(&self, repository: &str, content: &[u8]) -> Descriptor {
        let blob = Descriptor::of("application/octet-stream", content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        let answer = self.send(Method::POST, &path, &[], Bytes::copy_from_slice(content));
        assert_eq!(answer.status, StatusCode::CREATED);
        blob
    }

    pub(crate) fn push_manifest(&self, repository: &str, name: &str, document: &Value) -> Answer {
        let content_type = document["mediaType"].as_str().unwrap_or(media_type::OCI_MANIFEST).to_owned();
        let path = format!("/v2/{repository}/manifests/{name}");
        self.send(Method::PUT, &path, &[("content-type", &content_type)], document.to_string())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}
