//! Text inside of Cedar.

use std::fmt::Write as _;

/// A string literal of Cedar that means this very text, whatever it holds.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    write(text, &mut out);
    out.push('"');
    out
}

/// A pattern of Cedar's `like`: these texts, with any characters between each two of them.
#[must_use]
pub fn pattern(pieces: &[String]) -> String {
    let mut out = String::from("\"");
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            out.push('*');
        }
        for (index, text) in piece.split('*').enumerate() {
            if index > 0 {
                out.push_str("\\*");
            }
            write(text, &mut out);
        }
    }
    out.push('"');
    out
}

/// Quotes, backslashes, and everything that does not show as itself are escaped: controls end
/// lines and literals, and invisible characters deceive who reads a policy.
fn write(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            // Writing to a string cannot fail.
            c => _ = write!(out, "\\u{{{:x}}}", u32::from(c)),
        }
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::{Policy, PolicyId};
    use proptest::prelude::*;

    use super::*;

    /// The text that Cedar reads from a literal.
    fn read(text: &str) -> String {
        let cedar = format!("@a({}) permit(principal, action, resource);", literal(text));
        let policy = Policy::parse(Some(PolicyId::new("p")), cedar).unwrap();
        policy.annotation("a").unwrap().to_owned()
    }

    #[test]
    fn what_is_odd_comes_through() {
        for text in [
            "",
            "\"",
            "\\",
            "\\\"",
            "\n\r\t\0",
            "\u{202e}",
            "*",
            "é😀",
            "\"); permit(",
            "//",
            "{}",
            "\u{feff}",
            "\u{2028}",
            "\u{10ffff}",
            "a\\u{41}",
        ] {
            assert_eq!(read(text), text, "{text:?}");
        }
    }

    #[test]
    fn stars_of_a_piece_stay_stars() {
        let pieces = ["a*".to_owned(), "\"*\\".to_owned()];
        assert_eq!(pattern(&pieces), r#""a\**\"\*\\""#);
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_literal(text in any::<String>()) {
            prop_assert_eq!(read(&text), text);
        }

        #[test]
        fn no_text_breaks_out_of_its_pattern(pieces: Vec<String>) {
            prop_assume!(!pieces.is_empty());
            let cedar = format!(
                "permit(principal, action, resource) when {{ \"x\" like {} }};", pattern(&pieces),
            );
            let set: cedar_policy::PolicySet = cedar.parse().unwrap();
            prop_assert_eq!(set.num_of_policies(), 1);
        }
    }
}
