//! Base64 (RFC 4648 section 4), as logs write bytes that are no text.

/// Decodes with or without padding, of either alphabet; line ends are passed over. `None` if it is
/// something else.
pub(in super::super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut rest = text.iter();
    for byte in rest.by_ref() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'\r' | b'\n' => continue,
            b'=' => break,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            out.extend(u8::try_from(bits >> count & 0xff));
        }
    }
    // Six bits left over are half a byte that never came.
    (count < 6 && rest.all(|byte| matches!(byte, b'=' | b'\r' | b'\n'))).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648_come_out() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm8", "fo"),
            ("Zm9v", "foo"),
            ("Zm9v\r\nYg==", "foob"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(base64(b"-_+/"), base64(b"+/-_"));
    }

    #[test]
    fn what_is_no_base64_is_none() {
        for text in ["Zm9vY", "Zg==Zg", "Zm 9", "{}"] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }
}
