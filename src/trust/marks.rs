//! High-water marks: the highest sequence that was imported here, for each stream and signer
//! (docs/statement-format.md, *High-water marks*).

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use rustix::fs::OFlags;

use super::{Statement, TrustFinding, TrustVerdict};
use crate::content::{Code, Fault};

/// The database in the folder of the state.
const FILE: &str = "marks.db";

/// `user_version` of the database.
const VERSION: i64 = 1;

/// How long one process waits for the transaction of another one; they last milliseconds.
const BUSY: Duration = Duration::from_secs(30);

const FORMAT: &str = "
CREATE TABLE mark (
    stream TEXT NOT NULL, signer TEXT NOT NULL, sequence INTEGER NOT NULL, seal TEXT NOT NULL, imported TEXT NOT NULL,
    PRIMARY KEY (stream, signer)) WITHOUT ROWID;
CREATE TABLE claim (stream TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sent (stream TEXT PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
";

/// Why marks cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MarkError {
    /// The folder or the file cannot be used.
    #[error("{path} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The database failed.
    #[error("the database of marks failed")]
    Database(#[from] rusqlite::Error),
    /// It was made by a later airlift.
    #[error("{path} is of format {found}, and this airlift knows {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
}

impl Fault for MarkError {
    fn code(&self) -> Code {
        match self {
            Self::Version { .. } => Code::PipelineStateVersion,
            _ => Code::PipelineState,
        }
    }
}

/// The marks of this site.
#[derive(Debug)]
pub struct Marks(Connection);

impl Marks {
    /// Opens the marks in the folder `dir`, or makes an empty set there.
    pub fn open(dir: &Path) -> Result<Self, MarkError> {
        let path = dir.join(FILE);
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| MarkError::Folder { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(error(dir))?;
        // SQLite would make the file for everybody to read, and follow a link.
        fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(error(&path))?;
        let mut database = Connection::open(&path)?;
        database.busy_timeout(BUSY)?;
        database.execute_batch("PRAGMA synchronous = FULL;")?;
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match transaction.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            VERSION => {}
            0 => transaction.execute_batch(&format!("{FORMAT} PRAGMA user_version = {VERSION};"))?,
            found => return Err(MarkError::Version { path, found }),
        }
        transaction.commit()?;
        Ok(Self(database))
    }

    /// Adds a finding to `verdict` if its statement is older than what one of its signers made before. A statement without
    /// a stream has no age in this sense.
    pub fn check(&self, verdict: &mut TrustVerdict) -> Result<(), MarkError> {
        let Some((stream, sequence, seal)) = verdict.statement.as_ref().and_then(position) else { return Ok(()) };
        let mut highest: Option<(u64, String)> = None;
        for signer in &verdict.signers {
            let mark = self.mark(stream, signer)?;
            if mark.as_ref().map(|(sequence, _)| *sequence) > highest.as_ref().map(|(sequence, _)| *sequence) {
                highest = mark;
            }
        }
        let stream = stream.to_owned();
        match highest {
            Some((mark, _)) if mark > sequence => {
                verdict.findings.push(TrustFinding::Older { stream, sequence, mark });
            }
            Some((mark, found)) if mark == sequence && found != seal => {
                verdict.findings.push(TrustFinding::SameSequence { stream, sequence });
            }
            _ => {}
        }
        Ok(())
    }

    fn mark(&self, stream: &str, signer: &str) -> Result<Option<(u64, String)>, MarkError> {
        let mut query = self.0.prepare_cached("SELECT sequence, seal FROM mark WHERE stream = ?1 AND signer = ?2")?;
        Ok(query
            .query_row(params![stream, signer], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))
            .optional()?)
    }

    /// Raises the marks of the verdict's signers to its statement. None is ever lowered.
    pub fn raise(&mut self, verdict: &TrustVerdict, now: Timestamp) -> Result<(), MarkError> {
        let Some((stream, sequence, seal)) = verdict.statement.as_ref().and_then(position) else { return Ok(()) };
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for signer in &verdict.signers {
            transaction.execute(
                "INSERT INTO mark (stream, signer, sequence, seal, imported) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (stream, signer) DO UPDATE
                 SET sequence = excluded.sequence, seal = excluded.seal, imported = excluded.imported
                 WHERE excluded.sequence > sequence",
                params![stream, signer, sequence.cast_signed(), seal, now.to_string()],
            )?;
        }
        Ok(transaction.commit()?)
    }

    /// The highest sequence of a stream that was imported, with any signers or none.
    ///
    /// # Errors
    /// [`MarkError::Database`].
    pub fn newest(&self, stream: &str) -> Result<Option<u64>, MarkError> {
        let newest: Option<i64> = self.0.query_row(
            "SELECT max(sequence) FROM (SELECT sequence FROM mark WHERE stream = ?1
             UNION ALL SELECT sequence FROM claim WHERE stream = ?1)",
            params![stream],
            |row| row.get(0),
        )?;
        Ok(newest.map(i64::cast_unsigned))
    }

    /// Notes what was imported without a check. No bundle is refused for it.
    ///
    /// # Errors
    /// [`MarkError::Database`].
    pub fn note(&mut self, stream: &str, sequence: u64) -> Result<(), MarkError> {
        self.rise("claim", stream, sequence)
    }

    /// Notes the sequence of a bundle that is sent.
    ///
    /// # Errors
    /// [`MarkError::Database`].
    pub fn sent(&mut self, stream: &str, sequence: u64) -> Result<(), MarkError> {
        self.rise("sent", stream, sequence)
    }

    /// Takes the next sequence of a stream for a bundle that is sent, the first being 1. It is not given a second time.
    ///
    /// # Errors
    /// [`MarkError::Database`].
    pub fn next(&mut self, stream: &str) -> Result<u64, MarkError> {
        let taken: i64 = self.0.query_row(
            "INSERT INTO sent (stream, sequence) VALUES (?1, 1)
             ON CONFLICT (stream) DO UPDATE SET sequence = sequence + 1 RETURNING sequence",
            params![stream],
            |row| row.get(0),
        )?;
        Ok(taken.cast_unsigned())
    }

    fn rise(&mut self, table: &str, stream: &str, sequence: u64) -> Result<(), MarkError> {
        self.0.execute(
            &format!(
                "INSERT INTO {table} (stream, sequence) VALUES (?1, ?2)
                 ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > sequence"
            ),
            params![stream, sequence.cast_signed()],
        )?;
        Ok(())
    }
}

fn position(statement: &Statement) -> Option<(&str, u64, String)> {
    let (stream, sequence) = statement.position()?;
    Some((stream, sequence, statement.bundle.seal.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        oci::Digest,
        trust::{BundleIdentity, Statement},
    };

    fn verdict(stream: &str, sequence: u64, signers: &[&str]) -> TrustVerdict {
        let digest = Digest::sha256(sequence.to_string().as_bytes());
        let mut statement = Statement::new(BundleIdentity { id: digest, seal: digest, size: 1 }, Timestamp::UNIX_EPOCH);
        (statement.stream, statement.sequence) = (Some(stream.to_owned()), Some(sequence));
        let signers = signers.iter().map(|&name| name.to_owned()).collect();
        TrustVerdict { statement: Some(statement), signers, require: 1, findings: Vec::new() }
    }

    fn refusal(marks: &Marks, mut verdict: TrustVerdict) -> Option<Code> {
        marks.check(&mut verdict).unwrap();
        verdict.refusal()
    }

    #[test]
    fn what_is_older_is_refused_and_gaps_are_fine() {
        let folder = tempfile::tempdir().unwrap();
        let mut marks = Marks::open(&folder.path().join("state")).unwrap();
        assert_eq!(refusal(&marks, verdict("hq", 12, &["a", "b"])), None);
        marks.raise(&verdict("hq", 12, &["a", "b"]), Timestamp::UNIX_EPOCH).unwrap();
        drop(marks);
        let mut marks = Marks::open(&folder.path().join("state")).unwrap();
        let older = Some(Code::TrustOlder);
        for (stream, sequence, signers, expected) in [
            ("hq", 11, ["a", "b"].as_slice(), older),
            ("hq", 11, &["b"], older),
            ("hq", 11, &["b", "c"], older),
            ("hq", 11, &["c"], None),
            ("lab", 11, &["a", "b"], None),
            ("hq", 12, &["a"], None),
            ("hq", 40, &["a"], None),
        ] {
            assert_eq!(
                refusal(&marks, verdict(stream, sequence, signers)),
                expected,
                "{stream} {sequence} {signers:?}"
            );
        }
        marks.raise(&verdict("hq", 3, &["a"]), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(refusal(&marks, verdict("hq", 11, &["a"])), older);
    }

    #[test]
    fn one_sequence_is_of_one_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let mut marks = Marks::open(folder.path()).unwrap();
        marks.raise(&verdict("hq", 12, &["a"]), Timestamp::UNIX_EPOCH).unwrap();
        let mut other = verdict("hq", 12, &["a"]);
        other.statement.as_mut().unwrap().bundle.seal = Digest::sha256(b"another");
        assert_eq!(refusal(&marks, other), Some(Code::TrustOlder));
    }

    #[test]
    fn sequences_to_send_rise_and_are_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut marks = Marks::open(folder.path()).unwrap();
        assert_eq!((marks.next("hq").unwrap(), marks.next("lab").unwrap(), marks.next("hq").unwrap()), (1, 1, 2));
        marks.sent("hq", 40).unwrap();
        marks.sent("hq", 7).unwrap();
        assert_eq!(Marks::open(folder.path()).unwrap().next("hq").unwrap(), 41);
    }

    #[test]
    fn what_came_unchecked_is_known_and_refuses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut marks = Marks::open(folder.path()).unwrap();
        assert_eq!(marks.newest("hq").unwrap(), None);
        marks.raise(&verdict("hq", 5, &["a"]), Timestamp::UNIX_EPOCH).unwrap();
        marks.note("hq", 9).unwrap();
        marks.note("hq", 8).unwrap();
        assert_eq!((marks.newest("hq").unwrap(), marks.newest("lab").unwrap()), (Some(9), None));
        assert_eq!(refusal(&marks, verdict("hq", 6, &["a"])), None);
    }

    #[test]
    fn a_later_format_and_a_link_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Marks::open(folder.path()).unwrap());
        let path = folder.path().join(FILE);
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
        assert!(matches!(Marks::open(folder.path()), Err(MarkError::Version { found: 7, .. })));
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(Marks::open(folder.path()), Err(MarkError::Folder { .. })));
    }
}
