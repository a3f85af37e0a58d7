//! An import by many machines: each pushes its share of the blobs, and the names come last.

use std::collections::HashSet;

use super::{planned, source};
use crate::support::{Options, Registry, compare, needs};

/// The digests of the blobs that were uploaded so far, each as often as it was.
fn uploaded(registry: &Registry) -> Vec<String> {
    let puts = registry.requests().into_iter().filter(|request| request.method == "PUT");
    puts.filter_map(|request| Some(request.path.split_once("digest=")?.1.to_owned())).collect()
}

#[test]
fn shares_push_each_blob_once_and_the_last_run_publishes_without_pushing() {
    needs!("docker-registry");
    let (registry, references) = source();
    let (airlift, _) = planned(&references);
    let target = Registry::start(Options::default());
    let to = format!("{}/site", target.address());
    let share = |shard: &str| airlift.json(["import", "set/release", "--to", &to, "--shard", shard, "--json"]);
    let pushed: u64 = ["2/3", "0/3", "1/3"].map(|shard| share(shard)["blobs"].as_u64().unwrap()).iter().sum();
    let blobs = uploaded(&target);
    assert_eq!(blobs.len() as u64, pushed, "{blobs:?}");
    assert_eq!(blobs.iter().collect::<HashSet<_>>().len(), blobs.len(), "each once: {blobs:?}");
    for n in 0..10 {
        assert_eq!(target.tags(&format!("site/app-{n}")), Vec::<String>::new(), "a name is there before its artifact");
    }
    let again = share("0/3");
    assert_eq!(again["bytes_moved"], 0, "{again}");
    let published = airlift.json(["import", "set/release", "--to", &to, "--json"]);
    assert_eq!(published["bytes_moved"], 0, "{published}");
    assert_eq!(uploaded(&target).len(), blobs.len());
    for n in 0..10 {
        let name = format!("app-{n}");
        compare::same((&registry, &name), (&target, &format!("site/{name}")), "v1");
    }
    // What a share does not do is for that last run.
    let refused = airlift.run(["import", "set/release", "--to", &to, "--shard", "0/3", "--delete-source"]).exits(2);
    refused.says(&["usage.argument", "--delete-source", "no `--shard`"]);
    airlift.run(["import", "set/release", "--to", &to, "--shard", "3/3"]).exits(2).says(&["no shard 3 of 3"]);
}
