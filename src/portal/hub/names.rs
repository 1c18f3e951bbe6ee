//! Names that clients see for what servers offer.
//!
//! A name is `{prefix}_{part}`. The prefix comes from the server's id (or alias) and has no `_`,
//! the part from the server's own name. Each is kept where it is plain and short enough, else cut,
//! cleaned and given a hash of the whole; what happens to look like a cut one is cut as well. So
//! what a thing is called depends on its server and its own name alone: no server that is added
//! changes the names of another, and two things share a name only where 60 bits of SHA-256 do.
//! Names are at most 64 characters of `[A-Za-z0-9_-]`, which is what models' interfaces take.
//!
//! A name is not taken apart again: what it means is looked up in the catalogue.

use ring::digest::{SHA256, digest};

/// Longest name.
pub const MAX_NAME_CHARS: usize = 64;
/// Longest prefix.
pub const MAX_PREFIX_CHARS: usize = 24;
/// Digits of a hash, five bits each.
const HASH_CHARS: usize = 12;
/// Before a hash. Names that end so by themselves are rare enough to be cut.
const PREFIX_MARK: &str = "-0";
const PART_MARK: &str = "_0";

/// The first part of the names of a server: no `_` in it.
#[must_use]
pub fn prefix(id: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    shorten(id, MAX_PREFIX_CHARS, PREFIX_MARK, '-', is_plain)
}

/// The name of something behind a prefix, from the server's own name or the alias for it.
#[must_use]
pub fn name(prefix: &str, own: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let room = MAX_NAME_CHARS.saturating_sub(prefix.len() + 1);
    let part = shorten(own, room, PART_MARK, '_', is_plain);
    format!("{prefix}_{part}")
}

/// The prefix that a name has.
#[must_use]
pub fn prefix_of(name: &str) -> Option<&str> {
    name.split_once('_').map(|(prefix, _)| prefix)
}

/// Whether something can be an alias: 1 to 40 characters, letters and digits with single `-` or `_`
/// between them.
#[must_use]
pub fn is_alias(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(plain) && bytes.last().is_some_and(plain);
    let pairs = bytes.windows(2).all(|pair| pair.iter().any(plain));
    ends && pairs
        && bytes.len() <= 40
        && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
}

fn shorten(
    text: &str,
    room: usize,
    mark: &str,
    filler: char,
    is_plain: impl Fn(u8) -> bool,
) -> String {
    let is_kept = !text.is_empty()
        && text.len() <= room
        && text.bytes().all(&is_plain)
        && !looks_shortened(text, mark);
    if is_kept {
        return text.to_owned();
    }
    let keep = room.saturating_sub(mark.len() + HASH_CHARS);
    let plain = |c: char| u8::try_from(c).is_ok_and(&is_plain);
    let cleaned = text.chars().map(|c| if plain(c) { c } else { filler });
    let mut short: String = cleaned.take(keep).collect();
    short.push_str(mark);
    hash(text, &mut short);
    short
}

/// Whether a text ends in the mark and what could be a hash.
fn looks_shortened(text: &str, mark: &str) -> bool {
    let Some(at) = text.len().checked_sub(HASH_CHARS + mark.len()) else { return false };
    let Some((_, end)) = text.split_at_checked(at) else { return false };
    let is_digit = |byte: u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
    end.strip_prefix(mark).is_some_and(|hash| hash.bytes().all(is_digit))
}

/// Adds the first 60 bits of a SHA-256 in base 32.
fn hash(text: &str, to: &mut String) {
    let hash = digest(&SHA256, text.as_bytes());
    let first = hash.as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
    for digit in 0..HASH_CHARS {
        let value = u8::try_from((first >> (59 - 5 * digit)) & 31).unwrap_or_default();
        to.push(char::from(if value < 26 { b'a' + value } else { b'2' + value - 26 }));
    }
}

/// Eats two servers and two names, and checks what is promised.
#[cfg(any(test, fuzzing))]
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(4, '\n');
    let mut next = || parts.next().unwrap_or_default();
    let (one, two, first, second) = (next(), next(), next(), next());
    let made = |server: &str, own: &str| name(&prefix(server), own);
    for (server, own) in [(one, first), (two, second), (one, second), (two, first)] {
        let name = made(server, own);
        assert!(name.len() <= MAX_NAME_CHARS);
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
        assert_eq!(prefix_of(&name), Some(&*prefix(server)));
    }
    assert_eq!(
        made(one, first) == made(two, second),
        (one, first) == (two, second),
        "{one:?} {first:?} and {two:?} {second:?}"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_readable() {
        for (server, own, public) in [
            ("github", "search_repositories", "github_search_repositories"),
            ("my-docs", "a-b_c", "my-docs_a-b_c"),
            ("x", "y", "x_y"),
        ] {
            assert_eq!(name(&prefix(server), own), public);
        }
    }

    #[test]
    fn what_is_not_plain_gets_a_hash() {
        for (server, own, start) in [
            ("a_b", "c", "a-b-0"),
            ("a", "files.read", "a_files_read_0"),
            ("a", "", "a__0"),
            ("", "a", "-0"),
            ("a", "käse", "a_k_se_0"),
        ] {
            let public = name(&prefix(server), own);
            assert!(public.starts_with(start), "{public}");
        }
        let long = name(&prefix("server"), &"x".repeat(100));
        assert_eq!(long.len(), MAX_NAME_CHARS);
    }

    #[test]
    fn a_name_that_looks_like_a_short_form_is_shortened_itself() {
        let forged = name("a", "files.read").strip_prefix("a_").unwrap().to_owned();
        assert_ne!(name("a", &forged), format!("a_{forged}"));
    }

    #[test]
    fn aliases_are_words_with_single_marks_between() {
        for (text, good) in [
            ("a", true),
            ("a_b-c", true),
            ("", false),
            ("_a", false),
            ("a-", false),
            ("a__b", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(is_alias(text), good, "{text}");
        }
        assert!(!is_alias(&"a".repeat(41)));
    }

    proptest! {
        #[test]
        fn two_things_never_share_a_name(
            one in "[a-c_.-]{0,5}", two in "[a-c_.-]{0,5}",
            first in "[a-c_.-]{0,5}", second in "[a-c_.-]{0,5}",
        ) {
            fuzz(format!("{one}\n{two}\n{first}\n{second}").as_bytes());
        }

        #[test]
        fn any_text_gives_a_name(data in prop::collection::vec(any::<u8>(), 0..300)) {
            fuzz(&data);
        }

        #[test]
        fn short_forms_of_one_are_not_names_of_another(server in "[a-z]{1,30}", own in ".{0,80}") {
            let public = name(&prefix(&server), &own);
            let part = public.split_once('_').unwrap().1.to_owned();
            if part != own {
                prop_assert_ne!(name(&prefix(&server), &part), public);
            }
        }
    }
}
