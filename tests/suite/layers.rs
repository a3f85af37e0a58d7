//! The house rule: a module imports lower rows and itself only; siblings never import each other.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rows from the top; a room may import rooms of rows below its own.
const ROWS: [&[&str]; 6] = [
    &["pipeline"],
    &["transfer", "server"],
    &["recovery"],
    &["registry", "bundle", "storage", "store", "trust"],
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

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
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
