//! `--log`: what the library traces, on stderr, above the bars where there are any.

use std::{io, sync::Arc};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{failure::CommandError, mistake::Mistake, output::StatusOutput};

/// Begins to log at `filter`.
pub(crate) fn begin(filter: &str, status: Arc<dyn StatusOutput>) -> Result<(), CommandError> {
    let filter =
        EnvFilter::builder().parse(filter).map_err(|source| Mistake::Log { text: filter.to_owned(), source })?;
    // Colours would end in log files: stderr is often one.
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Above(status)).init();
    Ok(())
}

/// Writes so that bars on the same terminal are not torn.
struct Above(Arc<dyn StatusOutput>);

impl<'a> MakeWriter<'a> for Above {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine(Arc::clone(&self.0))
    }
}

/// One line of the log.
struct LogLine(Arc<dyn StatusOutput>);

impl io::Write for LogLine {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.say(String::from_utf8_lossy(text).trim_end());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
