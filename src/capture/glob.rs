//! Glob patterns: `*`, `?` and `[...]` in any component of a path. `**` is `*`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Whether a path has a character of patterns.
pub(crate) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Every path that matches, sorted. Names with a leading dot match only a leading dot.
///
/// # Errors
/// Where nothing matches because a directory could not be read.
pub(crate) fn expand(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let mut refused = None;
    for component in pattern.components() {
        match component {
            Component::Normal(name) if is_pattern(Path::new(name)) => {
                let pattern = Pattern::parse(name);
                let mut next = Vec::new();
                for directory in &found {
                    if let Err(error) = matches_in(directory, &pattern, &mut next) {
                        refused = Some(error);
                    }
                }
                found = next;
            }
            other => {
                for path in &mut found {
                    path.push(other);
                }
                found.retain(|path| path.exists());
            }
        }
    }
    found.sort();
    match refused {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Adds the entries of a directory that match; what is no directory has none.
fn matches_in(directory: &Path, pattern: &Pattern, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    if !listed.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(listed)? {
        let name = entry?.file_name();
        if pattern.matches(&name) {
            found.push(directory.join(name));
        }
    }
    Ok(())
}

/// The pattern of one path component.
#[derive(Debug)]
struct Pattern(Vec<Token>);

#[derive(Debug)]
enum Token {
    One(char),
    Any,
    Many,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    fn parse(pattern: &OsStr) -> Self {
        let text: Vec<char> = pattern.to_string_lossy().chars().collect();
        let mut tokens = Vec::new();
        let mut rest = text.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            tokens.push(match first {
                '*' => Token::Many,
                '?' => Token::Any,
                '[' => match class(after) {
                    Some((token, after)) => {
                        rest = after;
                        token
                    }
                    None => Token::One('['),
                },
                other => Token::One(*other),
            });
        }
        Self(tokens)
    }

    /// In time of the two lengths multiplied, at worst.
    fn matches(&self, name: &OsStr) -> bool {
        let text: Vec<char> = name.to_string_lossy().chars().collect();
        let dot = |token: &Token| matches!(token, Token::One('.'));
        if text.first() == Some(&'.') && !self.0.first().is_some_and(dot) {
            return false;
        }
        let (mut token, mut place) = (0, 0);
        // Where to go on when a later token fails: behind the last `*`, one character further.
        let mut retry = None;
        loop {
            match (self.0.get(token), text.get(place)) {
                (None, None) => return true,
                (Some(Token::Many), _) => {
                    token += 1;
                    retry = Some((token, place));
                    continue;
                }
                (Some(wanted), Some(there)) if wanted.accepts(*there) => {
                    token += 1;
                    place += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((after, from)) if from < text.len() => {
                    retry = Some((after, from + 1));
                    (token, place) = (after, from + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn accepts(&self, there: char) -> bool {
        match self {
            Self::One(wanted) => *wanted == there,
            Self::Any | Self::Many => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&there)) != *negated
            }
        }
    }
}

/// A character class, from behind its opening bracket; `None` where it has no end.
fn class(text: &[char]) -> Option<(Token, &[char])> {
    let (negated, text) = match text {
        ['!' | '^', after @ ..] => (true, after),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    let mut rest = text;
    loop {
        rest = match rest {
            [']', after @ ..] if !ranges.is_empty() => {
                return Some((Token::Class { negated, ranges }, after));
            }
            [low, '-', high, after @ ..] if *high != ']' => {
                ranges.push((*low, *high));
                after
            }
            [single, after @ ..] => {
                ranges.push((*single, *single));
                after
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, matching, other) in [
            ("*.pcap", &["a.pcap", "a.b.pcap"][..], &["a.pcapng", ".pcap", "pcap"][..]),
            ("*", &["a", "-"], &[".hidden"]),
            (".*", &[".hidden"], &["a"]),
            ("a?c", &["abc", "aßc"], &["ac", "abbc"]),
            ("a[0-2x]", &["a0", "a1", "a2", "ax"], &["a3", "a-", "a", "a00"]),
            ("a[!0-2]", &["a3", "ax"], &["a1", "a"]),
            ("a[^0]b", &["a1b"], &["a0b"]),
            ("[]]", &["]"], &["[", "]]"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("a[b", &["a[b"], &["ab"]),
            ("[*]x", &["*x"], &["ax"]),
            ("*a*b*", &["ab", "xaxbx", "aabb"], &["ba", "a", ""]),
            ("**", &["a"], &[]),
            ("", &[""], &["a"]),
        ] {
            let parsed = Pattern::parse(OsStr::new(pattern));
            for name in matching {
                assert!(parsed.matches(OsStr::new(name)), "{pattern} and {name}");
            }
            for name in other {
                assert!(!parsed.matches(OsStr::new(name)), "{pattern} and {name}");
            }
        }
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = Pattern::parse(OsStr::new(&"*a".repeat(200)));
        assert!(!pattern.matches(OsStr::new(&"a".repeat(199))));
        assert!(pattern.matches(OsStr::new(&"a".repeat(200))));
    }

    #[test]
    fn patterns_expand_in_any_component() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["day1/a.pcap", "day2/a.pcap", "day2/b.pcap", "night/a.pcap", "day3"] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        for (pattern, expected) in [
            ("day*/a.pcap", &["day1/a.pcap", "day2/a.pcap"][..]),
            ("*/b.*", &["day2/b.pcap"]),
            ("day[12]/../night/?.pcap", &["day1/../night/a.pcap", "day2/../night/a.pcap"]),
            ("da?3", &["day3"]),
            ("*/c.pcap", &[]),
        ] {
            let found = expand(&directory.path().join(pattern)).unwrap();
            let expected: Vec<_> =
                expected.iter().map(|path| directory.path().join(path)).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
