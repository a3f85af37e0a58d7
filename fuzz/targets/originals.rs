//! The encoders that ours are held against, kept running, where `tests/setup` has built them.

use std::{
    cell::RefCell,
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use airlift::pack::deflate::{Engine, Family, Framing};

#[path = "../../tests/suite/support/original.rs"]
mod original;

use original::Original;

/// Families with an original, and its program; Python's zlib is a script.
const PROGRAMS: [(Family, &str); 14] = [
    (Family::Go, "gzip-go-before-1.27"),
    (Family::Go1_27, "gzip-go-from-1.27"),
    (Family::Klauspost1_10_3, "gzip-klauspost-v1.11.7"),
    (Family::Klauspost1_11_13, "gzip-klauspost-v1.12.1"),
    (Family::Klauspost1_12_2, "gzip-klauspost-v1.12.2"),
    (Family::Klauspost1_12_3, "gzip-klauspost-v1.13.6"),
    (Family::Klauspost1_14_2, "gzip-klauspost-v1.14.2"),
    (Family::Klauspost1_14, "gzip-klauspost-v1.14.4"),
    (Family::Klauspost1_15_0, "gzip-klauspost-v1.15.9"),
    (Family::Klauspost1_15_11, "gzip-klauspost-v1.17.11"),
    (Family::Klauspost1_18_0, "gzip-klauspost-v1.18.0"),
    (Family::Klauspost1_18_2, "gzip-klauspost-v1.18.2"),
    (Family::Klauspost1_20_0, "gzip-klauspost-v1.20.3"),
    (Family::Klauspost1_20_4, "gzip-klauspost-v1.20.4"),
];

/// Where the programs are: `AIRLIFT_ENCODERS`, or where `tests/setup` puts them. `None`, and a word on it, where they are not all there; in
/// CI that is an error.
static FOLDER: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = env::var_os("AIRLIFT_ENCODERS").map_or_else(|| root.join(".peers/encoders"), PathBuf::from);
    let missing: Vec<&str> =
        PROGRAMS.iter().map(|&(_, program)| program).filter(|program| !folder.join(program).is_file()).collect();
    if missing.is_empty() {
        return Some(folder);
    }
    let missing = format!("{} in {} (tests/setup builds them)", missing.join(", "), folder.display());
    assert!(
        env::var_os("CI").is_none_or(|value| value != "true"),
        "in CI nothing is skipped, and there is no {missing}"
    );
    eprintln!("SKIPPED: encoders are not held against the originals: there is no {missing}");
    None
});

thread_local! {
    static RUNNING: RefCell<HashMap<Family, Original>> = RefCell::default();
}

/// What the original makes of a content, if it is one that can be asked.
pub(crate) fn gzip(engine: Engine, framing: Framing, content: &[u8]) -> Option<Vec<u8>> {
    let folder = FOLDER.as_ref()?;
    let family = engine.family();
    let mut command = match (family, framing) {
        (Family::Zlib, Framing::Stream) => {
            let mut python = Command::new("python3");
            python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/encoders/zlib/main.py"));
            python
        }
        (_, Framing::Stream | Framing::Blocks { .. }) => {
            let (_, program) = PROGRAMS.iter().find(|&&(other, _)| other == family)?;
            // Go itself has no blocks.
            if framing != Framing::Stream && matches!(family, Family::Go | Family::Go1_27) {
                return None;
            }
            Command::new(folder.join(program))
        }
        _ => return None,
    };
    RUNNING.with_borrow_mut(|running| {
        let original =
            running.entry(family).or_insert_with(|| Original::start(&mut command).expect("the program starts"));
        Some(original.gzip(engine.level(), framing.size(), content).expect("the program answers"))
    })
}
