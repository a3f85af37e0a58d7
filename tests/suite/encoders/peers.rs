//! The originals themselves, called through small Go programs in `tests/encoders`.
//!
//! Without Go these tests say so and pass, unless `CI` is set. klauspost's releases are taken from Go's module cache only,
//! where `go mod download` in the program's folder puts them; what is not there is named and left out.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use airlift::pack::deflate::{Family, Framing};

use super::{BLOCK, BLOCKS, PIGZ, PIGZ_SINGLE, covered, encode, recipe, samples, seed, tell};

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encoders")
}

/// Builds a program; `None`, and a word on why, where that cannot be done.
fn build(folder: &str, modfile: &str, to: &Path) -> Option<PathBuf> {
    let program = to.join(modfile.replace(['/', '.'], "-"));
    let built = Command::new("go")
        .current_dir(programs().join(folder))
        .env("GOPROXY", "off")
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .args(["build", "-modfile", modfile, "-o"])
        .arg(&program)
        .arg(".")
        .output();
    match built {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => {
            tell(&format!("SKIPPED: {folder} with {modfile}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            None
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI has no Go: {error}");
            tell(&format!("SKIPPED: no Go here: {error}"));
            None
        }
    }
}

/// What a program makes of all its input.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("the program reads its input"));
        let output = child.wait_with_output().expect("the program ends");
        assert!(output.status.success(), "{command:?}");
        output.stdout
    })
}

/// Compares every level of a family over a random input of several blocks, and over short ones; what the originals make of the
/// samples is in `golden.txt`. The program reads each input behind its length, and writes what each level makes of it in the
/// same way.
fn compare(program: &mut Command, family: Family, framing: Framing) {
    let seed = seed();
    let mut random = samples::Random(seed);
    let short = [0, 1 + random.below(40), 1 + random.below(3000)];
    let inputs: Vec<Vec<u8>> =
        short.into_iter().chain([150_000]).map(|size| samples::mixture(random.next(), size)).collect();
    let levels: Vec<i8> =
        covered(family).into_iter().filter(|&(_, other)| other == framing).map(|(level, _)| level).collect();
    let mut framed = Vec::new();
    for input in &inputs {
        framed.extend(u32::try_from(input.len()).expect("samples are small").to_le_bytes());
        framed.extend(input);
    }
    let output = run(program.args(levels.iter().map(i8::to_string)), &framed);
    let mut rest = &output[..];
    for input in &inputs {
        for &level in &levels {
            let (length, later) = rest.split_first_chunk().expect("there is one for each");
            let (original, later) = later.split_at(u32::from_le_bytes(*length) as usize);
            rest = later;
            // The fixed part of the header is another: klauspost's has a time of its own.
            let ours = encode(&recipe(family, level, framing), input, 1 << 20);
            let length = input.len();
            assert!(ours[10..] == original[10..], "{family:?} {level} {framing:?}, {length} bytes, seed {seed}");
        }
    }
    assert!(rest.is_empty());
}

#[test]
fn go_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Some(program) = build("go", "go.mod", folder.path()) {
        compare(&mut Command::new(program), Family::Go, Framing::Stream);
    }
}

#[test]
fn klauspost_gives_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let releases = [
        ("v1.12.3.mod", Family::Klauspost1_12_3),
        ("v1.14.4.mod", Family::Klauspost1_14),
        ("v1.15.9.mod", Family::Klauspost1_15_0),
        ("v1.15.15.mod", Family::Klauspost1_15_11),
        ("v1.17.11.mod", Family::Klauspost1_15_11),
        ("v1.18.0.mod", Family::Klauspost1_18_0),
        ("v1.18.2.mod", Family::Klauspost1_18_2),
        ("v1.20.3.mod", Family::Klauspost1_20_0),
        ("v1.20.4.mod", Family::Klauspost1_20_4),
    ];
    for (modfile, family) in releases {
        if let Some(program) = build("klauspost", modfile, folder.path()) {
            compare(Command::new(&program).arg("0"), family, Framing::Stream);
            compare(Command::new(&program).arg(BLOCK.to_string()), family, BLOCKS);
        }
    }
}

/// Compares every level of a family with a program that compresses its input to its output.
fn compare_with(program: &str, options: &[&str], framing: Framing, family: Family) {
    if let Err(error) = Command::new(program).arg("--version").output() {
        assert!(std::env::var_os("CI").is_none(), "CI has no {program}: {error}");
        return tell(&format!("SKIPPED: no {program} here: {error}"));
    }
    let seed = seed();
    let mut random = samples::Random(seed);
    // Two end near the end of a window, where gzip has rules of its own.
    let windows = [65_100 + random.below(500), 130_900 + random.below(600)];
    let others = [0, 1 + random.below(40), 1 + random.below(3000), BLOCK as usize, 150_000 + random.below(100_000)];
    let sizes = others.into_iter().chain(windows);
    for size in sizes {
        let input = samples::mixture(random.next(), size);
        for (level, _) in covered(family).into_iter().filter(|&(_, other)| other == framing) {
            let original = run(Command::new(program).args(options).arg(format!("-{level}")), &input);
            let ours = encode(&recipe(family, level, framing), &input, 1 << 20);
            assert!(ours[10..] == original[10..], "{program} -{level} {options:?}, {size} bytes, seed {seed}");
        }
    }
}

#[test]
fn gzip_gives_the_same_bytes() {
    compare_with("gzip", &["-n"], Framing::Stream, Family::Gzip);
}

#[test]
fn pigz_gives_the_same_bytes() {
    let block = (BLOCK / 1024).to_string();
    let options = |threads| ["-n", "-b", block.as_str(), "-p", threads];
    compare_with("pigz", &options("3"), PIGZ, Family::Zlib);
    compare_with("pigz", &options("1"), PIGZ_SINGLE, Family::Zlib);
}

/// What zlib makes of each input at each level.
const PYTHON: &str = "
import gzip, struct, sys
while head := sys.stdin.buffer.read(4):
    content = sys.stdin.buffer.read(*struct.unpack('<I', head))
    for level in sys.argv[1:]:
        made = gzip.compress(content, int(level), mtime=0)
        sys.stdout.buffer.write(struct.pack('<I', len(made)) + made)
";

#[test]
fn zlib_gives_the_same_bytes() {
    if let Err(error) = Command::new("python3").arg("-V").output() {
        assert!(std::env::var_os("CI").is_none(), "CI has no Python: {error}");
        return tell(&format!("SKIPPED: no Python here: {error}"));
    }
    compare(Command::new("python3").args(["-c", PYTHON]), Family::Zlib, Framing::Stream);
}
