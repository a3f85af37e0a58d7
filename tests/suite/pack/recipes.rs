//! Layers by the encoders of others: rebuilt by a recipe, the one that is expected.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use airlift::{
    oci::Digest,
    pack::deflate::{Encoder, Engine, Family, Framing, MemberList, Recipe},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::sample::{gzip, text};
use crate::support::{
    Airlift, Containerd, Docker, Options, Original, Podman, Registry, Skopeo,
    artifacts::{Artifact, Blob, LAYER, noise},
    needs,
    packed::Packed,
    peers,
    process::Ran,
    umoci,
};

/// The JSON of a packed file's head.
pub(super) fn head(packed: &[u8]) -> Value {
    let length = u32::from_le_bytes(packed[12..16].try_into().unwrap()) as usize;
    serde_json::from_slice(&packed[16..16 + length]).unwrap()
}

/// Each gzip layer of a packed file with the encoders of its members, each once.
type Encoders = BTreeMap<Digest, Vec<(Family, i8, Framing)>>;

fn encoders(packed: &[u8]) -> Encoders {
    let head = head(packed);
    let contents = head["contents"].as_array().unwrap();
    let blobs = contents.iter().flat_map(|content| content["blobs"].as_array().unwrap());
    let coded = blobs.filter_map(|blob| Some((&blob["digest"], blob["recipe"].as_str()?)));
    let decoded = coded.map(|(digest, recipe)| {
        let members = MemberList::decode(&STANDARD.decode(recipe).unwrap()).unwrap();
        let mut encoders: Vec<_> = Vec::new();
        for (recipe, _) in members.iter() {
            let encoder = (recipe.engine.family(), recipe.engine.level(), recipe.framing);
            if !encoders.contains(&encoder) {
                encoders.push(encoder);
            }
        }
        (digest.as_str().unwrap().parse().unwrap(), encoders)
    });
    decoded.collect()
}

/// Packs `b.tar`, unpacks it, and gives the encoders of its layers.
fn packed(airlift: &Airlift) -> Encoders {
    airlift.run(["pack", "b.tar", "-o", "b.pack"]).success();
    airlift.run(["unpack", "b.pack", "-o", "c.tar"]).success();
    let read = |name: &str| fs::read(airlift.home().join(name)).unwrap();
    assert!(read("c.tar") == read("b.tar"), "another bundle came out");
    encoders(&read("b.pack"))
}

/// Files of more than a megabyte, which is a block of pgzip, in a folder.
fn files(folder: &Path) -> PathBuf {
    let root = folder.join("files");
    fs::create_dir(&root).unwrap();
    for seed in 1..=3_u8 {
        fs::write(root.join(format!("text-{seed}")), text(seed.into(), 0, 450_000)).unwrap();
    }
    fs::write(root.join("noise"), noise(4, 100_000)).unwrap();
    root
}

fn tar(folder: &Path, root: &Path) -> Vec<u8> {
    let path = folder.join("files.tar");
    Ran::of(Command::new("tar").args(["--sort=name", "-cf"]).arg(&path).arg("-C").arg(root).arg(".")).success();
    fs::read(path).unwrap()
}

#[test]
fn layers_that_tools_push_are_rebuilt_by_recipe() {
    needs!("docker-registry", "skopeo", "podman", "buildah", "umoci", "dockerd", "docker", "containerd", "ctr");
    let airlift = Airlift::new();
    let root = files(airlift.home());
    // Tools remember which registry has a layer already, so each has one of its own.
    let tools = ["umoci", "skopeo", "podman", "buildah", "docker", "containerd"];
    let registries = tools.map(|tool| (tool, Registry::start(Options::default())));
    let registry = |tool: &str| &registries.iter().find(|(name, _)| *name == tool).unwrap().1;
    let target = |tool: &str| format!("docker://{}", registry(tool).reference(&format!("{tool}:1")));
    let skopeo = Skopeo::new();
    let layout = airlift.home().join("layout");
    umoci::build(&layout, "1", &[(&root, "files")]);
    skopeo.copy(&format!("oci:{}:1", layout.display()), &target("umoci"));
    // An archive has the layers uncompressed, so each tool compresses them itself.
    let archive = airlift.home().join("image.tar");
    let saved = format!("docker-archive:{}:saved:1", archive.display());
    skopeo.run(["copy", &format!("oci:{}:1", layout.display()), &saved]).success();
    let saved = format!("docker-archive:{}", archive.display());
    skopeo.run(["copy", "--dest-tls-verify=false", &saved, &target("skopeo")]).success();
    let archive = archive.to_str().unwrap();

    let podman = Podman::new();
    podman.run(["load", "--quiet", "--input", archive]).success();
    podman.run(["push", "--quiet", "--tls-verify=false", "saved:1", &target("podman")]).success();

    let home = airlift.home().join("buildah");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("auth.json"), "{}").unwrap();
    fs::write(home.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
    let buildah = |args: &[&str]| {
        let mut command = Command::new(peers::path("buildah"));
        command.env("HOME", &home).env("XDG_RUNTIME_DIR", &home).env("TMPDIR", &home).current_dir(&home);
        command.env("REGISTRY_AUTH_FILE", home.join("auth.json"));
        command.args(["--root", "root", "--runroot", "run", "--storage-driver", "vfs"]);
        Ran::of(command.args(args)).success().stdout.trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", "--quiet", &container, root.to_str().unwrap(), "/files"]);
    buildah(&["commit", "--quiet", "--signature-policy", "policy.json", &container, "built:1"]);
    let push = ["push", "--quiet", "--tls-verify=false", "--signature-policy", "policy.json", "built:1"];
    buildah(&[&push[..], &[&target("buildah")]].concat());

    let docker = Docker::start();
    docker.run(["load", "--quiet", "--input", archive]).success();
    let name = registry("docker").reference("docker:1");
    docker.run(["tag", "saved:1", &name]).success();
    docker.run(["push", "--quiet", &name]).success();

    let layer = Blob::new(LAYER, Containerd::start().layer(&root));
    Artifact::image("linux/amd64", vec![layer]).push(registry("containerd"), "containerd", Some("1"));

    let names = tools.map(|tool| registry(tool).reference(&format!("{tool}:1")));
    airlift.run(["export", "-o", "b.tar"].into_iter().chain(names.iter().map(String::as_str))).success();
    let encoders = packed(&airlift);
    let mut answers = Vec::new();
    for tool in tools {
        let manifest = registry(tool).manifest(tool, "1").unwrap();
        let document: Value = serde_json::from_slice(manifest.raw()).unwrap();
        let layers = document["layers"].as_array().unwrap();
        for layer in layers.iter().map(|layer| layer["digest"].as_str().unwrap().parse::<Digest>().unwrap()) {
            let found = encoders.get(&layer).unwrap_or_else(|| panic!("{tool}'s layer {layer} has no recipe"));
            let [(family, level, framing)] = found[..] else { panic!("{tool}'s layer is by {found:?}") };
            // All but docker and containerd compress by pgzip, of the release that they were built with.
            let (is_go, default, expected) = match tool {
                "docker" | "containerd" => (true, 6, Framing::Stream),
                "umoci" => (false, 5, Framing::Blocks { size: 1 << 18 }),
                _ => (false, 5, Framing::PGZIP),
            };
            assert_eq!((family == Family::Go, level, framing), (is_go, default, expected), "{tool}: {family:?}");
            answers.push(layer);
        }
    }
    assert!(answers.len() >= tools.len(), "{answers:?}");
}

/// What a program makes of its input.
fn piped(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{command:?}");
        output.stdout
    })
}

/// Java's `GZIPOutputStream`, as jib uses it.
const JAVA: &str = "
public class Gz {
    public static void main(String[] args) throws Exception {
        try (var out = new java.util.zip.GZIPOutputStream(System.out)) { System.in.transferTo(out); }
    }
}
";
/// Python's zlib with a gzip header of its own.
const ZLIB: &str = "
import sys, zlib
made = zlib.compressobj(int(sys.argv[1]), zlib.DEFLATED, 31)
sys.stdout.buffer.write(made.compress(sys.stdin.buffer.read()) + made.flush())
";
/// Python's gzip, as its tarfile and many builders use it.
const GZIP: &str = "
import gzip, sys
sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read(), int(sys.argv[1])))
";

/// Who made a stream, the stream, and by which encoder it is.
type MadeStream = (String, Vec<u8>, (Family, i8, Framing));

/// What the programs of this machine make of a tar, and by which encoder that is.
fn by_programs(folder: &Path, tar: &[u8]) -> Vec<MadeStream> {
    let mut made = Vec::new();
    let mut add = |name: &str, args: &[&str], encoder| {
        let made_by = piped(Command::new(name).args(args).current_dir(folder), tar);
        made.push((format!("{name} {}", args.join(" ")), made_by, encoder));
    };
    for level in [1, 6, 9] {
        let flag = format!("-{level}");
        add("gzip", &["-n", &flag], (Family::Gzip, level, Framing::Stream));
        add("pigz", &["-n", "-p", "2", &flag], (Family::Zlib, level, Framing::PIGZ));
    }
    add("pigz", &["-n", "-p", "1", "-1"], (Family::Zlib, 1, Framing::PIGZ_SINGLE));
    add("pigz", &["-n", "-p", "2", "-b", "64"], (Family::Zlib, 6, Framing::Pigz { size: 65_536 }));
    for level in [6, 9] {
        let level_text = level.to_string();
        add("python3", &["-c", ZLIB, &level_text], (Family::Zlib, level, Framing::Stream));
        add("python3", &["-c", GZIP, &level_text], (Family::Zlib, level, Framing::Stream));
    }
    fs::write(folder.join("Gz.java"), JAVA).unwrap();
    let java = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "Gz.java"];
    add("java", &java, (Family::Zlib, 6, Framing::Stream));
    made
}

/// klauspost's releases: a default level by each.
const RELEASES: [(&str, Family); 5] = [
    ("gzip-klauspost-v1.11.7", Family::Klauspost1_10_3),
    ("gzip-klauspost-v1.13.6", Family::Klauspost1_12_3),
    ("gzip-klauspost-v1.15.9", Family::Klauspost1_15_0),
    ("gzip-klauspost-v1.18.2", Family::Klauspost1_18_2),
    ("gzip-klauspost-v1.20.4", Family::Klauspost1_20_4),
];

/// What programs in Go make of a tar.
fn by_go(tar: &[u8]) -> Vec<MadeStream> {
    let start = |program: &str| Original::start(&mut Command::new(peers::path(program))).unwrap();
    let mut made = Vec::new();
    for (program, family) in [("gzip-go-before-1.27", Family::Go), ("gzip-go-from-1.27", Family::Go1_27)] {
        let mut go = start(program);
        for level in [1, -1, 9] {
            let encoder = (family, if level == -1 { 6 } else { level }, Framing::Stream);
            made.push((format!("{program} {level}"), go.gzip(level, 0, tar).unwrap(), encoder));
        }
    }
    for (program, family) in RELEASES {
        let mut klauspost = start(program);
        for size in [0, 1 << 16, 1 << 20] {
            let framing = if size == 0 { Framing::Stream } else { Framing::Blocks { size } };
            let stream = klauspost.gzip(-1, size, tar).unwrap();
            made.push((format!("{program} in blocks of {size}"), stream, (family, 5, framing)));
        }
    }
    let estargz = piped(&mut Command::new(peers::path("gzip-estargz")), tar);
    made.push(("estargz".to_owned(), estargz, (Family::Go, 9, Framing::FLUSHED)));
    made
}

#[test]
fn streams_of_every_encoder_are_rebuilt_by_the_recipe_of_that_encoder() {
    needs!("gzip", "pigz", "python3", "tar", "java", "javac");
    needs!("gzip-go-before-1.27", "gzip-go-from-1.27", "gzip-estargz");
    for (program, _) in RELEASES {
        needs!(program);
    }
    let airlift = Airlift::new();
    let folder = airlift.home();
    let tar = tar(folder, &files(folder));
    let streams = [by_programs(folder, &tar), by_go(&tar)].concat();
    let layers = streams.iter().map(|(_, stream, _)| Blob::new(LAYER, stream.clone())).collect();
    let packed_bundle = Packed::new().with("r.example/app:1", Artifact::image("linux/amd64", layers));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(packed_bundle.write(&folder.join("b.tar")));
    let encoders = packed(&airlift);
    for (name, stream, expected) in &streams {
        let found = encoders.get(&Digest::sha256(stream)).unwrap_or_else(|| panic!("no recipe for {name}"));
        assert!(found.contains(expected), "{name} is by {expected:?}, but {found:?} was found");
    }
    // Each is the same tar, so all of them take little more than one.
    let size = fs::metadata(folder.join("b.pack")).unwrap().len();
    let once = streams.iter().map(|(_, stream, _)| stream.len() as u64).min().unwrap();
    assert!(size < 2 * once, "{} streams in {size} bytes, the smallest has {once}", streams.len());
}

/// The blobs of a packed file that have checkpoints.
pub(super) fn with_checkpoints(packed: &[u8]) -> usize {
    head(packed).to_string().matches("\"checkpoints\":\"").count()
}

#[test]
fn a_recipe_that_makes_only_the_beginning_of_a_large_layer_is_given_up() {
    let airlift = Airlift::new();
    // What is repeated is too far away for gzip, and not for zstd.
    let content = [text(7, 0, 3_600_000), noise(8, 1_200_000).repeat(4), text(9, 0, 900_000)].concat();
    let (framing, border) = (Framing::PGZIP, 3);
    let by_level = |level| {
        let header = gzip(Family::Klauspost1_18_2, level, framing, b"")[..10].to_vec();
        let engine = Engine::new(Family::Klauspost1_18_2, level).unwrap();
        let mut encoder = Encoder::with_checkpoints(&Recipe { engine, framing, header }, 1);
        let mut made = Vec::new();
        let mut sink = |bytes: &[u8]| {
            made.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = encoder.write(&content, &mut sink);
        let Ok(marks) = encoder.finish(&mut sink);
        (made, usize::try_from(marks.plan(border).unwrap().output.start).unwrap())
    };
    // Another level from the fourth block on: such a stream is by no encoder.
    let (one, other) = (by_level(5), by_level(4));
    let spliced = [&one.0[..one.1], &other.0[other.1..]].concat();
    let whole = gzip(Family::Go, 6, Framing::Stream, &content);
    assert!(spliced.len().min(whole.len()) > 4 << 20, "both must be large: {} {}", spliced.len(), whole.len());

    let layers = [&spliced, &whole].map(|layer| Blob::new(LAYER, layer.clone())).into();
    let bundle = Packed::new().with("r.example/app:1", Artifact::image("linux/amd64", layers));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(bundle.write(&airlift.home().join("b.tar")));
    let encoders = packed(&airlift);
    assert_eq!(encoders.get(&Digest::sha256(&spliced)), None);
    assert_eq!(encoders.get(&Digest::sha256(&whole)), Some(&vec![(Family::Go, 6, Framing::Stream)]));
    assert_eq!(with_checkpoints(&fs::read(airlift.home().join("b.pack")).unwrap()), 1);
}
