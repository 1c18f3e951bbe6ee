//! Strings: escapes decoded, length bounded (RFC 8259 section 7).

use memchr::memchr2;

/// A decoded string or a scalar's spelling, possibly cut at its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// The bytes; UTF-8 when the source was, except that the bound may cut a character.
    pub bytes: &'a [u8],
    /// The bound was reached: there was more.
    pub truncated: bool,
    /// A control character stood in it unescaped.
    pub control: bool,
}

impl Text<'_> {
    /// As a string of at most `max_bytes`, cut between characters; invalid bytes become U+FFFD.
    #[must_use]
    pub fn to_string_within(&self, max_bytes: usize) -> String {
        let cut = self.truncated || self.bytes.len() > max_bytes;
        let mut bytes = self.bytes.get(..max_bytes).unwrap_or(self.bytes);
        if cut {
            bytes = without_partial_character(bytes);
        }
        let mut string = String::from_utf8_lossy(bytes).into_owned();
        // Replacement characters are longer than the bytes they stand for.
        while string.len() > max_bytes {
            string.pop();
        }
        string
    }
}

/// Drops the beginning of a character that is cut by the end.
fn without_partial_character(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).unwrap_or(bytes)
        }
        // An earlier error may hide a cut character: look at the last few bytes alone.
        Err(_) => {
            let lead = bytes.iter().rev().take(3).position(|byte| byte & 0xC0 != 0x80);
            let from = bytes.len() - lead.map_or(0, |back| back + 1);
            match bytes.get(from..).map(std::str::from_utf8) {
                Some(Err(error)) if error.error_len().is_none() => {
                    bytes.get(..from).unwrap_or(bytes)
                }
                _ => bytes,
            }
        }
        Ok(_) => bytes,
    }
}

/// Where an escape stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Backslash,
    /// `\u` and so many digits, worth so much.
    Hex(u8, u16),
}

/// No such escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadEscape;

/// Decodes one string at a time. Memory: the bound given to [`start`](Self::start).
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    max: usize,
    truncated: bool,
    control: bool,
    escape: Escape,
    /// A high surrogate that waits for its other half; 0 when none does.
    high: u16,
}

impl Decoder {
    pub(super) fn start(&mut self, max: usize) {
        self.bytes.clear();
        self.max = max;
        (self.truncated, self.control) = (false, false);
        (self.escape, self.high) = (Escape::None, 0);
    }

    /// Reads up to and including the closing quote. At that quote, answers with the last stretch
    /// of plain bytes, for [`finish`](Self::finish): a string without escapes is never copied.
    pub(super) fn read<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BadEscape> {
        loop {
            while self.escape != Escape::None {
                let Some((&byte, after)) = rest.split_first() else { return Ok(None) };
                *rest = after;
                self.escaped(byte)?;
            }
            let Some(at) = memchr2(b'"', b'\\', rest) else {
                self.append(rest);
                *rest = &[];
                return Ok(None);
            };
            let (plain, after) = rest.split_at_checked(at).unwrap_or_default();
            *rest = after.get(1..).unwrap_or_default();
            if after.first() == Some(&b'"') {
                return Ok(Some(plain));
            }
            self.append(plain);
            self.escape = Escape::Backslash;
        }
    }

    /// The whole string, whose last stretch is `plain`.
    pub(super) fn finish<'a>(&'a mut self, plain: &'a [u8]) -> Text<'a> {
        if self.bytes.is_empty() && self.high == 0 {
            let bytes = plain.get(..self.max).unwrap_or(plain);
            let truncated = bytes.len() < plain.len() || self.truncated;
            return Text { bytes, truncated, control: has_control(bytes) };
        }
        self.append(plain);
        self.flush_high();
        Text { bytes: &self.bytes, truncated: self.truncated, control: self.control }
    }

    /// Adds plain bytes.
    pub(super) fn append(&mut self, plain: &[u8]) {
        if !plain.is_empty() {
            self.flush_high();
            let room = self.max - self.bytes.len();
            let kept = plain.get(..room).unwrap_or(plain);
            self.control |= has_control(kept);
            self.store(plain);
        }
    }

    fn store(&mut self, bytes: &[u8]) {
        let room = self.max - self.bytes.len();
        self.truncated |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn store_char(&mut self, char: char) {
        self.store(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// A high surrogate without its other half is no character.
    fn flush_high(&mut self) {
        if self.high != 0 {
            self.high = 0;
            self.store_char(char::REPLACEMENT_CHARACTER);
        }
    }

    fn escaped(&mut self, byte: u8) -> Result<(), BadEscape> {
        let Escape::Hex(digits, value) = self.escape else {
            self.escape = Escape::None;
            let plain = match byte {
                b'"' | b'\\' | b'/' => byte,
                b'b' => 0x08,
                b'f' => 0x0C,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    self.escape = Escape::Hex(0, 0);
                    return Ok(());
                }
                _ => return Err(BadEscape),
            };
            self.flush_high();
            self.store(&[plain]);
            return Ok(());
        };
        let digit = (byte as char).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let value = value << 4 | digit.ok_or(BadEscape)?;
        self.escape = Escape::Hex(digits + 1, value);
        if digits == 3 {
            self.escape = Escape::None;
            self.unit(value);
        }
        Ok(())
    }

    /// One UTF-16 code unit.
    fn unit(&mut self, unit: u16) {
        if self.high != 0 && (0xDC00..0xE000).contains(&unit) {
            let pair = char::decode_utf16([self.high, unit]).next();
            self.high = 0;
            self.store_char(pair.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER));
            return;
        }
        self.flush_high();
        if (0xD800..0xDC00).contains(&unit) {
            self.high = unit;
        } else {
            self.store_char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
}

fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| found | (byte < 0x20))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a string literal without its opening quote, in two pieces cut at `at`.
    fn decode(literal: &str, max: usize, at: usize) -> Option<(String, bool, bool)> {
        let mut decoder = Decoder::default();
        decoder.start(max);
        let (first, second) = literal.as_bytes().split_at(at);
        for mut piece in [first, second] {
            if let Some(plain) = decoder.read(&mut piece).ok()? {
                let text = decoder.finish(plain);
                return Some((text.to_string_within(max), text.truncated, text.control));
            }
        }
        None
    }

    #[test]
    fn decodes_alike_wherever_it_is_cut() {
        let cases = [
            (r#"""#, 9, Some(("", false, false))),
            (r#"plain""#, 9, Some(("plain", false, false))),
            (r#"tools\/call""#, 99, Some(("tools/call", false, false))),
            (r#"\u0074ools\u002Fc\u0061ll""#, 99, Some(("tools/call", false, false))),
            (r#"\"\\\b\f\n\r\t""#, 99, Some(("\"\\\u{8}\u{c}\n\r\t", false, false))),
            (r#"\ud83d\uDE00""#, 99, Some(("😀", false, false))),
            (r#"\ud83dx""#, 99, Some(("\u{fffd}x", false, false))),
            (r#"\ud83d""#, 99, Some(("\u{fffd}", false, false))),
            (r#"\ud83d\n\ude00""#, 99, Some(("\u{fffd}\n\u{fffd}", false, false))),
            (r#"\ud83d\ud83d\ude00""#, 99, Some(("\u{fffd}😀", false, false))),
            (r#"é😀""#, 99, Some(("é😀", false, false))),
            (r#"aé😀""#, 3, Some(("aé", true, false))),
            (r#"aé😀""#, 4, Some(("aé", true, false))),
            (r#"a\u00e9\ud83d\ude00""#, 4, Some(("aé", true, false))),
            (r#"aé😀""#, 7, Some(("aé😀", false, false))),
            ("a\u{1}b\"", 9, Some(("a\u{1}b", false, true))),
            ("abc\u{1}\"", 3, Some(("abc", true, false))),
            (r#"\x""#, 9, None),
            (r#"\u00g0""#, 9, None),
            (r#"\u00""#, 9, None),
        ];
        for (literal, max, expected) in cases {
            let expected =
                expected.map(|(text, cut, control): (&str, _, _)| (text.to_owned(), cut, control));
            for at in 0..=literal.len() {
                assert_eq!(decode(literal, max, at), expected, "{literal} cut at {at}");
            }
        }
    }

    #[test]
    fn a_cut_character_is_dropped_even_behind_invalid_bytes() {
        let text = |bytes| Text { bytes, truncated: true, control: false };
        assert_eq!(text(b"a\xFFb\xC3").to_string_within(9), "a\u{fffd}b");
        assert_eq!(text(b"\xFF\xFF").to_string_within(4), "\u{fffd}");
    }
}
