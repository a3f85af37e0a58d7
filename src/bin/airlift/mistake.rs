//! What goes wrong in the command line itself, before or beside the library.

use std::{io, path::PathBuf};

use airlift::{
    content::{Code, Fault},
    oci::reference::ParseReferenceError,
};

/// A failure of the command line's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mistake {
    /// An artifact on the command line cannot be read.
    #[error("an artifact that was asked for has no valid name")]
    Reference { source: ParseReferenceError },
    /// The lists that were given are empty.
    #[error("no artifact was asked for")]
    NoArtifacts,
    /// More artifacts than one run takes.
    #[error("{count} artifacts were asked for, and one run takes {limit}")]
    TooManyArtifacts { count: usize, limit: usize },
    /// `--client-cert` and `--client-key` belong together.
    #[error("--client-cert and --client-key belong together, and only one was given")]
    HalfIdentity,
    /// Volumes, and what recovery data is made of, are files here.
    #[error("{place} is no local path, and this needs one")]
    NotLocal { place: airlift::storage::Location },
    /// Volumes are files side by side.
    #[error("--volume-size makes several files, and standard output is one")]
    VolumesInOrder,
    /// A layout is many files, and a copy is of one.
    #[error("{} is the folder of an image layout, and no bundle", path.display())]
    Layout { path: PathBuf },
    /// What was begun here lies beside its final name.
    #[error("{place} is no storage, and parts are left in storages only")]
    NoStorage { place: airlift::storage::Location },
    /// Recovery data is made of files here.
    #[error("--recovery makes recovery data of a file on this machine, and the output is none")]
    RecoveryElsewhere,
    /// Volumes come through one place.
    #[error("--volume-prompt takes one place that volumes are at, such as the folder of a drive")]
    OneDrive,
    /// There is nobody to ask.
    #[error("there is no terminal to ask for a name and a password on")]
    NoTerminal,
    /// A name or a password of no characters.
    #[error("a name and a password are needed, and one of them is empty")]
    NoAnswer,
    /// Bundles were verified, and not all are sound; their findings are told.
    #[error("{bad} of {all} bundles did not verify")]
    Unsound { bad: usize, all: usize, code: Code },
    /// Artifacts failed, and the run went on without them.
    #[error("{failed} of {all} artifacts failed; the others are done")]
    Partial { failed: usize, all: usize },
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
    /// An answer cannot be written as YAML.
    #[error("the answer cannot be written as YAML: {reason}")]
    Yaml { reason: String },
    /// The `--log` filter cannot be read.
    #[error("--log {text:?} is no level and no list of filters")]
    Log { text: String, source: tracing_subscriber::filter::ParseError },
    /// The machine gives no threads or no event loop.
    #[error("the runtime cannot be started")]
    Runtime { source: io::Error },
    /// A station of the demo did not come out as it must.
    #[error("the demo failed: {what}")]
    Demo { what: String },
    /// A signal stopped the run.
    #[error("stopped by {signal}")]
    Interrupted { signal: &'static str },
}

impl Mistake {
    /// The next step, where it is more exact than the token's own.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoArtifacts => "Name artifacts, or lists of them with `-f FILE`.",
            Self::TooManyArtifacts { count, .. } => {
                return Some(format!(
                    "Raise the limit with `--max-artifacts {count}`, or split the list over several runs."
                ));
            }
            Self::HalfIdentity => "Give both: `--client-cert FILE --client-key FILE`.",
            Self::NotLocal { .. } => "Give a path on this machine; `airlift copy` brings what lies elsewhere.",
            Self::VolumesInOrder => "Give a folder with `-o`, here or in a storage.",
            Self::Layout { path } => {
                let folder = path.display();
                return Some(format!(
                    "Make a bundle of it: `airlift serve {folder}`, and meanwhile `airlift export \
                     127.0.0.1:5000/REPOSITORY:TAG -o BUNDLE`; or pack it as it is: `tar -C {folder} -cf ARCHIVE.tar .`, \
                     which all commands read."
                ));
            }
            Self::NoStorage { .. } => {
                "On this machine, remove NAME.partial and its journal, and `.NAME.airlift-…`, which copies make."
            }
            Self::RecoveryElsewhere => {
                "Export to a file or a folder here with --recovery, then `airlift copy` the bundle with its recovery files."
            }
            Self::Log { .. } => "Give a level, such as `--log debug`, or filters: `--log airlift=debug,hyper=info`.",
            Self::NoTerminal | Self::NoAnswer => "Give `-u USER --password-stdin`, and the password on standard input.",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl Fault for Mistake {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } => Code::UsageFile,
            Self::Write { .. } | Self::Stdout { .. } => Code::IoWrite,
            Self::Reference { .. } => Code::UsageReference,
            Self::TooManyArtifacts { .. } => Code::UsageTooManyArtifacts,
            Self::Log { .. }
            | Self::NoArtifacts
            | Self::HalfIdentity
            | Self::NotLocal { .. }
            | Self::VolumesInOrder
            | Self::NoStorage { .. }
            | Self::Layout { .. }
            | Self::RecoveryElsewhere
            | Self::NoTerminal
            | Self::OneDrive
            | Self::NoAnswer => Code::UsageArgument,
            Self::Unsound { code, .. } => *code,
            Self::Partial { .. } => Code::TransferPartial,
            Self::Runtime { .. } | Self::Json { .. } | Self::Yaml { .. } | Self::Demo { .. } => Code::Internal,
            Self::Interrupted { .. } => Code::Interrupted,
        }
    }
}
