//! What is done: each command builds its options, makes one library call and renders the answer.

mod abandon;
mod checked;
mod completions;
mod copy;
mod demo;
mod diff;
mod export;
mod extract;
mod find;
mod guarded;
mod head;
mod import;
mod inspect;
mod keygen;
mod load;
mod login;
mod logout;
mod man;
mod mirror;
mod mirror_config;
mod pack;
mod pipeline;
mod plan;
mod protect;
mod record;
mod repair;
mod seal;
mod serve;
mod sign;
mod store;
mod unpack;
mod verify;
mod watch;

use crate::{args::Command, context::Context, failure::CommandError};

/// Runs what was asked for.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), CommandError> {
    match command {
        Command::Find(args) => find::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Plan(args) => plan::run(&args, context),
        Command::Seal(args) => seal::run(&args, context),
        Command::Extract(args) => extract::run(&args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Sign(args) => sign::run(&args, context),
        Command::Keygen(args) => keygen::run(&args, context),
        Command::Record(args) => record::run(&args, context),
        Command::Load(args) => load::run(&args, context),
        Command::Login(args) => login::run(&args, context),
        Command::Logout(args) => logout::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Protect(args) => protect::run(&args, context),
        Command::Repair(args) => repair::run(&args, context),
        Command::Diff(args) => diff::run(&args, context),
        Command::Head(args) => head::run(&args, context),
        Command::Copy(args) => copy::run(&args, context),
        Command::Pack(args) => pack::run(&args, context),
        Command::Unpack(args) => unpack::run(&args, context),
        Command::Abandon(args) => abandon::run(&args, context),
        Command::Inspect(args) => inspect::run(&args, context),
        Command::ExportPipeline(args) => pipeline::export::run(&args, context),
        Command::ImportPipeline(args) => pipeline::import::run(&args, context),
        Command::PipelineRun(args) => pipeline::run::run(&args, context),
        Command::Apply(args) => pipeline::apply::run(&args, context),
        Command::Serve(args) => serve::run(&args, context),
        Command::Mirror(args) => mirror::run(&args, context),
        Command::MirrorConfig(args) => mirror_config::run(&args, context),
        Command::Store(args) => store::run(&args, context),
        Command::Demo(args) => demo::run(&args, context),
        Command::Watch(args) => watch::run(&args, context),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
