//! Signatures of every form: any bytes are read or refused, and what is read can be shown and held against a statement.
#![no_main]

use airlift::trust::{Signature, signature::SignatureFormat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    for format in SignatureFormat::ALL {
        for signature in Signature::parse(format, content).unwrap_or_default() {
            drop(signature.claim());
            drop(signature.check_statement(b"{}"));
        }
    }
});
