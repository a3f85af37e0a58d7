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
    Airlift, Docker, Options, Podman, Registry, Skopeo,
    artifacts::{Artifact, Blob, LAYER, noise},
    needs,
    packed::Packed,
    peers,
    process::Ran,
    umoci,
};

/// Each gzip layer of a packed file with the encoders of its members, each once.
type Encoders = BTreeMap<Digest, Vec<(Family, i8, Framing)>>;

fn encoders(packed: &[u8]) -> Encoders {
    let length = u32::from_le_bytes(packed[12..16].try_into().unwrap()) as usize;
    let head: Value = serde_json::from_slice(&packed[16..16 + length]).unwrap();
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
    needs!("docker-registry", "skopeo", "podman", "buildah", "umoci", "dockerd", "docker");
    let airlift = Airlift::new();
    let root = files(airlift.home());
    // Tools remember which registry has a layer already, so each has one of its own.
    let tools = ["umoci", "skopeo", "podman", "buildah", "docker"];
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
            // All but docker compress by pgzip, of the release that they were built with.
            let (is_go, default, expected) = match tool {
                "docker" => (true, 6, Framing::Stream),
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
    if peers::find("java").is_none() {
        peers::skipped("java.util.zip", "java");
    } else {
        fs::write(folder.join("Gz.java"), JAVA).unwrap();
        let java = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "Gz.java"];
        add("java", &java, (Family::Zlib, 6, Framing::Stream));
    }
    made
}

/// What programs in Go make of a tar.
fn by_go(folder: &Path, tar: &[u8]) -> Vec<MadeStream> {
    let length = u32::try_from(tar.len()).unwrap().to_le_bytes();
    let framed = [&length[..], tar].concat();
    // The program writes what each level makes behind its length.
    let each = |program: &Path, options: &[&str], levels: &[i8]| {
        let levels: Vec<String> = levels.iter().map(i8::to_string).collect();
        let output = piped(Command::new(program).args(options).args(&levels), &framed);
        let mut rest = &output[..];
        let streams = levels.iter().map(|_| {
            let (length, later) = rest.split_first_chunk().unwrap();
            let (stream, later) = later.split_at(u32::from_le_bytes(*length) as usize);
            rest = later;
            stream.to_vec()
        });
        streams.collect::<Vec<_>>()
    };
    let mut made = Vec::new();
    for (toolchain, family) in [("local", Family::Go), ("go1.27.3", Family::Go1_27)] {
        let Some(program) = build("go", "go.mod", toolchain, folder) else { continue };
        for (level, stream) in [1, -1, 9].into_iter().zip(each(&program, &[], &[1, -1, 9])) {
            let encoder = (family, if level == -1 { 6 } else { level }, Framing::Stream);
            made.push((format!("Go {toolchain} {level}"), stream, encoder));
        }
    }
    for (release, family) in [
        ("v1.15.9.mod", Family::Klauspost1_15_0),
        ("v1.18.2.mod", Family::Klauspost1_18_2),
        ("v1.20.4.mod", Family::Klauspost1_20_4),
    ] {
        let Some(program) = build("klauspost", release, "local", folder) else { continue };
        for size in [0, 1 << 16, 1 << 20] {
            let framing = if size == 0 { Framing::Stream } else { Framing::Blocks { size } };
            let stream = each(&program, &[&size.to_string()], &[-1]).swap_remove(0);
            made.push((format!("klauspost {release} in blocks of {size}"), stream, (family, 5, framing)));
        }
    }
    if let Some(program) = build("estargz", "go.mod", "local", folder) {
        made.push(("estargz".to_owned(), piped(&mut Command::new(program), tar), (Family::Go, 9, Framing::FLUSHED)));
    }
    made
}

/// Builds a program of `tests/encoders` by what Go's module cache has; `None`, and a word on why, where that cannot be done.
fn build(program: &str, modfile: &str, toolchain: &str, to: &Path) -> Option<PathBuf> {
    let binary = to.join(format!("{program}-{modfile}-{toolchain}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoders").join(program);
    let mut command = Command::new("go");
    command.current_dir(source).env("GOPROXY", "off").env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", toolchain);
    match command.args(["build", "-modfile", modfile, "-o"]).arg(&binary).arg(".").output() {
        Ok(output) if output.status.success() => return Some(binary),
        Ok(output) => peers::skipped(&format!("{program} with {modfile}"), &String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            assert!(!peers::in_ci(), "CI has no Go: {error}");
            peers::skipped(program, &format!("Go: {error}"));
        }
    }
    None
}

#[test]
fn streams_of_every_encoder_are_rebuilt_by_the_recipe_of_that_encoder() {
    needs!("gzip", "pigz", "python3", "tar");
    let airlift = Airlift::new();
    let folder = airlift.home();
    let tar = tar(folder, &files(folder));
    let streams = [by_programs(folder, &tar), by_go(folder, &tar)].concat();
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
fn with_checkpoints(packed: &[u8]) -> usize {
    let length = u32::from_le_bytes(packed[12..16].try_into().unwrap()) as usize;
    String::from_utf8_lossy(&packed[16..16 + length]).matches("\"checkpoints\":\"").count()
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
