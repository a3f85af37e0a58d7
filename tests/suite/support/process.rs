//! Child processes: one that runs to its end, and one that serves until its owner goes out of scope.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, PipeReader, pipe},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a peer may take to get ready or to end before the test fails; generous, since two cores may run many tests.
pub(crate) const PATIENCE: Duration = Duration::from_mins(4);

/// Asks until `is_so`; fails the test where that never comes. Each question takes a while itself: a request, or a connection.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::yield_now();
    }
}

/// A process that goes on until it is dropped; it is ended by its own pid, and what it said is shown if the test fails.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    text: Mutex<(String, bool)>,
    grown: Condvar,
}

impl Process {
    /// Starts `command` with its standard output and error going to the log.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        let (reader, writer) = pipe().unwrap();
        let errors = writer.try_clone().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        // The command keeps the write ends open; without this the log would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let log = Arc::new(Log::default());
        let keeper = Arc::clone(&log);
        thread::spawn(move || keeper.follow(reader));
        Self { name: name.to_owned(), child, log }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything said so far.
    pub(crate) fn log(&self) -> String {
        self.log.text.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Waits for a line that contains `needle` and returns it; fails the test if the process ends or is silent too long.
    pub(crate) fn wait_for_line(&self, needle: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.log.text.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = text.0.lines().find(|line| line.contains(needle)) {
                return line.to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!text.1 && !left.is_zero(), "{} never said {needle:?}:\n{}", self.name, text.0);
            text = self.log.grown.wait_timeout(text, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until it has said `count` lines; `false` if it ended before.
    pub(crate) fn wait_for_lines(&self, count: usize) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.log.text.lock().unwrap_or_else(PoisonError::into_inner);
        while text.0.lines().count() < count && !text.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} never said {count} lines:\n{}", self.name, text.0);
            text = self.log.grown.wait_timeout(text, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !text.1
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }

    /// Sends a signal, as a person or an init system would.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.wait_at_most(PATIENCE);
        status.unwrap_or_else(|| panic!("{} does not end:\n{}", self.name, self.log()))
    }

    /// The exit status if it ends within `patience`.
    pub(crate) fn wait_at_most(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        let mut log = self.log.text.lock().unwrap_or_else(PoisonError::into_inner);
        // The log ends with the process, and its end wakes us.
        while !log.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            log = self.log.grown.wait_timeout(log, left).unwrap().0;
        }
        drop(log);
        Some(self.child.wait().unwrap())
    }

    /// The exit status if it has ended.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            // The end tells what went wrong; a busy server's whole log would hide the failed assertion.
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"response completed\"")).collect();
            let end = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- {} said at last:\n{end}\n---", self.name);
        }
    }
}

impl Log {
    fn follow(&self, reader: PipeReader) {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            self.text.lock().unwrap_or_else(PoisonError::into_inner).0.push_str(&String::from_utf8_lossy(&line));
            self.grown.notify_all();
            line.clear();
        }
        self.text.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.grown.notify_all();
    }
}

/// What a command that ran to its end left behind.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// The command line, for messages.
    pub(crate) command: String,
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs `command` without standard input.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self::from_output(&format!("{command:?}"), &output)
    }

    pub(crate) fn from_output(command: &str, output: &Output) -> Self {
        Self {
            command: command.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.exits(0)
    }

    /// Fails the test unless the command ended with `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Fails the test unless standard error contains each of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "standard error lacks {part:?}\n{self}");
        }
        self
    }

    /// Fails the test unless standard output contains `part`.
    #[track_caller]
    pub(crate) fn answers(self, part: &str) -> Self {
        assert!(self.stdout.contains(part), "standard output lacks {part:?}\n{self}");
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        writeln!(text, "{} -> {:?}", self.command, self.code)?;
        writeln!(text, "--- stdout\n{}--- stderr\n{}---", self.stdout, self.stderr)?;
        f.write_str(&text)
    }
}

/// Every file below `folder`, sorted, as paths relative to it.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in std::fs::read_dir(&current).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}
