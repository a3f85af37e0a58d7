use clap::CommandFactory;

use crate::{
    args::{Cli, completions::Args},
    failure::CommandError,
    output,
};

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "airlift", &mut script);
    output::print(&script)
}
