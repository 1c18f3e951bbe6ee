//! Percent-encoding (RFC 3986 section 2.1).

use memchr::memchr_iter;

/// Decodes up to two rounds; `None` when there is nothing to decode.
pub(in crate::inspect) fn decode_twice(text: &str) -> Option<String> {
    let once = decode(text)?;
    Some(decode(&once).unwrap_or(once))
}

/// Decodes one round; `None` when there is nothing to decode.
pub(in crate::inspect) fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::new();
    let mut copied = 0;
    for at in memchr_iter(b'%', bytes) {
        let Some(byte) = escape(bytes, at) else { continue };
        out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
        out.push(byte);
        copied = at + 3;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Some(String::from_utf8(out).unwrap_or_else(|error| lax(error.as_bytes())))
}

/// The byte that `%XX` at `at` stands for.
fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let [high, low] = bytes.get(at + 1..at + 3)? else { return None };
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// The value of a hexadecimal digit.
pub(super) fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// UTF-8 as careless decoders read it: two bytes may stand for an ASCII character.
fn lax(bytes: &[u8]) -> String {
    let mut repaired = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        match (first, after.first()) {
            (0xC0 | 0xC1, Some(&second @ 0x80..=0xBF)) => {
                repaired.push((first & 1) << 6 | (second & 0x3F));
                rest = after.get(1..).unwrap_or_default();
            }
            _ => {
                repaired.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&repaired).into_owned()
}
