//! The house rule: a module imports lower rows and itself only; siblings never import each other. Within a room no files
//! use each other in a circle.

mod circles;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rows from the top; a room may import rooms of rows below its own.
const ROWS: [&[&str]; 7] = [
    &["pipeline", "load", "check"],
    &["transfer", "server"],
    &["recovery", "pack", "packaging", "review"],
    &["registry", "bundle", "storage", "store", "find", "holding", "trust"],
    &["files"],
    &["content", "progress"],
    &["oci"],
];

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|rooms| rooms.contains(&room))
}

/// What `text` imports of the crate: the first segment of each `crate::` path, groups included.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(group_heads(group)),
            None => rooms.push(word(rest)),
        }
    }
    rooms
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first words of the items at the top of a `{…}` group.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut fresh = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && c.is_alphabetic() => {
                heads.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

/// The files of the crate below `folder`; a crate of its own within it imports nothing of this one.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if folder.join("Cargo.toml").exists() {
        return files;
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_room_imports_lower_rows_and_itself_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut violations = Vec::new();
    for room in fs::read_dir(&src).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = room.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "bin" {
            continue;
        }
        let own = row(&name).unwrap_or_else(|| panic!("src/{name} stands in no row of the table"));
        for file in rust_files(&room) {
            for import in imports(&fs::read_to_string(&file).unwrap()) {
                let allowed = import == name || row(&import).is_none_or(|row| row > own);
                if !allowed {
                    violations.push(format!("{} imports {import}", file.strip_prefix(&src).unwrap().display()));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// Circles within a room that may be, each with its reason; three at the most.
const CIRCLES: [&[&str]; 1] = [
    // A token is fetched by the calls that it opens: the transport asks for one, and asking for it is a call.
    &["registry/auth", "registry/auth/token", "registry/endpoint", "registry/transport"],
];

#[test]
fn the_files_of_a_room_use_each_other_one_way() {
    let found = circles::circles(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let allowed: Vec<BTreeSet<String>> =
        CIRCLES.iter().map(|circle| circle.iter().map(|&file| file.to_owned()).collect()).collect();
    assert_eq!(found, allowed, "circles of files, found and listed");
    assert!(CIRCLES.len() <= 3, "a fourth circle is a room that wants another plan");
}

/// Engines that know places by the traits of `content` only.
const OF_THE_SEAM: [&str; 5] =
    ["transfer/import", "transfer/import.rs", "transfer/items.rs", "transfer/plan.rs", "transfer/resolve.rs"];

#[test]
fn an_engine_of_the_seam_names_no_registry_and_no_store() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for engine in OF_THE_SEAM.map(|engine| src.join(engine)) {
        let files = if engine.is_dir() { rust_files(&engine) } else { vec![engine] };
        for file in files {
            for import in imports(&fs::read_to_string(&file).unwrap()) {
                let is_place = ["registry", "store", "storage"].contains(&import.as_str());
                assert!(!is_place, "{} imports {import}", file.strip_prefix(&src).unwrap().display());
            }
        }
    }
}

/// Where the system is called past the standard library: what a port to another one would have to look at.
const OF_THE_SYSTEM: [&str; 17] = [
    "bin/airlift/output/echo.rs",
    "content/shell.rs",
    "files/disk.rs",
    "files/folder.rs",
    "files/lock.rs",
    "files/open.rs",
    "files/private.rs",
    "files/rename.rs",
    "packaging/stamp.rs",
    "packaging/unpack.rs",
    "pipeline/lock.rs",
    "pipeline/secret/local.rs",
    "registry/auth/helper.rs",
    "server/blob_read.rs",
    "trust/file.rs",
    "trust/marks.rs",
    "trust/record.rs",
];

#[test]
fn few_files_call_the_system_past_the_standard_library() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for file in rust_files(&src) {
        let name = file.strip_prefix(&src).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        if !name.ends_with("tests.rs") && code.contains("rustix::") {
            found.insert(name);
        }
    }
    assert_eq!(found, OF_THE_SYSTEM.map(str::to_owned).into(), "found and listed");
}

#[test]
fn the_command_line_sees_only_the_library() {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/airlift");
    for file in rust_files(&bin) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("#[path"), "{} reaches around the public API", file.display());
    }
}

#[test]
fn imports_are_found_in_paths_and_groups() {
    let text = "use crate::oci::Digest;\nuse crate::{content::{Error, Source}, registry, oci};\n// crate::server\nlet x = crate::bundle::y();";
    assert_eq!(imports(text), ["oci", "content", "registry", "oci", "bundle"]);
}
