//! Paths: whether they climb, and what they name.

use std::borrow::Cow;

use memchr::memchr3;

use super::view::percent;

/// Longest text that is taken for a path, in bytes (`PATH_MAX` of Linux).
pub const MAX_PATH_BYTES: usize = 4096;

/// Most blanks in one segment of a path: sentences have more.
const MAX_BLANKS: usize = 3;

/// Whether some `..` of the path goes above where it begins (CWE-22): above the root, the drive,
/// the home, or the folder that it is taken from. `a/../b` does not.
///
/// Read as careless servers do: percent-decoded twice, with overlong UTF-8, `\` and full-width
/// slashes as `/`, `..;` as `..`, and `....//` as what a filter leaves of it that takes `../` out
/// once. Paths in the query of a URL or request count too.
#[must_use]
pub fn climbs(text: &str) -> bool {
    if text.len() > MAX_PATH_BYTES || !may_climb(text) {
        return false;
    }
    let plain = plain(text);
    if !is_one_path(&plain) {
        return false;
    }
    plain.split(['?', '&', '=', '#']).any(goes_above)
}

/// Whether `text` has the form of a path of more than one segment, or of a URL: one line, with
/// slashes or backslashes in it, and no sentence.
#[must_use]
pub fn is_path_like(text: &str) -> bool {
    text.len() <= MAX_PATH_BYTES
        && (memchr3(b'/', b'\\', b'%', text.as_bytes()).is_some() || !text.is_ascii())
        && {
            let plain = plain(text);
            plain.contains('/') && plain.bytes().any(|byte| byte != b'/') && is_one_path(&plain)
        }
}

/// The last segment that is not empty, without trailing blanks and dots (Windows drops them) and
/// without what follows a NUL (C does); of a URL, without query and fragment.
#[must_use]
pub fn last_segment(text: &str) -> Option<&str> {
    let mut path = text.split('\0').next().unwrap_or_default();
    if let Some((_, rest)) = path.split_once("://") {
        path = rest.split(['?', '#']).next().unwrap_or_default();
    }
    path.rsplit(['/', '\\'])
        .map(|segment| segment.trim_end_matches(['.', ' ']))
        .find(|segment| !segment.is_empty())
}

/// Whether there are two dots in a row, or something that may be decoded to some.
fn may_climb(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), b"..").is_some()
        || memchr::memchr(b'%', text.as_bytes()).is_some()
        || !text.is_ascii()
}

/// Decoded, with `/` for all that is a separator to someone.
fn plain(text: &str) -> Cow<'_, str> {
    let decoded = percent::decode_twice(text).map_or(Cow::Borrowed(text), Cow::Owned);
    let is_odd = |char: char| {
        matches!(
            char,
            '\\' | '\u{2024}' | '\u{2044}' | '\u{2215}' | '\u{ff0e}' | '\u{ff0f}' | '\u{ff3c}'
        )
    };
    if !decoded.contains(is_odd) {
        return decoded;
    }
    let replaced = decoded.chars().map(|char| match char {
        '\u{ff0e}' | '\u{2024}' => '.',
        char if is_odd(char) => '/',
        char => char,
    });
    Cow::Owned(replaced.collect())
}

/// One line, and no sentence.
fn is_one_path(plain: &str) -> bool {
    let is_wordy =
        |segment: &str| segment.trim().bytes().filter(|byte| *byte == b' ').count() > MAX_BLANKS;
    let line = plain.trim_end_matches(['\r', '\n']);
    !line.contains(['\n', '\r']) && !line.split('/').any(is_wordy)
}

/// Walks the segments of one path.
fn goes_above(path: &str) -> bool {
    let mut depth = 0_usize;
    let mut segments = below_root(path.trim()).split('/').map(name).peekable();
    while let Some(segment) = segments.next() {
        let goes_up = match segment {
            ".." => true,
            // What a filter leaves of these that takes `../` out once.
            "...." => segments.next_if_eq(&"").is_some(),
            "..." => segments.next_if_eq(&".").is_some(),
            _ => false,
        };
        if goes_up {
            let Some(above) = depth.checked_sub(1) else { return true };
            depth = above;
        } else if !matches!(segment, "" | ".") {
            depth += 1;
        }
    }
    false
}

/// A segment without its parameters (RFC 3986 section 3.3) and without what follows a NUL.
fn name(segment: &str) -> &str {
    segment.split([';', '\0']).next().unwrap_or_default()
}

/// Without scheme and authority, drive or home: there is nothing above those.
fn below_root(path: &str) -> &str {
    if let Some((scheme, rest)) = path.split_once("://")
        && !scheme.contains('/')
    {
        return rest.split_once('/').map_or("", |(_, below)| below);
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let is_drive = matches!(first.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic());
    if is_drive || first.starts_with('~') { rest } else { path }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_goes_above_its_beginning_climbs() {
        for path in [
            "..",
            "../etc/passwd",
            "./../x",
            "/../x",
            "a/../../b",
            "a/b/../../../c",
            "/var/www/../../../etc/passwd",
            "..\\..\\windows\\win.ini",
            "C:\\..\\x",
            "~/../root",
            "%2e%2e%2fetc",
            "..%2f..%2fetc",
            "%252e%252e%252fetc",
            "%252e%252e/etc",
            "..%c0%af..%c0%afetc",
            "%c0%ae%c0%ae/etc",
            "....//....//etc",
            "..././etc",
            "..;/admin",
            "..;x=1/admin",
            "..%00/etc",
            "\u{ff0e}\u{ff0e}\u{ff0f}etc",
            "http://h/../x",
            "http://h/a/../../x",
            "file:///../../etc/passwd",
            "https://h/download?file=../../etc/passwd",
            "file=..%2F..%2Fetc",
            " ../x",
            "my docs/../../x",
            "a//../../b",
        ] {
            assert!(climbs(path), "{path}");
        }
    }

    #[test]
    fn what_stays_below_does_not_climb() {
        for path in [
            "",
            "a",
            "/",
            "a/../b",
            "a/..",
            "/a/../b",
            "./a/./b/../c",
            "a/b/../../c",
            "/etc/passwd",
            "C:\\a\\..\\b",
            "http://h/a/../b",
            "http://h/a/b/../../c",
            "...",
            ".../x",
            "....",
            "a....b",
            "..a/b",
            "a../b",
            "HEAD~2..HEAD",
            "origin/main..origin/dev",
            "Loading.../done",
            "wait ... what/ever",
            "Please go up with ../ or so, then ../../ again and look around",
            "the first line\n../../x",
            "100%",
            "1/2",
            "x=1&y=2",
        ] {
            assert!(!climbs(path), "{path}");
        }
        assert!(!climbs(&format!("{}..", "../".repeat(2000))));
    }

    #[test]
    fn paths_are_told_from_sentences() {
        for path in [
            "/etc/passwd",
            "a/b",
            "C:\\x",
            "file:///x",
            "%2fetc%2fpasswd",
            "./x",
            "My Files/a b.txt",
        ] {
            assert!(is_path_like(path), "{path}");
        }
        for text in ["", "word", "/", "one, two, three and four/five", "a/b\nc/d", "50%", "Grüße"]
        {
            assert!(!is_path_like(text), "{text}");
        }
    }

    #[test]
    fn the_last_segment_names_the_file() {
        for (path, want) in [
            ("/home/u/.ssh/id_rsa", Some("id_rsa")),
            ("C:\\Users\\u\\.aws\\credentials", Some("credentials")),
            ("file:///srv/.env", Some(".env")),
            ("https://h/x/.env?raw=1#top", Some(".env")),
            ("a/b//", Some("b")),
            ("id_rsa. .", Some("id_rsa")),
            ("/etc/passwd\0.png", Some("passwd")),
            (".env", Some(".env")),
            ("", None),
            ("//", None),
        ] {
            assert_eq!(last_segment(path), want, "{path}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_walk_over_plain_segments(
            segments in proptest::collection::vec("[ab]|\\.|\\.\\.", 1..9),
        ) {
            let mut depth = 0_i32;
            let mut above = false;
            for segment in &segments {
                depth += match segment.as_str() { ".." => -1, "." => 0, _ => 1 };
                above |= depth < 0;
            }
            prop_assert_eq!(climbs(&segments.join("/")), above);
            prop_assert_eq!(climbs(&segments.join("%252F").replace('.', "%2e")), above);
        }

        #[test]
        fn never_panics(text in "[./\\\\%;a0-9\u{ff0e} ?=~:]{0,40}|\\PC{0,40}") {
            let is_plain = text.is_ascii() && !text.contains('%');
            prop_assert!(!climbs(&text) || !is_plain || text.contains(".."));
            prop_assert!(!is_path_like(&text) || last_segment(&text) != Some(""));
        }
    }
}
