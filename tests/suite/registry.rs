//! The registry client against Debian's docker-registry.

use airlift::{
    content::conformance,
    registry::{Client, Settings},
};

use super::support::registry::{Options, Registry};

#[tokio::test]
async fn a_repository_takes_and_gives_blobs() {
    let registry = Registry::start(Options::default());
    let repository = Client::new(Settings::default()).unwrap().repository(registry.address(), "team/app");
    conformance::content(&repository).await;
}
