//! The database: which repository has which blobs, manifests and tags. One writer, any number of readers beside it (WAL).

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::{
    document::RawManifest,
    error::{Result, StoreError},
};
use crate::oci::{Descriptor, Digest, Name, Tag};

/// `user_version` of the database: the number of steps in [`FORMAT`].
const VERSION: i64 = 1;

/// How long a reader waits where SQLite itself must lock, which it does only at a checkpoint's edges.
const BUSY: Duration = Duration::from_secs(10);

/// Readers kept open when they are idle; more are opened when they are needed, and closed again.
const IDLE_READERS: usize = 8;

/// Digests are kept as text, `ALG:HEX`, so that `sqlite3` shows a person what they are looking for.
const FORMAT: &str = "
CREATE TABLE repository (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE blob (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE held (
    repository INTEGER NOT NULL REFERENCES repository, digest TEXT NOT NULL REFERENCES blob,
    PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX held_by_digest ON held (digest);
CREATE TABLE document (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE manifest (
    repository INTEGER NOT NULL REFERENCES repository, digest TEXT NOT NULL REFERENCES document,
    media_type TEXT NOT NULL, subject TEXT, descriptor TEXT NOT NULL,
    PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX manifest_by_subject ON manifest (repository, subject) WHERE subject IS NOT NULL;
CREATE INDEX manifest_by_digest ON manifest (digest);
CREATE TABLE tag (
    repository INTEGER NOT NULL REFERENCES repository, name TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (repository, name)) WITHOUT ROWID;
CREATE INDEX tag_by_digest ON tag (repository, digest);
";

/// The open database.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let writer = Connection::open(path)?;
        // FULL: a commit is on the disk when it is acknowledged, also after a power failure.
        writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
        let found: i64 = writer.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match found {
            VERSION => {}
            0 => writer.execute_batch(&format!("BEGIN; {FORMAT} PRAGMA user_version = {VERSION}; COMMIT;"))?,
            _ => return Err(StoreError::Version { path: path.to_owned(), found, known: VERSION }),
        }
        Ok(Self { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// Asks the database. Such questions are index look-ups in pages that are in memory: microseconds, less than it takes
    /// to hand them to another thread.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.reader()?,
        };
        let answer = ask(&Db(&connection));
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        answer
    }

    /// Changes the database, all or nothing. It waits for the disk: call it where that is allowed.
    pub(super) fn write<T>(&self, change: impl FnOnce(&Db<'_>) -> Result<T>) -> Result<T> {
        let mut connection = lock(&self.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = change(&Db(&transaction))?;
        transaction.commit()?;
        Ok(done)
    }

    fn reader(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        reader.busy_timeout(BUSY)?;
        reader.execute_batch("PRAGMA query_only = ON;")?;
        Ok(reader)
    }
}

/// A panic elsewhere cannot leave a connection half-changed: transactions roll back when they are dropped.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The statements, within one connection or transaction.
pub(super) struct Db<'a>(&'a Connection);

impl Db<'_> {
    pub(super) fn repositories(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let mut query = self.0.prepare_cached("SELECT name FROM repository WHERE name > ?1 ORDER BY name LIMIT ?2")?;
        let names = query.query_map(params![after, capped(limit)], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    pub(super) fn repository(&self, name: &str) -> Result<Option<i64>> {
        let mut query = self.0.prepare_cached("SELECT id FROM repository WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0)).optional()?)
    }

    /// The repository's number, made if there is none.
    pub(super) fn repository_made(&self, name: &str) -> Result<i64> {
        if let Some(id) = self.repository(name)? {
            return Ok(id);
        }
        self.0.prepare_cached("INSERT INTO repository (name) VALUES (?1)")?.execute([name])?;
        Ok(self.0.last_insert_rowid())
    }

    /// Size of the blob, if the repository has it.
    pub(super) fn blob(&self, repository: &str, digest: &Digest) -> Result<Option<u64>> {
        let mut query = self.0.prepare_cached(
            "SELECT blob.size FROM repository JOIN held ON held.repository = repository.id
             JOIN blob ON blob.digest = held.digest WHERE repository.name = ?1 AND held.digest = ?2",
        )?;
        let size = query.query_row(params![repository, digest.to_string()], |row| row.get::<_, i64>(0)).optional()?;
        Ok(size.map(i64::cast_unsigned))
    }

    /// Size of the blob, in whatever repository it is.
    pub(super) fn blob_anywhere(&self, digest: &Digest) -> Result<Option<u64>> {
        let mut query = self.0.prepare_cached("SELECT size FROM blob WHERE digest = ?1")?;
        let size = query.query_row([digest.to_string()], |row| row.get::<_, i64>(0)).optional()?;
        Ok(size.map(i64::cast_unsigned))
    }

    pub(super) fn add_blob(&self, digest: &Digest, size: u64) -> Result<()> {
        let mut insert = self.0.prepare_cached("INSERT OR IGNORE INTO blob (digest, size) VALUES (?1, ?2)")?;
        insert.execute(params![digest.to_string(), size.cast_signed()])?;
        Ok(())
    }

    pub(super) fn hold(&self, repository: &str, digest: &Digest) -> Result<()> {
        let repository = self.repository_made(repository)?;
        let mut insert = self.0.prepare_cached("INSERT OR IGNORE INTO held (repository, digest) VALUES (?1, ?2)")?;
        insert.execute(params![repository, digest.to_string()])?;
        Ok(())
    }

    /// Whether the repository had the blob.
    pub(super) fn let_go(&self, repository: &str, digest: &Digest) -> Result<bool> {
        let mut delete = self.0.prepare_cached(
            "DELETE FROM held WHERE repository = (SELECT id FROM repository WHERE name = ?1) AND digest = ?2",
        )?;
        Ok(delete.execute(params![repository, digest.to_string()])? > 0)
    }

    /// Which manifest the name is, if any.
    pub(super) fn named(&self, repository: &str, name: &Name) -> Result<Option<String>> {
        let mut query = match name {
            Name::Tag(_) => self.0.prepare_cached(
                "SELECT tag.digest FROM repository JOIN tag ON tag.repository = repository.id
                 WHERE repository.name = ?1 AND tag.name = ?2",
            )?,
            Name::Digest(_) => self.0.prepare_cached(
                "SELECT manifest.digest FROM repository JOIN manifest ON manifest.repository = repository.id
                 WHERE repository.name = ?1 AND manifest.digest = ?2",
            )?,
        };
        Ok(query.query_row(params![repository, name.to_string()], |row| row.get(0)).optional()?)
    }

    pub(super) fn document(&self, repository: &str, name: &Name) -> Result<Option<RawManifest>> {
        let Some(digest) = self.named(repository, name)? else { return Ok(None) };
        let mut query = self.0.prepare_cached(
            "SELECT manifest.media_type, document.bytes FROM repository
             JOIN manifest ON manifest.repository = repository.id JOIN document ON document.digest = manifest.digest
             WHERE repository.name = ?1 AND manifest.digest = ?2",
        )?;
        let found = query
            .query_row(params![repository, digest], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        let Some((media_type, bytes)) = found else { return Ok(None) };
        let digest: Digest = digest.parse().map_err(|_| unreadable(0))?;
        if Digest::of(digest.algorithm(), &bytes) != digest {
            return Err(StoreError::Damaged { digest });
        }
        Ok(Some(RawManifest { digest, media_type, bytes: bytes.into() }))
    }

    pub(super) fn add_manifest(
        &self,
        repository: &str,
        descriptor: &Descriptor,
        subject: Option<&Digest>,
        bytes: &[u8],
    ) -> Result<()> {
        let repository = self.repository_made(repository)?;
        let digest = descriptor.digest.to_string();
        self.0
            .prepare_cached("INSERT OR IGNORE INTO document (digest, bytes) VALUES (?1, ?2)")?
            .execute(params![digest, bytes])?;
        let text = serde_json::to_string(descriptor).map_err(|_| unreadable(4))?;
        self.0.prepare_cached("INSERT OR REPLACE INTO manifest VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
            repository,
            digest,
            descriptor.media_type,
            subject.map(Digest::to_string),
            text
        ])?;
        Ok(())
    }

    pub(super) fn set_tag(&self, repository: &str, tag: &Tag, digest: &Digest) -> Result<()> {
        let repository = self.repository_made(repository)?;
        self.0.prepare_cached("INSERT OR REPLACE INTO tag VALUES (?1, ?2, ?3)")?.execute(params![
            repository,
            tag.as_str(),
            digest.to_string()
        ])?;
        Ok(())
    }

    /// Whether there was such a tag, or such a manifest, which takes its tags along.
    pub(super) fn delete(&self, repository: &str, name: &Name) -> Result<bool> {
        let Some(id) = self.repository(repository)? else { return Ok(false) };
        let name_text = name.to_string();
        if matches!(name, Name::Tag(_)) {
            let mut delete = self.0.prepare_cached("DELETE FROM tag WHERE repository = ?1 AND name = ?2")?;
            return Ok(delete.execute(params![id, name_text])? > 0);
        }
        let deleted = self
            .0
            .prepare_cached("DELETE FROM manifest WHERE repository = ?1 AND digest = ?2")?
            .execute(params![id, name_text])?;
        self.0
            .prepare_cached("DELETE FROM tag WHERE repository = ?1 AND digest = ?2")?
            .execute(params![id, name_text])?;
        self.0
            .prepare_cached(
                "DELETE FROM document WHERE digest = ?1
                 AND NOT EXISTS (SELECT 1 FROM manifest WHERE manifest.digest = ?1)",
            )?
            .execute([name_text])?;
        Ok(deleted > 0)
    }

    /// Tags in ASCII order (SQLite's own order of text is that of its bytes).
    pub(super) fn tags(&self, repository: i64, after: &str, limit: usize) -> Result<Vec<String>> {
        let mut query =
            self.0.prepare_cached("SELECT name FROM tag WHERE repository = ?1 AND name > ?2 ORDER BY name LIMIT ?3")?;
        let names = query.query_map(params![repository, after, capped(limit)], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Descriptors of what is attached to `subject`, by digest.
    pub(super) fn referrers(&self, repository: &str, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut query = self.0.prepare_cached(
            "SELECT manifest.descriptor FROM repository JOIN manifest ON manifest.repository = repository.id
             WHERE repository.name = ?1 AND manifest.subject = ?2 ORDER BY manifest.digest",
        )?;
        let found = query.query_map(params![repository, subject.to_string()], descriptor)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Runs a statement that has no parameters and returns how many rows it changed; used by garbage collection.
    pub(super) fn sweep(&self, statement: &str) -> Result<usize> {
        Ok(self.0.execute(statement, [])?)
    }

    /// Calls `each` with every blob's digest and size.
    pub(super) fn each_blob(&self, mut each: impl FnMut(Digest, u64)) -> Result<()> {
        let mut query = self.0.prepare_cached("SELECT digest, size FROM blob")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(0)?;
            each(text.parse().map_err(|_| unreadable(0))?, row.get::<_, i64>(1)?.cast_unsigned());
        }
        Ok(())
    }

    /// Calls `each` with the number of every repository and the bytes and media type of each of its manifests.
    pub(super) fn each_manifest(&self, mut each: impl FnMut(i64, &str, Vec<u8>) -> Result<()>) -> Result<()> {
        let mut query = self.0.prepare_cached(
            "SELECT manifest.repository, manifest.media_type, document.bytes FROM manifest
             JOIN document ON document.digest = manifest.digest",
        )?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?)?;
        }
        Ok(())
    }

    /// Notes, for [`Db::sweep`], that a manifest of the repository names `digest`.
    pub(super) fn mark(&self, repository: i64, digest: &Digest) -> Result<()> {
        let mut insert = self.0.prepare_cached("INSERT OR IGNORE INTO temp.marked VALUES (?1, ?2)")?;
        insert.execute(params![repository, digest.to_string()])?;
        Ok(())
    }
}

fn descriptor(row: &Row<'_>) -> rusqlite::Result<Descriptor> {
    let text: String = row.get(0)?;
    serde_json::from_str(&text).map_err(|_| unreadable(0))
}

fn unreadable(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "text".to_owned(), rusqlite::types::Type::Text)
}

/// SQLite counts in signed numbers.
fn capped(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
