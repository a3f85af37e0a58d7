//! The next step for each token. docs/errors.md shows the same sentences.

use airlift::content::Code;

/// The hint of a token that has no sentence yet. A test finds it.
const NONE: &str = "Run the same command with `--log debug` to see more.";

/// Returns the next step after a failure of this kind.
#[expect(clippy::too_many_lines, reason = "one sentence a token, in one place")]
pub(crate) const fn of(code: Code) -> &'static str {
    use Code as C;
    match code {
        C::UsageReference => {
            "Write REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:HEX, such as docker.io/library/alpine:3. Repositories are lower case."
        }
        C::UsageTooManyArtifacts => "Raise the limit with `--max-artifacts N`, or split the list over several runs.",
        C::UsageArgument => "Run `airlift help COMMAND` to see the arguments of the command, with examples.",
        C::UsageFile => "Check the path and the content of the file. `airlift help COMMAND` shows its format.",
        C::UsageListUnsupported => {
            "Remove the line from the list, or do what it asks for in another way. `airlift find LIST` reads the rest of the list and names every such line."
        }
        C::UsageListQuery => {
            "Look the tags up with `airlift find LIST --pin > artifacts.txt`, then export with `-f artifacts.txt`."
        }
        C::PackageChanged => {
            "Run the same command again once nothing writes to the file, or make a copy of it and name the copy."
        }
        C::PackageEntry => {
            "Remove it from the folder, or pack the folder yourself, such as with `tar -cf FOLDER.tar FOLDER`, and name the archive."
        }
        C::PackageName => "Name the artifact yourself: `file:PATH=REPOSITORY:TAG`.",
        C::PackageArchive => "Save the image again: `docker save -o FILE NAME` or `podman save -o FILE NAME`.",
        C::LoadNoImage => {
            "`airlift inspect BUNDLE --tree` shows the artifacts and their platforms. Charts and files are for `airlift import` and `airlift extract`; `--platform P` loads images of another platform."
        }
        C::LoadNothing => "`airlift inspect BUNDLE --tree` shows the platforms; choose one with `--platform OS/ARCH`.",
        C::LoadMismatch => {
            "Run the same command again. If it fails again, remove the image from the runtime, and check the bundle with `airlift verify BUNDLE`."
        }
        C::ProgramMissing => "Install the program, or add its folder to PATH.",
        C::ProgramFailed => "Read the program's own words above, and run the same command of it yourself.",
        C::PackageTwice => "Rename one of the files, or give it an artifact of its own: `file:PATH=REPOSITORY:TAG`.",
        C::ChartMalformed => {
            "Check the address: `#` stands between the repository and the chart, and REPOSITORY/index.yaml must be the repository's index. A chart on this machine is `chart:PATH`."
        }
        C::ChartNotFound => "Name a chart and a version, or a range of versions such as ^1.2, that the repository has.",
        C::ChartDigest => {
            "Do not use this chart: the repository's files do not belong together. Its owner must make the index anew, or the chart was changed on the way."
        }
        C::ExtractUnsafe => {
            "Do not trust this artifact: its maker may want to harm this machine. `airlift inspect BUNDLE --tree` shows what it consists of."
        }
        C::ExtractNoFiles => {
            "Use another program for it: an image is for `airlift import` or `airlift serve`. `airlift inspect BUNDLE` lists all artifacts."
        }
        C::FindIncomplete => {
            "Read the remarks above. The artifacts that were found are printed; add the missing ones to the list yourself."
        }
        C::FindNowhere => {
            "Run the same command without `--why` to see everything that was found. Guesses are listed too."
        }
        C::FindArchive => {
            "Name a chart as `helm package` makes it, a chart's folder, or an oci:// reference of a chart."
        }
        C::UsageProxy => {
            "Write http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, or unset the variable. Write characters such as @ and / in a password as %40 and %2F. SOCKS proxies are not supported. NO_PROXY lists the hosts to reach without a proxy."
        }
        C::SecretReference => {
            "Write https://VAULT.vault.azure.net/secrets/NAME, env:NAME, file:PATH or exec:COMMAND, and never the secret itself."
        }
        C::SecretNotFound => {
            "Check the name, and the version if you gave one (`az keyvault secret list --vault-name VAULT`). A variable must be set in the environment of airlift, for example in its service unit."
        }
        C::SecretRefused => {
            "Allow the identity to read secrets: give it the role \"Key Vault Secrets User\" on the vault, or an access policy with `get`. Also allow this machine in the vault's firewall."
        }
        C::SecretDisabled => {
            "Enable the secret (`az keyvault secret set-attributes --enabled true`), or name another version of it."
        }
        C::SecretExpired => "Store a new secret under the same name, or correct its dates in the vault.",
        C::SecretCredential => {
            "Give this machine a managed identity, run `az login`, or name a user-assigned identity with `--assign-identity`. The message lists what airlift tried."
        }
        C::SecretUnreachable => {
            "Check the vault's name, the network and the proxy variables. If your own certificate authority signs the vault's certificate, add `--ca-cert FILE`."
        }
        C::SecretVault => "Run the same command again later. `--log debug` shows more of the vault's answers.",
        C::SecretExposed => "Restrict the file's permissions: `chmod 600 FILE`, or 640 if a group must read it.",
        C::SecretForm => {
            "Store the shared access signature as Azure shows it (`sv=…&sig=…`), or the whole container URL that contains it."
        }
        C::SecretCommand => {
            "Run the command yourself as the user that runs airlift, and check that it prints the secret within 30 seconds."
        }
        C::RegistryUnreachable => {
            "Check the host name, the port and the proxy variables (HTTPS_PROXY, NO_PROXY). If the registry does not use TLS, add `--plain-http HOST`."
        }
        C::RegistryTls => {
            "Add `--ca-cert FILE` with the certificate authority of the registry. If the registry does not use TLS, add `--plain-http HOST`. To skip the verification of certificates, add `--insecure`."
        }
        C::RegistryStalled | C::StorageStalled => {
            "Run the same command again to resume. On a slow line, add `--jobs 1`."
        }
        C::RegistryUnauthorized => {
            "Check the user and the password, then run `airlift login REGISTRY`, set AIRLIFT_USERNAME and AIRLIFT_PASSWORD, or add `--authfile FILE`."
        }
        C::RegistryDenied => {
            "Ask the owner of the registry for access to the repository, or run `airlift login REGISTRY` as another user."
        }
        C::RegistryCredentials => {
            "Repair the credential file or helper that the message names. To use other credentials, add `--authfile FILE` or set AIRLIFT_USERNAME and AIRLIFT_PASSWORD."
        }
        C::RegistryNotFound => {
            "Check the spelling of the repository and the tag. Some registries also answer this if you may not see the repository: then run `airlift login REGISTRY`."
        }
        C::RegistryRateLimited => {
            "Wait, then run the same command again to resume. `airlift login REGISTRY` raises most limits, and `--jobs 1` sends fewer requests at a time."
        }
        C::RegistryServer => "Run the same command again later to resume. `--log debug` shows the registry's answers.",
        C::RegistryProtocol => {
            "Check the host and the port: something that is not a registry answers there. It may be the registry's web page on another port, or a proxy that wants a login. `--log debug` shows the answers."
        }
        C::RegistryPolicy => {
            "The registry leads to an address that airlift does not follow by itself. If you trust that host, add `--allow-host HOST`."
        }
        C::RegistryRefused => {
            "Read the registry's reason above. Its owner sets its limits on size, media types and immutable tags."
        }
        C::RegistryForeignRefused => {
            "Allow layer URLs in the registry (distribution: `validation.manifests.urls.allow`), or import with `--rewrite-foreign`, which changes digests."
        }
        C::RegistrySparseRefused => {
            "Export again without `--platform` so that the index is complete, or allow sparse indexes in the registry (distribution 3: `validation.manifests.indexes.platforms`)."
        }
        C::RegistryNotStored => {
            "Check that the address is the registry itself and not a proxy that answers for it, and that no rule of \
             the registry removes or replaces the tag."
        }
        C::RegistryNoRepository => {
            "Create the repository in the registry first (ECR: `aws ecr create-repository --repository-name NAME`, \
             or a repository creation template), then run the same command again."
        }
        C::RegistryTagImmutable => {
            "The registry keeps this tag as it is: put the artifacts elsewhere with `--map FROM=TO` or a prefix in \
             `--to`, or allow the tag to move in the registry's settings."
        }
        C::RegistryAttachedRefused => {
            "Run `airlift import` with `--no-referrers` to leave out what is attached to the images, or allow OCI \
             artifacts in the registry."
        }
        C::RegistryBodyLimit => {
            "Raise the limit of the proxy in front of the registry (nginx: `client_max_body_size 0;`), or import \
             past the proxy."
        }
        C::ContentDigestMismatch => {
            "Run the same command again. If the digest is wrong again, the copy in the source is damaged, or a proxy changes it."
        }
        C::ContentSizeMismatch => {
            "Run the same command again. If the size is wrong again, the copy in the source is damaged, or a proxy truncates it."
        }
        C::ContentTooLarge => "No real document is this large. Check what the host serves under that name.",
        C::ContentShort => "Run the same command again. If the read ends early again, the file or object is damaged.",
        C::PackMalformed => {
            "Copy the file once more from where it was packed. If you have recovery data, run `airlift repair FILE`. A damaged packed file publishes nothing."
        }
        C::PackVersion => "Use an airlift at least as new as the one that packed the file.",
        C::PackBaseMissing => {
            "Name the bundle that holds the missing layers with `--base BUNDLE`, or write the bundle first: `airlift unpack FILE --base BUNDLE -o BUNDLE2`, then name BUNDLE2 instead of FILE. Without either, `airlift import`, `watch` and pipelines look for the layers in the repositories of the target."
        }
        C::PackBaseDamaged => {
            "Name a sound copy of the base with `--base BUNDLE`; `airlift verify BUNDLE` shows whether one is. A damaged base publishes nothing."
        }
        C::PackVolumeMissing => {
            "Put all volumes into one folder, or name all of them. The command that wrote them writes a lost one again."
        }
        C::PackMemory => {
            "Run `airlift unpack FILE -o BUNDLE --memory SIZE` with the size that the message names, or pack again with a smaller `--memory`."
        }
        C::PackTooLarge => {
            "Pack it again with a larger `--memory`, which makes fewer and larger frames. Or export the artifacts into several bundles, and pack each."
        }
        C::PackUnpackable => {
            "Make one bundle of it first: `airlift export --from SOURCE -o BUNDLE`, then name BUNDLE instead of SOURCE."
        }
        C::PackNotPacked => {
            "Name a file that `airlift pack` wrote. A bundle, a set of volumes and a layout need no unpacking: every command reads them as they are."
        }
        C::PackUnproven => {
            "Run `airlift verify BUNDLE`. If it names damage, replace the bundle by a sound copy, then run the same command again. If the bundle is sound, this is a defect of airlift: keep the bundle and report it."
        }
        C::UsageLocation => {
            "Write /path, ./path, az://ACCOUNT/CONTAINER/NAME, an Azure blob URL with its SAS in quotes, s3://BUCKET/KEY, gs://BUCKET/KEY, or - for the output of an export."
        }
        C::StorageUnreachable => {
            "Check the account's name, the network and the proxy variables (HTTPS_PROXY, NO_PROXY). For S3, also check AWS_ENDPOINT_URL and AWS_REGION. For Google, also check GOOGLE_BASE_URL and STORAGE_EMULATOR_HOST."
        }
        C::StorageNotFound => "Check the spelling of the account, the container or bucket, and the name.",
        C::StorageChanged => {
            "Another program wrote to the object. Run the same command again to read the new object from the start."
        }
        C::StoragePermission => {
            "Create a SAS that has the permission: writing needs r, w and c, reading needs r, listing needs l, and `--delete-source` needs d."
        }
        C::StorageExpired => "Create a new SAS and run the same command with it to resume.",
        C::StorageHttpsOnly => "Write the address with https://. airlift did not send the SAS.",
        C::StorageRefused => {
            "For a SAS, check that it is for this container, is complete (quote the URL in the shell), and that its key was not renewed. For an identity, give it the role \"Storage Blob Data Contributor\" on the container (\"Storage Blob Data Reader\" to read only), and check the clock of this machine. Also check the account's firewall."
        }
        C::StorageCredential => {
            "For Azure, put a SAS into the address or into AZURE_STORAGE_SAS_TOKEN, run `az login`, or run airlift where there is a managed identity (AZURE_CLIENT_ID names a user-assigned one). For S3, set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; other providers also need AWS_ENDPOINT_URL. For Google, set GOOGLE_APPLICATION_CREDENTIALS. The message lists what airlift tried."
        }
        C::StorageServer => "Run the same command again later to resume. `--log debug` shows the storage's answers.",
        C::StorageProtocol => {
            "Check that the address is a storage and that no proxy answers in its place. `--log debug` shows the answers."
        }
        C::StorageLimit => "Split the artifacts over several bundles, or write a set with `--volume-size`.",
        C::ContentNotFound => "Run `airlift inspect BUNDLE` to list the artifacts of a bundle.",
        C::ManifestMalformed => "Push the artifact to the source registry again, with the tool that built it.",
        C::ManifestAmbiguous => {
            "airlift refuses manifests that can be read in two ways, since they can deceive a reader. Push the artifact again with a current tool."
        }
        C::ManifestSchema1 => {
            "Pull the image and push it again to the source registry with a current tool, which writes schema 2 or OCI."
        }
        C::BundleUnknown => {
            "Check the path. A bundle is a tar of an OCI image layout, or a folder with such a layout. `airlift export` writes one."
        }
        C::BundleVersion => "Use the airlift that wrote the bundle, or a newer one.",
        C::BundleTruncated => {
            "Get the complete file: run the interrupted copy or export again, or copy a complete one over it: `airlift copy GOOD BUNDLE --overwrite`."
        }
        C::BundleStructure => {
            "The file changed after airlift wrote it. Copy it again from a good copy: `airlift copy GOOD BUNDLE --overwrite`."
        }
        C::BundleEntry => {
            "Do not use the file. No known tool writes such an entry. Ask the sender where it comes from."
        }
        C::BundleSeal => {
            "Do not use the file: names in it changed after it was written. Copy it again from a good copy: `airlift copy GOOD BUNDLE --overwrite`."
        }
        C::BundleDigestMismatch | C::BundleSizeMismatch => {
            "If there is recovery data, run `airlift repair BUNDLE`. Otherwise copy the bundle again from a good copy: `airlift copy GOOD BUNDLE --overwrite`."
        }
        C::BundleMissing => {
            "Name the bundle or the set of volumes that has the missing content too, or export the artifacts again."
        }
        C::BundleForeignEntry => {
            "Do not use the file: it contains more than its index names, so someone added to it. Copy it again from a good copy."
        }
        C::BundleText => {
            "Do not trust what the manifest says of itself: ask the sender of the bundle what the characters are for; \
             `airlift inspect BUNDLE --json` shows them."
        }
        C::RecoveryNotFound => {
            "Name the folder that contains the `.recovery` files, or a file beside them. `airlift export --recovery 10%` and `airlift protect` create them while the files are sound."
        }
        C::RecoveryMalformed => {
            "Do not use the recovery file that the message names. No known tool writes such a file."
        }
        C::RecoveryVersion => "Use the airlift that created the recovery data, or a newer one.",
        C::RecoveryDamaged => "Run `airlift repair SET`: it creates recovery files again from sound content.",
        C::RecoveryBeyond => {
            "Copy the damaged files once more into another folder, as far as they can be read, and name both folders: `airlift repair FOLDER FOLDER`. It takes each block from the folder in which it is sound."
        }
        C::RecoveryUnproven => "airlift replaced nothing. Copy the files again from a good source.",
        C::RecoveryStale => {
            "Remove the `.recovery` files that belong to another file of this name, or name the folder of the right ones."
        }
        C::RecoveryChanged => "Wait until no program writes to the file, then run the same command again.",
        C::BundleVolumeMissing => {
            "Put the missing volumes into the same folder, or name them too. `airlift import --volume-prompt` asks for one disc after another, and `airlift export --only-volume N` writes a lost volume again."
        }
        C::BundleVolumeWrong => {
            "Replace the file with the right volume of the set. `airlift inspect FILE` shows what a file is."
        }
        C::BundleSet => {
            "Name the volumes themselves: `airlift verify NAME.vol*.tar`. Copy the set manifest and SHA256SUMS again from a good set."
        }
        C::TrustUnsigned => {
            "Get the files `BUNDLE.transfer.json` and `BUNDLE.transfer.json.*` from the sender, and put them beside the bundle. The sender makes them with `airlift sign BUNDLE --key FILE`."
        }
        C::TrustStatement => {
            "Do not use the bundle: its statement does not belong to it. Get bundle, statement and signatures again from the sender."
        }
        C::TrustSignature => {
            "Do not use the bundle: its statement changed after it was signed, or a signature file is damaged. Get statement and signatures again from the sender."
        }
        C::TrustSigner => {
            "Ask the missing signers for their signatures. If a signer is known to you by another way, add a [[signer]] table with their key to the trust file."
        }
        C::TrustExpired => "Ask the sender for a newer bundle, or for a new statement of this one.",
        C::TrustOlder => {
            "Import the newest bundle of the stream. To go back on purpose, add `--allow-older REASON`; the transfer record keeps the reason."
        }
        C::KeyPassword => {
            "Set the password in the environment variable AIRLIFT_KEY_PASSWORD, or run the command on a terminal and type it."
        }
        C::KeyAgent => {
            "Start an agent and add the key: `eval $(ssh-agent)`, then `ssh-add FILE`. `ssh-add -l` lists its keys."
        }
        C::CheckRefused => {
            "Read what the command says, and decide with its owner. `--continue-on-errors` lets in the artifacts that were not refused."
        }
        C::CheckFailed => {
            "Check that /bin/sh is there, and that this user may start another process. Then run the same command again."
        }
        C::RecordDamaged => {
            "Run `airlift record verify FILE` to see where. Keep the file as evidence and compare it with a copy; to record on, name a new file with `--record FILE`."
        }
        C::StoreVersion => "Use the airlift that wrote the store, or a newer one.",
        C::StoreDatabase => "Check the disk, then restore the store from a backup, or push its content again.",
        C::StoreUpload => "Start the upload again. The client does not send complete blobs a second time.",
        C::ServeListen => {
            "Another program may use the port. Choose an address of this machine and a free port with `--listen ADDR:PORT`."
        }
        C::BundleUnsealed => {
            "Run `airlift seal PLAN DEST` once every shard is done: it names what is missing. The plan is the one that the shards were given."
        }
        C::PlanMalformed => {
            "Copy the plan again from where `airlift plan` wrote it, or make it again: `airlift plan … --overwrite`."
        }
        C::PlanVersion => "Use the airlift that wrote the plan, or a newer one, on every machine.",
        C::PlanOtherList => {
            "Name the plan that was made of this list, or leave the list out. `airlift plan … --overwrite` makes the plan again."
        }
        C::PlanOther => {
            "Give each plan a DEST of its own. To use this DEST, remove the volumes of the other plan and NAME.unsealed.json first."
        }
        C::PlanUnfinished => "Wait until every shard is done, then run the same command again.",
        C::OutputExists => "Add `--overwrite` to replace it, or choose another name.",
        C::OutputInput => "Write to another name: what is read stays as it is.",
        C::OutputForeign => {
            "Look at that file. Remove it if it is not needed, or choose an output in a folder that only you can write to."
        }
        C::IoExposed => {
            "Restrict the folder to yourself (`chmod go-w DIR`), or name another one. Without HOME, set XDG_STATE_HOME to a folder of your own."
        }
        C::OutputNotAFile => {
            "Name a file. For a folder, add the name of the bundle. For a disk, mount it and name a file on it. For a pipe, write with `-o -`."
        }
        C::OutputSpace => "Free some space or choose another disk, then run the same command again to resume.",
        C::OutputFileLimit => {
            "Export in volumes with `--volume-size fat32`, or choose a destination with another file system, such as exFAT or ext4."
        }
        C::UsageVolumeSize => "Give a larger `--volume-size`. Every volume contains the index and all manifests.",
        C::OutputBusy => "Wait until the other run ends, then run the same command again.",
        C::IoRead => "Check the path, its permissions and the medium, then run the same command again.",
        C::IoWrite => {
            "Check that the folder exists, that you may write to it, and that the disk is not full. Then run the same command again."
        }
        C::CopyMismatch => "Use another medium: this one did not keep what airlift wrote. The source is unchanged.",
        C::PipelineInvalid => {
            "Correct the listed problems and run the same command again. docs/azure-transfer.md shows each resource in full."
        }
        C::PipelineNotFound => {
            "Run `list` instead of `show` to see the existing ones. Write the registry as in `create`."
        }
        C::PipelineBusy => "Wait until the other run ends. `airlift pipeline-run show --watch` shows its progress.",
        C::PipelineCatalogDigest => {
            "Do not use the bundle: it is not the one that was exported. Copy it again from the exporting side."
        }
        C::PipelineState => {
            "Name a state folder with `--state DIR` that belongs to you and that no other user can write to (`chmod 700 DIR`), and check its disk."
        }
        C::PipelineStateVersion => "Use the airlift that wrote the state, or a newer one.",
        C::DeltaBaseMissing => {
            "Import the bundle that the message names first, then run the same command again; or import both at once: `airlift import BASE DELTA --to REGISTRY`. `airlift inspect BUNDLE` shows the id of a bundle. If there is no such bundle, export again without `--base`."
        }
        C::TransferLimit => {
            "Leave out attached artifacts with `--no-referrers`, or check the source: so many are rarely intended."
        }
        C::TransferTagMoved => {
            "Add `--overwrite-tags` to move the tag, or `--map FROM=TO` to import under another name."
        }
        C::TransferTagCollision => "Add `--keep-host`, or rename one of them with `--map FROM=TO`.",
        C::TransferSubject => {
            "Fix the failure of the artifact that this one is attached to, then run the same command again for both."
        }
        C::TransferPartial => {
            "The list above gives the reason for each failed artifact. With `--report FILE`, airlift also writes FILE.retry.txt, a list for `-f`."
        }
        C::Interrupted => "Run the same command again to resume.",
        C::Internal => "This is a defect of airlift. Run the command again with `--log debug` and report the output.",
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
