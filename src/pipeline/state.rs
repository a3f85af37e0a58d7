//! Where pipelines and runs are kept: one SQLite database in a folder, that any number of processes may have open.
//!
//! A row of a run is written before the run does anything, and again as it goes on. That a run is under way is not believed
//! because a row says so, but because its lock is held (`lock.rs`): a run whose process is gone shows as interrupted.

mod runs;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
pub use runs::{Begun, Pruned, Record, Retention};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{
    error::{Error, Result},
    resource::{self, ExportPipeline, ImportPipeline, Kind, Resource, ResourceId},
};
use crate::files::{lock, open, private};

/// `user_version` of the database.
const VERSION: i64 = 1;

/// How long one process waits for the transaction of another one; they last milliseconds.
const BUSY: Duration = Duration::from_secs(30);

/// Documents are kept as JSON text, so that `sqlite3` shows a person what they are looking for.
const FORMAT: &str = "
CREATE TABLE pipeline (
    kind TEXT NOT NULL, registry TEXT NOT NULL, name TEXT NOT NULL,
    document TEXT NOT NULL, created TEXT NOT NULL, changed TEXT NOT NULL,
    PRIMARY KEY (kind, registry, name)) WITHOUT ROWID;
CREATE TABLE run (
    number INTEGER PRIMARY KEY AUTOINCREMENT, registry TEXT NOT NULL, name TEXT NOT NULL,
    pipeline TEXT NOT NULL, blob TEXT NOT NULL, document TEXT NOT NULL,
    status TEXT NOT NULL, response TEXT NOT NULL, process INTEGER NOT NULL, host TEXT NOT NULL, since TEXT NOT NULL);
CREATE INDEX run_by_name ON run (registry, name, number);
CREATE INDEX run_by_blob ON run (pipeline, blob) WHERE status = 'Running';
";

/// The open state. Cloning it is cheap; all clones are one.
#[derive(Clone, Debug)]
pub struct PipelineState(Arc<OpenState>);

#[derive(Debug)]
struct OpenState {
    dir: PathBuf,
    database: Mutex<Connection>,
}

/// What [`PipelineState::put`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// There was none of that name.
    Created,
    /// There was another one.
    Updated,
    /// There was the same one.
    Unchanged,
}

impl PipelineState {
    /// The default folder: `$XDG_STATE_HOME/airlift`, or `~/.local/state/airlift`.
    ///
    /// # Errors
    /// [`crate::files::Error::NoHome`]. There is no fallback to a shared folder: a stranger could put pipelines there, and with them
    /// commands that print secrets.
    pub fn default_dir() -> Result<PathBuf> {
        Ok(private::state_folder()?)
    }

    /// Opens the state in `dir`, or makes an empty one there.
    ///
    /// # Errors
    /// The folder or the database cannot be used, or is of a later airlift.
    pub fn open(dir: &Path) -> Result<Self> {
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Folder { path, source }
        };
        private::create(dir)?;
        let (lock_path, path) = (dir.join("pipelines.lock"), dir.join("pipelines.db"));
        let file = open::own(&lock_path, open::Access::Private)?;
        // SQLite creates its files with the permissions of the database.
        drop(open::own(&path, open::Access::Private)?);
        // Two processes that make the database at once would get into each other's way.
        lock::wait(&file, &lock_path).map_err(error(&lock_path))?;
        let mut database = Connection::open(&path)?;
        database.busy_timeout(BUSY)?;
        database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match transaction.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            VERSION => {}
            0 => transaction.execute_batch(&format!("{FORMAT} PRAGMA user_version = {VERSION};"))?,
            found => return Err(Error::Version { path, found, known: VERSION }),
        }
        transaction.commit()?;
        Ok(Self(Arc::new(OpenState { dir: dir.to_owned(), database: Mutex::new(database) })))
    }

    /// The folder it is in.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Where the locks of runs lie.
    fn locks(&self) -> PathBuf {
        self.0.dir.join("locks")
    }

    /// Asks the database.
    pub(super) fn read<T>(&self, ask: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        // A panic elsewhere cannot leave a connection half-changed: transactions roll back when they are dropped.
        ask(&self.0.database.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the database, all or nothing; it is on the disk when this returns.
    pub(super) fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut database = self.0.database.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = change(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Keeps a pipeline under its name, in the place of one of that name.
    ///
    /// # Errors
    /// The state cannot be written; nothing is changed then.
    pub fn put(&self, resource: &Resource) -> Result<Put> {
        Ok(self.put_all(std::slice::from_ref(resource))?.pop().unwrap_or(Put::Unchanged))
    }

    /// Keeps several pipelines, all or none of them. Runs are not kept by this, but by running them.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn put_all(&self, resources: &[Resource]) -> Result<Vec<Put>> {
        let now = Timestamp::now().to_string();
        self.write(|db| {
            let mut done = Vec::new();
            for resource in resources.iter().filter(|resource| resource.kind() != Kind::PipelineRun) {
                let (id, document) = (resource.id(), resource.document().to_string());
                let before = document_of(db, &id)?;
                db.prepare_cached(
                    "INSERT INTO pipeline (kind, registry, name, document, created, changed)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (kind, registry, name)
                     DO UPDATE SET document = excluded.document, changed = excluded.changed",
                )?
                .execute(params![id.kind.word(), id.registry, id.name, document, now])?;
                done.push(match before {
                    None => Put::Created,
                    Some(before) if before == document => Put::Unchanged,
                    Some(_) => Put::Updated,
                });
            }
            Ok(done)
        })
    }

    /// The pipeline of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the state cannot be read.
    pub fn get(&self, id: &ResourceId) -> Result<Resource> {
        let document = self.read(|db| document_of(db, id))?.ok_or_else(|| Error::NotFound { id: id.clone() })?;
        parsed(&document, id)
    }

    /// The pipelines of a kind, of one registry or of all, by registry and name.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn list(&self, kind: Kind, registry: Option<&str>) -> Result<Vec<Resource>> {
        let rows = self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT registry, name, document FROM pipeline WHERE kind = ?1 AND (?2 IS NULL OR registry = ?2)
                 ORDER BY registry, name",
            )?;
            let rows = query.query_map(params![kind.word(), registry], |row| {
                Ok((ResourceId { kind, registry: row.get(0)?, name: row.get(1)? }, row.get::<_, String>(2)?))
            })?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        rows.iter().map(|(id, document)| parsed(document, id)).collect()
    }

    /// All export pipelines, of one registry or of all.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn export_pipelines(&self, registry: Option<&str>) -> Result<Vec<ExportPipeline>> {
        let all = self.list(Kind::ExportPipeline, registry)?;
        Ok(all.into_iter().filter_map(|one| if let Resource::Export(one) = one { Some(one) } else { None }).collect())
    }

    /// All import pipelines, of one registry or of all.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn import_pipelines(&self, registry: Option<&str>) -> Result<Vec<ImportPipeline>> {
        let all = self.list(Kind::ImportPipeline, registry)?;
        Ok(all.into_iter().filter_map(|one| if let Resource::Import(one) = one { Some(one) } else { None }).collect())
    }

    /// Removes the pipeline of that id. Its runs stay in the history.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the state cannot be written.
    pub fn delete(&self, id: &ResourceId) -> Result<()> {
        let gone = self.write(|db| {
            let mut delete =
                db.prepare_cached("DELETE FROM pipeline WHERE kind = ?1 AND registry = ?2 AND name = ?3")?;
            Ok(delete.execute(params![id.kind.word(), id.registry, id.name])?)
        })?;
        if gone == 0 { Err(Error::NotFound { id: id.clone() }) } else { Ok(()) }
    }
}

fn document_of(db: &Connection, id: &ResourceId) -> Result<Option<String>> {
    let mut query =
        db.prepare_cached("SELECT document FROM pipeline WHERE kind = ?1 AND registry = ?2 AND name = ?3")?;
    Ok(query.query_row(params![id.kind.word(), id.registry, id.name], |row| row.get(0)).optional()?)
}

/// A resource as it was kept.
fn parsed(document: &str, id: &ResourceId) -> Result<Resource> {
    let damaged = |reason: String| Error::Damaged { what: format!("the {} {}", id.kind.noun(), id.name), reason };
    let value = serde_json::from_str(document).map_err(|error| damaged(error.to_string()))?;
    resource::read(&value, Some(id.kind))
        .map_err(|problems| damaged(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    };

    use super::*;
    use crate::files;

    #[test]
    fn a_state_that_other_users_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        PipelineState::open(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("pipelines.db"))), (0o700, 0o600));
        for shared in [0o777, 0o770] {
            fs::set_permissions(&dir, fs::Permissions::from_mode(shared)).unwrap();
            assert!(matches!(PipelineState::open(&dir), Err(Error::File(files::Error::Exposed { .. }))), "{shared:o}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_the_state_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        for name in ["pipelines.lock", "pipelines.db"] {
            let dir = folder.path().join(name);
            fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
            std::os::unix::fs::symlink(&victim, dir.join(name)).unwrap();
            assert!(matches!(PipelineState::open(&dir), Err(Error::File(files::Error::Foreign { .. }))), "{name}");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
    }
}
