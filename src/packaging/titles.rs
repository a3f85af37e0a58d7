//! Names of files in artifacts: which are safe, and which repository a file is put into that was given no name.

use crate::oci::PeerText;

/// Longest name of one file, in bytes; what Linux allows.
const MAX_PART: usize = 255;

/// Most parts of a path in an artifact.
const MAX_PARTS: usize = 120;

/// Whether `name` is one part of a path: text that a terminal shows and every file system takes.
pub(super) fn is_part(name: &str) -> bool {
    let is_short = name.len() <= MAX_PART;
    !matches!(name, "" | "." | "..") && is_short && !name.contains(['/', '\\']) && PeerText(name).is_plain()
}

/// Whether `path` names something below the folder it is held against, in one way only.
pub(super) fn is_below(path: &str) -> bool {
    path.split('/').count() <= MAX_PARTS && path.split('/').all(is_part)
}

/// Whether a link with this target, in a folder `depth` levels below the root, leads to something below the root.
///
/// `..` may only come first. Behind the name of another link it would lead where the text does not say.
pub(super) fn stays_within(target: &str, depth: usize) -> bool {
    let parts: Vec<&str> = target.strip_suffix('/').unwrap_or(target).split('/').filter(|part| *part != ".").collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    !target.is_empty() && up <= depth && parts[up..].iter().all(|part| is_part(part))
}

/// The repository of a file of this name, below a host.
pub(super) fn repository(title: &str) -> Option<String> {
    part_of_repository(title).map(|part| format!("files/{part}"))
}

/// A name in the letters that a part of a repository may have.
pub(super) fn part_of_repository(title: &str) -> Option<String> {
    let mut name = String::new();
    let mut gap = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            if !name.is_empty() {
                name.push_str(match gap.as_str() {
                    "" => "",
                    "." => ".",
                    "_" => "_",
                    _ => "-",
                });
            }
            gap.clear();
            name.push(c);
        } else {
            gap.push(c);
        }
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_a_folder_are_safe() {
        for good in ["a", "a/b.txt", "ä b", "..a", "a..", ".hidden"] {
            assert!(is_below(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "a/./b", "..", "../a", "a/../b", "a\\b", "a\nb", "a\u{202e}b", "a\0"] {
            assert!(!is_below(bad), "{bad:?}");
        }
        assert!(!is_below(&"a/".repeat(200)) && !is_part(&"a".repeat(256)));
    }

    #[test]
    fn links_stay_within_the_root_whatever_other_links_say() {
        for (target, depth, stays) in [
            ("b", 0, true),
            ("./b/", 0, true),
            ("../b", 1, true),
            ("..", 1, true),
            ("../b", 0, false),
            ("../../b", 1, false),
            ("a/../b", 3, false),
            ("/etc/passwd", 5, false),
            ("", 1, false),
            ("a//b", 1, false),
        ] {
            assert_eq!(stays_within(target, depth), stays, "{target} at {depth}");
        }
    }

    #[test]
    fn a_file_gets_a_repository_after_its_name() {
        for (title, name) in [
            ("setup.sh", "files/setup.sh"),
            ("My Tool (1).EXE", "files/my-tool-1-exe"),
            ("_x__y.", "files/x-y"),
            ("a.b_c-d", "files/a.b_c-d"),
        ] {
            let found = repository(title).unwrap();
            assert!(found == name && crate::oci::reference::is_repository(&found), "{title}: {found}");
        }
        assert_eq!(repository("日本"), None);
    }
}
