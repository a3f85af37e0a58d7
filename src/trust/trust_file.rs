//! The trust file: whose signatures count, how many are needed, and how old a statement may be
//! (docs/statement-format.md, *The trust file*).

mod document;
mod error;

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::{SignedDuration, Span, SpanRelativeTo, Unit};

use document::{SignerEntry, TrustDocument};
pub use error::TrustFileError;

use super::{
    file::{self, FileError},
    key::KeyError,
    signature::SignerCredential,
};

/// Signers in one file.
const MAX_SIGNERS: usize = 1000;

/// Somebody whose signatures count.
#[derive(Clone, Debug)]
pub struct TrustedSigner {
    name: String,
    credentials: Vec<SignerCredential>,
    streams: Option<GlobSet>,
}

impl TrustedSigner {
    /// The name in the trust file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys and certificates by which the signer is known.
    pub fn credentials(&self) -> &[SignerCredential] {
        &self.credentials
    }

    /// Whether a statement of this stream, or of none, is the signer's to make.
    pub fn may_sign(&self, stream: Option<&str>) -> bool {
        match (&self.streams, stream) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(streams), Some(stream)) => streams.is_match(stream),
        }
    }
}

/// Whom a site trusts.
#[derive(Clone, Debug)]
pub struct TrustFile {
    require: usize,
    max_age: Option<SignedDuration>,
    enforce: bool,
    signers: Vec<TrustedSigner>,
}

impl TrustFile {
    /// Reads the trust file `path` and the key files that it names.
    pub fn open(path: &Path) -> Result<Self, TrustFileError> {
        let text = file::read_named(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, |name| file::read_named(&folder.join(name)))
    }

    /// Reads the text of a trust file. `read` gives the content of a file that it names, by the path as it stands there.
    pub fn parse(text: &[u8], read: impl Fn(&Path) -> Result<Vec<u8>, FileError>) -> Result<Self, TrustFileError> {
        let document: TrustDocument = toml::from_slice(text).map_err(|source| TrustFileError::Syntax { source })?;
        let TrustDocument { require, max_age, enforce, signer: entries } = document;
        if entries.is_empty() || entries.len() > MAX_SIGNERS {
            return Err(TrustFileError::Signers { count: entries.len() });
        }
        if !(1..=entries.len()).contains(&require) {
            return Err(TrustFileError::Require { require, signers: entries.len() });
        }
        let signers = entries.into_iter().map(|entry| signer(entry, &read)).collect::<Result<Vec<_>, _>>()?;
        check_distinct(&signers)?;
        let max_age = max_age.map(|text| age(&text)).transpose()?;
        Ok(Self { require, max_age, enforce, signers })
    }

    /// Distinct signers that are needed.
    pub const fn require(&self) -> usize {
        self.require
    }

    /// How old a statement may be.
    pub const fn max_age(&self) -> Option<SignedDuration> {
        self.max_age
    }

    /// Whether an older statement is refused, not only reported.
    pub const fn enforce(&self) -> bool {
        self.enforce
    }

    /// The signers, in the order of the file.
    pub fn signers(&self) -> &[TrustedSigner] {
        &self.signers
    }
}

fn signer(
    entry: SignerEntry,
    read: &impl Fn(&Path) -> Result<Vec<u8>, FileError>,
) -> Result<TrustedSigner, TrustFileError> {
    let SignerEntry { name, key, ssh, minisign, ca, subject, streams } = entry;
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        return Err(TrustFileError::Name { name });
    }
    let bad = |member, source| TrustFileError::Key { signer: name.clone(), member, source };
    let text = |path: &str| -> Result<String, KeyError> {
        let content = read(&PathBuf::from(path))?;
        String::from_utf8(content).map_err(|error| KeyError::Malformed { reason: error.to_string() })
    };
    let mut credentials = Vec::new();
    for path in key.iter() {
        let key = text(path).and_then(|text| text.parse()).map_err(|source| bad("key", source))?;
        credentials.push(SignerCredential::Key(key));
    }
    for line in ssh.iter() {
        let key = if is_ssh_line(line) { line.parse() } else { text(line).and_then(|text| text.parse()) };
        credentials.push(SignerCredential::Ssh(key.map_err(|source: KeyError| bad("ssh", source))?));
    }
    for line in minisign.iter() {
        let key = if line.starts_with("RW") { line.parse() } else { text(line).and_then(|text| text.parse()) };
        credentials.push(SignerCredential::Minisign(key.map_err(|source| bad("minisign", source))?));
    }
    match (ca, subject) {
        (None, None) => {}
        (Some(ca), Some(subject)) => {
            let authority = text(&ca).and_then(|text| text.parse()).map_err(|source| bad("ca", source))?;
            let subject = subject.parse().map_err(|source| bad("subject", source))?;
            credentials.push(SignerCredential::Certificate { authority, subject });
        }
        _ => return Err(TrustFileError::AuthorityWithoutSubject { signer: name }),
    }
    if credentials.is_empty() {
        return Err(TrustFileError::NoKey { signer: name });
    }
    let streams = streams.map(|globs| stream_globs(&name, &globs)).transpose()?;
    Ok(TrustedSigner { name, credentials, streams })
}

/// Whether `text` is a public key itself, not the path of one.
fn is_ssh_line(text: &str) -> bool {
    text.split_once(' ')
        .is_some_and(|(kind, _)| kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-"))
}

fn stream_globs(signer: &str, globs: &[String]) -> Result<GlobSet, TrustFileError> {
    let bad = |source| TrustFileError::Streams { signer: signer.to_owned(), source };
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        set.add(GlobBuilder::new(glob).literal_separator(true).build().map_err(bad)?);
    }
    set.build().map_err(bad)
}

/// A signer counts once, so no two may share a name or a key.
fn check_distinct(signers: &[TrustedSigner]) -> Result<(), TrustFileError> {
    for (at, one) in signers.iter().enumerate() {
        for other in &signers[..at] {
            if one.name == other.name {
                return Err(TrustFileError::DoubleName { name: one.name.clone() });
            }
            if one.credentials.iter().any(|credential| other.credentials.contains(credential)) {
                return Err(TrustFileError::SharedKey { first: other.name.clone(), second: one.name.clone() });
            }
        }
    }
    Ok(())
}

fn age(text: &str) -> Result<SignedDuration, TrustFileError> {
    let bad = || TrustFileError::MaxAge { found: text.to_owned() };
    let span: Span = text.parse().map_err(|_| bad())?;
    let days = SpanRelativeTo::days_are_24_hours();
    let seconds = span.total((Unit::Second, days)).map_err(|_| bad())?;
    let age = SignedDuration::try_from_secs_f64(seconds).map_err(|_| bad())?;
    if age.is_positive() { Ok(age) } else { Err(bad()) }
}

#[cfg(test)]
mod tests;
