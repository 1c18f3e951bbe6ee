//! A text that a regular expression matches, for the tests of imported rules. Knows the usual
//! parts of expressions; what it does not know makes it give up. Callers check the text.

use std::iter::Peekable;
use std::str::Chars;

/// Longer texts make no readable test.
const MAX_CHARS: usize = 400;

/// Groups deeper than this make it give up.
const MAX_DEPTH: usize = 16;

/// The shortest text along the first alternatives.
pub(super) fn of(pattern: &str) -> Option<String> {
    let mut chars = pattern.chars().peekable();
    let text = alternatives(&mut chars, 0)?;
    (chars.next().is_none() && !text.is_empty()).then_some(text)
}

/// Alternatives up to a `)` or the end; the first one counts.
fn alternatives(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return None;
    }
    let first = sequence(chars, depth)?;
    while chars.next_if_eq(&'|').is_some() {
        sequence(chars, depth)?;
    }
    Some(first)
}

fn sequence(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    let mut text = String::new();
    while let Some(c) = chars.next_if(|c| *c != '|' && *c != ')') {
        let atom = match c {
            '(' => group(chars, depth)?,
            '[' => class(chars)?.to_string(),
            '.' => "x".into(),
            '^' | '$' => String::new(),
            '\\' => escape(chars)?,
            c => c.to_string(),
        };
        let times = least(chars)?;
        if atom.len().checked_mul(times)?.checked_add(text.len())? > MAX_CHARS {
            return None;
        }
        text.push_str(&atom.repeat(times));
    }
    Some(text)
}

fn group(chars: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    if chars.next_if_eq(&'?').is_some() {
        chars.next_if_eq(&':')?;
    }
    let text = alternatives(chars, depth + 1)?;
    chars.next_if_eq(&')').map(|_| text)
}

/// The first character of a class.
fn class(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let first = match chars.next()? {
        '^' | '[' => return None,
        '\\' => escape(chars)?.chars().next()?,
        c => c,
    };
    loop {
        match chars.next()? {
            ']' => return Some(first),
            '[' => return None,
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
    }
}

fn escape(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    Some(match chars.next()? {
        's' => " ".into(),
        'd' => "0".into(),
        'w' => "a".into(),
        'S' | 'D' => "x".into(),
        'b' => String::new(),
        'n' => "\n".into(),
        't' => "\t".into(),
        c if c.is_ascii_punctuation() => c.to_string(),
        _ => return None,
    })
}

/// How often at least the atom before occurs.
fn least(chars: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let least = match chars.peek() {
        Some('?' | '*') => 0,
        Some('+') => 1,
        Some('{') => {
            chars.next();
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            while chars.next()? != '}' {}
            chars.next_if_eq(&'?');
            return digits.parse().ok();
        }
        _ => return Some(1),
    };
    chars.next();
    chars.next_if_eq(&'?');
    Some(least)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn samples_match_their_expressions() {
        for pattern in [
            r#""method"\s{0,5}:\s{0,5}"prompts/(list|get)""#,
            r#""protocolVersion"\s{0,5}:\s{0,5}"202[4-9]"#,
            r"\b\d{3}-\d{2}-\d{4}\b",
            "AKIA[0-9A-Z]{16}",
            "(?:a|b)+c?d*e{2,}",
            r"x\.y\\z",
        ] {
            let text = of(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert!(regex::Regex::new(pattern).unwrap().is_match(&text), "{pattern}: {text}");
        }
    }

    #[test]
    fn what_is_not_known_is_given_up() {
        for pattern in ["", "a*", "[^a]", "(?i)a", r"\pL", "(a", "a{1,", "[a", "a{999}"] {
            assert_eq!(of(pattern), None, "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn no_expression_panics(pattern in "[a-z(){}|\\\\?*+.^$0-9,\\[\\]-]{0,40}") {
            if let Some(text) = of(&pattern) {
                prop_assert!(text.len() <= MAX_CHARS * 4);
            }
        }
    }
}
