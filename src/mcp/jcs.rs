//! Canonical JSON (RFC 8785, JCS), for digests that survive another spelling of the same value.
//!
//! Reads the text itself, not a generic document: numbers have to be the nearest double, and
//! strings have to keep lone surrogates. Where RFC 8785 section 3.2 gives up, a digest is still
//! wanted: a lone surrogate is written as a `\udxxx` escape, a number beyond the doubles as it is
//! spelled. Of equal keys the last one wins.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use super::json::MAX_DEPTH;

/// The canonical form of one JSON text; `None` when it is not JSON (RFC 8259), or nested deeper
/// than [`MAX_DEPTH`]. Invalid UTF-8 is read as U+FFFD, raw control characters as their escapes.
///
/// Memory: some 60 bytes per value and two copies of the text, while it runs.
#[must_use]
pub fn canonical(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let mut parser = Parser { text: &text, at: 0 };
    let node = parser.value(MAX_DEPTH)?;
    parser.blanks();
    if parser.at != text.len() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    node.write(&mut out);
    Some(out)
}

/// SHA-256 of a canonical text, as 64 lower-case hex digits.
#[must_use]
pub fn digest(canonical: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in hash.as_ref() {
        for nibble in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
        }
    }
    hex
}

/// A finite number as ECMAScript writes it (ECMA-262 Number::toString, RFC 8785 section 3.2.2.3);
/// `None` for infinities and NaN.
#[must_use]
pub fn number(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some("0".to_owned());
    }
    let (digits, point) = shortest_digits(value.abs())?;
    let mut out = String::with_capacity(26);
    if value < 0.0 {
        out.push('-');
    }
    let count = i32::try_from(digits.len()).ok()?;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let split = digits.split_at_checked(usize::try_from(point).unwrap_or(0));
    match (point, split) {
        (1..=21, Some((whole, fraction))) if point < count => {
            out.extend([whole, ".", fraction]);
        }
        (1..=21, _) => out.extend([digits.as_str(), &zeros(point - count)]),
        (-5..=0, _) => out.extend(["0.", &zeros(-point), &digits]),
        _ => {
            let (first, more) = digits.split_at_checked(1)?;
            let dot = if more.is_empty() { "" } else { "." };
            let sign = if point > 0 { "+" } else { "-" };
            write!(out, "{first}{dot}{more}e{sign}{}", (point - 1).abs()).ok()?;
        }
    }
    Some(out)
}

/// The shortest digits that read back as the same double, without zeros at either end, and the
/// position of the decimal point counted from the first digit.
fn shortest_digits(value: f64) -> Option<(String, i32)> {
    // Not the standard library: of two shortest candidates equally near it takes the upper one,
    // where ECMAScript takes the even one. serde_json's printer does as ECMAScript.
    let text = serde_json::to_string(&value).ok()?;
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    let digits = all.trim_start_matches('0');
    let leading = i32::try_from(all.len() - digits.len()).ok()?;
    let point = i32::try_from(whole.len()).ok()? - leading + exponent.parse::<i32>().ok()?;
    Some((digits.trim_end_matches('0').to_owned(), point))
}

/// A value, its scalars already in canonical form.
enum Node<'a> {
    Leaf(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Vec<(Key<'a>, Self)>),
}

/// A decoded key.
enum Key<'a> {
    /// Its literal holds no escape, and needs none.
    Plain(&'a str),
    /// UTF-16 code units, lone surrogates included.
    Units(Vec<u16>),
}

impl Key<'_> {
    /// The order of RFC 8785 section 3.2.3: by UTF-16 code units.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Plain(a), Self::Plain(b)) => a.encode_utf16().cmp(b.encode_utf16()),
            (Self::Plain(a), Self::Units(b)) => a.encode_utf16().cmp(b.iter().copied()),
            (Self::Units(a), Self::Plain(b)) => a.iter().copied().cmp(b.encode_utf16()),
            (Self::Units(a), Self::Units(b)) => a.cmp(b),
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Plain(text) => out.extend(["\"", text, "\""]),
            Self::Units(units) => write_string(units, out),
        }
    }
}

impl Node<'_> {
    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    key.write(out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A string literal with the fewest escapes (RFC 8785 section 3.2.2.2).
fn write_string(units: &[u16], out: &mut String) {
    out.push('"');
    for char in char::decode_utf16(units.iter().copied()) {
        match char {
            Ok('"') => out.push_str("\\\""),
            Ok('\\') => out.push_str("\\\\"),
            Ok('\u{8}') => out.push_str("\\b"),
            Ok('\t') => out.push_str("\\t"),
            Ok('\n') => out.push_str("\\n"),
            Ok('\u{c}') => out.push_str("\\f"),
            Ok('\r') => out.push_str("\\r"),
            Ok(control @ '\0'..='\u{1f}') => push_escape(u32::from(control), out),
            Ok(char) => out.push(char),
            Err(lone) => push_escape(lone.unpaired_surrogate().into(), out),
        }
    }
    out.push('"');
}

fn push_escape(unit: u32, out: &mut String) {
    out.push_str("\\u");
    out.extend((0..4).rev().filter_map(|at| char::from_digit(unit >> (4 * at) & 15, 16)));
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Whether `byte` is next, after blanks; takes it if so.
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: u32) -> Option<Node<'a>> {
        self.blanks();
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.array(depth.checked_sub(1)?),
            b'"' => self.string().map(Node::Leaf),
            _ => self.scalar().map(Node::Leaf),
        }
    }

    fn array(&mut self, depth: u32) -> Option<Node<'a>> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Some(Node::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.take(b']') {
                return Some(Node::Array(items));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn object(&mut self, depth: u32) -> Option<Node<'a>> {
        self.at += 1;
        let mut members: Vec<(Key<'a>, Node<'a>)> = Vec::new();
        if self.take(b'}') {
            return Some(Node::Object(members));
        }
        loop {
            self.blanks();
            let key = self.key()?;
            self.take(b':').then_some(())?;
            members.push((key, self.value(depth)?));
            if self.take(b'}') {
                break;
            }
            self.take(b',').then_some(())?;
        }
        // The sort is stable: reversed first, the last of equal keys leads and is kept.
        members.reverse();
        members.sort_by(|a, b| a.0.order(&b.0));
        members.dedup_by(|later, kept| later.0.order(&kept.0) == Ordering::Equal);
        Some(Node::Object(members))
    }

    /// A literal that is canonical as it stands, quotes included, if it is one.
    fn plain(&mut self) -> Option<&'a str> {
        let literal = self.rest();
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let len = literal.get(1..)?.iter().position(special)?;
        if (literal.first(), literal.get(len + 1)) != (Some(&b'"'), Some(&b'"')) {
            return None;
        }
        let text = self.text.get(self.at..self.at + len + 2)?;
        self.at += text.len();
        Some(text)
    }

    fn key(&mut self) -> Option<Key<'a>> {
        match self.plain() {
            Some(literal) => literal.get(1..literal.len() - 1).map(Key::Plain),
            None => self.units().map(Key::Units),
        }
    }

    /// A string in canonical form.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        if let Some(literal) = self.plain() {
            return Some(literal.into());
        }
        let units = self.units()?;
        let mut out = String::with_capacity(units.len() + 2);
        write_string(&units, &mut out);
        Some(out.into())
    }

    /// A string as UTF-16 code units, lone surrogates included.
    fn units(&mut self) -> Option<Vec<u16>> {
        if self.peek()? != b'"' {
            return None;
        }
        let mut chars = self.text.get(self.at + 1..)?.char_indices();
        let mut units = Vec::new();
        loop {
            match chars.next()? {
                (at, '"') => {
                    self.at += at + 2;
                    return Some(units);
                }
                (_, '\\') => units.push(match chars.next()?.1 {
                    'u' => (0..4).try_fold(0_u16, |unit, _| {
                        let digit = chars.next()?.1.to_digit(16)?;
                        Some(unit << 4 | u16::try_from(digit).ok()?)
                    })?,
                    'b' => 0x08,
                    'f' => 0x0C,
                    'n' => 0x0A,
                    'r' => 0x0D,
                    't' => 0x09,
                    '"' => 0x22,
                    '\\' => 0x5C,
                    '/' => 0x2F,
                    _ => return None,
                }),
                (_, char) => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn scalar(&mut self) -> Option<Cow<'a, str>> {
        let stop = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
        let rest = self.rest();
        let len = rest.iter().position(stop).unwrap_or(rest.len());
        let text = self.text.get(self.at..self.at + len)?;
        if !super::json::is_scalar(text.as_bytes()) {
            return None;
        }
        self.at += len;
        if matches!(text, "true" | "false" | "null") {
            return Some(text.into());
        }
        let value: f64 = text.parse().ok()?;
        Some(number(value).map_or_else(|| text.into(), Into::into))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_rfc_8785_appendix_b() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000, Some("0")),
            (0x8000_0000_0000_0000, Some("0")),
            (0x0000_0000_0000_0001, Some("5e-324")),
            (0x8000_0000_0000_0001, Some("-5e-324")),
            (0x7fef_ffff_ffff_ffff, Some("1.7976931348623157e+308")),
            (0xffef_ffff_ffff_ffff, Some("-1.7976931348623157e+308")),
            (0x4340_0000_0000_0000, Some("9007199254740992")),
            (0xc340_0000_0000_0000, Some("-9007199254740992")),
            (0x4430_0000_0000_0000, Some("295147905179352830000")),
            (0x7fff_ffff_ffff_ffff, None),
            (0x7ff0_0000_0000_0000, None),
            (0x44b5_2d02_c7e1_4af5, Some("9.999999999999997e+22")),
            (0x44b5_2d02_c7e1_4af6, Some("1e+23")),
            (0x44b5_2d02_c7e1_4af7, Some("1.0000000000000001e+23")),
            (0x444b_1ae4_d6e2_ef4e, Some("999999999999999700000")),
            (0x444b_1ae4_d6e2_ef4f, Some("999999999999999900000")),
            (0x444b_1ae4_d6e2_ef50, Some("1e+21")),
            (0x3eb0_c6f7_a0b5_ed8c, Some("9.999999999999997e-7")),
            (0x3eb0_c6f7_a0b5_ed8d, Some("0.000001")),
            (0x41b3_de43_5555_5553, Some("333333333.3333332")),
            (0x41b3_de43_5555_5554, Some("333333333.33333325")),
            (0x41b3_de43_5555_5555, Some("333333333.3333333")),
            (0x41b3_de43_5555_5556, Some("333333333.3333334")),
            (0x41b3_de43_5555_5557, Some("333333333.33333343")),
            (0xbecb_f647_612f_3696, Some("-0.0000033333333333333333")),
            (0x4314_3ff3_c1cb_0959, Some("1424953923781206.2")),
        ] {
            assert_eq!(number(f64::from_bits(bits)).as_deref(), expected, "{bits:016x}");
        }
    }

    #[test]
    fn small_numbers_are_written_out_down_to_six_places() {
        for (value, expected) in [
            (0.000_123, "0.000123"),
            (0.000_000_1, "1e-7"),
            (0.002, "0.002"),
            (4.5, "4.5"),
            (1e30, "1e+30"),
            (1.5e-9, "1.5e-9"),
            (100.0, "100"),
        ] {
            assert_eq!(number(value).as_deref(), Some(expected));
        }
    }

    fn canonical_str(text: &str) -> Option<String> {
        canonical(text.as_bytes())
    }

    #[test]
    fn the_sample_of_rfc_8785_section_3_2() {
        let text = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = concat!(
            r#"{"literals":[null,true,false],"#,
            r#""numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        assert_eq!(canonical_str(text).as_deref(), Some(expected));
    }

    #[test]
    fn keys_are_sorted_by_utf_16_code_units() {
        let text = r#"{
            "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet",
            "1": "One", "\ud83d\ude00": "Emoji", "\u0080": "Control",
            "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        let canonical = canonical_str(text).unwrap();
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let at: Vec<_> = order.iter().map(|name| canonical.find(name).unwrap()).collect();
        assert!(at.is_sorted(), "{canonical}");
    }

    #[test]
    fn odd_texts() {
        for (text, expected) in [
            (r#" {"b":1,"a":2,"b":{"x":[]}} "#, Some(r#"{"a":2,"b":{"x":[]}}"#)),
            (r#"{"a":1,"\u0061":2}"#, Some(r#"{"a":2}"#)),
            (r#""\ud83d\uDE00\/é""#, Some(r#""😀/é""#)),
            (r#""\uD83Dx\ude00""#, Some(r#""\ud83dx\ude00""#)),
            ("\"a\u{1}\"", Some(r#""a\u0001""#)),
            ("[1e999,-1E999]", Some("[1e999,-1E999]")),
            ("9007199254740993", Some("9007199254740992")),
            ("[1.0,10e-1,-0]", Some("[1,1,0]")),
            ("{}", Some("{}")),
            ("", None),
            ("[1,]", None),
            ("[1 2]", None),
            (r#"{"a":1,}"#, None),
            (r#"{a:1}"#, None),
            (r#"{"a"}"#, None),
            (r#""\x""#, None),
            (r#""\u12"#, None),
            (r#""open"#, None),
            ("01", None),
            ("{} x", None),
            ("[", None),
            ("[}", None),
        ] {
            assert_eq!(canonical_str(text).as_deref(), expected, "{text}");
        }
        assert_eq!(canonical(b"\"\xFF\"").as_deref(), Some("\"\u{fffd}\""));
        assert!(canonical_str(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_some());
        assert!(canonical_str(&format!("{}{}", "[".repeat(129), "]".repeat(129))).is_none());
    }

    #[test]
    fn digest_is_sha_256_in_hex() {
        assert_eq!(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    proptest! {
        #[test]
        fn numbers_read_back_as_themselves(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            if let Some(text) = number(value) {
                prop_assert_eq!(text.parse::<f64>().unwrap(), value);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_canonical_text_is_a_fixed_point(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..80),
                prop::collection::vec(prop::sample::select(b"{}[]\",:\\u0d8e1 -.".to_vec()), 0..60),
            ]
        ) {
            if let Some(text) = canonical(&bytes) {
                prop_assert_eq!(canonical(text.as_bytes()), Some(text));
            }
        }
    }
}
