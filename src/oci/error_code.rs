//! The error envelope of the distribution API (distribution-spec 1.1, "Error Codes"), as the `oci-distribution` crate
//! has it.

pub use oci_distribution::errors::{OciEnvelope as Envelope, OciError as ErrorItem, OciErrorCode as ErrorCode};
