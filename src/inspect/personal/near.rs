//! Words near a place.

/// So far before and behind a number its name may stand, in bytes.
const REACH_BYTES: usize = 40;
/// Words up to this length must stand by themselves.
const SHORT_BYTES: usize = 4;

/// Whether one of the words (in lower case) stands within 40 bytes of a place, in any case. Spaces
/// in words stand for a space, a hyphen, an underscore or nothing.
pub(super) fn near(text: &[u8], start: usize, end: usize, words: &[&str]) -> bool {
    let before = text.get(start.saturating_sub(REACH_BYTES)..start).unwrap_or_default();
    let to = end.saturating_add(REACH_BYTES).min(text.len());
    let behind = text.get(end..to).unwrap_or_default();
    words.iter().any(|word| holds(before, word.as_bytes()) || holds(behind, word.as_bytes()))
}

fn holds(window: &[u8], word: &[u8]) -> bool {
    (0..window.len()).any(|at| {
        let Some(len) = match_len(window.get(at..).unwrap_or_default(), word) else { return false };
        let is_joined = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let before = at.checked_sub(1).and_then(|from| window.get(from));
        word.len() > SHORT_BYTES || !(is_joined(before) || is_joined(window.get(at + len)))
    })
}

/// Length of the match of a word at the beginning of the text.
fn match_len(text: &[u8], word: &[u8]) -> Option<usize> {
    let mut at = 0;
    for expected in word {
        let byte = text.get(at).copied();
        if *expected == b' ' {
            at += usize::from(byte.is_some_and(|byte| b" -_".contains(&byte)));
        } else if byte.is_some_and(|byte| byte.to_ascii_lowercase() == *expected) {
            at += 1;
        } else {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_near_and_short_ones_alone() {
        let table = [
            ("my SSN: 1", true),
            ("lessness 1", false),
            ("mySsn 1", false),
            ("4ssn7 1", false),
            ("user_ssn=1", true),
            ("1 (ssn)", true),
            ("Social-Security Number 1", true),
            ("socialSecurityNumber 1", true),
            ("social security, and then a lot of other things follow before 1", false),
        ];
        for (text, expected) in table {
            let at = text.find('1').unwrap();
            let found = near(text.as_bytes(), at, at + 1, &["ssn", "social security"]);
            assert_eq!(found, expected, "{text}");
        }
    }
}
