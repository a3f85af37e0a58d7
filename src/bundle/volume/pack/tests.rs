use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
};

use super::*;
use crate::{
    bundle::{Index, Layout, Root, TarEntry, gather, reader::Backing, volume::volume_name},
    content::{Code, Fault as _},
    oci::{Manifest, media_type},
};

const GIB: u64 = 1 << 30;

fn blob(name: &str, size: u64) -> Descriptor {
    Descriptor::new("application/vnd.oci.image.layer.v1.tar", Digest::sha256(name.as_bytes()), size)
}

/// An image for each list of layers.
fn contents(images: &[Vec<Descriptor>]) -> Contents {
    let mut roots = Vec::new();
    let mut manifests = HashMap::new();
    for (at, layers) in images.iter().enumerate() {
        let document = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": blob(&format!("config {at}"), 1000),
            "layers": layers,
        });
        let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
        let reference = format!("r.example/app-{at:03}:1").parse().unwrap();
        roots.push(Root { reference, descriptor: manifest.descriptor().clone() });
        manifests.insert(manifest.digest(), manifest);
    }
    Contents { index: Index::new(roots, Vec::new()), manifests, absent: BTreeMap::new() }
}

/// Packs, and holds what must hold of every packing.
fn packed(contents: &Contents, size: u64) -> Cut {
    let cut = pack(contents, Size(size)).unwrap();
    assert_eq!(cut, pack(&contents.clone(), Size(size)).unwrap(), "the same contents are packed in the same way");
    let order = contents.order().unwrap();
    for one in cut.placed(order.blobs.iter().copied()).unwrap() {
        assert!(one.segment.is_some() == (one.piece.size < one.blob.size));
    }
    for number in 1..=cut.volumes {
        let layout = of_volume(contents, &cut, number);
        assert!(layout.total() <= size, "volume {number} has {} bytes", layout.total());
        assert!(cut.volumes == 1 || !layout.blobs().is_empty(), "volume {number} is empty");
    }
    cut
}

fn of_volume(contents: &Contents, cut: &Cut, number: u32) -> Layout {
    let placed = cut.placed(contents.order().unwrap().blobs).unwrap();
    let segments = placed.iter().filter(|one| one.piece.volume == number && one.segment.is_some());
    let unknown = segments.map(|_| Digest::sha256(b"")).collect();
    Layout::of_volume(contents, cut, number, unknown).unwrap()
}

fn volumes_of(cut: &Cut, blobs: &[Descriptor]) -> BTreeSet<u32> {
    let volumes = cut.volumes_of();
    blobs.iter().flat_map(|blob| volumes[&blob.digest].clone()).collect()
}

#[test]
fn artifacts_that_fit_stay_together_on_dvds() {
    let dvd: u64 = "dvd".parse::<Size>().unwrap().0;
    let images: Vec<Vec<Descriptor>> = (0..12)
        .map(|at| (0..3).map(|layer| blob(&format!("{at}/{layer}"), (at % 4 + 1) * GIB / 3)).collect())
        .collect();
    let contents = contents(&images);
    let cut = packed(&contents, dvd);
    for image in &images {
        assert_eq!(volumes_of(&cut, image).len(), 1);
    }
    // 30 GiB on discs of 4.3 GiB; a packing of no skill takes ten.
    assert_eq!(cut.volumes, 8);
}

#[test]
fn artifacts_that_share_layers_lie_in_one_volume_as_long_as_they_fit() {
    let base = blob("base", GIB);
    let images: Vec<Vec<Descriptor>> = (0..5).map(|at| vec![base.clone(), blob(&format!("own {at}"), GIB)]).collect();
    let cut = packed(&contents(&images), 4 * GIB);
    let together = images.iter().filter(|image| volumes_of(&cut, image).len() == 1).count();
    assert_eq!(together, 2, "the base and two more fit into 4 GiB beside the head");
    assert_eq!(cut.volumes, 2);
}

#[test]
fn a_blob_that_no_volume_can_hold_is_cut_and_leaves_room_behind_its_end() {
    let (large, small) = (blob("large", 10 * GIB), blob("small", GIB));
    let contents = contents(&[vec![large.clone()], vec![small.clone()]]);
    let cut = packed(&contents, 4 * GIB);
    assert_eq!(volumes_of(&cut, &[large]), BTreeSet::from([1, 2, 3]));
    assert_eq!(volumes_of(&cut, &[small]), BTreeSet::from([3]));
    let segments: Vec<_> = of_volume(&contents, &cut, 2).blobs().iter().map(|place| place.segment.unwrap()).collect();
    assert_eq!(segments[0].number, 2);
    assert!(segments[0].from.is_multiple_of(512) && segments[0].from > 3 * GIB);
}

#[test]
fn a_size_that_the_manifests_fill_is_refused_with_the_size_it_takes() {
    let contents = contents(&[vec![blob("a", GIB)]]);
    let error = pack(&contents, Size(3000)).unwrap_err();
    let Error::VolumeSize { size: 3000, needed } = error else { panic!("{error}") };
    // A GiB in volumes of a head and 32 KiB is too many of them.
    let Error::VolumeSize { needed, .. } = pack(&contents, Size(needed)).unwrap_err() else { panic!("no size") };
    assert!(needed > GIB / 1000);
    assert!(pack(&contents, Size(2 * needed)).unwrap().volumes < MAX_VOLUMES);
}

proptest::proptest! {
    #[test]
    fn any_contents_fit_into_volumes_of_any_size(
        images in proptest::collection::vec(proptest::collection::vec((0_u8..40, 0_u64..1_500_000), 0..4), 0..8),
        size in 400_000_u64..2_000_000,
    ) {
        let sizes: BTreeMap<u8, u64> = images.iter().flatten().copied().collect();
        let image = |layers: &Vec<(u8, u64)>| {
            layers.iter().map(|(name, _)| blob(&name.to_string(), sizes[name])).collect::<Vec<_>>()
        };
        packed(&contents(&images.iter().map(image).collect::<Vec<_>>()), size);
    }
}

/// Files that are as long as the volumes of `cut`, and have their heads; the names are those of the set `set`.
fn heads(contents: &Contents, cut: &Cut) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=cut.volumes {
        let layout = of_volume(contents, cut, number);
        let mut file = fs::File::create(folder.path().join(volume_name("set", number))).unwrap();
        file.write_all(&layout.head()).unwrap();
        file.set_len(layout.total()).unwrap();
    }
    folder
}

#[tokio::test]
async fn volumes_that_are_opened_have_in_memory_once_what_they_have_in_common() {
    let images: Vec<_> = (0..6).map(|n| vec![blob(&format!("layer {n}"), 40_000)]).collect();
    let contents = contents(&images);
    let cut = packed(&contents, 120_000);
    assert!(cut.volumes > 1);
    let folder = heads(&contents, &cut);
    let named = [vec![folder.path().to_owned()], vec![folder.path().join(volume_name("set", 2))]];
    for named in named {
        let found = gather(named).await.unwrap().unwrap();
        let Backing::Set(volumes) = &found.reader.0.store else { panic!("it is not a set") };
        assert_eq!(volumes.len(), cut.volumes as usize);
        for volume in &volumes[1..] {
            let (one, other) = (&volumes[0].layout, &volume.layout);
            let pieces = |layout: &Layout| layout.facts().set.as_ref().unwrap().pieces.as_ptr();
            assert_eq!(pieces(one), pieces(other), "volume {} has pieces of its own", volume.number);
            assert_eq!(one.raw_manifests().as_ptr(), other.raw_manifests().as_ptr(), "and manifests");
        }
    }
}

#[tokio::test]
async fn what_is_known_of_a_set_hides_no_damage_of_a_further_volume() {
    let images: Vec<_> = (0..6).map(|n| vec![blob(&format!("layer {n}"), 40_000)]).collect();
    let contents = contents(&images);
    let cut = packed(&contents, 120_000);
    let layout = of_volume(&contents, &cut, 2);
    let manifest = layout.manifests()[1];
    for (at, code) in [
        (manifest.offset + 10, Code::BundleDigestMismatch),
        (manifest.header_offset + 100, Code::BundleStructure),
        (manifest.end(), Code::BundleStructure),
        (layout.entries().nth(2).unwrap().offset + 20, Code::BundleSeal),
    ] {
        let folder = heads(&contents, &cut);
        let path = folder.path().join(volume_name("set", 2));
        let mut bytes = fs::read(&path).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 1;
        fs::write(&path, bytes).unwrap();
        let found = gather(vec![folder.path().to_owned()]).await.unwrap().unwrap();
        let faults: Vec<_> = found.faults.iter().map(|(path, error)| (path.clone(), error.code())).collect();
        assert_eq!(faults, [(path, code)]);
        assert_eq!(found.reader.missing_volumes(), [2]);
    }
}

#[test]
fn what_the_volumes_of_a_set_have_in_common_is_in_memory_once() {
    let images: Vec<_> = (0..6).map(|n| vec![blob(&format!("layer {n}"), 40_000)]).collect();
    let contents = contents(&images);
    let cut = packed(&contents, 120_000);
    assert!(cut.volumes > 1);
    for number in 1..=cut.volumes {
        let layout = of_volume(&contents, &cut, number);
        let set = layout.facts().set.as_ref().unwrap();
        assert_eq!(set.pieces.as_ptr(), cut.pieces.as_ptr(), "volume {number} has pieces of its own");
    }
    // There is one of these for each blob, and a hundred thousand blobs must fit into 256 MiB with all that is about them.
    assert!(size_of::<TarEntry>() <= 128, "{}", size_of::<TarEntry>());
}
