//! Literals that must occur wherever a rule matches.
//!
//! A rule that matches only subjects with `tools/call` in their method need not be evaluated on
//! any other. So for every condition this module asks: which texts are such that one of them
//! occurs in some field whenever the condition holds? Every part of an `all` must hold, so the
//! best part speaks for the whole:
//!
//! ```text
//!   all ── mcp.method: {is: tools/call}         {"tools/call"} in mcp.method     <- taken
//!       └─ mcp.name: {matches: "_admin$"}       {"_admin"} in mcp.name
//! ```
//!
//! Any part of an `any` may be the one that holds, so each must have literals, and all of them
//! count, whichever field they are for. A `not` promises nothing. The answer may be too wide (the rule's conditions
//! then say no), but never too narrow: literals are searched for without regard to ASCII case,
//! and parts of expressions where Unicode case folding could reach beyond ASCII are left out.

use super::condition::{Node, Test};
use super::field::{Field, Key, Shape};
use super::list::{Items, List};
use super::problem::Located;

/// Texts and where to look for them: one of them occurs in its field whenever a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literals {
    /// Never empty, sorted; each text at least [`MIN_BYTES`] long.
    pub(super) entries: Vec<(Field, String)>,
}

/// Shorter literals occur everywhere and filter nothing.
pub(super) const MIN_BYTES: usize = 3;

/// More literals than this are not worth an automaton.
const MAX_TEXTS: usize = 1_000;

impl Literals {
    /// Literals of one field, if they can filter anything.
    pub(super) fn new(field: &Field, texts: impl IntoIterator<Item = String>) -> Option<Self> {
        let entries: Vec<_> = texts.into_iter().map(|text| (field.clone(), text)).collect();
        if is_searchable(field) { Self::of(entries) } else { None }
    }

    /// The same literals in any of several fields.
    pub(super) fn in_fields(fields: &[Field], texts: &[Located<String>]) -> Option<Self> {
        let of_field = |field: &Field| {
            let texts = texts.iter().map(|text| (field.clone(), text.value.clone()));
            texts.collect::<Vec<_>>()
        };
        Self::of(fields.iter().flat_map(of_field).collect())
    }

    fn of(mut entries: Vec<(Field, String)>) -> Option<Self> {
        entries.sort_unstable();
        entries.dedup();
        let usable = !entries.is_empty()
            && entries.len() <= MAX_TEXTS
            && entries.iter().all(|(_, text)| text.len() >= MIN_BYTES);
        usable.then_some(Self { entries })
    }

    /// How good they are: the shortest one's length, few of them, many different bytes.
    pub(super) fn strength(&self) -> (usize, std::cmp::Reverse<usize>, usize) {
        let texts = || self.entries.iter().map(|(_, text)| text);
        let shortest = texts().map(String::len).min().unwrap_or(0);
        let variety = texts().map(|text| variety(text)).min().unwrap_or(0);
        (shortest, std::cmp::Reverse(self.entries.len()), variety)
    }
}

/// How many different bytes a text has.
fn variety(text: &str) -> usize {
    let mut bytes = text.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    bytes.len()
}

/// `tools/call` in mcp.method: shown with at most eight texts per field.
impl std::fmt::Display for Literals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MAX_SHOWN: usize = 8;
        for (index, same) in self.entries.chunk_by(|a, b| a.0 == b.0).enumerate() {
            let mut texts: Vec<_> =
                same.iter().take(MAX_SHOWN).map(|(_, text)| format!("`{text}`")).collect();
            if same.len() > MAX_SHOWN {
                texts.push(format!("{} more", same.len() - MAX_SHOWN));
            }
            let or = if index > 0 { ", or " } else { "" };
            write!(f, "{or}{}", texts.join(", "))?;
            if let Some((field, _)) = same.first() {
                write!(f, " in {field}")?;
            }
        }
        Ok(())
    }
}

/// Whether literals in a field can rule anything out: it holds text, and not one of a few words
/// that every subject has.
pub(super) fn is_searchable(field: &Field) -> bool {
    match field.spec().shape {
        Shape::Texts => true,
        Shape::Text => field.spec().values.is_empty(),
        Shape::Number | Shape::Bool | Shape::Ip => false,
    }
}

/// The best literals of a condition, if it has any.
pub(super) fn required(node: &Node) -> Option<Literals> {
    match node {
        Node::All(nodes) => nodes.iter().filter_map(required).max_by_key(Literals::strength),
        Node::Any(nodes) => {
            let mut all = Vec::new();
            for node in nodes {
                all.extend(required(node)?.entries);
            }
            Literals::of(all)
        }
        Node::Not(_) => None,
        Node::Test(field, test) => of_test(field, test).or_else(|| header_name(field, test)),
    }
}

/// Any test that a request header field passes needs the field to be there.
fn header_name(field: &Field, test: &Test) -> Option<Literals> {
    let names = match field.key() {
        Key::RequestHeader => Key::RequestHeaderNames,
        Key::ResponseHeader => Key::ResponseHeaderNames,
        _ => return None,
    };
    if matches!(test, Test::Exists(false)) {
        return None;
    }
    Literals::new(&Field::of(names)?, vec![field.header()?.name.to_string()])
}

fn of_test(field: &Field, test: &Test) -> Option<Literals> {
    let texts = match test {
        Test::Is { texts, .. }
        | Test::Contains { texts, .. }
        | Test::StartsWith { texts, .. }
        | Test::EndsWith { texts, .. } => texts.iter().map(ToString::to_string).collect(),
        Test::Matches { patterns, nocase } => {
            let mut all = Vec::new();
            for pattern in patterns {
                all.extend(of_pattern(pattern.as_str(), *nocase)?);
            }
            all
        }
        Test::InList(list) => of_list(list)?,
        Test::Exists(_)
        | Test::Equals(_)
        | Test::Between(..)
        | Test::Bool(_)
        | Test::InNet(_)
        | Test::InNetList(_) => return None,
    };
    Literals::new(field, texts)
}

fn of_list(list: &List) -> Option<Vec<String>> {
    match &list.items {
        Items::Texts(texts) => Some(texts.iter().map(ToString::to_string).collect()),
        Items::Hosts(hosts) => {
            Some(hosts.exact.iter().chain(&hosts.below).map(ToString::to_string).collect())
        }
        Items::Nets(_) => None,
    }
}

/// One literal per alternative of a regular expression, or none. Reads just enough of the syntax
/// of the `regex` crate to be sure; what it does not know makes it give up.
pub(super) fn of_pattern(pattern: &str, nocase: bool) -> Option<Vec<String>> {
    let mut scan = Scan { nocase, best: String::new(), run: String::new(), found: Vec::new() };
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '|' => scan.end_alternative()?,
            '(' => {
                scan.cut();
                skip_group(&mut chars)?;
            }
            '[' => {
                scan.cut();
                skip_class(&mut chars)?;
            }
            '?' | '*' => scan.cut_optional(),
            '{' => {
                scan.cut_optional();
                chars.by_ref().find(|c| *c == '}')?;
            }
            '+' | '.' | '^' | '$' => scan.cut(),
            '\\' => match chars.next()? {
                'x' | 'u' | 'U' | 'p' | 'P' | 'b' | 'B' => return None,
                escaped if escaped.is_ascii_punctuation() => scan.run.push(escaped),
                escaped if escaped.is_ascii_alphabetic() => scan.cut(),
                _ => return None,
            },
            ')' => return None,
            plain => scan.run.push(plain),
        }
    }
    scan.end_alternative()?;
    Some(scan.found)
}

struct Scan {
    nocase: bool,
    /// Longest literal of the alternative so far.
    best: String,
    /// Literal being read.
    run: String,
    /// The best literals of the alternatives that are over.
    found: Vec<String>,
}

impl Scan {
    /// The literal being read ends here.
    fn cut(&mut self) {
        // Without case, `k` also stands for the Kelvin sign and `s` for the long s: such letters
        // are not certain to occur as ASCII. Beyond ASCII folding is not looked into at all.
        let unsure = |c: char| self.nocase && (!c.is_ascii() || "kKsS".contains(c));
        for part in self.run.split(unsure) {
            if part.len() > self.best.len() {
                part.clone_into(&mut self.best);
            }
        }
        self.run.clear();
    }

    /// The character before may be absent.
    fn cut_optional(&mut self) {
        self.run.pop();
        self.cut();
    }

    /// The alternative is over; `None` when it has no literal.
    fn end_alternative(&mut self) -> Option<()> {
        self.cut();
        let best = std::mem::take(&mut self.best);
        (best.len() >= MIN_BYTES).then(|| self.found.push(best))
    }
}

/// Skips to the end of a group whose `(` is read; gives up on flags, which change what follows.
fn skip_group(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    if chars.peek() == Some(&'?') {
        chars.next();
        if chars.next()? != ':' {
            return None;
        }
    }
    loop {
        match chars.next()? {
            ')' => return Some(()),
            '(' => skip_nested(chars)?,
            '[' => skip_class(chars)?,
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
    }
}

/// Groups in groups, without recursion.
fn skip_nested(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    let mut depth = 1_usize;
    while depth > 0 {
        match chars.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '[' => skip_class(chars)?,
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
    }
    Some(())
}

/// Skips to the end of a class whose `[` is read; gives up on nested ones.
fn skip_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    if chars.peek() == Some(&'^') {
        chars.next();
    }
    if chars.peek() == Some(&']') {
        chars.next();
    }
    loop {
        match chars.next()? {
            ']' => return Some(()),
            '[' => return None,
            '\\' => {
                chars.next()?;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_of_patterns() {
        let found = |pattern: &str| of_pattern(pattern, false);
        let some = |texts: &[&str]| Some(texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        for (pattern, expected) in [
            ("tools/call", some(&["tools/call"])),
            ("^tools/(call|list)$", some(&["tools/"])),
            ("tools|prompts", some(&["tools", "prompts"])),
            ("tools|p", None),
            ("abcd?", some(&["abc"])),
            ("abc*", None),
            ("abcd+e", some(&["abcd"])),
            ("abcd{0,3}efgh", some(&["efgh"])),
            ("[a-z]+_admin", some(&["_admin"])),
            ("[]x]abc", some(&["abc"])),
            (r"a\.b\.c", some(&["a.b.c"])),
            (r"\d\d\d\d-\d\d", None),
            (r"abc\sdef", some(&["abc"])),
            (r"\x41bcd", None),
            ("(?i)abcd", None),
            ("(?:x)?abcd", some(&["abcd"])),
            ("(a(b)c)abcd", some(&["abcd"])),
            ("", None),
            (".*", None),
        ] {
            assert_eq!(found(pattern), expected, "{pattern}");
        }
        assert_eq!(of_pattern("token", true), None);
        assert_eq!(of_pattern("hidden_desk", true), some(&["hidden_de"]));
    }

    fn pattern_and_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-dkK]{1,5}",
            Just("(ab|cd)".to_owned()),
            Just("(?:ab(c)?)?".to_owned()),
            Just("[a-c]".to_owned()),
            Just("[^]x]".to_owned()),
            Just(".".to_owned()),
            Just("a?".to_owned()),
            Just("b*".to_owned()),
            Just("c{0,2}".to_owned()),
            Just("d{2}".to_owned()),
            Just("|".to_owned()),
            Just(r"\.".to_owned()),
            Just(r"\w".to_owned()),
            Just("^".to_owned()),
            Just("$".to_owned()),
        ];
        prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_pattern_never_matches_without_one_of_its_literals(
            pattern in pattern_and_text(),
            text in "[a-dkK\u{212a}.x]{0,12}",
            nocase: bool,
        ) {
            let built = regex::RegexBuilder::new(&pattern).case_insensitive(nocase).build();
            if let (Ok(regex), Some(literals)) = (built, of_pattern(&pattern, nocase))
                && regex.is_match(&text)
            {
                let lower = text.to_ascii_lowercase();
                prop_assert!(
                    literals.iter().any(|literal| lower.contains(&literal.to_ascii_lowercase())),
                    "{pattern} matches {text} without any of {literals:?}"
                );
            }
        }
    }
}
