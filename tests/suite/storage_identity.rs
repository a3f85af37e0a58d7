//! Azure Blob Storage without a signature: bundles go in and out as whoever this machine is. The storage is Azurite, which
//! looks into the tokens that it is shown: for whom they are, from whom, and whether their time has come.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::support::{
    Airlift, Options, Ran, Registry,
    artifacts::{Artifact, push_referrers_tag},
    azurite::{Account, Azurite},
    compare,
    identity::{Flaw, Identity, WORKLOAD, token},
    needs,
    process::files_below,
};

/// What Azure Blob Storage is called in requests for tokens.
const STORAGE: &str = "https://storage.azure.com";

/// A user-assigned identity, by its client id and by its resource id.
const USER: &str = "11111111-2222-3333-4444-555555555555";
const USER_RESOURCE: &str =
    "/subscriptions/1/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/transfer";

/// A storage that lets in who shows a token, and those who give tokens.
struct Place {
    identity: Identity,
    azurite: Azurite,
}

impl Place {
    fn new() -> Self {
        let identity = Identity::start();
        let azurite = Azurite::start_for_tokens(identity.certificates());
        azurite.create(Account::A, "box");
        Self { identity, azurite }
    }

    /// `airlift ARGS`, of which nothing may be told that opens something.
    #[track_caller]
    fn run(&self, airlift: &Airlift, args: &[&str]) -> Ran {
        let ca = self.identity.trusted();
        let ran = airlift.run([&["--ca-cert", ca.to_str().unwrap()], args].concat());
        unseen(&[&ran.stdout, &ran.stderr]);
        ran
    }

    fn blob(&self, name: &str) -> String {
        self.azurite.place(Account::A, &format!("box/{name}"))
    }
}

/// An airlift that tells everything that it does.
fn talkative() -> Airlift {
    let mut airlift = Airlift::new();
    airlift.set("AIRLIFT_LOG", "trace");
    airlift
}

#[track_caller]
fn unseen(said: &[&str]) {
    for secret in Identity::secrets() {
        assert!(said.iter().all(|said| !said.contains(&secret)), "{secret} was said:\n{}", said.concat());
    }
}

/// An Azure CLI that somebody has logged in to, or not; it writes down what it was asked.
fn azure_cli(airlift: &mut Airlift, logged_in: bool) {
    let folder = airlift.home().join("bin");
    fs::create_dir_all(&folder).unwrap();
    let ends = jiff::Timestamp::now().as_second() + 3600;
    let token = token(STORAGE, "person", Flaw::None);
    let answer = if logged_in {
        format!(
            "cat <<'END'\n{{ \"accessToken\": \"{token}\", \"expiresOn\": \"2026-01-01 00:00:00.000000\", \"expires_on\": {ends}, \
             \"subscription\": \"s\", \"tenant\": \"t\", \"tokenType\": \"Bearer\" }}\nEND"
        )
    } else {
        "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1".to_owned()
    };
    let asked = airlift.home().join("asked");
    let script = format!("#!/bin/sh\necho \"$*\" >> '{}'\n{answer}\n", asked.display());
    fs::write(folder.join("az"), script).unwrap();
    fs::set_permissions(folder.join("az"), fs::Permissions::from_mode(0o755)).unwrap();
    airlift.set("PATH", format!("{}:/usr/bin:/bin", folder.display()));
}

/// Packs an artifact into a blob, looks at it, and copies it back: the same bytes as an export into a file.
#[track_caller]
fn there_and_back(place: &Place, airlift: &Airlift, registry: &Registry, name: &str) {
    let artifact = registry.reference("team/app:v1");
    let (blob, home) = (place.blob(name), airlift.home());
    airlift.run(["export", &artifact, "-o", "local.tar"]).success();
    place.run(airlift, &["export", &artifact, "-o", &blob]).success();
    let seen = place.run(airlift, &["inspect", &blob, "--json"]).success();
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(seen["artifacts"][0]["reference"], artifact.as_str(), "{seen}");
    place.run(airlift, &["copy", &blob, "back.tar"]).success();
    assert_eq!(fs::read(home.join("local.tar")).unwrap(), fs::read(home.join("back.tar")).unwrap());
}

fn source() -> Registry {
    let registry = Registry::start(Options::default());
    Artifact::multi_platform(1, 40_000).push(&registry, "team/app", Some("v1"));
    registry
}

#[test]
fn a_managed_identity_takes_bundles_in_and_out() {
    needs!("docker-registry", "azurite-blob");
    let (place, registry) = (Place::new(), source());
    for (name, user) in [("system.tar", None), ("user.tar", Some(USER)), ("resource.tar", Some(USER_RESOURCE))] {
        let mut airlift = talkative();
        place.identity.machine(&mut airlift);
        if let Some(user) = user {
            airlift.set("AZURE_CLIENT_ID", user);
        }
        // Nobody is there; the machine's own endpoint must not be looked for by way of it.
        airlift.set("http_proxy", "http://127.0.0.1:1").set("NO_PROXY", registry.address());
        there_and_back(&place, &airlift, &registry, name);
        let asked = place.identity.asked();
        let expected = format!("managed {} {STORAGE}", user.unwrap_or("-"));
        // Each of the three commands asks once, however many objects it opens.
        assert_eq!(asked, vec![expected; 3]);
    }
}

#[test]
fn a_workload_identity_takes_bundles_in_and_out() {
    needs!("docker-registry", "azurite-blob");
    let (place, registry) = (Place::new(), source());
    let mut airlift = talkative();
    place.identity.workload(&mut airlift);
    there_and_back(&place, &airlift, &registry, "workload.tar");
    assert_eq!(place.identity.asked(), vec![format!("workload {WORKLOAD} {STORAGE}/.default"); 3]);
    // A cluster whose proof of who we are the tenant does not take; the variable keeps other identities out of it.
    airlift.set("AZURE_TOKEN_CREDENTIALS", "WorkloadIdentityCredential");
    fs::write(airlift.home().join("federated-token"), "another").unwrap();
    let refused = place.run(&airlift, &["inspect", &place.blob("workload.tar")]).exits(5);
    refused.says(&["error[storage.credential]", "workload identity: ", "AADSTS700211", "help: "]);
}

#[test]
fn the_user_of_the_azure_cli_takes_bundles_in_and_out() {
    needs!("docker-registry", "azurite-blob");
    let (place, registry) = (Place::new(), source());
    let mut airlift = talkative();
    airlift.set("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential");
    azure_cli(&mut airlift, true);
    there_and_back(&place, &airlift, &registry, "cli.tar");
    let asked = fs::read_to_string(airlift.home().join("asked")).unwrap();
    let line = format!("account get-access-token -o json --scope {STORAGE}/.default\n");
    assert_eq!(asked, line.repeat(3), "once for each command, for it takes a second");
    azure_cli(&mut airlift, false);
    let refused = place.run(&airlift, &["inspect", &place.blob("cli.tar")]).exits(5);
    refused.says(&["error[storage.credential]", "Azure CLI: ", "az login", "help: "]);
    airlift.set("AZURE_TOKEN_CREDENTIALS", "VisualStudioCredential");
    let unknown = place.run(&airlift, &["inspect", &place.blob("cli.tar")]).exits(5);
    unknown.says(&["error[storage.credential]", "VisualStudioCredential", "AzureCliCredential"]);
}

#[test]
fn a_token_that_the_storage_does_not_take_is_told_with_what_helps() {
    needs!("docker-registry", "azurite-blob");
    let (place, registry) = (Place::new(), source());
    let mut airlift = talkative();
    place.identity.machine(&mut airlift);
    let (artifact, blob) = (registry.reference("team/app:v1"), place.blob("never.tar"));
    for (flaw, why) in [(Flaw::Audience, "audience"), (Flaw::Ended, "expired")] {
        place.identity.flawed(flaw);
        for args in [&["export", &artifact, "-o", &blob][..], &["inspect", &blob]] {
            let refused = place.run(&airlift, args).exits(5);
            refused.says(&["error[storage.refused]", why, "help: ", "Storage Blob Data Contributor"]);
        }
    }
    place.identity.flawed(Flaw::None);
    place.run(&airlift, &["inspect", &blob]).exits(1).says(&["error[storage.not-found]"]);
    // Not even to this machine does a token go without TLS.
    let before = place.identity.asked().len();
    assert!(before > 0);
    let plain = place.run(&airlift, &["inspect", &blob.replace("https://", "http://")]).exits(5);
    plain.says(&["error[storage.credential]", "https only"]);
    assert_eq!(place.identity.asked(), Vec::<String>::new());
}

#[test]
fn pipelines_go_from_registry_to_registry_as_an_identity() {
    needs!("docker-registry", "azurite-blob");
    let (place, from) = (Place::new(), source());
    let app = Artifact::multi_platform(1, 40_000);
    let signature =
        Artifact::attached("application/vnd.example.sig", crate::support::artifacts::Blob::layer(77, 64), Some(&app));
    signature.push(&from, "team/app", None);
    push_referrers_tag(&from, "team/app", &app, &[&signature]);
    let container = place.azurite.place(Account::A, "box");
    for (number, user) in [None, Some(USER), Some(USER_RESOURCE)].into_iter().enumerate() {
        let to = Registry::start(Options::default());
        let (name, blob) = (format!("run{number}"), format!("run{number}.tar"));
        let mut airlift = talkative();
        place.identity.machine(&mut airlift);
        let identity: &[&str] = match &user {
            Some(user) => &["-i", user],
            None => &[],
        };
        let pipeline = ["-c", &container, "-m", "ManagedIdentity"];
        let up = ["export-pipeline", "create", "-r", from.address(), "-n", "up"];
        place.run(&airlift, &[&up, &pipeline[..], identity].concat()).success();
        let down = ["import-pipeline", "create", "-r", to.address(), "-n", "down", "-e", "false"];
        place.run(&airlift, &[&down, &pipeline[..], identity].concat()).success();
        let runs: [(&Registry, &[&str]); 2] =
            [(&from, &["-p", "up", "-t", "export", "-a", "team/app:v1"]), (&to, &["-p", "down", "-t", "import"])];
        for (registry, what) in runs {
            let begin = ["pipeline-run", "create", "-r", registry.address(), "-n", &name, "-b", &blob];
            let ran = place.run(&airlift, &[&begin[..], what].concat()).success();
            let ran: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(ran["properties"]["response"]["status"], "Succeeded", "{ran}");
        }
        compare::same((&from, "team/app"), (&to, "team/app"), "v1");
        assert_eq!(from.tags("team/app"), to.tags("team/app"), "the signature is there too");
        let expected = format!("managed {} {STORAGE}", user.unwrap_or("-"));
        assert_eq!(place.identity.asked(), vec![expected; 2]);
        nowhere_below(airlift.home());
    }
}

/// Nothing that opens something is in the state.
#[track_caller]
fn nowhere_below(folder: &Path) {
    for name in files_below(folder) {
        unseen(&[&String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap())]);
    }
}
