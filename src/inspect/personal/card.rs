//! Payment cards (ISO/IEC 7812).

use super::PersonalKind;
use super::near::near;
use super::numbers::Groups;

/// Names of cards and of what is printed on them, in some languages.
const WORDS: &[&str] = &[
    "card",
    "visa",
    "mastercard",
    "amex",
    "american express",
    "discover",
    "diners",
    "jcb",
    "unionpay",
    "maestro",
    "credit",
    "debit",
    "cvv",
    "cvc",
    "cc",
    "pan",
    "ccn",
    "cc number",
    "carte",
    "karte",
    "tarjeta",
    "cartao",
    "kreditkarte",
    "carta di",
];

/// Groups that are embossed on cards, by length: 16, 15 (American Express), 14 (Diners), 19.
const LAYOUTS: [&[usize]; 5] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3], &[6, 13]];

/// Numbers that issuers and payment services give out for tests.
const TEST_NUMBERS: [u64; 28] = [
    4_111_111_111_111_111,
    4_242_424_242_424_242,
    4_012_888_888_881_881,
    4_222_222_222_222,
    4_000_056_655_665_556,
    4_917_610_000_000_000,
    4_444_333_322_221_111,
    4_539_578_763_621_486,
    5_555_555_555_554_444,
    5_105_105_105_105_100,
    5_200_828_282_828_210,
    5_454_545_454_545_454,
    5_431_111_111_111_111,
    2_223_003_122_003_222,
    2_223_000_048_400_011,
    2_223_520_043_560_014,
    378_282_246_310_005,
    371_449_635_398_431,
    378_734_493_671_000,
    6_011_111_111_111_117,
    6_011_000_990_139_424,
    6_011_981_111_111_113,
    3_530_111_333_300_000,
    3_566_002_020_360_505,
    30_569_309_025_904,
    38_520_000_023_237,
    36_227_206_271_667,
    6_200_000_000_000_005,
];

/// A card in groups, or as one run of digits with a word that names it.
pub(super) fn card(text: &[u8], groups: &Groups) -> Option<(PersonalKind, usize)> {
    let grouped = LAYOUTS.iter().find_map(|layout| groups.are(text, layout, b" -"));
    let (digits, end) = grouped.or_else(|| groups.alone(text))?;
    let is_card = has_issuer(digits) && is_luhn(digits) && !is_test(digits);
    let is_named = || near(text, groups.start, end, WORDS);
    (is_card && (grouped.is_some() || is_named())).then_some((PersonalKind::Card, end))
}

/// Whether an issuer has numbers of these first digits and this length.
fn has_issuer(digits: &[u8]) -> bool {
    let first = |count: usize| {
        let head = digits.iter().take(count);
        head.fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit))
    };
    let is_long = |least: usize| (least..=19).contains(&digits.len());
    match (first(1), first(2), first(3), first(4)) {
        // Visa
        (4, ..) => matches!(digits.len(), 13 | 16 | 19),
        // Mastercard
        (_, 51..=55, ..) | (.., 2221..=2720) => digits.len() == 16,
        // American Express
        (_, 34 | 37, ..) => digits.len() == 15,
        // Diners Club
        (_, 36, ..) | (_, _, 300..=305 | 309, _) => digits.len() == 14,
        (_, 38 | 39, ..) => matches!(digits.len(), 14 | 16),
        // Discover, UnionPay, JCB, Maestro
        (_, 62 | 65, ..) | (_, _, 644..=649, _) | (.., 6011 | 3528..=3589) => is_long(16),
        (.., 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => is_long(13),
        _ => false,
    }
}

/// Luhn's check (ISO/IEC 7812-1 annex B).
fn is_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit < 5 => digit * 2,
            (_, digit) => digit * 2 - 9,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A number for tests: known, or of few different digits, or with eight zeros in a row.
fn is_test(digits: &[u8]) -> bool {
    let number = digits.iter().fold(0_u64, |sum, digit| sum.wrapping_mul(10) + u64::from(*digit));
    let distinct = digits.iter().fold(0_u16, |seen, digit| seen | 1 << digit).count_ones();
    let has_zeros = digits.windows(8).any(|eight| eight.iter().all(|digit| *digit == 0));
    TEST_NUMBERS.contains(&number) || distinct < 4 || has_zeros
}
