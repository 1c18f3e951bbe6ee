//! Rows of cells as text with aligned columns.

/// Which side of its column a cell stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// Aligns rows, the header first. No blanks at the ends of lines.
pub(super) fn columns<const N: usize>(sides: [Side; N], rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).zip(sides).map(|((cell, width), side)| match side {
            Side::Left => format!("{cell:<width$}"),
            Side::Right => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_on_their_side_and_lines_end_without_blanks() {
        let rows = [["A", "N", "T"], ["long", "1", "x"], ["", "200", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let text = columns([Side::Left, Side::Right, Side::Left], &rows);
        assert_eq!(text, "A       N  T\nlong    1  x\n      200\n");
    }
}
