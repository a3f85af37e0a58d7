//! Output for people and scripts: results on stdout, status on stderr.
//!
//! There are four kinds of status: bars on a terminal, lines elsewhere, JSON lines for scripts, and quiet.

mod bars;
mod echo;
pub(crate) mod findings;
pub(crate) mod json;
mod lines;
pub(crate) mod plan;
mod quiet;
pub(crate) mod recovery;
pub(crate) mod report;
pub(crate) mod table;
mod tally;
pub(crate) mod tree;
pub(crate) mod trust;
mod words;

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
    sync::Arc,
};

use airlift::{progress::Observe, transfer::delta::needs::Needs};

pub(crate) use words::{count, digests, size};

use crate::{args::global::ProgressChoice, failure::CommandError, mistake::Mistake};

/// The status that a command prints to stderr while it works.
pub(crate) trait StatusOutput: Observe {
    /// Prints a line, above the bars where there are any.
    fn say(&self, line: &str);

    /// Clears the screen for a question. Later events are shown again.
    fn pause(&self) {}

    /// Clears the screen for the result. Later events are not shown.
    fn finish(&self) {}
}

/// Chooses the status by the options and the terminal.
pub(crate) fn status(progress: ProgressChoice, quiet: bool) -> Arc<dyn StatusOutput> {
    match progress {
        _ if quiet => Arc::new(quiet::Quiet { warns: false }),
        ProgressChoice::None => Arc::new(quiet::Quiet { warns: true }),
        ProgressChoice::Json => Arc::new(json::JsonLines::new()),
        ProgressChoice::Bars if io::stderr().is_terminal() => Arc::new(bars::Bars::new()),
        ProgressChoice::Auto if io::stderr().is_terminal() && !is_dumb() => Arc::new(bars::Bars::new()),
        ProgressChoice::Auto | ProgressChoice::Bars | ProgressChoice::Lines => Arc::new(lines::TextLines::new()),
    }
}

/// Terminals that cannot move the cursor say so.
fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Prints a result to stdout, without its colours where nobody sees them.
pub(crate) fn print(text: &[u8]) -> Result<(), CommandError> {
    write(anstream::stdout().lock(), text)
}

/// Prints what has no colours. To look for some takes longer than all else where there is much of it.
pub(crate) fn print_plain(text: &[u8]) -> Result<(), CommandError> {
    write(io::stdout().lock(), text)
}

/// A reader that closes the pipe early (`| head`) is not an error.
fn write(mut stdout: impl io::Write, text: &[u8]) -> Result<(), CommandError> {
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(|source| Mistake::Stdout { source })?),
    }
}

/// Prints to stderr. A failure to do so is ignored: there is no other place to report it.
pub(crate) fn print_aside(text: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// What a delta needs, as a line, and a line for each bundle that has it.
pub(crate) fn needs(needs: &Needs) -> String {
    let mut text = format!("needs: {} ({}) that the target must have\n", count(needs.blobs, "blob"), size(needs.bytes));
    for bundle in &needs.bundles {
        let _ = writeln!(text, "  of bundle {bundle}");
    }
    text
}
