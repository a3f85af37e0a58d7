//! Statements of bundles: what is stated of an open bundle, and whether those that a site trusts vouch for it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    companions::{self, CompanionKind, names},
    delta::needs::needs,
    error::Error,
    opened::Opened,
};
use crate::{
    bundle::{
        Format, GatheredSet, Reader,
        volume::{SetFile, SetManifest},
    },
    content::{Code, Fault},
    trust::{
        BundleAtHand, BundleIdentity, Evidence, MAX_SIGNATURES, MarkError, Marks, SignatureFile, Statement, TrustFile,
        TrustFileError, TrustFinding, TrustVerdict, VolumeIdentity, file::FileError, record::RecordError,
    },
};

/// Bases that a statement names.
const MAX_BASE: usize = 256;

/// `Result` of this module.
pub type Result<T, E = VouchError> = std::result::Result<T, E>;

/// Why it cannot be said who vouches for a bundle, or nobody that counts does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VouchError {
    /// The bundle was refused.
    #[error("{} is not trusted", path.display())]
    Refused {
        /// Where it is.
        path: PathBuf,
        /// The first thing to look at.
        code: Code,
        /// Everything that was found.
        findings: Vec<TrustFinding>,
    },
    /// Archives of other tools have no seal that a statement could name.
    #[error("{} is an archive of another tool, and only bundles have statements", path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
    },
    /// Files are put beside bundles of this machine.
    #[error("{place} is in a storage, and only bundles on this machine are signed")]
    Elsewhere {
        /// Where it is.
        place: String,
    },
    /// The statement cannot be read.
    #[error("the statement of {} cannot be read", path.display())]
    Evidence {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// What is beside the bundle cannot be listed.
    #[error(transparent)]
    Companions(#[from] Error),
    /// The trust file cannot be used.
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    /// The transfer record cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The marks cannot be read or written.
    #[error(transparent)]
    Marks(#[from] MarkError),
}

impl Fault for VouchError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Foreign { .. } => Code::TrustUnsigned,
            Self::Elsewhere { .. } => Code::UsageLocation,
            // What is beside the bundle came with it: a link there is the sender's, not the person's.
            Self::Evidence { source, .. } => match source {
                FileError::NotRegular { .. } | FileError::TooLarge { .. } => Code::TrustStatement,
                source => source.code(),
            },
            Self::Companions(error) => error.code(),
            Self::TrustFile(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Marks(error) => error.code(),
        }
    }
}

/// What a statement is compared with.
pub fn at_hand(reader: &Reader) -> Option<BundleAtHand> {
    let seal = reader.facts()?.set_id();
    // A folder is what was unpacked from the file, and has another size.
    let whole = reader.format() == Format::Bundle && reader.missing_volumes().is_empty();
    Some(BundleAtHand { id: reader.id(), seal, size: whole.then(|| reader.size()) })
}

/// The path that the names of the files beside a bundle begin with: its own, or of the set `set` the name of the set.
///
/// # Errors
/// [`VouchError::Elsewhere`]: files are put beside bundles of this machine only.
pub fn named_after(opened: &Opened, set: Option<&GatheredSet>) -> Result<PathBuf> {
    let elsewhere = || VouchError::Elsewhere { place: opened.path().display().to_string() };
    if opened.is_far() {
        return Err(elsewhere());
    }
    let Some(set) = set else { return Ok(opened.path().to_owned()) };
    let volumes = set.reader.volumes();
    let first = volumes.values().next().ok_or_else(elsewhere)?;
    Ok(first.with_file_name(companions::name_of(set)))
}

/// A new statement of an open bundle that is whole, without the members that only people know. `set` is what was found of
/// it, if it is one.
pub fn statement(opened: &Opened, set: Option<&GatheredSet>, now: Timestamp) -> Result<Statement> {
    let path = || opened.path().to_owned();
    let at_hand = at_hand(opened.reader()).ok_or_else(|| VouchError::Foreign { path: path() })?;
    let size = at_hand.size.unwrap_or_else(|| opened.reader().size());
    let mut statement = Statement::new(BundleIdentity { id: at_hand.id, seal: at_hand.seal, size }, now);
    if let Some((_, manifest)) = set.and_then(|set| set.manifest.as_ref()) {
        statement.volumes = volumes(manifest);
    }
    let needs = needs(opened.reader().contents().absent.values());
    statement.base = needs.into_iter().flat_map(|needs| needs.bundles).take(MAX_BASE).collect();
    Ok(statement)
}

fn volumes(manifest: &SetManifest) -> Vec<VolumeIdentity> {
    let volume = |(number, file): (u32, &SetFile)| VolumeIdentity {
        name: file.name.clone(),
        number,
        sha256: file.digest,
        size: file.size,
    };
    (1..).zip(&manifest.volumes).map(volume).collect()
}

/// Who vouches for an open bundle, by `trust`, at the time `now`.
///
/// # Errors
/// [`VouchError::Foreign`]; the files beside it cannot be read.
pub async fn judge(opened: &Opened, trust: &TrustFile, now: Timestamp) -> Result<TrustVerdict> {
    let at_hand = at_hand(opened.reader()).ok_or_else(|| VouchError::Foreign { path: opened.path().to_owned() })?;
    Ok(trust.verify(&evidence(opened).await?, &at_hand, now))
}

/// The statement and the signatures beside an open bundle.
///
/// # Errors
/// The files beside it cannot be listed, or the statement cannot be read. A signature that cannot be read is a finding.
pub async fn evidence(opened: &Opened) -> Result<Evidence> {
    let beside = opened.companions().await?;
    let Some(statement) = beside.iter().find(|one| one.kind == CompanionKind::Statement) else {
        return Ok(Evidence::default());
    };
    let unreadable = |source| VouchError::Evidence { path: opened.path().to_owned(), source };
    let content = statement.content().await.map_err(Error::from)?.map_err(unreadable)?;
    let mut evidence = Evidence { statement: Some(content), ..Evidence::default() };
    for one in &beside {
        let Some(format) = names::format_of(&statement.name, &one.name) else { continue };
        if evidence.signatures.len() == MAX_SIGNATURES {
            evidence.more = true;
            break;
        }
        let content = one.content().await.map_err(Error::from)?.map_err(|error| error.to_string());
        evidence.signatures.push(SignatureFile { name: one.name.clone(), format, content });
    }
    Ok(evidence)
}

/// What stands between bundles and a target: the trust file, and the marks of what was imported before.
#[derive(Debug)]
pub struct ImportGuard {
    trust: TrustFile,
    marks: Marks,
    allow_older: bool,
}

impl ImportGuard {
    /// A guard with the marks in the folder `state`. With `allow_older` a bundle may be older than one that was imported.
    pub fn new(trust: TrustFile, state: &Path, allow_older: bool) -> Result<Self> {
        Ok(Self { trust, marks: Marks::open(state)?, allow_older })
    }

    /// Judges every bundle before any is touched.
    ///
    /// # Errors
    /// [`VouchError::Refused`] for the first that is not trusted.
    pub async fn admit(&self, bundles: &[Opened], now: Timestamp) -> Result<Vec<TrustVerdict>> {
        let mut verdicts = Vec::with_capacity(bundles.len());
        for bundle in bundles {
            verdicts.push(self.admit_one(bundle, now).await?);
        }
        Ok(verdicts)
    }

    async fn admit_one(&self, bundle: &Opened, now: Timestamp) -> Result<TrustVerdict> {
        let mut verdict = judge(bundle, &self.trust, now).await?;
        if !self.allow_older {
            self.marks.check(&mut verdict)?;
        }
        match verdict.refusal() {
            None => Ok(verdict),
            Some(code) => {
                let path = bundle.path().to_owned();
                Err(VouchError::Refused { path, code, findings: verdict.findings })
            }
        }
    }

    /// Raises the marks after an import that published something.
    pub fn imported(&mut self, verdicts: &[TrustVerdict], now: Timestamp) -> Result<()> {
        for verdict in verdicts {
            self.marks.raise(verdict, now)?;
        }
        Ok(())
    }
}
