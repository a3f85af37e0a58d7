//! The names of companions. What they are to a bundle `NAME` is in docs/statement-format.md, *Files*.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::trust::signature::SignatureFormat;

/// What follows the bundle's name in the name of its statement.
pub(super) const STATEMENT: &str = ".transfer.json";

/// Characters of a label in the name of a further signature.
const MAX_LABEL: usize = 64;

/// A label that tells two signatures of one format apart: 1 to 64 of `A-Z a-z 0-9 _ -`.
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

/// A text is not a label.
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

/// The signature of the file `signed` in `format`: the first without a label, further ones with one.
pub fn signature(signed: &Path, format: SignatureFormat, label: Option<&Label>) -> PathBuf {
    let label = label.map_or_else(String::new, |label| format!(".{}", label.0));
    appended(signed, &format!("{label}{}", format.extension()))
}

/// The format of the file `name` as a signature of the file called `signed`; `None` if it is not one.
pub fn format_of(signed: &str, name: &str) -> Option<SignatureFormat> {
    let rest = name.strip_prefix(signed)?;
    SignatureFormat::ALL.into_iter().find(|format| {
        rest.strip_suffix(format.extension()).is_some_and(|label| {
            label.is_empty() || label.strip_prefix('.').is_some_and(|label| label.parse::<Label>().is_ok())
        })
    })
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
                let name = path.file_name().unwrap().to_str().unwrap();
                assert_eq!(format_of("update.tar.transfer.json", name), Some(format), "{path:?}");
            }
        }
    }

    #[test]
    fn files_of_other_statements_are_no_signatures() {
        for name in [
            "a.tar.transfer.json",
            "a.tar.transfer.jsonx.sig",
            "b.tar.transfer.json.sig",
            "a.tar.transfer.json.a.b.sig",
            "a.tar.transfer.json..sig",
            "a.tar.transfer.json.sig.partial",
            "a.tar.sig",
        ] {
            assert_eq!(format_of("a.tar.transfer.json", name), None, "{name}");
        }
    }
}
