//! Checksums and codings inside keys.

/// What the digits of base 62 mean in tokens of GitHub and npm.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// BIP 173.
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const BECH32_GENERATOR: [u32; 5] =
    [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A number in a base whose digits are given, most significant first.
fn number(digits: &[u8], alphabet: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        let value = alphabet.iter().position(|other| other == digit)?;
        sum.checked_mul(u64::try_from(alphabet.len()).ok()?)?
            .checked_add(u64::try_from(value).ok()?)
    })
}

/// Whether the last six characters are the CRC-32 of those before, in base 62: tokens of GitHub
/// since 2021 and of npm, without their prefix.
pub(super) fn crc_in_base62(body: &[u8]) -> bool {
    let Some((random, digits)) = body.split_last_chunk::<6>() else { return false };
    number(digits, BASE62) == Some(crc32(random).into())
}

/// Whether the last seven characters are the CRC-32 of all before, prefix included, in base 36:
/// routable tokens of GitLab.
pub(super) fn crc_in_base36(token: &[u8]) -> bool {
    let Some((signed, digits)) = token.split_last_chunk::<7>() else { return false };
    let alphabet = b"0123456789abcdefghijklmnopqrstuvwxyz";
    number(digits, alphabet) == Some(crc32(signed).into())
}

/// Whether the checksum of a bech32 string (BIP 173) fits; `name` in lower case.
pub(super) fn bech32(name: &[u8], data: &[u8]) -> bool {
    let values = data.iter().map(|byte| {
        let lower = byte.to_ascii_lowercase();
        BECH32.iter().position(|digit| *digit == lower).and_then(|value| u32::try_from(value).ok())
    });
    let high = name.iter().map(|byte| Some(u32::from(*byte >> 5)));
    let low = name.iter().map(|byte| Some(u32::from(*byte & 31)));
    let sum = high.chain([Some(0)]).chain(low).chain(values).try_fold(1_u32, |sum, value| {
        let shifted = (sum & 0x01ff_ffff) << 5 ^ value?;
        let taps = BECH32_GENERATOR.iter().enumerate();
        let taps = taps.filter(|(bit, _)| sum >> 25 >> bit & 1 == 1);
        Some(taps.fold(shifted, |sum, (_, tap)| sum ^ tap))
    });
    sum == Some(1)
}

/// Decodes base64 of either alphabet (RFC 4648 sections 4 and 5) up to padding or the end of `out`;
/// `None` at any other character.
pub(super) fn base64<'o>(text: &[u8], out: &'o mut [u8]) -> Option<&'o [u8]> {
    let (mut bits, mut held, mut len) = (0_u32, 0_u32, 0);
    for byte in text.iter().take_while(|byte| **byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let Some(slot) = out.get_mut(len) else { break };
            let [_, _, _, low] = (bits >> held).to_be_bytes();
            *slot = low;
            len += 1;
        }
    }
    out.get(..len)
}

/// The account of an AWS access key id, from the sixteen characters after its prefix; `None` when
/// the number is too long for one. Older ids hold no account and give zero.
pub(super) fn aws_account(body: &[u8]) -> Option<u64> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let high = number(body.get(..10)?, alphabet)?;
    // Fifty bits; the first of them is set in ids that hold an account, the next forty are it.
    if high >> 49 == 0 {
        return Some(0);
    }
    Some(high >> 9 & 0xff_ffff_ffff).filter(|account| *account < 1_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_published_examples_fit() {
        // Revoked tokens from a public test suite, without their prefix.
        let bodies = [
            concat!("M7H4jxUDDWHP4kZ6A4", "dxlQYsQIWJuq11T4V4"),
            concat!("HEEjXavM6wKtyhAUwD", "blMznMEhWyTt4XwY6f"),
            concat!("QdwULL38u41vs1OcAj", "hKqcaSZ9W63r0Zu4ln"),
        ];
        for body in bodies {
            assert!(crc_in_base62(body.as_bytes()), "{body}");
            assert!(!crc_in_base62(body.to_lowercase().as_bytes()), "{body}");
        }
        assert!(!crc_in_base62(b"short"));
    }

    #[test]
    fn bech32_vectors_of_bip_173() {
        for (name, data, fits) in [
            ("a", "2uel5l", true),
            ("a", "2uel5m", false),
            ("abcdef", "qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", true),
            ("split", "checkupstagehandshakeupstreamerranterredcaperred2y9e3w", true),
            ("split", "checkupstagehandshakeupstreamerranterredcaperred2y9e3b", false),
        ] {
            assert_eq!(bech32(name.as_bytes(), data.as_bytes()), fits, "{name} {data}");
        }
    }

    #[test]
    fn base64_of_both_alphabets_and_any_padding() {
        let mut out = [0; 16];
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("-_8", Some(&[0xfb, 0xff])),
            ("+/8=", Some(&[0xfb, 0xff])),
            ("Zm 9v", None),
        ] {
            assert_eq!(base64(text.as_bytes(), &mut out), bytes, "{text}");
        }
        let mut short = [0; 2];
        assert_eq!(base64(b"Zm9vYmFy", &mut short), Some(&b"fo"[..]));
    }

    #[test]
    fn accounts_of_access_keys() {
        assert_eq!(aws_account(b"QNZGKIQY56JQ7WML"), Some(29_608_264_753));
        // An old id.
        assert_eq!(aws_account(b"IOSFODNN7EXAMPLE"), Some(0));
        // Above the twelve digits.
        assert_eq!(aws_account(b"7777777777777777"), None);
    }
}
