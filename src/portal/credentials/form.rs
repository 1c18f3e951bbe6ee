//! Queries and forms (WHATWG URL, `application/x-www-form-urlencoded`).

use std::fmt::Write as _;

/// More fields than this are not read.
const MAX_FIELDS: usize = 64;

/// Pairs as a form or query.
#[must_use]
pub fn encode(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        escape(name, &mut out);
        out.push('=');
        escape(value, &mut out);
    }
    out
}

/// Everything but unreserved characters (RFC 3986 section 2.3) as `%XX`.
pub(super) fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
}

/// The fields of a query or form; the first 64, and those that are UTF-8.
#[must_use]
pub fn fields(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(MAX_FIELDS);
    let read = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescape(name)?, unescape(value)?))
    };
    pairs.filter_map(read).collect()
}

/// The only field of a name: what comes twice is taken for nothing (RFC 6749 section 3.1).
#[must_use]
pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut of_name = fields.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value);
    let first = of_name.next()?;
    of_name.next().is_none().then_some(first)
}

/// Undoes `%XX` and `+`; `None` if what comes out is not UTF-8.
#[must_use]
pub fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let digit = |at: usize| behind.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', ..) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let read = fields("a=1&b=x+y%20z&&c&%61=2&d=%zz&e=%FF");
        let want = [("a", "1"), ("b", "x y z"), ("c", ""), ("a", "2"), ("d", "%zz")];
        assert_eq!(read, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(field(&read, "b"), Some("x y z"));
        assert_eq!(field(&read, "a"), None, "twice");
        assert_eq!(field(&read, "z"), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(name in ".{1,9}", value in ".{0,30}") {
            prop_assert_eq!(fields(&encode(&[(&name, &value)])), vec![(name, value)]);
        }
    }
}
