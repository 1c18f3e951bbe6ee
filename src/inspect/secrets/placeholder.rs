//! Text that only stands for a secret: examples, masks, patterns.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::super::randomness;

/// Pieces of which one is enough, in any case. The last ones are parts of keys that vendors print
/// in their documentation or build into emulators.
const WORDS: &[&str] = &[
    "example",
    "xxxxxx",
    "****",
    "....",
    "your-",
    "your_",
    "yourk",
    "yourt",
    "yours",
    "yourp",
    "youra",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "redacted",
    "dummy",
    "sample",
    "insert",
    "replace",
    "abcdefg",
    "1234567",
    "9876543",
    "notreal",
    "not-real",
    "foobar",
    "fake-",
    "fake_",
    "masked",
    "-here",
    "_here",
    "lorem",
    // RFC 6749, Stripe, Azurite, the Cosmos DB emulator.
    "4eC39HqLyjWDarj",
    "2YotnFZFEjr1zCsi",
    "tGzv3JOkF0XG5Qx2",
    "BQokikJOvBiI2Hl",
    "Eby8vdM02xNOcqFl",
    "C2y6yDjf5/R+ob0N",
    "deadbeef",
];

/// `None` would be a mistake in the table, which a test excludes.
static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(WORDS)
        .ok()
});

/// Whether the random part of a key is none: a word that says so, or too regular. Random text of a
/// hundred characters has such a word about once in thirty thousand cases.
pub(super) fn is_placeholder(body: &[u8]) -> bool {
    let needed = u32::try_from(body.len().min(256) * 2).unwrap_or(u32::MAX);
    // Random letters look like a word now and then: words must be several, without any digit.
    let are_words = body.iter().any(|byte| matches!(byte, b'-' | b'_'))
        && !body.iter().any(u8::is_ascii_digit)
        && randomness::bits(body) < needed / 2;
    has_placeholder_word(body) || are_words || randomness::bits_of_letters(body) < needed
}

/// Whether a word in it says that it stands for something else.
pub(super) fn has_placeholder_word(body: &[u8]) -> bool {
    FINDER.as_ref().is_none_or(|finder| finder.is_match(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_compiles() {
        assert!(FINDER.is_some());
    }

    #[test]
    fn examples_masks_and_patterns_are_placeholders() {
        let table = [
            "IOSFODNN7EXAMPLE",
            "xxxxxxxxxxxxxxxxxxxxxxxx",
            "your-api-key-goes-in-this-place",
            "1234567890abcdef1234567890abcdef",
            "00000000000000000000000000000000",
            "abababababababababababababababab",
            "a1b2a1b2a1b2a1b2a1b2a1b2a1b2a1b2",
            "this_is_not_a_token_of_any_kind",
            "REPLACE_ME_WITH_THE_TOKEN",
        ];
        for body in table {
            assert!(is_placeholder(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn random_text_of_any_alphabet_is_none() {
        let table = [
            "9f3c1ab47e05d268bb10c94e7fa2d835",
            "QNZGKIQY56JQ7WML",
            "V1StGXR8Z5jdHi6BmyTq",
            "uF3zKq8WnX0sYv2LbT6hRcJ1mPdG9aEoQx7iNw4Z",
        ];
        for body in table {
            assert!(!is_placeholder(body.as_bytes()), "{body}");
        }
    }
}
