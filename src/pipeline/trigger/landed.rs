//! What is known of the bundles in a source: which were imported, which failed, and when they are tried again.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::params;

use crate::files::blocking::off_reactor;
use crate::pipeline::{
    error::{Error, Result},
    resource::ResourceId,
    state::PipelineState,
};

/// One row for each name in a source: the content that lies there now, and what became of it.
const FORMAT: &str = "
CREATE TABLE IF NOT EXISTS landed (
    pipeline TEXT NOT NULL, blob TEXT NOT NULL, version TEXT NOT NULL, content TEXT,
    done INTEGER NOT NULL, attempts INTEGER NOT NULL, next TEXT,
    PRIMARY KEY (pipeline, blob)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job (
    pipeline TEXT NOT NULL, blob TEXT NOT NULL, version TEXT NOT NULL, lost INTEGER NOT NULL,
    PRIMARY KEY (pipeline, blob)) WITHOUT ROWID;
"; // A row of `job` is a job that has begun; one that is there at the next begin was killed, or panicked.

/// What became of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenBundle {
    /// The etag of what was looked at, or what a file system has instead.
    pub(super) version: String,
    /// What fixes every byte of it, if it is sound (`source.rs`); unknown where it could not be opened, or is damaged.
    pub(super) content: Option<String>,
    /// Whether it was imported.
    pub(super) done: bool,
    /// Runs that failed on this version.
    pub(super) attempts: u32,
    /// When it is tried again.
    pub(super) next: Option<Timestamp>,
    /// Whether it is an update that waits for another bundle; not kept.
    pub(super) waits: bool,
    /// Of a set, what stands for its files as they were looked at; not kept.
    pub(super) mark: Option<String>,
}

/// The rows of one pipeline.
#[derive(Clone, Debug)]
pub(super) struct Landed {
    state: PipelineState,
    pipeline: String,
}

impl Landed {
    pub(super) async fn open(state: PipelineState, pipeline: &ResourceId) -> Result<Self> {
        let pipeline = pipeline.to_string();
        off_reactor(move || {
            state.write(|db| Ok(db.execute_batch(FORMAT)?))?;
            Ok(Self { state, pipeline })
        })
        .await
    }

    pub(super) async fn all(&self) -> Result<HashMap<String, SeenBundle>> {
        let this = self.clone();
        off_reactor(move || {
            this.state.read(|db| {
                let mut query = db.prepare_cached(
                    "SELECT blob, version, content, done, attempts, next FROM landed WHERE pipeline = ?1",
                )?;
                let rows = query.query_map([&this.pipeline], |row| {
                    let landing = SeenBundle {
                        version: row.get(1)?,
                        content: row.get(2)?,
                        done: row.get(3)?,
                        attempts: row.get(4)?,
                        // A time that cannot be read is as good as one that has come.
                        next: row.get::<_, Option<String>>(5)?.and_then(|text| text.parse().ok()),
                        mark: None,
                        waits: false,
                    };
                    Ok((row.get(0)?, landing))
                })?;
                rows.collect::<Result<_, rusqlite::Error>>().map_err(Error::from)
            })
        })
        .await
    }

    pub(super) async fn put(&self, blob: &str, landing: &SeenBundle) -> Result<()> {
        let (this, blob, landing) = (self.clone(), blob.to_owned(), landing.clone());
        off_reactor(move || {
            this.state.write(|db| {
                db.prepare_cached(
                    "INSERT OR REPLACE INTO landed (pipeline, blob, version, content, done, attempts, next)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    this.pipeline,
                    blob,
                    landing.version,
                    landing.content,
                    landing.done,
                    landing.attempts,
                    landing.next.map(|next| next.to_string()),
                ])?;
                Ok(())
            })
        })
        .await
    }

    /// Notes that a job looks at this version of `blob` from now on. Returns how many jobs before it did, and never ended.
    pub(super) async fn begin(&self, blob: &str, version: &str) -> Result<u32> {
        let (this, blob, version) = (self.clone(), blob.to_owned(), version.to_owned());
        off_reactor(move || {
            this.state.write(|db| {
                let mut begin = db.prepare_cached(
                    "INSERT INTO job (pipeline, blob, version, lost) VALUES (?1, ?2, ?3, 0)
                     ON CONFLICT (pipeline, blob) DO UPDATE SET
                     lost = CASE WHEN version = excluded.version THEN lost + 1 ELSE 0 END, version = excluded.version
                     RETURNING lost",
                )?;
                Ok(begin.query_row([&this.pipeline, &blob, &version], |row| row.get(0))?)
            })
        })
        .await
    }

    /// Notes that the job ended, whatever came of it.
    pub(super) async fn end(&self, blob: &str) -> Result<()> {
        let (this, blob) = (self.clone(), blob.to_owned());
        off_reactor(move || {
            this.state.write(|db| {
                db.prepare_cached("DELETE FROM job WHERE pipeline = ?1 AND blob = ?2")?
                    .execute([&this.pipeline, &blob])?;
                Ok(())
            })
        })
        .await
    }

    /// What is gone from the source may land there again.
    pub(super) async fn forget(&self, blobs: Vec<String>) -> Result<()> {
        let this = self.clone();
        off_reactor(move || {
            this.state.write(|db| {
                let mut delete = db.prepare_cached("DELETE FROM landed WHERE pipeline = ?1 AND blob = ?2")?;
                for blob in &blobs {
                    delete.execute([&this.pipeline, blob])?;
                }
                Ok(())
            })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::resource::Kind;

    #[tokio::test]
    async fn a_job_that_never_ended_is_counted_for_the_same_version_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let id = ResourceId { kind: Kind::ImportPipeline, registry: "r.site".into(), name: "down".into() };
        let open = async || Landed::open(PipelineState::open(folder.path()).unwrap(), &id).await.unwrap();
        let landed = open().await;
        assert_eq!(landed.begin("a.tar", "1").await.unwrap(), 0);
        landed.end("a.tar").await.unwrap();
        for lost in 0..3 {
            // Each time another process, as after a kill.
            assert_eq!(open().await.begin("a.tar", "1").await.unwrap(), lost);
        }
        assert_eq!(landed.begin("b.tar", "1").await.unwrap(), 0, "another file");
        assert_eq!(landed.begin("a.tar", "2").await.unwrap(), 0, "another version");
        landed.end("a.tar").await.unwrap();
        assert_eq!(landed.begin("a.tar", "2").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_landed_is_known_after_a_restart_and_forgotten_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let id = |name: &str| ResourceId { kind: Kind::ImportPipeline, registry: "r.site".into(), name: name.into() };
        let failed = SeenBundle {
            version: "1".into(),
            content: Some("sha256:00".into()),
            done: false,
            attempts: 2,
            next: Some(Timestamp::from_second(1_800_000_000).unwrap()),
            mark: None,
            waits: false,
        };
        let done = SeenBundle { version: "2".into(), done: true, ..SeenBundle::default() };
        {
            let landed = Landed::open(PipelineState::open(folder.path()).unwrap(), &id("down")).await.unwrap();
            landed.put("a.tar", &done).await.unwrap();
            landed.put("a.tar", &failed).await.unwrap();
            landed.put("b.tar", &done).await.unwrap();
        }
        let state = PipelineState::open(folder.path()).unwrap();
        let landed = Landed::open(state.clone(), &id("down")).await.unwrap();
        let expected = HashMap::from([("a.tar".to_owned(), failed), ("b.tar".to_owned(), done.clone())]);
        assert_eq!(landed.all().await.unwrap(), expected);
        let other = Landed::open(state, &id("other")).await.unwrap();
        assert!(other.all().await.unwrap().is_empty(), "another pipeline's rows are its own");
        landed.forget(vec!["a.tar".into(), "absent".into()]).await.unwrap();
        assert_eq!(landed.all().await.unwrap(), HashMap::from([("b.tar".to_owned(), done)]));
    }
}
