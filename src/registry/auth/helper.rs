//! Credential helpers: programs that keep credentials for docker (docker-credential-helpers, "Development").
//!
//! A verb is the argument; what it is about goes to standard input. They are programs of others, and may ask a person, or
//! a network, or hang: each gets a time, and then it and what it started are ended.

use std::{
    env,
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

use super::credential::{Credential, Error};

/// How long a helper may take; some ask the person for a passphrase.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Bytes of an answer; credentials have a few thousand at the most.
const LIMIT: u64 = 1 << 20;

/// What a helper calls the user of an identity token.
pub(super) const TOKEN_USER: &str = "<token>";

/// What `get` answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// The credentials that `helper` keeps for `server`, if it has any. Blocks.
pub(super) fn get(helper: &str, server: &str, patience: Duration) -> Result<Option<Credential>, Error> {
    let (status, answer) = run(helper, "get", server, patience)?;
    if !status.success() {
        if String::from_utf8_lossy(&answer).contains("credentials not found") {
            return Ok(None);
        }
        // What it printed may hold what it failed to hand over.
        return Err(failed(helper, "it ended with an error"));
    }
    let found: HelperAnswer =
        serde_json::from_slice(&answer).map_err(|_| failed(helper, "it does not speak docker's protocol"))?;
    Ok(match found {
        HelperAnswer { username, secret } if username.is_empty() && secret.is_empty() => None,
        HelperAnswer { username, secret } if username == TOKEN_USER => Some(Credential::IdentityToken(secret)),
        HelperAnswer { username, secret } => Some(Credential::Password { user: username, password: secret }),
    })
}

/// Lets `helper` do what has no answer. Blocks.
pub(super) fn tell(helper: &str, verb: &str, input: &str, patience: Duration) -> Result<(), Error> {
    let (status, _) = run(helper, verb, input, patience)?;
    if status.success() { Ok(()) } else { Err(failed(helper, &format!("{verb} ended with {status}"))) }
}

fn failed(helper: &str, reason: &str) -> Error {
    Error::Helper { helper: helper.to_owned(), reason: reason.to_owned() }
}

/// Whether a helper may see a variable of our environment. It is a program of somebody else: what is meant for airlift is
/// none of its business, and of the secrets of a cloud it gets those of its own.
fn may_see(helper: &str, variable: &str) -> bool {
    let name = helper.rsplit('/').next().unwrap_or(helper);
    let of = |prefix: &str, kind: &str| !variable.starts_with(prefix) || name.contains(kind);
    !variable.starts_with("AIRLIFT_")
        && !variable.starts_with("AZURE_STORAGE_")
        && of("AWS_", "ecr")
        && of("AZURE_", "acr")
}

fn run(helper: &str, verb: &str, input: &str, patience: Duration) -> Result<(ExitStatus, Vec<u8>), Error> {
    let unusable = |error: io::Error| failed(helper, &format!("it cannot be run: {error}"));
    let hidden = env::vars_os().map(|(name, _)| name).filter(|name| !may_see(helper, &name.to_string_lossy()));
    let mut command = Command::new(helper);
    for name in hidden {
        command.env_remove(name);
    }
    let child = command
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(unusable)?;
    let group = Pid::from_child(&child);
    let (done, ended) = mpsc::channel();
    let input = input.to_owned();
    // A thread of its own: neither writing nor reading nor waiting has a time-out.
    thread::spawn(move || done.send(converse(child, &input)));
    if let Ok(ended) = ended.recv_timeout(patience) {
        return ended.map_err(unusable);
    }
    // It has not ended, so its number is still its own. The thread sees the end and takes what is left of it.
    let _ = kill_process_group(group, Signal::KILL);
    Err(failed(helper, &format!("{verb} did not end within {} seconds", patience.as_secs_f32())))
}

fn converse(mut child: Child, input: &str) -> io::Result<(ExitStatus, Vec<u8>)> {
    if let Some(mut pipe) = child.stdin.take() {
        // A helper that ends without reading says so by its status.
        let _ = pipe.write_all(input.as_bytes());
    }
    let mut answer = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(LIMIT).read_to_end(&mut answer)?;
    }
    Ok((child.wait()?, answer))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Instant};

    use super::*;

    /// A helper that does what `script` says.
    fn helper(folder: &Path, script: &str) -> String {
        let path = folder.join("docker-credential-test");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_helper_is_asked_in_dockers_words() {
        let folder = tempfile::tempdir().unwrap();
        let get = |script: &str| get(&helper(folder.path(), script), "r.example", PATIENCE);
        let password = r#"read -r server; printf '{"ServerURL":"%s","Username":"me","Secret":"%s"}' "$server" "$1""#;
        let found = Credential::Password { user: "me".to_owned(), password: "get".to_owned() };
        assert_eq!(get(password).unwrap(), Some(found));
        let token = r#"echo '{"Username":"<token>","Secret":"identity"}'"#;
        assert_eq!(get(token).unwrap(), Some(Credential::IdentityToken("identity".to_owned())));
        assert_eq!(get("echo credentials not found in native keychain; exit 1").unwrap(), None);
        for bad in ["echo CANARY; exit 1", "echo CANARY", "yes CANARY"] {
            let error = get(bad).unwrap_err();
            assert!(error.to_string().contains("docker-credential-test"), "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        }
    }

    #[test]
    fn a_helper_sees_the_secrets_of_its_own_cloud_and_none_of_ours() {
        let sees = |helper: &str| {
            let variables =
                ["PATH", "AIRLIFT_PASSWORD", "AZURE_STORAGE_SAS_TOKEN", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET"];
            variables.into_iter().filter(|variable| may_see(helper, variable)).collect::<Vec<_>>()
        };
        assert_eq!(sees("docker-credential-pass"), ["PATH"]);
        assert_eq!(sees("docker-credential-ecr-login"), ["PATH", "AWS_SECRET_ACCESS_KEY"]);
        assert_eq!(sees("/opt/ecr/docker-credential-acr-env"), ["PATH", "AZURE_CLIENT_SECRET"]);
    }

    #[test]
    fn a_helper_that_never_ends_is_ended_with_what_it_started_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        // The child of the shell waits for a writer that never comes, not the shell itself.
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let helper = helper(folder.path(), &format!("(cat {}; true)", fifo.display()));
        for ask in [&|patience| get(&helper, "r.example", patience).map(drop), &|patience| {
            tell(&helper, "store", "{}", patience)
        }] as [&dyn Fn(Duration) -> Result<(), Error>; 2]
        {
            let error = ask(Duration::from_millis(300)).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("docker-credential-test") && text.contains("did not end within 0.3 seconds"),
                "{text}"
            );
        }
        // The pipe has no reader any more, so that it cannot be opened for writing without waiting for a reader.
        let writer = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        let deadline = Instant::now() + PATIENCE;
        let errno = loop {
            match rustix::fs::open(&fifo, writer, rustix::fs::Mode::empty()) {
                Ok(_reader) => assert!(Instant::now() < deadline, "the child of the helper still reads"),
                Err(errno) => break errno,
            }
            thread::yield_now();
        };
        assert_eq!(errno, rustix::io::Errno::NXIO);
    }
}
