//! An image of real content: the programs and libraries of the machine that runs the tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use super::{peers, process::Ran, umoci};

/// Of the files before compression, bytes; about 100 MB remain of it.
const ENOUGH: u64 = 320 << 20;

/// Folders that every Debian has, the largest of files in them first: real programs, as a base image ships them.
const SOURCES: [&str; 3] = ["/usr/lib/x86_64-linux-gnu", "/usr/bin", "/usr/share"];

/// An OCI layout with the image `real` of two layers, about 300 MB of real files; made once in `target/test-corpus`.
pub(crate) fn layout() -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let corpus = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../test-corpus");
    let layout = corpus.join("real");
    if !layout.exists() {
        fs::create_dir_all(&corpus).unwrap();
        let making = tempfile::TempDir::with_prefix_in("making-", &corpus).unwrap();
        make(making.path());
        fs::rename(making.path().join("layout"), &layout).unwrap();
    }
    layout
}

fn make(folder: &Path) {
    let roots = [folder.join("programs"), folder.join("data")];
    for root in &roots {
        fs::create_dir(root).unwrap();
    }
    let mut total = 0;
    for (at, file) in largest_files().into_iter().enumerate() {
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        // Numbered, because the same name occurs in more than one folder.
        let name = format!("{at:05}-{}", file.file_name().unwrap().to_string_lossy());
        if fs::copy(&file, roots[at % 2].join(name)).is_ok() {
            total += size;
        }
        if total > ENOUGH {
            break;
        }
    }
    assert!(total > 200 << 20, "this machine has only {total} bytes of programs and libraries");
    umoci::build(&folder.join("layout"), "real", &[(&roots[0], "programs"), (&roots[1], "data")]);
}

/// Regular files of the sources, the largest first (but none over 64 MiB: many files make a more honest layer).
fn largest_files() -> Vec<PathBuf> {
    let folders = SOURCES.iter().filter(|folder| Path::new(folder).is_dir());
    let mut find = Command::new(peers::path("find"));
    find.args(folders).args(["-xdev", "-type", "f", "-size", "-65536k", "-printf", "%s %p\\n"]);
    let listed = Ran::of(&mut find).stdout;
    let mut files: Vec<(u64, PathBuf)> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(size, path)| Some((size.parse().ok()?, PathBuf::from(path))))
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    files.into_iter().map(|(_, path)| path).collect()
}
