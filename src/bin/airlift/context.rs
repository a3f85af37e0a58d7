//! What the options mean: how the library is set up, who watches it, where answers go.

use std::sync::Arc;

use airlift::progress;
use serde::Serialize;

use crate::{
    args::global::Global,
    failure::Failure,
    log,
    output::{self, Status},
};

/// Everything that a command needs beside its own arguments. Nothing costly is made before it is asked for.
pub(crate) struct Context {
    global: Global,
    status: Arc<dyn Status>,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let status = output::status(global.progress, global.quiet);
        Self { global, status }
    }

    /// Starts `--log`, if it was asked for.
    pub(crate) fn begin_log(&self) -> Result<(), Failure> {
        match &self.global.log {
            Some(filter) => log::begin(filter, Arc::clone(&self.status)),
            None => Ok(()),
        }
    }

    /// The library's handle to the bars, lines or JSON on stderr.
    pub(crate) fn progress(&self) -> progress::Progress {
        let observer: Arc<dyn progress::Observe> = Arc::clone(&self.status) as _;
        progress::Progress::to(observer)
    }

    /// What is shown on stderr while a command works.
    pub(crate) fn status(&self) -> &dyn Status {
        &*self.status
    }

    /// Whether answers are for scripts.
    pub(crate) const fn json(&self) -> bool {
        self.global.json
    }

    /// Prints a command's answer on stdout: `value` as JSON where `--json` was given, else what `text` makes of it.
    pub(crate) fn answer<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        self.status.finish();
        let answer = if self.global.json { output::json::pretty(value)? } else { text(value) };
        output::print(answer.as_bytes())
    }

    /// As [`Self::answer`], on stderr, for the commands whose stdout is a bundle.
    pub(crate) fn answer_aside<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        self.status.finish();
        let answer = if self.global.json { output::json::pretty(value)? } else { text(value) };
        output::print_aside(&answer);
        Ok(())
    }
}
