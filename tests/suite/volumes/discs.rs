//! Sets of the size of real discs.

use super::*;
use crate::support::kills::is_long;

/// Bytes of a DVD+R, the smaller of the two kinds (ECMA-349): 2,295,104 sectors of 2,048 bytes.
const DVD: u64 = 2_295_104 * 2048;

/// Bytes of each disc that the file system and small files beside a volume may need.
const RESERVE: u64 = 32 << 20;

fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    files_below(folder).into_iter().map(|name| (name.clone(), fs::metadata(folder.join(name)).unwrap().len())).collect()
}

#[test]
fn a_set_of_dvds_fits_them() {
    needs!("docker-registry", "sha256sum");
    let registry = Registry::start(Options::default());
    let size = DVD + 100_000_000;
    let zeros = if is_long() { registry.plant_zeros("model", size) } else { registry.plant_unread("model", size) };
    let layer = Blob { descriptor: zeros, content: None };
    Artifact::image("linux/amd64", vec![layer, Blob::layer(1, 3_000_000)]).push(&registry, "model", Some("v1"));
    Artifact::small(2, 500_000).push(&registry, "small", Some("v1"));
    let (airlift, references) = (Airlift::new(), ["model:v1", "small:v1"].map(|name| registry.reference(name)));
    let folder = airlift.home().join("discs");
    fs::create_dir(&folder).unwrap();
    let mut args = export(&references, &["-o", "discs/release"]);
    args[2] = "dvd";
    let planned = airlift.json([&args[..], &["--dry-run", "--json"]].concat());
    let planned = planned["volumes"].as_array().unwrap().iter();
    let planned: BTreeMap<String, u64> =
        planned.map(|one| (one["name"].as_str().unwrap().to_owned(), one["bytes"].as_u64().unwrap())).collect();
    assert!(planned.values().all(|&size| size <= DVD - RESERVE), "no DVD holds {planned:?}");
    let (first, second) = (planned["release.vol001.tar"], planned["release.vol002.tar"]);
    assert!(first > DVD - RESERVE - (1 << 20), "the first disc is not full: {planned:?}");
    assert!(first + second > DVD && planned.len() == 2, "{planned:?}");

    // Ten gigabytes in and out. Bytes past four gibibytes are written by another test, whenever the tests run.
    if !is_long() {
        return;
    }
    airlift.run(args).success();
    let found = sizes(&folder);
    assert!(planned.iter().all(|(name, size)| found[name] == *size), "{planned:?} were planned: {found:?}");
    // Whatever goes onto a disc beside its volume is small.
    assert_eq!(found.len(), planned.len() + 2, "{found:?}");
    let small: u64 = ["release.set.json", "SHA256SUMS"].map(|name| found[name]).iter().sum();
    assert!(small < 1 << 20, "{found:?}");

    Ran::of(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&folder)).success();
    airlift.run(["verify", "discs"]).success();
}
