//! Conditions in words, as a tree.

use std::net::IpAddr;

use super::mark;
use crate::rules::condition::{Node, Test};
use crate::rules::field::Field;
use crate::rules::subject::Subject;

/// Most values of one test that are shown.
const MAX_SHOWN: usize = 8;

/// What is known of the value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// All of its values.
    Value(String),
    /// It has none.
    Absent,
    /// What is at hand does not say.
    NotKept,
}

/// Where values come from.
pub(super) trait Facts {
    /// Whether a test of a field holds, if that can be told, and the value that it saw.
    fn test(&self, field: &Field, test: &Test) -> (Option<bool>, Known);

    /// Whether the condition as a whole is known to hold.
    fn expected(&self) -> Option<bool> {
        None
    }
}

/// Whether a test of a field holds for a subject.
pub(super) fn passes(field: &Field, test: &Test, subject: &Subject<'_>) -> bool {
    match test {
        Test::Exists(wanted) => field.visit(subject, &mut |_| true) == *wanted,
        test => field.visit(subject, &mut |value| test.accepts(value)),
    }
}

/// One condition.
#[derive(Debug)]
struct Line {
    depth: usize,
    holds: Option<bool>,
    text: String,
    value: Option<Known>,
}

/// A condition and its parts.
#[derive(Debug)]
pub(super) struct Tree {
    /// Whether it holds, if that can be told.
    pub(super) holds: Option<bool>,
    lines: Vec<Line>,
}

impl Tree {
    /// Asks every part of a condition.
    pub(super) fn of(node: &Node, facts: &dyn Facts) -> Self {
        let mut tree = Self { holds: None, lines: Vec::new() };
        let expected = facts.expected();
        tree.holds = match node {
            // That all parts must hold goes without saying.
            Node::All(nodes) => tree.parts(nodes, 0, expected, facts, true),
            node => tree.node(node, 0, expected, facts),
        };
        tree
    }

    /// How many tests hold.
    pub(super) fn holding(&self) -> usize {
        self.lines.iter().filter(|line| line.value.is_some() && line.holds == Some(true)).count()
    }

    /// Adds a line per part.
    pub(super) fn write(&self, text: &mut String, depth: usize) {
        for line in &self.lines {
            let indent = "  ".repeat(depth + line.depth);
            text.push_str(&format!("{indent}{} {}", mark(line.holds), line.text));
            match &line.value {
                Some(Known::Value(value)) => text.push_str(&format!(": `{value}`")),
                Some(Known::Absent) => text.push_str(": absent"),
                Some(Known::NotKept) => text.push_str(": not kept"),
                None => {}
            }
            text.push('\n');
        }
    }

    fn node(
        &mut self,
        node: &Node,
        depth: usize,
        expected: Option<bool>,
        facts: &dyn Facts,
    ) -> Option<bool> {
        match node {
            Node::Test(field, test) => {
                let (holds, value) = facts.test(field, test);
                let holds = holds.or(expected);
                let text = format!("{field} {}", words(test));
                self.lines.push(Line { depth, holds, text, value: Some(value) });
                holds
            }
            Node::All(nodes) => self.group("all of", nodes, depth, expected, facts, true),
            Node::Any(nodes) => self.group("one of", nodes, depth, expected, facts, false),
            Node::Not(node) => {
                let at = self.lines.len();
                let inside = expected.map(|expected| !expected);
                let (text, holds) = match &**node {
                    Node::Any(nodes) => {
                        self.open(depth, "none of");
                        ("none of", self.parts(nodes, depth + 1, inside, facts, false))
                    }
                    node => {
                        self.open(depth, "not");
                        ("not", self.node(node, depth + 1, inside, facts))
                    }
                };
                let holds = holds.map(|holds| !holds);
                self.close(at, text, holds);
                holds
            }
        }
    }

    fn group(
        &mut self,
        text: &str,
        nodes: &[Node],
        depth: usize,
        expected: Option<bool>,
        facts: &dyn Facts,
        all: bool,
    ) -> Option<bool> {
        let at = self.lines.len();
        self.open(depth, text);
        let holds = self.parts(nodes, depth + 1, expected, facts, all);
        self.close(at, text, holds);
        holds
    }

    /// Parts of which all, or one, must hold. What is expected of the whole holds for every part
    /// only where the whole needs every part for it.
    fn parts(
        &mut self,
        nodes: &[Node],
        depth: usize,
        expected: Option<bool>,
        facts: &dyn Facts,
        all: bool,
    ) -> Option<bool> {
        let each = expected.filter(|expected| *expected == all || nodes.len() == 1);
        let mut whole = Some(all);
        for node in nodes {
            match self.node(node, depth, each, facts) {
                Some(holds) if holds == all => {}
                Some(_) => whole = Some(!all),
                None if whole == Some(all) => whole = None,
                None => {}
            }
        }
        whole.or(expected)
    }

    fn open(&mut self, depth: usize, text: &str) {
        self.lines.push(Line { depth, holds: None, text: text.to_owned(), value: None });
    }

    fn close(&mut self, at: usize, text: &str, holds: Option<bool>) {
        if let Some(line) = self.lines.get_mut(at) {
            text.clone_into(&mut line.text);
            line.holds = holds;
        }
    }
}

/// A test in words.
fn words(test: &Test) -> String {
    let nocase = |yes: bool| if yes { ", in either case" } else { "" };
    match test {
        Test::Exists(true) => "is there".into(),
        Test::Exists(false) => "is not there".into(),
        Test::Is { texts, nocase: any } => format!("is {}{}", one_of(texts), nocase(*any)),
        Test::Contains { texts, .. } => format!("contains {}", one_of(texts)),
        Test::StartsWith { texts, nocase: any } => {
            format!("starts with {}{}", one_of(texts), nocase(*any))
        }
        Test::EndsWith { texts, nocase: any } => {
            format!("ends with {}{}", one_of(texts), nocase(*any))
        }
        Test::Matches { patterns, nocase: any } => {
            let patterns: Vec<_> = patterns.iter().map(regex::Regex::as_str).collect();
            format!("matches {}{}", one_of(&patterns), nocase(*any))
        }
        Test::InList(list) | Test::InNetList(list) => format!("is in ${}", list.name),
        Test::Equals(numbers) => format!("is {}", one_of(numbers)),
        Test::Between(i64::MIN, last) => format!("is {last} or less"),
        Test::Between(first, i64::MAX) => format!("is {first} or more"),
        Test::Between(first, last) => format!("is from {first} to {last}"),
        Test::Bool(wanted) => format!("is {wanted}"),
        Test::InNet(nets) => {
            let range = |(first, last): &(IpAddr, IpAddr)| {
                if first == last { first.to_string() } else { format!("{first} to {last}") }
            };
            let ranges: Vec<_> = nets.ranges().iter().map(range).collect();
            format!("is in {}", one_of(&ranges))
        }
    }
}

/// `a`, or `b`, ..., with at most a few.
fn one_of<T: std::fmt::Display>(values: &[T]) -> String {
    let mut shown: Vec<_> = values.iter().take(MAX_SHOWN).map(|v| format!("`{v}`")).collect();
    if values.len() > MAX_SHOWN {
        shown.push(format!("{} more", values.len() - MAX_SHOWN));
    }
    shown.join(" or ")
}
