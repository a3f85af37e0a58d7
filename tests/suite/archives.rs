//! Bundles among other tools: theirs are read by us, ours by them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use airlift::{
    bundle::{Format, Reader},
    content::{Code, Fault, Source},
    oci::{Descriptor, Digest},
    progress::Progress,
    transfer::verify::verify,
};
use flate2::{Compression, write::GzEncoder};
use futures::TryStreamExt;
use serde_json::json;

use crate::support::{
    Airlift, Containerd, Podman, Ran, Skopeo,
    artifacts::{Artifact, Blob, CONFIG, LAYER},
    needs,
    packed::Packed,
    peers, umoci,
};

/// An image that can be unpacked: one file in one layer.
fn real_image(architecture: &str, text: &str) -> Artifact {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, "hello.txt", text.as_bytes()).unwrap();
    let plain = tar.into_inner().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&plain).unwrap();
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::sha256(&plain)] },
    });
    Artifact::manifest(
        None,
        Blob::new(CONFIG, config.to_string()),
        vec![Blob::new(LAYER, gzip.finish().unwrap())],
        None,
    )
}

fn multi_platform() -> Artifact {
    Artifact::index(vec![("linux/amd64", real_image("amd64", "one")), ("linux/arm64", real_image("arm64", "two"))])
}

/// A bundle of an index and an image, with a signature attached; SHA-256 throughout.
async fn bundle(folder: &Path) -> (PathBuf, Packed) {
    let image = real_image("amd64", "hello");
    let signature =
        Artifact::attached("application/vnd.example.signature", Blob::new("a/b", &b"signed"[..]), Some(&image));
    let packed = Packed::new()
        .with("r.example/team/app:1", image)
        .with("r.example/team/multi:2", multi_platform())
        .attached("r.example/team/app", signature);
    let path = folder.join("b.tar");
    packed.write(&path).await;
    (path, packed)
}

fn sh(program: &str, args: &[&str]) -> Ran {
    Ran::of(Command::new(peers::path(program)).args(args)).success()
}

#[tokio::test]
async fn skopeo_reads_our_bundles() {
    needs!("skopeo");
    let folder = tempfile::tempdir().unwrap();
    let (path, packed) = bundle(folder.path()).await;
    let skopeo = Skopeo::new();
    for (reference, artifact) in &packed.roots {
        let target = folder.path().join("layout");
        skopeo.copy(&format!("oci-archive:{}:{reference}", path.display()), &format!("oci:{}:x", target.display()));
        let reader = Reader::open(&target).await.unwrap();
        assert_eq!(reader.index().roots()[0].descriptor.digest, artifact.digest());
        fs::remove_dir_all(target).unwrap();
    }
}

#[tokio::test]
async fn containerd_reads_our_bundles() {
    needs!("containerd", "ctr");
    let folder = tempfile::tempdir().unwrap();
    let (path, packed) = bundle(folder.path()).await;
    let containerd = Containerd::start();
    containerd.import(path.to_str().unwrap());
    for (reference, artifact) in &packed.roots {
        assert_eq!(containerd.digest(reference), Some(artifact.digest().to_string()), "{reference}");
    }
    let content = containerd.content();
    for digest in packed.roots.iter().flat_map(|(_, artifact)| artifact.all_blobs()).map(|blob| blob.descriptor.digest)
    {
        assert!(content.contains(&digest.to_string()), "{digest}");
    }
}

#[tokio::test]
async fn podman_reads_our_bundles() {
    needs!("podman");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    Packed::new().with("r.example/team/app:1", real_image("amd64", "hello")).write(&path).await;
    let podman = Podman::new();
    podman.run(["load", "--input", path.to_str().unwrap()]).success();
    let listed = podman.run(["images", "--format", "{{.Repository}}:{{.Tag}}"]).success();
    assert!(listed.stdout.contains("r.example/team/app:1"), "{listed}");
}

#[tokio::test]
async fn gnu_tar_and_umoci_read_our_bundles() {
    needs!("tar", "umoci");
    let folder = tempfile::tempdir().unwrap();
    let (path, packed) = bundle(folder.path()).await;
    let layout = folder.path().join("layout");
    fs::create_dir(&layout).unwrap();
    sh("tar", &["-xf", path.to_str().unwrap(), "-C", layout.to_str().unwrap()]);
    umoci::run(["stat", "--image", &format!("{}:r.example/team/app:1", layout.display())]).success();

    // Unpacked it is a layout whose seal still holds, and packed again another tool's archive.
    let reader = Reader::open(&layout).await.unwrap();
    assert_eq!((reader.format(), reader.index()), (Format::Folder, &packed.contents().index));
    let repacked = folder.path().join("again.tar");
    sh("tar", &["-cf", repacked.to_str().unwrap(), "-C", layout.to_str().unwrap(), "."]);
    let reader = Reader::open(&repacked).await.unwrap();
    assert_eq!((reader.format(), reader.index()), (Format::Archive, &packed.contents().index));
    assert!(verify(&reader, 2, &Progress::silent()).await.unwrap().is_sound());

    let index = layout.join("index.json");
    let text = fs::read_to_string(&index).unwrap().replace("team/app:1", "team/app:2");
    fs::write(index, text).unwrap();
    assert_eq!(Reader::open(&layout).await.unwrap_err().code(), Code::BundleSeal);
}

/// All that a layout holds can be fetched from the reader and is what it should be.
async fn reads_everything(path: &Path, format: Format, artifact: &Artifact) -> Reader {
    let reader = Reader::open(path).await.unwrap();
    assert_eq!(reader.format(), format, "{}", path.display());
    for manifest in artifact.manifests() {
        assert_eq!(reader.manifest(&manifest.digest()).unwrap().raw(), manifest.raw());
    }
    for blob in artifact.all_blobs() {
        let content = blob.content.clone().unwrap();
        let blob = Descriptor::new("", blob.descriptor.digest, content.len() as u64);
        for from in [0, content.len() / 2, content.len()] {
            let chunks: Vec<_> = reader.fetch(&blob, from as u64).await.unwrap().try_collect().await.unwrap();
            assert_eq!(chunks.concat(), content[from..]);
        }
    }
    let verification = verify(&reader, 2, &Progress::silent()).await.unwrap();
    assert!(verification.is_sound() && verification.warnings.is_empty(), "{verification:?}");
    reader
}

#[tokio::test]
async fn archives_of_other_tools_are_read_compressed_or_not() {
    needs!("skopeo", "tar", "gzip", "zstd");
    let folder = tempfile::tempdir().unwrap();
    let (path, packed) = bundle(folder.path()).await;
    let skopeo = Skopeo::new();
    let (reference, artifact) = &packed.roots[1];
    let from = format!("oci-archive:{}:{reference}", path.display());
    let archive = folder.path().join("My Image.tar");
    skopeo.copy(&from, &format!("oci-archive:{}:v9", archive.display()));
    let reader = reads_everything(&archive, Format::Archive, artifact).await;
    assert_eq!(reader.index().roots()[0].reference.to_string(), "localhost/my-image:v9");

    let layout = folder.path().join("layout");
    skopeo.copy(&from, &format!("oci:{}:docker.io/library/x:1", layout.display()));
    let reader = reads_everything(&layout, Format::Folder, artifact).await;
    assert_eq!(reader.index().roots()[0].reference.to_string(), "docker.io/library/x:1");

    // Whatever way GNU tar has to write it.
    for (name, args) in
        [("pax.tar", &["--format=pax"][..]), ("v7.tar", &["--format=v7"]), ("gnu.tar", &["--format=gnu"])]
    {
        let path = folder.path().join(name);
        let mut all = args.to_vec();
        all.extend(["-cf", path.to_str().unwrap(), "-C", layout.to_str().unwrap(), "."]);
        sh("tar", &all);
        reads_everything(&path, Format::Archive, artifact).await;
    }
    for (program, suffix) in [("gzip", "gz"), ("zstd", "zst")] {
        sh(program, &["-q", "-k", archive.to_str().unwrap()]);
        let packed = folder.path().join(format!("My Image.tar.{suffix}"));
        reads_everything(&packed, Format::Archive, artifact).await;
        let whole = fs::read(&packed).unwrap();
        fs::write(&packed, &whole[..whole.len() - 20]).unwrap();
        assert_eq!(Reader::open(&packed).await.unwrap_err().code().class(), airlift::content::Class::Unverified);
    }
    // A bundle of ours stays one inside gzip.
    sh("gzip", &["-q", "-k", path.to_str().unwrap()]);
    reads_everything(&folder.path().join("b.tar.gz"), Format::Bundle, artifact).await;
}

#[tokio::test]
async fn archives_of_podman_are_read() {
    needs!("podman");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b.tar");
    Packed::new().with("r.example/team/app:1", real_image("amd64", "hello")).write(&path).await;
    let podman = Podman::new();
    podman.run(["load", "--input", path.to_str().unwrap()]).success();
    let saved = folder.path().join("saved.tar");
    podman.run(["save", "--format", "oci-archive", "-o", saved.to_str().unwrap(), "r.example/team/app:1"]).success();
    let reader = Reader::open(&saved).await.unwrap();
    assert_eq!(reader.index().roots()[0].reference.to_string(), "r.example/team/app:1");
    assert!(verify(&reader, 2, &Progress::silent()).await.unwrap().is_sound());
    // What `docker save` wrote for ten years is not a layout: it is told as what it is, with the way out.
    let docker = folder.path().join("docker.tar");
    podman
        .run(["save", "--format", "docker-archive", "-o", docker.to_str().unwrap(), "r.example/team/app:1"])
        .success();
    let error = Reader::open(&docker).await.unwrap_err();
    assert_eq!(error.code(), Code::BundleUnknown, "{error}");
    assert!(error.to_string().contains("skopeo copy docker-archive:"), "{error}");
}

#[tokio::test]
async fn layouts_of_umoci_are_read() {
    needs!("umoci");
    let folder = tempfile::tempdir().unwrap();
    let (layout, files) = (folder.path().join("layout"), folder.path().join("files"));
    fs::create_dir(&files).unwrap();
    fs::write(files.join("a.txt"), "a").unwrap();
    umoci::build(&layout, "v1", &[(&files, "a")]);
    let reader = Reader::open(&layout).await.unwrap();
    assert_eq!(reader.index().roots()[0].reference.to_string(), "localhost/layout:v1");
    assert!(verify(&reader, 2, &Progress::silent()).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_layout_folder_never_leads_out_of_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (path, packed) = bundle(folder.path()).await;
    let layout = folder.path().join("layout");
    tar::Archive::new(fs::File::open(&path).unwrap()).unpack(&layout).unwrap();
    let blob = packed.roots[0].1.blobs[0].descriptor.clone();
    let file = layout.join(format!("blobs/sha256/{}", blob.digest.hex()));
    let outside = folder.path().join("outside");
    fs::rename(&file, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    let reader = Reader::open(&layout).await.unwrap();
    assert!(reader.fetch(&blob, 0).await.is_err());
    let verification = verify(&reader, 2, &Progress::silent()).await.unwrap();
    assert_eq!(verification.findings.len(), 1, "{verification:?}");

    let blobs = layout.join("blobs");
    fs::rename(&blobs, folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &blobs).unwrap();
    assert_eq!(Reader::open(&layout).await.unwrap_err().code(), Code::IoRead);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_layout_folder_says_how_it_becomes_a_bundle() {
    needs!("skopeo", "tar");
    let airlift = Airlift::new();
    let (path, packed) = bundle(airlift.home()).await;
    let layout = airlift.home().join("layout");
    let reference = "r.example/team/multi:2";
    let from = format!("oci-archive:{}:{reference}", path.display());
    Skopeo::new().copy(&from, &format!("oci:{}:{reference}", layout.display()));
    for to in ["copied.tar", "az://account/container/copied.tar"] {
        let refused = airlift.run(["copy", "layout", to]).exits(2);
        refused.says(&["usage.argument", "image layout", "airlift serve layout", "tar -C layout -cf ARCHIVE.tar ."]);
    }
    assert!(!airlift.home().join("copied.tar").exists());

    // Both ways that it names lead there.
    sh("tar", &["-C", layout.to_str().unwrap(), "-cf", airlift.home().join("a.tar").to_str().unwrap(), "."]);
    airlift.run(["copy", "a.tar", "b2.tar"]).success();
    let server = airlift.start(["serve", "layout", "--listen", "127.0.0.1:0"]);
    let address = server.wait_for_line("Serving on http://").split_once("http://").unwrap().1.trim().to_owned();
    airlift.run(["export", &format!("{address}/team/multi:2"), "-o", "made.tar"]).success();
    airlift.run(["verify", "made.tar"]).success();
    let made = Reader::open(&airlift.home().join("made.tar")).await.unwrap();
    assert_eq!(made.format(), Format::Bundle);
    let multi = &packed.roots.iter().find(|(name, _)| name == reference).unwrap().1;
    reads_everything(&airlift.home().join("made.tar"), Format::Bundle, multi).await;
}

#[tokio::test]
async fn what_belongs_to_no_artifact_is_a_warning_of_archives_and_folders() {
    let airlift = Airlift::new();
    let (path, _) = bundle(airlift.home()).await;
    let layout = airlift.home().join("layout");
    tar::Archive::new(fs::File::open(&path).unwrap()).unpack(&layout).unwrap();
    fs::write(layout.join("notes.txt"), "five").unwrap();
    let stray = format!("blobs/sha256/{}", Digest::sha256(b"nobody's").hex());
    fs::write(layout.join(&stray), "nobody's").unwrap();
    let archive = airlift.home().join("a.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", &layout).unwrap();
    tar.into_inner().unwrap();

    let warned = |name: &str| -> Vec<String> {
        serde_json::from_value(airlift.json(["verify", name, "--json"])[0]["notes"].clone()).unwrap()
    };
    let strays = [&stray, "notes.txt"].map(|name| format!("warning: {name} belongs to no artifact"));
    for name in ["layout", "a.tar"] {
        assert_eq!(warned(name), strays, "{name}");
        let said = airlift.run(["verify", name]).success().stdout;
        assert!(said.contains("sound") && said.contains(&strays[1]), "{said}");
    }

    let mut bytes = fs::read(&archive).unwrap();
    let content = bytes.windows(4).position(|part| part == b"five").unwrap();
    bytes[content + 4] = b'!';
    fs::write(&archive, bytes).unwrap();
    let padding = format!("warning: the padding of notes.txt is not zero, at byte {}", content + 4);
    assert_eq!(warned("a.tar"), [strays.as_slice(), &[padding]].concat());
}
