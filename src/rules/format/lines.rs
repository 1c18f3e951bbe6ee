//! Lines of a YAML file, and which of them are text of a block scalar.

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its text; no blanks at the end unless `raw`.
    pub(super) text: String,
    /// Text of a block scalar, where blanks mean something.
    pub(super) raw: bool,
}

/// A block scalar that is being read.
struct Scalar {
    /// Its text is indented deeper than this.
    indent: usize,
    /// Blank lines at its end belong to it (`|+`).
    keeps: bool,
}

/// Splits a text; single quotes around simple values become double ones if `quotes`.
pub(super) fn lines(text: &str, quotes: bool) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines: Vec<Line> = Vec::new();
    let mut scalar: Option<Scalar> = None;
    for line in text.lines() {
        let is_blank = line.trim().is_empty();
        if let Some(open) = &scalar {
            if is_blank || indent(line) > open.indent {
                lines.push(Line { text: line.to_owned(), raw: true });
                continue;
            }
            end_scalar(&mut lines, open);
        }
        let trimmed = line.trim_end();
        let text = if quotes { requoted(trimmed) } else { None };
        let text = text.unwrap_or_else(|| trimmed.to_owned());
        scalar = block_scalar(&text);
        lines.push(Line { text, raw: false });
    }
    if let Some(open) = &scalar {
        end_scalar(&mut lines, open);
    }
    lines
}

/// Blank lines after a scalar are no part of it, unless it says so.
fn end_scalar(lines: &mut [Line], scalar: &Scalar) {
    if scalar.keeps {
        return;
    }
    for line in lines.iter_mut().rev().take_while(|line| line.raw && line.text.trim().is_empty()) {
        line.text.clear();
        line.raw = false;
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The key that a line of the top level begins with.
pub(super) fn key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_key = !key.is_empty() && key.bytes().all(name);
    (is_key && (rest.is_empty() || rest.starts_with(' '))).then_some(key)
}

/// Whether a line opens a block scalar: `key: >-`, `- |`.
fn block_scalar(line: &str) -> Option<Scalar> {
    let line = line.split_once(" #").map_or(line, |(before, _)| before).trim_end();
    let (before, header) = line.rsplit_once(' ')?;
    let style = header.strip_prefix(['|', '>'])?;
    if style.len() > 2 || !style.bytes().all(|b| b == b'+' || b == b'-' || b.is_ascii_digit()) {
        return None;
    }
    let before = before.trim_end();
    if !(before.ends_with(':') || before.ends_with('-')) {
        return None;
    }
    let mut key = before;
    // `- - key:` counts from the key; `-` alone from itself.
    while let Some(rest) = key.trim_start().strip_prefix("- ") {
        key = rest;
    }
    let indent = before.len() - key.trim_start().len();
    Some(Scalar { indent, keeps: style.contains('+') })
}

/// A line whose value is `'text'`, with double quotes; `None` where that is not certain to be the
/// same.
fn requoted(line: &str) -> Option<String> {
    let start = line.find('\'')?;
    let (before, quoted) = line.split_at_checked(start)?;
    let value = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let simple = |c: char| (' '..='~').contains(&c) && !"'\"\\".contains(c);
    let is_value = before.ends_with(": ") || before.ends_with("- ");
    // What comes before must be a key or a dash, and no text of its own.
    let plain = !before.contains(['"', '#', '{', '[', ',']);
    (is_value && plain && value.chars().all(simple)).then(|| format!("{before}\"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_scalars_keep_their_text_and_give_back_blank_lines_after_them() {
        let text = "a: >-\n  x  \n\n  y\n\n\nb: |+\n  x\n\nc:\n  - d: |\n      x\n    e: 1  \n";
        let raw: Vec<_> =
            lines(text, true).into_iter().filter(|line| line.raw).map(|line| line.text).collect();
        assert_eq!(raw, ["  x  ", "", "  y", "  x", "", "      x"]);
    }

    #[test]
    fn only_lines_of_the_top_level_begin_with_a_key() {
        for (line, expected) in [
            ("when:", Some("when")),
            ("rev: 1", Some("rev")),
            (" rev: 1", None),
            ("rev:1", None),
            ("- a: b", None),
            ("# a: b", None),
            ("]", None),
            ("", None),
        ] {
            assert_eq!(key(line), expected, "{line}");
        }
    }

    #[test]
    fn quotes_change_only_where_that_is_certain() {
        for (line, expected) in [
            ("a: 'b c'", Some("a: \"b c\"")),
            ("  - 'x: y'", Some("  - \"x: y\"")),
            ("- a: ''", Some("- a: \"\"")),
            ("a: 'it''s'", None),
            ("a: 'b\\d'", None),
            ("a: ['b']", None),
            ("a: \"b\"  # don't", None),
            ("a: don't", None),
            ("a: 'b' # c", None),
            ("a: 'b', 'c'", None),
        ] {
            assert_eq!(requoted(line).as_deref(), expected, "{line}");
        }
    }
}
