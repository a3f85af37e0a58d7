//! Sets of the size of real discs.

use super::*;

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
    let layer = Blob { descriptor: registry.plant_zeros("model", DVD + 100_000_000), content: None };
    Artifact::image("linux/amd64", vec![layer, Blob::layer(1, 3_000_000)]).push(&registry, "model", Some("v1"));
    Artifact::small(2, 500_000).push(&registry, "small", Some("v1"));
    let (airlift, references) = (Airlift::new(), ["model:v1", "small:v1"].map(|name| registry.reference(name)));
    let folder = airlift.home().join("discs");
    fs::create_dir(&folder).unwrap();
    let mut args = export(&references, &["-o", "discs/release"]);
    args[2] = "dvd";
    airlift.run(args).success();
    let found = sizes(&folder);
    assert!(found.values().all(|&size| size <= DVD - RESERVE), "no DVD holds {found:?}");
    let (first, second) = (found["release.vol001.tar"], found["release.vol002.tar"]);
    assert!(first > DVD - RESERVE - (1 << 20), "the first disc is not full: {found:?}");
    assert!(first + second > DVD && !found.contains_key("release.vol003.tar"), "{found:?}");
    // Whatever goes onto a disc beside its volume is small.
    let small: u64 = ["release.set.json", "SHA256SUMS"].map(|name| found[name]).iter().sum();
    assert!(small < 1 << 20, "{found:?}");

    Ran::of(Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&folder)).success();
    airlift.run(["verify", "discs"]).success();
}
