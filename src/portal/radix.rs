//! Bytes as text: base64 of both alphabets (RFC 4648 sections 4 and 5) and base 16.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..=three.len() {
            let index = bits >> (18 - 6 * digit) & 63;
            let digit = usize::try_from(index).ok().and_then(|index| alphabet.get(index));
            out.push(char::from(digit.copied().unwrap_or(b'=')));
        }
    }
    out
}

/// Base64 with `-` and `_`, without padding.
pub(in crate::portal) fn base64_url(bytes: &[u8]) -> String {
    encode(bytes, URL)
}

/// Base64 with `+`, `/` and padding.
pub(in crate::portal) fn base64(bytes: &[u8]) -> String {
    let mut out = encode(bytes, STANDARD);
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// The bytes of base64 with `-` and `_`, without padding; only of what [`base64_url`] writes.
pub(in crate::portal) fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    decode(text, URL)
}

/// The bytes of base64 with `+`, `/` and padding; only of what [`base64`] writes: another reader may
/// stop at what is not, and read something else.
pub(in crate::portal) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let is_padded = text.len().is_multiple_of(4) && digits.len().div_ceil(4) * 4 == text.len();
    decode(digits, STANDARD).filter(|_| is_padded)
}

fn decode(text: &str, alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in four {
            let digit = alphabet.iter().position(|own| own == byte)?;
            bits = bits << 6 | u32::try_from(digit).ok()?;
        }
        bits <<= 6 * (4 - four.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        let count = four.len().checked_sub(1).filter(|&count| count > 0)?;
        let (whole, none) = bytes.split_at_checked(count)?;
        if none.iter().any(|&byte| byte != 0) {
            return None;
        }
        out.extend_from_slice(whole);
    }
    Some(out)
}

/// Lower-case base 16.
pub(in crate::portal) fn base16(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// 32 bytes of base 16.
pub(in crate::portal) fn from_base16(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        let [high, low] = pair else { return None };
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    Some(out)
}

/// Whether they are the same, in a time that does not tell where they differ.
pub(in crate::portal) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, want) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), want);
        }
        assert_eq!(base64_url(&[0xFB, 0xFF]), "-_8");
        for not in ["!!!!", "SGVsbG8", "SGVsbG8==", "SGVsbG8=====", "SGVs-G8_", "Zm9=", "Zg=="] {
            assert_eq!(from_base64(not).is_some(), not == "Zg==", "{not}");
        }
        for not in ["A", "AB==", "A+", "-_9", "Zm9vY", "é"] {
            assert_eq!(from_base64_url(not), None, "{not}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>, key: [u8; 32]) {
            prop_assert_eq!(from_base64(&base64(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(from_base64_url(&base64_url(&bytes)), Some(bytes));
            prop_assert_eq!(from_base16(&base16(&key)), Some(key));
        }

        #[test]
        fn only_what_is_the_same_is_the_same(one: Vec<u8>, other: Vec<u8>) {
            prop_assert!(is_same(&one, &one.clone()));
            prop_assert_eq!(is_same(&one, &other), one == other);
        }
    }
}
