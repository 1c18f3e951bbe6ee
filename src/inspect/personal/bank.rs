//! Bank accounts (ISO 13616).

use super::PersonalKind;
use super::numbers::is_joined_behind;

/// Longest IBAN, in characters.
const MAX_IBAN_CHARS: usize = 34;

/// Countries and the length of their numbers, from the registry of ISO 13616.
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Examples of the registry and of encyclopedias.
const EXAMPLES: [&[u8]; 6] = [
    b"GB82WEST12345698765432",
    b"GB29NWBK60161331926819",
    b"GB33BUKB20201555555555",
    b"DE89370400440532013000",
    b"DE75512108001245126199",
    b"FR1420041010050500013M02606",
];

/// An IBAN, as one word or in groups of four with a space between.
pub(super) fn iban(text: &[u8], start: usize) -> Option<(PersonalKind, usize)> {
    let (country, check) = text.get(start..start + 4)?.split_at_checked(2)?;
    if !check.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (_, length) = LENGTHS.iter().find(|(name, _)| country == *name)?;
    let mut number = [0; MAX_IBAN_CHARS];
    let number = number.get_mut(..*length)?;
    let is_grouped = text.get(start + 4) == Some(&b' ');
    let mut at = start;
    for (index, slot) in number.iter_mut().enumerate() {
        if is_grouped && index > 0 && index % 4 == 0 {
            at += usize::from(text.get(at) == Some(&b' '));
        }
        *slot = text.get(at).copied().filter(|b| b.is_ascii_digit() || b.is_ascii_uppercase())?;
        at += 1;
    }
    let is_account = !is_joined_behind(text, at) && is_mod_97(number);
    let is_example = EXAMPLES.iter().any(|example| *example == number);
    (is_account && !is_example).then_some((PersonalKind::Iban, at))
}

/// The check of ISO/IEC 7064 MOD 97-10: the first four characters go last, letters are 10 to 35.
fn is_mod_97(number: &[u8]) -> bool {
    let Some((head, tail)) = number.split_at_checked(4) else { return false };
    let has_digits = head.get(2..).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
    let sum = tail.iter().chain(head).fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    });
    has_digits && sum == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_fit_and_a_changed_digit_does_not() {
        for example in EXAMPLES {
            assert!(is_mod_97(example), "{}", String::from_utf8_lossy(example));
            let mut changed = example.to_vec();
            *changed.last_mut().unwrap() ^= 1;
            assert!(!is_mod_97(&changed));
        }
    }
}
