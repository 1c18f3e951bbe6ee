//! Strings and numbers of a JSON text, where they stand, and what their escapes mean
//! (RFC 8259 section 7).
//!
//! The text is one that was parsed before: what is no JSON gives tokens all the same, and none of
//! them is wrong by more than what surrounds it.

use memchr::memchr2;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Name of a member.
    Key,
    /// A string that is a value.
    Text,
    /// A number.
    Number,
}

/// A string without its quotes, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Offset behind its last byte.
    pub(super) end: usize,
    /// It has a backslash.
    pub(super) is_escaped: bool,
    /// It has an escape that hides what it stands for: any but `\n`, `\r`, `\t`, `\"` and `\\`.
    pub(super) hides: bool,
}

/// The tokens of a text, in its order.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Tokens<'t> {
    pub(super) const fn of(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    fn string(&mut self, start: usize) -> Token {
        let (mut at, mut is_escaped, mut hides) = (start, false, false);
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                break;
            };
            at += found;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                break;
            }
            is_escaped = true;
            hides |= !matches!(self.text.get(at + 1), Some(b'n' | b'r' | b't' | b'"' | b'\\'));
            at += 2;
        }
        let end = at.min(self.text.len());
        let behind = self.text.get(self.at..).unwrap_or_default();
        let next = behind.iter().find(|byte| !byte.is_ascii_whitespace());
        let kind = if next == Some(&b':') { Kind::Key } else { Kind::Text };
        Token { kind, start, end, is_escaped, hides }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let start = self.at;
            match self.text.get(start)? {
                b'"' => return Some(self.string(start + 1)),
                b'-' | b'0'..=b'9' => {
                    let rest = self.text.get(start..).unwrap_or_default();
                    let is_part = |byte: &&u8| {
                        matches!(**byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
                    };
                    let end = start + rest.iter().take_while(is_part).count();
                    self.at = end;
                    let kind = Kind::Number;
                    return Some(Token { kind, start, end, is_escaped: false, hides: false });
                }
                _ => self.at += 1,
            }
        }
    }
}

/// Length in bytes of what begins here: an escape, both halves of a surrogate pair, or a character.
fn unit(text: &str) -> usize {
    let bytes = text.as_bytes();
    let length = match bytes.first() {
        Some(b'\\') if bytes.get(1) == Some(&b'u') => {
            let is_high = matches!(code(text), Some(0xd800..=0xdbff));
            let pair = text.get(6..).and_then(code);
            if is_high && matches!(pair, Some(0xdc00..=0xdfff)) { 12 } else { 6 }
        }
        Some(b'\\') => 2,
        _ => text.chars().next().map_or(1, char::len_utf8),
    };
    length.min(text.len().max(1))
}

/// The number of `\uXXXX`.
fn code(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// What a unit stands for. Half a surrogate pair is U+FFFD.
fn meaning(unit: &str) -> char {
    let other = || unit.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
    let Some(escape) = unit.strip_prefix('\\') else { return other() };
    match escape.as_bytes().first() {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => {
            let high = code(unit).unwrap_or(0xfffd);
            let number = match unit.get(6..).and_then(code) {
                Some(low) => 0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff),
                None => high,
            };
            char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => escape.chars().next().unwrap_or('\\'),
    }
}

/// A string with its escapes undone, and where each byte of it comes from.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) text: String,
    /// For each byte, and for the end, the offset in the raw string of the unit that it is of.
    /// Four bytes for each, so that a string of 4 GiB, which no limit lets in, would be cut.
    from: Vec<u32>,
}

impl Decoded {
    pub(super) fn of(raw: &str) -> Self {
        let mut text = String::with_capacity(raw.len());
        let mut from = Vec::with_capacity(raw.len() + 1);
        let mut at = 0;
        while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
            let length = unit(rest);
            text.push(meaning(rest.get(..length).unwrap_or(rest)));
            from.resize(text.len(), u32::try_from(at).unwrap_or(u32::MAX));
            at += length;
        }
        from.push(u32::try_from(raw.len()).unwrap_or(u32::MAX));
        Self { text, from }
    }

    /// Where a byte comes from; the end of the raw string for the end.
    pub(super) fn raw(&self, at: usize) -> usize {
        let last = self.from.last().copied().unwrap_or(0);
        usize::try_from(self.from.get(at).copied().unwrap_or(last)).unwrap_or(usize::MAX)
    }
}

/// Widens ranges of a raw string, sorted, so that none halves an escape.
pub(super) fn widen(raw: &str, ranges: &mut [(usize, usize)]) {
    let mut at = 0;
    let mut pending = ranges.iter_mut();
    let Some(mut range) = pending.next() else { return };
    let mut has_begun = false;
    while let Some(rest) = raw.get(at..).filter(|rest| !rest.is_empty()) {
        let next = at + unit(rest);
        loop {
            if !has_begun && range.0 < next {
                range.0 = range.0.min(at);
                has_begun = true;
            }
            if !has_begun || range.1 > next {
                break;
            }
            // It ends in this unit, or with it.
            if range.1 > at {
                range.1 = next;
            }
            let Some(following) = pending.next() else { return };
            (range, has_begun) = (following, false);
        }
        at = next;
    }
}

/// The JSON pointer (RFC 6901) of what stands at an offset: of a key, that of its value. At most
/// 256 bytes of it; the rest is left out.
pub(super) fn pointer(text: &str, offset: usize) -> Box<str> {
    /// An open container.
    enum Open<'t> {
        Object(&'t str),
        Array(usize),
    }
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut at = 0;
    let bytes = text.as_bytes();
    while at <= offset {
        match bytes.get(at) {
            Some(b'{') => open.push(Open::Object("")),
            Some(b'[') => open.push(Open::Array(0)),
            Some(b'}' | b']') => drop(open.pop()),
            Some(b',') => {
                if let Some(Open::Array(index)) = open.last_mut() {
                    *index += 1;
                }
            }
            Some(b'"') => {
                let mut tokens = Tokens { text: bytes, at };
                let Some(token) = tokens.next() else { break };
                if let (Kind::Key, Some(Open::Object(name))) = (token.kind, open.last_mut()) {
                    *name = text.get(token.start..token.end).unwrap_or_default();
                }
                at = tokens.at;
                continue;
            }
            Some(_) => {}
            None => break,
        }
        at += 1;
    }
    let mut pointer = String::new();
    for part in open {
        pointer.push('/');
        match part {
            Open::Object(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
            Open::Array(index) => pointer.push_str(&index.to_string()),
        }
        if pointer.len() > MAX_POINTER_BYTES {
            break;
        }
    }
    while pointer.len() > MAX_POINTER_BYTES {
        pointer.pop();
    }
    pointer.into()
}

const MAX_POINTER_BYTES: usize = 256;

#[cfg(test)]
#[expect(clippy::string_slice, reason = "tests cut where characters begin")]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(Kind, &str)> {
        Tokens::of(text).map(|token| (token.kind, &text[token.start..token.end])).collect()
    }

    #[test]
    fn keys_texts_and_numbers_are_told_apart() {
        let text = r#" {"a" : "b\"c", "d":[-1.5e3,"",true,null], "e\\":{"f":0}} "#;
        let want = [
            (Kind::Key, "a"),
            (Kind::Text, "b\\\"c"),
            (Kind::Key, "d"),
            (Kind::Number, "-1.5e3"),
            (Kind::Text, ""),
            (Kind::Key, "e\\\\"),
            (Kind::Key, "f"),
            (Kind::Number, "0"),
        ];
        assert_eq!(tokens(text), want);
    }

    #[test]
    fn a_text_cut_anywhere_ends() {
        let text = r#"{"a":["b\u0041",12,{"c":"\\"}]}"#;
        for end in 0..text.len() {
            assert!(Tokens::of(&text[..end]).count() <= 5);
            let _ = pointer(&text[..end], end);
        }
    }

    #[test]
    fn decoding_is_that_of_a_json_parser_and_knows_the_way_back() {
        for raw in
            ["", "plain ä", r"\u0041\n\\\/\b\f", r"\ud83d\ude00x", r"a\ud83dz", r"\ud83d\u0041"]
        {
            let decoded = Decoded::of(raw);
            if let Ok(text) = serde_json::from_str::<String>(&format!("\"{raw}\"")) {
                assert_eq!(decoded.text, text, "{raw}");
            }
            let mut back = String::new();
            for (at, c) in decoded.text.char_indices() {
                let (from, to) = (decoded.raw(at), decoded.raw(at + c.len_utf8()));
                assert!(from < to && to <= raw.len(), "{raw}");
                back.push_str(&raw[from..to]);
            }
            assert_eq!(back, raw);
        }
    }

    #[test]
    fn no_range_halves_an_escape() {
        let raw = r"a\u0041b\n\ud83d\ude00c";
        let widened = |from, to| {
            let mut ranges = [(from, to)];
            widen(raw, &mut ranges);
            &raw[ranges[0].0..ranges[0].1]
        };
        assert_eq!(widened(0, 1), "a");
        assert_eq!(widened(0, 3), r"a\u0041");
        assert_eq!(widened(4, 8), r"\u0041b");
        assert_eq!(widened(9, 10), r"\n");
        assert_eq!(widened(12, 18), r"\ud83d\ude00");
        assert_eq!(widened(1, raw.len()), &raw[1..]);
        let mut two = [(2, 3), (7, 8)];
        widen(raw, &mut two);
        assert_eq!(two, [(1, 7), (7, 8)]);
    }

    #[test]
    fn pointers_name_members_and_elements() {
        let text = r#"{"a":{"b/c":["x",{"d":"here"}]},"e":1}"#;
        assert_eq!(&*pointer(text, text.find("here").unwrap()), "/a/b~1c/1/d");
        assert_eq!(&*pointer(text, text.find("1}").unwrap()), "/e");
        assert_eq!(&*pointer("\"x\"", 1), "");
    }
}
