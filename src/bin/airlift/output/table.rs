//! Columns for people: no lines, no colours, so that they can be cut and grepped.

use airlift::oci::Digest;
use comfy_table::{CellAlignment, Table, presets::NOTHING};

/// Where a column's text stands.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    Left(&'static str),
    Right(&'static str),
}

/// Rows under headings, one line a row whatever the terminal's width: what is cut off cannot be copied.
pub(crate) fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(columns.iter().map(|column| match column {
        Column::Left(name) | Column::Right(name) => *name,
    }));
    table.add_rows(rows);
    for (at, column) in columns.iter().enumerate() {
        if let (Some(place), Column::Right(_)) = (table.column_mut(at), column) {
            place.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Columns of a terminal, and of a page of a mail.
const WIDTH: usize = 80;

/// As [`table`], within 80 columns: where names are too long for it, each is on a line of its own above its row. A name is never
/// cut, so that it can be copied.
pub(crate) fn named_table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let wide = table(columns, rows.clone());
    let Some((Column::Left(name) | Column::Right(name), others)) = columns.split_first() else { return wide };
    if wide.lines().all(|line| line.chars().count() <= WIDTH) {
        return wide;
    }
    let names = std::iter::once(*name).chain(rows.iter().map(|row| row[0].as_str()));
    let below = table(others, rows.iter().map(|row| row[1..].to_vec()));
    names.zip(below.lines()).flat_map(|(name, line)| [name, "\n  ", line, "\n"]).collect()
}

/// A digest that people tell from others: its first 12 digits. `--json` has all of it.
pub(crate) fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_has_its_names_on_lines_of_their_own() {
        let columns = [Column::Left("NAME"), Column::Right("SIZE"), Column::Left("STATE")];
        let row = |name: &str| [name, "10 B", "done"].map(str::to_owned).to_vec();
        assert_eq!(named_table(&columns, [row("a")]), table(&columns, [row("a")]));
        let long = "r.example/".to_owned() + &"a".repeat(70);
        let text = named_table(&columns, [row("a"), row(&long)]);
        assert_eq!(text, format!("NAME\n  SIZE  STATE\na\n  10 B  done\n{long}\n  10 B  done\n"));
    }

    #[test]
    fn columns_are_aligned_and_end_without_blanks() {
        let rows = [["a", "1 B"], ["longer", "10 B"]].map(|row| row.map(str::to_owned).to_vec());
        let text = table(&[Column::Left("NAME"), Column::Right("SIZE")], rows);
        assert_eq!(text, "NAME    SIZE\na        1 B\nlonger  10 B\n");
    }
}
