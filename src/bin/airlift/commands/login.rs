use airlift::{
    content::Code,
    registry::credentials::{self, Credential},
};
use serde_json::json;

use crate::{
    args::{Jobs, login::Args},
    context::Context,
    failure::CommandError,
    prompt, runtime,
};

const REFUSED: &str = "The registry does not take this user with this password; nothing was stored. Check both, and whether the registry wants an \
    access token instead of the password. To send one without typing it, add `--password-stdin < FILE`.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let user = args.username.clone().map_or_else(|| prompt::name("Username"), Ok)?;
    let password = if args.password_stdin { prompt::password_from_stdin()? } else { prompt::password("Password")? };
    let client = context.client(Jobs::default())?;
    // What does not work is not kept.
    let tried = runtime::run(async { Ok(client.login(&args.registry, &user, &password).await?) });
    tried.map_err(|failure| failure.hint_for(&[Code::RegistryUnauthorized, Code::RegistryDenied], REFUSED))?;
    let credential = Credential::Password { user, password };
    let path = credentials::store(context.authfile(), &args.registry, &credential)?;
    let answer = json!({"registry": args.registry, "file": path});
    context.answer(&answer, |_| format!("logged in to {}; kept by {}\n", args.registry, path.display()))
}
