//! Statements: whatever is accepted is written again as the same bytes.
#![no_main]

use airlift::trust::Statement;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    if let Ok(statement) = Statement::parse(content) {
        assert_eq!(statement.to_json().unwrap(), content);
    }
});
