//! Typed secrets in a text: keys of providers, private keys, tokens, passwords in URLs and fields.
//!
//! One pass of a string search finds literals (prefixes, names of fields), and what stands there is
//! checked by hand: length, alphabet, checksum or structure, then that it is no placeholder. A text
//! may be plain or raw JSON: `\n`, `\"` and percent escapes before and after a secret are borders.

mod checksum;
mod issued;
mod jwt;
mod kind;
mod named;
mod pem;
mod placeholder;
mod text;
mod url;

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

pub use kind::{Certainty, SecretKind};

use kind::Kind;
use text::Text;

/// Most secrets that one call reports; the rest of the text is not looked at.
pub const MAX_SECRETS: usize = 64;

/// A secret and where it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'t> {
    /// What it is.
    pub kind: SecretKind,
    /// How sure that is: at least the kind's certainty.
    pub certainty: Certainty,
    /// The secret itself, for hashing. Of a URL it is the password; of a field, the value.
    pub bytes: &'t str,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset after its last byte.
    pub end: usize,
}

/// The bytes stay out of logs.
impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret")
            .field("kind", &self.kind)
            .field("certainty", &self.certainty)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// What a check found, as offsets.
#[derive(Clone, Copy, Debug)]
struct Found {
    kind: Kind,
    certainty: Certainty,
    start: usize,
    end: usize,
}

/// Literals and their automaton; `None` would be a mistake in the table, which a test excludes.
static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(issued::ANCHORS.iter().map(|anchor| anchor.literal))
        .ok()
});

/// Calls `each` for every secret, in order. No byte is in two of them: of those that overlap the
/// more certain one counts, then the one that was found first.
///
/// After [`MAX_SECRETS`] the search stops. Time is linear in the text; nothing is allocated unless
/// something is found.
pub fn secrets<'t>(text: &'t str, each: &mut dyn FnMut(Secret<'t>)) {
    let Some(finder) = FINDER.as_ref() else { return };
    let view = Text::new(text);
    let mut kept: Vec<Found> = Vec::new();
    for hit in finder.find_overlapping_iter(text) {
        let Some(anchor) = issued::ANCHORS.get(hit.pattern().as_usize()) else { continue };
        // Part of a key that is as certain as can be.
        let covers = |old: &Found| old.end >= hit.end() && old.certainty == Certainty::Checked;
        if kept.last().is_some_and(covers) {
            continue;
        }
        let is_written_so = anchor.any_case || view.has(hit.start(), anchor.literal);
        if is_written_so && let Some(found) = anchor.check(view, hit.start(), hit.end()) {
            keep(&mut kept, found);
            if kept.len() == MAX_SECRETS {
                break;
            }
        }
    }
    kept.sort_unstable_by_key(|found| found.start);
    for Found { kind, certainty, start, end } in kept {
        if let Some(bytes) = text.get(start..end) {
            each(Secret { kind: SecretKind(kind), certainty, bytes, start, end });
        }
    }
}

/// Adds a find unless one that it overlaps is as certain; otherwise those make room. Any kind is
/// better than the value of some field.
fn keep(kept: &mut Vec<Found>, new: Found) {
    let overlaps = |old: &Found| old.start < new.end && new.start < old.end;
    let rank = |found: &Found| (found.certainty, found.kind != Kind::PasswordAssignment);
    if kept.iter().any(|old| overlaps(old) && rank(old) >= rank(&new)) {
        return;
    }
    kept.retain(|old| !overlaps(old));
    kept.push(new);
}

/// The last four characters of a secret, so that its owner can tell which it was. Empty for one of
/// less than twelve characters, of which four would be too much.
#[must_use]
pub fn last_four(secret: &str) -> String {
    if secret.chars().take(12).count() < 12 {
        return String::new();
    }
    let from = secret.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    secret.get(from..).unwrap_or_default().to_owned()
}

/// Fuzzes the detectors of secrets and of personal data, and the estimate of randomness: what is
/// found lies in the text, in order, and no byte twice.
#[cfg(fuzzing)]
pub fn fuzz(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut from, mut count) = (0, 0);
    secrets(&text, &mut |secret| {
        assert!(from <= secret.start && secret.start < secret.end, "{secret:?} after {from}");
        assert_eq!(text.get(secret.start..secret.end), Some(secret.bytes));
        assert!(secret.certainty >= secret.kind.certainty());
        assert!(last_four(secret.bytes).chars().count() <= 4);
        (from, count) = (secret.end, count + 1);
    });
    assert!(count <= MAX_SECRETS);
    from = 0;
    super::personal::personal(&text, &mut |found| {
        assert!(from <= found.start && found.start < found.end, "{found:?} after {from}");
        assert_eq!(text.get(found.start..found.end), Some(found.bytes));
        from = found.end;
    });
    assert!(super::randomness::bits(data) as usize <= data.len() * 8);
}

#[cfg(test)]
mod tests;
