//! Words that are spelled out (`i g n o r e`, `i.g.n.o.r.e`), which models read all the same.

/// Least letters that make a spelled-out stretch.
const MIN_LETTERS: usize = 5;

/// What stands between two letters of a spelled-out stretch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// One separator: the same word.
    Letters,
    /// More white space: the next word.
    Words,
}

/// Joins the letters of each stretch; wider gaps become one blank, unless all words have one
/// letter: then the gaps are separators. `None` when there is no such stretch.
///
/// A letter belongs to a stretch when no letter or digit stands beside it.
pub(super) fn join(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out: Option<Vec<u8>> = None;
    let (mut at, mut copied) = (0, 0);
    // Single letters are followed by a separator: nothing else needs a closer look.
    while at < bytes.len() {
        let Some(stretch) = Stretch::read(bytes, at) else {
            at = next_start(bytes, at);
            continue;
        };
        if stretch.letters.len() >= MIN_LETTERS
            && let Some(words) = stretch.joined()
        {
            let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
            out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
            out.extend_from_slice(&words);
            copied = stretch.end;
        }
        at = next_start(bytes, stretch.end);
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    // Only whole ASCII stretches were replaced.
    String::from_utf8(out).ok()
}

/// The next place where a word may begin, after the one at `at`.
fn next_start(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let word = rest.iter().position(|byte| !is_wordly(*byte)).unwrap_or(rest.len());
    let rest = rest.get(word..).unwrap_or_default();
    let gap = rest.iter().position(|byte| is_wordly(*byte)).unwrap_or(rest.len());
    at + word + gap
}

/// Part of a word; bytes of non-ASCII characters count as such.
fn is_wordly(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

#[derive(Default)]
struct Stretch {
    /// Each letter, and what stands before it.
    letters: Vec<(Between, u8)>,
    end: usize,
}

impl Stretch {
    /// The stretch that begins at `at`, if a single letter stands there.
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let mut stretch = Self::default();
        let (mut between, mut next) = (Between::Letters, at);
        while let Some(&letter) = bytes.get(next).filter(|byte| byte.is_ascii_alphabetic()) {
            if bytes.get(next + 1).is_some_and(|byte| is_wordly(*byte)) {
                break;
            }
            stretch.letters.push((between, letter));
            stretch.end = next + 1;
            let Some(len) = gap(bytes.get(stretch.end..).unwrap_or_default()) else { break };
            between = if len == 1 { Between::Letters } else { Between::Words };
            next = stretch.end + len;
        }
        (!stretch.letters.is_empty()).then_some(stretch)
    }

    /// The words; `None` when there is none to join.
    fn joined(&self) -> Option<Vec<u8>> {
        let words: Vec<&[(Between, u8)]> =
            self.letters.chunk_by(|_, (between, _)| *between == Between::Letters).collect();
        let mut out = Vec::with_capacity(self.letters.len() * 2);
        let mut changed = false;
        let singles = words.chunk_by(|one, two| one.len() == 1 && two.len() == 1);
        for group in singles {
            let is_spelled = group.len() >= MIN_LETTERS;
            for (index, word) in group.iter().enumerate() {
                if !out.is_empty() && (index == 0 || !is_spelled) {
                    out.push(b' ');
                }
                out.extend(word.iter().map(|(_, letter)| letter));
                changed |= is_spelled || word.len() > 1;
            }
        }
        changed.then_some(out)
    }
}

/// Length of the gap at the beginning of `rest` that a stretch may have between two letters: one
/// separator, or white space.
fn gap(rest: &[u8]) -> Option<usize> {
    if let [b'.' | b'-' | b'_' | b'*' | b'|' | b'/' | b'+', ..] = rest {
        return Some(1);
    }
    let blank = rest.iter().position(|byte| !matches!(byte, b' ' | 9..=13)).unwrap_or(rest.len());
    (blank > 0).then_some(blank)
}
