//! Stable tokens: what a script may match, one for each way to fail. docs/errors.md lists them for people, and a test
//! holds the two lists together.

use std::fmt;

/// What a failure means for the caller; the command line turns it into an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It did not work.
    Failed,
    /// It was asked for wrongly; nothing was tried.
    Usage,
    /// Some artifacts failed, the others are done.
    Partial,
    /// Content is not what its digest says.
    Unverified,
    /// A registry, storage or vault refused the credentials.
    Unauthorized,
    /// The person stopped it.
    Interrupted,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $token:literal, $class:ident;)*) => {
        /// Each way to fail, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// All of them, in the order of docs/errors.md.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The text that scripts match; it never changes.
            pub const fn token(self) -> &'static str {
                match self { $(Self::$name => $token,)* }
            }

            /// What happened, in a sentence for docs/errors.md: the documentation of the variant.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// What it means for the caller.
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

codes! {
    /// A reference cannot be read.
    UsageReference = "usage.reference", Usage;
    /// More artifacts than one run takes.
    UsageTooManyArtifacts = "usage.too-many-artifacts", Usage;
    /// An argument, or a combination of arguments, makes no sense.
    UsageArgument = "usage.argument", Usage;
    /// An artifact list, a key, a certificate or another file given by the person cannot be read.
    UsageFile = "usage.file", Usage;
    /// A list of artifacts asks for something that airlift does not do.
    UsageListUnsupported = "usage.list-unsupported", Usage;
    /// A list of artifacts chooses tags that a registry must be asked for.
    UsageListQuery = "usage.list-query", Usage;
    /// A variable of the environment names no proxy that can be used.
    UsageProxy = "usage.proxy", Usage;

    /// A source could not be searched whole, so artifacts may be missing from the result, which is printed.
    FindIncomplete = "find.incomplete", Partial;
    /// The artifact that `--why` names was found nowhere.
    FindNowhere = "find.nowhere", Failed;
    /// An archive is not a chart.
    FindArchive = "find.archive", Failed;

    /// No connection: unknown host, refused, reset before an answer.
    RegistryUnreachable = "registry.unreachable", Failed;
    /// TLS failed: unknown authority, wrong name, expired.
    RegistryTls = "registry.tls", Failed;
    /// Answers stopped, or came slower than the minimum rate.
    RegistryStalled = "registry.stalled", Failed;
    /// 401, or a token endpoint that gives no token.
    RegistryUnauthorized = "registry.unauthorized", Unauthorized;
    /// 403.
    RegistryDenied = "registry.denied", Unauthorized;
    /// Credentials are stored but cannot be read: a helper failed, a file is malformed.
    RegistryCredentials = "registry.credentials", Unauthorized;
    /// A definite 404.
    RegistryNotFound = "registry.not-found", Failed;
    /// 429 until the patience of five minutes was used up, or for longer than that by the registry's own words.
    RegistryRateLimited = "registry.rate-limited", Failed;
    /// 5xx until the retries were used up.
    RegistryServer = "registry.server-error", Failed;
    /// An answer that the specification does not allow.
    RegistryProtocol = "registry.protocol", Failed;
    /// A redirect, token realm, upload location or layer URL that the policy does not allow.
    RegistryPolicy = "registry.policy", Failed;
    /// The registry refused an upload or a manifest.
    RegistryRefused = "registry.refused", Failed;
    /// The registry refuses manifests with foreign layers.
    RegistryForeignRefused = "registry.foreign-refused", Failed;
    /// The registry refuses an index of which some manifests are absent.
    RegistrySparseRefused = "registry.sparse-refused", Failed;
    /// The registry took a tag, and then does not have it or has another manifest under it.
    RegistryNotStored = "registry.not-stored", Failed;
    /// The repository does not exist, and the registry does not create it by a push.
    RegistryNoRepository = "registry.no-repository", Failed;
    /// The tag exists, and the registry does not let it be written again.
    RegistryTagImmutable = "registry.tag-immutable", Failed;
    /// The registry does not take manifests of artifacts that are not images.
    RegistryAttachedRefused = "registry.attached-refused", Failed;
    /// A proxy in front of the registry does not take bodies of the size that is needed.
    RegistryBodyLimit = "registry.body-limit", Failed;

    /// Bytes do not have the digest they were asked for by.
    ContentDigestMismatch = "content.digest-mismatch", Unverified;
    /// More or fewer bytes than the descriptor says.
    ContentSizeMismatch = "content.size-mismatch", Unverified;
    /// A document that is read whole is larger than its limit.
    ContentTooLarge = "content.too-large", Failed;
    /// A read gave fewer bytes than were asked for.
    ContentShort = "content.short", Failed;
    /// The content is not there.
    ContentNotFound = "content.not-found", Failed;
    /// A manifest cannot be read.
    ManifestMalformed = "manifest.malformed", Failed;
    /// A manifest can be read in two ways.
    ManifestAmbiguous = "manifest.ambiguous", Failed;
    /// Docker schema 1.
    ManifestSchema1 = "manifest.schema-1", Failed;

    /// The file is not a bundle, a layout or an archive.
    BundleUnknown = "bundle.not-a-bundle", Failed;
    /// A bundle of a later format.
    BundleVersion = "bundle.version", Failed;
    /// The file ends too early.
    BundleTruncated = "bundle.truncated", Unverified;
    /// The tar's structure is wrong: a checksum, padding, end blocks, trailing bytes, order.
    BundleStructure = "bundle.structure", Unverified;
    /// An entry that a bundle must not have: a link, a device, a sparse file, a name that leaves the bundle, a double.
    BundleEntry = "bundle.entry", Unverified;
    /// `index.json` or `airlift.json` is not what the seal says.
    BundleSeal = "bundle.seal", Unverified;
    /// A blob in the bundle does not have its digest.
    BundleDigestMismatch = "bundle.digest-mismatch", Unverified;
    /// A blob in the bundle does not have its size.
    BundleSizeMismatch = "bundle.size-mismatch", Unverified;
    /// A blob that the bundle must have is not in it.
    BundleMissing = "bundle.missing", Unverified;
    /// The bundle has a blob that nothing names.
    BundleForeignEntry = "bundle.foreign-entry", Unverified;
    /// A manifest has characters, in a name of its own, that are there to deceive a reader.
    BundleText = "bundle.text", Unverified;
    /// Volumes of the set are not where they were looked for.
    BundleVolumeMissing = "bundle.volume-missing", Unverified;
    /// A file is named as a volume of the set and is another one's, or another volume.
    BundleVolumeWrong = "bundle.volume-wrong", Unverified;
    /// The manifest or the sums of a set are damaged, or do not go with its volumes.
    BundleSet = "bundle.set", Unverified;

    /// Several machines write the set, and not all of them have ended.
    BundleUnsealed = "bundle.unsealed", Failed;

    /// A plan was changed, or is none.
    PlanMalformed = "plan.malformed", Unverified;
    /// A plan of a later format.
    PlanVersion = "plan.version", Unverified;
    /// The plan was made of another list than the one that is given.
    PlanOtherList = "plan.other-list", Usage;
    /// The place has volumes of another plan.
    PlanOther = "plan.other", Unverified;
    /// Volumes of the plan are not there yet.
    PlanUnfinished = "plan.unfinished", Failed;

    /// There is no statement beside the bundle, or no signature of it.
    TrustUnsigned = "trust.unsigned", Unverified;
    /// The statement is malformed, of another version, or of another bundle.
    TrustStatement = "trust.statement", Unverified;
    /// Too few signers remain, and a signature is damaged or not of this statement.
    TrustSignature = "trust.signature", Unverified;
    /// Too few of the signers that the trust file requires vouch for the bundle.
    TrustSigner = "trust.signer", Unverified;
    /// The statement has expired, or is older than the trust file allows.
    TrustExpired = "trust.expired", Unverified;
    /// A later bundle of the same stream and signer was imported before.
    TrustOlder = "trust.older", Unverified;
    /// A private key is encrypted, and its password is missing or wrong.
    KeyPassword = "key.password", Unauthorized;
    /// The SSH agent cannot be reached, or refuses to sign.
    KeyAgent = "key.agent", Failed;
    /// The transfer record was changed or cut.
    RecordDamaged = "record.damaged", Unverified;
    /// A command of `--check-with` refused an artifact.
    CheckRefused = "check.refused", Unverified;
    /// A command of `--check-with` cannot be started.
    CheckFailed = "check.failed", Failed;

    /// The store is of a later format.
    StoreVersion = "store.version", Failed;
    /// The store's database failed or is damaged.
    StoreDatabase = "store.database", Failed;
    /// An upload was finished, cancelled or taken over by another request.
    StoreUpload = "store.upload", Failed;

    /// The address to serve on cannot be listened on.
    ServeListen = "serve.listen", Failed;

    /// A text that is not a reference to a secret.
    SecretReference = "secret.reference", Usage;
    /// The secret, its variable or its file is not there, or is empty.
    SecretNotFound = "secret.not-found", Failed;
    /// The vault refuses: the identity may not read the secret, or a firewall is in the way.
    SecretRefused = "secret.refused", Unauthorized;
    /// The secret is disabled in the vault.
    SecretDisabled = "secret.disabled", Unauthorized;
    /// The secret's time is over, or has not come.
    SecretExpired = "secret.expired", Unauthorized;
    /// There is no identity for the vault, or it gets no token.
    SecretCredential = "secret.credential", Unauthorized;
    /// The vault cannot be reached.
    SecretUnreachable = "secret.unreachable", Failed;
    /// The vault gave an answer that is neither yes nor no.
    SecretVault = "secret.vault", Failed;
    /// Others than its owner and its group can read the file of the secret, or change it.
    SecretExposed = "secret.exposed", Unauthorized;
    /// What was found is not a secret, or not a shared access signature.
    SecretForm = "secret.form", Failed;
    /// The command that prints the secret failed or took too long.
    SecretCommand = "secret.command", Failed;

    /// A text that is not a location.
    UsageLocation = "usage.location", Usage;
    /// No connection to the storage: unknown host, refused, reset before an answer.
    StorageUnreachable = "storage.unreachable", Failed;
    /// The storage stopped answering in the middle of something.
    StorageStalled = "storage.stalled", Failed;
    /// The object, container or bucket is not there.
    StorageNotFound = "storage.not-found", Failed;
    /// The object was replaced or removed while it was read.
    StorageChanged = "storage.changed", Failed;
    /// The SAS lacks a permission.
    StoragePermission = "storage.permission", Unauthorized;
    /// The SAS has expired.
    StorageExpired = "storage.expired", Unauthorized;
    /// The SAS is for HTTPS, the address is plain HTTP.
    StorageHttpsOnly = "storage.https-only", Unauthorized;
    /// The storage refused the credentials: a wrong key, another container, a firewall.
    StorageRefused = "storage.refused", Unauthorized;
    /// There is no credential for the storage, or it gives no token.
    StorageCredential = "storage.credential", Unauthorized;
    /// 408, 429 or 5xx until the retries were used up.
    StorageServer = "storage.server-error", Failed;
    /// An answer of the storage that makes no sense.
    StorageProtocol = "storage.protocol", Failed;
    /// The object would be larger than the provider takes.
    StorageLimit = "storage.limit", Failed;

    /// Something is there already, and `--overwrite` was not given.
    OutputExists = "output.exists", Failed;
    /// What is at the name of an unfinished file or of a report is a link, not a regular file, or of another user.
    OutputForeign = "output.foreign", Failed;
    /// A folder, a device or a pipe is where the output is to be.
    OutputNotAFile = "output.not-a-file", Failed;
    /// Too little free space.
    OutputSpace = "output.no-space", Failed;
    /// The destination's file system takes no file of that size.
    OutputFileLimit = "output.file-limit", Failed;
    /// A volume is to be smaller than what each of them must hold.
    UsageVolumeSize = "usage.volume-size", Usage;
    /// Another run holds the same output.
    OutputBusy = "output.busy", Failed;
    /// Reading a file failed.
    IoRead = "io.read", Failed;
    /// Writing a file failed.
    IoWrite = "io.write", Failed;
    /// A folder that must be private can be changed by other users, or is not known.
    IoExposed = "io.exposed", Failed;
    /// The copy is not equal to its source.
    CopyMismatch = "copy.mismatch", Unverified;

    /// A pipeline or a run has problems; nothing was stored.
    PipelineInvalid = "pipeline.invalid", Usage;
    /// There is no pipeline or run of that name.
    PipelineNotFound = "pipeline.not-found", Failed;
    /// Another run works on the same bundle of the same pipeline.
    PipelineBusy = "pipeline.busy", Failed;
    /// The bundle is another than the run's `catalogDigest` says.
    PipelineCatalogDigest = "pipeline.catalog-digest", Unverified;
    /// The state of the pipelines cannot be read or written.
    PipelineState = "pipeline.state", Failed;
    /// The state of the pipelines is of a later format.
    PipelineStateVersion = "pipeline.state-version", Failed;

    /// A packed file is damaged, or its head says what cannot be.
    PackMalformed = "pack.malformed", Unverified;
    /// A packed file of a later format.
    PackVersion = "pack.version", Unverified;
    /// Layers that a packed file was packed against are not there.
    PackBaseMissing = "pack.base-missing", Unverified;
    /// Volumes of a packed file are not where they were looked for.
    PackVolumeMissing = "pack.volume-missing", Unverified;
    /// A packed file needs more memory than it may take.
    PackMemory = "pack.memory", Unverified;
    /// A bundle is too large for one packed file with so little memory.
    PackTooLarge = "pack.too-large", Failed;
    /// What is to be packed is not a whole bundle of ours.
    PackUnpackable = "pack.not-a-bundle", Failed;
    /// What was packed does not decode to the same bytes.
    PackUnproven = "pack.unproven", Unverified;

    /// There is no recovery data.
    RecoveryNotFound = "recovery.not-found", Failed;
    /// A recovery file says what none of ours says.
    RecoveryMalformed = "recovery.malformed", Unverified;
    /// Recovery data of a later format.
    RecoveryVersion = "recovery.version", Failed;
    /// A recovery file is damaged or missing.
    RecoveryDamaged = "recovery.damaged", Unverified;
    /// More is damaged than the recovery data can rebuild.
    RecoveryBeyond = "recovery.beyond", Unverified;
    /// What was rebuilt is not what it must be.
    RecoveryUnproven = "recovery.unproven", Unverified;
    /// The recovery data was made of another file than the one that lies there.
    RecoveryStale = "recovery.stale", Unverified;
    /// A file changed while recovery data was made of it or read.
    RecoveryChanged = "recovery.changed", Failed;

    /// A file changed while an artifact was made of it.
    PackageChanged = "package.changed", Failed;
    /// A folder has something that no artifact can carry: a device, a link that leads out of it, a name that is not text.
    PackageEntry = "package.entry", Failed;
    /// No repository can be named after the file.
    PackageName = "package.name", Usage;
    /// Two files of one artifact have the same name.
    PackageTwice = "package.twice", Usage;
    /// An artifact that was named cannot be loaded into a runtime: it is not an image for the platform, or has no tag where one is needed.
    LoadNoImage = "load.no-image", Usage;
    /// The bundle has no image for the platform.
    LoadNothing = "load.nothing", Failed;
    /// After a load the runtime has something else under the name of an image.
    LoadMismatch = "load.mismatch", Unverified;
    /// An archive of `docker save` is damaged or is none.
    PackageArchive = "package.archive", Unverified;
    /// A program that airlift needs for this, such as a container runtime's, is not installed.
    ProgramMissing = "program.missing", Failed;
    /// A program that airlift started failed.
    ProgramFailed = "program.failed", Failed;
    /// A chart or the index of its repository cannot be read, or they do not belong together.
    ChartMalformed = "chart.malformed", Failed;
    /// The repository has no chart of that name, or no such version of it.
    ChartNotFound = "chart.not-found", Failed;
    /// A chart does not have the digest that the index of its repository says.
    ChartDigest = "chart.digest-mismatch", Unverified;
    /// An artifact has a file with a name, a type or a target that could do harm here. Nothing of the artifact was written.
    ExtractUnsafe = "extract.unsafe", Unverified;
    /// The artifact has no files.
    ExtractNoFiles = "extract.no-files", Failed;
    /// A delta needs content that is neither in it nor in the target.
    DeltaBaseMissing = "delta.base-missing", Unverified;

    /// Too many attached artifacts, or nested too deeply.
    TransferLimit = "transfer.limit", Failed;
    /// The tag in the target points elsewhere.
    TransferTagMoved = "transfer.tag-exists", Failed;
    /// Two artifacts of the run would become the same tag.
    TransferTagCollision = "transfer.tag-collision", Usage;
    /// What the artifact is attached to by its tag (a signature's image) failed.
    TransferSubject = "transfer.subject", Failed;
    /// Some artifacts failed.
    TransferPartial = "transfer.partial", Partial;
    /// Stopped by a signal.
    Interrupted = "interrupted", Interrupted;
    /// A defect of airlift itself.
    Internal = "internal", Failed;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_token_is_its_own_and_fit_for_scripts() {
        let tokens: HashSet<_> = Code::ALL.iter().map(|code| code.token()).collect();
        assert_eq!(tokens.len(), Code::ALL.len());
        let fit =
            |token: &&str| token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b));
        assert!(tokens.iter().all(fit));
    }
}
