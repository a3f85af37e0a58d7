//! A real terminal: a pty, which `script` (Debian's bsdutils) makes, with somebody who reads and types.

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use super::{peers, process::PATIENCE};

/// Columns and rows of every terminal here.
const SIZE: (usize, usize) = (100, 40);

/// What stands before and after the settings of the terminal, which are told when the program begins and when it has ended.
const SETTINGS: &str = "settings of the terminal: ";

/// A program that runs on a terminal.
pub(crate) struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    said: Arc<(Mutex<Said>, Condvar)>,
}

#[derive(Default)]
struct Said {
    text: String,
    ended: bool,
}

impl Terminal {
    /// Starts `command`.
    pub(crate) fn start(command: &Command) -> Self {
        let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''"));
        let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quote);
        let line = words.collect::<Vec<_>>().join(" ");
        let (columns, rows) = SIZE;
        let told = format!("echo \"{SETTINGS}$(stty -g | sha256sum)\"");
        // The shell outlives an interrupt that is meant for the program, as a person's shell does.
        let line = format!("stty cols {columns} rows {rows}; trap : INT; {told}; {line}; code=$?; {told}; exit $code");
        let mut script = Command::new(peers::path("script"));
        script.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        script.env_clear().env("SHELL", "/bin/sh").env("TERM", "xterm").current_dir(command.get_current_dir().unwrap());
        for (name, value) in command.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = script.spawn().unwrap();
        let (keys, mut screen) = (child.stdin.take(), child.stdout.take().unwrap());
        let said = Arc::new((Mutex::new(Said::default()), Condvar::new()));
        let keeper = Arc::clone(&said);
        thread::spawn(move || {
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            loop {
                let read = screen.read(&mut piece).unwrap_or(0);
                bytes.extend_from_slice(&piece[..read]);
                let mut said = keeper.0.lock().unwrap();
                (said.text, said.ended) = (String::from_utf8_lossy(&bytes).into_owned(), read == 0);
                keeper.1.notify_all();
                if read == 0 {
                    break;
                }
            }
        });
        Self { child, keys, said }
    }

    /// Types `keys`; `\r` is Enter and `\x03` Ctrl-C.
    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Everything that came to the terminal so far.
    pub(crate) fn said(&self) -> String {
        self.said.0.lock().unwrap().text.clone()
    }

    /// Waits until `needle` has come to the terminal.
    pub(crate) fn wait_for(&self, needle: &str) {
        let is_there = |said: &Said| said.text.contains(needle);
        let said = self.wait_until(|said| said.ended || is_there(said));
        assert!(said.contains(needle), "the terminal never showed {needle:?}:\n{said}");
    }

    fn wait_until(&self, is_it: impl Fn(&Said) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut said = self.said.0.lock().unwrap();
        while !is_it(&said) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain:\n{}", said.text);
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
        said.text.clone()
    }

    /// Waits for the program's end; its exit code, and what is left on the screen. The terminal must have the settings that it
    /// had before, and its cursor.
    pub(crate) fn end(mut self) -> (i32, Vec<String>) {
        let said = self.wait_until(|said| said.ended);
        let code = self.child.wait().unwrap().code().unwrap();
        // Shown if the test fails.
        eprintln!("the terminal was sent {said:?}");
        let mut screen = Screen::default();
        screen.take(&said);
        assert!(!screen.hidden, "the cursor is gone:\n{said}");
        let lines: Vec<String> = screen.lines.iter().map(|line| line.trim_end().to_owned()).collect();
        let settings: Vec<&str> = lines.iter().filter_map(|line| line.split_once(SETTINGS)).map(|(_, it)| it).collect();
        assert!(settings.len() == 2 && settings[0] == settings[1], "the terminal has other settings: {settings:?}");
        (code, lines.into_iter().filter(|line| !line.contains(SETTINGS)).collect())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Without its terminal the program is hung up.
        self.keys = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a person sees, as far as programs here draw it (ECMA-48).
#[derive(Default)]
struct Screen {
    lines: Vec<String>,
    row: usize,
    column: usize,
    hidden: bool,
}

impl Screen {
    fn take(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(sign) = rest.next() {
            match sign {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\u{1b}' => self.control(&mut rest),
                // The bell, and an interrupt that is echoed as it is: nothing that is seen.
                '\u{7}' | '\u{3}' => {}
                sign => self.put(sign),
            }
        }
    }

    fn line(&mut self) -> &mut String {
        while self.lines.len() <= self.row {
            self.lines.push(String::new());
        }
        &mut self.lines[self.row]
    }

    fn put(&mut self, sign: char) {
        if self.column == SIZE.0 {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let column = self.column;
        let line = self.line();
        let mut signs: Vec<char> = line.chars().collect();
        signs.resize(signs.len().max(column + 1), ' ');
        signs[column] = sign;
        *line = signs.into_iter().collect();
        self.column += 1;
    }

    fn control(&mut self, rest: &mut std::str::Chars) {
        assert_eq!(rest.next(), Some('['), "an escape that nobody here knows");
        let (mut number, mut end) = (String::new(), ' ');
        for sign in rest.by_ref() {
            if sign.is_ascii_alphabetic() {
                end = sign;
                break;
            }
            number.push(sign);
        }
        let count = number.parse().unwrap_or(1);
        let column = self.column;
        match (end, number.as_str()) {
            ('A', _) => self.row = self.row.saturating_sub(count),
            ('B', _) => self.row += count,
            ('C', _) => self.column += count,
            ('D', _) => self.column = self.column.saturating_sub(count),
            ('G', _) => self.column = count - 1,
            ('K', "2") => self.line().clear(),
            ('K', "" | "0") => *self.line() = self.line().chars().take(column).collect(),
            ('J', "" | "0") => {
                *self.line() = self.line().chars().take(column).collect();
                self.lines.truncate(self.row + 1);
            }
            ('m', _) => {}
            ('l', "?25") => self.hidden = true,
            ('h', "?25") => self.hidden = false,
            other => panic!("a control sequence that nobody here knows: {other:?}"),
        }
    }
}
