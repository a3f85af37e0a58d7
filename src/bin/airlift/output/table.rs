//! Columns for people: no lines, no colours, so that they can be cut and grepped.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_end_without_blanks() {
        let rows = [["a", "1 B"], ["longer", "10 B"]].map(|row| row.map(str::to_owned).to_vec());
        let text = table(&[Column::Left("NAME"), Column::Right("SIZE")], rows);
        assert_eq!(text, "NAME    SIZE\na        1 B\nlonger  10 B\n");
    }
}
