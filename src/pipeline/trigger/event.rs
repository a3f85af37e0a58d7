//! The events of a watch, for people and for `--json`.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::pipeline::{resource::ResourceId, response::Status};

/// An event of a watch. It contains no secrets.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
#[non_exhaustive]
pub enum WatchEvent<'a> {
    /// A pipeline is watched from now on.
    Watching {
        /// Which.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
    },
    /// A run has begun.
    Began {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// The bundle's name in the source.
        blob: &'a str,
        /// The run's name.
        run: &'a str,
    },
    /// A run has ended.
    Ended {
        /// The bundle's name in the source.
        blob: &'a str,
        /// How.
        status: Status,
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// The run's name.
        run: &'a str,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
        /// When it is tried again.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Timestamp>,
    },
    /// A file is not whole yet.
    Waiting {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// Its name.
        blob: &'a str,
        /// What it lacks.
        why: &'a str,
    },
    /// A file is not a bundle.
    Ignored {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// Its name.
        blob: &'a str,
    },
    /// Something cannot be looked at; it is tried again.
    Trouble {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
        /// At which file, if it is not the whole source.
        #[serde(skip_serializing_if = "Option::is_none")]
        blob: Option<&'a str>,
        /// The token, see docs/errors.md.
        token: &'static str,
        /// What happened, with its causes.
        reason: &'a str,
    },
    /// The source can be looked at again.
    Recovered {
        /// Whose.
        #[serde(serialize_with = "display")]
        pipeline: &'a ResourceId,
    },
}

fn display<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
