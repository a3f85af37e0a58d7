//! Sets of volumes in storages: read where they lie, copied whole, and what is wrong with them named.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use airlift::storage::{self, Finish, Location, Pinned, Settings, conformance};

use crate::{
    storage_move::azurite,
    support::{
        Airlift, Options, Proxy, Ran, Registry, Skopeo,
        azurite::{self, Account, Azurite, Grant},
        compare,
        http::block_on,
        kills::{kill_after, moments_of_leg},
        moto::{self, Moto},
        needs,
        process::files_below,
        with,
    },
    volumes::{contents, export, interrupted::limited, source},
};

/// A home with the set `set/release` in it, and its recovery data.
fn exported(references: &[String]) -> Airlift {
    let airlift = Airlift::new();
    fs::create_dir(airlift.home().join("set")).unwrap();
    airlift.run(export(references, &["-o", "set/release", "--recovery", "20%"])).success();
    airlift
}

/// Everything below a place, by name.
pub(crate) fn stored(place: &str, settings: &Settings) -> BTreeMap<String, Vec<u8>> {
    let folder = storage::open_folder(&Location::parse(place).unwrap(), settings).unwrap();
    block_on(async {
        let mut found = BTreeMap::new();
        for listed in folder.list().await.unwrap() {
            let pinned = Pinned::open(folder.object(&listed.name).unwrap()).await.unwrap();
            found.insert(listed.name, pinned.bytes(0..listed.size).await.unwrap().to_vec());
        }
        found
    })
}

pub(crate) fn put(place: &str, content: &[u8]) {
    let object = storage::open(&Location::parse(place).unwrap(), &Settings::default()).unwrap();
    let finish = Finish { overwrite: true, ..Finish::default() };
    block_on(conformance::put(&*object, &content.to_vec().into(), finish)).unwrap();
}

/// The address of a folder in the container, with the slash that says so.
pub(crate) fn below(azurite: &Azurite, name: &str) -> String {
    azurite.url(Account::A, "box", name, &Grant::default()).replacen('?', "/?", 1)
}

pub(crate) fn remove(place: &str, settings: &Settings) {
    let object = storage::open(&Location::parse(place).unwrap(), settings).unwrap();
    block_on(async { Pinned::open(object).await.unwrap().delete().await.unwrap() });
}

pub(crate) fn same(source: &Registry, target: &Registry, prefix: &str) {
    for name in ["first", "second", "large"] {
        compare::same((source, name), (target, &format!("{prefix}/{name}")), "v1");
    }
}

#[test]
fn a_set_in_azure_is_read_by_its_prefix_its_manifest_or_any_volume() {
    needs!("azurite-blob", "docker-registry", "skopeo");
    let (registry, references) = source();
    let (azurite, airlift, target) = (azurite(), exported(&references), Registry::start(Options::default()));
    let at = |name: &str| azurite.url(Account::A, "box", name, &Grant::only("rl"));
    let writable = |name: &str| azurite.url(Account::A, "box", name, &Grant::default());
    let report = airlift.json(["copy", "set", &writable("sets/one"), "--json"]);
    assert_eq!((report["volumes"].as_u64(), report["bytes_reused"].as_u64()), (Some(4), Some(0)), "{report}");
    assert!(report["recovery"].as_u64() > Some(1), "{report}");
    let set = contents(&airlift.home().join("set"));
    assert!(stored(&at("sets/one"), &Settings::default()) == set);
    // What lies deeper, or beside it, is of no concern.
    put(&writable("sets/one/deeper/release.vol001.tar"), b"something");
    put(&writable("sets/one/readme.txt"), b"something");

    let ways = ["sets/one", "sets/one/release.set.json", "sets/one/release.vol003.tar"];
    for (number, way) in ways.into_iter().enumerate() {
        let way = at(way);
        let shown = airlift.run(["inspect", &way]).success().stdout;
        assert!(shown.contains("set of 4 volumes") && shown.contains("release.vol004.tar"), "{shown}");
        let ran = airlift.run(["verify", &way, "--log", "trace"]).success();
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&azurite::signature(&way)), "a signature was said");
        airlift.run(["import", &way, "--to", &format!("{}/way-{number}", target.address())]).success();
        same(&registry, &target, &format!("way-{number}"));
    }
    let list = [3, 1, 4, 2].map(|number| at(&format!("sets/one/release.vol00{number}.tar")));
    let import = ["import", "--to", &format!("{}/list", target.address())].map(str::to_owned);
    airlift.run(import.iter().chain(&list)).success();
    same(&registry, &target, "list");

    let serving = airlift.start(["serve", &at("sets/one"), "--listen", "127.0.0.1:0"]);
    let line = serving.wait_for_line("Serving on http://");
    let address = line.trim().rsplit('/').next().unwrap().to_owned();
    for name in ["first", "second", "large"] {
        let to = format!("dir:{}", airlift.home().join(name).display());
        Skopeo::new().copy(&format!("docker://{address}/{name}:v1"), &to).success();
    }
    drop(serving);

    // Reading is enough for one bundle; to find the volumes of a set takes a list.
    let unlisted = azurite.url(Account::A, "box", "sets/one/release.set.json", &Grant::only("r"));
    airlift.run(["verify", &unlisted]).exits(5).says(&["storage.permission", "list (l)"]);
    let to = format!("{}/way-0", target.address());
    airlift.run(["import", &writable("sets/one/release.set.json"), "--delete-source", "--to", &to]).success();
    let left = stored(&at("sets/one"), &Settings::default());
    assert!(left.keys().all(|name| !name.contains(".vol") || name.contains("deeper")), "{:?}", left.keys());
    assert!(!left.contains_key("release.set.json"));
}

#[test]
fn a_set_goes_from_place_to_place_with_its_recovery_data() {
    needs!("azurite-blob", "moto_server", "docker-registry", "sha256sum");
    let (_registry, references) = source();
    let (azurite, moto, mut airlift) = (azurite(), Moto::start(), exported(&references));
    moto.create("box");
    for (name, value) in moto.variables() {
        airlift.set(&name, value);
    }
    let s3 = with(Settings::default(), |it| it.variables = moto.variables());
    let set = contents(&airlift.home().join("set"));
    let (a, b) = (
        azurite.url(Account::A, "box", "", &Grant::default()),
        azurite.url(Account::B, "box", "some/where", &Grant::default()),
    );
    // By the container, by the manifest, by a prefix; the storages move the parts themselves from A to B and within S3.
    airlift.run(["copy", "set/release.set.json", &a]).success();
    assert!(stored(&a, &Settings::default()) == set);
    airlift.run(["copy", &a, &b]).success();
    assert!(stored(&b, &Settings::default()) == set);
    airlift.run(["copy", &b, "s3://box/deep/er/"]).success();
    assert!(stored("s3://box/deep/er", &s3) == set);
    airlift.run(["copy", "s3://box/deep/er/release.vol002.tar", "s3://box/other/", "--trust-checksums"]).success();
    assert!(stored("s3://box/other", &s3) == set);
    fs::create_dir(airlift.home().join("back")).unwrap();
    let moved = airlift.json(["copy", "s3://box/other", "back", "--delete-source", "--json"]);
    assert_eq!(moved["volumes"].as_u64(), Some(4), "{moved}");
    let back = airlift.home().join("back");
    assert!(contents(&back) == set);
    Ran::of(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&back)).success();
    assert!(stored("s3://box/other", &s3).is_empty(), "the source is gone");

    // The very same set is not a conflict, in a storage or in a folder; another one is.
    let again = airlift.json(["copy", "set", "s3://box/deep/er", "--json"]);
    assert_eq!(again["bytes"], again["bytes_reused"], "{again}");
    assert_eq!(airlift.json(["copy", "set", "back", "--json"])["already_there"], true);
    fs::create_dir(airlift.home().join("fewer")).unwrap();
    airlift.run(export(&references[..2], &["-o", "fewer/release"])).success();
    airlift.run(["copy", "fewer", "s3://box/deep/er"]).exits(1).says(&["output.exists"]);
    assert!(stored("s3://box/deep/er", &s3) == set, "a refused copy changed something");
    // A volume that gets a name is copied alone, also one with segments.
    for number in 1..=4 {
        let volume = format!("release.vol00{number}.tar");
        airlift.run(["copy", &format!("set/{volume}"), "s3://box/alone.tar", "--overwrite"]).success();
        assert!(stored("s3://box/", &s3)["alone.tar"] == set[&volume]);
    }
}

#[test]
fn what_is_wrong_with_a_set_in_a_storage_is_named() {
    needs!("azurite-blob", "docker-registry");
    let (_registry, references) = source();
    let (azurite, airlift) = (azurite(), exported(&references));
    let at = |name: &str| azurite.url(Account::A, "box", name, &Grant::default());
    airlift.run(["copy", "set", &at("s")]).success();
    let set = contents(&airlift.home().join("set"));
    let two = at("s/release.vol002.tar");
    put(&at("s/holiday"), &set["release.vol002.tar"]);
    put(&at("s/twice"), &set["release.vol001.tar"]);
    remove(&two, &Settings::default());
    let said = airlift.run(["verify", &at("s")]).success().stdout;
    assert!(said.contains("s/holiday is volume 2, which is called release.vol002.tar"), "{said}");
    assert!(said.contains("s/twice is volume 1 once more"), "{said}");
    remove(&at("s/holiday"), &Settings::default());
    for place in ["s", "s/release.set.json", "s/release.vol001.tar"] {
        let said = airlift.run(["verify", &at(place)]).exits(4).stdout;
        assert!(said.contains("bundle.volume-missing") && said.contains("release.vol002.tar"), "{said}");
        assert!(!said.contains("release.vol003.tar"), "{said}");
        for command in [&["import", "--to", "127.0.0.1:1"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let args: Vec<&str> = command.iter().copied().chain([&*at(place).leak()]).collect();
            airlift.run(args).exits(4).says(&["bundle.volume-missing", "release.vol002.tar"]);
        }
        airlift.run(["copy", &at(place), &below(&azurite, "copied")]).exits(4).says(&["bundle.volume-missing"]);
    }
    assert!(stored(&at("copied"), &Settings::default()).is_empty(), "nothing was begun");

    // A volume of the same artifacts, cut otherwise, in its place.
    fs::create_dir(airlift.home().join("other")).unwrap();
    let mut larger = export(&references, &["-o", "other/release"]);
    larger[2] = "1200KiB";
    airlift.run(larger).success();
    put(&two, &fs::read(airlift.home().join("other/release.vol002.tar")).unwrap());
    let said = airlift.run(["verify", &at("s")]).exits(4).stdout;
    assert!(said.contains("bundle.volume-wrong") && said.contains("the same bundle cut into volumes of"), "{said}");
    put(&two, &set["release.vol002.tar"][..2000]);
    airlift.run(["copy", &at("s"), &below(&azurite, "copied")]).exits(4).says(&["bundle.truncated"]);
    // Sound again, and a bit of another one is not: found before anything of the set has its name.
    put(&two, &set["release.vol002.tar"]);
    let mut flipped = set["release.vol003.tar"].clone();
    let at_byte = flipped.len() / 2;
    flipped[at_byte] ^= 4;
    put(&at("s/release.vol003.tar"), &flipped);
    airlift.run(["copy", &at("s"), &below(&azurite, "copied")]).exits(4);
    let there = stored(&at("copied"), &Settings::default());
    assert!(!there.contains_key("release.set.json") && !there.contains_key("release.vol003.tar"), "{:?}", there.keys());
    put(&at("s/release.vol003.tar"), &set["release.vol003.tar"]);
    airlift.run(["copy", &at("s"), &below(&azurite, "copied")]).success();
    assert!(stored(&at("copied"), &Settings::default()) == set);
}

/// Kills copies to places that `to` names when so many bytes have passed `wire`, and ends each with the same command.
fn killed(
    airlift: &Airlift,
    wire: &Proxy,
    from: &str,
    to: &dyn Fn(usize) -> String,
    read: &dyn Fn(&str) -> BTreeMap<String, Vec<u8>>,
) {
    let set = contents(&airlift.home().join("set"));
    let before = wire.passed();
    airlift.run(["copy", from, &to(0)]).success();
    let mut reused = 0;
    for (round, moment) in moments_of_leg(wire.passed() - before, 2).into_iter().enumerate() {
        let to = to(round + 1);
        kill_after(wire, moment, || airlift.start(["copy", from, &to]));
        let there = read(&to);
        let is_whole = |name: &String| there.get(name) == set.get(name);
        let visible = there.contains_key("release.set.json");
        assert!(!visible || set.keys().all(is_whole), "visible too early: {:?}", there.keys());
        if visible && Path::new(&to).is_absolute() {
            continue;
        }
        reused += airlift.json(["copy", from, &to, "--json"])["bytes_reused"].as_u64().unwrap();
        assert!(read(&to) == set, "killed after {moment} bytes");
    }
    assert!(reused > 0, "no run found anything of the one before it");
}

#[test]
fn a_copy_of_a_set_that_was_killed_is_finished_by_the_same_command() {
    needs!("azurite-blob", "moto_server", "docker-registry");
    let (_registry, references) = source();
    let (azurite, moto, mut airlift) = (azurite(), Moto::start(), exported(&references));
    moto.create("box");
    let near_azure = Proxy::before(azurite.address());
    let near_s3 = Proxy::before(&moto.endpoint()["http://".len()..]);
    for (name, value) in moto::variables(&format!("http://{}", near_s3.address())) {
        airlift.set(&name, value);
    }
    let s3 = with(Settings::default(), |it| it.variables = moto.variables());
    let url = |account, name: &str| azurite::url(&near_azure.address(), account, "box", name, &Grant::default());
    let read = |place: &str| stored(place, &Settings::default());
    killed(&airlift, &near_azure, "set", &|round| url(Account::A, &format!("r{round}")), &read);
    killed(&airlift, &near_azure, &url(Account::A, "r0"), &|round| url(Account::B, &format!("r{round}")), &read);
    killed(&airlift, &near_s3, "set", &|round| format!("s3://box/r{round}"), &|place| stored(place, &s3));
    let local = |round| {
        let folder = airlift.home().join(format!("r{round}"));
        fs::create_dir(&folder).unwrap();
        folder.display().to_string()
    };
    let visible = |place: &str| {
        let names = files_below(Path::new(place)).into_iter().filter(|name| !name.contains(".airlift-"));
        names.map(|name| (name.clone(), fs::read(Path::new(place).join(name)).unwrap())).collect()
    };
    killed(&airlift, &near_azure, &url(Account::A, "r0"), &local, &visible);
}

#[test]
fn a_copy_out_of_a_storage_that_no_file_can_hold_is_refused_before_the_first_byte() {
    needs!("azurite-blob", "docker-registry");
    let (_registry, references) = source();
    let (azurite, airlift) = (azurite(), exported(&references));
    let url = azurite.url(Account::A, "box", "b.tar", &Grant::default());
    let bundle = ["export", "-o", &url].into_iter().chain(references.iter().map(String::as_str));
    airlift.run(bundle).success();
    airlift.run(["copy", "set", &azurite.url(Account::A, "box", "s", &Grant::default())]).success();
    fs::create_dir(airlift.home().join("usb")).unwrap();
    // What FAT32 does to files of 4 GiB, this does to files of 1.25 MiB, and then to those of 0.5.
    limited(&airlift, 2560, vec!["copy", &url, "usb/b.tar"]).exits(1).says(&["output.file-limit", "only 1310720"]);
    let set = azurite.url(Account::A, "box", "s", &Grant::default());
    limited(&airlift, 1024, vec!["copy", &set, "usb"]).exits(1).says(&["output.file-limit", "only 524288"]);
    assert_eq!(files_below(&airlift.home().join("usb")), Vec::<String>::new(), "nothing was begun");
    limited(&airlift, 2560, vec!["copy", &set, "usb"]).success();
}

#[test]
fn recovery_data_goes_with_a_set_and_with_nothing_else() {
    needs!("docker-registry");
    let (_registry, references) = source();
    let airlift = exported(&references);
    let set = contents(&airlift.home().join("set"));
    // Recovery data of something else, by its own word.
    fs::write(airlift.home().join("set/notes.txt"), "notes").unwrap();
    airlift.run(["protect", "set/notes.txt", "--recovery", "100%"]).success();
    fs::create_dir(airlift.home().join("usb")).unwrap();
    airlift.run(["copy", "set", "usb", "--delete-source"]).success();
    assert!(contents(&airlift.home().join("usb")) == set);
    assert_eq!(files_below(&airlift.home().join("set")), ["notes.txt", "notes.txt.recovery"]);
    fs::remove_file(airlift.home().join("usb/release.vol003.tar")).unwrap();
    airlift.run(["repair", "usb"]).success();
    assert!(contents(&airlift.home().join("usb")) == set);
}
