//! National identity numbers: their checksum, and a word near them that names them.

use super::PersonalKind;
use super::near::near;
use super::numbers::{Groups, is_joined_behind};

type Found = Option<(PersonalKind, usize)>;

/// What numbers of digits only may be.
pub(super) fn numbered(text: &[u8], groups: &Groups) -> Found {
    us_ssn(text, groups)
        .or_else(|| fr_insee(text, groups))
        .or_else(|| by_length(text, groups))
        .or_else(|| in_aadhaar(text, groups))
        .or_else(|| br_cpf(text, groups))
}

/// What numbers with letters may be.
pub(super) fn lettered(text: &[u8], start: usize) -> Found {
    uk_nino(text, start)
        .or_else(|| es_dni(text, start))
        .or_else(|| it_codice_fiscale(text, start))
        .or_else(|| fr_insee_of_corsica(text, start))
}

fn named(text: &[u8], start: usize, end: usize, kind: PersonalKind, words: &[&str]) -> Found {
    near(text, start, end, words).then_some((kind, end))
}

/// Area, group and serial are none of those that were never given out, nor a famous example.
fn us_ssn(text: &[u8], groups: &Groups) -> Found {
    let (digits, end) =
        groups.are(text, &[3, 2, 4], b"- ").or_else(|| groups.are(text, &[9], b""))?;
    let number = value(digits);
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    let is_given = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    let is_example =
        matches!(number, 78_051_120 | 219_099_999 | 111_223_333 | 123_456_789 | 111_111_111);
    let words = ["ssn", "social security", "soc sec", "ss number"];
    if !is_given || is_example {
        return None;
    }
    named(text, groups.start, end, PersonalKind::UsSsn, &words)
}

/// Runs of eleven or nine digits, whose kind the word decides.
fn by_length(text: &[u8], groups: &Groups) -> Found {
    let steuer = groups.are(text, &[2, 3, 3, 3], b" ");
    let (digits, end) = steuer.or_else(|| groups.alone(text))?;
    let name = |kind, words: &[&str]| named(text, groups.start, end, kind, words);
    match digits.len() {
        11 if is_steuer_id(digits) => {
            let words = ["steuer", "idnr", "tax id", "identifikationsnummer", "tin"];
            name(PersonalKind::DeSteuerId, &words).or_else(|| pesel(digits, name))
        }
        11 => pesel(digits, name),
        9 if is_bsn(digits) => name(PersonalKind::NlBsn, &["bsn", "burgerservice", "sofi"]),
        _ => None,
    }
}

fn pesel(digits: &[u8], name: impl Fn(PersonalKind, &[&str]) -> Found) -> Found {
    if is_pesel(digits) { name(PersonalKind::PlPesel, &["pesel"]) } else { None }
}

/// ISO/IEC 7064 MOD 11,10; of the first ten digits one or two come more than once.
fn is_steuer_id(digits: &[u8]) -> bool {
    let Some((check, rest)) = digits.split_last() else { return false };
    let product = rest.iter().fold(10_u32, |product, digit| {
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    let count = |wanted: u8| rest.iter().filter(|digit| **digit == wanted).count();
    let repeated = (0..10).filter(|digit| count(*digit) > 1).count();
    let is_spread = (0..10).all(|digit| count(digit) <= 3) && repeated == 1;
    rest.first() != Some(&0) && is_spread && (11 - product) % 10 == u32::from(*check)
}

/// Weights 1, 3, 7, 9, and a date of birth whose month tells the century.
fn is_pesel(digits: &[u8]) -> bool {
    let weights = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];
    let sum: u32 =
        digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let month = value(digits.get(2..4).unwrap_or_default()) % 20;
    let day = value(digits.get(4..6).unwrap_or_default());
    sum.is_multiple_of(10) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// The test of eleven: weights 9 to 2, and minus one for the last.
fn is_bsn(digits: &[u8]) -> bool {
    let weights = [9, 8, 7, 6, 5, 4, 3, 2, 10];
    let sum: u32 =
        digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let is_same = digits.iter().all(|digit| Some(digit) == digits.first());
    sum.is_multiple_of(11) && !is_same
}

/// Thirteen digits, and what is missing to a multiple of 97.
fn fr_insee(text: &[u8], groups: &Groups) -> Found {
    let layouts: [&[usize]; 3] = [&[1, 2, 2, 2, 3, 3, 2], &[13, 2], &[15]];
    let (digits, end) = layouts.iter().find_map(|layout| groups.are(text, layout, b" "))?;
    let (number, key) = digits.split_at_checked(13)?;
    if !is_nir(value(number), value(key)) {
        return None;
    }
    named(text, groups.start, end, PersonalKind::FrInsee, NIR_WORDS)
}

const NIR_WORDS: &[&str] =
    &["insee", "nir", "vitale", "securite sociale", "sécurité sociale", "secu", "social security"];

fn is_nir(number: u64, key: u64) -> bool {
    let (sex, month) = (number / 1_000_000_000_000, number / 100_000_000 % 100);
    matches!(sex, 1 | 2) && matches!(month, 1..=12 | 20..=42 | 50..=99) && 97 - number % 97 == key
}

/// The two departments of Corsica are 2A and 2B; for the key they count as 19 and 18.
fn fr_insee_of_corsica(text: &[u8], start: usize) -> Found {
    let number = text.get(start..start + 15)?;
    let department = match number.get(5..7)? {
        b"2A" => 19,
        b"2B" => 18,
        _ => return None,
    };
    let (head, tail) = (number.get(..5)?, number.get(7..)?);
    if !head.iter().chain(tail).all(u8::is_ascii_digit) || is_joined_behind(text, start + 15) {
        return None;
    }
    let part = |digits: &[u8]| digits.iter().fold(0, |sum, b| sum * 10 + u64::from(b - b'0'));
    let (rest, key) = (part(tail.get(..6)?), part(tail.get(6..)?));
    if !is_nir(part(head) * 100_000_000 + department * 1_000_000 + rest, key) {
        return None;
    }
    named(text, start, start + 15, PersonalKind::FrInsee, NIR_WORDS)
}

/// Verhoeff's check; never a first digit of zero or one.
fn in_aadhaar(text: &[u8], groups: &Groups) -> Found {
    let grouped = groups.are(text, &[4, 4, 4], b" -");
    let (digits, end) = grouped.or_else(|| groups.are(text, &[12], b""))?;
    let has_first = digits.first().is_some_and(|first| *first >= 2);
    let is_same = digits.iter().all(|digit| Some(digit) == digits.first());
    if !has_first || is_same || !is_verhoeff(digits) {
        return None;
    }
    named(
        text,
        groups.start,
        end,
        PersonalKind::InAadhaar,
        &["aadhaar", "aadhar", "adhaar", "uidai"],
    )
}

/// Verhoeff, 1969: the dihedral group of order ten, and powers of one permutation.
fn is_verhoeff(digits: &[u8]) -> bool {
    const PERMUTED: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permute = |digit: u8| PERMUTED.get(usize::from(digit)).copied().unwrap_or(0);
    // Rotations are 0 to 4, reflections 5 to 9.
    let multiply = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let places = digits.iter().rev().enumerate();
    let sum = places.fold(0, |sum, (place, digit)| {
        let digit = (0..place % 8).fold(*digit, |digit, _| permute(digit));
        multiply(sum, digit)
    });
    sum == 0
}

/// Two check digits, each over all digits before it.
fn br_cpf(text: &[u8], groups: &Groups) -> Found {
    let dotted = groups.lengths.starts_with(&[3, 3, 3, 2]) && groups.separators.starts_with(b"..-");
    let whole = if dotted { groups.mixed(text, 4) } else { groups.are(text, &[11], b"") };
    let (digits, end) = whole?;
    let is_same = digits.iter().all(|digit| Some(digit) == digits.first());
    let check = |count: usize| {
        let weights = (2..=11_u32).rev().skip(10 - count);
        let sum: u32 = digits.iter().take(count).zip(weights).map(|(d, w)| u32::from(*d) * w).sum();
        sum * 10 % 11 % 10
    };
    let fits =
        |place: usize| digits.get(place).is_some_and(|digit| u32::from(*digit) == check(place));
    if is_same || !fits(9) || !fits(10) {
        return None;
    }
    named(text, groups.start, end, PersonalKind::BrCpf, &["cpf", "cadastro", "contribuinte"])
}

/// Two letters of those in use, six digits, a suffix from A to D; no checksum.
fn uk_nino(text: &[u8], start: usize) -> Found {
    let mut number = [0; 9];
    let is_grouped = text.get(start + 2) == Some(&b' ');
    let mut at = start;
    for (index, slot) in number.iter_mut().enumerate() {
        if is_grouped && index > 0 && index % 2 == 0 {
            at += usize::from(text.get(at) == Some(&b' '));
        }
        *slot = *text.get(at)?;
        at += 1;
    }
    let [first, second, digits @ .., suffix] = number;
    let is_prefix = b"ABCEGHJKLMNOPRSTWXYZ".contains(&first)
        && b"ABCEGHJKLMNPRSTWXYZ".contains(&second)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[first, second]);
    let is_whole = digits.iter().all(u8::is_ascii_digit) && (b'A'..=b'D').contains(&suffix);
    if !is_prefix || !is_whole || is_joined_behind(text, at) || digits == *b"123456" {
        return None;
    }
    let words = ["nino", "national insurance", "ni number", "ni no", "insurance number"];
    named(text, start, at, PersonalKind::UkNino, &words)
}

/// Eight digits, or X, Y or Z and seven; then a letter that follows from their rest by 23.
fn es_dni(text: &[u8], start: usize) -> Found {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let (first, tail) = text.get(start..start + 8)?.split_first()?;
    let head = match first {
        b'0'..=b'9' => u64::from(first - b'0'),
        b'X'..=b'Z' => u64::from(first - b'X'),
        _ => return None,
    };
    if !tail.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = tail.iter().fold(head, |sum, byte| sum * 10 + u64::from(byte - b'0'));
    let letter_at = start + 8 + usize::from(text.get(start + 8) == Some(&b'-'));
    let letter = usize::try_from(number % 23).ok().and_then(|rest| LETTERS.get(rest))?;
    let is_example = matches!(number, 12_345_678 | 0);
    if text.get(letter_at) != Some(letter) || is_joined_behind(text, letter_at + 1) || is_example {
        return None;
    }
    let words = ["dni", "nie", "nif", "documento", "identidad"];
    named(text, start, letter_at + 1, PersonalKind::EsDni, &words)
}

/// Sixteen characters in a pattern; the last follows from the others.
fn it_codice_fiscale(text: &[u8], start: usize) -> Found {
    // By value of the character, for places counted from one that are odd.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    const PATTERN: &[u8; 16] = b"AAAAAA00A00A000A";
    let end = start + PATTERN.len();
    let code = text.get(start..end)?;
    let fits = |(byte, kind): (&u8, &u8)| match kind {
        b'A' => byte.is_ascii_uppercase(),
        // Digits become letters where two people would have the same code.
        _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(byte),
    };
    let is_month = code.get(8).is_some_and(|month| b"ABCDEHLMPRST".contains(month));
    if !code.iter().zip(PATTERN).all(fits) || !is_month || is_joined_behind(text, end) {
        return None;
    }
    let (last, rest) = code.split_last()?;
    let sum: u32 = rest
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let value = if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
            let odd = ODD.get(usize::from(value)).copied().unwrap_or(0);
            if place % 2 == 0 { odd } else { u32::from(value) }
        })
        .sum();
    if sum % 26 != u32::from(last - b'A') {
        return None;
    }
    let words = ["codice fiscale", "fiscale", "cf", "tax code", "c.f."];
    named(text, start, end, PersonalKind::ItCodiceFiscale, &words)
}

fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(*digit))
}
