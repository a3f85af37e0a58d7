use clap::CommandFactory;

use crate::{
    args::{Cli, completions::Args},
    failure::Failure,
    output,
};

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "airlift", &mut script);
    output::print(&script)
}
