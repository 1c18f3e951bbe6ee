//! Lines of `key=value` pairs, and tables of what the keys mean.

use memchr::{memchr, memchr2};

use super::super::{Meaning, Reason};
use super::fields::{Enclosure, Escape, Field};

/// Keys or columns of a source, and what they mean.
pub(super) type Table = [(&'static str, Meaning)];

/// The pairs of a line.
#[derive(Clone, Debug)]
pub(super) struct KeyValues<'a> {
    rest: &'a [u8],
    separator: u8,
    escape: Escape,
    quotes: bool,
}

/// A key, and its value if there is a `=`.
pub(super) type Pair<'a> = (&'a [u8], Option<Field<'a>>);

impl<'a> KeyValues<'a> {
    /// Pairs with `separator` between them, any number of them; values may not stand in quotes.
    pub(super) const fn new(line: &'a [u8], separator: u8, escape: Escape) -> Self {
        Self { rest: line, separator, escape, quotes: false }
    }

    /// The pairs of a logfmt line: blanks between, values with blanks in quotes, `\"` inside.
    #[allow(dead_code, reason = "the generic reader's")]
    pub(super) const fn logfmt(line: &'a [u8]) -> Self {
        Self { quotes: true, ..Self::new(line, b' ', Escape::Backslash) }
    }
}

/// Text up to the closing quote, and what is behind it.
fn quoted(inner: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', inner.get(from..)?)?;
        if inner.get(at) == Some(&b'"') {
            return Some((inner.get(..at)?, inner.get(at + 1..)?));
        }
        from = at + 2;
    }
}

impl<'a> Iterator for KeyValues<'a> {
    type Item = Result<Pair<'a>, Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        let blanks = self.rest.iter().take_while(|byte| **byte == self.separator).count();
        let line = self.rest.get(blanks..).unwrap_or_default();
        if line.is_empty() {
            return None;
        }
        let end = memchr2(b'=', self.separator, line).unwrap_or(line.len());
        let (key, after) = line.split_at_checked(end).unwrap_or((line, &[]));
        self.rest = after;
        // A word without `=` is a key without a value.
        let Some(value) = after.strip_prefix(b"=") else { return Some(Ok((key, None))) };
        let field = if self.quotes && value.first() == Some(&b'"') {
            let Some((raw, after)) = quoted(value.get(1..).unwrap_or_default()) else {
                self.rest = &[];
                return Some(Err(Reason::of("a quote is not closed: the line is cut")));
            };
            self.rest = after;
            Field { raw, enclosure: Enclosure::Quotes, escape: self.escape }
        } else {
            let end = memchr(self.separator, value).unwrap_or(value.len());
            let (raw, after) = value.split_at_checked(end).unwrap_or((value, &[]));
            self.rest = after;
            let escape = if self.quotes { Escape::None } else { self.escape };
            Field { raw, enclosure: Enclosure::None, escape }
        };
        Some(Ok((key, Some(field))))
    }
}

/// Pairs of a line whose place is remembered; further ones are looked up each time.
const MAX_HINTS: usize = 256;

/// Finds keys in a table. Lines of one source have their keys in the same order, so where a key was
/// found last is looked at first.
#[derive(Debug)]
pub(super) struct Lookup {
    table: &'static Table,
    /// For each pair of a line: its place in the table, `u16::MAX` for none.
    hints: Vec<u16>,
}

impl Lookup {
    pub(super) const fn new(table: &'static Table) -> Self {
        Self { table, hints: Vec::new() }
    }

    /// What the key of the pair at `index` means. Case is not looked at.
    #[inline]
    pub(super) fn meaning(&mut self, index: usize, key: &[u8]) -> Meaning {
        let hint = self.hints.get(index).and_then(|at| self.table.get(usize::from(*at)));
        match hint {
            Some((name, meaning)) if name.as_bytes() == key => *meaning,
            _ => self.search(index, key),
        }
    }

    fn search(&mut self, index: usize, key: &[u8]) -> Meaning {
        let found = find(self.table, key);
        if index < MAX_HINTS {
            if self.hints.len() <= index {
                self.hints.resize(index + 1, u16::MAX);
            }
            if let (Some(hint), Some(at)) = (self.hints.get_mut(index), found) {
                *hint = u16::try_from(at).unwrap_or(u16::MAX);
            }
        }
        found.and_then(|at| self.table.get(at)).map_or(Meaning::Unused, |(_, meaning)| *meaning)
    }
}

/// The place of a key in a table.
pub(super) fn find(table: &Table, key: &[u8]) -> Option<usize> {
    table.iter().position(|(name, _)| name.as_bytes().eq_ignore_ascii_case(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(found: KeyValues<'_>) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        found
            .map(|pair| match pair {
                Ok((key, value)) => (text(key), value.map(|value| value.text().into_owned())),
                Err(_) => ("!".into(), None),
            })
            .collect()
    }

    #[test]
    fn pairs_fall_apart() {
        let owned = |pairs: &[(&str, Option<&str>)]| -> Vec<(String, Option<String>)> {
            pairs.iter().map(|(k, v)| ((*k).into(), v.map(Into::into))).collect()
        };
        let logfmt = r#"a=1 b="x \"y\" z" flag  c= d="" e=x"y"#;
        assert_eq!(
            pairs(KeyValues::logfmt(logfmt.as_bytes())),
            owned(&[
                ("a", Some("1")),
                ("b", Some(r#"x "y" z"#)),
                ("flag", None),
                ("c", Some("")),
                ("d", Some("")),
                ("e", Some("x\"y")),
            ])
        );
        assert_eq!(
            pairs(KeyValues::new(b"a=b%20c\turl=h/?x=1&y==\t\tz", b'\t', Escape::Percent)),
            owned(&[("a", Some("b c")), ("url", Some("h/?x=1&y==")), ("z", None)])
        );
        assert_eq!(pairs(KeyValues::logfmt(b"a=\"b")), owned(&[("!", None)]));
        assert_eq!(pairs(KeyValues::logfmt(b"a=\"b\\")), owned(&[("!", None)]));
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        const TABLE: &Table = &[("a", Meaning::User), ("b", Meaning::Device)];
        let mut lookup = Lookup::new(TABLE);
        for (index, key, expected) in [
            (0, "a", Meaning::User),
            (1, "b", Meaning::Device),
            (0, "a", Meaning::User),
            (0, "B", Meaning::Device),
            (0, "c", Meaning::Unused),
            (0, "b", Meaning::Device),
            (1_000, "a", Meaning::User),
        ] {
            assert_eq!(lookup.meaning(index, key.as_bytes()), expected, "{index} {key}");
        }
    }
}
