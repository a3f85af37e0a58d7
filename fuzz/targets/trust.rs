//! What is beside a bundle, and the trust file.

use airlift::trust::{
    Signature, Statement, TrustFile,
    file::FileError,
    signature::{SignatureFormat, SignerCredential},
};
use jiff::Timestamp;

/// Statements: whatever is accepted is written again as the same bytes.
pub(crate) fn statement(input: &[u8]) {
    if let Ok(statement) = Statement::parse(input) {
        assert_eq!(statement.to_json().unwrap(), input);
    }
}

/// Trust files: any text is read or refused. Each file that one names has a key in it.
pub(crate) fn trust_file(input: &[u8]) {
    let key = include_bytes!("../../src/trust/signature/fixtures/cosign-p256.pub");
    let read = |path: &std::path::Path| match path.extension() {
        Some(_) => Ok(key.to_vec()),
        None => Err(FileError::Missing { path: path.to_owned() }),
    };
    drop(TrustFile::parse(input, read));
}

pub(crate) fn sigstore(input: &[u8]) {
    signature(SignatureFormat::Sigstore, input);
}

pub(crate) fn ssh(input: &[u8]) {
    signature(SignatureFormat::Ssh, input);
}

pub(crate) fn cms(input: &[u8]) {
    signature(SignatureFormat::Cms, input);
}

/// Signatures: any bytes are read or refused, what is read can be shown, and none is of a statement that nobody signed.
fn signature(format: SignatureFormat, input: &[u8]) {
    let key = include_str!("../../src/trust/signature/fixtures/cosign-p256.pub").parse().unwrap();
    let ssh = include_str!("../../src/trust/signature/fixtures/ssh.pub").parse().unwrap();
    let credentials = [SignerCredential::Key(key), SignerCredential::Ssh(ssh)];
    for signature in Signature::parse(format, input).unwrap_or_default() {
        drop(signature.claim());
        drop(signature.check_statement(b"{}"));
        for credential in &credentials {
            let judgement = signature.check(b"{}", credential, Timestamp::UNIX_EPOCH);
            assert!(!matches!(judgement, airlift::trust::signature::Judgement::Valid));
        }
    }
}
