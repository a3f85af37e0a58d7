use airlift::registry::credentials;
use serde_json::json;

use crate::{args::logout::Args, context::Context, failure::CommandError};

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let known = credentials::erase(context.authfile(), &args.registry)?;
    let answer = json!({"registry": args.registry, "removed": known});
    context.answer(&answer, |_| {
        let registry = &args.registry;
        if known { format!("logged out of {registry}\n") } else { format!("nothing was kept for {registry}\n") }
    })
}
