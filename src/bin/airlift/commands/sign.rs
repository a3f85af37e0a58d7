use std::path::Path;

use airlift::{
    content::Code,
    storage::Location,
    transfer::{
        Opened,
        companions::names,
        signing::{self, Placed, SigningError},
        vouch,
    },
    trust::{
        Statement, file,
        key::{Password, SigningKey},
        signature::{
            SignatureFormat, SignerCredential, minisign, sigstore,
            ssh::{Agent, SshKey, SshPrivateKey, sign_with_agent},
        },
    },
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::json;

use crate::{
    args::sign::{Args, Members},
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    prompt, runtime,
};

/// A signature that was made, and by whom.
struct Made {
    format: SignatureFormat,
    content: Vec<u8>,
    credential: Option<SignerCredential>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let bundle = artifacts::local(&args.bundle)?;
    let (base, mut draft) = runtime::run(async {
        let place = Location::Path(bundle.to_owned());
        let (opened, set) = Opened::survey(&place, &context.storage()).await?;
        let draft = vouch::statement(&opened, set.as_ref(), Timestamp::now())?;
        let base = vouch::named_after(&opened, set.as_ref())?;
        if let Some(set) = set {
            set.whole()?;
        }
        Ok::<_, CommandError>((base, draft))
    })?;
    let given = apply(&args.members, &mut draft)?;
    let path = names::statement(&base);
    if args.attach.is_some() && path.symlink_metadata().is_err() {
        let hint = "Run `airlift sign BUNDLE --statement-only` first, and sign the file that it writes.";
        return Err(CommandError::from(SigningError::NoStatement { path }).or_hint(Some(hint)));
    }
    let (statement, bytes) = signing::prepare(&path, &draft, given).map_err(|error| {
        let hint =
            "To make a new statement, delete this one and its signatures. To sign it as it is, leave out its members.";
        CommandError::from(error).hint_for(&[Code::OutputExists], hint)
    })?;
    // First the signature: a key that cannot be used leaves nothing behind.
    let made = make(args, &bytes)?;
    signing::put_statement(&statement, &bytes)?;
    let signature = match made {
        None => None,
        Some(Made { format, content, credential }) => {
            let made = (format, content.as_slice());
            let placed = signing::put_signature(&path, &bytes, made, args.label.as_ref(), credential.as_ref())
                .map_err(|error| {
                    let hint = "Choose another `--label`, or leave it out.";
                    CommandError::from(error).hint_for(&[Code::OutputExists], hint)
                })?;
            Some(placed)
        }
    };
    let answer = json!({
        "statement": statement.path(), "signature": signature.as_ref().map(Placed::path),
        "bundle": draft.bundle.id, "seal": draft.bundle.seal,
    });
    context.answer(&answer, |_| {
        let lines = [Some(&statement), signature.as_ref()].into_iter().flatten();
        lines
            .map(|placed| match placed {
                Placed::Written(path) => format!("{}\n", path.display()),
                Placed::Present(path) => format!("{}: already there\n", path.display()),
            })
            .collect()
    })
}

/// Puts the members of the command line into `statement`, and tells whether there are any.
fn apply(members: &Members, statement: &mut Statement) -> Result<bool, Mistake> {
    let before = statement.clone();
    statement.stream.clone_from(&members.stream);
    statement.sequence = members.sequence;
    statement.expires = members.expires.as_deref().map(moment).transpose()?;
    statement.authorised_by.clone_from(&members.authorised_by);
    statement.from.clone_from(&members.from);
    statement.to.clone_from(&members.to);
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

fn make(args: &Args, statement: &[u8]) -> Result<Option<Made>, CommandError> {
    let password = |file: &Path| {
        let file = file.to_owned();
        let from_stdin = args.password_stdin;
        move || prompt::key_password(&file, from_stdin)
    };
    if let Some(path) = &args.attach {
        let (format, content) = signing::read_signature(path, statement)?;
        return Ok(Some(Made { format, content, credential: None }));
    }
    if let Some(path) = &args.key {
        return Ok(Some(with_key(path, statement, password(path))?));
    }
    if let Some(path) = &args.ssh {
        let key = SshPrivateKey::open(path, password(path))?;
        let (content, credential) = (key.sign(statement)?, SignerCredential::Ssh(key.public()));
        return Ok(Some(Made { format: SignatureFormat::Ssh, content, credential: Some(credential) }));
    }
    if let Some(asked) = &args.agent {
        let mut agent = Agent::from_env()?;
        let key = agent_key(&mut agent, asked.as_deref())?;
        let content = sign_with_agent(&mut agent, &key, statement)?;
        let credential = Some(SignerCredential::Ssh(key));
        return Ok(Some(Made { format: SignatureFormat::Ssh, content, credential }));
    }
    Ok(None)
}

fn with_key(path: &Path, statement: &[u8], password: impl FnOnce() -> Option<Password>) -> Result<Made, CommandError> {
    if minisign::is_secret_key(&file::read_private(path)?) {
        let content = minisign::sign(statement, path, password)?;
        return Ok(Made { format: SignatureFormat::Minisign, content, credential: None });
    }
    let key = SigningKey::open(path, password)?;
    let credential = Some(SignerCredential::Key(key.public().clone()));
    Ok(Made { format: SignatureFormat::Sigstore, content: sigstore::sign(statement, &key)?, credential })
}

/// The key that was asked for, or the only one of the agent.
fn agent_key(agent: &mut Agent, asked: Option<&Path>) -> Result<SshKey, CommandError> {
    if let Some(path) = asked {
        return Ok(artifacts::read(path)?.parse()?);
    }
    let mut keys = agent.keys()?;
    match (keys.pop(), keys.is_empty()) {
        (Some((key, _)), true) => Ok(key),
        (last, _) => Err(Mistake::AgentKeys { count: keys.len() + usize::from(last.is_some()) }.into()),
    }
}
