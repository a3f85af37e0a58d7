//! As few requests as there are things to fetch: each is counted at a real registry.

use airlift::oci::Tag;

use crate::support::{
    Airlift, Options, Registry,
    artifacts::{Artifact, Blob, push_referrers_tag},
    needs,
    registry::Request,
};

/// Ten artifacts, every other one for two platforms, each in a repository of its own. The first has an SBOM by the fallback tag, and
/// the last a signature by cosign's.
struct Team {
    registry: Registry,
    artifacts: Vec<Artifact>,
    airlift: Airlift,
}

const COUNT: usize = 10;

impl Team {
    fn new() -> Self {
        let registry = Registry::start(Options::default());
        let artifacts: Vec<Artifact> = (0..COUNT as u64)
            .map(|at| {
                let layers =
                    |seed: u64| (0..4_u64).map(|layer| Blob::layer(100 * at + 10 * seed + layer, 500)).collect();
                let (one, two) = (Artifact::image("linux/amd64", layers(1)), Artifact::image("linux/arm64", layers(2)));
                if at % 2 == 0 { one } else { Artifact::index(vec![("linux/amd64", one), ("linux/arm64", two)]) }
            })
            .collect();
        for (at, artifact) in artifacts.iter().enumerate() {
            artifact.push(&registry, &repository(at), Some("v1"));
        }
        let sbom = Artifact::attached("application/spdx+json", Blob::layer(7_000, 300), Some(&artifacts[0]));
        sbom.push(&registry, &repository(0), None);
        push_referrers_tag(&registry, &repository(0), &artifacts[0], &[&sbom]);
        let signature = Artifact::attached("application/x.cosign", Blob::layer(7_001, 300), None);
        let [tag, ..] = Tag::cosign(&artifacts[COUNT - 1].digest());
        signature.push(&registry, &repository(COUNT - 1), Some(tag.as_str()));
        Self { registry, artifacts, airlift: Airlift::new() }
    }

    fn references(&self) -> Vec<String> {
        (0..COUNT).map(|at| self.registry.reference(&format!("{}:v1", repository(at)))).collect()
    }

    /// Manifests and blobs of the artifacts and of what is attached to two of them.
    fn objects(&self) -> usize {
        let own: usize = self.artifacts.iter().map(|one| one.manifests().len() + one.all_blobs().len()).sum();
        // An empty config, a payload and a manifest each.
        own + 2 * 3
    }

    /// Runs airlift, and returns what `of` was asked meanwhile.
    fn asked(&self, of: &Registry, args: &[&str]) -> Vec<Request> {
        let before = of.requests().len();
        self.airlift.run(args).success();
        of.requests().split_off(before)
    }

    fn export(&self) -> Vec<Request> {
        let references = self.references();
        let mut args = vec!["export", "-o", "b.tar"];
        args.extend(references.iter().map(String::as_str));
        self.asked(&self.registry, &args)
    }
}

fn repository(at: usize) -> String {
    format!("team/app-{at}")
}

fn told(requests: &[Request]) -> String {
    let lines: Vec<_> = requests.iter().map(|one| format!("{} {} {}", one.status, one.method, one.path)).collect();
    lines.join("\n")
}

#[test]
fn an_export_asks_for_little_more_than_it_fetches_and_loses_nothing_that_is_attached() {
    needs!("docker-registry");
    let team = Team::new();
    let asked = team.export();
    let (count, objects) = (asked.len(), team.objects());
    assert!(10 * count <= 13 * objects, "{count} requests for {objects} objects:\n{}", told(&asked));
    let blobs = asked.iter().filter(|one| one.path.contains("/blobs/"));
    assert!(blobs.clone().all(|one| one.method == "GET"), "each is fetched anyway:\n{}", told(&asked));
    let absent = asked.iter().filter(|one| one.method == "GET" && one.status == 404);
    assert_eq!(absent.count(), 1, "only the API is asked for in vain:\n{}", told(&asked));

    let inspected = team.airlift.json(["inspect", "b.tar", "--json"]).to_string();
    assert!(inspected.contains("application/spdx+json"), "{inspected}");
    let [signature, ..] = Tag::cosign(&team.artifacts[COUNT - 1].digest());
    assert!(inspected.contains(signature.as_str()), "{inspected}");
}

#[test]
fn an_import_again_asks_for_each_tag_and_one_list_of_what_is_attached() {
    needs!("docker-registry");
    let team = Team::new();
    team.export();
    let target = Registry::start(Options::default());
    let import = ["import", "b.tar", "--to", target.address()];
    let asked = team.asked(&target, &import);
    let manifests = asked.iter().filter(|one| one.method == "HEAD" && one.path.contains("/manifests/sha256:"));
    assert_eq!(manifests.count(), 0, "what is put anyway is not asked for:\n{}", told(&asked));

    // The signature is an artifact of its own.
    let artifacts = COUNT + 1;
    let asked = team.asked(&target, &import);
    let tags: Vec<_> = asked.iter().filter(|one| one.method == "HEAD").collect();
    assert_eq!(tags.len(), artifacts, "each tag:\n{}", told(&asked));
    // Whether TLS is spoken, whether there is an API, and the list of the one that has something.
    assert_eq!(asked.len(), tags.len() + 3, "{}", told(&asked));

    let asked = team.asked(&target, &["import", "b.tar", "--to", target.address(), "--check-blobs"]);
    let blobs = asked.iter().filter(|one| one.method == "HEAD" && one.path.contains("/blobs/")).count();
    assert!(blobs >= team.artifacts.iter().map(|one| one.all_blobs().len()).sum(), "{}", told(&asked));
    let children = asked.iter().filter(|one| one.method == "HEAD" && one.path.contains("/manifests/sha256:"));
    assert_eq!(children.count(), COUNT, "two of each index:\n{}", told(&asked));
}

#[test]
fn what_is_attached_to_one_subject_is_listed_by_one_write() {
    needs!("docker-registry");
    let registry = Registry::start(Options::default());
    let image = Artifact::small(1, 500);
    image.push(&registry, "team/app", Some("v1"));
    let attached: Vec<Artifact> = (0..8)
        .map(|at| Artifact::attached(&format!("application/x.{at}"), Blob::layer(50 + at, 100), Some(&image)))
        .collect();
    for one in &attached {
        one.push(&registry, "team/app", None);
    }
    push_referrers_tag(&registry, "team/app", &image, &attached.iter().collect::<Vec<_>>());
    let airlift = Airlift::new();
    airlift.run(["export", &registry.reference("team/app:v1"), "-o", "b.tar"]).success();

    let target = Registry::start(Options::default());
    airlift.run(["import", "b.tar", "--to", target.address()]).success();
    let asked = target.requests();
    let list = Tag::referrers_fallback(&image.digest());
    let writes = asked.iter().filter(|one| one.method == "PUT" && one.path.ends_with(list.as_str()));
    assert_eq!(writes.count(), 1, "{}", told(&asked));
    let listed = target.manifest("team/app", list.as_str()).unwrap();
    assert_eq!(listed.children().len(), attached.len());
}
