//! The meaning of the options: settings of the library, the observer of its progress, and the output.

use std::{path::Path, sync::Arc};

use airlift::{
    progress,
    registry::{Client, Settings},
    storage,
};
use serde::Serialize;

use crate::{
    args::{Jobs, global::Global},
    failure::CommandError,
    log,
    mistake::Mistake,
    output::{self, StatusOutput},
};

/// Everything that a command needs beside its own arguments. Costly parts are created when they are first used.
pub(crate) struct Context {
    global: Global,
    status: Arc<dyn StatusOutput>,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let status = output::status(global.progress, global.quiet);
        Self { global, status }
    }

    /// Starts the log if `--log` is given.
    pub(crate) fn begin_log(&self) -> Result<(), CommandError> {
        match &self.global.log {
            Some(filter) => log::begin(filter, Arc::clone(&self.status)),
            None => Ok(()),
        }
    }

    /// Starts a log with `filter` if `--log` is not given: a server has no other way to print its warnings.
    pub(crate) fn log_anyway(&self, filter: &str) -> Result<(), CommandError> {
        match &self.global.log {
            Some(_) => Ok(()),
            None => log::begin(filter, Arc::clone(&self.status)),
        }
    }

    /// The library's handle to the bars, lines or JSON on stderr.
    pub(crate) fn progress(&self) -> progress::Progress {
        let observer: Arc<dyn progress::Observe> = Arc::clone(&self.status) as _;
        progress::Progress::to(observer)
    }

    /// The status on stderr.
    pub(crate) fn status(&self) -> &dyn StatusOutput {
        &*self.status
    }

    /// Whether results are printed as JSON.
    pub(crate) const fn json(&self) -> bool {
        self.global.json
    }

    /// The settings for registries, which get at most so many requests at once.
    pub(crate) fn settings(&self, jobs: Jobs) -> Result<Settings, Mistake> {
        let options = &self.global.registry;
        let mut settings = Settings::default();
        settings.ca_certs.clone_from(&options.ca_cert);
        settings.client_identity = match (&options.client_cert, &options.client_key) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(Mistake::HalfIdentity),
        };
        settings.insecure = options.insecure;
        settings.plain_http.clone_from(&options.plain_http);
        settings.named_hosts.clone_from(&options.allow_host);
        settings.authfile.clone_from(&options.authfile);
        settings.progress = self.progress();
        settings.requests = jobs.small();
        Ok(settings)
    }

    /// The client of all registries of the run.
    pub(crate) fn client(&self, jobs: Jobs) -> Result<Client, CommandError> {
        Ok(Client::new(self.settings(jobs)?)?)
    }

    /// The settings for storages and vaults, from the environment and `--ca-cert`.
    pub(crate) fn storage(&self) -> storage::Settings {
        let mut settings = storage::Settings::from_env();
        settings.ca_certs.clone_from(&self.global.registry.ca_cert);
        settings
    }

    /// The status on stderr, for another thread.
    pub(crate) fn shared_status(&self) -> Arc<dyn StatusOutput> {
        Arc::clone(&self.status)
    }

    /// The file of `--authfile`.
    pub(crate) fn authfile(&self) -> Option<&Path> {
        self.global.registry.authfile.as_deref()
    }

    /// Prints a command's answer on stdout: `value` as JSON where `--json` was given, else what `text` makes of it.
    pub(crate) fn answer<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CommandError> {
        self.status.finish();
        if self.global.json {
            return output::print_plain(output::json::pretty(value)?.as_bytes());
        }
        output::print(text(value).as_bytes())
    }

    /// As [`Self::answer`], on stderr, for the commands whose stdout is a bundle.
    pub(crate) fn answer_aside<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CommandError> {
        self.status.finish();
        let answer = if self.global.json { output::json::pretty(value)? } else { text(value) };
        output::print_aside(&answer);
        Ok(())
    }
}
