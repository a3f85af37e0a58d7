//! Secrets that a command prints: password managers and vaults of other makers.

use std::{process::Stdio, time::Duration};

use tokio::io::AsyncReadExt;

use super::{
    LIMIT, SecretReference,
    error::{Error, Result},
    local,
};
use crate::content::shell::{ProcessGroup, shell};

/// What `command` prints, run by the shell with nothing to read; what it says on stderr is thrown away.
pub(super) async fn output(command: &str, reference: &SecretReference, patience: Duration) -> Result<String> {
    let what = reference.to_string();
    let failed = |source| Error::Io { what: reference.to_string(), source };
    let mut shell = shell(command);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = shell.spawn().map_err(failed)?;
    let mut group = ProcessGroup::of(&child);
    let Some(stdout) = child.stdout.take() else {
        return Err(Error::Unfit { what, reason: "the command prints nowhere" });
    };
    let run = async {
        let mut value = Vec::new();
        stdout.take(LIMIT + 1).read_to_end(&mut value).await.map_err(failed)?;
        let value = local::text(value, &reference.to_string())?;
        Ok::<_, Error>((value, child.wait().await.map_err(failed)?))
    };
    let (value, status) = match tokio::time::timeout(patience, run).await {
        Ok(done) => done?,
        Err(_) => return Err(Error::Slow { what, patience }),
    };
    group.ended();
    if status.success() { Ok(value) } else { Err(Error::Command { what, status: status.to_string() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Code, Fault};

    async fn run(command: &str, patience: Duration) -> Result<String> {
        output(command, &SecretReference::Command("test".to_owned()), patience).await
    }

    const LONG: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn what_is_printed_is_the_secret_and_nothing_else_is_shown() {
        assert_eq!(run("printf one; echo noise >&2", LONG).await.unwrap(), "one");
        let error = run("echo CANARY; echo CANARY >&2; exit 3", LONG).await.unwrap_err();
        assert_eq!(error.code(), Code::SecretCommand);
        assert!(error.to_string().contains('3') && !format!("{error} {error:?}").contains("CANARY"), "{error:?}");
    }

    #[tokio::test]
    async fn time_and_output_have_limits() {
        let error = run("yes", LONG).await.unwrap_err();
        assert_eq!(error.code(), Code::SecretForm, "endless output ends");
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        // A reader that waits for a writer that never comes; the child of the shell, not the shell itself.
        let hang = format!("mkfifo {0} && (cat {0}; true)", fifo.display());
        let error = run(&hang, Duration::from_millis(300)).await.unwrap_err();
        assert_eq!(error.code(), Code::SecretCommand);
    }
}
