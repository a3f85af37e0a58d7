//! Why a signature does not count.

use super::SignatureFormat;

/// What is wrong with a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It cannot be read.
    #[error("it is not a {format}: {reason}")]
    Malformed {
        /// What it should be.
        format: SignatureFormat,
        /// What the parser says.
        reason: String,
    },
    /// It can be read, and is of a kind that is not used here.
    #[error("{what} is not used here")]
    Unsupported {
        /// The kind.
        what: String,
    },
    /// An SSH signature was made for another purpose.
    #[error("it was made for the namespace {found:?}, not \"airlift-transfer\"")]
    Namespace {
        /// The namespace.
        found: String,
    },
    /// It says that it was made over other bytes.
    #[error("it was made over another file")]
    OtherFile,
    /// A CMS file has the signed content in it.
    #[error("it has the signed content in it; a detached signature is needed")]
    Attached,
    /// The numbers do not add up: it was made by another key, over other bytes, or was changed.
    #[error("it is not of this key over this statement")]
    Wrong,
    /// The key on a token signed without a person's touch.
    #[error("it was made without a touch of the token")]
    NoTouch,
    /// The certificate cannot be used.
    #[error("the certificate of {subject} {problem}")]
    Certificate {
        /// Whose certificate.
        subject: String,
        /// Why not.
        problem: CertificateProblem,
    },
}

/// Why a certificate cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It is not in the file.
    #[error("is not in the file")]
    Missing,
    /// It was not issued by the authority, or not through the certificates in the file.
    #[error("does not lead to the authority")]
    UnknownIssuer,
    /// Its time is over.
    #[error("has expired, or that of an authority between")]
    Expired,
    /// Its time has not come.
    #[error("is not valid yet")]
    NotYetValid,
    /// It is for another use than signing documents.
    #[error("is not meant for signatures")]
    Usage,
    /// Something else, in the words of the library.
    #[error("is refused: {reason}")]
    Other {
        /// What the library says.
        reason: String,
    },
}
