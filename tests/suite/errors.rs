//! docs/errors.md, which people read and scripts are written by, says what the library says.

use std::{collections::BTreeMap, fs, path::Path};

use airlift::content::{Class, Code};

/// Exit codes by token, as the page has them.
fn documented() -> BTreeMap<String, u8> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = fs::read_to_string(page).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (token, rest) = row.split_once("` | ").unwrap();
        let cells: Vec<_> = rest.split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{row}");
        (token.to_owned(), cells[0].parse().unwrap())
    })
    .collect()
}

#[test]
fn the_page_lists_every_token_with_its_exit_code() {
    let exit = |class| match class {
        Class::Failed => 1,
        Class::Usage => 2,
        Class::Partial => 3,
        Class::Unverified => 4,
        Class::Unauthorized => 5,
        Class::Interrupted => 130,
    };
    let expected: BTreeMap<_, _> = Code::ALL.iter().map(|code| (code.token().to_owned(), exit(code.class()))).collect();
    assert_eq!(documented(), expected, "UPDATE_DOCS=1 cargo test --bin airlift docs");
}
