//! The rows of runs: begun, resumed, ended, shown and removed. A name may have many, of which the last is the run.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{PipelineState, parsed};
use crate::pipeline::{
    error::{Error, Holder, Result},
    lock::{self, Lock},
    resource::{Kind, PipelineRun, Resource, ResourceId},
    response::{Response, Status},
};

/// A run as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its place in the history; a run that was done again has another.
    pub number: i64,
    /// What was asked for.
    pub run: PipelineRun,
    /// What became of it.
    pub response: Response,
    /// Whose it is or was.
    pub holder: Holder,
}

impl Record {
    /// The resource with its response.
    pub fn document(&self) -> serde_json::Value {
        let mut document = self.run.document();
        document["properties"]["response"] = serde_json::to_value(&self.response).unwrap_or_default();
        document
    }
}

/// How a run may begin.
#[derive(Debug)]
pub enum Begun {
    /// It was done already, and the same is asked for again.
    Stored(Box<Record>),
    /// It begins, or goes on where its process was killed.
    New(Box<Active>),
}

/// A run of this process.
#[derive(Debug)]
pub struct Active {
    /// As it is kept.
    pub record: Record,
    _lock: Lock,
}

/// Which runs [`PipelineState::prune`] keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// So many of the last ones of each pipeline.
    pub newest: Option<u64>,
    /// Those that ended after this.
    pub after: Option<Timestamp>,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Pruned {
    /// The names of the runs, oldest first.
    pub runs: Vec<String>,
}

const COLUMNS: &str = "number, registry, name, document, response, process, host, since, pipeline, blob";

impl PipelineState {
    /// Begins `run`: takes its lock, then writes its row. An identical run that has ended is not begun again.
    ///
    /// `response` is what is known of it before it begins.
    ///
    /// # Errors
    /// [`Error::Busy`] where another run works on the same bundle of the same pipeline; or the state cannot be written.
    pub fn begin(&self, run: &PipelineRun, response: Response) -> Result<Begun> {
        if let Some(record) = self.stored(run)? {
            return Ok(Begun::Stored(Box::new(record)));
        }
        let (pipeline, blob) = (&run.request.pipeline, &run.request.blob);
        let Some(lock) = Lock::take(&self.locks(), pipeline, blob)? else {
            let holder = self.read(|db| holder(db, pipeline, blob))?;
            let holder = holder.map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            return Err(Error::Busy { pipeline: pipeline.clone(), blob: blob.clone(), holder });
        };
        // The holder of the lock before us may just have done the same.
        if let Some(record) = self.stored(run)? {
            return Ok(Begun::Stored(Box::new(record)));
        }
        let holder =
            Holder { run: run.name.clone(), process: std::process::id(), host: lock::host(), since: Timestamp::now() };
        let record = self.write(|db| {
            let mut last = latest(db, &run.registry, &run.name)?.filter(|last| last.run == *run);
            interrupt_all(db, pipeline, blob)?;
            if let Some(last) = &mut last {
                last.response = last.response.clone().gone_on_with(response);
                last.holder = holder;
                update(db, last)?;
                return Ok(last.clone());
            }
            let mut record = Record { number: 0, run: run.clone(), response, holder };
            insert(db, &mut record)?;
            Ok(record)
        })?;
        Ok(Begun::New(Box::new(Active { record, _lock: lock })))
    }

    /// The last run of that name, if it has ended and was asked for in the same words.
    fn stored(&self, run: &PipelineRun) -> Result<Option<Record>> {
        let last = self.read(|db| latest(db, &run.registry, &run.name))?;
        Ok(last.filter(|last| last.run == *run && last.response.status.is_final()))
    }

    /// Writes what became of a run so far.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn note(&self, record: &Record) -> Result<()> {
        self.write(|db| update(db, record))
    }

    /// The last run of that name, as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the state cannot be read.
    pub fn run(&self, registry: &str, name: &str) -> Result<Record> {
        let id = || ResourceId { kind: Kind::PipelineRun, registry: registry.to_owned(), name: name.to_owned() };
        let record = self.read(|db| latest(db, registry, name))?.ok_or_else(|| Error::NotFound { id: id() })?;
        self.as_it_is(record)
    }

    /// The runs of one registry or of all, the newest first; without `history` only the last of each name.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn runs(&self, registry: Option<&str>, history: bool) -> Result<Vec<Record>> {
        let records = self.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM run WHERE (?1 IS NULL OR registry = ?1) AND (?2 OR number IN
                 (SELECT max(number) FROM run GROUP BY registry, name)) ORDER BY number DESC"
            ))?;
            let rows = query.query_and_then(params![registry, history], record)?;
            rows.collect::<Result<Vec<_>>>()
        })?;
        records.into_iter().map(|record| self.as_it_is(record)).collect()
    }

    /// The runs of a pipeline whose process was killed after the target had confirmed everything, and before they could
    /// say that they were done.
    ///
    /// # Errors
    /// The state cannot be read.
    pub(in crate::pipeline) fn confirmed_and_interrupted(&self, pipeline: &ResourceId) -> Result<Vec<Record>> {
        let records = self.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM run WHERE pipeline = ?1 AND status IN ('Running', 'Interrupted') AND number IN
                 (SELECT max(number) FROM run GROUP BY registry, name) ORDER BY number"
            ))?;
            let rows = query.query_and_then([pipeline.to_string()], record)?;
            rows.collect::<Result<Vec<_>>>()
        })?;
        let confirmed = records.into_iter().filter(|record| record.response.confirmed);
        let mut found = confirmed.map(|record| self.as_it_is(record)).collect::<Result<Vec<_>>>()?;
        found.retain(|record| record.response.status == Status::Interrupted);
        Ok(found)
    }

    /// A run that is said to be under way and has no process is interrupted.
    fn as_it_is(&self, mut record: Record) -> Result<Record> {
        let request = &record.run.request;
        if record.response.status == Status::Running && !Lock::is_held(&self.locks(), &request.pipeline, &request.blob)?
        {
            // It may have ended between the two looks.
            let again = self.read(|db| {
                let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE number = ?1"))?;
                let mut rows = query.query_and_then([record.number], self::record)?;
                rows.next().transpose()
            })?;
            record = again.unwrap_or(record);
            if record.response.status == Status::Running {
                record.response.status = Status::Interrupted;
            }
        }
        Ok(record)
    }

    /// Removes a run, with all its history.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Running`] where it is under way; or the state cannot be written.
    pub fn delete_run(&self, registry: &str, name: &str) -> Result<()> {
        let record = self.run(registry, name)?;
        if record.response.status == Status::Running {
            return Err(Error::Running { holder: record.holder.to_string() });
        }
        self.write(|db| {
            db.prepare_cached("DELETE FROM run WHERE registry = ?1 AND name = ?2")?.execute([registry, name])?;
            Ok(())
        })
    }

    /// Removes the runs that failed, of one registry or of all.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn clean(&self, registry: Option<&str>, dry_run: bool) -> Result<Pruned> {
        let failed = |record: &Record| record.response.status == Status::Failed;
        self.remove(registry, dry_run, |_, record| failed(record))
    }

    /// Removes runs from the history that have ended, or were interrupted and then done again.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn prune(&self, registry: Option<&str>, keep: Retention, dry_run: bool) -> Result<Pruned> {
        self.remove(registry, dry_run, |newer, record| {
            let kept = keep.newest.is_some_and(|newest| newer < newest);
            let ended = record.response.finish_time.unwrap_or(record.holder.since);
            let recent = keep.after.is_some_and(|after| ended > after);
            record.response.status.is_final() && !kept && !recent
        })
    }

    /// `goes` gets the number of newer runs of the pipeline.
    fn remove(&self, registry: Option<&str>, dry_run: bool, goes: impl Fn(u64, &Record) -> bool) -> Result<Pruned> {
        let mut newer = std::collections::HashMap::<ResourceId, u64>::new();
        let mut gone: Vec<Record> = Vec::new();
        for record in self.runs(registry, true)? {
            let count = newer.entry(record.run.request.pipeline.clone()).or_default();
            if goes(*count, &record) {
                gone.push(record);
            }
            *count += 1;
        }
        gone.reverse();
        if !dry_run {
            self.write(|db| {
                let mut delete = db.prepare_cached("DELETE FROM run WHERE number = ?1")?;
                for record in &gone {
                    delete.execute([record.number])?;
                }
                Ok(())
            })?;
        }
        Ok(Pruned { runs: gone.into_iter().map(|record| record.run.name).collect() })
    }
}

fn latest(db: &Connection, registry: &str, name: &str) -> Result<Option<Record>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM run WHERE registry = ?1 AND name = ?2 ORDER BY number DESC LIMIT 1"
    ))?;
    let mut rows = query.query_and_then([registry, name], record)?;
    rows.next().transpose()
}

/// Runs of a bundle whose lock we hold cannot be under way, whatever their rows say.
fn interrupt_all(db: &Connection, pipeline: &ResourceId, blob: &str) -> Result<()> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM run WHERE pipeline = ?1 AND blob = ?2 AND status = 'Running'"
    ))?;
    let rows = query.query_and_then([pipeline.to_string().as_str(), blob], record)?;
    for mut stale in rows.collect::<Result<Vec<_>>>()? {
        stale.response.status = Status::Interrupted;
        update(db, &stale)?;
    }
    Ok(())
}

fn holder(db: &Connection, pipeline: &ResourceId, blob: &str) -> Result<Option<Holder>> {
    let mut query = db.prepare_cached(
        "SELECT name, process, host, since FROM run WHERE pipeline = ?1 AND blob = ?2 AND status = 'Running'
         ORDER BY number DESC LIMIT 1",
    )?;
    let row = query.query_row([pipeline.to_string().as_str(), blob], |row| {
        Ok(Holder { run: row.get(0)?, process: row.get(1)?, host: row.get(2)?, since: time(row, 3)? })
    });
    Ok(row.optional()?)
}

fn insert(db: &Connection, record: &mut Record) -> Result<()> {
    let Record { run, response, holder, .. } = &*record;
    db.prepare_cached(
        "INSERT INTO run (registry, name, pipeline, blob, document, status, response, process, host, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        run.registry,
        run.name,
        run.request.pipeline.to_string(),
        run.request.blob,
        run.document().to_string(),
        response.status.word(),
        serialized(response)?,
        holder.process,
        holder.host,
        holder.since.to_string(),
    ])?;
    record.number = db.last_insert_rowid();
    Ok(())
}

fn update(db: &Connection, record: &Record) -> Result<()> {
    let Record { number, response, holder, .. } = record;
    db.prepare_cached(
        "UPDATE run SET status = ?2, response = ?3, process = ?4, host = ?5, since = ?6 WHERE number = ?1",
    )?
    .execute(params![
        number,
        response.status.word(),
        serialized(response)?,
        holder.process,
        holder.host,
        holder.since.to_string(),
    ])?;
    Ok(())
}

fn serialized(response: &Response) -> Result<String> {
    let damaged = |error: serde_json::Error| Error::Damaged { what: "a run".to_owned(), reason: error.to_string() };
    serde_json::to_string(response).map_err(damaged)
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    let text: String = row.get(at)?;
    text.parse().map_err(|error: jiff::Error| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn record(row: &Row<'_>) -> Result<Record> {
    let id = ResourceId { kind: Kind::PipelineRun, registry: row.get(1)?, name: row.get(2)? };
    let damaged = |reason: String| Error::Damaged { what: format!("the run {}", id.name), reason };
    let Resource::Run(run) = parsed(&row.get::<_, String>(3)?, &id)? else {
        return Err(damaged("it is not a run".to_owned()));
    };
    let response = serde_json::from_str(&row.get::<_, String>(4)?).map_err(|error| damaged(error.to_string()))?;
    let holder = Holder { run: run.name.clone(), process: row.get(5)?, host: row.get(6)?, since: time(row, 7)? };
    Ok(Record { number: row.get(0)?, run, response, holder })
}
