//! What can be checked of the prose: every dependency is argued for, every link leads somewhere, and nothing in it is of
//! one machine only.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Beginnings of paths that only a developer's machine has. A path for everyone is relative, or of the standard
/// hierarchy (`/etc`, `/mnt`, `/usr`, `/var`).
const OF_ONE_MACHINE: [&str; 6] = ["/root/", "/home/", "/Users/", "C:\\Users", "/work/", "/workspace"];

/// What ends a target in `[text](target)`.
const AFTER_LINK: char = ')';

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn markdown_in(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if deep && path.is_dir() {
            markdown_in(&path, deep, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Every page of the project: at the top, in `docs`, beside the tests and the benches.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    markdown_in(root(), false, &mut found);
    for folder in ["docs", "tests", "benches", "fixtures"] {
        let folder = root().join(folder);
        if folder.is_dir() {
            markdown_in(&folder, true, &mut found);
        }
    }
    found.sort();
    found
}

/// The lines of `text` in fenced blocks, or those outside of them.
fn lines(text: &str, wanted: bool) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        fenced == wanted && !fence
    })
}

fn prose(text: &str) -> impl Iterator<Item = &str> {
    lines(text, false)
}

/// The targets of the links in `text`.
fn links(text: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for line in prose(text) {
        for (at, _) in line.match_indices("](") {
            let target = &line[at + 2..];
            targets.extend(target.split_once(AFTER_LINK).map(|(target, _)| target));
        }
    }
    targets
}

/// Which path of one machine stands in `line`, if any. A folder of that name inside another path is none.
fn of_one_machine(line: &str) -> Option<&'static str> {
    let begins_there = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_".contains(c));
    OF_ONE_MACHINE.into_iter().find(|start| line.match_indices(start).any(|(at, _)| begins_there(at)))
}

/// The anchor that a heading gets on the usual hosts: lower case, spaces to dashes, punctuation gone.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_anchor(page: &str, wanted: &str) -> bool {
    prose(page).any(|line| line.starts_with('#') && anchor(line) == wanted)
}

/// Why a link of `page` is broken, if it is.
fn broken(page: &Path, text: &str, target: &str) -> Option<String> {
    let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
    if file.contains("://") || file.starts_with("mailto:") {
        return None;
    }
    let path = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    let name = || page.strip_prefix(root()).unwrap_or(page).display();
    if !path.exists() {
        return Some(format!("{}: {target} leads nowhere", name()));
    }
    let is_page = path.extension().is_some_and(|extension| extension == "md");
    let lost = is_page && !fragment.is_empty() && {
        let other = if file.is_empty() { text.to_owned() } else { read(&path) };
        !has_anchor(&other, fragment)
    };
    lost.then(|| format!("{}: {target} names a heading that is not there", name()))
}

/// The names of the direct dependencies in a Cargo.toml, whatever they are for.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section.ends_with("dependencies");
        } else if inside && !line.starts_with(['#', ' ', '}', ']']) {
            names.extend(line.split_once('=').map(|(name, _)| name.trim().trim_matches('"')));
        }
    }
    // The crate tests itself with its own conformance suites.
    names.retain(|name| *name != env!("CARGO_PKG_NAME"));
    names
}

#[test]
fn every_direct_dependency_has_its_line() {
    let manifest = read(&root().join("Cargo.toml"));
    let page = read(&root().join("docs/dependencies.md"));
    let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let wanted = dependencies(&manifest);
    assert!(wanted.len() > 10, "Cargo.toml was not understood: {wanted:?}");
    let missing: Vec<_> = wanted.iter().filter(|name| !lines.contains(name)).collect();
    assert!(missing.is_empty(), "write a line in docs/dependencies.md for {missing:?}");
    let gone: Vec<_> = lines.iter().filter(|name| !wanted.contains(name)).collect();
    assert!(gone.is_empty(), "docs/dependencies.md has lines for {gone:?}, which Cargo.toml does not have");
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = Vec::new();
    for page in pages() {
        let text = read(&page);
        all.extend(links(&text).into_iter().filter_map(|target| broken(&page, &text, target)));
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn no_page_tells_of_one_machine() {
    let mut all = Vec::new();
    for page in pages() {
        for (at, line) in read(&page).lines().enumerate() {
            all.extend(of_one_machine(line).map(|start| format!("{}:{}: {start}", page.display(), at + 1)));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

/// Words of `text` in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Whether `word` looks like a test's name: lower case, several words.
fn is_test_name(word: &str) -> bool {
    word.matches('_').count() >= 3 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn rust_in(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&read(&path));
        }
    }
}

#[test]
fn every_test_that_a_page_points_to_exists() {
    let mut code = String::new();
    rust_in(&root().join("src"), &mut code);
    rust_in(&root().join("tests"), &mut code);
    let mut missing = Vec::new();
    for name in ["docs/threats.md", "docs/comparison.md", "docs/design.md", "docs/field.md"] {
        let page = read(&root().join(name));
        let gone = quoted(&page).filter(|word| is_test_name(word) && !code.contains(&format!("fn {word}(")));
        missing.extend(gone.map(|word| format!("{name}: {word}")));
    }
    assert!(missing.is_empty(), "these tests are not there: {missing:#?}");
}

/// Commands that have commands of their own.
const PAIRS: [&str; 4] = ["export-pipeline", "import-pipeline", "pipeline-run", "store"];

/// Options and the command of a line that calls airlift in a fenced block.
fn call(line: &str) -> Option<(&str, Vec<&str>)> {
    let line = line.split(" # ").next()?.split(" | ").next()?.trim();
    let words = line.strip_prefix("airlift ")?;
    // `airlift pipeline-run create` is a command of two words.
    let two = words.match_indices(' ').nth(1).map_or(words, |(at, _)| &words[..at]);
    let is_pair = two.split_once(' ').is_some_and(|(first, second)| PAIRS.contains(&first) && !second.starts_with('-'));
    let command = if is_pair { two } else { words.split(' ').next()? };
    let words = words[command.len()..].split_whitespace();
    let options = words.filter(|word| word.starts_with("--") && word.len() > 2);
    Some((command, options.map(|option| option.split('=').next().unwrap_or(option)).collect()))
}

#[test]
fn every_call_in_the_prose_has_a_command_and_options_that_there_are() {
    let reference = read(&root().join("docs/cli.md"));
    let section = |command: &str| {
        let start = reference.find(&format!("## `airlift {command}`\n"))?;
        let section = &reference[start..];
        Some(section[1..].find("\n## ").map_or(section, |end| &section[..=end]))
    };
    let globals = reference.split("\n## ").nth(1).unwrap_or_default();
    let mut wrong = Vec::new();
    for name in ["README.md", "docs/howto.md", "docs/azure-transfer.md", "docs/install.md", "docs/k3s.md"] {
        let page = read(&root().join(name));
        for line in lines(&page, true) {
            let Some((command, options)) = call(line) else { continue };
            let Some(section) = section(command) else {
                wrong.push(format!("{name}: there is no command {command}: {line}"));
                continue;
            };
            let unknown = options.into_iter().filter(|option| !section.contains(option) && !globals.contains(option));
            wrong.extend(unknown.map(|option| format!("{name}: {command} has no {option}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_looked_for_is_found_as_it_is_written() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na = \"1\"\n# b = \"1\"\nc-d = { version = \"1\", features = [\n    \"e\",\n] }\n\
                    [target.'cfg(unix)'.dev-dependencies]\nf = \"1\"\n[profile.dev]\ng = 1\n";
    assert_eq!(dependencies(manifest), ["a", "c-d", "f"]);
    let page = "# A `b` of C\n[x](y.md) and [z](#a-b-of-c), ![p](q.png)\n```\n[n](o)\n# no heading\n```\n";
    assert_eq!(links(page), ["y.md", "#a-b-of-c", "q.png"]);
    assert!(has_anchor(page, "a-b-of-c") && !has_anchor(page, "no-heading"));
    assert_eq!(quoted("a `b` c `d_e_f_g`").filter(|word| is_test_name(word)).collect::<Vec<_>>(), ["d_e_f_g"]);
    assert_eq!(call("airlift x y --z=1 -o - | airlift w --v # --u"), Some(("x", vec!["--z"])));
    assert_eq!(of_one_machine("see `cmd/x/root/y.go` and /mnt/usb/b.tar"), None);
    assert_eq!(of_one_machine("see `/root/x`"), Some("/root/"));
    let at = root().join("docs/dependencies.md");
    assert_eq!(broken(&at, page, "#a-b-of-c"), None);
    assert_eq!(broken(&at, page, "../Cargo.toml"), None);
    assert!(broken(&at, page, "#gone").is_some());
    assert!(broken(&at, page, "no/such/file.md").is_some());
}
