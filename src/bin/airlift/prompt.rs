//! Asks questions on the terminal, so that no password is in the arguments of a process.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    path::Path,
};

use airlift::trust::key::Password;
use console::Term;

use crate::mistake::Mistake;

/// Asks for a name.
pub(crate) fn name(question: &str) -> Result<String, Mistake> {
    ask(question, || {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line)
    })
}

/// Asks for a password without echoing it.
pub(crate) fn password(question: &str) -> Result<String, Mistake> {
    ask(question, || Term::stderr().read_secure_line())
}

fn ask(question: &str, read: impl FnOnce() -> io::Result<String>) -> Result<String, Mistake> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Mistake::NoTerminal);
    }
    let mut stderr = anstream::stderr();
    let answer = write!(stderr, "{question}: ").and_then(|()| stderr.flush()).and_then(|()| read());
    trimmed(answer)
}

/// Reads the password from standard input, without the newline that `echo` and editors add.
pub(crate) fn password_from_stdin() -> Result<String, Mistake> {
    let mut text = String::new();
    trimmed(io::stdin().lock().read_to_string(&mut text).map(|_| text))
}

fn trimmed(answer: io::Result<String>) -> Result<String, Mistake> {
    let answer = answer.map_err(|source| Mistake::Read { path: "standard input".into(), source })?;
    let answer = answer.trim_end_matches(['\r', '\n']).to_owned();
    if answer.is_empty() { Err(Mistake::NoAnswer) } else { Ok(answer) }
}

/// The variable with the password of a signing key.
const KEY_PASSWORD: &str = "AIRLIFT_KEY_PASSWORD";

/// Returns the password of the key in `file`: from standard input, the environment or the terminal. `None` where there is
/// none of them.
pub(crate) fn key_password(file: &Path, from_stdin: bool) -> Option<Password> {
    let text = if from_stdin {
        password_from_stdin().ok()
    } else {
        let of_environment = std::env::var(KEY_PASSWORD).ok().filter(|text| !text.is_empty());
        of_environment.or_else(|| password(&format!("Password of {}", file.display())).ok())
    };
    text.map(Password::new)
}

/// Returns the password for a new key: from the environment, or typed twice.
pub(crate) fn new_key_password() -> Result<Password, Mistake> {
    if let Some(text) = std::env::var(KEY_PASSWORD).ok().filter(|text| !text.is_empty()) {
        return Ok(Password::new(text));
    }
    let first = password("Password")?;
    if password("The same again")? != first {
        return Err(Mistake::PasswordsDiffer);
    }
    Ok(Password::new(first))
}
