//! Sets of volumes exported straight into a storage: the same bytes as in a folder, killed at any moment, and never in the
//! way of another set.

use std::{collections::BTreeMap, fs};

use airlift::{
    oci::Digest,
    storage::{self, Finish, Location, PartCheckpoint, Parts, Settings, UploadSpec, parts},
};

use crate::{
    storage_move::azurite,
    storage_sets::{below, put, remove, same, stored},
    support::{
        Airlift, Options, Registry,
        artifacts::{Artifact, Blob},
        azurite::{self, Account, Azurite, Grant},
        http::block_on,
        moto::{self, Moto},
        needs,
        process::files_below,
        proxy::Proxy,
        with,
    },
    volumes::{contents, export, source},
};

/// Bytes of a part.
const PART: u64 = 8 << 20;

/// HTTP's own bytes, block lists and heads that a second run moves again; generous.
const SMALL: u64 = 3 << 20;

fn url(azurite: &Azurite, name: &str) -> String {
    azurite.url(Account::A, "box", name, &Grant::default())
}

/// The set of `references` in a folder, by the usual way; `size` of its volumes.
fn in_folder(airlift: &Airlift, folder: &str, size: &str, references: &[String]) -> BTreeMap<String, Vec<u8>> {
    fs::create_dir(airlift.home().join(folder)).unwrap();
    let to = format!("{folder}/release");
    let mut args = export(references, &["-o", &to]);
    args[2] = size;
    airlift.run(args).success();
    contents(&airlift.home().join(folder))
}

#[test]
fn a_set_exported_into_a_storage_is_byte_for_byte_that_of_a_folder() {
    needs!("azurite-blob", "moto_server", "docker-registry");
    let (registry, references) = source();
    let (azurite, moto, mut airlift) = (azurite(), Moto::start(), Airlift::new());
    moto.create("box");
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    let s3 = with(Settings::default(), |it| it.variables = moto.variables());
    let set = in_folder(&airlift, "set", "1MiB", &references);
    let at = url(&azurite, "sets/release");
    let places = [
        (at.clone(), url(&azurite, "sets"), Settings::default()),
        ("s3://box/some/release.tar".to_owned(), "s3://box/some".to_owned(), s3),
    ];
    for (to, folder, settings) in &places {
        let shown = airlift.run(export(&references, &["-o", to, "--dry-run"])).success().stdout;
        assert!(shown.contains("release.vol004.tar"), "{shown}");
        let report = airlift.json(export(&references, &["-o", to, "--json", "--jobs", "2"]));
        assert!(report["output"].as_str().unwrap().ends_with("release.set.json"), "{report}");
        assert!(!report.to_string().contains("sig="), "{report}");
        let there = stored(folder, settings);
        assert_eq!(there.keys().collect::<Vec<_>>(), set.keys().collect::<Vec<_>>());
        assert!(there == set, "{folder} has other bytes");
        // The very same set, once more: nothing is sent.
        let again = airlift.json(export(&references, &["-o", to, "--json"]));
        assert_eq!((again["bytes_moved"].as_u64(), again["bundle"].as_str()), (Some(0), report["bundle"].as_str()));

        // One volume alone.
        remove_two(folder, settings);
        airlift.run(export(&references, &["-o", to, "--only-volume", "2"])).success();
        assert!(stored(folder, settings) == set, "{folder}: volume 2 is another one");
        airlift.run(export(&references, &["-o", to, "--only-volume", "5"])).exits(2).says(&["no volume 5", "has 4"]);
        let other = export(&references[..2], &["-o", to, "--only-volume", "1", "--overwrite"]);
        airlift.run(other).exits(4).says(&["bundle.volume-wrong"]);
        assert!(stored(folder, settings) == set);
    }
    let target = Registry::start(Options::default());
    for (number, (_, folder, _)) in places.iter().enumerate() {
        airlift.run(["verify", folder]).success();
        airlift.run(["import", folder, "--to", &format!("{}/way-{number}", target.address())]).success();
        same(&registry, &target, &format!("way-{number}"));
    }
    // A folder gives its files the name that it gives them on disk.
    airlift.run(export(&references, &["-o", &below(&azurite, "plain")])).success();
    assert!(stored(&url(&azurite, "plain"), &Settings::default()).contains_key("bundle.vol004.tar"));
}

fn remove_two(folder: &str, settings: &Settings) {
    let (front, token) = folder.split_once('?').unwrap_or((folder, ""));
    let token = if token.is_empty() { String::new() } else { format!("?{token}") };
    remove(&format!("{front}/release.vol002.tar{token}"), settings);
}

/// Puts other content in the place of a volume, and says of it what was said of the volume.
fn put_as(place: &str, content: &[u8]) {
    let object = storage::open(&Location::parse(place).unwrap(), &Settings::default()).unwrap();
    let content = content.to_vec();
    block_on(async {
        let metadata = object.stat().await.unwrap().metadata;
        let parts = Parts::of(content.len() as u64, parts::USUAL, &object.limits(), &"a volume").unwrap();
        assert_eq!(parts.count(), 1);
        let draft = UploadSpec { identity: Digest::sha256(&content), parts, metadata };
        let (upload, note) = (object.upload(&draft).await.unwrap(), PartCheckpoint([0; parts::NOTE]));
        upload.put(0, note, content.into()).await.unwrap();
        upload.commit(&[note], &Finish { overwrite: true, md5: None }).await.unwrap();
    });
}

#[test]
fn a_set_in_a_storage_is_replaced_when_asked_and_otherwise_in_nobodys_way() {
    needs!("azurite-blob", "docker-registry");
    let (_registry, references) = source();
    let (azurite, airlift) = (azurite(), Airlift::new());
    let set = in_folder(&airlift, "set", "1MiB", &references);
    let fewer = in_folder(&airlift, "fewer", "1MiB", &references[..2]);
    let (to, folder) = (url(&azurite, "s/release"), url(&azurite, "s"));
    let read = || stored(&folder, &Settings::default());
    airlift.run(export(&references, &["-o", &to])).success();

    airlift.run(export(&references[..2], &["-o", &to])).exits(1).says(&["output.exists", "release.set.json"]);
    assert!(read() == set, "a refused export changed something");
    // Another name in the same folder would share the sums, as on a disk.
    let beside = url(&azurite, "s/other");
    airlift.run(export(&references, &["-o", &beside])).exits(1).says(&["output.exists"]);
    assert!(read() == set);
    airlift.run(export(&references[..2], &["-o", &to, "--overwrite"])).success();
    assert!(read() == fewer, "volumes that the new set has not are gone: {:?}", read().keys());
    airlift.run(export(&references, &["-o", &to, "--overwrite"])).success();
    assert!(read() == set);

    // What only says that it is a volume of the set is not believed.
    let three = url(&azurite, "s/release.vol003.tar");
    remove(&url(&azurite, "s/release.set.json"), &Settings::default());
    let mut flipped = set["release.vol003.tar"].clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    put_as(&three, &flipped);
    airlift.run(export(&references, &["-o", &to])).exits(1).says(&["output.exists", "release.vol003.tar"]);
    airlift.run(export(&references, &["-o", &to, "--overwrite"])).success();
    assert!(read() == set);

    // What is not a volume at all is in the way before anything is sent.
    put(&url(&azurite, "t/release.vol004.tar"), b"something");
    airlift.run(export(&references, &["-o", &url(&azurite, "t/release")])).exits(1).says(&["output.exists", "vol004"]);
    assert_eq!(stored(&url(&azurite, "t"), &Settings::default()).len(), 1);

    airlift.run(export(&references, &["-o", "-"])).exits(2).says(&["usage.argument", "standard output"]);
    airlift.run(export(&references, &["-o", &to, "--recovery", "10%"])).exits(2).says(&["--recovery", "airlift copy"]);
}

/// One blob that is cut over volumes of several parts each, and some that are not.
fn large() -> (Registry, Vec<String>) {
    let registry = Registry::start(Options::default());
    let layers = |seed| vec![Blob::layer(seed, 4 << 20), Blob::layer(seed + 1, 1 << 20)];
    Artifact::image("linux/amd64", vec![Blob::layer(1, 22 << 20)]).push(&registry, "first", Some("v1"));
    Artifact::image("linux/amd64", layers(2)).push(&registry, "second", Some("v1"));
    let references = ["first:v1", "second:v1"].map(|name| registry.reference(name));
    (registry, references.to_vec())
}

/// Kills exports at moments that the wire knows, and ends each with the same command.
fn killed(airlift: &Airlift, references: &[String], wire: &Proxy, at: &dyn Fn(&str) -> String, settings: &Settings) {
    let set = in_folder(airlift, "set", "10MiB", references);
    assert!(set.values().filter(|bytes| bytes.len() as u64 > PART).count() > 1, "volumes of several parts");
    let bytes: u64 = set.values().map(|bytes| bytes.len() as u64).sum();
    let passed = || wire.uploaded() + wire.downloaded();
    let to = |round: u64| at(&format!("r{round}/release"));
    let args = |to: &str| {
        let fixed = ["export", "--volume-size", "10MiB", "--jobs", "2", "-o", to].map(str::to_owned);
        fixed.into_iter().chain(references.iter().cloned()).collect::<Vec<_>>()
    };
    airlift.run(args(&to(0))).success();
    assert!(stored(&at("r0"), settings) == set);
    let before = passed();
    airlift.run(args(&to(1))).success();
    let whole = passed() - before;
    // Three moments while the volumes are sent, and some among the commits, whose requests are small.
    let moments = (1..=3).map(|part| bytes * part / 4).chain((0..4).map(|step| whole - 500 - 3000 * step));
    let mut early = 0;
    for (round, moment) in (2..).zip(moments) {
        let before = wire.uploaded();
        wire.hold_after(moment);
        let mut process = airlift.start(args(&to(round)));
        let held = wire.wait_until_held(&mut process);
        process.kill();
        assert!(held || moment > whole - 4000, "it ended before {moment} bytes had passed:\n{}", process.log());
        wire.release();
        let there = stored(&at(&format!("r{round}")), settings);
        assert!(there.iter().all(|(name, bytes)| set.get(name) == Some(bytes)), "{:?}", there.keys());
        let is_done = there.contains_key("release.set.json");
        assert!(!is_done || there == set, "visible too early: {:?}", there.keys());
        early += usize::from(there.is_empty());
        airlift.run(args(&to(round))).success();
        let moved = wire.uploaded() - before;
        let limit = bytes + 2 * PART + SMALL;
        assert!(moved <= limit, "{moved} bytes were sent, {limit} at the most, killed after {moment} bytes");
        assert!(stored(&at(&format!("r{round}")), settings) == set, "killed after {moment} bytes");
    }
    assert!((3..7).contains(&early), "{early} of 7 were killed before anything was visible");
}

#[test]
fn an_export_of_a_set_into_azure_that_was_killed_is_finished_by_the_same_command() {
    needs!("azurite-blob", "docker-registry");
    let (_registry, references) = large();
    let (azurite, airlift) = (azurite(), Airlift::new());
    let wire = Proxy::before(azurite.address());
    let at = |name: &str| azurite::url(&wire.address(), Account::A, "box", name, &Grant::default());
    killed(&airlift, &references, &wire, &at, &Settings::default());
}

#[test]
fn an_export_of_a_set_into_s3_that_was_killed_is_finished_by_the_same_command() {
    needs!("moto_server", "docker-registry");
    let (_registry, references) = large();
    let (moto, mut airlift) = (Moto::start(), Airlift::new());
    moto.create("box");
    let wire = Proxy::before(&moto.endpoint()["http://".len()..]);
    let variables = moto::variables(&format!("http://{}", wire.address()));
    for (name, value) in &variables {
        airlift.set(name, value);
    }
    let settings = with(Settings::default(), |it| it.variables = variables);
    killed(&airlift, &references, &wire, &|name| format!("s3://box/{name}"), &settings);
}

#[test]
fn a_layer_that_is_cut_is_read_once_to_be_proven_and_once_to_be_sent_and_others_once() {
    needs!("azurite-blob", "docker-registry");
    let (registry, references) = source();
    let (azurite, airlift) = (azurite(), Airlift::new());
    let layers = |name| registry.manifest(name, "v1").unwrap().layers().to_vec();
    let read = |layer: &airlift::oci::Descriptor| {
        let end = format!("/blobs/{}", layer.digest);
        registry.requests().iter().filter(|asked| asked.method == "GET" && asked.path.ends_with(&end)).count()
    };
    let (cut, whole) = (&layers("large")[0], &layers("second")[1]);
    // What may only be read is refused once the segments are known; they are not forgotten for it.
    let reader = azurite.url(Account::A, "box", "s/release", &Grant::only("rl"));
    airlift.run(export(&references, &["-o", &reader])).exits(5).says(&["write (w)"]);
    let begun = (read(cut), read(whole));
    assert!(begun.0 >= 1);
    airlift.run(export(&references, &["-o", &url(&azurite, "s/release")])).success();
    // Three segments, each by a range of its own.
    assert_eq!(read(cut), begun.0 + 3);
    assert_eq!(read(whole), begun.1 + 1);
    let left = files_below(airlift.home());
    assert!(!left.iter().any(|name| name.ends_with(".segments")), "{left:?}");
}
