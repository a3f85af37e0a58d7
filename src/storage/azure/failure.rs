//! What Azure's refusals mean: which permission is missing, what has expired, what was replaced.

use azure_core::{Error as Refusal, error::ErrorKind, http::StatusCode};
use jiff::Timestamp;

use super::super::{
    error::{Error, cause, redact},
    location::Azure,
    sas::Permission,
};

/// What was asked for when it failed: on which address, with which permission.
#[derive(Clone, Copy)]
pub(super) struct AzureRequest<'a> {
    pub(super) place: &'a Azure,
    pub(super) what: &'a str,
    pub(super) needs: Permission,
}

impl AzureRequest<'_> {
    pub(super) fn failed(&self, refusal: &Refusal) -> Error {
        let what = self.what.to_owned();
        match refusal.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                self.answered(*status, error_code.as_deref().unwrap_or_default(), refusal)
            }
            ErrorKind::Connection => Error::Unreachable { what, source: cause(refusal) },
            ErrorKind::Io => Error::Stalled { what, source: cause(refusal) },
            ErrorKind::Credential => Error::Credential { what, reason: first_line(&cause(refusal).to_string()) },
            _ => Error::Protocol { what, reason: first_line(&cause(refusal).to_string()) },
        }
    }

    fn answered(&self, status: StatusCode, code: &str, refusal: &Refusal) -> Error {
        let what = self.what.to_owned();
        match (u16::from(status), code) {
            (401 | 403, _) => self.refused(code, refusal),
            (404, "ContainerNotFound") => Error::NotFound { what: format!("the container of {what}") },
            (404, _) => Error::NotFound { what },
            (409, "BlobAlreadyExists") => Error::Exists { what },
            (409 | 412, "ConditionNotMet" | "TargetConditionNotMet" | "SourceConditionNotMet") | (412, _) => {
                Error::Changed { what }
            }
            (status @ (408 | 429 | 500..), _) => Error::Server { what, status, reason: reason(code, refusal) },
            (status, _) => Error::Protocol { what, reason: format!("HTTP {status}: {}", reason(code, refusal)) },
        }
    }

    /// 401 and 403 mean many things; the members of the SAS distinguish most of them.
    fn refused(&self, code: &str, refusal: &Refusal) -> Error {
        let what = self.what.to_owned();
        let Some(sas) = &self.place.sas else {
            let reason = match detail(refusal) {
                Some(detail) => format!("{code}: {detail}"),
                None => reason(code, refusal),
            };
            return Error::Refused { what, reason: format!("the identity is not let in: {reason}") };
        };
        if let Some(at) = sas.expiry().filter(|&at| at <= Timestamp::now()) {
            return Error::Expired { what, at };
        }
        if code == "AuthorizationResourceTypeMismatch" {
            let reason = "the SAS is not for this type of resource; an account SAS needs all of srt=sco".to_owned();
            return Error::Refused { what, reason };
        }
        let missing = sas.allows(self.needs) == Some(false);
        if missing || code == "AuthorizationPermissionMismatch" {
            return Error::Permission { what, needs: self.needs, gives: sas.permissions() };
        }
        if code == "AuthorizationProtocolMismatch" {
            return Error::HttpsOnly { what };
        }
        Error::Refused { what, reason: reason(code, refusal) }
    }
}

fn reason(code: &str, refusal: &Refusal) -> String {
    let said = first_line(&redact(&refusal.to_string()));
    if code.is_empty() || said.contains(code) { said } else { format!("{code}: {said}") }
}

/// What Azure says of a token that it does not take; its message is the same for all of them.
fn detail(refusal: &Refusal) -> Option<String> {
    let ErrorKind::HttpResponse { raw_response: Some(answer), .. } = refusal.kind() else { return None };
    let body = String::from_utf8_lossy(answer.body().as_ref()).into_owned();
    let (_, detail) = body.split_once("<AuthenticationErrorDetail>")?;
    let (detail, _) = detail.split_once("</AuthenticationErrorDetail>")?;
    Some(first_line(&redact(detail)))
}

/// Azure's later lines are request ids, times and, of a signature, what was signed.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
