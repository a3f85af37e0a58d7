use std::path::PathBuf;

use airlift::transfer::choice::NamePattern;

/// Write the files of an artifact into a folder.
///
/// The artifact is one that `airlift export file:PATH` or `oras push` made. airlift writes only names below the folder, follows no link
/// out of it and never replaces a file. All files appear together, after all of them were verified.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  airlift extract bundle.tar files/setup.sh -o tools
  airlift extract bundle.tar registry.example.com/team/tools:v2 -o /opt/tools")]
pub(crate) struct Args {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The artifact, with or without its registry and tag.
    #[arg(value_name = "ARTIFACT")]
    pub(crate) artifact: NamePattern,
    /// The folder for the files. airlift creates it if it is not there.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) packed: super::PackedRead,
}
