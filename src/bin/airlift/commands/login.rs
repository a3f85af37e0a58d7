use airlift::registry::credentials::{self, Credential};
use serde_json::json;

use crate::{args::login::Args, context::Context, failure::CommandError, prompt, runtime};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let user = args.username.clone().map_or_else(|| prompt::name("Username"), Ok)?;
    let password = if args.password_stdin { prompt::password_from_stdin()? } else { prompt::password("Password")? };
    let client = context.client()?;
    // What does not work is not kept.
    runtime::run(async { Ok(client.login(&args.registry, &user, &password).await?) })?;
    let credential = Credential::Password { user, password };
    let path = credentials::store(context.authfile(), &args.registry, &credential)?;
    let answer = json!({"registry": args.registry, "file": path});
    context.answer(&answer, |_| format!("logged in to {}; kept by {}\n", args.registry, path.display()))
}
