//! The registry client against Debian's docker-registry.

use airlift::{
    content::conformance,
    registry::{Client, Settings},
};

use super::support::{Options, Registry, needs};

#[tokio::test]
async fn a_repository_is_a_place() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let repository = Client::new(Settings::default()).unwrap().repository(registry.address(), "team/app");
    conformance::content(&repository).await;
    conformance::names(&repository).await;
}
