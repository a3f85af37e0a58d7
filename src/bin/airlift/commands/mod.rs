//! What is done: each command builds its options, makes one library call and renders the answer.

mod completions;
mod demo;
mod export;
mod import;
mod inspect;
mod man;
mod serve;
mod store;

use crate::{args::Command, context::Context, failure::Failure};

/// Runs what was asked for.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Export(args) => export::run(&args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Inspect(args) => inspect::run(&args, context),
        Command::Serve(args) => serve::run(&args, context),
        Command::Store(args) => store::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
