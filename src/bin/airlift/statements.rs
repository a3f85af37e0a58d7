//! Statements as the commands make them: members of the command line, keys, and the words for what goes wrong.

use std::path::{Path, PathBuf};

use airlift::{
    content::Code,
    files::private::state_folder,
    transfer::signing::SigningError,
    trust::{Signer, Statement, key::Password},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{args::StatementMembers, failure::CommandError, mistake::Mistake, prompt};

const OTHER_MEMBERS: &str =
    "To make a new statement, delete this one and its signatures. To sign it as it is, leave out its members.";
const NO_STATEMENT: &str = "Run `airlift sign BUNDLE --statement-only` first, and sign the file that it writes.";

/// Puts the members of the command line into `statement`, and tells whether there are any.
pub(crate) fn apply(members: &StatementMembers, statement: &mut Statement) -> Result<bool, Mistake> {
    let before = statement.clone();
    statement.stream.clone_from(&members.stream);
    statement.sequence = members.sequence;
    statement.expires = members.expires.as_deref().map(moment).transpose()?;
    statement.authorised_by.clone_from(&members.authorised_by);
    statement.reason.clone_from(&members.reason);
    statement.marking.clone_from(&members.marking);
    Ok(*statement != before)
}

/// A time, or the beginning of a day in UTC.
fn moment(text: &str) -> Result<Timestamp, Mistake> {
    let day = |day: Date| day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>()
        .or_else(|error| text.parse::<Date>().map_or(Err(error), day))
        .map_err(|source| Mistake::Time { text: text.to_owned(), source })
}

/// The folder with the sequences that were sent and imported.
pub(crate) fn state(asked: Option<&Path>) -> Result<PathBuf, CommandError> {
    Ok(asked.map(Path::to_owned).map_or_else(state_folder, Ok)?)
}

/// The key in `file`; its password comes from where it may.
pub(crate) fn signer(file: &Path, password_from_stdin: bool) -> Result<Signer, CommandError> {
    let password = || -> Option<Password> { prompt::key_password(file, password_from_stdin) };
    Ok(Signer::open(file, password)?)
}

/// The failure, with what to do about it.
pub(crate) fn explained(error: SigningError) -> CommandError {
    let hint = match &error {
        SigningError::OtherMembers { .. } => Some(OTHER_MEMBERS),
        SigningError::NoStatement { .. } => Some(NO_STATEMENT),
        _ => None,
    };
    let other_label = "Choose another `--label`, or leave it out.";
    CommandError::from(error).hint_for(&[Code::OutputExists], other_label).or_hint(hint)
}
