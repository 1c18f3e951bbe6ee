//! What is wrong with a configuration file, where, and what to write instead.

use std::fmt;

/// Longest excerpt, in characters.
const MAX_EXCERPT_CHARS: usize = 120;

/// A place in a text file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1; 0 when not known.
    pub line: u64,
    /// Column in characters, from 1; 0 when not known.
    pub column: u64,
}

/// One thing that is wrong with a file. Printed as
///
/// ```text
/// approvals.yaml:4:5: unknown key `onwer`
///   |     onwer: team-a
///   |     ^
///   = did you mean `owner`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file, as given.
    pub file: String,
    /// Where in it.
    pub at: Position,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line, cut at 120 characters; empty when the position is not known.
    pub excerpt: String,
}

impl Problem {
    pub(super) fn new(
        file: &str,
        text: &str,
        at: Position,
        message: String,
        hint: Option<String>,
    ) -> Self {
        let message = message.chars().map(printable).collect();
        Self { file: file.to_owned(), at, message, hint, excerpt: excerpt(text, at) }
    }
}

/// Files come from others too: no control character of theirs reaches a terminal.
const fn printable(c: char) -> char {
    if c.is_ascii_control() || matches!(c, '\u{80}'..='\u{9f}') { ' ' } else { c }
}

/// The line at a position, made printable.
fn excerpt(text: &str, at: Position) -> String {
    let Some(index) = at.line.checked_sub(1).and_then(|line| usize::try_from(line).ok()) else {
        return String::new();
    };
    let line = text.lines().nth(index).unwrap_or_default();
    line.chars().take(MAX_EXCERPT_CHARS).map(printable).collect::<String>().trim_end().to_owned()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.at.line > 0 {
            write!(f, ":{}:{}", self.at.line, self.at.column)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.excerpt.is_empty() {
            write!(f, "\n  | {}", self.excerpt)?;
            let column = usize::try_from(self.at.column).unwrap_or(0);
            if (1..=MAX_EXCERPT_CHARS).contains(&column) {
                write!(f, "\n  | {:>column$}", '^')?;
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  = {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The candidate that a misspelt name most likely means: at most a third of its letters differ.
pub(super) fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (edit_distance(name, candidate, allowed), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap neighbours) between two names; anything above `allowed`
/// when their lengths already say so.
fn edit_distance(a: &str, b: &str, allowed: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > allowed {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&row, j) + usize::from(x != y)).min(at(&row, j + 1) + 1);
            best = best.min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["owner", "expires", "clients", "key", "via"];
        for (name, want) in [
            ("onwer", Some("owner")),
            ("Owner", Some("owner")),
            ("expire", Some("expires")),
            ("client", Some("clients")),
            ("kye", Some("key")),
            ("banana", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), want, "{name}");
        }
    }

    #[test]
    fn the_caret_stands_under_the_column() {
        let at = Position { line: 2, column: 5 };
        let problem =
            Problem::new("a.yaml", "x: 1\n    bad: 2\n", at, "unknown key `bad`".into(), None);
        assert_eq!(problem.to_string(), "a.yaml:2:5: unknown key `bad`\n  |     bad: 2\n  |     ^");
    }

    #[test]
    fn a_problem_of_the_whole_file_has_no_excerpt() {
        let at = Position::default();
        let problem = Problem::new("a.yaml", "x: 1", at, "too long".into(), Some("cut".into()));
        assert_eq!(problem.to_string(), "a.yaml: too long\n  = cut");
    }
}
