//! Programs that render a source: `helm`, and `kustomize` or `kubectl`.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    time,
};

/// Most output that is taken of a program, in bytes.
const MAX_OUTPUT: u64 = 64 << 20;

/// Most of its complaints that is shown, in bytes.
const MAX_COMPLAINT: u64 = 4 << 10;

/// How long a program may take.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Variables that a program gets of ours: where programs are, how text is encoded, which proxy to use. No credentials.
const ENVIRONMENT: [&str; 6] = ["PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Why a source was not rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// The program is not installed.
    #[error("{program} is not installed, so {} was not rendered", .source_path.display())]
    Missing {
        /// The program.
        program: &'static str,
        /// What was to be rendered.
        source_path: PathBuf,
    },
    /// The program cannot be run.
    #[error("{program} cannot be run on {}", .source_path.display())]
    Run {
        /// The program.
        program: &'static str,
        /// What was to be rendered.
        source_path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The program refused the source.
    #[error("{program} refuses {}: {complaint}", .source_path.display())]
    Refused {
        /// The program.
        program: &'static str,
        /// What was to be rendered.
        source_path: PathBuf,
        /// What it said.
        complaint: String,
    },
    /// The program took too long.
    #[error("{program} did not finish {} within {} seconds", .source_path.display(), TIMEOUT.as_secs())]
    Timeout {
        /// The program.
        program: &'static str,
        /// What was to be rendered.
        source_path: PathBuf,
    },
    /// The program wrote too much.
    #[error("{program} wrote more than {MAX_OUTPUT} bytes for {}", .source_path.display())]
    Output {
        /// The program.
        program: &'static str,
        /// What was to be rendered.
        source_path: PathBuf,
    },
}

/// How Helm is to render a chart.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HelmOptions {
    /// Files of values, the later ones stronger.
    pub values: Vec<PathBuf>,
    /// The version of Kubernetes that the chart is rendered for.
    pub kube_version: Option<String>,
    /// Further APIs that the cluster has.
    pub api_versions: Vec<String>,
}

/// The manifests of the chart at `chart`, hooks, tests and definitions of custom resources included.
pub async fn helm_template(chart: &Path, options: &HelmOptions) -> Result<String, ProgramError> {
    let program =
        find("helm").ok_or_else(|| ProgramError::Missing { program: "helm", source_path: chart.to_owned() })?;
    let mut arguments: Vec<OsString> = vec!["template".into(), "airlift".into(), chart.into(), "--include-crds".into()];
    for values in &options.values {
        arguments.extend(["--values".into(), values.into()]);
    }
    if let Some(version) = &options.kube_version {
        arguments.extend(["--kube-version".into(), version.into()]);
    }
    for api in &options.api_versions {
        arguments.extend(["--api-versions".into(), api.into()]);
    }
    run("helm", &program, &arguments, chart).await
}

/// The manifests of the kustomization in the folder `folder`.
pub async fn kustomize_build(folder: &Path) -> Result<String, ProgramError> {
    let by_itself = find("kustomize").map(|program| (program, "build"));
    let found = by_itself.or_else(|| find("kubectl").map(|program| (program, "kustomize")));
    let Some((program, verb)) = found else {
        return Err(ProgramError::Missing { program: "kustomize (or kubectl)", source_path: folder.to_owned() });
    };
    run("kustomize", &program, &[verb.into(), folder.into()], folder).await
}

/// The program `name` in one of the folders of `PATH`.
fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

async fn run(
    name: &'static str,
    program: &Path,
    arguments: &[OsString],
    source: &Path,
) -> Result<String, ProgramError> {
    let failed = |error| ProgramError::Run { program: name, source_path: source.to_owned(), source: error };
    let home = tempfile::tempdir().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", home.path()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, env::var_os(name)?))));
    let mut child = command.spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finished = time::timeout(TIMEOUT, async {
        let (output, complaint) = tokio::join!(bounded(stdout, MAX_OUTPUT + 1), bounded(stderr, MAX_COMPLAINT));
        Ok((output?, complaint?, child.wait().await?))
    });
    let (output, complaint, status) = match finished.await {
        Ok(result) => result.map_err(failed)?,
        Err(_) => return Err(ProgramError::Timeout { program: name, source_path: source.to_owned() }),
    };
    if output.len() as u64 > MAX_OUTPUT {
        return Err(ProgramError::Output { program: name, source_path: source.to_owned() });
    }
    if !status.success() {
        let complaint = String::from_utf8_lossy(&complaint);
        // What went wrong comes last; notices come before it.
        let complaint = complaint.find("Error: ").map_or(&*complaint, |at| &complaint[at + "Error: ".len()..]);
        let complaint =
            complaint.split_whitespace().collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).collect();
        return Err(ProgramError::Refused { program: name, source_path: source.to_owned(), complaint });
    }
    String::from_utf8(output).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// The first `most` bytes of a stream. The rest is read too where that ends soon, so that the program is not stopped by a
/// full pipe.
async fn bounded(stream: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(mut stream) = stream else { return Ok(bytes) };
    (&mut stream).take(most).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream.take(MAX_OUTPUT), &mut tokio::io::sink()).await?;
    Ok(bytes)
}
