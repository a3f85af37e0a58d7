//! What to do next, for each token. docs/errors.md shows the same sentences.

use airlift::content::Code;

/// For a token that has no sentence yet; a test finds it.
const NONE: &str = "Run the same command with `--log debug` to see more.";

/// The next step after a failure of this kind.
#[expect(clippy::too_many_lines, reason = "one sentence a token, in one place")]
pub(crate) const fn of(code: Code) -> &'static str {
    use Code as C;
    match code {
        C::UsageReference => {
            "Write REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:HEX, such as docker.io/library/alpine:3; \
             repositories are lower case."
        }
        C::UsageTooManyArtifacts => "Raise the limit with `--max-artifacts N`, or split the list over several runs.",
        C::UsageArgument => "See `airlift help COMMAND` for what the command takes, with examples.",
        C::UsageFile => {
            "Check the path and the text of the file that is named; `airlift help COMMAND` shows the forms it may have."
        }
        C::UsageProxy => {
            "Write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, with characters such as @ and / in a password as %40 \
             and %2F, or unset the variable; socks is not spoken. NO_PROXY lists the hosts that are reached without it."
        }
        C::SecretReference => {
            "Write https://VAULT.vault.azure.net/secrets/NAME, env:NAME, file:PATH or exec:COMMAND; never the \
             secret itself."
        }
        C::SecretNotFound => {
            "Check the name, and the version if one is given (`az keyvault secret list --vault-name VAULT`); a \
             variable must be set where airlift runs, also in its service unit."
        }
        C::SecretRefused => {
            "Give the identity the right to get secrets: the role \"Key Vault Secrets User\" on the vault, or an access \
             policy with `get`; and let this machine through the vault's firewall."
        }
        C::SecretDisabled => {
            "Enable the secret (`az keyvault secret set-attributes --enabled true`), or name another version of it."
        }
        C::SecretExpired => "Store a fresh secret under the same name, or correct its dates in the vault.",
        C::SecretCredential => {
            "Give this machine a managed identity, or run `az login`, or name a user-assigned identity with \
             `--assign-identity`; the message says what was tried."
        }
        C::SecretUnreachable => {
            "Check the vault's name, the network and the proxy variables; a vault behind an authority of your own \
             needs `--ca-cert FILE`."
        }
        C::SecretVault => "Run the same command again later; `--log debug` shows more of the vault's answers.",
        C::SecretExposed => "Take the rights of others away: `chmod 600 FILE`, or 640 where a group must read it.",
        C::SecretForm => {
            "Store the shared access signature as it is (`sv=…&sig=…`), or the container's whole address with it."
        }
        C::SecretCommand => "Run the command by hand, as the user that airlift runs as; it gets 30 seconds.",
        C::RegistryUnreachable => {
            "Check the host's name, its port and the proxy variables (HTTPS_PROXY, NO_PROXY); a registry without \
             TLS needs `--plain-http HOST`."
        }
        C::RegistryTls => {
            "Give the registry's certificate authority with `--ca-cert FILE`; if it speaks no TLS, `--plain-http \
             HOST`; to go unverified, `--insecure`."
        }
        C::RegistryStalled | C::StorageStalled => {
            "Run the same command again, it continues where it stopped; a slow line is helped by `--jobs 1`."
        }
        C::RegistryUnauthorized => {
            "Run `airlift login REGISTRY`, or set AIRLIFT_USERNAME and AIRLIFT_PASSWORD, or name a file with \
             `--authfile FILE`."
        }
        C::RegistryDenied => {
            "The registry knows who you are and says no: ask for the right to the repository, or `airlift login \
             REGISTRY` as someone else."
        }
        C::RegistryCredentials => {
            "Repair the credential file or helper that is named, or go round it with `--authfile FILE` or \
             AIRLIFT_USERNAME and AIRLIFT_PASSWORD."
        }
        C::RegistryNotFound => {
            "Check the repository and the tag for mistakes; some registries answer so where the right to see is \
             missing: `airlift login REGISTRY`."
        }
        C::RegistryRateLimited => {
            "Wait, then run the same command again: it continues where it stopped. `airlift login REGISTRY` \
             raises most limits, `--jobs 1` asks more slowly."
        }
        C::RegistryServer => {
            "Run the same command again later: it continues where it stopped. `--log debug` shows the registry's \
             answers."
        }
        C::RegistryProtocol => {
            "Check that the host is a registry and that no proxy answers for it; `--log debug` shows the answers."
        }
        C::RegistryPolicy => {
            "The registry points to an address that it may not choose for us. If you trust that host, name it \
             with `--allow-host HOST`."
        }
        C::RegistryRefused => {
            "Read the registry's reason above; its limits on size, media types or immutable tags are set on its side."
        }
        C::RegistryForeignRefused => {
            "Allow layer URLs in the registry (distribution: `validation.manifests.urls.allow`), or import with \
             `--rewrite-foreign`, which changes digests."
        }
        C::RegistrySparseRefused => {
            "Export again without `--platform` so that the index is whole, or allow sparse indexes in the \
             registry (distribution 3: `validation.manifests.indexes.platforms`)."
        }
        C::ContentDigestMismatch => {
            "Run the same command again; if the digest is wrong once more, the source's copy is damaged, or \
             something on the way changes it."
        }
        C::ContentSizeMismatch => {
            "Run the same command again; if the size is wrong once more, the source's copy is damaged, or a proxy \
             cuts it."
        }
        C::ContentTooLarge => "The document is larger than any real one; check what the host serves under that name.",
        C::ContentShort => {
            "Run the same command again; if it ends early once more, the file or object is damaged where it lies."
        }
        C::UsageLocation => {
            "Write /path, ./path, az://ACCOUNT/CONTAINER/NAME, an Azure blob URL with its SAS, s3://BUCKET/KEY, gs://BUCKET/KEY, or -."
        }
        C::StorageUnreachable => {
            "Check the account's name, the network and the proxy variables (HTTPS_PROXY, NO_PROXY); for S3, AWS_ENDPOINT_URL and AWS_REGION; for Google, GOOGLE_BASE_URL and STORAGE_EMULATOR_HOST."
        }
        C::StorageNotFound => "Check the account, the container or bucket and the name for mistakes.",
        C::StorageChanged => {
            "Somebody wrote to the object meanwhile: run the same command again, it reads the new one from the start."
        }
        C::StoragePermission => {
            "Have a SAS issued with that permission: writing needs r, w and c, reading r, listing l, `--delete-source` d."
        }
        C::StorageExpired => {
            "Have a new SAS issued and run the same command with it: it continues where this one stopped."
        }
        C::StorageHttpsOnly => "Write the address with https://; the SAS was not sent.",
        C::StorageRefused => {
            "Of a SAS: check that it is for this very container and was copied whole, and that its key was not renewed. Of an identity: give it the role \"Storage Blob Data Contributor\" on the container (to read only, \"Storage Blob Data Reader\"), and check this machine's clock. Of both: the account's firewall."
        }
        C::StorageCredential => {
            "Give a SAS in the address or in AZURE_STORAGE_SAS_TOKEN, run `az login`, or run where a managed identity is (AZURE_CLIENT_ID names a user-assigned one); the message says what was tried. For S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for Google, GOOGLE_APPLICATION_CREDENTIALS."
        }
        C::StorageServer => {
            "Run the same command again later: it continues where it stopped. `--log debug` shows the storage's answers."
        }
        C::StorageProtocol => {
            "Check that the address is that of a storage and that no proxy answers for it; `--log debug` shows the answers."
        }
        C::StorageLimit => "Split the artifacts over several bundles, or make a set with `--volume-size`.",
        C::ContentNotFound => "Check what is there: `airlift inspect BUNDLE` lists a bundle's artifacts.",
        C::ManifestMalformed => {
            "The manifest is broken where it comes from: push the artifact there again with the tool that made it."
        }
        C::ManifestAmbiguous => {
            "Manifests that read as two things are refused because they can be used to deceive: push the artifact \
             again with a current tool."
        }
        C::ManifestSchema1 => {
            "Convert it at the source: pull it and push it again with a current tool, which writes schema 2 or OCI."
        }
        C::BundleUnknown => {
            "Check the path: a bundle is a tar of an OCI image layout, or such a folder; `airlift export` writes one."
        }
        C::BundleVersion => "Use the airlift that wrote the bundle, or a newer one.",
        C::BundleTruncated => {
            "Copy the bundle again with `airlift copy SRC DST`, which goes on where the copy ends and checks it."
        }
        C::BundleStructure => {
            "The file was changed after it was written: run `airlift verify BUNDLE` to see every finding, then \
             copy it again from a good one."
        }
        C::BundleEntry => "Do not use the file: no tool of ours writes such an entry. Ask where it comes from.",
        C::BundleSeal => {
            "Names in the bundle were changed after it was written: do not use it; copy it again from a good one."
        }
        C::BundleDigestMismatch | C::BundleSizeMismatch => {
            "Run `airlift verify BUNDLE` to see every finding, then copy the bundle again from a good one with \
             `airlift copy`."
        }
        C::BundleMissing => {
            "Run `airlift verify BUNDLE` to see what is missing; give the bundle, or the set of volumes, that has it."
        }
        C::BundleForeignEntry => {
            "Run `airlift verify BUNDLE`: the bundle holds more than its index names, so somebody added to it."
        }
        C::RecoveryNotFound => {
            "Give the folder that holds the `.recovery` files, or a file beside them; `airlift export --recovery 10%` or `airlift protect` makes them, while all is sound."
        }
        C::RecoveryMalformed => "Do not use the recovery file that is named: no tool of ours writes such a one.",
        C::RecoveryVersion => "Use the airlift that made the recovery data, or a newer one.",
        C::RecoveryDamaged => "Run `airlift repair` on it: recovery files are made anew from sound content.",
        C::RecoveryBeyond => {
            "Copy the files that are named again, as far as they can be read, into one folder and give all folders to `airlift repair`: each block is taken from wherever it is sound."
        }
        C::RecoveryUnproven => "Nothing was replaced. Copy the files again from a good source.",
        C::RecoveryStale => {
            "Remove the `.recovery` files that belong to another file of this name, or give the folder in which they belong."
        }
        C::RecoveryChanged => "Run the same command again once nobody writes to the file.",
        C::BundleVolumeMissing => {
            "Put the missing volumes beside the others or name them too; `airlift import --volume-prompt` asks for one after the other, \
             and `airlift export --only-volume N` makes one again."
        }
        C::BundleVolumeWrong => {
            "Put the volume that belongs to the set in its place; `airlift inspect FILE` says what a file is."
        }
        C::BundleSet => {
            "Run `airlift verify` on the volumes themselves: each tells what the set is; copy the manifest and SHA256SUMS again from a good set."
        }
        C::StoreVersion => "Use the airlift that wrote the store, or a newer one.",
        C::StoreDatabase => {
            "The store's disk or its database is damaged: look at the disk, then put the store back from a copy, or push what it held again."
        }
        C::StoreUpload => "Begin the upload again; blobs that are complete are not sent a second time.",
        C::ServeListen => {
            "Another program may use the port: choose an address of this machine and a free port with `--listen ADDR:PORT`."
        }
        C::OutputExists => "Give `--overwrite` to replace it, or another name.",
        C::OutputNotAFile => {
            "Name a file: in a folder, add the bundle's name; on a disk, mount it and name a file there; into a pipe, \
             write with `-o -`."
        }
        C::OutputSpace => {
            "Make room or choose another disk, then run the same command again: what has arrived is kept."
        }
        C::OutputFileLimit => {
            "Export in volumes with `--volume-size fat32`, or choose a destination with another file system, such as exFAT or ext4."
        }
        C::UsageVolumeSize => "Give a larger `--volume-size`: every volume carries the index and all manifests.",
        C::OutputBusy => "Wait until the other run has ended; if none runs, run the same command again.",
        C::IoRead => "Check the path, its permissions and the medium, then run the same command again.",
        C::IoWrite => {
            "Check that the folder exists and can be written and that the disk is not full, then run the same \
             command again."
        }
        C::CopyMismatch => {
            "The destination's medium did not keep what was written: use another one; the source is untouched."
        }
        C::PipelineInvalid => {
            "Correct what is listed and run the same command again; docs/azure-transfer.md shows each resource whole."
        }
        C::PipelineNotFound => {
            "`list` in the place of `show` names those that there are; the registry must be written as when it was created."
        }
        C::PipelineBusy => "Wait until it has ended, and see how far it is with `airlift pipeline-run show --watch`.",
        C::PipelineCatalogDigest => {
            "Do not use the bundle: it is not the one that was exported. Copy it again from where the digest is right."
        }
        C::PipelineState => {
            "Check the folder of the state (`--state DIR`) and its disk; what was written before is intact."
        }
        C::PipelineStateVersion => "Use the airlift that wrote the state, or a newer one.",
        C::TransferLimit => {
            "Leave attached artifacts out with `--no-referrers`, or look at the source: so many are rarely meant."
        }
        C::TransferTagMoved => {
            "Give `--overwrite-tags` to move the tag, or `--map FROM=TO` to import under another name."
        }
        C::TransferTagCollision => "Keep them apart with `--keep-host` or a `--map FROM=TO` for one of them.",
        C::TransferSubject => {
            "Mend what the artifact it belongs to failed with; both are tried again by the same command."
        }
        C::TransferPartial => {
            "The report names each artifact that failed, with its reason; `--report FILE` also writes a list to \
             run again with `-f`."
        }
        C::Interrupted => "Run the same command again: it continues where this one stopped, with what has arrived.",
        C::Internal => "This is a defect of airlift. Run the command again with `--log debug` and report what it says.",
        _ => NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_its_own_next_step() {
        let without: Vec<_> = Code::ALL.iter().filter(|&&code| of(code) == NONE).map(|code| code.token()).collect();
        assert!(without.is_empty(), "write a sentence in src/bin/airlift/hint.rs for {without:?}");
    }
}
