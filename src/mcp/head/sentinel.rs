//! The form of field values that are not plain ASCII.

use super::MAX_MIRROR_BYTES;

/// Decodes `=?base64?…?=`, the form that `Mcp-Name` and `Mcp-Param-*` take for values that are
/// not plain ASCII (MCP 2026-07-28, Streamable HTTP). Anything else is returned as it is.
pub(in crate::mcp) fn decode_sentinel(value: &str) -> String {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    encoded
        .and_then(|text| decode_base64(text.as_bytes(), *b"+/", MAX_MIRROR_BYTES))
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| value.to_owned())
}

/// Base64 (RFC 4648 section 4, or 5 by other `last` digits), padding optional, of the first `max`
/// digits; `None` for anything else.
pub(super) fn decode_base64(text: &[u8], last: [u8; 2], max: usize) -> Option<Vec<u8>> {
    let [plus, slash] = last;
    let unpadded = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"="));
    let text = unpadded.unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.iter().take(max) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            byte if *byte == plus => 62,
            byte if *byte == slash => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from((bits >> held) & 0xff).unwrap_or_default());
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinel_values_are_decoded() {
        for (value, want) in [
            ("plain", "plain"),
            ("=?base64?SGVsbG8=?=", "Hello"),
            ("=?base64?SGVsbG8?=", "Hello"),
            ("=?base64?w6TDtsO8?=", "äöü"),
            ("=?base64?@@?=", "=?base64?@@?="),
            ("=?base64?/w==?=", "=?base64?/w==?="),
        ] {
            assert_eq!(decode_sentinel(value), want);
        }
    }
}
