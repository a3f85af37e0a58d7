//! Reading a record from end to end.

use std::{
    fmt,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use super::{MAX_LINE, RecordEntry, RecordError, read_head};
use crate::oci::Digest;

/// Something that is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordFinding {
    /// A line cannot be read.
    Malformed {
        /// Which, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// A line has another number than its place.
    Number {
        /// Which, from 1.
        line: u64,
        /// The number that it has.
        found: u64,
    },
    /// A line does not follow from the one before: that one was changed, or lines were removed or put between.
    Chain {
        /// Which, from 1.
        line: u64,
    },
    /// The record does not end with the line that it should end with: lines were cut off, or the last was changed.
    Head {
        /// The digest of the last line that is there.
        found: Digest,
        /// The digest that it should have.
        expected: Digest,
    },
    /// The last line was not finished; the next writer removes it. Not an error.
    Torn,
}

impl RecordFinding {
    /// Whether it says that the record was changed.
    pub fn is_error(&self) -> bool {
        *self != Self::Torn
    }
}

impl fmt::Display for RecordFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, reason } => write!(f, "line {line} cannot be read: {reason}"),
            Self::Number { line, found } => write!(f, "line {line} has the number {found}"),
            Self::Chain { line } => {
                write!(f, "line {line} does not follow from the line before: that was changed, or lines are missing")
            }
            Self::Head { found, expected } => {
                write!(f, "the last line is {found}, and should be {expected}: it was changed, or lines were cut off")
            }
            Self::Torn => f.write_str("the last line was not finished; the next transfer removes it"),
        }
    }
}

/// What came of reading a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordCheck {
    /// Whole lines.
    pub lines: u64,
    /// The digest of the last whole line.
    pub head: Digest,
    /// Everything that was found.
    pub findings: Vec<RecordFinding>,
}

/// Reads the record `path` to its end, gives each line that can be read to `each`, and compares the end with the head that
/// was kept elsewhere, or else with the one beside the record.
pub fn verify(
    path: &Path,
    kept: Option<Digest>,
    mut each: impl FnMut(&RecordEntry),
) -> Result<RecordCheck, RecordError> {
    let failed = |source| RecordError::Read { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut check = RecordCheck { lines: 0, head: Digest::sha256(b""), findings: Vec::new() };
    let mut before = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            let reason = "it is too long".to_owned();
            let long = RecordFinding::Malformed { line: check.lines + 1, reason };
            check.findings.push(if line.len() as u64 == MAX_LINE { long } else { RecordFinding::Torn });
            break;
        };
        check.lines += 1;
        before = Some(check.head);
        check_line(text, &mut check, &mut each);
        check.head = Digest::sha256(text);
    }
    let expected = match kept {
        Some(head) => Some(head),
        None => read_head(path)?,
    };
    // Beside the record the head may be one line behind, where a kill came between the two.
    let good = |head: Digest| head == check.head || kept.is_none() && Some(head) == before;
    if let Some(expected) = expected.filter(|head| !good(*head)) {
        check.findings.push(RecordFinding::Head { found: check.head, expected });
    }
    Ok(check)
}

fn check_line(text: &[u8], check: &mut RecordCheck, each: &mut impl FnMut(&RecordEntry)) {
    let line = check.lines;
    match RecordEntry::parse(text) {
        Ok(entry) => {
            if entry.number != line {
                check.findings.push(RecordFinding::Number { line, found: entry.number });
            }
            if entry.previous != check.head {
                check.findings.push(RecordFinding::Chain { line });
            }
            each(&entry);
        }
        Err(error) => check.findings.push(RecordFinding::Malformed { line, reason: error.to_string() }),
    }
}
