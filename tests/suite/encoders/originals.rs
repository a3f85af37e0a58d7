//! The originals themselves: the programs of `tests/encoders`, which `tests/setup` builds, and those of this machine.
//!
//! Each makes the samples, whose digests are in `golden.txt`, so that no line of it can be ours; and random inputs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use airlift::pack::deflate::{Family, Framing};

use super::{BLOCK, BLOCKS, PIGZ, PIGZ_SINGLE, covered, digest_of, encode, header, line, recipe, samples, seed};
use crate::support::{Original, needs, peers};

/// Holds an original against the encoder here, at every level of a family with a framing; gives the lines that `golden.txt` must
/// have. `make` is what the original makes of an input at a level.
fn compare(
    family: Family,
    framing: Framing,
    sizes: &[usize],
    mut make: impl FnMut(i8, &[u8]) -> Vec<u8>,
) -> Vec<String> {
    let seed = seed();
    let mut random = samples::Random(seed);
    let inputs: Vec<Vec<u8>> = sizes.iter().map(|&size| samples::mixture(random.next(), size)).collect();
    let levels = covered(family).into_iter().filter(|&(_, other)| other == framing).map(|(level, _)| level);
    // Without sizes some of the levels do, others in every run: that nobody changes their lines is what is left to see.
    let levels: Vec<i8> = levels.filter(|_| !sizes.is_empty() || random.below(3) == 0).collect();
    let mut lines = Vec::new();
    for level in levels {
        for input in &inputs {
            let original = make(level, input);
            // The fixed part of the header is another: klauspost's has a time of its own.
            let ours = encode(&recipe(family, level, framing), input, 1 << 20);
            let length = input.len();
            assert!(ours[10..] == original[10..], "{family:?} {level} {framing:?}, {length} bytes, seed {seed}");
        }
        let digest = digest_of(framing, |sample| [&header(level)[..], &make(level, sample)[10..]].concat());
        lines.push(line(family, level, framing, &digest));
    }
    lines
}

/// Asserts that `golden.txt` has what the originals make.
fn assert_golden(lines: &[String]) {
    let golden: Vec<&str> = include_str!("golden.txt").lines().collect();
    let missing: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !golden.contains(line)).collect();
    assert!(missing.is_empty(), "originals make these, which golden.txt does not have:\n{}", missing.join("\n"));
}

/// A random input of several blocks, and short ones.
fn some_sizes() -> [usize; 4] {
    let mut random = samples::Random(seed());
    [0, 1 + random.below(40), 1 + random.below(3000), 150_000]
}

/// Compares a program of `tests/encoders`, on random inputs of these sizes too.
fn compare_with_program(command: &mut Command, family: Family, framings: &[Framing], sizes: &[usize]) -> Vec<String> {
    let mut original = Original::start(command).expect("the program starts");
    let each = framings.iter().map(|&framing| {
        compare(family, framing, sizes, |level, input| {
            original.gzip(level, framing.size(), input).unwrap_or_else(|error| panic!("{command:?}: {error}"))
        })
    });
    each.collect::<Vec<_>>().concat()
}

#[test]
fn go_gives_the_same_bytes() {
    for (program, family) in [("gzip-go-before-1.27", Family::Go), ("gzip-go-from-1.27", Family::Go1_27)] {
        needs!(program);
        let said = Command::new(peers::path(program)).arg("version").output().expect("the program starts").stdout;
        let said = String::from_utf8_lossy(&said);
        let minor = said.trim().strip_prefix("go1.").and_then(|rest| rest.split('.').next());
        let minor: u32 = minor.and_then(|minor| minor.parse().ok()).unwrap_or_else(|| panic!("{program} is of {said}"));
        assert_eq!(minor >= 27, family == Family::Go1_27, "{program} is of {said}");
        assert_golden(&compare_with_program(
            &mut Command::new(peers::path(program)),
            family,
            &[Framing::Stream],
            &some_sizes(),
        ));
    }
}

#[test]
fn klauspost_gives_the_same_bytes() {
    let mut lines = Vec::new();
    for (release, family) in [
        ("v1.11.7", Family::Klauspost1_10_3),
        ("v1.12.1", Family::Klauspost1_11_13),
        ("v1.12.2", Family::Klauspost1_12_2),
        ("v1.13.6", Family::Klauspost1_12_3),
        ("v1.14.2", Family::Klauspost1_14_2),
        ("v1.14.4", Family::Klauspost1_14),
        ("v1.15.9", Family::Klauspost1_15_0),
        ("v1.15.15", Family::Klauspost1_15_11),
        ("v1.17.11", Family::Klauspost1_15_11),
        ("v1.18.0", Family::Klauspost1_18_0),
        ("v1.18.2", Family::Klauspost1_18_2),
        ("v1.20.3", Family::Klauspost1_20_0),
        ("v1.20.4", Family::Klauspost1_20_4),
    ] {
        let program = format!("gzip-klauspost-{release}");
        needs!(program.as_str());
        let mut command = Command::new(peers::path(&program));
        // The samples tell releases apart; random inputs are for the families that most layers are by.
        let is_common = [Family::Klauspost1_15_11, Family::Klauspost1_18_2].contains(&family);
        let sizes = some_sizes();
        let sizes = if is_common { &sizes[..] } else { &[] };
        lines.extend(compare_with_program(&mut command, family, &[Framing::Stream, BLOCKS], sizes));
    }
    assert_golden(&lines);
}

#[test]
fn zlib_gives_the_same_bytes() {
    needs!("python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/encoders/zlib/main.py");
    let mut command = Command::new(peers::path("python3"));
    assert_golden(&compare_with_program(command.arg(script), Family::Zlib, &[Framing::Stream], &some_sizes()));
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

/// Compares a program that compresses its input to its output.
fn compare_with(program: &str, options: &[&str], framing: Framing, family: Family) {
    let mut random = samples::Random(seed());
    // Two end near the end of a window, where gzip has rules of its own.
    let windows = [65_100 + random.below(500), 130_900 + random.below(600)];
    let others = [0, 1 + random.below(40), 1 + random.below(3000), BLOCK as usize, 150_000 + random.below(100_000)];
    let lines = compare(family, framing, &[&others[..], &windows].concat(), |level, input| {
        run(Command::new(peers::path(program)).args(options).arg(format!("-{level}")), input)
    });
    assert_golden(&lines);
}

#[test]
fn gzip_gives_the_same_bytes() {
    needs!("gzip");
    compare_with("gzip", &["-n"], Framing::Stream, Family::Gzip);
}

#[test]
fn pigz_gives_the_same_bytes() {
    needs!("pigz");
    let block = (BLOCK / 1024).to_string();
    let options = |threads| ["-n", "-b", block.as_str(), "-p", threads];
    compare_with("pigz", &options("3"), PIGZ, Family::Zlib);
    compare_with("pigz", &options("1"), PIGZ_SINGLE, Family::Zlib);
}
