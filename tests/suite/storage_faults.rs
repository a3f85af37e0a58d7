//! Storages in trouble and signatures that are not enough: the right outcome, nothing half-visible, no secret said.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use airlift::{
    content::{Code, Fault, ReadAt, read_at::read_whole},
    storage::{self, Finish, Location, Pinned, Settings, conformance},
};
use jiff::{Timestamp, ToSpan};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    storage_move::{azurite, references, same, source, with_source},
    support::{
        Airlift, Options, Ran, Registry,
        artifacts::{Artifact, Blob},
        azurite::{self, Account, Azurite, Grant},
        faults::{self, Faults},
        http::block_on,
        moto::{self, Moto},
        needs,
        packed::Packed,
        proxy::Proxy,
        with,
    },
};

/// The program at its most talkative; what it says is searched for secrets.
struct Watched(Airlift);

impl Watched {
    fn new() -> Self {
        Self(Airlift::new())
    }

    /// Runs `args`, fails if a signature of them, or a key, is in what is said.
    #[track_caller]
    fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ran {
        let args: Vec<&str> = args.into_iter().chain(["--log", "trace"]).collect();
        let ran = self.0.run(&args);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let plain = |text: String| text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        let signatures = args.iter().filter(|arg| arg.contains("sig=")).map(|arg| azurite::signature(arg));
        let secrets = signatures.flat_map(|sig| [sig.clone(), plain(sig)]).chain([moto::SECRET.to_owned()]);
        for secret in secrets {
            assert!(!said.contains(&secret), "{secret} was said\n{ran}");
        }
        for (at, _) in said.match_indices("X-Amz-Signature=") {
            assert!(said[at..].starts_with("X-Amz-Signature=***"), "a signature was said\n{ran}");
        }
        ran
    }
}

/// A home with `here.tar`, a bundle of `registry.example/team/app:v1` with a layer of 20 MiB.
fn home() -> Watched {
    let watched = Watched::new();
    let artifact = Artifact::image("linux/amd64", vec![Blob::layer(1, 20 << 20), Blob::layer(2, 5000)]);
    let path = watched.0.home().join("here.tar");
    block_on(Packed::new().with("registry.example/team/app:v1", artifact).write(&path));
    watched
}

fn put(azurite: &Azurite, name: &str, content: Vec<u8>) {
    let location = azurite.location(Account::A, "box", name, &Grant::default());
    let finish = Finish { overwrite: true, ..Finish::default() };
    block_on(async {
        let object = storage::open(&location, &Settings::default()).unwrap();
        conformance::put(&*object, &content.into(), finish).await.unwrap();
    });
}

#[test]
fn every_leg_outlives_bursts_of_503() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, watched) = (azurite(), source(), Watched::new());
    let references = references(&registry);
    let wire = Faults::before(azurite.address());
    let url = |account, name: &str| azurite::url(&wire.address(), account, "box", name, &Grant::default());
    let (a, b) = (url(Account::A, "a.tar"), url(Account::B, "b.tar"));
    wire.rule(|number, _| (number % 6 < 2).then(faults::busy));
    watched.run(with_source(&["export", "-o", &a], &references)).success();
    watched.run(["verify", &a]).success();
    watched.run(["copy", &a, &b]).success();
    watched.run(["copy", &b, "out.tar"]).success();
    let target = Registry::start(Options::default());
    watched.run(["import", &b, "--to", target.address(), "--delete-source"]).success();
    same(&registry, &target);
    watched.run(["inspect", &b]).exits(1).says(&["storage.not-found"]);
}

#[test]
fn a_signature_that_ends_in_the_middle_of_a_read_leaves_nothing_half_visible() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, watched) = (azurite(), home());
    put(&azurite, "b.tar", fs::read(watched.0.home().join("here.tar")).unwrap());
    let (wire, target) = (Faults::before(azurite.address()), Registry::start(Options::default()));
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::only("rd"));
    let to = azurite.url(Account::B, "box", "copy.tar", &Grant::default());
    let import = ["import", &url, "--to", target.address(), "--delete-source"];
    // The head of the bundle is read, then no more.
    let reads = |wire: &Faults| {
        let gets = AtomicUsize::new(0);
        wire.rule(move |_, head| {
            let count = if head.starts_with("GET") { gets.fetch_add(1, SeqCst) } else { 0 };
            (count >= 3).then(faults::forbidden)
        });
    };
    for args in [&["verify", &url][..], &["copy", &url, "out.tar"], &["copy", &url, &to], &import] {
        reads(&wire);
        let refused = watched.run(args.iter().copied()).exits(5).says(&["storage.refused"]);
        // It is the bundle that cannot be read, and not the registry that refuses.
        assert!(args[0] != "import" || (refused.stderr.contains("(bundle)") && !refused.stderr.contains("(target)")));
    }
    assert!(!watched.0.home().join("out.tar").exists());
    watched.run(["inspect", &to]).exits(1).says(&["storage.not-found"]);
    assert!(target.repositories().iter().all(|repository| target.tags(repository).is_empty()));
    wire.rule(|_, _| None);
    watched.run(["copy", &url, "out.tar"]).success();
    watched.run(["copy", &url, &to]).success();
    watched.run(import).success();
}

#[test]
fn an_object_that_is_replaced_between_two_reads_ends_the_run() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, watched) = (Arc::new(azurite()), home());
    let content = fs::read(watched.0.home().join("here.tar")).unwrap();
    let (wire, target) = (Faults::before(azurite.address()), Registry::start(Options::default()));
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::only("rd"));
    let import = ["import", &url, "--to", target.address(), "--delete-source"];
    for args in [&["verify", &url][..], &["copy", &url, "out.tar"], &import] {
        put(&azurite, "b.tar", content.clone());
        let (gets, other, again) = (AtomicUsize::new(0), Arc::clone(&azurite), content.clone());
        wire.rule(move |_, head| {
            // The same bytes, but another object: nobody can know that without reading all of it.
            if head.starts_with("GET") && gets.fetch_add(1, SeqCst) == 3 {
                put(&other, "b.tar", again.clone());
            }
            None
        });
        watched.run(args.iter().copied()).exits(1).says(&["storage.changed"]);
    }
    assert!(!watched.0.home().join("out.tar").exists());
    assert!(target.repositories().iter().all(|repository| target.tags(repository).is_empty()));
    wire.rule(|_, _| None);
    watched.run(["inspect", &url]).success();
}

#[test]
fn a_check_that_is_stopped_says_that_it_begins_anew() {
    needs!("azurite-blob");
    let (azurite, watched) = (azurite(), home());
    put(&azurite, "b.tar", fs::read(watched.0.home().join("here.tar")).unwrap());
    let wire = Proxy::before(azurite.address());
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::only("r"));
    wire.hold_after(2 << 20);
    let mut run = watched.0.start(["verify", &url]);
    assert!(wire.wait_until_held(&mut run), "{}", run.log());
    run.signal(Signal::INT);
    assert_eq!(run.wait().code(), Some(130));
    run.wait_for_line("it begins anew, and nothing was changed");
}

#[test]
fn an_object_without_its_tail_is_told_as_such_and_nothing_of_it_is_published() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, watched) = (azurite(), home());
    let content = fs::read(watched.0.home().join("here.tar")).unwrap();
    let target = Registry::start(Options::default());
    let url = azurite.url(Account::A, "box", "b.tar", &Grant::only("rd"));
    for length in [content.len() - 1, content.len() / 2, 700] {
        put(&azurite, "b.tar", content[..length].to_vec());
        for args in [&["verify", &url][..], &["inspect", &url], &["import", &url, "--to", target.address()]] {
            watched.run(args.iter().copied()).exits(4).says(&["bundle.truncated"]);
        }
    }
    assert_eq!(target.repositories(), Vec::<String>::new());
}

#[test]
fn a_storage_that_stands_still_is_asked_again_and_then_given_up() {
    needs!("azurite-blob", "moto_server");
    let (azurite, moto) = (azurite(), Moto::start());
    moto.create("box");
    let state = TempDir::new().unwrap();
    let (wire, s3_wire) = (Proxy::before(azurite.address()), Proxy::before(&moto.endpoint()["http://".len()..]));
    let variables = moto::variables(&format!("http://{}", s3_wire.address()));
    let (silence, patience) = (Duration::from_millis(300), Duration::from_secs(1));
    let settings = with(Settings::default(), |it| {
        it.variables = variables;
        it.silence = silence;
        it.patience = patience;
        it.state = Some(state.path().to_owned());
    });
    let url = azurite::url(&wire.address(), Account::A, "box", "x.tar", &Grant::default());
    let content = conformance::sample(5, 6 << 20);
    for (text, wire) in [(&*url, &wire), ("s3://box/x.tar", &s3_wire)] {
        block_on(async {
            let object = storage::open(&Location::parse(text).unwrap(), &settings).unwrap();
            conformance::put(&*object, &content, Finish::default()).await.unwrap();
            let pinned = Pinned::open(object).await.unwrap();
            wire.hold_after(2 << 20);
            // It is asked again on other wires, which stand still as well.
            let error = read_whole(&pinned, 0..pinned.size()).await.expect_err("nothing came any more");
            assert_eq!(error.code(), Code::StorageStalled, "{error:?}");
            wire.release();
            assert_eq!(read_whole(&pinned, 0..pinned.size()).await.unwrap(), content);
        });
    }
}

#[test]
fn each_missing_permission_ends_with_5_and_is_named() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, watched) = (azurite(), source(), Watched::new());
    let reference = registry.reference("team/tool:v2");
    let at = |name: &str, grant: &Grant| azurite.url(Account::A, "box", name, grant);
    let only = |name: &str, permissions| at(name, &Grant::only(permissions));
    // What it takes: to export read and write, to import read, and delete to remove.
    let (full, to_import) = (only("b.tar", "rw"), only("b.tar", "r"));
    watched.run(["export", &reference, "-o", &full]).success();
    let target = Registry::start(Options::default());
    let to = target.address();
    watched.run(["import", &to_import, "--to", to]).success();
    let cases: [(&[&str], &str); 8] = [
        (&["export", &reference, "-o", &only("n.tar", "wcl")], "read (r)"),
        (&["export", &reference, "-o", &only("n.tar", "rl")], "write (w)"),
        (&["copy", &to_import, &only("n.tar", "rl")], "write (w)"),
        (&["copy", &only("b.tar", "wl"), "n.tar"], "read (r)"),
        (&["import", &only("b.tar", "wl"), "--to", to], "read (r)"),
        (&["import", &to_import, "--to", to, "--delete-source"], "delete (d)"),
        (&["verify", &only("b.tar", "wdl")], "read (r)"),
        (&["inspect", &only("b.tar", "wdl")], "read (r)"),
    ];
    for (args, permission) in cases {
        watched.run(args.iter().copied()).exits(5).says(&["storage.permission", permission]);
    }
    let expired = Grant { expires: Timestamp::now() - 1.minute(), ..Grant::default() };
    let other = Grant { container: Some("elsewhere"), ..Grant::default() };
    let https = Grant { https_only: true, ..Grant::default() };
    for (grant, token) in [(expired, "storage.expired"), (other, "storage.refused"), (https, "storage.https-only")] {
        let url = at("b.tar", &grant);
        let new = at("n.tar", &grant);
        for args in [
            &["export", &reference, "-o", &new][..],
            &["copy", &to_import, &new],
            &["copy", &url, "n.tar"],
            &["import", &url, "--to", to],
            &["verify", &url],
            &["inspect", &url],
        ] {
            watched.run(args.iter().copied()).exits(5).says(&[token]);
        }
    }
    watched.run(["inspect", &only("n.tar", "r")]).exits(1).says(&["storage.not-found"]);
    assert!(!watched.0.home().join("n.tar").exists());
}

#[test]
fn a_bundle_stays_where_it_is_until_every_artifact_is_in_the_target() {
    needs!("azurite-blob", "docker-registry");
    let (azurite, registry, watched) = (azurite(), source(), Watched::new());
    let url = azurite.url(Account::A, "box", "b.tar", &Grant::only("rwd"));
    watched.run(with_source(&["export", "-o", &url], &references(&registry))).success();
    let target = Registry::start(Options::default());
    // A tag that points elsewhere: one of the two artifacts fails.
    Artifact::small(9, 100).push(&target, "team/tool", Some("v2"));
    let import = ["import", &url, "--to", target.address(), "--delete-source"];
    watched.run(import.into_iter().chain(["--continue-on-errors"])).exits(3);
    watched.run(["inspect", &url]).success();
    watched.run(import).exits(1);
    watched.run(["inspect", &url]).success();
    watched.run(import.into_iter().chain(["--overwrite-tags"])).success();
    same(&registry, &target);
    watched.run(["inspect", &url]).exits(1).says(&["storage.not-found"]);
}

#[test]
fn what_a_disk_cannot_hold_is_refused_before_the_first_byte() {
    needs!("azurite-blob");
    let (azurite, watched) = (azurite(), home());
    let content = fs::read(watched.0.home().join("here.tar")).unwrap();
    let size = content.len();
    put(&azurite, "b.tar", content);
    let Some(disk) = crate::support::Tmpfs::mount(8 << 20) else { return };
    let wire = Proxy::before(azurite.address());
    let url = azurite::url(&wire.address(), Account::A, "box", "b.tar", &Grant::only("r"));
    let out = disk.path().join("b.tar");
    let refused = watched.run(["copy", &url, out.to_str().unwrap()]).exits(1).says(&["output.no-space"]);
    assert!(refused.stderr.contains(&format!("needs {size} bytes more")), "{refused}");
    assert!(refused.stderr.contains("bytes free"), "{refused}");
    assert!(wire.downloaded() < 3 << 20, "{} bytes came for nothing", wire.downloaded());
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}
