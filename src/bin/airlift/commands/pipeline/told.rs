//! Failures of pipelines as people meet them: with every problem, every artifact, and the next step in a pipeline's words.

use airlift::{
    content::{Code, Fault},
    pipeline::{Error, Record, Status},
};

use crate::failure::CommandError;

/// A run that ended badly, now or when it was done.
#[derive(Debug, thiserror::Error)]
#[error("the run {name} {}: {message}", if *.partly { "succeeded in part" } else { "failed" })]
struct EndedRun {
    name: String,
    message: String,
    partly: bool,
    code: Code,
}

impl Fault for EndedRun {
    fn code(&self) -> Code {
        self.code
    }
}

/// What the library could not do.
pub(super) fn failure(error: Error) -> CommandError {
    let problems = match &error {
        Error::Invalid { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let hint = hint(error.code());
    CommandError::from(error).details(problems).or_hint(hint)
}

/// What a run failed of, if it did.
pub(super) fn ended(record: &Record) -> Option<CommandError> {
    let response = &record.response;
    let partly = match response.status {
        Status::Failed => false,
        Status::PartiallySucceeded => true,
        _ => return None,
    };
    let token = response.error_token.as_deref().unwrap_or_default();
    let code = Code::ALL.iter().copied().find(|code| code.token() == token).unwrap_or(Code::Internal);
    let message = response.pipeline_run_error_message.clone().unwrap_or_default();
    let artifact = |artifact: &airlift::pipeline::response::ArtifactResult| {
        let (reason, token) = (artifact.reason.as_ref()?, artifact.token.as_ref()?);
        Some(format!("{}: {reason} [{token}]", artifact.name))
    };
    let details = response.artifacts.iter().filter_map(artifact).collect();
    let failure = CommandError::from(EndedRun { name: record.run.name.clone(), message, partly, code });
    Some(failure.details(details).or_hint(hint(code)))
}

/// The next step where a pipeline has another than the command line.
const fn hint(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::UsageTooManyArtifacts => {
            "Split the artifacts over several runs, or lift the pipeline's limit: `export-pipeline create … --max-artifacts N`."
        }
        Code::OutputExists => {
            "Give the run another --storage-blob, or the pipeline the option OverwriteBlobs; then run it with --force-redeploy."
        }
        Code::TransferTagMoved => {
            "Give the pipeline the option OverwriteTags to move the tag, then run it with --force-redeploy."
        }
        Code::StoragePermission => {
            "Have a SAS issued with it (an export needs read, write, create and list; an import read and list, and delete \
             for DeleteSourceBlobOnSuccess), keep it under the same secret, and run with --force-redeploy."
        }
        Code::StorageExpired => {
            "Have a new SAS issued, keep it under the same secret, and run with --force-redeploy: what arrived is not sent again."
        }
        Code::StorageRefused => {
            "Check that the SAS is for this container and was kept whole, that an account SAS allows service, container and \
             object (srt=sco), and the account's firewall; with ManagedIdentity, give the identity the role \"Storage Blob \
             Data Contributor\" on the container; then run with --force-redeploy."
        }
        Code::StorageNotFound => {
            "Check the container in the pipeline's uri and the bundle's name (--storage-blob); then run with --force-redeploy."
        }
        Code::StorageCredential => {
            "Check what the pipeline's keyVaultUri names: it must hold a whole SAS token; with ManagedIdentity, run where \
             the identity is."
        }
        Code::RegistryNotFound => {
            "Check the spelling of the artifacts, repo:tag or repo@sha256:…, and the right to read them; then run with \
             --force-redeploy, or give the pipeline the option ContinueOnErrors."
        }
        Code::RegistryForeignRefused => {
            "Allow layer URLs in the registry (distribution: `validation.manifests.urls.allow`), or import this bundle by \
             hand: `airlift import --rewrite-foreign`."
        }
        Code::TransferPartial => {
            "The run names each artifact that failed, with its reason; run it again with --force-redeploy once that is mended."
        }
        _ => return None,
    })
}
