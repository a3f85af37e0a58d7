use std::path::Path;

use airlift::{
    storage::Location,
    transfer::{
        Opened,
        signing::{self, Placed, SignBy, SignedStatement},
        vouch,
    },
    trust::{
        Signer,
        signature::ssh::{Agent, SshKey},
    },
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    args::sign::Args,
    artifacts,
    context::Context,
    failure::CommandError,
    mistake::Mistake,
    runtime,
    statements::{self, apply, explained},
};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let path = artifacts::local(&args.bundle)?;
    let mut key = signer(args)?;
    let by = match (&mut key, &args.attach) {
        (Some(key), _) => SignBy::Signer(key),
        (None, Some(path)) => SignBy::File(path),
        (None, None) => SignBy::Nobody,
    };
    if is_json(path) {
        let signature = signing::sign_file(path, by, args.label.as_ref()).map_err(explained)?;
        let answer = json!({"signed": path, "signature": signature.as_ref().map(Placed::path)});
        return context.answer(&answer, |_| signature.iter().map(line).collect());
    }
    let signed = bundle(path, args, by, context)?;
    let SignedStatement { statement, placed, signature, .. } = &signed;
    let answer = json!({
        "statement": placed.path(), "signature": signature.as_ref().map(Placed::path),
        "bundle": statement.bundle.id, "seal": statement.bundle.seal,
    });
    context.answer(&answer, |_| std::iter::once(placed).chain(signature).map(line).collect())
}

fn bundle(path: &Path, args: &Args, by: SignBy<'_>, context: &Context) -> Result<SignedStatement, CommandError> {
    let (base, mut draft) = runtime::run(async {
        let (opened, set) = Opened::survey(&Location::Path(path.to_owned()), &context.storage()).await?;
        let draft = vouch::statement(&opened, set.as_ref(), Timestamp::now())?;
        let base = vouch::named_after(&opened, set.as_ref())?;
        if let Some(set) = set {
            set.whole()?;
        }
        Ok::<_, CommandError>((base, draft))
    })?;
    draft.from.clone_from(&args.from);
    draft.to.clone_from(&args.to);
    let given = apply(&args.members, &mut draft)? || args.from.is_some() || args.to.is_some();
    let state = statements::state(args.members.state.as_deref());
    // Only a stream needs the state.
    let state = if draft.stream.is_some() { state? } else { state.unwrap_or_default() };
    signing::sign(&base, &draft, given, by, args.label.as_ref(), &state).map_err(explained)
}

/// Whether the file is JSON, and so not a bundle.
fn is_json(path: &Path) -> bool {
    use std::io::Read as _;

    let mut first = [0];
    path.is_file()
        && std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut first).is_ok())
        && first == *b"{"
}

fn line(placed: &Placed) -> String {
    match placed {
        Placed::Written(path) => format!("{}\n", path.display()),
        Placed::Present(path) => format!("{}: already there\n", path.display()),
    }
}

fn signer(args: &Args) -> Result<Option<Signer>, CommandError> {
    if let Some(path) = args.key.as_ref().or(args.ssh.as_ref()) {
        return Ok(Some(statements::signer(path, args.password_stdin)?));
    }
    let Some(asked) = &args.agent else { return Ok(None) };
    let mut agent = Agent::from_env()?;
    let key = agent_key(&mut agent, asked.as_deref())?;
    Ok(Some(Signer::Agent(agent, key)))
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
