//! Programs of other makers that are asked to do something: container runtimes.

use std::{env, ffi::OsStr, io, path::PathBuf, process::Stdio};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};

use crate::content::shell::OUR_SECRETS;

/// Most output that is read of a program.
const MAX_OUTPUT: u64 = 4 << 20;

/// Most of its complaints that is shown.
const MAX_COMPLAINT: usize = 2000;

/// Why a program did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramFailure {
    /// It is not installed.
    #[error("the program {program} is not in PATH")]
    Missing {
        /// Its name.
        program: &'static str,
    },
    /// It cannot be started, or not be talked to.
    #[error("the program {program} cannot be run")]
    Run {
        /// Its name.
        program: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It failed.
    #[error("`{command}` failed: {complaint}")]
    Failed {
        /// What was run.
        command: String,
        /// Its last words.
        complaint: String,
    },
}

/// A program with arguments.
pub(crate) struct Program {
    name: &'static str,
    command: Command,
    /// As people would type it.
    shown: String,
}

impl Program {
    /// The program `name` in `PATH`.
    pub(crate) fn find(name: &'static str) -> Result<Self, ProgramFailure> {
        let folders = env::var_os("PATH").unwrap_or_default();
        let mut found =
            env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
        let path: PathBuf = found.find(|path| path.is_file()).ok_or(ProgramFailure::Missing { program: name })?;
        let mut command = Command::new(path);
        for secret in OUR_SECRETS {
            command.env_remove(secret);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(Self { name, command, shown: name.to_owned() })
    }

    /// With more arguments.
    pub(crate) fn with<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(&argument.as_ref().to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    /// Runs it to its end and returns what it printed.
    pub(crate) async fn output(self) -> Result<String, ProgramFailure> {
        self.start()?.finish().await
    }

    /// Starts it with an input that `RunningProgram::child` has.
    pub(crate) fn fed(mut self) -> Result<RunningProgram, ProgramFailure> {
        self.command.stdin(Stdio::piped());
        self.start()
    }

    fn start(mut self) -> Result<RunningProgram, ProgramFailure> {
        let child = self.command.spawn().map_err(|source| ProgramFailure::Run { program: self.name, source })?;
        Ok(RunningProgram { name: self.name, shown: self.shown, child })
    }
}

/// A program that runs; it ends with its owner.
pub(crate) struct RunningProgram {
    name: &'static str,
    shown: String,
    pub(crate) child: Child,
}

impl RunningProgram {
    /// Waits for its end and returns what it printed.
    pub(crate) async fn finish(mut self) -> Result<String, ProgramFailure> {
        let failed = |source| ProgramFailure::Run { program: self.name, source };
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (output, complaint) = tokio::join!(bounded(stdout), bounded(stderr));
        let status = self.child.wait().await.map_err(failed)?;
        if status.success() {
            return output.map_err(failed);
        }
        let complaint = complaint.map_err(failed)?;
        let words = complaint.split_whitespace().collect::<Vec<_>>().join(" ");
        // The reason comes last.
        let begin = words.char_indices().rev().nth(MAX_COMPLAINT).map_or(0, |(at, _)| at);
        let complaint = if words.is_empty() { status.to_string() } else { words[begin..].to_owned() };
        Err(ProgramFailure::Failed { command: self.shown, complaint })
    }
}

/// The first bytes of a stream as text. The rest is read too, so that no program waits for a full pipe.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut bytes = Vec::new();
    let Some(mut stream) = stream else { return Ok(String::new()) };
    (&mut stream).take(MAX_OUTPUT).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
