use std::path::PathBuf;

use airlift::transfer::companions::names::Label;
use clap::ArgGroup;

use super::StatementMembers;

/// Say in a signed statement what a bundle is for and who is responsible for it.
///
/// The statement is BUNDLE.transfer.json, and the signature a file beside it. The bundle does not change. If there is a
/// statement already, sign adds a signature to it. Each signer, or each tool, adds one.
///
/// Of a JSON file, such as a receipt, the file itself is signed: the signature is FILE.sigstore.json.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("how").required(true))]
#[command(after_help = "\
Examples:
  airlift sign update.tar --key ops.key --stream hq/site-7 --authorised-by 'A. Ops'
  airlift sign update.tar --ssh ~/.ssh/id_ed25519
  airlift sign update.tar --statement-only
  openssl cms -sign -binary -signer me.pem -inkey me.key -in update.tar.transfer.json -outform DER -out me.p7s
  airlift sign update.tar --attach me.p7s
  airlift sign receipt.json --key site.key")]
pub(crate) struct Args {
    /// The bundle, or any file of a set, or a JSON file, on this machine.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Sign with this private key: of `airlift keygen`, openssl (PEM), cosign, minisign or ssh-keygen.
    #[arg(long, value_name = "FILE", group = "how")]
    pub(crate) key: Option<PathBuf>,
    /// Sign with this SSH private key.
    #[arg(long, value_name = "FILE", group = "how")]
    pub(crate) ssh: Option<PathBuf>,
    /// Sign with a key of the SSH agent: with the only one, or the one of this .pub file.
    #[arg(long, value_name = "FILE", group = "how", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "given, given with a value, or neither")]
    pub(crate) agent: Option<Option<PathBuf>>,
    /// Write the statement and no signature, to sign it with another program.
    #[arg(long, group = "how")]
    pub(crate) statement_only: bool,
    /// Add a signature that another program made over the statement.
    #[arg(long, value_name = "FILE", group = "how")]
    pub(crate) attach: Option<PathBuf>,
    /// Tell the signature apart from others of the same kind in its file name [default: 2, 3, …]
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<Label>,
    /// Read the password of the key from stdin. Without this, `AIRLIFT_KEY_PASSWORD` has it, or airlift asks for it.
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) members: StatementMembers,
    /// Where the bundle comes from.
    #[arg(long, value_name = "TEXT", help_heading = "Statement")]
    pub(crate) from: Option<String>,
    /// Where the bundle goes.
    #[arg(long, value_name = "TEXT", help_heading = "Statement")]
    pub(crate) to: Option<String>,
}
