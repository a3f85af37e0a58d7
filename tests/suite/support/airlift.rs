//! The program under test, run as a person runs it, in a home of its own.

use std::{ffi::OsStr, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, Ran};

/// A home for airlift; every call is a new process that starts in it.
pub(crate) struct Airlift {
    home: TempDir,
    variables: Vec<(String, String)>,
}

impl Airlift {
    /// An empty home, and an environment in which only `PATH` is left of the caller's.
    pub(crate) fn new() -> Self {
        Self { home: TempDir::with_prefix("airlift-home-").unwrap(), variables: Vec::new() }
    }

    /// The home, which is also the working folder of every call.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Sets an environment variable for the calls that follow.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// `airlift ARGS`, to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Runs with `--json` among `args` and parses what came to standard output; fails the test unless the exit code is 0.
    #[track_caller]
    pub(crate) fn json<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Value {
        let ran = self.run(args).success();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("no JSON ({error})\n{ran}"))
    }

    /// `airlift ARGS` to its end, with at most `kilobytes` of memory.
    pub(crate) fn confined(&self, kilobytes: u32, args: &[&str]) -> Ran {
        let inner = self.command(args);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("ulimit -d {kilobytes} && exec \"$0\" \"$@\"")]).arg(inner.get_program());
        command.args(inner.get_args()).env_clear().current_dir(self.home());
        for (name, value) in inner.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        // Arenas are for speed, and each of them takes its share of the limit.
        command.env("MALLOC_ARENA_MAX", "2");
        Ran::of(&mut command)
    }

    /// Runs with `input` on standard input.
    pub(crate) fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: impl Into<Vec<u8>>,
    ) -> Ran {
        let command = self.command(args);
        let name = format!("{command:?}");
        let output = assert_cmd::Command::from_std(command).write_stdin(input).output().unwrap();
        Ran::from_output(&name, &output)
    }

    /// Starts `airlift ARGS` and leaves it running: for servers, and to `kill` it at any moment.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Process {
        Process::spawn("airlift", &mut self.command(args))
    }

    /// The command, not yet started.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let home = self.home.path();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("airlift"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(home);
        command.env("HOME", home).env("TMPDIR", home).env("XDG_CONFIG_HOME", home.join(".config"));
        command.env("XDG_DATA_HOME", home.join(".local/share")).env("XDG_STATE_HOME", home.join(".local/state"));
        command.env("XDG_CACHE_HOME", home.join(".cache")).env("XDG_RUNTIME_DIR", home.join(".run"));
        command.env("RUST_BACKTRACE", "1").env("NO_COLOR", "1").env("COLUMNS", "100");
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).args(args);
        command
    }
}
