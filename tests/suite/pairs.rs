//! One seam: the same artifacts move between any two places, and every digest arrives.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use airlift::{
    content::{Origin, Origins, Target, Targets, Verified, memory::Memories},
    oci::{Descriptor, Digest, Name, Platform, Reference, Repository},
    progress::Progress,
    registry::{Client, Settings},
    storage::{self, Location},
    store::Store,
    transfer::{
        ArtifactState, Opened, Places, Report,
        destination::RegistryPrefix,
        export::{self, Foreign},
        import, mirror,
    },
};
use rstest::rstest;
use tempfile::TempDir;

use crate::support::{
    Options, Registry,
    artifacts::{Artifact, Blob, FOREIGN, noise},
    azurite::{Account, Azurite, Grant},
    needs,
};

const HOST: &str = "r.example";
const REPOSITORY: &str = "team/app";

/// Where artifacts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Here {
    Registry,
    Store,
    Memory,
    Bundle,
    Layout,
    Archive,
}

/// Where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    Registry,
    Store,
    Memory,
    Bundle,
    Object,
}

/// An image for two platforms of which one has a foreign layer, an SBOM attached to it, and a signature of that.
fn artifacts() -> (Artifact, Vec<Artifact>) {
    let mut foreign = Blob::new(FOREIGN, noise(3, 20_000));
    foreign.descriptor.urls = vec!["http://127.0.0.1:9/layer".to_owned()];
    let windows = Artifact::image("windows/amd64", vec![Blob::layer(1, 40_000), foreign]);
    let linux = Artifact::image("linux/arm64", vec![Blob::layer(1, 40_000), Blob::layer(2, 700)]);
    let app = Artifact::index(vec![("windows/amd64", windows), ("linux/arm64", linux)]);
    let sbom = Artifact::attached("application/spdx+json", Blob::layer(4, 3_000), Some(&app));
    let signature = Artifact::attached("application/x.signature", Blob::layer(5, 300), Some(&sbom));
    (app, vec![sbom, signature])
}

/// Everything that is at one end of a move, kept until the test ends.
struct Bench {
    folder: TempDir,
    registry: Registry,
    other: Registry,
    azurite: Azurite,
    /// The platform to keep, where not all are moved: docker-registry takes no sparse index.
    platforms: Vec<Platform>,
}

impl Bench {
    fn new(to: There) -> Self {
        let willing = || Options { allow_urls: vec!["^http://127\\.0\\.0\\.1".into()], ..Options::default() };
        let platforms = if to == There::Registry { Vec::new() } else { vec!["windows/amd64".parse().unwrap()] };
        let azurite = Azurite::start();
        azurite.create(Account::A, "box");
        let folder = TempDir::with_prefix("airlift-pairs-").unwrap();
        Self { folder, registry: Registry::start(willing()), other: Registry::start(willing()), azurite, platforms }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client() -> Client {
        Client::new(Settings::default()).unwrap()
    }

    fn export(&self, artifacts: Vec<Reference>) -> export::Request {
        let mut request = export::Request::new(artifacts);
        request.platforms.clone_from(&self.platforms);
        request
    }

    /// Fills the source and says how it is called there.
    async fn fill(&self, from: Here) -> (Arc<dyn Origins>, Reference) {
        let host = if from == Here::Registry { self.registry.address() } else { HOST };
        let reference: Reference = format!("{host}/{REPOSITORY}:v1").parse().unwrap();
        let origins: Arc<dyn Origins> = match from {
            Here::Registry => {
                let client = Arc::new(Self::client());
                put(&*client.target(reference.context())).await;
                client
            }
            Here::Store => {
                let store = Arc::new(Store::open(&self.path("from-store")).unwrap());
                put(&*store.target(reference.context())).await;
                store
            }
            Here::Memory => Arc::new(memory(&reference).await),
            Here::Bundle | Here::Layout | Here::Archive => {
                let path = self.path("from.tar");
                let to = export::Destination::File { path: path.clone(), overwrite: false };
                let request = self.export(vec![reference.clone()]);
                export::run(&memory(&reference).await, &request, to, &Progress::silent()).await.unwrap();
                let location = Location::Path(self.repacked(from, path));
                let places = Places::open(&[location], None, &storage::Settings::default(), &Progress::silent()).await;
                Arc::new(places.unwrap())
            }
        };
        (origins, reference)
    }

    /// The bundle, or what other tools would make of it.
    fn repacked(&self, from: Here, bundle: PathBuf) -> PathBuf {
        if from == Here::Bundle {
            return bundle;
        }
        let layout = self.path("layout");
        std::fs::create_dir(&layout).unwrap();
        tar::Archive::new(std::fs::File::open(bundle).unwrap()).unpack(&layout).unwrap();
        if from == Here::Layout {
            return layout;
        }
        let archive = self.path("archive.tar");
        let mut builder = tar::Builder::new(std::fs::File::create(&archive).unwrap());
        builder.append_dir_all(".", &layout).unwrap();
        builder.finish().unwrap();
        archive
    }

    /// Moves, and says where the artifacts are now.
    async fn go(&self, origins: &dyn Origins, reference: &Reference, to: There) -> (Arc<dyn Origins>, Repository) {
        let what = self.export(vec![reference.clone()]);
        let silent = Progress::silent();
        let settings = storage::Settings::default();
        let (places, targets): (Arc<dyn Origins>, Arc<dyn Targets>) = match to {
            There::Registry => (Arc::new(Self::client()), Arc::new(Self::client())),
            There::Store => {
                let store = Store::open(&self.path("to-store")).unwrap();
                (Arc::new(store.clone()), Arc::new(store))
            }
            There::Memory => {
                let memories = Memories::default();
                (Arc::new(memories.clone()), Arc::new(memories))
            }
            There::Bundle | There::Object => {
                let grant = Grant::default();
                let (location, to) = if to == There::Bundle {
                    let path = self.path("to.tar");
                    (Location::Path(path.clone()), export::Destination::File { path, overwrite: false })
                } else {
                    let location = self.azurite.location(Account::A, "box", "to.tar", &grant);
                    let object = storage::open(&location, &settings).unwrap();
                    (location, export::Destination::Object { object, overwrite: false })
                };
                export::run(origins, &what, to, &silent).await.unwrap();
                let opened = Opened::open(&location, &settings).await.unwrap();
                return (Arc::new(opened.reader().clone()), reference.context().clone());
            }
        };
        let host = if to == There::Registry { self.other.address() } else { "localhost" };
        let how = importing(RegistryPrefix { registry: host.to_owned(), prefix: None });
        let first = mirror::run(origins, &*targets, &what, &how, &silent).await.unwrap();
        assert!(first.bytes_moved > 0);
        let again = mirror::run(origins, &*targets, &what, &how, &silent).await.unwrap();
        assert_eq!((again.bytes_moved, states(&again)), (0, vec![ArtifactState::AlreadyThere]));
        (places, Repository::new(host, REPOSITORY).unwrap())
    }
}

fn states(report: &Report) -> Vec<ArtifactState> {
    report.artifacts.iter().map(|outcome| outcome.state).collect()
}

fn importing(to: RegistryPrefix) -> import::Request {
    import::Request::new(to)
}

async fn memory(reference: &Reference) -> Memories {
    let memories = Memories::default();
    put(&*memories.target(reference.context())).await;
    memories
}

/// Puts everything into a repository.
async fn put(target: &dyn Target) {
    let (app, attached) = artifacts();
    for artifact in attached.iter().chain([&app]) {
        for blob in artifact.all_blobs() {
            let bare =
                Descriptor::new(blob.descriptor.media_type.clone(), blob.descriptor.digest, blob.descriptor.size);
            let content = blob.content.clone().unwrap();
            target.push(&bare, Verified::bytes(bare.clone(), content)).await.unwrap();
        }
    }
    for artifact in [&app].into_iter().chain(&attached) {
        for manifest in artifact.manifests() {
            let body = Verified::bytes(manifest.descriptor().clone(), manifest.raw().clone());
            target.push(manifest.descriptor(), body).await.unwrap();
        }
    }
    target.tag(&"v1".parse().unwrap(), &app.root).await.unwrap();
}

/// Every digest below `v1` and what is attached to it that can be read there, proven; those of the one platform alone where
/// the other was left out.
async fn read(origin: &Arc<dyn Origin>) -> BTreeSet<Digest> {
    let mut proven = BTreeSet::new();
    let mut open = vec![origin.resolve(&Name::Tag("v1".parse().unwrap())).await.unwrap()];
    while let Some(manifest) = open.pop() {
        proven.insert(manifest.digest());
        for child in manifest.children() {
            match origin.resolve(&Name::Digest(child.digest)).await {
                Ok(child) => open.push(child),
                Err(error) => assert!(error.is_not_found(), "{error}"),
            }
        }
        for attached in origin.referrers(&manifest.digest()).await.unwrap() {
            open.push(origin.resolve(&Name::Digest(attached.digest)).await.unwrap());
        }
        for blob in manifest.blobs() {
            let bare = Descriptor::new(blob.media_type.clone(), blob.digest, blob.size);
            let stream = origin.fetch(&bare, 0).await.unwrap();
            Verified::new(bare, stream).collect().await.unwrap();
            proven.insert(blob.digest);
        }
    }
    proven
}

/// What must arrive.
fn expected(platforms: &[Platform]) -> BTreeSet<Digest> {
    let (app, attached) = artifacts();
    let kept =
        |child: &&Artifact| platforms.is_empty() || child.blobs.iter().any(|blob| !blob.descriptor.urls.is_empty());
    let children: Vec<&Artifact> = app.children.iter().filter(kept).collect();
    assert_eq!(children.len(), if platforms.is_empty() { 2 } else { 1 });
    let all = children.into_iter().chain(&attached);
    let below =
        all.flat_map(|artifact| artifact.blobs.iter().map(|blob| blob.descriptor.digest).chain([artifact.digest()]));
    below.chain([app.digest()]).collect()
}

#[rstest]
fn every_digest_arrives_between_any_two_places(
    #[values(Here::Registry, Here::Store, Here::Memory, Here::Bundle, Here::Layout, Here::Archive)] from: Here,
    #[values(There::Registry, There::Store, There::Memory, There::Bundle, There::Object)] to: There,
) {
    needs!("docker-registry", "azurite-blob");
    let bench = Bench::new(to);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (origins, reference) = bench.fill(from).await;
        let (places, repository) = bench.go(&*origins, &reference, to).await;
        assert_eq!(read(&places.origin(&repository)).await, expected(&bench.platforms));
    });
}

/// The same bundle comes out of a bundle, byte for byte.
#[tokio::test]
async fn a_bundle_that_is_exported_from_a_bundle_is_the_same_file() {
    let folder = TempDir::with_prefix("airlift-pairs-").unwrap();
    let (one, two) = (folder.path().join("one.tar"), folder.path().join("two.tar"));
    let reference: Reference = format!("{HOST}/{REPOSITORY}:v1").parse().unwrap();
    let silent = Progress::silent();
    let mut first = export::Request::new(vec![reference.clone()]);
    first.platforms = vec!["windows/amd64".parse().unwrap()];
    first.foreign = Foreign::Skip;
    let to = export::Destination::File { path: one.clone(), overwrite: false };
    export::run(&memory(&reference).await, &first, to, &silent).await.unwrap();
    let settings = storage::Settings::default();
    let places = Places::open(&[Location::Path(one.clone())], None, &settings, &silent).await.unwrap();
    let to = export::Destination::File { path: two.clone(), overwrite: false };
    let second = export::Request::new(places.artifacts());
    export::run(&places, &second, to, &silent).await.unwrap();
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}
