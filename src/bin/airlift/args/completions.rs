use clap_complete::Shell;

/// Print a completion script for your shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift completions bash > /etc/bash_completion.d/airlift
  airlift completions zsh > \"${fpath[1]}/_airlift\"")]
pub(crate) struct Args {
    pub(crate) shell: Shell,
}
