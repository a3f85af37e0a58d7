use std::{ffi::OsString, path::PathBuf};

use airlift::{
    content::Code,
    trust::{file, key::SigningKey},
};
use serde_json::json;

use crate::{args::keygen::Args, context::Context, failure::CommandError, prompt};

const OTHER_NAME: &str = "Choose another name: a key that exists is never replaced.";

pub(crate) fn run(args: &Args, context: &Context) -> Result<(), CommandError> {
    let named = |extension: &str| {
        let mut name = OsString::from(&args.output);
        name.push(extension);
        PathBuf::from(name)
    };
    let (private, public) = (named(".key"), named(".pub"));
    if public.symlink_metadata().is_ok() {
        return Err(CommandError::from(file::FileError::Exists { path: public }).or_hint(Some(OTHER_NAME)));
    }
    let password = args.encrypt.then(prompt::new_key_password).transpose()?;
    let key = SigningKey::generate()?;
    let pem = key.to_pem(password.as_ref())?;
    file::create(&private, 0o600, pem.as_bytes())
        .map_err(|error| CommandError::from(error).hint_for(&[Code::OutputExists], OTHER_NAME))?;
    file::create(&public, 0o644, key.public().to_pem()?.as_bytes())?;
    let answer = json!({"private": private, "public": public, "fingerprint": key.public().fingerprint()});
    context.answer(&answer, |_| {
        let fingerprint = key.public().fingerprint();
        format!(
            "{}: keep it secret\n{}: give it to the receivers\nfingerprint {fingerprint}\n",
            private.display(),
            public.display()
        )
    })
}
