//! The folded view: what a text looks like.

use unicode_normalization::UnicodeNormalization as _;

use super::spaced;
use crate::inspect::hidden::is_invisible;

/// Folds `text`; `None` when that changes nothing.
pub(super) fn fold(text: &str) -> Option<String> {
    let mut folded =
        if text.is_ascii() { text.to_ascii_lowercase() } else { plain(text).to_ascii_lowercase() };
    if let Some(joined) = spaced::join(&folded) {
        folded = joined;
    }
    if let Some(narrow) = narrow(&folded) {
        folded = narrow;
    }
    (folded != text).then_some(folded)
}

/// Without compatibility forms, invisible characters and accents, and with ASCII characters in
/// the place of those that look like them.
fn plain(text: &str) -> String {
    let shown = text.chars().filter(|char| !is_invisible(*char)).map(|char| match char {
        char if char.is_whitespace() && !char.is_ascii() => ' ',
        char => letter_of_emoji(char),
    });
    let mut out = String::with_capacity(text.len());
    for char in shown.nfkd() {
        if char.is_ascii() {
            out.push(char);
        } else if !is_accent(char) && !is_invisible(char) {
            match look_alike(char) {
                Some(ascii) => out.extend(ascii),
                None => out.push(char),
            }
        }
    }
    if out.is_ascii() { out } else { out.nfc().collect() }
}

/// The ASCII characters that a character is drawn like (UTS 39 section 4), one to four.
pub(in crate::inspect) fn look_alike(char: char) -> Option<impl Iterator<Item = char>> {
    // Ideographs and syllables, where hardly anything looks like ASCII and texts are long.
    if matches!(char, '\u{3400}'..='\u{d7a3}') {
        return None;
    }
    let mut buffer = [0; 4];
    let (mut found, mut count) = (['\0'; 4], 0);
    for drawn in unicode_security::skeleton(char.encode_utf8(&mut buffer)) {
        if is_accent(drawn) && count > 0 {
            continue;
        }
        let slot = found.get_mut(count).filter(|_| drawn.is_ascii())?;
        *slot = drawn;
        count += 1;
    }
    // UTS 39 draws a double quote as two single ones; in plain text it is one character.
    if let ['\'', '\'', '\0', _] = found {
        (found, count) = (['"', '\0', '\0', '\0'], 1);
    }
    (count > 0).then(|| found.into_iter().take(count))
}

/// Combining diacritical marks, of all blocks that have them for their name.
fn is_accent(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters in coloured discs and squares, and those that flags are made of: UAX 15 leaves them.
fn letter_of_emoji(char: char) -> char {
    let code = u32::from(char);
    let first = match code {
        0x1_F150..=0x1_F169 => 0x1_F150,
        0x1_F170..=0x1_F189 => 0x1_F170,
        0x1_F1E6..=0x1_F1FF => 0x1_F1E6,
        _ => return char,
    };
    char::from_u32(u32::from('a') + (code - first)).unwrap_or(char)
}

/// Whether folding changes nothing in the text but ASCII case, as far as can be told at a glance;
/// only the head that views show counts.
pub(crate) fn folds_by_case_only(text: &str) -> bool {
    let head = super::cut(text, super::MAX_VIEW_BYTES);
    head.is_ascii() && is_narrow_ascii(head.as_bytes()) && spaced::join(head).is_none()
}

/// Whether blanks are the only white space, and stand alone.
fn is_narrow_ascii(bytes: &[u8]) -> bool {
    // Without a branch for each byte: most texts end up as narrow, or have a line end soon.
    let (blocks, rest) = bytes.as_chunks::<64>();
    let any = |block: &[u8]| block.iter().fold(false, |any, byte| any | matches!(byte, 9..=13));
    !blocks.iter().any(|block| any(block))
        && !any(rest)
        && memchr::memmem::find(bytes, b"  ").is_none()
}

/// Runs of white space as one blank; `None` when they are that already.
fn narrow(text: &str) -> Option<String> {
    if text.is_ascii() {
        return narrow_ascii(text.as_bytes());
    }
    let mut after_blank = false;
    let is_narrow = text.chars().all(|char| {
        let ok = !char.is_whitespace() || (char == ' ' && !after_blank);
        after_blank = char == ' ';
        ok
    });
    if is_narrow {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut after_blank = false;
    for char in text.chars() {
        let is_blank = char.is_whitespace();
        if !is_blank {
            out.push(char);
        } else if !after_blank {
            out.push(' ');
        }
        after_blank = is_blank;
    }
    Some(out)
}

fn narrow_ascii(bytes: &[u8]) -> Option<String> {
    if is_narrow_ascii(bytes) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut after_blank = false;
    for byte in bytes {
        let is_blank = matches!(byte, 9..=13 | b' ');
        if !(is_blank && after_blank) {
            out.push(if is_blank { b' ' } else { *byte });
        }
        after_blank = is_blank;
    }
    String::from_utf8(out).ok()
}
