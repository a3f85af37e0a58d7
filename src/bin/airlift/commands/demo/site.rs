//! An embedded registry for the time of the demo.

use std::path::Path;

use airlift::{
    content::{Assign, Sink, Verified},
    oci::{Descriptor, Manifest},
    registry::{Client, RemoteRepository},
    server::{Config, Server},
    store::Store,
};
use bytes::Bytes;
use tokio::{sync::oneshot, task::JoinHandle};

use super::samples::Sample;
use crate::failure::CommandError;

/// Where the maker of the non-distributable layer offers it, below the registry's API.
pub(super) const VENDOR: &str = "vendor/firmware";

/// A registry on a free port of this machine, over a store in a folder.
pub(super) struct Site {
    address: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Site {
    pub(super) async fn start(folder: &Path) -> Result<Self, CommandError> {
        let server = Server::bind(Config::store(Store::open(folder)?), "127.0.0.1:0").await?;
        let address = server.local_addr().to_string();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.run(async {
            // An error says that the demo is gone, which is as good a reason to stop.
            let _ = stopped.await;
        }));
        Ok(Self { address, stop, serving })
    }

    /// `127.0.0.1:PORT`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Pushes the samples, each into its repository; what lies elsewhere goes to the vendor's.
    pub(super) async fn load(&self, client: &Client, samples: &[Sample]) -> Result<(), CommandError> {
        let vendor = client.repository(&self.address, VENDOR);
        for sample in samples {
            let repository = client.repository(&self.address, sample.repository);
            for (blob, content) in &sample.elsewhere {
                push(&vendor, blob, content).await?;
            }
            for (blob, content) in &sample.blobs {
                push(&repository, blob, content).await?;
            }
            for manifest in &sample.manifests {
                push(&repository, manifest.descriptor(), manifest.raw()).await?;
            }
            if let Some(tag) = &sample.tag {
                repository.tag(tag, sample.root()).await?;
            }
        }
        Ok(())
    }

    /// Answers what is under way, and ends.
    pub(super) async fn stop(self) {
        // Both fail only if the server has ended already.
        let _ = self.stop.send(());
        let _ = self.serving.await;
    }
}

async fn push(repository: &RemoteRepository, content: &Descriptor, bytes: &Bytes) -> Result<(), CommandError> {
    let body = Verified::bytes(content.clone(), bytes.clone());
    Ok(repository.push(content, body).await?)
}

/// What a repository of the target has: each tag with its digest, and how much is attached to it.
pub(super) async fn list(
    client: &Client,
    address: &str,
    repository: &str,
) -> Result<Vec<(String, Manifest)>, CommandError> {
    use airlift::{content::Resolve, oci::Name};
    let repository = client.repository(address, repository);
    let mut found = Vec::new();
    for tag in repository.tags().await? {
        let manifest = repository.resolve(&Name::Tag(tag.clone())).await?;
        found.push((tag.to_string(), manifest));
    }
    Ok(found)
}
