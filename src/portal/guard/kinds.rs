//! Kinds of what is looked for, and what is done about each.

use std::path::Path;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};

use super::config::{Action, Classes, CustomSpec, Each, Way};
use crate::inspect::personal::PersonalKind;
use crate::inspect::secrets::{Certainty, SecretKind};

/// Longest name of a kind of one's own, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest file of words, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// Most words of one kind.
const MAX_WORDS: usize = 100_000;
/// Memory of one compiled regular expression, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// A kind, as its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KindId(u16);

#[derive(Clone, Debug)]
struct Row {
    id: Arc<str>,
    each: Each,
    secret: Option<SecretKind>,
}

/// How a kind of one's own is found.
#[derive(Clone, Debug)]
enum Finder {
    Pattern(Regex),
    Words(AhoCorasick),
}

/// A kind of one's own.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) name: Arc<str>,
    each: Each,
    finder: Finder,
}

/// All kinds.
#[derive(Clone, Debug)]
pub(super) struct Kinds {
    rows: Vec<Row>,
    /// Those of one's own, with their places in `rows`.
    own: Vec<(KindId, Finder)>,
}

/// Whether a kind comes with the program.
pub(super) fn is_known(id: &str) -> bool {
    SecretKind::by_id(id).is_some() || PersonalKind::ALL.iter().any(|kind| kind.id() == id)
}

impl Own {
    /// Compiles a kind, reading its file.
    pub(super) fn compile(spec: &CustomSpec, base: &Path) -> Result<Self, String> {
        let is_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let CustomSpec { name, regex, words, file, action } = spec;
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name) {
            return Err(format!(
                "name: {name:?} is no name; use up to {MAX_NAME_BYTES} lower-case letters, digits \
                 and hyphens"
            ));
        }
        let mut all = words.clone();
        if let Some(file) = file {
            all.extend(read_words(&base.join(file))?);
        }
        let finder = match (regex, all.is_empty()) {
            (Some(_), false) => {
                return Err("regex: give either a regular expression or words".to_owned());
            }
            (None, true) => return Err("regex: give a regular expression, or words".to_owned()),
            (Some(pattern), true) => Finder::Pattern(compile_pattern(pattern)?),
            (None, false) => Finder::Words(compile_words(&all)?),
        };
        Ok(Self { name: name.as_str().into(), each: action.each(), finder })
    }
}

fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build();
    let built = built.map_err(|error| format!("regex: {error}"))?;
    if built.is_match("") {
        return Err("regex: it matches nothing at all, which is everywhere; ask for at least one \
                    character"
            .to_owned());
    }
    Ok(built)
}

fn compile_words(words: &[String]) -> Result<AhoCorasick, String> {
    if words.len() > MAX_WORDS {
        return Err(format!("words: {} are more than {MAX_WORDS}", words.len()));
    }
    if words.iter().any(|word| word.trim().is_empty()) {
        return Err("words: one is empty; take it out".to_owned());
    }
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(aho_corasick::MatchKind::LeftmostLongest)
        .build(words)
        .map_err(|error| format!("words: {error}"))
}

fn read_words(path: &Path) -> Result<Vec<String>, String> {
    let shown = path.display();
    let fail = |error: std::io::Error| format!("file: cannot read {shown}: {error}");
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE_BYTES {
        return Err(format!("file: {shown} is longer than {MAX_FILE_BYTES} bytes; split it"));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let lines = text.lines().map(str::trim);
    let words = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(words.map(str::to_owned).collect())
}

impl Kinds {
    /// The kinds that come with the program, and those of one's own.
    pub(super) fn new(classes: &Classes, own: Vec<Own>) -> Self {
        let secrets = SecretKind::all().map(|kind| {
            let is_guessed = kind.certainty() == Certainty::Guessed;
            let class = if is_guessed { classes.guessed } else { classes.secrets };
            Row { id: kind.id().into(), each: class.each(), secret: Some(kind) }
        });
        let personal = PersonalKind::ALL.iter().map(|kind| Row {
            id: kind.id().into(),
            each: classes.personal.each(),
            secret: None,
        });
        let mut rows: Vec<Row> = secrets.chain(personal).collect();
        let mut finders = Vec::with_capacity(own.len());
        for Own { name, each, finder } in own {
            finders.push((place(rows.len()), finder));
            rows.push(Row { id: name, each, secret: None });
        }
        Self { rows, own: finders }
    }

    /// Sets what is done about a kind; false if there is none of that name.
    pub(super) fn set(&mut self, id: &str, each: Each) -> bool {
        let row = self.rows.iter_mut().find(|row| &*row.id == id);
        row.map(|row| row.each = each).is_some()
    }

    /// Whether any kind fits a pattern.
    pub(super) fn any_is(&self, pattern: &str) -> bool {
        self.rows.iter().any(|row| fits(pattern, &row.id))
    }

    /// Advice for a name that is none.
    pub(super) fn nearest(&self, id: &str) -> String {
        let same = |row: &&Row| {
            row.id.bytes().zip(id.bytes()).take_while(|(own, given)| own == given).count()
        };
        let near = self.rows.iter().max_by_key(same).filter(|row| same(row) > 1);
        near.map_or_else(
            || "kinds are named in the reference of rules, under secret.kinds".to_owned(),
            |row| format!("did you mean {}?", row.id),
        )
    }

    pub(super) fn of_secret(&self, kind: SecretKind) -> KindId {
        let at = self.rows.iter().position(|row| row.secret == Some(kind));
        place(at.unwrap_or_default())
    }

    pub(super) fn of_personal(&self, kind: PersonalKind) -> KindId {
        let at = self.rows.iter().position(|row| *row.id == *kind.id());
        place(at.unwrap_or_default())
    }

    /// Its name.
    pub(super) fn name(&self, id: KindId) -> &Arc<str> {
        static NONE: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "none".into());
        self.rows.get(usize::from(id.0)).map_or(&NONE, |row| &row.id)
    }

    /// The secret that it is.
    pub(super) fn secret(&self, id: KindId) -> Option<SecretKind> {
        self.rows.get(usize::from(id.0))?.secret
    }

    /// The name of the personal data that it is.
    pub(super) fn personal(&self, id: KindId) -> Option<&'static str> {
        let name = self.name(id);
        PersonalKind::ALL.iter().map(|kind| kind.id()).find(|known| **known == **name)
    }

    /// What is done about it, exceptions aside.
    pub(super) fn action(&self, id: KindId, way: Way) -> Action {
        let each = self.rows.get(usize::from(id.0)).map(|row| row.each).unwrap_or_default();
        match way {
            Way::Request => each.request,
            Way::Response => each.response,
        }
    }

    /// Whether there are kinds of one's own.
    pub(super) const fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Gives each find of a kind of one's own in a string to `each`.
    pub(super) fn own(&self, text: &str, each: &mut dyn FnMut(KindId, usize, usize)) {
        for (id, finder) in &self.own {
            match finder {
                Finder::Pattern(pattern) => {
                    for found in pattern.find_iter(text).filter(|found| !found.is_empty()) {
                        each(*id, found.start(), found.end());
                    }
                }
                Finder::Words(words) => {
                    for found in words.find_iter(text) {
                        if stands_alone(text, found.start(), found.end()) {
                            each(*id, found.start(), found.end());
                        }
                    }
                }
            }
        }
    }
}

/// The place of a row. There are less than 65,536: each is named in a file of bounded length.
fn place(index: usize) -> KindId {
    KindId(u16::try_from(index).unwrap_or(u16::MAX))
}

fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|text| text.chars().next_back());
    let behind = text.get(end..).and_then(|text| text.chars().next());
    ![before, behind].into_iter().flatten().any(char::is_alphanumeric)
}

/// Whether a name fits a pattern in which `*` stands for any characters. Time is the product of the
/// lengths at worst.
pub(in crate::portal) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if name.get(n) == Some(byte) => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "tests cut where characters begin")]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("create_*", "create_issue", true),
            ("*_issue", "create_issue", true),
            ("c*e*e", "create_issue", true),
            ("c*x", "create_issue", false),
            ("", "", true),
            ("a**b", "ab", true),
        ] {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn words_are_found_only_where_they_stand_alone() {
        let spec = CustomSpec {
            name: "project".into(),
            regex: None,
            words: vec!["Blue Bird".into(), "Blue".into()],
            file: None,
            action: super::super::config::Actions::Both(Action::Redact),
        };
        let own = Own::compile(&spec, Path::new("/")).unwrap();
        let kinds = Kinds::new(&Classes::default(), vec![own]);
        let mut found = Vec::new();
        let text = "BLUE BIRD, blue; bluebell, äblue";
        kinds.own(text, &mut |id, start, end| {
            found.push((kinds.name(id).clone(), &text[start..end]))
        });
        let found: Vec<_> = found.iter().map(|(name, text)| (&**name, *text)).collect();
        assert_eq!(found, [("project", "BLUE BIRD"), ("project", "blue")]);
    }
}
