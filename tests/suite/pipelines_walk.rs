//! The whole way by itself: from a registry into one account, from there into another, and by the import trigger into a
//! second registry; the secrets of both accounts in a key vault. The vault is Lowkey Vault, where it can be had, and a stand-in
//! of ours for what no vault can be told to do: to refuse, and to change its mind in mid-run.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{
    Airlift, Options, Ran, Registry,
    artifacts::{Artifact, push_referrers_tag},
    azurite::{self, Account, Azurite, Grant},
    compare,
    lowkey::{self, Lowkey},
    needs,
    process::{Process, files_below},
    vault::{Keeper, Kept, Vault},
};

/// Two sites, each with a registry and an account, and the vault that both ask.
struct Sites<V> {
    vault: V,
    azurite: Azurite,
    from: Registry,
    to: Registry,
    /// Everything that was said, with `--log trace`.
    said: Vec<String>,
    /// What must be seen nowhere.
    secrets: Vec<String>,
    up: Airlift,
    down: Airlift,
}

impl<V: Keeper> Sites<V> {
    fn with(vault: V) -> Self {
        let azurite = Azurite::start();
        let mut secrets = vault.secrets();
        let mut sites = [(Account::A, "out"), (Account::B, "incoming")].map(|(account, container)| {
            azurite.create(account, container);
            let url = azurite.url(account, container, "", &Grant::default());
            secrets.extend([azurite::signature(&url), decoded(&azurite::signature(&url))]);
            // As the portal gives it out, with the question mark.
            vault.keep(&format!("{container}-sas"), Kept::new(format!("?{}", url.split_once('?').unwrap().1)));
            let mut airlift = Airlift::new();
            vault.identify(&mut airlift);
            airlift.set("AIRLIFT_LOG", "trace");
            Some(airlift)
        });
        let [up, down] = [0, 1].map(|n: usize| sites[n].take().unwrap());
        let [from, to] = [(), ()].map(|()| Registry::start(Options::default()));
        Self { vault, azurite, from, to, said: Vec::new(), secrets, up, down }
    }

    fn container(&self, account: &str, container: &str) -> String {
        format!("http://{}/{account}/{container}", self.azurite.address())
    }

    fn blob(&self, account: Account, container: &str) -> String {
        self.azurite.url(account, container, "monday.tar", &Grant::default())
    }

    fn heard(&mut self, ran: Ran) -> Ran {
        self.said.extend([ran.stdout.clone(), ran.stderr.clone()]);
        ran
    }

    /// A command of the exporting site, which trusts the vault's authority.
    fn at_home(&mut self, args: &[&str]) -> Ran {
        let ca = self.vault.authority();
        let ran = self.up.run([&["--ca-cert", ca.to_str().unwrap()], args].concat());
        self.heard(ran)
    }

    fn away(&mut self, args: &[&str]) -> Ran {
        let ca = self.vault.authority();
        let ran = self.down.run([&["--ca-cert", ca.to_str().unwrap()], args].concat());
        self.heard(ran)
    }

    fn export(&mut self, more: &[&str]) -> Ran {
        let from = self.from.address().to_owned();
        let fixed = ["pipeline-run", "create", "-r", &from, "-n", "monday", "-p", "up", "-t", "export"];
        let what = ["-b", "monday.tar", "-a", "team/app:v1", "base:latest"];
        self.at_home(&[&fixed, more, &what].concat())
    }

    fn copy(&mut self) {
        let (from, to) = (self.blob(Account::A, "out"), self.blob(Account::B, "incoming"));
        self.at_home(&["copy", &from, &to, "--overwrite"]).success();
    }

    fn same(&self) {
        assert_eq!(self.from.repositories(), self.to.repositories());
        for (repository, tag) in [("team/app", "v1"), ("base", "latest")] {
            assert_eq!(self.from.tags(repository), self.to.tags(repository));
            compare::same((&self.from, repository), (&self.to, repository), tag);
        }
    }
}

fn decoded(signature: &str) -> String {
    signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")
}

fn ended(watch: &Process, blob: &str, status: &str) {
    watch.wait_for_line(&format!("\"event\":\"ended\",\"blob\":\"{blob}\",\"status\":\"{status}\""));
}

fn response(ran: &Ran) -> Value {
    let run: Value = serde_json::from_str(&ran.stdout).unwrap();
    run["properties"]["response"].clone()
}

/// Whether `needle` is anywhere in a file below `folder`, the database and its log included.
fn kept_below(folder: &Path, needle: &str) -> Vec<String> {
    let bytes = needle.as_bytes();
    let has = |name: &String| fs::read(folder.join(name)).unwrap().windows(bytes.len()).any(|window| window == bytes);
    files_below(folder).into_iter().filter(has).collect()
}

#[test]
fn the_whole_walk_by_vault_accounts_and_trigger() {
    needs!("docker-registry", "azurite-blob");
    walk(Sites::with(Vault::start()));
}

#[test]
fn the_whole_walk_by_lowkey_vault() {
    needs!("docker-registry", "azurite-blob", "openssl");
    if lowkey::present("the_whole_walk_by_lowkey_vault") {
        walk(Sites::with(Lowkey::start()));
    }
}

fn walk<V: Keeper>(mut sites: Sites<V>) {
    let app = Artifact::multi_platform(1, 40_000);
    app.push(&sites.from, "team/app", Some("v1"));
    let signature =
        Artifact::attached("application/vnd.example.sig", crate::support::artifacts::Blob::layer(77, 64), Some(&app));
    signature.push(&sites.from, "team/app", None);
    push_referrers_tag(&sites.from, "team/app", &app, &[&signature]);
    Artifact::small(9, 30_000).push(&sites.from, "base", Some("latest"));
    let (from, to) = (sites.from.address().to_owned(), sites.to.address().to_owned());
    let (out, incoming) = (sites.container("accounta", "out"), sites.container("accountb", "incoming"));
    let (out_sas, in_sas) = (sites.vault.reference("out-sas"), sites.vault.reference("incoming-sas"));
    let up = ["export-pipeline", "create", "-r", &from, "-n", "up", "-c", &out, "-s", &out_sas, "-z", "OverwriteBlobs"];
    sites.at_home(&up).success();
    let down =
        ["import-pipeline", "create", "-r", &to, "-n", "down", "-c", &incoming, "-s", &in_sas, "-z", "OverwriteTags"];
    sites.away(&down).success();
    let ca = sites.vault.authority();
    let watch = sites.down.start(["watch", "--json", "--interval", "1s", "--ca-cert", ca.to_str().unwrap()]);
    let exported = sites.export(&[]).success();
    let first = response(&exported);
    assert_eq!(first["status"], "Succeeded");
    sites.copy();
    ended(&watch, "monday.tar", "Succeeded");
    sites.same();
    let run = sites.away(&["pipeline-run", "list", "-r", &to]).success();
    let runs: Value = serde_json::from_str(&run.stdout).unwrap();
    let imported = &runs[0]["properties"]["response"];
    assert_eq!(imported["importedArtifacts"].as_array().unwrap().len(), 2, "{imported}");
    assert!(imported["trigger"]["sourceTrigger"]["timestamp"].is_string());

    // The same again shows what was; with another tag it is done again, with what is there now.
    Artifact::multi_platform(50, 40_000).push(&sites.from, "team/app", Some("v1"));
    let again = sites.export(&[]).success();
    assert_eq!(response(&again)["startTime"], first["startTime"]);
    let forced = sites.export(&["--force-redeploy"]).success();
    assert_ne!(response(&forced)["catalogDigest"], first["catalogDigest"]);
    drop(watch_to_its_end(watch, &mut sites));
    let second = sites.down.start(["watch", "--json", "--interval", "1s", "--ca-cert", ca.to_str().unwrap()]);
    sites.copy();
    ended(&second, "monday.tar", "Succeeded");
    sites.same();

    // What is deleted is deleted.
    sites.at_home(&["export-pipeline", "delete", "-r", &from, "-n", "up"]).success();
    sites.at_home(&["pipeline-run", "delete", "-r", &from, "-n", "monday"]).success();
    sites.away(&["import-pipeline", "delete", "-r", &to, "-n", "down"]).success();
    for list in [["export-pipeline", "list"], ["pipeline-run", "list"]] {
        assert_eq!(sites.at_home(&list).success().stdout.trim(), "[]");
    }
    drop(watch_to_its_end(second, &mut sites));

    let said = sites.said.concat();
    assert!(said.len() > 100_000, "the log was not taken");
    for secret in &sites.secrets {
        assert!(!said.contains(secret), "{secret} was said");
        for home in [&sites.up, &sites.down] {
            assert_eq!(kept_below(home.home(), secret), Vec::<String>::new(), "{secret} is kept");
        }
    }
}

/// Ends the watch and keeps what it said.
fn watch_to_its_end<V>(mut watch: Process, sites: &mut Sites<V>) -> Process {
    watch.signal(rustix::process::Signal::TERM);
    assert_eq!(watch.wait().code(), Some(0));
    sites.said.push(watch.log());
    watch
}

/// An exporting site whose pipeline takes its secret from `reference`; the exit code and the token of a run.
fn refused<V: Keeper>(sites: &mut Sites<V>, reference: &str, more: &[&str]) -> (Option<i32>, String) {
    let (from, out) = (sites.from.address().to_owned(), sites.container("accounta", "out"));
    let create = ["export-pipeline", "create", "-r", &from, "-n", "up", "-c", &out, "-s", reference];
    sites.at_home(&[&create, more].concat()).success();
    let ran = sites.export(&["--force-redeploy"]);
    let token = ran.stderr.lines().find_map(|line| line.strip_prefix("error[")?.split(']').next());
    let token = token.unwrap_or_else(|| panic!("no token\n{ran}")).to_owned();
    assert!(ran.stderr.contains("help: "), "{ran}");
    (ran.code, token)
}

/// Secrets that are there, or not, and are of no use.
fn unfit_secrets<V: Keeper>(sites: &mut Sites<V>) {
    let now = jiff::Timestamp::now();
    let hour = std::time::Duration::from_hours(1);
    let good = Kept::new("sv=1&sig=CANARYvalue");
    sites.vault.keep("disabled", Kept { enabled: false, ..good.clone() });
    sites.vault.keep("expired", Kept { expires: Some(now - hour), ..good.clone() });
    sites.vault.keep("early", Kept { begins: Some(now + hour), ..good.clone() });
    sites.vault.keep("password", Kept::new("CANARYvalue"));
    sites.secrets.push("CANARYvalue".to_owned());
    for (name, code, token) in [
        ("absent", 1, "secret.not-found"),
        ("disabled", 5, "secret.disabled"),
        ("expired", 5, "secret.expired"),
        ("early", 5, "secret.expired"),
        ("password", 1, "secret.form"),
    ] {
        let reference = sites.vault.reference(name);
        assert_eq!(refused(sites, &reference, &[]), (Some(code), token.to_owned()), "{name}");
    }
}

#[test]
fn lowkey_vaults_secrets_have_versions_and_may_be_of_no_use() {
    needs!("docker-registry", "azurite-blob", "openssl");
    if !lowkey::present("lowkey_vaults_secrets_have_versions_and_may_be_of_no_use") {
        return;
    }
    let mut sites = Sites::with(Lowkey::start());
    unfit_secrets(&mut sites);
    Artifact::small(1, 1000).push(&sites.from, "team/app", Some("v1"));
    Artifact::small(2, 1000).push(&sites.from, "base", Some("latest"));
    let url = sites.azurite.url(Account::A, "out", "", &Grant::default());
    let good = Kept::new(url.split_once('?').unwrap().1);
    let first = sites.vault.put("sas", &good);
    let second = sites.vault.put("sas", &Kept { enabled: false, ..good });
    let newest = sites.vault.reference("sas");
    for (version, token) in
        [(second.as_str(), "secret.disabled"), ("00000000000000000000000000000000", "secret.not-found")]
    {
        assert_eq!(refused(&mut sites, &format!("{newest}/{version}"), &[]).1, token);
    }
    assert_eq!(refused(&mut sites, &newest, &[]), (Some(5), "secret.disabled".to_owned()));
    // The earlier version is still good, and is what is taken where it is named.
    let (from, out) = (sites.from.address().to_owned(), sites.container("accounta", "out"));
    let named = format!("{newest}/{first}");
    sites.at_home(&["export-pipeline", "create", "-r", &from, "-n", "up", "-c", &out, "-s", &named]).success();
    sites.export(&["--force-redeploy"]).success();
    let said = sites.said.concat();
    for secret in &sites.secrets {
        assert!(!said.contains(secret.as_str()), "{secret} was said");
    }
}

#[test]
fn every_way_a_secret_may_fail_has_its_token() {
    needs!("docker-registry", "azurite-blob");
    let mut sites = Sites::with(Vault::start());
    unfit_secrets(&mut sites);
    let out = sites.vault.reference("out-sas");
    sites.vault.refuse(true);
    assert_eq!(refused(&mut sites, &out, &[]), (Some(5), "secret.refused".to_owned()));
    sites.vault.refuse(false);
    // A vault may ask for a token for vaults only.
    let before = sites.vault.asked().len();
    sites.vault.ask_for("https://management.azure.com");
    assert_eq!(refused(&mut sites, &out, &[]), (Some(5), "secret.credential".to_owned()));
    assert_eq!(sites.vault.asked().len(), before, "nobody was asked for such a token");
    sites.vault.ask_for("https://vault.azure.net");
    // An identity that the machine does not have.
    sites.vault.only_for("11111111-2222-3333-4444-555555555555");
    assert_eq!(refused(&mut sites, &out, &[]), (Some(5), "secret.credential".to_owned()));
    let nobody = "https://127.0.0.1:1/secrets/name";
    assert_eq!(refused(&mut sites, nobody, &[]).1, "secret.unreachable");

    let home = sites.up.home().to_owned();
    fs::write(home.join("open"), "sv=1&sig=CANARYvalue").unwrap();
    fs::set_permissions(home.join("open"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = format!("file:{}", home.join("open").display());
    for (reference, code, token) in [
        ("env:NO_SUCH_VARIABLE", 1, "secret.not-found"),
        ("file:/no/such/file", 1, "secret.not-found"),
        (&open, 5, "secret.exposed"),
        ("exec:echo CANARYvalue >&2; exit 7", 1, "secret.command"),
    ] {
        assert_eq!(refused(&mut sites, reference, &[]), (Some(code), token.to_owned()), "{reference}");
    }
    let said = sites.said.concat();
    // The reference that holds it is the person's own text; the value is nowhere else.
    let said = said.replace("exec:echo CANARYvalue", "");
    for secret in &sites.secrets {
        assert!(!said.contains(secret.as_str()), "{secret} was said");
    }
}

#[test]
fn a_user_assigned_identity_is_the_one_that_asks() {
    needs!("docker-registry", "azurite-blob");
    let mut sites = Sites::with(Vault::start());
    Artifact::small(1, 1000).push(&sites.from, "team/app", Some("v1"));
    Artifact::small(2, 1000).push(&sites.from, "base", Some("latest"));
    let client = "11111111-2222-3333-4444-555555555555";
    sites.vault.only_for(client);
    let (from, out, sas) =
        (sites.from.address().to_owned(), sites.container("accounta", "out"), sites.vault.reference("out-sas"));
    let create = ["export-pipeline", "create", "-r", &from, "-n", "up", "-c", &out, "-s", &sas, "-i", client];
    sites.at_home(&create).success();
    sites.export(&[]).success();
    assert!(sites.vault.asked().contains(&"identity https://vault.azure.net".to_owned()));
}

#[test]
fn a_signature_that_ends_or_is_refused_in_mid_run_is_fetched_again() {
    needs!("docker-registry", "azurite-blob");
    let mut sites = Sites::with(Vault::start());
    Artifact::small(1, 1000).push(&sites.from, "team/app", Some("v1"));
    Artifact::small(2, 1000).push(&sites.from, "base", Some("latest"));
    let token = |azurite: &Azurite, grant: &Grant| {
        azurite.url(Account::A, "out", "", grant).split_once('?').unwrap().1.to_owned()
    };
    let good = token(&sites.azurite, &Grant::default());
    let ending = Grant { expires: jiff::Timestamp::now() + std::time::Duration::from_mins(2), ..Grant::default() };
    let revoked = format!("{}AAAA", good.split_once("sig=").map(|(front, _)| format!("{front}sig=")).unwrap());
    for (name, first) in [("ending", token(&sites.azurite, &ending)), ("revoked", revoked)] {
        sites.vault.keep(name, Kept::new(first));
        sites.vault.then(name, Kept::new(good.clone()));
        let (from, out, sas) =
            (sites.from.address().to_owned(), sites.container("accounta", "out"), sites.vault.reference(name));
        let create =
            ["export-pipeline", "create", "-r", &from, "-n", "up", "-c", &out, "-s", &sas, "-z", "OverwriteBlobs"];
        sites.at_home(&create).success();
        sites.export(&["--force-redeploy"]).success();
        let fetched = sites.vault.asked().iter().filter(|asked| **asked == format!("vault {name}")).count();
        assert!(fetched >= 2, "{name} was fetched {fetched} times");
    }
}
