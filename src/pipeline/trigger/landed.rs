//! What is known of the bundles in a source: which were imported, which failed, and when they are tried again.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::params;

use crate::pipeline::{
    context::blocking,
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
";

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
        blocking(move || {
            state.write(|db| Ok(db.execute_batch(FORMAT)?))?;
            Ok(Self { state, pipeline })
        })
        .await
    }

    pub(super) async fn all(&self) -> Result<HashMap<String, SeenBundle>> {
        let this = self.clone();
        blocking(move || {
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
        blocking(move || {
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

    /// What is gone from the source may land there again.
    pub(super) async fn forget(&self, blobs: Vec<String>) -> Result<()> {
        let this = self.clone();
        blocking(move || {
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
