//! A command with places for an artifact.

use std::str::FromStr;

use crate::oci::{Digest, Reference};

/// What stands for the artifact in a command.
const PLACES: [&str; 4] = ["{ref}", "{digest}", "{repository}", "{name}"];

/// A command of the shell that is told an artifact: `{ref}` is its address in the loopback registry, `{repository}` the
/// address without tag and digest, `{digest}` the digest of its root manifest, and `{name}` what it is called in the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckCommand(String);

/// A command that would be the same for every artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a command that names the artifact by {{ref}}, {{digest}}, {{repository}} or {{name}}, got {text:?}")]
#[non_exhaustive]
pub struct ParseCheckError {
    /// The command.
    pub text: String,
}

impl FromStr for CheckCommand {
    type Err = ParseCheckError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !PLACES.iter().any(|place| text.contains(place)) || text.contains('\0') {
            return Err(ParseCheckError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl CheckCommand {
    /// The command for the artifact `name` with the root manifest `digest`, which is in the registry at `address`.
    ///
    /// Nothing has to be quoted: names, tags and digests have no character that means something to a shell.
    pub(super) fn of(&self, address: &str, name: &Reference, digest: &Digest) -> String {
        let repository = format!("{address}/{}", served_as(name));
        let reference = match name.tag() {
            Some(tag) if name.digest().is_none() => format!("{repository}:{tag}"),
            _ => format!("{repository}@{digest}"),
        };
        let values = [reference, digest.to_string(), repository, name.to_string()];
        // In one pass: a value never stands for another one.
        let mut rest = self.0.as_str();
        let mut text = String::with_capacity(rest.len());
        while let Some((at, place)) = next_place(rest) {
            text.push_str(&rest[..at]);
            text.push_str(&values[place]);
            rest = &rest[at + PLACES[place].len()..];
        }
        text + rest
    }
}

impl std::fmt::Display for CheckCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path under which the loopback registry has the repository: with the host in front, so that no two are one.
fn served_as(name: &Reference) -> String {
    format!("{}/{}", crate::oci::reference::host_as_part(name.registry()), name.repository())
}

/// Where the first place is in `text`, and which.
fn next_place(text: &str) -> Option<(usize, usize)> {
    PLACES.iter().enumerate().filter_map(|(number, place)| Some((text.find(place)?, number))).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once_and_a_command_without_one_is_refused() {
        let digest = Digest::sha256(b"x");
        let of = |text: &str, name: &str| {
            text.parse::<CheckCommand>().unwrap().of("127.0.0.1:5000", &name.parse().unwrap(), &digest)
        };
        assert_eq!(
            of("a {ref}|{ref}", "r.example/app:1"),
            "a 127.0.0.1:5000/r.example/app:1|127.0.0.1:5000/r.example/app:1"
        );
        let pinned = format!("r.example/app@{digest}");
        assert_eq!(of("a {ref}", &pinned), format!("a 127.0.0.1:5000/r.example/app@{digest}"));
        assert_eq!(of("{repository}@{digest}", "r.example/app:1"), format!("127.0.0.1:5000/r.example/app@{digest}"));
        assert_eq!(of("{name} {other}", "r.example/app:1"), "r.example/app:1 {other}");
        for text in ["", "true", "scan {image}", "a\0{ref}"] {
            assert!(text.parse::<CheckCommand>().is_err(), "{text:?}");
        }
    }
}
