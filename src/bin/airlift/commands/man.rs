use std::fs;

use clap::CommandFactory;

use crate::{
    args::{Cli, man::Args},
    failure::CommandError,
    mistake::Mistake,
};

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    let written = || {
        fs::create_dir_all(&args.folder)?;
        clap_mangen::generate_to(Cli::command(), &args.folder)
    };
    Ok(written().map_err(|source| Mistake::Write { path: args.folder.clone(), source })?)
}
