//! Rows in columns, for the terminal.

use std::io::{self, Write};

use super::layout::{BOLD, Page};
use super::{Style, printable};

/// Between columns.
const GAP: usize = 2;

/// Rows with the names of their columns, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Values, as many as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Prints it, with control characters made visible: a line for each row where all fit into
    /// the width, and else a block for each row, a line for each value.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: Write>(&self, out: &mut W, style: &Style) -> io::Result<()> {
        let widths = self.widths();
        let width: usize = widths.iter().map(|width| width + GAP).sum();
        if width.saturating_sub(GAP) <= style.width {
            self.write_lines(out, *style, &widths)
        } else {
            self.write_blocks(out, *style)
        }
    }

    /// The longest text of each column, in characters.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| length(name)).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(length(value));
            }
        }
        widths
    }

    fn write_lines<W: Write>(&self, out: &mut W, style: Style, widths: &[usize]) -> io::Result<()> {
        let right: Vec<bool> =
            (0..self.columns.len()).map(|column| self.is_number(column)).collect();
        let line = |row: &[String]| {
            let mut text = String::new();
            for ((value, width), right) in row.iter().zip(widths).zip(&right) {
                let value = printable(value);
                let padding = " ".repeat(width.saturating_sub(value.chars().count()));
                let (before, after) = if *right { (&*padding, "") } else { ("", &*padding) };
                text.extend([before, &value, after, "  "]);
            }
            text.truncate(text.trim_end().len());
            text
        };
        let mut page = Page::new(out, style);
        page.styled(BOLD, &line(&self.columns))?;
        page.blank()?;
        for row in &self.rows {
            page.plain(&line(row))?;
            page.blank()?;
        }
        Ok(())
    }

    fn write_blocks<W: Write>(&self, out: &mut W, style: Style) -> io::Result<()> {
        let names = self.columns.iter().map(|name| length(name)).max().unwrap_or(0);
        let mut page = Page::new(out, style);
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                page.blank()?;
            }
            for (name, value) in self.columns.iter().zip(row).filter(|(_, value)| !value.is_empty())
            {
                let label = format!("{:<width$}", printable(name), width = names + GAP);
                page.styled(BOLD, &label)?;
                page.rest(&printable(value), names + GAP)?;
            }
        }
        Ok(())
    }

    /// Whether a column holds numbers, and nothing but.
    fn is_number(&self, column: usize) -> bool {
        let values = || self.rows.iter().filter_map(|row| row.get(column));
        values().any(|value| !value.is_empty())
            && values().all(|value| value.is_empty() || value.parse::<f64>().is_ok())
    }
}

fn length(text: &str) -> usize {
    printable(text).chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |texts: [&str; 3]| texts.map(str::to_owned).to_vec();
        Table {
            columns: row(["name", "calls", "what"]),
            rows: vec![row(["echo", "7", "says it again"]), row(["s\x1b", "1200", ""])],
        }
    }

    fn written(table: &Table, width: usize) -> String {
        let mut out = Vec::new();
        table.write(&mut out, &Style { colour: false, width }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let want = "name     calls  what\necho         7  says it again\ns\\u{1b}   1200\n";
        assert_eq!(written(&table(), 80), want);
    }

    #[test]
    fn what_does_not_fit_is_told_line_by_line() {
        let mut table = table();
        table.rows[0][2] = "word ".repeat(12).trim_end().to_owned();
        let want = format!(
            "name   echo\ncalls  7\nwhat   {}\n       word\n\nname   s\\u{{1b}}\ncalls  1200\n",
            "word ".repeat(11).trim_end()
        );
        assert_eq!(written(&table, 62), want);
    }

    #[test]
    fn a_table_without_rows_is_its_head() {
        let empty = Table { rows: Vec::new(), ..table() };
        assert_eq!(written(&empty, 80), "name  calls  what\n");
        assert_eq!(written(&Table::default(), 80), "\n");
    }
}
