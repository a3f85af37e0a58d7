//! Google Cloud Storage: what differs there from other storages, on a server that speaks as it does.

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use airlift::{
    content::{ReadAt as _, read_at::read_whole},
    oci::Digest,
    storage::{
        self, Error, Finish, Location, Object, PartCheckpoint, Parts, Pinned, Settings, Upload, UploadSpec, conformance,
    },
};
use bytes::Bytes;
use tempfile::TempDir;

use crate::{
    storage_move::{azurite, references, same, source, with_source},
    storage_serve::serve,
    support::{
        Airlift, Options, Registry,
        azurite::{Account, Grant},
        faults::{self, Faults},
        google::{self, Google},
        http::{block_on, get},
        moto::Moto,
        needs, with,
    },
};

/// Bytes of a part in these tests: the smallest there are.
const PART: usize = 1 << 20;

fn settings(address: &str, state: &TempDir) -> Settings {
    with(Settings::default(), |it| {
        it.variables = google::variables(address);
        it.state = Some(state.path().to_owned());
    })
}

fn open(place: &str, settings: &Settings) -> Arc<dyn Object> {
    storage::open(&Location::parse(place).unwrap(), settings).unwrap()
}

#[test]
fn gcs_is_a_provider() {
    needs!("fake-gcs-server");
    let google = Google::start();
    google.create("objects");
    google.create("folders");
    let state = TempDir::new().unwrap();
    let settings = settings(google.address(), &state);
    let folder = |text| storage::open_folder(&Location::parse(text).unwrap(), &settings).unwrap();
    block_on(async {
        conformance::object(open("gs://objects/some folder/b%20+c.tar", &settings)).await;
        conformance::folder(&*folder("gs://folders")).await;
        conformance::folder(&*folder("gs://folders/deep/er")).await;
    });
    assert_eq!(google.names("objects"), Vec::<String>::new(), "parts end with their uploads");
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0, "journals end with their uploads");
}

/// A program that finds the server at `address`.
fn airlift_at(address: &str) -> Airlift {
    let mut airlift = Airlift::new();
    for (name, value) in google::variables(address) {
        airlift.set(&name, value);
    }
    airlift
}

/// A program with `here.tar` in its home, and what is in that.
fn home(address: &str) -> (Airlift, Vec<u8>) {
    let (airlift, registry) = (airlift_at(address), source());
    airlift.run(with_source(&["export", "-o", "here.tar"], &references(&registry))).success();
    let here = fs::read(airlift.home().join("here.tar")).unwrap();
    (airlift, here)
}

fn put(address: &str, place: &str, content: &[u8]) {
    let state = TempDir::new().unwrap();
    let finish = Finish { overwrite: true, ..Finish::default() };
    let object = open(place, &settings(address, &state));
    block_on(conformance::put(&*object, &content.to_vec().into(), finish)).unwrap();
}

fn read(object: &Arc<dyn Object>) -> Bytes {
    block_on(async {
        let pinned = Pinned::open(Arc::clone(object)).await.unwrap();
        read_whole(&pinned, 0..pinned.size()).await.unwrap()
    })
}

/// An upload of `count` parts that begins here, or goes on.
fn upload(object: &dyn Object, count: usize) -> Box<dyn Upload> {
    let parts = Parts::of((count * PART) as u64, 1, &object.limits(), object.location()).unwrap();
    let draft = UploadSpec { identity: Digest::sha256(b"x"), parts, metadata: BTreeMap::new() };
    block_on(object.upload(&draft)).unwrap()
}

fn note(number: usize) -> PartCheckpoint {
    PartCheckpoint([u8::try_from(number).unwrap(); storage::parts::NOTE])
}

/// Puts part `number`, whose bytes are all that number.
fn put_part(upload: &dyn Upload, number: usize) {
    let body = vec![u8::try_from(number).unwrap(); PART].into();
    block_on(upload.put(u32::try_from(number).unwrap(), note(number), body)).unwrap();
}

#[test]
fn more_parts_than_one_composition_takes_are_composed_in_order() {
    needs!("fake-gcs-server");
    let google = Google::start();
    google.create("box");
    let state = TempDir::new().unwrap();
    let object = open("gs://box/b.tar", &settings(google.address(), &state));
    let upload = upload(&*object, 67);
    for number in (0..67).rev() {
        put_part(&*upload, number);
    }
    let notes: Vec<PartCheckpoint> = (0..67).map(note).collect();
    block_on(upload.commit(&notes, &Finish::default())).unwrap();
    let content = read(&object);
    assert_eq!(content.len(), 67 * PART);
    for (number, part) in content.chunks(PART).enumerate() {
        assert!(part.iter().all(|&byte| usize::from(byte) == number), "part {number} lies elsewhere");
    }
    assert_eq!(google.names("box"), ["b.tar"]);
}

#[test]
fn parts_are_found_by_another_machine_and_seen_by_no_list() {
    needs!("fake-gcs-server");
    let google = Google::start();
    google.create("box");
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    put_part(&*upload(&*open("gs://box/sets/b.tar", &settings(google.address(), &here)), 2), 0);
    assert_eq!(google.names("box").len(), 1, "the part is there");
    let elsewhere = settings(google.address(), &there);
    let folder = storage::open_folder(&Location::parse("gs://box/sets").unwrap(), &elsewhere).unwrap();
    assert_eq!(block_on(folder.list()).unwrap(), []);
    let object = open("gs://box/sets/b.tar", &elsewhere);
    let upload = upload(&*object, 2);
    assert_eq!(upload.present(), [(0, note(0))]);
    put_part(&*upload, 1);
    block_on(upload.commit(&[note(0), note(1)], &Finish::default())).unwrap();
    assert_eq!(read(&object).len(), 2 * PART);
    // Whoever was slower creates nothing.
    let late = open("gs://box/sets/b.tar", &settings(google.address(), &here));
    let again = self::upload(&*late, 2);
    assert_eq!(again.present(), []);
    put_part(&*again, 0);
    put_part(&*again, 1);
    let refused = block_on(again.commit(&[note(0), note(1)], &Finish::default())).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused:?}");
}

#[test]
fn a_commit_asks_to_create_unless_it_may_replace_and_an_answer_of_412_is_that_something_is_there() {
    needs!("fake-gcs-server");
    let google = Google::start();
    google.create("box");
    let wire = Faults::before(google.address());
    let state = TempDir::new().unwrap();
    let settings = settings(&wire.address(), &state);
    let object = open("gs://box/b.tar", &settings);
    let compositions = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&compositions);
    wire.rule(move |_, head| {
        let composes = head.lines().next().is_some_and(|line| line.contains("/compose"));
        let mut seen = seen.lock().unwrap();
        if composes {
            seen.push(head.contains("ifGenerationMatch=0"));
        }
        // The server here does not know the condition; Google answers so.
        (composes && seen.len() == 3).then(|| "HTTP/1.1 412 Precondition Failed".to_owned())
    });
    let put = |overwrite| block_on(conformance::put(&*object, &Bytes::from_static(b"x"), finish(overwrite)));
    put(false).unwrap();
    put(true).unwrap();
    google.remove("box", "b.tar");
    let refused = put(false).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused:?}");
    assert_eq!(*compositions.lock().unwrap(), [true, false, true]);
}

fn finish(overwrite: bool) -> Finish {
    Finish { overwrite, ..Finish::default() }
}

#[test]
fn a_part_that_arrives_as_something_else_is_sent_again_and_trouble_is_outlived() {
    needs!("fake-gcs-server", "docker-registry");
    let google = Google::start();
    google.create("box");
    let wire = Faults::before(google.address());
    let (airlift, here) = home(&wire.address());
    let parts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&parts);
    wire.flip(move |head| head.contains("/upload/") && counted.fetch_add(1, SeqCst) == 1);
    wire.rule(|number, _| (number % 5 == 4).then(faults::busy));
    airlift.run(["copy", "here.tar", "gs://box/b.tar"]).success();
    assert_eq!(parts.load(SeqCst), here.len().div_ceil(8 << 20) + 1, "one of them twice");
    airlift.run(["verify", "gs://box/b.tar"]).success();
}

#[test]
fn a_bundle_goes_through_google_and_every_pair_of_places() {
    needs!("fake-gcs-server", "azurite-blob", "moto_server", "docker-registry");
    let (google, azurite, moto, registry) = (Google::start(), azurite(), Moto::start(), source());
    google.create("box");
    moto.create("box");
    let mut airlift = airlift_at(google.address());
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    let references = references(&registry);
    airlift.run(with_source(&["export", "-o", "here.tar"], &references)).success();
    let export = ["export", "-o", "gs://box/dir/1.tar"];
    airlift.run(with_source(&export, &references)).success();
    // The very same is not a conflict; another bundle is.
    airlift.run(with_source(&export, &references)).success();
    airlift.run(with_source(&export, &references[..1])).exits(1).says(&["output.exists"]);
    let state = TempDir::new().unwrap();
    let stat = block_on(open("gs://box/dir/1.tar", &settings(google.address(), &state)).stat()).unwrap();
    assert_eq!(stat.metadata.get("airlift_format").map(String::as_str), Some("1"), "{stat:?}");
    let inspected = airlift.run(["inspect", "gs://box/dir/1.tar", "--json"]).success().stdout;
    assert_eq!(inspected, airlift.run(["inspect", "here.tar", "--json"]).success().stdout);
    airlift.run(["verify", "gs://box/dir/1.tar"]).success();

    let a = azurite.url(Account::A, "box", "3.tar", &Grant::default());
    for (from, to) in [
        ("gs://box/dir/1.tar", "s3://box/2.tar"),
        ("s3://box/2.tar", &*a),
        (&*a, "gs://box/4.tar"),
        ("gs://box/4.tar", "gs://box/5.tar"),
        ("gs://box/5.tar", "there.tar"),
    ] {
        airlift.run(["copy", from, to, "--delete-source"]).success();
        airlift.run(["inspect", from]).exits(1).says(&["storage.not-found"]);
    }
    let file = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(file("here.tar") == file("there.tar"), "another bundle came back");
    assert_eq!(google.names("box"), Vec::<String>::new(), "parts end with their uploads");

    airlift.run(["copy", "there.tar", "gs://box/6.tar"]).success();
    airlift.run(["copy", "there.tar", "gs://box/6.tar", "--overwrite"]).success();
    let (process, address) = serve(&airlift, "gs://box/6.tar");
    get(&format!("http://{address}/v2/team/app/manifests/v1")).success();
    drop(process);
    let target = Registry::start(Options::default());
    airlift.run(["import", "gs://box/6.tar", "--to", target.address(), "--delete-source"]).success();
    same(&registry, &target);
    airlift.run(["inspect", "gs://box/6.tar"]).exits(1).says(&["storage.not-found"]);
}

#[test]
fn parts_that_were_left_in_google_are_removed_and_nothing_else() {
    needs!("fake-gcs-server");
    let google = Google::start();
    google.create("box");
    let airlift = airlift_at(google.address());
    let state = airlift.home().join(".local/state/airlift/uploads");
    let settings = with(Settings::default(), |it| {
        it.variables = google.variables();
        it.state = Some(state.clone());
    });
    put(google.address(), "gs://box/sets/one/done.tar", b"whole");
    for key in ["a.tar", "sets/one/v1.tar", "sets/one/v2.tar", "sets/other.tar"] {
        put_part(&*upload(&*open(&format!("gs://box/{key}"), &settings), 2), 0);
    }
    assert_eq!(google.names("box").len(), 5);
    let answer = airlift.json(["abandon", "gs://box/a.tar", "--json"]);
    assert_eq!((answer["uploads"].as_u64(), answer["parts_removed"].as_u64()), (Some(1), Some(1)), "{answer}");
    let said = airlift.run(["abandon", "gs://box/sets/one"]).success().stdout;
    assert!(said.contains("2 parts removed"), "{said}");
    let left = google.names("box");
    assert!(
        left.len() == 2 && left[0] == "sets/one/done.tar" && left[1].starts_with("sets/other.tar.parts/"),
        "{left:?}"
    );
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "journals go with their uploads");
    // One that is under way is not abandoned.
    let under_way = upload(&*open("gs://box/sets/other.tar", &settings), 2);
    airlift.run(["abandon", "gs://box/sets"]).exits(1).says(&["output.busy"]);
    drop(under_way);
}

#[test]
fn an_object_in_google_that_is_replaced_between_two_reads_ends_the_run() {
    needs!("fake-gcs-server", "docker-registry");
    let google = Google::start();
    google.create("box");
    let wire = Faults::before(google.address());
    let (airlift, here) = home(&wire.address());
    let mut other = here.clone();
    let last = other.len() - 1;
    other[last] ^= 1;
    let target = Registry::start(Options::default());
    let import = ["import", "gs://box/b.tar", "--to", target.address(), "--delete-source"];
    for args in [&["verify", "gs://box/b.tar"][..], &["copy", "gs://box/b.tar", "out.tar"], &import] {
        put(google.address(), "gs://box/b.tar", &here);
        let (gets, address, other) = (AtomicUsize::new(0), google.address().to_owned(), other.clone());
        wire.rule(move |_, head| {
            if head.starts_with("GET") && gets.fetch_add(1, SeqCst) == 3 {
                put(&address, "gs://box/b.tar", &other);
            }
            None
        });
        airlift.run(args).exits(1).says(&["storage.changed"]);
    }
    assert!(!airlift.home().join("out.tar").exists());
    assert!(target.repositories().iter().all(|repository| target.tags(repository).is_empty()));
    assert_eq!(google.names("box"), ["b.tar"]);
}

#[test]
fn who_asks_is_told_to_the_server_and_to_nobody_else() {
    needs!("fake-gcs-server", "docker-registry");
    let google = Google::start();
    google.create("box");
    let wire = Faults::before(google.address());
    let (mut airlift, _) = home(google.address());
    airlift.set("GOOGLE_BASE_URL", format!("http://{}/", wire.address()));
    let strangers = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&strangers);
    wire.rule(move |_, head| {
        counted.fetch_add(usize::from(!head.contains("Bearer CANARY-token")), SeqCst);
        None
    });
    // The address is another's than the emulator's now, and a file of credentials that is not there is no reason to go on.
    let missing = airlift.home().join("missing.json").display().to_string();
    airlift.set("GOOGLE_APPLICATION_CREDENTIALS", missing);
    let refused = airlift.run(["copy", "here.tar", "gs://box/b.tar"]).exits(5);
    assert!(refused.stderr.contains("storage.credential"), "{refused}");
    assert_eq!(wire.requests(), 0);
    airlift.set("GOOGLE_BEARER_TOKEN", "CANARY-token");
    for args in [["copy", "here.tar", "gs://box/b.tar"], ["copy", "gs://box/b.tar", "back.tar"]] {
        let ran = airlift.run(args.into_iter().chain(["--delete-source", "--log", "trace"])).success();
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("CANARY"), "{ran}");
    }
    assert!(wire.requests() > 8, "{} requests", wire.requests());
    assert_eq!(strangers.load(SeqCst), 0, "a request without the token");
}
