//! Lines, indents, wrapping and colour.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Ansi};

use super::Style;

const MIN_WIDTH: usize = 60;
/// Where labels and the text beside them begin.
const LABEL_INDENT: usize = 4;
const TEXT_INDENT: usize = 14;

pub(super) const BOLD: Ansi = Ansi::new().bold();
pub(super) const DIM: Ansi = Ansi::new().dimmed();
pub(super) const RED: Ansi = AnsiColor::Red.on_default().bold();
pub(super) const YELLOW: Ansi = AnsiColor::Yellow.on_default();
pub(super) const GREEN: Ansi = AnsiColor::Green.on_default();

/// Where the report goes.
pub(super) struct Page<'o, W> {
    out: &'o mut W,
    colour: bool,
    width: usize,
}

impl<'o, W: Write> Page<'o, W> {
    pub(super) fn new(out: &'o mut W, style: Style) -> Self {
        Self { out, colour: style.colour, width: style.width.max(MIN_WIDTH) }
    }

    pub(super) fn blank(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.styled(BOLD, text)?;
        self.blank()
    }

    /// A heading that may be longer than a line, in a line begun at `column`.
    pub(super) fn long_heading(
        &mut self,
        text: &str,
        column: usize,
        indent: usize,
    ) -> io::Result<()> {
        if self.colour {
            write!(self.out, "{BOLD}")?;
        }
        self.wrapped_line(text, column, indent)?;
        if self.colour {
            write!(self.out, "{BOLD:#}")?;
        }
        self.blank()
    }

    /// Text in a style, without a line break.
    pub(super) fn styled(&mut self, style: Ansi, text: &str) -> io::Result<()> {
        if self.colour {
            write!(self.out, "{style}{text}{style:#}")
        } else {
            write!(self.out, "{text}")
        }
    }

    /// Text as it is, without a line break.
    pub(super) fn plain(&mut self, text: &str) -> io::Result<()> {
        write!(self.out, "{text}")
    }

    /// Wrapped text: the first line indented by `first`, the others by `rest`.
    pub(super) fn paragraph(&mut self, text: &str, first: usize, rest: usize) -> io::Result<()> {
        write!(self.out, "{:first$}", "")?;
        self.wrapped(text, first, rest)
    }

    /// A label and wrapped text beside it; nothing when the text is empty.
    pub(super) fn field(&mut self, label: &str, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let label = format!("{label:<width$}", width = TEXT_INDENT - LABEL_INDENT);
        write!(self.out, "{:LABEL_INDENT$}", "")?;
        self.styled(DIM, &label)?;
        self.wrapped(text, TEXT_INDENT, TEXT_INDENT)
    }

    /// Wrapped text that goes on in a line begun, at `column`.
    pub(super) fn rest(&mut self, text: &str, column: usize) -> io::Result<()> {
        self.wrapped(text, column, column)
    }

    /// Words up to the width; a word longer than a line is not broken, so that it can be copied.
    fn wrapped(&mut self, text: &str, start: usize, indent: usize) -> io::Result<()> {
        self.wrapped_line(text, start, indent)?;
        self.blank()
    }

    /// The same, without the last line break.
    fn wrapped_line(&mut self, text: &str, start: usize, indent: usize) -> io::Result<()> {
        let (mut column, mut first) = (start, true);
        for word in text.split(' ') {
            let length = word.chars().count();
            if first {
                write!(self.out, "{word}")?;
            } else if column + 1 + length > self.width {
                write!(self.out, "\n{:indent$}{word}", "")?;
                column = indent;
            } else {
                write!(self.out, " {word}")?;
                column += 1;
            }
            column += length;
            first = false;
        }
        Ok(())
    }
}

/// `1 flow`, `2 flows`.
pub(super) fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Bytes in decimal units, rounded down to one digit: `999 B`, `1.2 MB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if count >= size {
            return format!("{}.{} {unit}", count / size, count % size / (size / 10));
        }
    }
    format!("{count} B")
}

/// The first `most` items, and how many more there are.
pub(super) fn listed<I>(items: I, most: usize) -> String
where
    I: IntoIterator<Item = String>,
{
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(most).collect();
    let mut text = shown.join(", ");
    let more = items.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_units() {
        for (count, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_999_999, "1.9 MB"),
            (u64::MAX, "18446744.0 TB"),
        ] {
            assert_eq!(bytes(count), want);
        }
    }

    #[test]
    fn text_wraps_at_words_and_long_words_stay_whole() {
        let mut out = Vec::new();
        let mut page = Page::new(&mut out, Style { colour: false, width: 60 });
        let long = "x".repeat(70);
        page.field("what", &format!("{} {long} end", "word ".repeat(10).trim_end())).unwrap();
        let text = String::from_utf8(out).unwrap();
        let want = format!(
            "    what      word word word word word word word word word\n{0}word\n{0}{long}\n{0}end\n",
            " ".repeat(14)
        );
        assert_eq!(text, want);
    }

    #[test]
    fn lists_say_how_many_more() {
        let items = || (1..=5).map(|n| n.to_string());
        assert_eq!(listed(items(), 9), "1, 2, 3, 4, 5");
        assert_eq!(listed(items(), 2), "1, 2 and 3 more");
        assert_eq!(listed([], 2), "");
    }
}
