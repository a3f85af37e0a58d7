//! Prints errors, and only this file does: exit code, stable token, message, causes and the next step.

use std::{any::Any, error::Error, fmt::Write as _, process::ExitCode};

use airlift::{
    content::{Class, Code, Fault},
    oci::PeerText,
};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::{
    args::global::{Global, ProgressChoice},
    hint,
    mistake::Mistake,
    output,
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();

/// The failure of a command. `?` converts any error with a token to it.
#[derive(Debug)]
pub(crate) struct CommandError {
    code: Code,
    error: Box<dyn Error + Send + Sync>,
    details: Vec<String>,
    hint: Option<String>,
}

impl<E: Fault> From<E> for CommandError {
    fn from(error: E) -> Self {
        // A mistake in the arguments has a hint of its own; the library's errors use that of their token.
        let hint = (&error as &dyn Any).downcast_ref().and_then(Mistake::hint);
        Self { code: error.code(), error: Box::new(error), details: Vec::new(), hint }
    }
}

/// The format of an error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Voice {
    /// For a person.
    Text,
    /// For a script.
    Json,
}

impl Voice {
    /// Chooses by the options.
    pub(crate) const fn of(global: &Global) -> Self {
        if global.json || matches!(global.progress, ProgressChoice::Json) { Self::Json } else { Self::Text }
    }

    /// Guesses from arguments that cannot be parsed.
    pub(crate) fn guess() -> Self {
        if std::env::args_os().any(|arg| arg == "--json") { Self::Json } else { Self::Text }
    }
}

/// The error object of `--json`.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    v: u32,
    event: &'a str,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    token: &'a str,
    message: String,
    causes: Vec<String>,
    hint: String,
}

impl CommandError {
    /// Which kind of failure it is.
    pub(crate) const fn code(&self) -> Code {
        self.code
    }

    /// What happened and why, in one text.
    pub(crate) fn told(&self) -> String {
        let details = self.details.iter().cloned().chain(causes(&*self.error));
        std::iter::once(self.error.to_string()).chain(details).collect::<Vec<_>>().join(": ")
    }

    /// Adds a line for each artifact that failed, above the causes.
    pub(crate) fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// Replaces the hint of the token with a more precise one, if given.
    pub(crate) fn or_hint(mut self, hint: Option<&str>) -> Self {
        self.hint = hint.map(str::to_owned).or(self.hint);
        self
    }

    /// Replaces the hint if the failure is one of `codes`, whose own hint does not fit this command.
    pub(crate) fn hint_for(mut self, codes: &[Code], hint: &str) -> Self {
        if codes.contains(&self.code) {
            self.hint = Some(hint.to_owned());
        }
        self
    }

    /// Prints it to stderr and returns the exit code of its class.
    pub(crate) fn report(&self, voice: Voice) -> ExitCode {
        output::print_aside(&match voice {
            Voice::Text => self.text(),
            Voice::Json => self.json(),
        });
        ExitCode::from(exit_code(self.code.class()))
    }

    fn text(&self) -> String {
        let mut text =
            format!("{ERROR}error[{}]{ERROR:#}: {}\n", self.code, PeerText::indented(&self.error.to_string()));
        for detail in &self.details {
            let _ = writeln!(text, "  {}", PeerText::indented(detail));
        }
        for cause in causes(&*self.error) {
            let _ = writeln!(text, "  cause: {}", PeerText::indented(&cause));
        }
        let _ = writeln!(text, "{HELP}help{HELP:#}: {}", self.next_step());
        text
    }

    fn json(&self) -> String {
        let message = self.error.to_string();
        let causes = self.details.iter().cloned().chain(causes(&*self.error)).collect();
        let error = ErrorBody { token: self.code.token(), message, causes, hint: self.next_step().to_owned() };
        output::json::line(&ErrorEvent { v: output::json::VERSION, event: "error", error })
    }

    fn next_step(&self) -> &str {
        self.hint.as_deref().unwrap_or_else(|| hint::of(self.code))
    }
}

/// The causes below `error`, without those that only repeat the message above.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !text.is_empty() && !said.contains(&text) {
            causes.push(text.clone());
            said = text;
        }
        next = cause.source();
    }
    causes
}

/// The exit codes of docs/errors.md.
pub(crate) const fn exit_code(class: Class) -> u8 {
    match class {
        Class::Failed => 1,
        Class::Usage => 2,
        Class::Partial => 3,
        Class::Unverified => 4,
        Class::Unauthorized => 5,
        Class::Interrupted => 130,
    }
}

/// Prints clap's messages: help and version to stdout, a usage error with its token to stderr.
pub(crate) fn report_usage(error: &clap::Error, voice: Voice) -> ExitCode {
    if !error.use_stderr() {
        return output::print(error.render().ansi().to_string().as_bytes())
            .map_or_else(|failure| failure.report(voice), |()| ExitCode::SUCCESS);
    }
    let code = Code::UsageArgument;
    match voice {
        Voice::Text => {
            let token = format!("error[{code}]:");
            output::print_aside(&error.render().ansi().to_string().replacen("error:", &token, 1));
        }
        Voice::Json => {
            let rendered = error.render().to_string();
            let message = rendered.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let error = ErrorBody { token: code.token(), message, causes: Vec::new(), hint: hint::of(code).to_owned() };
            output::print_aside(&output::json::line(&ErrorEvent { v: output::json::VERSION, event: "error", error }));
        }
    }
    ExitCode::from(exit_code(code.class()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the upper level: the lower level")]
    struct Upper(#[source] Lower);

    #[derive(Debug, thiserror::Error)]
    #[error("the lower level")]
    struct Lower(#[source] std::io::Error);

    impl Fault for Upper {
        fn code(&self) -> Code {
            Code::IoRead
        }
    }

    fn sample() -> CommandError {
        Upper(Lower(std::io::Error::other("the bottom"))).into()
    }

    #[test]
    fn a_cause_that_the_level_above_has_told_is_not_told_again() {
        let text = anstream::adapter::strip_str(&sample().text()).to_string();
        let hint = hint::of(Code::IoRead);
        assert_eq!(
            text,
            format!("error[io.read]: the upper level: the lower level\n  cause: the bottom\nhelp: {hint}\n")
        );
    }

    #[test]
    fn the_json_object_has_what_the_text_has() {
        let object: serde_json::Value = serde_json::from_str(&sample().json()).unwrap();
        let expected = serde_json::json!({"v": 1, "event": "error", "error": {
            "token": "io.read", "message": "the upper level: the lower level", "causes": ["the bottom"], "hint": hint::of(Code::IoRead),
        }});
        assert_eq!(object, expected);
    }
}
