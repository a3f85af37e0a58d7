//! Errors of the command line itself, before or beside the library.

use std::{io, path::PathBuf};

use airlift::{
    content::{Code, Fault},
    find::lists::PackageEntryError,
    oci::{Reference, reference::ParseReferenceError},
    transfer::shards::ParseShardError,
};

/// An error of the command line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mistake {
    /// The name of an artifact on the command line is invalid.
    #[error("the name of an artifact is invalid")]
    Reference { source: ParseReferenceError },
    /// What an artifact is to be made of is not clear.
    #[error("no artifact can be made")]
    Package { source: PackageEntryError },
    /// A file gets the name of an artifact that is taken too.
    #[error("{artifact} is to be taken, and another artifact of that name is to be made")]
    MadeAndNamed { artifact: Reference },
    /// The lists that were given are empty.
    #[error("no artifact is named")]
    NoArtifacts,
    /// More artifacts than one run takes.
    #[error("expected at most {limit} artifacts, got {count}")]
    TooManyArtifacts { count: usize, limit: usize },
    /// `--client-cert` and `--client-key` belong together.
    #[error("--client-cert and --client-key need each other, and only one is given")]
    HalfIdentity,
    /// Recovery data and its files must be on this machine.
    #[error("expected a path on this machine, got {place}")]
    NotLocal { place: airlift::storage::Location },
    /// A statement is put beside a file.
    #[error("a bundle is signed where it is a file on this machine")]
    SignElsewhere,
    /// What is checked is one file.
    #[error("--check-with checks a bundle that is one file on this machine, without recovery data")]
    CheckElsewhere,
    /// There is no statement that members could be in.
    #[error("{option} is a member of a statement, and an export makes one with --sign only")]
    NoStatement { option: &'static str },
    /// Several volumes do not fit into one stream.
    #[error("--volume-size writes several files, but standard output is one stream")]
    VolumesInOrder,
    /// The machines read the plan from one place.
    #[error("a plan is read by several machines, and standard output cannot be")]
    PlanInStream,
    /// The machines take everything from registries.
    #[error("a plan has artifacts of registries only, and file: or chart: names something else")]
    PlanOfFiles,
    /// The machines take everything from registries.
    #[error("a plan has artifacts of registries only, and --from names what may be on this machine alone")]
    PlanFromPlace,
    /// A plan says what all volumes have, and not what they leave out.
    #[error("a plan has everything that its artifacts have, and --base leaves something out")]
    PlanOfUpdate,
    /// The shard of this run is not known.
    #[error("it is not clear which shard this is")]
    Shard { source: ParseShardError },
    /// A machine that pushes a share of the blobs does nothing else.
    #[error("--shard pushes blobs, and {option} is for the run that publishes the artifacts")]
    NotForShards { option: &'static str },
    /// The volumes of a share follow from a plan.
    #[error("--shard writes the share of a plan, and no plan is named")]
    ShardWithoutPlan,
    /// What a stream carried cannot be read back.
    #[error("a bundle of a series is read back, and standard output cannot be")]
    SeriesInStream,
    /// A bundle is read in many places at once.
    #[error("a bundle cannot be read from standard input")]
    StreamSource,
    /// Binary data would garble the terminal.
    #[error("refusing to write a bundle to a terminal")]
    StreamToTerminal,
    /// A layout is many files, and `copy` copies one.
    #[error("expected a bundle file, got the folder of an image layout: {}", path.display())]
    Layout { path: PathBuf },
    /// `abandon` removes unfinished files and the parts of uploads; a stream leaves none.
    #[error("standard output leaves nothing unfinished")]
    NoStorage,
    /// Recovery data is computed from local files.
    #[error("--recovery needs an output file on this machine")]
    RecoveryElsewhere,
    /// A packed file is put together from a bundle beside it.
    #[error("--pack writes to this machine, and takes no --only-volume and no --check-with")]
    PackElsewhere,
    /// The volumes are read one after another from one folder.
    #[error("--volume-prompt needs exactly one folder, such as that of a drive")]
    OneDrive,
    /// There is no terminal for a question.
    #[error("cannot ask for a user name and a password, since there is no terminal")]
    NoTerminal,
    /// The answer is an empty name or password.
    #[error("the user name or the password is empty")]
    NoAnswer,
    /// Some of the verified bundles have findings, which are printed already.
    #[error("{bad} of {all} bundles did not verify")]
    Unsound { bad: usize, all: usize, code: Code },
    /// Some artifacts failed, and the run continued with the others.
    #[error("{failed} of {all} artifacts failed; the others are done")]
    Partial { failed: usize, all: usize },
    /// Sources were not searched whole; what was found is printed already.
    #[error("the list may be incomplete: {gaps} of the remarks above say what is missing")]
    Incomplete { gaps: usize },
    /// The artifact of `--why` is not needed by any source.
    #[error("{reference} was found in no source")]
    Nowhere { reference: String },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Stdout { source: io::Error },
    /// An answer cannot be written as JSON.
    #[error("cannot format the answer as JSON")]
    Json { source: serde_json::Error },
    /// An answer cannot be written as YAML.
    #[error("cannot format the answer as YAML: {reason}")]
    Yaml { reason: String },
    /// The `--log` filter cannot be read.
    #[error("--log: expected a level or a list of filters, got {text:?}")]
    Log { text: String, source: tracing_subscriber::filter::ParseError },
    /// The system provides no threads or no event loop.
    #[error("cannot start the runtime")]
    Runtime { source: io::Error },
    /// A step of the demo gave an unexpected result.
    #[error("the demo failed: {what}")]
    Demo { what: String },
    /// A time or a day cannot be read.
    #[error("expected a day or a time such as 2026-12-31 or 2026-12-31T12:00:00Z, got {text:?}")]
    Time { text: String, source: jiff::Error },
    /// The agent has none or several keys, and none is named.
    #[error("the SSH agent has {count} usable keys, and none is named")]
    AgentKeys { count: usize },
    /// A new password was typed in two ways.
    #[error("the two passwords differ")]
    PasswordsDiffer,
    /// The transfer record was changed; the findings are printed already.
    #[error("{} was changed or cut", path.display())]
    Record { path: PathBuf },
    /// A signal stopped the run.
    #[error("stopped by {signal}")]
    Interrupted { signal: &'static str },
}

/// The command as typed, for a hint that repeats it: quoted for a shell, without an earlier `--max-artifacts`.
fn typed() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let mut text = "airlift".to_owned();
    let mut skip = false;
    for word in words {
        if std::mem::take(&mut skip) || word.starts_with("--max-artifacts=") {
            continue;
        }
        if word == "--max-artifacts" {
            skip = true;
            continue;
        }
        text.push(' ');
        text.push_str(&quoted(&word));
    }
    text
}

/// `word` as a shell reads it. A signature in an address is not repeated.
pub(crate) fn quoted(word: &str) -> String {
    let word = word.split_once("sig=").map_or_else(|| word.to_owned(), |(before, _)| format!("{before}sig=…"));
    let plain = |c: char| c.is_alphanumeric() || "-_./:@=+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

impl Mistake {
    /// The next step, if it is more precise than that of the token.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::SeriesInStream => {
                "Write to a file with `-o FILE`, or leave `--full-every`, `--overlap` and `--series` out."
            }
            Self::PlanInStream => {
                "Name a file that every machine can read: `-o PLAN`, on a shared disk or in a storage."
            }
            Self::PlanOfFiles => {
                "Export them by themselves: `airlift export file:PATH -o BUNDLE`. Or put them into a registry, `airlift import BUNDLE --to REGISTRY`, and plan them by their names there."
            }
            Self::PlanFromPlace => {
                "Write the set on this machine: `airlift export --from BUNDLE --volume-size SIZE -o DEST`. Or put the artifacts into a registry, `airlift import BUNDLE --to REGISTRY`, and plan them by their names there."
            }
            Self::PlanOfUpdate => {
                "Write the update on one machine: `airlift export -f LIST --base BASE --volume-size SIZE -o DEST`. Or leave --base out, and plan all of it."
            }
            Self::Shard { .. } => {
                "Name it: `--shard I/N`, where I counts from 0. With `--shard auto` in a Kubernetes Job, add `--shards N`, where N is its completions."
            }
            Self::NotForShards { .. } => "Leave it out here, and add it to the last run, which has no `--shard`.",
            Self::ShardWithoutPlan => {
                "Run `airlift plan -f LIST -o PLAN --volume-size SIZE` first, and add `--plan PLAN`."
            }
            Self::StreamToTerminal => "Redirect it, `-o - > bundle.tar`, or name a file, `-o bundle.tar`.",
            Self::StreamSource => {
                "A bundle is read in several places at once. Save it first with `cat > bundle.tar`, then name bundle.tar instead of -."
            }
            Self::Package { .. } => {
                "Write file:PATH, file:PATH=REPOSITORY:TAG, chart:PATH or chart:URL#NAME@VERSION, such as chart:https://charts.example.com#web@1.2.3."
            }
            Self::MadeAndNamed { .. } => "Give the file another name: `file:PATH=REPOSITORY:TAG`.",
            Self::NoArtifacts => "Name artifacts, or a file that lists them with `-f FILE`.",
            Self::TooManyArtifacts { count, .. } => {
                return Some(format!(
                    "To export all of them, run `{} --max-artifacts {count}`. Or split the list over several runs.",
                    typed()
                ));
            }
            Self::HalfIdentity => "Give both: `--client-cert FILE --client-key FILE`.",
            Self::NotLocal { .. } => "Give a path on this machine. `airlift copy` downloads a bundle from a storage.",
            Self::SignElsewhere => {
                "Write the bundle to a file with `-o FILE`. `airlift copy` takes its statement and signatures along."
            }
            Self::CheckElsewhere => {
                "Write to a file with `-o FILE`. Cut, protect or send it afterwards: `export --from FILE --volume-size SIZE`, `airlift protect`, `airlift copy`."
            }
            Self::NoStatement { .. } => "Add `--sign KEY`, or sign the bundle later with `airlift sign`.",
            Self::VolumesInOrder => {
                "Name a file with `-o`, on this machine or in a storage. The volumes are named after it."
            }
            Self::Layout { path } => {
                let folder = path.display();
                return Some(format!(
                    "Pack it with `tar -C {folder} -cf ARCHIVE.tar .`, which all commands read. Or make a bundle of it: run \
                     `airlift serve {folder}` and, at the same time, `airlift export 127.0.0.1:5000/REPOSITORY:TAG -o BUNDLE`."
                ));
            }
            Self::NoStorage => "Name the output of the unfinished run: `airlift abandon DEST`.",
            Self::RecoveryElsewhere => {
                "Export to a file on this machine with --recovery, then run `airlift copy`, which copies the recovery files too."
            }
            Self::PackElsewhere => {
                "Export to a file with --pack. Then `airlift copy FILE DEST` moves it to a storage, and `airlift import FILE --check-with COMMAND` checks it on the other side."
            }
            Self::AgentKeys { count: 0 } => "Add a key with `ssh-add FILE`.",
            Self::AgentKeys { .. } => {
                "Name the public key: `--agent FILE.pub`. `ssh-add -L` prints the keys that the agent has."
            }
            Self::PasswordsDiffer => "Run the same command again, or set AIRLIFT_KEY_PASSWORD.",
            Self::Log { .. } => "Give a level, such as `--log debug`, or filters: `--log airlift=debug,hyper=info`.",
            Self::NoTerminal | Self::NoAnswer => {
                "Add `-u USER --password-stdin` and send the password to standard input."
            }
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
            | Self::SignElsewhere
            | Self::CheckElsewhere
            | Self::NoStatement { .. }
            | Self::VolumesInOrder
            | Self::SeriesInStream
            | Self::PlanInStream
            | Self::PlanOfFiles
            | Self::PlanFromPlace
            | Self::PlanOfUpdate
            | Self::Shard { .. }
            | Self::ShardWithoutPlan
            | Self::NotForShards { .. }
            | Self::StreamToTerminal
            | Self::StreamSource
            | Self::NoStorage
            | Self::Layout { .. }
            | Self::RecoveryElsewhere
            | Self::PackElsewhere
            | Self::NoTerminal
            | Self::OneDrive
            | Self::Time { .. }
            | Self::AgentKeys { .. }
            | Self::PasswordsDiffer
            | Self::Package { .. }
            | Self::MadeAndNamed { .. }
            | Self::NoAnswer => Code::UsageArgument,
            Self::Unsound { code, .. } => *code,
            Self::Record { .. } => Code::RecordDamaged,
            Self::Partial { .. } => Code::TransferPartial,
            Self::Incomplete { .. } => Code::FindIncomplete,
            Self::Nowhere { .. } => Code::FindNowhere,
            Self::Runtime { .. } | Self::Json { .. } | Self::Yaml { .. } | Self::Demo { .. } => Code::Internal,
            Self::Interrupted { .. } => Code::Interrupted,
        }
    }
}
