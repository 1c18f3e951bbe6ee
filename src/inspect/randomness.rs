//! How hard an identifier is to guess, from one look at it.

use std::ops::Range;

/// Longest identifier looked at, in bytes; the rest counts nothing.
const MAX_ID_BYTES: usize = 512;
/// Longest word of one case.
const MAX_WORD_BYTES: usize = 15;
/// Predictable steps in a row before they count as structure.
const MIN_STEPS: usize = 3;
/// Longest period that is looked for, in bytes.
const MAX_PERIOD_BYTES: usize = 16;
/// So many decimal digits may be a counter: their value says how many came before.
const MAX_COUNTER_DIGITS: usize = 12;
/// Random bits of a snowflake id, at most: worker and sequence; the rest is time.
const SNOWFLAKE_BITS: u32 = 22;

/// Estimated unpredictable bits of an identifier, rather too few than too many.
///
/// Alphabet times length of what looks random; words, counters, times, runs (`aaaa`, `1234`) and
/// repeated pieces count little. UUIDs are known by their version (RFC 9562): version 4 has 122
/// bits, version 7 has 74, versions 1 and 6 the 14 of their clock sequence; versions 3, 5 and 8
/// count as 122, because what they were made from does not show. A ULID has 80.
///
/// One id cannot show everything: a random-looking id may still be the hash of a counter, and
/// whoever needs to know compares many. Ids over 512 bytes are judged by their first 512.
#[must_use]
pub fn bits(id: &[u8]) -> u32 {
    let id = id.get(..MAX_ID_BYTES).unwrap_or(id);
    let mut kept = Kept::new();
    if let Some(version) = uuid_version(id) {
        id.iter().filter(|byte| **byte != b'-').for_each(|byte| kept.push(*byte));
        return kept.bits().min(uuid_bits(version));
    }
    if is_ulid(id) {
        kept.extend(id.get(10..).unwrap_or_default());
        return kept.bits().min(80);
    }
    let mut counted = 0;
    let mut symbols = 0;
    for segment in segments(id) {
        let bytes = id.get(segment).unwrap_or_default();
        if !is_name(bytes) {
            counted += add_segment(bytes, &mut kept);
        }
    }
    for byte in id.iter().filter(|byte| !byte.is_ascii_alphanumeric()) {
        symbols += usize::from(!matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b' '));
    }
    // Separators that are letters of the alphabet (base64url) count only beside random text.
    let symbols = u32::try_from(symbols.min(kept.len)).unwrap_or(0);
    kept.bits() + counted + symbols * 3
}

/// Like [`bits`], for text that is no identifier: words, numbers and UUIDs count like any other
/// characters, only runs and repeated pieces count little.
pub(super) fn bits_of_letters(text: &[u8]) -> u32 {
    let mut kept = Kept::new();
    text.iter().filter(|byte| byte.is_ascii_alphanumeric()).for_each(|byte| kept.push(*byte));
    kept.bits()
}

/// A segment into `kept` when it looks random; otherwise the few bits it has.
fn add_segment(bytes: &[u8], kept: &mut Kept) -> u32 {
    let letters = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (head, tail) = bytes.split_at_checked(letters).unwrap_or((bytes, &[]));
    let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    // Hex may begin with letters that look like a word.
    let is_hex = bytes.iter().all(u8::is_ascii_hexdigit) && bytes.len() >= 16 && letters > 0;
    if all_digits(tail) && !is_hex && (head.is_empty() || (is_name(head) && tail.len() < 20)) {
        return decimal_bits(tail);
    }
    kept.extend(bytes);
    0
}

/// Bits of decimal digits: a counter tells its neighbours, a time and a snowflake most of theirs.
fn decimal_bits(digits: &[u8]) -> u32 {
    let significant = digits.iter().skip_while(|digit| **digit == b'0').count();
    if significant <= MAX_COUNTER_DIGITS {
        return u32::try_from(significant).unwrap_or(0);
    }
    if significant < 20 {
        return SNOWFLAKE_BITS.min(u32::try_from(significant).unwrap_or(0));
    }
    let mut kept = Kept::new();
    kept.extend(digits);
    kept.bits()
}

/// The segments between separators.
fn segments(id: &[u8]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = id.get(from..)?;
        let skipped = rest.iter().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
        let start = from + skipped;
        let len = id.get(start..)?.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        from = start + len;
        (len > 0).then_some(start..from)
    })
}

/// Whether letters look like a word or a camel-case name.
pub(super) fn is_name(letters: &[u8]) -> bool {
    if letters.len() < 3 || letters.len() > 32 || !letters.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let upper = letters.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let is_vowel = |byte: &u8| b"aeiouy".contains(&byte.to_ascii_lowercase());
    let vowels = letters.iter().filter(|byte| is_vowel(byte)).count();
    let mut consonants = 0_usize;
    let mut longest = 0;
    for byte in letters {
        consonants = if is_vowel(byte) { 0 } else { consonants + 1 };
        longest = longest.max(consonants);
    }
    // Keys in base 32 may have no digit by chance: so long a word is none.
    let is_one_case = (upper == 0 || upper == letters.len()) && letters.len() <= MAX_WORD_BYTES;
    let is_camel = upper > 0 && upper * 4 <= letters.len() + 3;
    let cased = is_one_case || is_camel;
    // `mcp`, `JWT`: too short to tell, but of one case.
    let is_short = letters.len() <= 4 && (upper == 0 || upper == letters.len());
    is_short || (cased && vowels * 5 >= letters.len() && longest <= 4)
}

/// Version of a UUID with or without hyphens (RFC 9562 section 4), of its variant only.
fn uuid_version(id: &[u8]) -> Option<u8> {
    let hyphens = match id.len() {
        36 => [8, 13, 18, 23].iter().all(|at| id.get(*at) == Some(&b'-')),
        32 => true,
        _ => false,
    };
    let mut digits = id.iter().filter(|byte| **byte != b'-');
    if !hyphens || digits.clone().count() != 32 || !digits.all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digit = |at: usize| id.iter().filter(|byte| **byte != b'-').nth(at).copied();
    let is_variant = digit(16).is_some_and(|byte| b"89abAB".contains(&byte));
    let version = digit(12).filter(|byte| (b'1'..=b'8').contains(byte))?;
    // One in five of random 32 digits has a variant and some version: without hyphens only those
    // versions count that cost next to nothing, and version 7 with a time of this century.
    let is_marked = id.len() == 36 || version == b'4' || (version == b'7' && id.starts_with(b"01"));
    (is_variant && is_marked).then_some(version)
}

fn uuid_bits(version: u8) -> u32 {
    match version {
        b'1' | b'2' | b'6' => 14,
        b'7' => 74,
        _ => 122,
    }
}

/// Twenty-six characters of Crockford's base 32 that begin with a time of this century.
fn is_ulid(id: &[u8]) -> bool {
    let in_alphabet = |byte: &u8| {
        byte.is_ascii_digit()
            || (byte.is_ascii_uppercase() && !matches!(byte, b'I' | b'L' | b'O' | b'U'))
    };
    id.len() == 26 && id.starts_with(b"01") && id.iter().all(in_alphabet)
}

/// The characters that look random, in order.
struct Kept {
    bytes: [u8; MAX_ID_BYTES],
    len: usize,
}

impl Kept {
    fn new() -> Self {
        Self { bytes: [0; MAX_ID_BYTES], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.push(*byte));
    }

    fn bits(&self) -> u32 {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        let free = bytes.len().saturating_sub(predictable(bytes));
        let free = period(bytes).map_or(free, |period| free.min(period));
        let millibits = millibits_per_byte(bytes) * free;
        u32::try_from(millibits / 1000).unwrap_or(u32::MAX)
    }
}

/// Characters that follow from those before: runs of equal, rising or falling ones.
fn predictable(bytes: &[u8]) -> usize {
    let (mut total, mut steps, mut step) = (0, 0, i16::MIN);
    for (before, after) in bytes.iter().zip(bytes.iter().skip(1)) {
        let this = i16::from(*after) - i16::from(*before);
        if this == step && (-1..=1).contains(&this) {
            steps += 1;
        } else {
            total += if steps >= MIN_STEPS { steps } else { 0 };
            (steps, step) = (1, this);
        }
    }
    total + if steps >= MIN_STEPS && (-1..=1).contains(&step) { steps } else { 0 }
}

/// The shortest distance at which three quarters of the characters repeat.
fn period(bytes: &[u8]) -> Option<usize> {
    (1..=MAX_PERIOD_BYTES.min(bytes.len() / 2)).find(|distance| {
        let pairs = bytes.iter().zip(bytes.iter().skip(*distance));
        let equal = pairs.filter(|(a, b)| a == b).count();
        equal * 4 >= (bytes.len() - distance) * 3
    })
}

/// Thousandths of a bit per character: of the alphabet, or of the few characters in use.
fn millibits_per_byte(bytes: &[u8]) -> usize {
    let any = |test: fn(&u8) -> bool| bytes.iter().any(test);
    let (lower, upper) = (any(u8::is_ascii_lowercase), any(u8::is_ascii_uppercase));
    let digit = any(u8::is_ascii_digit);
    let is_hex = !(lower && upper) && bytes.iter().all(u8::is_ascii_hexdigit);
    let (size, millibits) = match (lower, upper, digit) {
        (false, false, _) => (10, 3321),
        _ if is_hex => (16, 4000),
        (true, true, false) => (52, 5700),
        (true, true, true) => (62, 5954),
        (_, _, true) => (36, 5169),
        _ => (26, 4700),
    };
    let mut seen = 0_u128;
    for byte in bytes {
        seen |= 1_u128.checked_shl(u32::from(*byte)).unwrap_or(0);
    }
    let distinct = seen.count_ones();
    let expected = bytes.len().min(size);
    let is_poor = usize::try_from(distinct).unwrap_or(usize::MAX) * 10 < expected * 4;
    if is_poor {
        return usize::try_from(distinct.max(1).ilog2()).unwrap_or(0) * 1000;
    }
    millibits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_real_servers_have_the_bits_of_their_making() {
        // Least and most bits that the estimate may give.
        let table: [(&str, u32, u32); 29] = [
            ("3f2b8c1e-9d47-4a6b-8e21-5c90f7ad13b6", 122, 122),
            ("3F2B8C1E-9D47-4A6B-8E21-5C90F7AD13B6", 122, 122),
            ("3f2b8c1e9d474a6b8e215c90f7ad13b6", 122, 122),
            ("9b1deb4d3b7dcbad9bdd2b0d7b3dcb6d", 100, 128),
            ("8ebeaf445986117161a15207e60f54ca", 124, 128),
            ("8ebeaf4459861171a15207e60f54caee", 124, 128),
            ("018f4e7a3c217b9da1f46e0c5d82b937", 70, 74),
            ("a47c0e9135fb28d6e1927f3b50c84da6", 128, 128),
            ("018f4e7a-3c21-7b9d-a1f4-6e0c5d82b937", 70, 74),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", 0, 14),
            ("1ec9414c-232a-6b00-b3c8-9f6bdeced846", 0, 14),
            ("00000000-0000-4000-8000-000000000001", 0, 40),
            ("01HV3Y8K2Q9XW4T7B6N5M1C0DZ", 70, 80),
            ("V1StGXR8_Z5jdHi6B-myT", 90, 126),
            ("x4QnZ8rLw2KvT1bYp0HsDc7FgJm5AeUi9oXtR3uNqVE", 240, 258),
            ("mcp-session-3f2b8c1e9d470a6b", 60, 68),
            ("sess_x4QnZ8rLw2KvT1bYp0HsDc7F", 120, 150),
            ("session-1", 0, 4),
            ("session1", 0, 4),
            ("client-alice", 0, 4),
            ("1", 0, 4),
            ("000000042", 0, 4),
            ("48213", 0, 8),
            ("1763845200123", 0, 22),
            ("1187429387120345088", 0, 22),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 8),
            ("0123456789abcdef0123456789abcdef", 0, 64),
            ("deadbeefdeadbeefdeadbeefdeadbeef", 0, 40),
            ("", 0, 0),
        ];
        for (id, least, most) in table {
            let bits = bits(id.as_bytes());
            assert!((least..=most).contains(&bits), "{id}: {bits}");
        }
    }

    #[test]
    fn sixty_four_bits_part_weak_ids_from_strong_ones() {
        let weak =
            ["user-42-session-7", "20261122-154501", "default", "abc123", "test_session_0001"];
        for id in weak {
            assert!(bits(id.as_bytes()) < 64, "{id}");
        }
        for id in ["bf0e3d7a91c24856", "Zk8PqLr2TnXv", "c9f1-44ab-9e07-d25b-7731"] {
            assert!((60..=80).contains(&bits(id.as_bytes())), "{id} {}", bits(id.as_bytes()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_id_makes_it_panic_or_exceed_eight_bits_a_byte(
            id in proptest::collection::vec(proptest::num::u8::ANY, 0..700),
        ) {
            proptest::prop_assert!(bits(&id) as usize <= id.len() * 8);
        }

        #[test]
        fn random_hex_has_nearly_all_its_bits(id in "[0-9a-f]{40}") {
            // Forty digits have 160 bits; a chance run or a poor draw may cost a few.
            proptest::prop_assert!(bits(id.as_bytes()) >= 110, "{} {}", id, bits(id.as_bytes()));
        }
    }
}
