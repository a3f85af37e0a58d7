//! docs/cli.md and docs/errors.md are written by these tests from what the program itself says.
//!
//! `UPDATE_DOCS=1 cargo test --bin airlift docs` writes them anew; without it the tests compare.

use std::{env, fmt::Write as _, fs, path::Path};

use airlift::content::Code;
use clap::{Command, CommandFactory};

use crate::{args::Cli, failure::exit_code, hint};

const CLI_HEAD: &str = "\
# The command line

Generated from the program's own help texts: `UPDATE_DOCS=1 cargo test --bin airlift docs` writes this file anew. Results go to stdout,
status to stderr. docs/errors.md lists all errors and how scripts can match them.
";

const ERRORS_HEAD: &str = "\
# Errors

Generated from `src/content/code.rs` and `src/bin/airlift/hint.rs`: `UPDATE_DOCS=1 cargo test --bin airlift docs` writes this file anew.

An error is printed on stderr as `error[token]: what happened`, then the causes, then `help: the next step`. With `--json`
it is one line: `{\"v\":1,\"event\":\"error\",\"error\":{\"token\":…,\"message\":…,\"causes\":[…],\"hint\":…}}`. Scripts match the
token or the exit code. Both are stable; the sentences may change.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | usage error, nothing was tried |
| 3 | some artifacts failed, the others are done (`--continue-on-errors`) |
| 4 | content did not verify |
| 5 | not authorised |
| 130 | interrupted; run the same command again to resume |

| token | exit code | what happened | what to do next |
|---|---|---|---|
";

/// Compares, or writes where `UPDATE_DOCS` is set.
fn hold(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/{name} is not what the program says; run UPDATE_DOCS=1 cargo test --bin airlift docs"
    );
}

fn describe(command: &mut Command, path: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    let help: Vec<_> = help.lines().map(str::trim_end).collect();
    write!(text, "\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set()) {
        let path = format!("{path} {}", inner.get_name());
        // Global options are listed once, at the top.
        let mut own = inner.clone().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
        describe(&mut own, &path, text);
    }
}

#[test]
fn docs_of_the_command_line_are_what_the_program_says() {
    let mut text = CLI_HEAD.to_owned();
    let mut cli = Cli::command().term_width(100).version("VERSION");
    cli.build();
    describe(&mut cli, "airlift", &mut text);
    hold("cli.md", &text);
}

#[test]
fn docs_of_errors_are_what_the_program_says() {
    let mut text = ERRORS_HEAD.to_owned();
    for &code in Code::ALL {
        let (meaning, next) = (code.meaning().replace('|', "\\|"), hint::of(code).replace('|', "\\|"));
        writeln!(text, "| `{code}` | {} | {meaning} | {next} |", exit_code(code.class())).unwrap();
    }
    hold("errors.md", &text);
}

#[test]
fn every_command_has_an_example() {
    fn without(command: &Command) -> Vec<String> {
        let own = command.get_after_help().is_some_and(|text| text.to_string().contains("Example"));
        let inner: Vec<_> = command.get_subcommands().filter(|inner| inner.get_name() != "help").collect();
        if inner.is_empty() {
            return if own { Vec::new() } else { vec![command.get_name().to_owned()] };
        }
        inner.into_iter().flat_map(without).collect()
    }
    assert_eq!(without(&Cli::command()), Vec::<String>::new());
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}
