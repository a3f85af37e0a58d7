//! The names of a statement's file and of its signatures' files (docs/statement-format.md, *Files*).

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::signature::SignatureFormat;

/// What follows the bundle's name in the name of its statement.
pub const STATEMENT: &str = ".transfer.json";

/// Signature files of one statement that a reader takes.
pub const MAX_SIGNATURES: usize = 64;

/// Characters of a label in the name of a further signature.
const MAX_LABEL: usize = 64;

/// A label that tells two signatures of one format apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label(String);

impl std::str::FromStr for Label {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if text.is_empty() || text.len() > MAX_LABEL || !text.chars().all(good) {
            return Err(ParseLabelError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a label is 1 to 64 letters, digits, '_' and '-', not {text:?}")]
#[non_exhaustive]
pub struct ParseLabelError {
    /// The text.
    pub text: String,
}

/// The statement of the bundle, or the set, at `bundle`.
pub fn statement(bundle: &Path) -> PathBuf {
    appended(bundle, STATEMENT)
}

/// The signature of `statement` in `format`: the first without a label, further ones with one.
pub fn signature(statement: &Path, format: SignatureFormat, label: Option<&Label>) -> PathBuf {
    let label = label.map_or_else(String::new, |label| format!(".{}", label.0));
    appended(statement, &format!("{label}{}", format.extension()))
}

/// The format of the file `name` as a signature of the statement with the file name `statement`; none if it is not one.
pub fn format_of(statement: &OsStr, name: &OsStr) -> Option<SignatureFormat> {
    let rest = name.as_bytes().strip_prefix(statement.as_bytes())?;
    let rest = std::str::from_utf8(rest).ok()?;
    SignatureFormat::ALL.into_iter().find(|format| {
        rest.strip_suffix(format.extension()).is_some_and(|label| {
            label.is_empty() || label.strip_prefix('.').is_some_and(|label| label.parse::<Label>().is_ok())
        })
    })
}

/// The signature files beside `statement`, sorted by name. At most one more than [`MAX_SIGNATURES`] is listed.
pub fn signatures(statement: &Path) -> io::Result<Vec<(PathBuf, SignatureFormat)>> {
    let Some(name) = statement.file_name() else { return Ok(Vec::new()) };
    let folder = match statement.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        if let Some(format) = format_of(name, &entry.file_name()) {
            found.push((statement.with_file_name(entry.file_name()), format));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.truncate(MAX_SIGNATURES + 1);
    Ok(found)
}

fn appended(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_formats_and_back() {
        let statement = statement(Path::new("/x/update.tar"));
        assert_eq!(statement, Path::new("/x/update.tar.transfer.json"));
        let label = "second".parse().unwrap();
        for format in SignatureFormat::ALL {
            for path in [signature(&statement, format, None), signature(&statement, format, Some(&label))] {
                let found = format_of(statement.file_name().unwrap(), path.file_name().unwrap());
                assert_eq!(found, Some(format), "{path:?}");
            }
        }
    }

    #[test]
    fn files_of_other_statements_are_no_signatures() {
        let statement = OsStr::new("a.tar.transfer.json");
        for name in [
            "a.tar.transfer.json",
            "a.tar.transfer.jsonx.sig",
            "b.tar.transfer.json.sig",
            "a.tar.transfer.json.a.b.sig",
            "a.tar.transfer.json..sig",
            "a.tar.transfer.json.sig.partial",
            "a.tar.sig",
        ] {
            assert_eq!(format_of(statement, OsStr::new(name)), None, "{name}");
        }
    }
}
