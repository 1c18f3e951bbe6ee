//! What is wrong with rule files, and how it is shown.
//!
//! Every problem has a stable code, the place in the file, the line with the place underlined,
//! and where possible the way out. All problems are collected, not just the first.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A file, as text; whoever read it.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call it: its path.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The tests of its rule are left out, and are not missed.
    pub is_cut: bool,
}

impl Source {
    /// A whole file.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), is_cut: false }
    }
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1; 0 when not known.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters.
    pub len: u32,
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: narrow(location.line()),
            column: narrow(location.column()),
            len: narrow(location.span().len()),
        }
    }
}

/// A value and its place in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub place: Place,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, place: spanned.referenced.into() })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Whether the rule can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The rule is refused.
    Error,
    /// The rule works, but somebody should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the rule can be used all the same.
    pub level: Level,
    /// Stable, hyphenated name of the kind of problem.
    pub code: &'static str,
    /// Name of the file.
    pub file: String,
    /// Where in the file; none when it concerns the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line that `place` points at.
    excerpt: Option<String>,
}

/// Longest line shown in an excerpt, in characters; longer ones are cut around the place.
const MAX_EXCERPT_CHARS: usize = 120;

impl Problem {
    /// An error at a place of a file.
    #[must_use]
    pub fn error(
        source: &Source,
        place: Place,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let line = usize::try_from(place.line).unwrap_or(0).checked_sub(1);
        let excerpt = line.and_then(|line| source.text.lines().nth(line)).map(str::to_owned);
        Self {
            level: Level::Error,
            code,
            file: source.name.clone(),
            place: (place.line > 0).then_some(place),
            message: message.into(),
            hint: None,
            excerpt,
        }
    }

    /// An error that concerns a file as a whole.
    #[must_use]
    pub fn of_file(name: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            code,
            file: name.to_owned(),
            place: None,
            message: message.into(),
            hint: None,
            excerpt: None,
        }
    }

    /// The same, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with the nearest of `names` to `wrong` as advice, if one is near.
    #[must_use]
    pub fn nearest<'n>(self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(wrong, names) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The same, as a warning.
    #[must_use]
    pub const fn warning(mut self) -> Self {
        self.level = Level::Warning;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(f, "{level}[{}]: {}", self.code, self.message)?;
        match self.place {
            None => writeln!(f, "  --> {}", self.file)?,
            Some(place) => {
                writeln!(f, "  --> {}:{}:{}", self.file, place.line, place.column)?;
                write_excerpt(f, place, self.excerpt.as_deref().unwrap_or_default())?;
            }
        }
        match &self.hint {
            Some(hint) => writeln!(f, "   = {hint}"),
            None => Ok(()),
        }
    }
}

fn write_excerpt(f: &mut fmt::Formatter<'_>, place: Place, line: &str) -> fmt::Result {
    let column = usize::try_from(place.column).unwrap_or(1).max(1) - 1;
    let skip = if column + 20 > MAX_EXCERPT_CHARS { column - 20 } else { 0 };
    let shown: String = line
        .chars()
        .skip(skip)
        .take(MAX_EXCERPT_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let start = column - skip;
    let room = shown.chars().count().saturating_sub(start).max(1);
    let len = usize::try_from(place.len).unwrap_or(1).clamp(1, room);
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    writeln!(f, "{margin} |")?;
    writeln!(f, "{number} | {shown}")?;
    writeln!(f, "{margin} | {}{}", " ".repeat(start), "^".repeat(len))
}

/// Everything that is wrong with a set of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The problems, in the order of files and places once [`Report::sort`] has run.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether any problem is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Orders the problems by file and place.
    pub fn sort(&mut self) {
        self.problems.sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
    }
}

/// The problems one after the other, and how many there are.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let errors = self.problems.iter().filter(|problem| problem.level == Level::Error).count();
        let warnings = self.problems.len() - errors;
        writeln!(f, "{}, {}", plural(errors, "error"), plural(warnings, "warning"))
    }
}

/// `1 error`, `2 errors`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Longest name for which a near one is sought, in characters.
const MAX_NEAREST_CHARS: usize = 64;

/// The name nearest to a wrong one: the same last part, or few typing errors away.
pub(super) fn nearest<'n>(
    wrong: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let wrong = wrong.to_ascii_lowercase();
    let length = wrong.chars().count();
    if length == 0 || length > MAX_NEAREST_CHARS {
        return None;
    }
    let budget = (length / 3).max(1);
    names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_ascii_lowercase();
            let tail = lower.rsplit('.').next().unwrap_or_default();
            let same_tail = lower.contains('.') && wrong.rsplit('.').next() == Some(tail);
            let distance = distance(&wrong, &lower);
            let far = distance > budget;
            (same_tail || !far).then_some((far, distance, name))
        })
        .min()
        .map(|(.., name)| name)
}

/// Optimal string alignment distance: insertions, deletions, replacements, swapped neighbours.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().take(MAX_NEAREST_CHARS * 2).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(from != to);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && a.get(i - 1) == Some(&to) && b.get(j - 1) == Some(&from);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    at(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_typing_errors() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("metod", "method", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn nearest_prefers_the_same_last_part_and_gives_up_when_far() {
        let names = ["mcp.method", "mcp.name", "http.path"];
        assert_eq!(nearest("method", names), Some("mcp.method"));
        assert_eq!(nearest("mcp.mehtod", names), Some("mcp.method"));
        assert_eq!(nearest("HTTP.PATH", names), Some("http.path"));
        assert_eq!(nearest("path", names), Some("http.path"));
        assert_eq!(nearest("clent.ip", ["server.ip", "client.ip"]), Some("client.ip"));
        assert_eq!(nearest("zebra", names), None);
        assert_eq!(nearest("", names), None);
    }

    #[test]
    fn excerpts_of_long_lines_are_cut_around_the_place() {
        let text = format!("{}wrong{}", "x".repeat(500), "y".repeat(500));
        let source = Source::new("a.yaml", text);
        let place = Place { line: 1, column: 501, len: 5 };
        let shown = Problem::error(&source, place, "code", "message").to_string();
        assert!(shown.contains(&format!("1 | {}wrongyy", "x".repeat(20))));
        assert!(shown.contains(&format!("  | {}^^^^^\n", " ".repeat(20))));
    }

    #[test]
    fn a_place_past_the_end_of_the_file_is_shown_without_panic() {
        let source = Source::new("a.yaml", "a: 1");
        let place = Place { line: 9, column: 40, len: 99 };
        assert!(Problem::error(&source, place, "code", "m").to_string().contains("a.yaml:9:40"));
    }
}
