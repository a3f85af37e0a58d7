//! The command line: arguments, one library call, rendering.
//!
//! `args` is what was typed, `context` what it means, `commands` what is done; `output` shows it, and `failure` is the one
//! place where errors meet people. A new command is a file in `args`, a file in `commands` and an arm in each `mod.rs`.

mod args;
mod artifacts;
mod commands;
mod context;
#[cfg(test)]
mod docs;
mod failure;
mod hint;
mod log;
mod mistake;
mod output;
mod prompt;
mod runtime;
mod signal;
mod statements;

use std::process::ExitCode;

use airlift::{content::trust, progress::Event};
use clap::Parser;

use crate::{
    args::{Cli, Command},
    context::Context,
    failure::{CommandError, Voice},
};

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error, Voice::guess()),
    };
    let voice = Voice::of(&global);
    let context = Context::new(global);
    let outcome = run(command, &context);
    context.status().finish();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(voice),
    }
}

fn run(command: Command, context: &Context) -> Result<(), CommandError> {
    context.begin_log()?;
    warn_of_signature(context);
    let progress = context.progress();
    trust::say_by(move |text| progress.tell(Event::Warned(text)));
    commands::run(command, context)
}

/// Other users of the machine see arguments, and shells keep them.
fn warn_of_signature(context: &Context) {
    let is_signed = |word: std::ffi::OsString| {
        let word = word.to_string_lossy();
        word.contains("://") && word.split(['?', '&']).any(|part| part.starts_with("sig="))
    };
    if std::env::args_os().skip(1).any(is_signed) {
        let text = "other users can see the signature in the address on the command line, and the shell's history keeps it; set \
                    AZURE_STORAGE_SAS_TOKEN to it, and write the address without it";
        context.progress().tell(Event::Warned(text.to_owned()));
    }
}
