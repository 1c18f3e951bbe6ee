//! Compiled conditions, and whether they hold.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex::Regex;

use super::field::{Field, InLogs, Value};
use super::list::{Items, List, Nets};
use super::subject::Subject;

/// A condition. A field that the subject does not have fails every test but `exists: false`.
#[derive(Debug)]
pub(super) enum Node {
    /// Every one holds; an empty one does.
    All(Vec<Self>),
    /// At least one holds; an empty one does not.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A field passes a test.
    Test(Field, Test),
}

/// A test of a field: holds when one of its values passes.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// Whether there is a value at all.
    Exists(bool),
    /// One of these texts, whole.
    Is { texts: Vec<Box<str>>, nocase: bool },
    /// One of these texts somewhere in it.
    Contains { texts: Vec<Box<str>>, finder: AhoCorasick },
    /// One of these texts at its start.
    StartsWith { texts: Vec<Box<str>>, nocase: bool },
    /// One of these texts at its end.
    EndsWith { texts: Vec<Box<str>>, nocase: bool },
    /// One of these expressions.
    Matches { patterns: Vec<Regex>, nocase: bool },
    /// An item of a list of texts or hosts.
    InList(Arc<List>),
    /// One of these numbers.
    Equals(Vec<i64>),
    /// A number from the first to the second, both included.
    Between(i64, i64),
    /// This truth value.
    Bool(bool),
    /// An address in one of these networks.
    InNet(Nets),
    /// An address in a network of a list.
    InNetList(Arc<List>),
}

impl Node {
    /// Whether the condition holds for a subject. Of what a log tells, only what the log would show
    /// if it were so counts: an absent field is no proof.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        if subject.is_told_in_part() {
            return self.surely(subject) == Some(true);
        }
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(subject)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(subject)),
            Self::Not(node) => !node.holds(subject),
            Self::Test(field, Test::Exists(wanted)) => {
                field.visit(subject, &mut |_| true) == *wanted
            }
            Self::Test(field, test) => field.visit(subject, &mut |value| test.accepts(value)),
        }
    }

    /// The same in three values (Kleene's): `None` is not known.
    fn surely(&self, subject: &Subject<'_>) -> Option<bool> {
        match self {
            Self::All(nodes) => every(nodes.iter().map(|node| node.surely(subject))),
            Self::Any(nodes) => {
                every(nodes.iter().map(|node| node.surely(subject).map(|holds| !holds)))
                    .map(|none| !none)
            }
            Self::Not(node) => node.surely(subject).map(|holds| !holds),
            Self::Test(field, test) => {
                let (mut passes, mut exists) = (false, false);
                field.visit(subject, &mut |value| {
                    passes |= test.accepts(value);
                    // A log that does not have a field says `false` of it.
                    exists |= field.in_logs() == InLogs::Always || value != Value::Bool(false);
                    passes
                });
                match (field.in_logs(), exists) {
                    (InLogs::Some, true) if !passes => None,
                    (InLogs::Some | InLogs::Maybe, false) => None,
                    _ => match test {
                        Test::Exists(wanted) => Some(exists == *wanted),
                        _ => Some(passes),
                    },
                }
            }
        }
    }

    /// Gives every field that the condition reads to `each`.
    pub(super) fn fields<'n>(&'n self, each: &mut dyn FnMut(&'n Field)) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.fields(each)),
            Self::Not(node) => node.fields(each),
            Self::Test(field, _) => each(field),
        }
    }

    /// Gives each test that holds, with the first value that passes it, to `each`: what the match
    /// rests on. Of alternatives only the first that holds counts.
    pub(super) fn witness<'n>(
        &'n self,
        subject: &Subject<'_>,
        each: &mut dyn FnMut(&'n Field, &'n Test, Value<'_>),
    ) {
        match self {
            Self::All(nodes) => nodes.iter().for_each(|node| node.witness(subject, each)),
            Self::Any(nodes) => {
                if let Some(node) = nodes.iter().find(|node| node.holds(subject)) {
                    node.witness(subject, each);
                }
            }
            Self::Not(_) => {}
            Self::Test(field, test) => {
                field.visit(subject, &mut |value| {
                    let accepted = test.accepts(value);
                    if accepted {
                        each(field, test, value);
                    }
                    accepted
                });
            }
        }
    }

    /// The first test that fails, when all of the condition's parts must hold: what kept a rule
    /// from matching.
    pub(super) fn first_failure(&self, subject: &Subject<'_>) -> Option<&Field> {
        match self {
            _ if self.holds(subject) => None,
            Self::All(nodes) => nodes.iter().find_map(|node| node.first_failure(subject)),
            Self::Any(nodes) => nodes.last().and_then(|node| node.first_failure(subject)),
            Self::Not(node) => {
                let mut first = None;
                node.fields(&mut |field| first = first.or(Some(field)));
                first
            }
            Self::Test(field, _) => Some(field),
        }
    }
}

/// Whether all hold: false as soon as one surely does not.
fn every(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            Some(true) => {}
            None => all = None,
        }
    }
    all
}

impl Test {
    /// Where in a text that passes the test it does so: bytes from and to. All of it, when the
    /// test looks at the whole.
    pub(super) fn span(&self, text: &str) -> std::ops::Range<usize> {
        let found = match self {
            Self::Contains { finder, .. } => finder.find(text).map(|found| found.range()),
            Self::Matches { patterns, .. } => {
                patterns.iter().find_map(|pattern| pattern.find(text)).map(|found| found.range())
            }
            _ => None,
        };
        found.unwrap_or(0..text.len())
    }

    /// Whether a value passes.
    pub(super) fn accepts(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), _) => *wanted,
            (Self::Is { texts, nocase }, Value::Text(text)) => texts.iter().any(|wanted| {
                if *nocase { text.eq_ignore_ascii_case(wanted) } else { text == &**wanted }
            }),
            (Self::Contains { finder, .. }, Value::Text(text)) => finder.is_match(text),
            (Self::StartsWith { texts, nocase }, Value::Text(text)) => {
                let start = |wanted: &str| text.as_bytes().get(..wanted.len());
                texts.iter().any(|wanted| same(start(wanted), wanted, *nocase))
            }
            (Self::EndsWith { texts, nocase }, Value::Text(text)) => {
                let end = |wanted: &str| {
                    let from = text.len().checked_sub(wanted.len())?;
                    text.as_bytes().get(from..)
                };
                texts.iter().any(|wanted| same(end(wanted), wanted, *nocase))
            }
            (Self::Matches { patterns, .. }, Value::Text(text)) => {
                patterns.iter().any(|pattern| pattern.is_match(text))
            }
            (Self::InList(list), Value::Text(text)) => match &list.items {
                Items::Texts(texts) => texts.contains(text),
                Items::Hosts(hosts) => hosts.contains(text),
                Items::Nets(_) => false,
            },
            (Self::Equals(numbers), Value::Number(number)) => numbers.contains(&number),
            (Self::Between(first, last), Value::Number(number)) => {
                (*first..=*last).contains(&number)
            }
            (Self::Bool(wanted), Value::Bool(value)) => *wanted == value,
            (Self::InNet(nets), Value::Ip(ip)) => nets.contains(ip),
            (Self::InNetList(list), Value::Ip(ip)) => match &list.items {
                Items::Nets(nets) => nets.contains(ip),
                Items::Texts(_) | Items::Hosts(_) => false,
            },
            _ => false,
        }
    }
}

fn same(part: Option<&[u8]>, wanted: &str, nocase: bool) -> bool {
    part.is_some_and(|part| {
        if nocase {
            part.eq_ignore_ascii_case(wanted.as_bytes())
        } else {
            part == wanted.as_bytes()
        }
    })
}
