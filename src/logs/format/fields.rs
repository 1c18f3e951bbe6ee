//! Lines of separated fields: what stands between them, what holds them together, and how the
//! bytes in them are escaped.
//!
//! Nothing is copied until a field's [`text`](Field::text) is asked for, and then only where an
//! escape has to be undone.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::super::{Reason, Text};

/// How bytes are written that would end a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// They are not escaped.
    None,
    /// `""` in a field in quotes is one quote (RFC 4180 section 2, W3C extended log format).
    Doubled,
    /// `\xHH`, `\"`, `\\`, `\t`, `\n` (nginx, Apache, Zeek, AWS).
    Backslash,
    /// `%HH` (Squid).
    Percent,
    /// `#HH` (HAProxy).
    Hash,
}

/// How a line falls into fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The byte between two fields.
    pub(super) separator: u8,
    /// Several of them in a row are as one.
    pub(super) runs: bool,
    /// A field that begins with `"` ends with the next one.
    pub(super) quotes: bool,
    /// A field that begins with `[` ends with the next `]`.
    pub(super) brackets: bool,
    /// In fields in quotes and in others.
    pub(super) escape: Escape,
}

impl Layout {
    /// Tabs between, and nothing else (Zeek).
    pub(super) const TABS: Self = Self {
        separator: b'\t',
        runs: false,
        quotes: false,
        brackets: false,
        escape: Escape::None,
    };
    /// Comma-separated values (RFC 4180).
    pub(super) const CSV: Self =
        Self { separator: b',', quotes: true, escape: Escape::Doubled, ..Self::TABS };
    /// Blanks between, and strings in quotes (W3C extended log format).
    pub(super) const EXTENDED: Self = Self { separator: b' ', runs: true, ..Self::CSV };
    /// Blanks between, a time in brackets, strings in quotes (common log format).
    pub(super) const COMMON: Self = Self {
        separator: b' ',
        runs: true,
        quotes: true,
        brackets: true,
        escape: Escape::Backslash,
    };
}

/// What a field stood in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Enclosure {
    None,
    Quotes,
    Brackets,
}

/// A field as it stands in the line, without what encloses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) raw: &'a [u8],
    pub(super) enclosure: Enclosure,
    pub(super) escape: Escape,
}

impl<'a> Field<'a> {
    /// Its text, escapes undone. Bytes that are no UTF-8 become U+FFFD.
    pub(super) fn text(self) -> Text<'a> {
        let Some(first) = self.first_escape() else { return String::from_utf8_lossy(self.raw) };
        let plain = unescape(self.raw, first, self.escape);
        Cow::Owned(match String::from_utf8(plain) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    fn first_escape(self) -> Option<usize> {
        match self.escape {
            Escape::None => None,
            Escape::Doubled if self.enclosure == Enclosure::Quotes => memchr(b'"', self.raw),
            Escape::Doubled => None,
            Escape::Backslash => memchr(b'\\', self.raw),
            Escape::Percent => memchr(b'%', self.raw),
            Escape::Hash => memchr(b'#', self.raw),
        }
    }
}

/// The text of bytes with escapes.
pub(super) fn text(raw: &[u8], escape: Escape) -> Text<'_> {
    Field { raw, enclosure: Enclosure::None, escape }.text()
}

/// Undoes escapes, of which the first is at `first`. What is no escape stays as it is.
fn unescape(raw: &[u8], first: usize, escape: Escape) -> Vec<u8> {
    let mark = raw.get(first).copied().unwrap_or_default();
    let (mut out, mut rest) = (Vec::with_capacity(raw.len()), raw);
    let mut next = Some(first);
    while let Some((before, from)) = next.and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(before);
        let (byte, len) = escaped(from, escape);
        out.push(byte);
        rest = from.get(len..).unwrap_or_default();
        next = memchr(mark, rest);
    }
    out.extend_from_slice(rest);
    out
}

/// The byte that the escape at the beginning of `from` stands for, and its length.
fn escaped(from: &[u8], escape: Escape) -> (u8, usize) {
    let mark = from.first().copied().unwrap_or_default();
    let hex = |at: usize| {
        let (high, low) = (digit(*from.get(at)?)?, digit(*from.get(at + 1)?)?);
        Some((high << 4 | low, at + 2))
    };
    let found = match (escape, from.get(1)) {
        (Escape::Doubled, Some(b'"')) => Some((b'"', 2)),
        (Escape::Percent | Escape::Hash, _) => hex(1),
        (Escape::Backslash, Some(b'x' | b'X')) => hex(2),
        (Escape::Backslash, Some(b't')) => Some((b'\t', 2)),
        (Escape::Backslash, Some(b'n')) => Some((b'\n', 2)),
        (Escape::Backslash, Some(b'r')) => Some((b'\r', 2)),
        (Escape::Backslash, Some(byte @ (b'"' | b'\\' | b'/' | b'\'' | b' '))) => Some((*byte, 2)),
        _ => None,
    };
    found.unwrap_or((mark, 1))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The fields of a line, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    /// `None` behind the last one.
    rest: Option<&'a [u8]>,
    layout: Layout,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(line: &'a [u8], layout: Layout) -> Self {
        Self { rest: Some(line), layout }
    }

    /// What is behind the fields that were taken.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest.unwrap_or_default()
    }

    /// The next field, where there has to be one.
    pub(super) fn need(&mut self) -> Result<Field<'a>, Reason> {
        self.next().unwrap_or(Err(Reason::of("the line has fewer fields than it should")))
    }

    /// Passes over so many fields.
    pub(super) fn skip_some(&mut self, count: usize) -> Result<(), Reason> {
        for _ in 0..count {
            self.need()?;
        }
        Ok(())
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Reason>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest?;
        let Layout { separator, runs, quotes, brackets, escape } = self.layout;
        if runs {
            let blanks = rest.iter().take_while(|byte| **byte == separator).count();
            rest = rest.get(blanks..).unwrap_or_default();
            if rest.is_empty() {
                self.rest = None;
                return None;
            }
        }
        let enclosure = match rest.first() {
            Some(b'"') if quotes => Enclosure::Quotes,
            Some(b'[') if brackets => Enclosure::Brackets,
            _ => Enclosure::None,
        };
        let start = usize::from(enclosure != Enclosure::None);
        let inner = rest.get(start..).unwrap_or_default();
        let end = match enclosure {
            Enclosure::None => Some(memchr(separator, inner).unwrap_or(inner.len())),
            Enclosure::Quotes => closing_quote(inner, separator, escape),
            Enclosure::Brackets => closing(inner, b']', separator),
        };
        let Some((raw, after)) = end.and_then(|end| inner.split_at_checked(end)) else {
            self.rest = None;
            return Some(Err(Reason::of("a quote or bracket is not closed: the line is cut")));
        };
        // The closing mark and the separator, where they are.
        let after = after.get(start..).unwrap_or_default();
        self.rest = after.split_first().map(|(_, rest)| rest);
        Some(Ok(Field { raw, enclosure, escape }))
    }
}

/// Where the quote is that ends a field: it is not escaped, and a separator or the end follows.
/// Programs that escape nothing write quotes inside of fields too.
fn closing_quote(inner: &[u8], separator: u8, escape: Escape) -> Option<usize> {
    if !matches!(escape, Escape::Backslash | Escape::Doubled) {
        return closing(inner, b'"', separator);
    }
    let mut from = 0;
    loop {
        let rest = inner.get(from..)?;
        let at = from
            + match escape {
                Escape::Backslash => memchr2(b'"', b'\\', rest)?,
                _ => memchr(b'"', rest)?,
            };
        let next = inner.get(at + 1).copied();
        let is_escape =
            inner.get(at) == Some(&b'\\') || (escape == Escape::Doubled && next == Some(b'"'));
        if is_escape {
            from = at + 2;
        } else if next.is_none_or(|next| next == separator) {
            return Some(at);
        } else {
            from = at + 1;
        }
    }
}

fn closing(inner: &[u8], mark: u8, separator: u8) -> Option<usize> {
    memchr::memchr_iter(mark, inner)
        .find(|at| inner.get(at + 1).is_none_or(|next| *next == separator))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str, layout: Layout) -> Vec<String> {
        let fields = Fields::new(line.as_bytes(), layout);
        fields
            .map(|field| field.map_or_else(|_| "!".into(), |field| field.text().into_owned()))
            .collect()
    }

    #[test]
    fn fields_fall_apart_as_their_layout_says() {
        let nginx = Layout::COMMON;
        for (line, layout, expected) in [
            ("a\tb c\t\td", Layout::TABS, &["a", "b c", "", "d"][..]),
            ("a\t", Layout::TABS, &["a", ""]),
            (r#"a,"b,c",,"say ""x""""#, Layout::CSV, &["a", "b,c", "", r#"say "x""#]),
            (r#""","" "#, Layout::CSV, &["", "!"]),
            (r#"a  b "c d" - "" e"#, Layout::EXTENDED, &["a", "b", "c d", "-", "", "e"]),
            (r#""say ""hi"" now" x"#, Layout::EXTENDED, &[r#"say "hi" now"#, "x"]),
            (
                r#"::1 - [a b] "GET /x\x22y \"z\"" 200"#,
                nginx,
                &["::1", "-", "a b", r#"GET /x"y "z""#, "200"],
            ),
            (r#""no"t the end" z"#, nginx, &[r#"no"t the end"#, "z"]),
            (r#"a "b c"#, nginx, &["a", "!"]),
            ("[a b", nginx, &["!"]),
            (r#""\"#, nginx, &["!"]),
            ("", Layout::TABS, &[""]),
            ("   ", Layout::EXTENDED, &[]),
        ] {
            assert_eq!(split(line, layout), expected, "{line}");
        }
    }

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (raw, escape, expected) in [
            ("a%20b%2", Escape::Percent, "a b%2"),
            ("%zz%41", Escape::Percent, "%zzA"),
            ("#7Bx#7D#", Escape::Hash, "{x}#"),
            (r"\x41\t\\\q\", Escape::Backslash, "A\t\\\\q\\"),
            (r"\xE9", Escape::Backslash, "\u{fffd}"),
            (r"\xc3\xa9", Escape::Backslash, "é"),
            (r#"a""b"#, Escape::Doubled, r#"a""b"#),
            ("a%20", Escape::None, "a%20"),
        ] {
            assert_eq!(text(raw.as_bytes(), escape), expected, "{raw}");
        }
    }

    #[test]
    fn what_has_no_escapes_is_borrowed() {
        let field = Fields::new(b"\"a b\" c", Layout::COMMON).need().unwrap();
        assert!(matches!(field.text(), Cow::Borrowed("a b")));
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_lose_nothing_but_separators(
            line in proptest::collection::vec(prop::sample::select(b"a\" [],\t\\x2#%".to_vec()), 0..80),
        ) {
            for layout in [Layout::TABS, Layout::CSV, Layout::EXTENDED, Layout::COMMON] {
                let fields: Vec<_> = Fields::new(&line, layout).collect();
                prop_assert!(fields.len() <= line.len() + 1);
                let held: usize = fields.iter().flatten().map(|field| field.raw.len()).sum();
                prop_assert!(held <= line.len());
            }
        }

        #[test]
        fn quoting_as_csv_and_reading_gives_the_same(
            cells in proptest::collection::vec("[a-c\", ]{0,6}", 1..8),
        ) {
            let quoted: Vec<_> =
                cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            prop_assert_eq!(split(&quoted.join(","), Layout::CSV), cells);
        }
    }
}
