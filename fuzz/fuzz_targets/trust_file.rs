//! Trust files: any text is read or refused.
#![no_main]

use airlift::trust::{TrustFile, file::FileError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    drop(TrustFile::parse(content, |path| Err(FileError::Missing { path: path.to_owned() })));
});
