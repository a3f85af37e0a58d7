//! Nothing secret is said, at the highest level, by any leg that touches a storage, nor by any of its failures.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use reqwest::Method;

use crate::{
    storage_move::azurite,
    support::{
        Airlift, Options, Ran, Registry,
        artifacts::{Artifact, Blob},
        azurite::{self, Account, Azurite, Grant},
        http::Caller,
        moto::{self, Moto},
        needs,
        process::{Process, files_below},
    },
};

const USER: &str = "ada";
const PASSWORD: &str = "registry-password-CANARY";

/// What must be seen nowhere, and who is listened to.
struct Listener {
    airlift: Airlift,
    secrets: Vec<String>,
}

impl Listener {
    fn new() -> Self {
        let mut airlift = Airlift::new();
        airlift.set("AIRLIFT_LOG", "trace").set("AIRLIFT_USERNAME", USER).set("AIRLIFT_PASSWORD", PASSWORD);
        let basic = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        Self { airlift, secrets: vec![PASSWORD.to_owned(), basic, moto::SECRET.to_owned()] }
    }

    /// A signature is a secret from now on, in every way in which it is written.
    fn mind(&mut self, url: &str) {
        if url.contains("sig=") {
            let signature = azurite::signature(url);
            self.secrets.push(signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "="));
            self.secrets.push(signature);
        }
    }

    fn listen(&self, said: &str) {
        for secret in &self.secrets {
            assert!(!said.contains(secret.as_str()), "{secret} was said:\n{said}");
        }
        for (at, _) in said.match_indices("X-Amz-Signature=") {
            assert!(said[at..].starts_with("X-Amz-Signature=***"), "a signature was said:\n{said}");
        }
    }

    /// Runs `args` and listens.
    fn heard(&mut self, args: &[&str]) -> Ran {
        for arg in args {
            self.mind(arg);
        }
        let ran = self.airlift.run(args);
        self.listen(&format!("{}{}", ran.stdout, ran.stderr));
        ran
    }

    /// Runs `args`, which end with `code`.
    #[track_caller]
    fn run(&mut self, code: i32, args: &[&str]) -> Ran {
        let ran = self.heard(args).exits(code);
        assert!(ran.stderr.contains("TRACE") || ran.stderr.contains("DEBUG"), "it hardly spoke: {ran}");
        ran
    }

    /// Runs `args`, which do not end well.
    #[track_caller]
    fn fails(&mut self, args: &[&str]) {
        let ran = self.heard(args);
        assert!(ran.code.is_some_and(|code| code != 0), "{ran}");
    }

    /// Serves `place`, and pulls from it.
    fn serve(&mut self, place: &str, repository: &str, digest: &str) {
        self.mind(place);
        let serving = self.airlift.start(["serve", place, "--listen", "127.0.0.1:0"]);
        let line = serving.wait_for_line("Serving on http://");
        let address = line.rsplit("http://").next().unwrap().trim().to_owned();
        for path in ["manifests/v1".to_owned(), format!("blobs/{digest}")] {
            let url = format!("http://{address}/v2/{repository}/{path}");
            Caller::default().send(Method::GET, &url, &[], "").success();
        }
        self.listen(&serving.log());
    }
}

/// Two artifacts, of which one has a layer that no volume can hold; the digest of that layer.
fn source() -> (Registry, [String; 2], String) {
    let registry = Registry::start(Options { htpasswd: Some((USER, PASSWORD)), ..Options::default() });
    let layer = Blob::layer(1, 2_500_000);
    let digest = layer.descriptor.digest.to_string();
    Artifact::image("linux/amd64", vec![layer]).push(&registry, "large", Some("v1"));
    Artifact::small(2, 100_000).push(&registry, "small", Some("v1"));
    let references = ["large:v1", "small:v1"].map(|name| registry.reference(name));
    (registry, references, digest)
}

const CUT: [&str; 2] = ["--volume-size", "1MiB"];

#[test]
fn every_leg_keeps_every_secret() {
    needs!("azurite-blob", "moto_server", "docker-registry", "htpasswd");
    let ((registry, [large, small], digest), azurite, moto) = (source(), azurite(), Moto::start());
    moto.create("box");
    let mut listener = Listener::new();
    for (name, value) in moto.variables() {
        listener.airlift.set(&name, value);
    }
    let url = |account, name: &str| azurite.url(account, "box", name, &Grant::default());
    let azure = [url(Account::A, "one.tar"), url(Account::A, "set/release"), url(Account::A, "set")];
    let s3 = ["s3://box/one.tar", "s3://box/set/release", "s3://box/set"].map(str::to_owned);
    for (number, [one, to, set]) in [azure, s3].iter().enumerate() {
        listener.run(0, &["export", &large, &small, "-o", one, "--report", "r.json"]);
        listener.run(0, &[&["export", &large, &small, "-o", to, "--dry-run"], &CUT[..]].concat());
        listener.run(0, &[&["export", &large, &small, "-o", to], &CUT[..]].concat());
        listener
            .run(0, &[&["export", &large, &small, "-o", to, "--overwrite", "--only-volume", "2"], &CUT[..]].concat());
        for (kind, place) in [("one", one), ("set", set)] {
            listener.run(0, &["inspect", place, "--tree"]);
            listener.run(0, &["verify", place, "--json"]);
            let target = format!("{}/{kind}-{number}", registry.address());
            listener.run(0, &["import", place, "--to", &target, "--progress", "json"]);
            listener.serve(place, "large", &digest);
            let beside = url(Account::B, &format!("{kind}-{number}"));
            listener.run(0, &["copy", place, &beside]);
            listener.run(0, &["copy", place, &format!("s3://box/{kind}-{number}"), "--trust-checksums"]);
            std::fs::create_dir_all(listener.airlift.home().join(format!("{kind}-{number}"))).unwrap();
            listener.run(0, &["copy", &beside, &format!("{kind}-{number}/"), "--delete-source"]);
        }
        listener.run(0, &["mirror-config", one, "--mirror", "127.0.0.1:5000", "--for", "containerd"]);
    }
    // What is left behind on this machine says nothing either.
    for name in files_below(listener.airlift.home()) {
        let bytes = std::fs::read(listener.airlift.home().join(&name)).unwrap();
        listener.listen(&String::from_utf8_lossy(&bytes));
    }
}

/// Addresses of `name` that are refused: by their time, by their permissions, by their signature.
fn refused(azurite: &Azurite, name: &str) -> [String; 3] {
    let good = azurite.url(Account::A, "box", name, &Grant::default());
    let (front, signature) = good.split_once("sig=").unwrap();
    let wrong: String = signature.chars().rev().collect::<String>().replace("D3%", "").replace(['%'], "");
    [
        azurite.url(Account::A, "box", name, &Grant { expires: Timestamp::UNIX_EPOCH, ..Grant::default() }),
        // It may remove what it cannot see.
        azurite.url(Account::A, "box", name, &Grant::only("d")),
        format!("{front}sig={wrong}%3D"),
    ]
}

#[test]
fn no_failure_of_a_leg_tells_a_secret() {
    needs!("azurite-blob", "docker-registry", "htpasswd");
    let ((registry, [large, small], _), azurite) = (source(), azurite());
    let mut listener = Listener::new();
    let url = |name: &str| azurite.url(Account::A, "box", name, &Grant::default());
    let target = registry.address().to_owned();
    listener.run(0, &["export", &large, "-o", "here.tar"]);
    listener.run(0, &["copy", "here.tar", &url("sound.tar")]);
    for bad in refused(&azurite, "sound.tar") {
        listener.run(5, &["export", &small, "-o", &bad, "--overwrite"]);
        listener.run(5, &[&["export", &small, "-o", &bad, "--overwrite"], &CUT[..]].concat());
        listener.run(5, &["copy", "here.tar", &bad, "--overwrite"]);
        listener.run(5, &["copy", &bad, "back.tar"]);
        listener.run(5, &["copy", &bad, &url("other.tar")]);
        listener.run(5, &["inspect", &bad]);
        listener.run(5, &["verify", &bad]);
        listener.run(5, &["import", &bad, "--to", &target]);
        listener.run(5, &["serve", &bad, "--listen", "127.0.0.1:0"]);
        listener.run(5, &["mirror-config", &bad, "--mirror", "127.0.0.1:5000", "--for", "containerd"]);
    }
    // What is not there, what is there already, and what is not a bundle.
    let (absent, taken) = (url("absent.tar"), url("sound.tar"));
    for command in [&["inspect"][..], &["verify"], &["import", "--to", &target], &["serve", "--listen", "127.0.0.1:0"]]
    {
        listener.run(1, &[command, &[&*absent]].concat());
    }
    listener.run(1, &["copy", &absent, "back.tar"]);
    listener.run(1, &["export", &small, "-o", &taken]);
    listener.run(1, &["export", &registry.reference("none:v1"), "-o", &absent]);
    std::fs::write(listener.airlift.home().join("noise"), vec![7; 100_000]).unwrap();
    listener.run(1, &["copy", "noise", &taken]);
    listener.run(0, &["copy", "noise", &url("noise.tar")]);
    for command in [&["inspect"][..], &["verify"], &["import", "--to", &target], &["serve", "--listen", "127.0.0.1:0"]]
    {
        listener.fails(&[command, &[&*url("noise.tar")]].concat());
    }
    // Addresses that cannot be read are shown as far as they are no secret.
    for bad in [url("x").replace("http://", "ftp://"), url("x").replace("http://", "http://user:pass@")] {
        listener.fails(&["inspect", &bad]);
        listener.fails(&["copy", "here.tar", &bad]);
    }
    listener.airlift.set("AIRLIFT_PASSWORD", "another-CANARY-password");
    listener.secrets.push("another-CANARY-password".to_owned());
    listener.run(5, &["export", &large, "-o", &absent]);
    listener.run(5, &["import", &taken, "--to", &target]);
}

/// Starts the watch and waits for a line of it.
fn watched(listener: &Listener, line: &str) -> Process {
    let watch = listener.airlift.start(["watch", "--json", "--interval", "1s"]);
    watch.wait_for_line(line);
    watch
}

#[test]
fn pipelines_and_the_watch_keep_every_secret() {
    needs!("azurite-blob", "docker-registry", "htpasswd");
    let ((registry, _, _), azurite) = (source(), azurite());
    let mut listener = Listener::new();
    let token = |grant: &Grant| azurite.url(Account::A, "box", "", grant).split_once('?').unwrap().1.to_owned();
    let (good, expired) =
        (token(&Grant::default()), token(&Grant { expires: Timestamp::UNIX_EPOCH, ..Grant::default() }));
    for token in [&good, &expired] {
        listener.mind(token);
    }
    listener.airlift.set("TRANSFER_SAS", good.clone());
    let (uri, at) = (format!("http://{}/accounta/box", azurite.address()), registry.address().to_owned());
    let pipeline = |kind| [kind, "create", "-r", &at, "-c", &uri, "-s", "env:TRANSFER_SAS", "-n"];
    let run =
        |name, pipeline, kind| ["pipeline-run", "create", "-r", &at, "-n", name, "-p", pipeline, "-t", kind, "-b"];
    let quiet = |listener: &Listener, args: &[&str], code| {
        let ran = listener.airlift.run(args);
        listener.listen(&format!("{}{}", ran.stdout, ran.stderr));
        ran.exits(code);
    };
    quiet(&listener, &[&pipeline("export-pipeline")[..], &["up"]].concat(), 0);
    quiet(&listener, &[&pipeline("import-pipeline")[..], &["down"]].concat(), 0);
    quiet(&listener, &[&run("one", "up", "export")[..], &["one.tar", "-a", "large:v1"]].concat(), 0);
    let watch = watched(&listener, "\"event\":\"ended\",\"blob\":\"one.tar\",\"status\":\"Succeeded\"");
    listener.listen(&watch.log());
    drop(watch);
    quiet(&listener, &[&run("again", "down", "import")[..], &["one.tar"]].concat(), 0);
    for args in [&["export-pipeline", "list"][..], &["import-pipeline", "list"], &["pipeline-run", "list"]] {
        quiet(&listener, &[args, &["-o", "yaml"]].concat(), 0);
    }
    listener.airlift.set("TRANSFER_SAS", expired);
    quiet(&listener, &[&run("late", "up", "export")[..], &["two.tar", "-a", "large:v1"]].concat(), 5);
    quiet(&listener, &[&run("late-too", "down", "import")[..], &["two.tar"]].concat(), 5);
    let watch = watched(&listener, "storage.expired");
    listener.listen(&watch.log());
    drop(watch);
    for name in files_below(listener.airlift.home()) {
        let bytes = std::fs::read(listener.airlift.home().join(&name)).unwrap();
        listener.listen(&String::from_utf8_lossy(&bytes));
    }
}
