//! Text written in two or three different characters that are not shown.

use std::cmp::Reverse;

use crate::inspect::view::text_of;

/// The characters used, most frequent first, at most four of them.
fn alphabet(symbols: &[char]) -> Vec<(char, usize)> {
    let mut counts: Vec<(char, usize)> = Vec::new();
    for symbol in symbols {
        if let Some((_, count)) = counts.iter_mut().find(|(known, _)| known == symbol) {
            *count += 1;
        } else if counts.len() < 4 {
            counts.push((*symbol, 1));
        }
    }
    counts.sort_by_key(|(symbol, count)| (Reverse(*count), *symbol));
    counts
}

/// Whether there are two different ones at least, and not by accident.
pub(super) fn are_mixed(symbols: &[char]) -> bool {
    alphabet(symbols).get(1).is_some_and(|(_, count)| *count >= 2)
}

/// The text that they spell as bits: of eight or seven a character, or of any number with a third
/// character between them. Either of the two may be the one: what reads best is taken.
pub(super) fn decode(symbols: &[char]) -> Option<String> {
    let alphabet = alphabet(symbols);
    let &[(one, _), (two, _), ref rest @ ..] = alphabet.as_slice() else { return None };
    let separators: Vec<char> = rest.iter().map(|(separator, _)| *separator).collect();
    let mut texts = Vec::new();
    for set in [one.max(two), one.min(two)] {
        let bits = symbols.iter().filter(|symbol| !separators.contains(symbol));
        let bits: Vec<bool> = bits.map(|symbol| *symbol == set).collect();
        texts.extend(fixed(&bits, 8).into_iter().chain(fixed(&bits, 7)));
    }
    // A separator may well be the commonest of the three.
    if !rest.is_empty() {
        texts.extend(alphabet.iter().flat_map(|(separator, _)| separated(symbols, *separator)));
    }
    texts.into_iter().min_by_key(|text| Reverse(letters_in_a_thousand(text)))
}

fn letters_in_a_thousand(text: &str) -> usize {
    let letters = text.chars().filter(|char| char.is_alphanumeric() || *char == ' ').count();
    letters * 1000 / text.chars().count().max(1)
}

/// So many bits a byte.
fn fixed(bits: &[bool], width: usize) -> Option<String> {
    let whole = bits.chunks_exact(width).map(|bits| value(bits.iter().copied()));
    readable(whole.collect::<Option<_>>()?)
}

/// A number in binary for each character, and `separator` between them.
fn separated(symbols: &[char], separator: char) -> Vec<String> {
    let mut bits: Vec<char> = symbols.iter().copied().filter(|char| *char != separator).collect();
    bits.sort_unstable();
    bits.dedup();
    let &[low, high] = bits.as_slice() else { return Vec::new() };
    let text = |set: char| {
        let words = symbols.split(|symbol| *symbol == separator).filter(|word| !word.is_empty());
        let bytes = words.map(|word| value(word.iter().map(|symbol| *symbol == set)));
        readable(bytes.collect::<Option<_>>()?)
    };
    [high, low].into_iter().filter_map(text).collect()
}

fn value(bits: impl Iterator<Item = bool>) -> Option<u8> {
    let mut value = 0_u32;
    for bit in bits.skip_while(|bit| !bit) {
        value = value << 1 | u32::from(bit);
        u8::try_from(value).ok()?;
    }
    u8::try_from(value).ok()
}

/// As text of two letters at least: bits at random make one easily.
fn readable(bytes: Vec<u8>) -> Option<String> {
    text_of(bytes).filter(|text| text.chars().filter(|char| char.is_alphanumeric()).count() >= 2)
}
