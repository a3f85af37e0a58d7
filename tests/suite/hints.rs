//! A hint leads on: each is typed here as it is printed.

use std::{
    fs,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use airlift::{
    content::memory::Memories,
    oci::Digest,
    progress::Progress,
    storage,
    transfer::{destination::RegistryPrefix, discs, import},
};
use async_trait::async_trait;

use crate::support::{
    Airlift, Options, Ran, Registry,
    artifacts::Artifact,
    hostile::{Hostile, Reply, Request},
    http::block_on,
    needs,
    packed::Packed,
    tls,
};

/// A sound bundle of two artifacts at `good.tar`, and the same at `b.tar`.
fn bundles(airlift: &Airlift) {
    let packed = Packed::new()
        .with("r.example/app:v1", Artifact::small(1, 300_000))
        .with("r.example/tool:v1", Artifact::small(2, 30_000));
    block_on(packed.write(&airlift.home().join("good.tar")));
    fs::copy(airlift.home().join("good.tar"), airlift.home().join("b.tar")).unwrap();
}

fn flip(path: &Path) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(150_000)).unwrap();
    file.write_all(b"damage").unwrap();
}

/// The commands in the hint, as words.
fn hinted(ran: &Ran) -> Vec<Vec<String>> {
    let (_, hint) = ran.stderr.split_once("help: ").unwrap_or_else(|| panic!("no hint: {ran}"));
    let quoted = hint.split('`').skip(1).step_by(2);
    let commands = quoted.filter_map(|text| text.strip_prefix("airlift "));
    commands.map(|text| text.split(' ').map(str::to_owned).collect()).collect()
}

#[test]
fn damage_that_recovery_data_covers_leads_to_a_repair_and_from_there_on() {
    for (args, code) in [
        (&["verify", "b.tar"][..], 4),
        (&["copy", "b.tar", "c.tar"], 4),
        (&["import", "b.tar", "--store", "store"], 4),
        (&["import", "b.tar", "--store", "store", "--verify-first"], 4),
    ] {
        let airlift = Airlift::new();
        bundles(&airlift);
        airlift.run(["protect", "b.tar", "--recovery", "10%"]).success();
        flip(&airlift.home().join("b.tar"));
        let ran = airlift.run(args).exits(code);
        let repair = hinted(&ran);
        assert_eq!(repair, [["repair", "b.tar"]], "{ran}");
        airlift.run(&repair[0]).success();
        airlift.run(args).success();
    }
}

#[test]
fn a_truncated_bundle_leads_to_a_complete_one_and_never_to_a_copy_of_itself() {
    let airlift = Airlift::new();
    bundles(&airlift);
    let sound = fs::read(airlift.home().join("b.tar")).unwrap();
    fs::write(airlift.home().join("b.tar"), &sound[..100_000]).unwrap();
    let copied = airlift.run(["copy", "b.tar", "c.tar"]).exits(4);
    assert!(hinted(&copied).is_empty(), "{copied}");
    copied.says(&["The source is damaged itself"]);
    for args in [&["verify", "b.tar"][..], &["inspect", "b.tar"], &["import", "b.tar", "--store", "store"]] {
        fs::write(airlift.home().join("b.tar"), &sound[..100_000]).unwrap();
        let ran = airlift.run(args).exits(4);
        let fill = |word: &String| word.replace("GOOD", "good.tar").replace("BUNDLE", "b.tar");
        let copy: Vec<_> = hinted(&ran)[0].iter().map(fill).collect();
        airlift.run(&copy).success();
        airlift.run(args).success();
    }
}

#[test]
fn a_login_that_is_refused_does_not_lead_to_a_login() {
    needs!("docker-registry");
    let registry = Registry::start(Options { htpasswd: Some(("ada", "love")), ..Options::default() });
    let airlift = Airlift::new();
    let login = ["login", registry.address(), "-u", "ada", "--password-stdin"];
    let ran = airlift.run_with_input(login, "hate").exits(5);
    assert!(hinted(&ran).is_empty() && ran.stderr.contains("does not take this user"), "{ran}");
    airlift.run_with_input(login, "love").success();
}

#[test]
fn a_second_set_in_a_folder_leads_to_a_folder_of_its_own() {
    let airlift = Airlift::new();
    bundles(&airlift);
    let export = |out: &str| {
        let export = ["export", "--from", "good.tar", "--volume-size", "100KiB", "-o", out];
        airlift.run(export)
    };
    fs::create_dir(airlift.home().join("discs")).unwrap();
    export("discs/one").success();
    let ran = export("discs/two").exits(1);
    let typed = |front: &str| ran.stderr.split_once(front).unwrap().1.split('`').next().unwrap();
    let (folder, place) = (typed("`mkdir "), typed("`-o "));
    fs::create_dir(airlift.home().join(folder)).unwrap();
    export(place).success();
    airlift.run(["verify", "discs/two"]).success();
    airlift.run(["verify", "discs"]).success();
}

#[test]
fn a_bundle_on_standard_input_leads_to_a_file() {
    let airlift = Airlift::new();
    for args in [&["import", "-", "--store", "s"][..], &["verify", "-"], &["inspect", "-"], &["copy", "-", "c.tar"]] {
        let ran = airlift.run(args).exits(2).says(&["usage.argument", "cat > bundle.tar"]);
        assert!(!ran.stderr.contains("or -"), "{ran}");
    }
}

#[test]
fn http_to_a_port_of_tls_is_said_at_once_and_leads_to_tls() {
    needs!("docker-registry");
    let registry = Registry::start(Options { tls: true, ..Options::default() });
    Artifact::small(1, 10).push(&registry, "app", Some("v1"));
    let airlift = Airlift::new();
    let (name, ca) = (registry.reference("app:v1"), registry.ca());
    let export = |more: &[&str]| {
        let export = ["export", &name, "-o", "b.tar"];
        airlift.run(export.iter().chain(more))
    };
    // Go's server answers in plain words with 400, others with an alert of TLS.
    let plain = export(&["--plain-http", registry.address()]).exits(1);
    assert!(!plain.stderr.contains("retry:"), "{plain}");
    export(&[]).exits(1).says(&["registry.tls", "--ca-cert FILE"]);
    export(&["--ca-cert", ca.to_str().unwrap()]).success();

    let folder = airlift.home().join("tls");
    fs::create_dir(&folder).unwrap();
    tls::write(&folder);
    let serve =
        ["serve", "b.tar", "--listen", "127.0.0.1:0", "--tls-cert", "tls/server.pem", "--tls-key", "tls/server.key"];
    let server = airlift.start(serve);
    let address = server.wait_for_line("Serving on https://").split_once("https://").unwrap().1.trim().to_owned();
    let export = ["export", &format!("{address}/app:v1"), "-o", "c.tar", "--plain-http", &address];
    let ran = airlift.run(export).exits(1).says(&["registry.protocol", "leave out --plain-http"]);
    assert!(!ran.stderr.contains("retry:"), "{ran}");
    airlift.run(["export", &format!("{address}/app:v1"), "-o", "c.tar", "--ca-cert", "tls/ca.pem"]).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_that_answers_a_push_is_named_as_one() {
    let page = "<!doctype html><html><title>Welcome to the portal</title></html>";
    for status in [404, 405, 501] {
        let server = Hostile::start(|_| {
            move |request: &Request| match request.method.as_str() {
                "POST" | "PUT" => Reply::new(status).header("content-type", "text/html").body(page),
                _ => Reply::new(404).header("content-type", "text/html").body(page),
            }
        })
        .await;
        let airlift = Airlift::new();
        let to = server.address();
        let packed = Packed::new().with("r.example/app:v1", Artifact::small(1, 3_000));
        packed.write(&airlift.home().join("b.tar")).await;
        let run = move || airlift.run(["import", "b.tar", "--to", &to]);
        let ran = tokio::task::spawn_blocking(run).await.unwrap().exits(1);
        ran.says(&["registry.protocol", "Welcome to the portal", "Check the host and the port"]);
    }
}

#[test]
fn an_s3_without_its_secret_leads_to_the_secret() {
    let mut airlift = Airlift::new();
    bundles(&airlift);
    airlift.set("AWS_ACCESS_KEY_ID", "id").set("AWS_REGION", "us-east-1").set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let ran = airlift.run(["copy", "b.tar", "s3://bucket/b.tar"]).exits(5);
    ran.says(&["storage.credential", "AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn a_signature_that_a_shell_cut_off_is_said_to_be_and_one_on_the_command_line_is_warned_of() {
    let airlift = Airlift::new();
    bundles(&airlift);
    let cut = airlift.run(["copy", "b.tar", "https://acct.blob.core.windows.net/c/b.tar?sv=2024-11-04"]).exits(2);
    cut.says(&["usage.location", "cut off", "quotes"]);
    let warned = |address: &str| {
        let ran = airlift.run(["verify", address]);
        ran.stderr.matches("AZURE_STORAGE_SAS_TOKEN to it").count()
    };
    assert_eq!(warned("ftp://127.0.0.1/box/b.tar?sv=2024-11-04&sp=r&sig=CANARY"), 1);
    assert_eq!(warned("b.tar"), 0);
}

#[test]
fn a_rule_that_renames_nothing_is_warned_of() {
    let airlift = Airlift::new();
    bundles(&airlift);
    let import = ["import", "b.tar", "--store", "store", "--map", "r.example/ap=x", "--map", "app=y"];
    let ran = airlift.run(import).success();
    ran.clone().says(&["--map r.example/ap=x renames nothing"]);
    assert!(!ran.stderr.contains("app=y renames"), "{ran}");
}

/// A drive at which somebody types what is listed.
struct Typist {
    answers: Mutex<Vec<PathBuf>>,
    asked: Mutex<Vec<PathBuf>>,
    spool: PathBuf,
}

#[async_trait]
impl discs::Drive for Typist {
    async fn next(&self, _why: &str, place: &Path) -> io::Result<Option<PathBuf>> {
        self.asked.lock().unwrap().push(place.to_owned());
        let mut answers = self.answers.lock().unwrap();
        Ok((!answers.is_empty()).then(|| answers.remove(0)))
    }

    fn spool(&self, _set: Option<Digest>) -> PathBuf {
        self.spool.clone()
    }
}

#[test]
fn a_mistyped_place_of_a_disc_is_forgotten() {
    let airlift = Airlift::new();
    bundles(&airlift);
    airlift.run(["export", "--from", "good.tar", "--volume-size", "300KiB", "-o", "all/set"]).exits(1);
    fs::create_dir(airlift.home().join("all")).unwrap();
    airlift.run(["export", "--from", "good.tar", "--volume-size", "300KiB", "-o", "all/set"]).success();
    let disc = |number: u32| {
        let folder = airlift.home().join(format!("disc{number}"));
        fs::create_dir(&folder).unwrap();
        let name = format!("set.vol{number:03}.tar");
        fs::copy(airlift.home().join("all").join(&name), folder.join(&name)).unwrap();
        folder
    };
    let (first, second) = (disc(1), disc(2));
    let typist = Typist {
        answers: Mutex::new(vec![airlift.home().join("no/such"), PathBuf::new(), second]),
        asked: Mutex::default(),
        spool: airlift.home().join("spool"),
    };
    let request = import::Request::new(RegistryPrefix::local());
    let (targets, settings, silent) = (Memories::default(), storage::Settings::default(), Progress::silent());
    let imported = discs::import(first.clone(), &typist, &targets, &request, &settings, &silent);
    let report = block_on(imported).unwrap();
    assert!(report.lacking.is_empty());
    assert_eq!(*typist.asked.lock().unwrap(), [first.clone(), first.clone(), first]);
}
