//! What goes wrong in the command line itself, before or beside the library.

use std::{io, path::PathBuf};

use airlift::content::{Code, Fault};

/// A failure of the command line's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mistake {
    /// A file of the person's cannot be read.
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file or folder cannot be written.
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Standard output cannot be written.
    #[error("standard output cannot be written")]
    Stdout { source: io::Error },
    /// An answer cannot be written as JSON.
    #[error("the answer cannot be written as JSON")]
    Json { source: serde_json::Error },
    /// The `--log` filter cannot be read.
    #[error("--log {text:?} is no level and no list of filters")]
    Log { text: String, source: tracing_subscriber::filter::ParseError },
    /// The machine gives no threads or no event loop.
    #[error("the runtime cannot be started")]
    Runtime { source: io::Error },
    /// A signal stopped the run.
    #[error("stopped by {signal}")]
    Interrupted { signal: &'static str },
}

impl Fault for Mistake {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } => Code::UsageFile,
            Self::Write { .. } | Self::Stdout { .. } => Code::IoWrite,
            Self::Log { .. } => Code::UsageArgument,
            Self::Runtime { .. } | Self::Json { .. } => Code::Internal,
            Self::Interrupted { .. } => Code::Interrupted,
        }
    }
}
