//! What is wrong with a mapping.

use std::fmt;

/// What is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1; 0 where it concerns the whole file.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// At the first place where a line begins with `key`.
    pub(super) fn at_key(text: &str, key: &str, message: impl Into<String>) -> Self {
        let place = (1_u64..).zip(text.lines()).find_map(|(number, line)| {
            let start = line.find(key)?;
            let before = line.get(..start)?;
            let is_key = before.chars().all(|c| c.is_whitespace() || "{\"'-,".contains(c))
                || before.ends_with(['{', ' ', '"', '\'']);
            let column = u64::try_from(before.chars().count()).unwrap_or(0) + 1;
            is_key.then_some((number, column))
        });
        let (line, column) = place.unwrap_or_default();
        Self { line, column, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of the YAML reader.
    pub(super) fn of_yaml(error: &serde_saphyr::Error) -> Self {
        use serde_saphyr::Error;
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        let at = |message: String| Self { line, column, message, hint: None };
        match error.without_snippet() {
            Error::SerdeUnknownField { field, expected, .. } => {
                at(format!("there is no key `{field}` here")).hint(nearest("keys", field, expected))
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                at(format!("`{variant}` is not one of the words it can be"))
                    .hint(nearest("words", variant, expected))
            }
            Error::DuplicateMappingKey { key, .. } => {
                at(format!("the key `{}` occurs twice", key.as_deref().unwrap_or_default()))
                    .hint("a key has one meaning: remove one of them")
            }
            Error::SerdeMissingField { field, .. } => at(format!("the key `{field}` is missing"))
                .hint(format!("add `{field}:`; `shadowtap logs schema` says what it can be")),
            Error::Budget { .. } => at("the file is too deep, long or repetitive".into())
                .hint("write it without aliases, and with fewer keys"),
            other => {
                let text = other.to_string();
                let text = text.split_once(" at line ").map_or(text.as_str(), |(before, _)| before);
                at(text.to_owned())
            }
        }
    }
}

/// The nearest word, or all of them.
fn nearest(what: &str, wrong: &str, words: &[&str]) -> String {
    let near = words.iter().map(|word| (distance(wrong, word), word)).min();
    match near {
        Some((distance, word)) if distance <= 2.max(wrong.len() / 3) => {
            format!("did you mean `{word}`?")
        }
        _ => format!("the {what} are: {}", words.join(", ")),
    }
}

/// Letters to change, add or leave out to get from one to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    /// Names are short; what is not, is none.
    const MAX_CHARS: usize = 64;
    let to: Vec<char> = to.chars().take(MAX_CHARS).collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().take(MAX_CHARS).enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(&to) {
            let changed = diagonal + usize::from(a != *b);
            diagonal = *cell;
            left = changed.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_letters() {
        for (from, to, expected) in
            [("", "", 0), ("a", "", 1), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }
}
