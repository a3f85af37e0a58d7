//! The commands of docs/airlift-kubernetes-scale.yaml as eight processes, against S3 and Azure, of which three are killed once.

use std::{collections::BTreeMap, fs, path::Path};

use airlift::storage::Settings;
use serde_json::Value;

use super::{SIZE, planned, source};
use crate::{
    storage_move::azurite,
    storage_sets::stored,
    support::{
        Airlift, Ran,
        azurite::{self, Account, Grant},
        kills::{kill_after, seed},
        moto::{self, Moto},
        needs,
        process::Process,
        proxy::Proxy,
        with,
    },
};

/// Pods of the export.
const PODS: u32 = 8;

/// Pods that are killed once.
const KILLED: [u32; 3] = [1, 4, 6];

/// The arguments of each Job's container and its variables, by the Job's name.
fn jobs() -> BTreeMap<String, (Vec<String>, BTreeMap<String, String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/airlift-kubernetes-scale.yaml");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap();
    let jobs = documents.iter().filter(|document| document["kind"] == "Job").map(|job| {
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        let args = serde_json::from_value(container["args"].clone()).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let env = container["env"].as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["value"])));
        let exits = &job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"];
        assert_eq!(exits, &serde_json::json!([2, 4, 5]), "{job}");
        (text(&job["metadata"]["name"]), (args, env.collect()))
    });
    jobs.collect()
}

/// A place for the set, and how it is reached directly and through a wire.
struct Cluster<'a> {
    airlift: &'a Airlift,
    /// The value of a variable of the `ConfigMap`, reached by an address.
    configured: &'a dyn Fn(&str, &str) -> String,
    /// Further variables of a pod that reaches the storage by an address.
    variables: &'a dyn Fn(&str) -> Vec<(String, String)>,
    address: &'a str,
}

impl Cluster<'_> {
    /// The command of a pod, not yet started.
    fn pod(&self, job: &str, index: Option<u32>, address: &str) -> std::process::Command {
        let (args, env) = jobs().remove(job).unwrap();
        let here = |word: String| match word.as_str() {
            "$(PLAN)" => (self.configured)(address, "plan.json"),
            "$(DEST)" => (self.configured)(address, "release"),
            "/etc/airlift/artifacts.txt" => "list.txt".to_owned(),
            "/secrets/registry/.dockerconfigjson" => "none.json".to_owned(),
            "4GiB" => SIZE.to_owned(),
            _ => word,
        };
        let mut command = self.airlift.command(args.into_iter().map(here));
        command.envs((self.variables)(address)).envs(env.iter().filter(|(name, _)| *name != "XDG_STATE_HOME"));
        if let Some(index) = index {
            assert_eq!(env["AIRLIFT_SHARDS"], PODS.to_string());
            // Each pod has a state of its own.
            let state = self.airlift.home().join(format!("state-{index}"));
            command.env("JOB_COMPLETION_INDEX", index.to_string()).env("XDG_STATE_HOME", state);
        }
        command
    }

    fn run(&self) {
        Ran::of(&mut self.pod("airlift-plan", None, self.address)).success();
        Ran::of(&mut self.pod("airlift-seal", None, self.address)).exits(1).says(&["plan.unfinished"]);
        let mut pods: Vec<(u32, Process)> = (0..PODS)
            .filter(|index| !KILLED.contains(index))
            .map(|index| (index, Process::spawn("pod", &mut self.pod("airlift-export", Some(index), self.address))))
            .collect();
        let wire = Proxy::before(self.address);
        let plan = fs::metadata(self.airlift.home().join("plan.json")).unwrap().len();
        for (at, index) in (1..).zip(KILLED) {
            // Beyond the plan, which a pod reads first, and before the end of its first volume.
            let moment = plan + 5000 + seed().wrapping_mul(7919 * at) % 40_000;
            kill_after(&wire, moment, || {
                Process::spawn("pod", &mut self.pod("airlift-export", Some(index), &wire.address()))
            });
            pods.push((index, Process::spawn("pod", &mut self.pod("airlift-export", Some(index), self.address))));
        }
        for (index, pod) in &mut pods {
            let ended = pod.wait();
            assert!(ended.success(), "pod {index}: {}", pod.log());
        }
        Ran::of(&mut self.pod("airlift-seal", None, self.address)).success();
    }
}

#[test]
fn the_jobs_of_the_manifest_write_the_set_of_one_machine_though_pods_are_killed() {
    needs!("moto_server", "azurite-blob", "docker-registry");
    let (_registry, references) = source();
    let (airlift, set) = planned(&references);
    fs::write(airlift.home().join("none.json"), "{}").unwrap();
    let is_of_set = |files: BTreeMap<String, Vec<u8>>| {
        let files: BTreeMap<_, _> = files.into_iter().filter(|(name, _)| name != "plan.json").collect();
        assert_eq!(files.keys().collect::<Vec<_>>(), set.keys().collect::<Vec<_>>());
        assert!(files == set, "other bytes");
    };

    let moto = Moto::start();
    moto.create("bucket");
    let address = &moto.endpoint()["http://".len()..];
    Cluster {
        airlift: &airlift,
        configured: &|_, name| format!("s3://bucket/2026-11/{name}"),
        variables: &|address| moto::variables(&format!("http://{address}")),
        address,
    }
    .run();
    let settings = with(Settings::default(), |it| it.variables = moto.variables());
    is_of_set(stored("s3://bucket/2026-11", &settings));

    let azurite = azurite();
    let url = |address: &str, name: &str| {
        azurite::url(address, Account::A, "box", &format!("2026-11/{name}"), &Grant::default())
    };
    Cluster { airlift: &airlift, configured: &url, variables: &|_| Vec::new(), address: azurite.address() }.run();
    is_of_set(stored(&azurite.url(Account::A, "box", "2026-11", &Grant::default()), &Settings::default()));
}
