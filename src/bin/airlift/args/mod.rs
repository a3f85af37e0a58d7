//! The arguments as typed. Shapes and help texts only: `context` and each command decide what they mean.

pub(crate) mod abandon;
pub(crate) mod apply;
mod checks;
pub(crate) mod chosen;
pub(crate) mod completions;
pub(crate) mod copy;
pub(crate) mod delta;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod export;
pub(crate) mod export_pipeline;
pub(crate) mod extract;
pub(crate) mod find;
pub(crate) mod global;
pub(crate) mod head;
pub(crate) mod import;
pub(crate) mod import_pipeline;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod mirror;
pub(crate) mod mirror_config;
pub(crate) mod pack;
mod packed;
pub(crate) mod pipeline;
pub(crate) mod pipeline_run;
pub(crate) mod plan;
pub(crate) mod protect;
pub(crate) mod record;
mod renamed;
pub(crate) mod repair;
pub(crate) mod seal;
pub(crate) mod serve;
mod sharded;
pub(crate) mod sign;
pub(crate) mod store;
mod transfer;
mod trust;
pub(crate) mod unpack;
pub(crate) mod verify;
pub(crate) mod watch;

use clap::{Parser, Subcommand};

pub(crate) use checks::Checks;
pub(crate) use chosen::Chosen;
use global::Global;
pub(crate) use packed::PackedRead;
pub(crate) use renamed::Renamed;
pub(crate) use sharded::Sharded;
pub(crate) use transfer::{Jobs, Transfer};
pub(crate) use trust::{RecordTo, StatementMembers, TrustArgs};

/// Carries OCI artifacts across an air gap.
///
/// airlift packs container images and every other OCI artifact from a registry into one bundle file. On the other side it
/// verifies the bundle and pushes the artifacts to the registry there, or serves them itself.
#[derive(Debug, Parser)]
#[command(name = "airlift", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES, subcommand_help_heading = "Commands")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0 done  1 failed  2 usage  3 some artifacts failed  4 content did not verify
  5 not authorised  130 interrupted

To resume a run that was interrupted or failed, run the same command again.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Find(find::Args),
    Export(export::Args),
    Plan(plan::Args),
    Seal(seal::Args),
    Extract(extract::Args),
    Inspect(inspect::Args),
    Verify(verify::Args),
    Protect(protect::Args),
    Repair(repair::Args),
    Copy(copy::Args),
    Pack(pack::Args),
    Unpack(unpack::Args),
    Diff(diff::Args),
    Head(head::Args),
    Abandon(abandon::Args),
    Sign(sign::Args),
    Import(import::Args),
    Load(load::Args),
    Serve(serve::Args),
    ExportPipeline(export_pipeline::Args),
    ImportPipeline(import_pipeline::Args),
    PipelineRun(pipeline_run::Args),
    Watch(watch::Args),
    Apply(apply::Args),
    Mirror(mirror::Args),
    MirrorConfig(mirror_config::Args),
    Store(store::Args),
    Demo(demo::Args),
    Keygen(keygen::Args),
    Record(record::Args),
    Login(login::Args),
    Logout(logout::Args),
    Completions(completions::Args),
    Man(man::Args),
}
