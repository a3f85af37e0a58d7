//! Why images did not come into a runtime.

use crate::{
    content::{self, Code, Fault},
    oci::{Digest, Reference},
    packaging::ProgramFailure,
    server::ServerError,
    transfer,
};

/// Why images did not come into a runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bundle cannot be read, or has no such artifact.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// A manifest or a config cannot be read.
    #[error(transparent)]
    Content(#[from] content::Error),
    /// An artifact that was named is not an image.
    #[error("{artifact} is not an image, so no runtime takes it")]
    NoImage {
        /// The artifact.
        artifact: Box<Reference>,
    },
    /// An image that was named has no tag, and the runtime names nothing by its digest.
    #[error("{artifact} has no tag, and {runtime} needs one")]
    NoTag {
        /// The image.
        artifact: Box<Reference>,
        /// The runtime.
        runtime: &'static str,
    },
    /// The bundles have no image at all.
    #[error("there is no image for {platform} to load")]
    Nothing {
        /// The platform.
        platform: String,
    },
    /// The program of the runtime is not there, or fails.
    #[error(transparent)]
    Program(#[from] ProgramFailure),
    /// The program of the runtime fails with one image.
    #[error("{artifact}")]
    Image {
        /// The image.
        artifact: Box<Reference>,
        /// What the program said.
        source: ProgramFailure,
    },
    /// Afterwards the runtime has something else under the image's name, or nothing.
    #[error("{runtime} has {found} under the name {artifact}, and the bundle has {expected}")]
    Mismatch {
        /// The runtime.
        runtime: &'static str,
        /// The image.
        artifact: Box<Reference>,
        /// What the runtime says of it.
        found: String,
        /// What it should have.
        expected: Digest,
    },
    /// The bundle cannot be served on loopback.
    #[error(transparent)]
    Serve(#[from] ServerError),
}

impl Fault for Error {
    fn code(&self) -> Code {
        match self {
            Self::Transfer(error) => error.code(),
            Self::Content(error) => error.code(),
            Self::NoImage { .. } | Self::NoTag { .. } => Code::LoadNoImage,
            Self::Nothing { .. } => Code::LoadNothing,
            Self::Program(ProgramFailure::Missing { .. }) => Code::ProgramMissing,
            Self::Program(_) | Self::Image { .. } => Code::ProgramFailed,
            Self::Mismatch { .. } => Code::LoadMismatch,
            Self::Serve(error) => error.code(),
        }
    }
}
