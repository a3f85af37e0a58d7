//! The loopback registry, and the commands.

use std::{io, process::Stdio, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::oneshot,
};

use super::{command::CheckCommand, error::CheckError, refusal::RefusedArtifact};
use crate::{
    bundle::Reader,
    content::shell::{ProcessGroup, shell},
    oci::{Digest, Reference, Tag},
    server::{Changes, Config, Server},
};

/// Bytes of what a command says that are kept: the last ones.
const KEPT: usize = 4 << 10;

/// Lines of it that are shown.
const SHOWN: usize = 10;

/// Variables whose names begin so belong to airlift's own storages and registries.
const OURS: [&str; 5] = ["AIRLIFT_", "AWS_", "AZURE_", "GOOGLE_", "IDENTITY_"];

/// What is run for each artifact.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// The commands, in their order. The first that refuses an artifact is the last that sees it.
    pub commands: Vec<CheckCommand>,
    /// Artifacts that are checked at once; at least one.
    pub jobs: usize,
    /// How long one command may take.
    pub patience: Duration,
}

/// Runs the commands for each artifact of `bundle` that `is_meant`, and gives the refusals with the number of artifacts.
/// What is attached to an artifact is served with it, and is not checked by itself.
///
/// # Errors
/// The bundle cannot be served, or a command cannot be started.
pub async fn check(
    bundle: &Reader,
    settings: &CheckSettings,
    is_meant: impl Fn(&Reference) -> bool,
) -> Result<(Vec<RefusedArtifact>, usize), CheckError> {
    // Clients read layers by position, which those that are cut over volumes have only once they are in one piece.
    bundle.put_together().await?;
    let config = Config { changes: Changes::None, ..Config::bundles(vec![bundle.clone()]) };
    let server = Server::bind(config, "127.0.0.1:0").await?;
    let address = server.local_addr().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        // Dropped or used, it means the same.
        let _ = stopped.await;
    }));
    let roots = bundle.index().roots().iter().filter(|root| !root.reference.tag().is_some_and(Tag::is_of_attached));
    let roots: Vec<_> = roots.filter(|root| is_meant(&root.reference)).collect();
    let all = roots.len();
    let checks = roots.into_iter().map(|root| one(&address, &root.reference, root.descriptor.digest, settings));
    let found = stream::iter(checks).buffered(settings.jobs.max(1)).try_collect::<Vec<_>>().await;
    drop(stop);
    // It ends by itself; a client that holds on to it is not waited for.
    serving.abort();
    Ok((found?.into_iter().flatten().collect(), all))
}

async fn one(
    address: &str,
    artifact: &Reference,
    digest: Digest,
    settings: &CheckSettings,
) -> Result<Option<RefusedArtifact>, CheckError> {
    for command in &settings.commands {
        let text = command.of(address, artifact, &digest);
        let run = |source| CheckError::Run { command: command.to_string(), source };
        let (ended, lines) = match tokio::time::timeout(settings.patience, output(&text)).await {
            Ok(done) => match done.map_err(run)? {
                (status, _) if status.success() => continue,
                (status, lines) => (format!("ended with {status}"), lines),
            },
            Err(_) => (format!("did not end within {} s", settings.patience.as_secs()), Vec::new()),
        };
        return Ok(Some(RefusedArtifact { artifact: artifact.clone(), command: command.clone(), ended, lines }));
    }
    Ok(None)
}

/// How the command ended, and its last lines.
async fn output(command: &str) -> io::Result<(std::process::ExitStatus, Vec<String>)> {
    let mut shell = shell(command);
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| name.to_str().is_some_and(|name| OURS.iter().any(|our| name.starts_with(our)))) {
        shell.env_remove(name);
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn()?;
    let mut group = ProcessGroup::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, status) = tokio::join!(last_bytes(stdout), last_bytes(stderr), child.wait());
    let (stdout, stderr, status) = (stdout?, stderr?, status?);
    group.ended();
    // What went wrong is on stderr, if anything is.
    let said = if stderr.trim_ascii().is_empty() { stdout } else { stderr };
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    Ok((status, lines[lines.len().saturating_sub(SHOWN)..].to_vec()))
}

/// The last bytes of a stream, all of which is read.
async fn last_bytes(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return Ok(kept) };
    let mut buffer = [0; KEPT];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(kept);
        }
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
}
