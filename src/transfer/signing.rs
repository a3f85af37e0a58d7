//! Writing the files beside a bundle: its statement, and signatures of it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::companions::{
    self,
    names::{self, Label},
};
use crate::{
    content::{Code, Fault},
    files,
    trust::{
        BundleIdentity, MAX_SIGNATURES, MadeSignature, MarkError, Marks, Signature, Signer, Statement, StatementError,
        file::{self, FileError},
        key::KeyError,
        signature::{Judgement, SignatureError, SignatureFormat},
    },
};

/// Why a statement or a signature is not put beside a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The sequence cannot be had from the state.
    #[error(transparent)]
    Marks(#[from] MarkError),
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] files::Error),
    /// The statement that is there cannot be read.
    #[error("{} is not a statement", path.display())]
    Existing {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: StatementError,
    },
    /// The statement that is there is of another bundle.
    #[error("{} is the statement of another bundle", path.display())]
    OtherBundle {
        /// Its file.
        path: PathBuf,
    },
    /// The statement that is there says something else than was asked for.
    #[error("{} is there already, with other members than these", path.display())]
    OtherMembers {
        /// Its file.
        path: PathBuf,
    },
    /// Members that make no statement.
    #[error("the statement cannot be made")]
    Members {
        /// Why.
        source: StatementError,
    },
    /// There is no statement to which a signature could be added.
    #[error("{} is not there, so nothing can be signed", path.display())]
    NoStatement {
        /// Its file.
        path: PathBuf,
    },
    /// A signature file is of no form that is read here.
    #[error("{} is not a signature of a known form", path.display())]
    UnknownForm {
        /// The file.
        path: PathBuf,
    },
    /// A signature does not fit the statement.
    #[error("{} is not a signature of this statement", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SignatureError,
    },
    /// All names for signatures are taken.
    #[error("there are {limit} signatures already, as many as are read")]
    TooMany {
        /// How many are read.
        limit: usize,
    },
}

impl Fault for SigningError {
    fn code(&self) -> Code {
        match self {
            Self::File(error) => error.code(),
            Self::Folder(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Marks(error) => error.code(),
            Self::Existing { .. } | Self::OtherBundle { .. } => Code::TrustStatement,
            Self::OtherMembers { .. } => Code::OutputExists,
            Self::Members { .. } => Code::UsageArgument,
            Self::NoStatement { .. } => Code::TrustUnsigned,
            Self::UnknownForm { .. } | Self::TooMany { .. } => Code::UsageFile,
            Self::Unfit { .. } => Code::TrustSignature,
        }
    }
}

/// A file that is new, or was there with the same meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is new.
    Written(PathBuf),
    /// It was there already.
    Present(PathBuf),
}

impl Placed {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Written(path) | Self::Present(path) => path,
        }
    }
}

/// How a signature comes about.
#[derive(Debug)]
pub enum SignBy<'a> {
    /// Not at all: only the statement is written.
    Nobody,
    /// Another program made it, in this file.
    File(&'a Path),
    /// It is made here.
    Signer(&'a mut Signer),
}

/// What was put beside a bundle.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedStatement {
    /// The statement.
    pub statement: Statement,
    /// Its file.
    pub placed: Placed,
    /// The signature's file.
    pub signature: Option<Placed>,
}

/// Puts a statement beside the bundle `base`, and a signature over it.
///
/// A statement that is there already is signed as it is. With `exact` it must say the same as `draft` but for the time it was
/// made; without, only be of the same bundle. A draft with a stream and without a sequence takes the next one from the state
/// in the folder `state`.
///
/// # Errors
/// See [`SigningError`]. Without a signature no new statement is left behind.
pub fn sign(
    base: &Path,
    draft: &Statement,
    exact: bool,
    by: SignBy<'_>,
    label: Option<&Label>,
    state: &Path,
) -> Result<SignedStatement, SigningError> {
    let path = names::statement(base);
    if matches!(by, SignBy::File(_)) && path.symlink_metadata().is_err() {
        return Err(SigningError::NoStatement { path });
    }
    let (placed, bytes) = prepare(&path, draft, exact, |stream| Ok(Marks::open(state)?.next(stream)?))?;
    // First the signature: a key that cannot be used leaves nothing behind.
    let made = make(by, &bytes)?;
    put_statement(&placed, &bytes)?;
    let statement = Statement::parse(&bytes).map_err(|source| SigningError::Members { source })?;
    if let (Some((stream, sequence)), Placed::Written(_)) = (statement.position(), &placed) {
        Marks::open(state)?.sent(stream, sequence)?;
    }
    let signature = made.map(|made| put_signature(&path, &bytes, &made, label)).transpose()?;
    Ok(SignedStatement { statement, placed, signature })
}

/// Puts a signature beside the file `path`, over its bytes: a receipt, or any other small file that is not a bundle.
///
/// # Errors
/// See [`SigningError`].
pub fn sign_file(path: &Path, by: SignBy<'_>, label: Option<&Label>) -> Result<Option<Placed>, SigningError> {
    let bytes = file::read_named(path)?;
    make(by, &bytes)?.map(|made| put_signature(path, &bytes, &made, label)).transpose()
}

fn make(by: SignBy<'_>, bytes: &[u8]) -> Result<Option<MadeSignature>, SigningError> {
    Ok(match by {
        SignBy::Nobody => None,
        SignBy::File(path) => {
            let (format, content) = read_signature(path, bytes)?;
            Some(MadeSignature { format, content, credential: None })
        }
        SignBy::Signer(signer) => Some(signer.sign(bytes)?),
    })
}

/// Removes the statement beside the bundle `base`, and its signatures, if it is of another bundle than `bundle`: what was
/// replaced there.
///
/// # Errors
/// One of them cannot be removed.
pub fn remove_stale(base: &Path, bundle: &BundleIdentity) -> Result<(), SigningError> {
    let path = names::statement(base);
    let bytes = match file::read_companion(&path) {
        Err(FileError::Missing { .. }) => return Ok(()),
        bytes => bytes?,
    };
    if Statement::parse(&bytes).is_ok_and(|found| found.bundle == *bundle) {
        return Ok(());
    }
    for (signature, _) in companions::signatures(&path)? {
        remove(&signature)?;
    }
    remove(&path)
}

fn remove(path: &Path) -> Result<(), SigningError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    Ok(files::rename::remove(path).map_err(failed)?)
}

/// The bytes to sign, and the statement's place: those of the statement at `path`, or of the new one `draft`, which is not
/// written yet.
fn prepare(
    path: &Path,
    draft: &Statement,
    exact: bool,
    next: impl FnOnce(&str) -> Result<u64, SigningError>,
) -> Result<(Placed, Vec<u8>), SigningError> {
    match file::read_companion(path) {
        Ok(bytes) => {
            let found =
                Statement::parse(&bytes).map_err(|source| SigningError::Existing { path: path.to_owned(), source })?;
            if found.bundle != draft.bundle {
                return Err(SigningError::OtherBundle { path: path.to_owned() });
            }
            let mut asked = Statement { created: found.created, ..draft.clone() };
            asked.base_proof = asked.base_proof.or(found.base_proof);
            if asked.stream.is_some() {
                asked.sequence = asked.sequence.or(found.sequence);
            }
            if exact && found != asked {
                return Err(SigningError::OtherMembers { path: path.to_owned() });
            }
            Ok((Placed::Present(path.to_owned()), bytes))
        }
        Err(FileError::Missing { .. }) => {
            let mut draft = draft.clone();
            if let (Some(stream), None) = (&draft.stream, draft.sequence) {
                draft.sequence = Some(next(stream)?);
            }
            let bytes = draft.to_json().map_err(|source| SigningError::Members { source })?;
            Ok((Placed::Written(path.to_owned()), bytes))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the statement that [`prepare`] gave, if it is new.
fn put_statement(placed: &Placed, bytes: &[u8]) -> Result<(), SigningError> {
    match placed {
        Placed::Written(path) => Ok(file::create(path, 0o644, bytes)?),
        Placed::Present(_) => Ok(()),
    }
}

/// Reads a signature that another program made over `statement`, and gives its form. What can be said without knowing the
/// signer is checked.
fn read_signature(path: &Path, statement: &[u8]) -> Result<(SignatureFormat, Vec<u8>), SigningError> {
    let content = file::read_named(path)?;
    let format =
        SignatureFormat::detect(&content).ok_or_else(|| SigningError::UnknownForm { path: path.to_owned() })?;
    let unfit = |source| SigningError::Unfit { path: path.to_owned(), source };
    for signature in Signature::parse(format, &content).map_err(unfit)? {
        signature.check_statement(statement).map_err(unfit)?;
    }
    Ok((format, content))
}

/// Puts a signature file beside the file `path` under the first free name. One by the same signer that is there
/// already is kept: with a `credential` it must be good, without have the same bytes.
fn put_signature(
    path: &Path,
    signed: &[u8],
    made: &MadeSignature,
    label: Option<&Label>,
) -> Result<Placed, SigningError> {
    let MadeSignature { format, content, credential } = made;
    let format = *format;
    let found = companions::signatures(path)?;
    for (present, _) in found.iter().filter(|(_, other)| *other == format) {
        let Ok(bytes) = file::read_companion(present) else { continue };
        let same = match &credential {
            None => bytes == *content,
            Some(credential) => Signature::parse(format, &bytes).is_ok_and(|signatures| {
                let good = |one: &Signature| one.check(signed, credential, Timestamp::now());
                signatures.iter().any(|one| matches!(good(one), Judgement::Valid))
            }),
        };
        if same {
            return Ok(Placed::Present(present.clone()));
        }
    }
    if found.len() >= MAX_SIGNATURES {
        return Err(SigningError::TooMany { limit: MAX_SIGNATURES });
    }
    let target = match label {
        Some(label) => names::signature(path, format, Some(label)),
        None => free_name(path, format),
    };
    file::create(&target, 0o644, content)?;
    Ok(Placed::Written(target))
}

/// The name without a label, or with the first of the labels 2, 3, … that is free.
fn free_name(statement: &Path, format: SignatureFormat) -> PathBuf {
    let labels = (2..=MAX_SIGNATURES + 1).map(|number| number.to_string().parse::<Label>().ok());
    let mut candidates =
        std::iter::once(None).chain(labels).map(|label| names::signature(statement, format, label.as_ref()));
    let free = candidates.find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| names::signature(statement, format, None))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        oci::Digest,
        trust::{
            key::SigningKey,
            signature::{SignerCredential, sigstore},
        },
    };

    fn draft(reason: &str) -> Statement {
        let digest = Digest::sha256(b"x");
        let mut statement = Statement::new(BundleIdentity { id: digest, seal: digest, size: 1 }, Timestamp::now());
        statement.reason = Some(reason.to_owned());
        statement
    }

    fn put(path: &Path, draft: &Statement, exact: bool) -> Result<(Placed, Vec<u8>), SigningError> {
        let (placed, bytes) = prepare(path, draft, exact, |_| Ok(7))?;
        put_statement(&placed, &bytes)?;
        Ok((placed, bytes))
    }

    #[test]
    fn a_statement_that_is_there_is_kept_or_contradicted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.tar.transfer.json");
        let (placed, bytes) = put(&path, &draft("a"), true).unwrap();
        assert_eq!((placed, &bytes), (Placed::Written(path.clone()), &fs::read(&path).unwrap()));
        let mut later = draft("a");
        later.created = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(put(&path, &later, true).unwrap(), (Placed::Present(path.clone()), bytes.clone()));
        assert_eq!(put(&path, &draft("b"), false).unwrap().1, bytes);
        let error = put(&path, &draft("b"), true).unwrap_err();
        assert!(matches!(error, SigningError::OtherMembers { .. }));
        let mut other = draft("a");
        other.bundle.size = 2;
        let error = put(&path, &other, false).unwrap_err();
        assert!(matches!(error, SigningError::OtherBundle { .. }));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_signer_gets_one_file_and_another_signer_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.tar.transfer.json");
        let (_, bytes) = put(&path, &draft("a"), true).unwrap();
        let sign = |key: &SigningKey| {
            let content = sigstore::sign(&bytes, key).unwrap();
            let credential = SignerCredential::Key(key.public().clone());
            let made = MadeSignature { format: SignatureFormat::Sigstore, content, credential: Some(credential) };
            put_signature(&path, &bytes, &made, None).unwrap()
        };
        let (alice, bob) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let first = folder.path().join("b.tar.transfer.json.sigstore.json");
        let second = folder.path().join("b.tar.transfer.json.2.sigstore.json");
        assert_eq!(sign(&alice), Placed::Written(first.clone()));
        assert_eq!(sign(&alice), Placed::Present(first.clone()));
        assert_eq!(sign(&bob), Placed::Written(second.clone()));
        assert_eq!(sign(&bob), Placed::Present(second));
        // A damaged one does not count as the signer's.
        fs::write(&first, "{}").unwrap();
        assert_eq!(sign(&alice).path(), folder.path().join("b.tar.transfer.json.3.sigstore.json"));
    }

    #[test]
    fn a_stream_without_a_sequence_takes_the_next_one_once() {
        let folder = tempfile::tempdir().unwrap();
        let (state, base) = (folder.path().join("state"), folder.path().join("b.tar"));
        let sign = |draft: &Statement, base: &Path| {
            sign(base, draft, true, SignBy::Nobody, None, &state).map(|signed| signed.statement.sequence)
        };
        let mut draft = draft("a");
        draft.stream = Some("hq".to_owned());
        assert_eq!(sign(&draft, &base).unwrap(), Some(1));
        // The same command once more takes none.
        assert_eq!(sign(&draft, &base).unwrap(), Some(1));
        draft.sequence = Some(40);
        assert!(matches!(sign(&draft, &base), Err(SigningError::OtherMembers { .. })));
        assert_eq!(sign(&draft, &folder.path().join("c.tar")).unwrap(), Some(40));
        draft.sequence = None;
        assert_eq!(sign(&draft, &folder.path().join("d.tar")).unwrap(), Some(41));
    }

    #[test]
    fn what_is_of_a_replaced_bundle_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("b.tar");
        let key = SigningKey::generate().unwrap();
        let mut signer = Signer::Key(Box::new(key));
        sign(&base, &draft("a"), true, SignBy::Signer(&mut signer), None, folder.path()).unwrap();
        fs::write(folder.path().join("b.tar.recovery"), "x").unwrap();
        let names = || {
            let names =
                fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        let before = names();
        remove_stale(&base, &draft("a").bundle).unwrap();
        assert_eq!(names(), before);
        remove_stale(&base, &BundleIdentity { size: 2, ..draft("a").bundle }).unwrap();
        assert_eq!(names(), ["b.tar.recovery"]);
    }

    #[test]
    fn an_attached_signature_must_be_of_the_statement() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any-name");
        let key = SigningKey::generate().unwrap();
        fs::write(&path, sigstore::sign(b"statement", &key).unwrap()).unwrap();
        assert_eq!(read_signature(&path, b"statement").unwrap().0, SignatureFormat::Sigstore);
        assert!(matches!(read_signature(&path, b"another"), Err(SigningError::Unfit { .. })));
        fs::write(&path, "nothing of the kind").unwrap();
        assert!(matches!(read_signature(&path, b"statement"), Err(SigningError::UnknownForm { .. })));
    }
}
