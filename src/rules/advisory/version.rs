//! Versions as people write them, and ranges of them.

use std::cmp::Ordering;

/// Longest version that is read, in bytes; a longer one is none.
const MAX_BYTES: usize = 64;
/// Numbers of a version; one with more is none.
const MAX_NUMBERS: usize = 8;

/// A version: numbers with dots, perhaps followed by what makes it a release before the release.
/// Read leniently, for names and versions on the wire follow no one rule: `1.2`, `v1.2.3`,
/// `1.0.0-rc.1`, `1.0rc1`, `2025.7.1`, `1.2.3+build`.
#[derive(Clone, Debug)]
pub struct Version {
    numbers: Vec<u64>,
    /// What follows the numbers, split where letters and digits meet; empty for a release.
    before: Vec<Part>,
}

/// A piece of what follows the numbers: numbers come before words, as in Semantic Versioning 2.0
/// section 11.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

impl Version {
    /// Reads a version; `None` for anything that does not begin with a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split('+').next().unwrap_or_default();
        if text.len() > MAX_BYTES || !text.is_ascii() {
            return None;
        }
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (release, rest) = text.split_at_checked(end)?;
        let numbers = release.trim_end_matches('.').split('.').map(|number| number.parse().ok());
        let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
        if numbers.is_empty() || numbers.len() > MAX_NUMBERS {
            return None;
        }
        let is_later = ["post", ".post", "-post"].iter().any(|word| rest.starts_with(word));
        let before = if is_later { Vec::new() } else { parts(rest)? };
        Some(Self { numbers, before })
    }
}

/// Runs of digits and of letters; `None` if there is anything but these and separators.
fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let is_separator = |c: char| matches!(c, '.' | '-' | '_' | '~');
    if text.contains(|c: char| !c.is_ascii_alphanumeric() && !is_separator(c)) {
        return None;
    }
    for word in text.split(is_separator).filter(|word| !word.is_empty()) {
        for run in word.as_bytes().chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
            let run = std::str::from_utf8(run).unwrap_or_default();
            parts.push(match run.parse() {
                Ok(number) => Part::Number(number),
                Err(_) => Part::Word(run.to_ascii_lowercase()),
            });
        }
    }
    Some(parts)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let longest = self.numbers.len().max(other.numbers.len());
        let number = |version: &Self, at: usize| version.numbers.get(at).copied().unwrap_or(0);
        let numbers = (0..longest).map(|at| number(self, at).cmp(&number(other, at)));
        let release = numbers.fold(Ordering::Equal, Ordering::then);
        // A release comes after everything that leads to it.
        let is_release = self.before.is_empty().cmp(&other.before.is_empty());
        release.then(is_release).then_with(|| self.before.cmp(&other.before))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// Versions that satisfy all of some comparisons: `>=0.0.5,<0.1.16`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(Vec<(Comparison, Version)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
}

impl Range {
    /// Reads comparisons with commas between; each is `<`, `<=`, `>`, `>=` or `=` and a version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let one = |text: &str| {
            let text = text.trim();
            let (comparison, version) = [
                ("<=", Comparison::AtMost),
                (">=", Comparison::AtLeast),
                ("<", Comparison::Less),
                (">", Comparison::More),
                ("=", Comparison::Equal),
            ]
            .into_iter()
            .find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))?;
            Some((comparison, Version::parse(version)?))
        };
        text.split(',').map(one).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether a version is in the range.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        self.0.iter().all(|(comparison, bound)| match comparison {
            Comparison::Less => version < bound,
            Comparison::AtMost => version <= bound,
            Comparison::More => version > bound,
            Comparison::AtLeast => version >= bound,
            Comparison::Equal => version == bound,
        })
    }
}
