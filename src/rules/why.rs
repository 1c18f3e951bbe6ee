//! Why rules match something, or do not: their conditions one by one, each with the value it saw.

mod describe;
mod event;

use super::On;
use super::field::{Field, evidence_name};
use super::set::{Compiled, RuleSet};
use super::subject::{OwnedSubject, Subject};
use super::template;
use describe::{Facts, Known, Tree};

pub use event::why_event;

/// Most subjects shown for one rule.
const MAX_SUBJECTS: usize = 50;

/// Masks what may be a secret in a value.
pub type Mask<'m> = &'m dyn Fn(&str) -> String;

/// Shows for each rule, or for `only` one, what it makes of subjects: of every one for a single
/// rule, else of the first that matches, or of the one that comes nearest.
#[must_use]
pub fn why(
    set: &RuleSet,
    subjects: &[OwnedSubject],
    only: Option<&Compiled>,
    mask: Mask<'_>,
) -> String {
    let subjects = Numbered::all(subjects);
    let mut text = overview(set, &subjects);
    let mut unasked = Vec::new();
    let rules: Vec<&Compiled> = match only {
        Some(rule) => vec![rule],
        None => set.rules().iter().collect(),
    };
    for rule in rules {
        let of_kind: Vec<_> = subjects.iter().filter(|s| s.subject.on == rule.on).collect();
        let shown = if only.is_some() { of_kind } else { nearest(rule, &of_kind) };
        if shown.is_empty() {
            unasked.push(rule.info.id.as_str());
        }
        for numbered in shown.into_iter().take(MAX_SUBJECTS) {
            text.push('\n');
            write_rule(&mut text, rule, numbered, mask);
        }
    }
    if !unasked.is_empty() {
        text.push_str(&format!("\nNothing of their kind is given: {}\n", unasked.join(", ")));
    }
    text
}

/// A subject and its place among those of its kind.
struct Numbered<'s> {
    number: usize,
    of: usize,
    subject: Subject<'s>,
}

impl<'s> Numbered<'s> {
    fn all(subjects: &'s [OwnedSubject]) -> Vec<Self> {
        let subjects: Vec<_> = subjects.iter().map(OwnedSubject::as_subject).collect();
        let of_kind = |on: On, upto: usize| {
            subjects.iter().take(upto).filter(|subject| subject.on == on).count()
        };
        let numbered = |(index, subject): (usize, &Subject<'s>)| Self {
            number: of_kind(subject.on, index) + 1,
            of: of_kind(subject.on, subjects.len()),
            subject: *subject,
        };
        subjects.iter().enumerate().map(numbered).collect()
    }

    /// `message 1 of 2 (request tools/call)`.
    fn title(&self, mask: Mask<'_>) -> String {
        let on = self.subject.on.as_str();
        // By name, so that a kind of subject to come has a title too.
        let fields: &[&str] = match on {
            "exchange" => &["http.method", "http.path", "http.response.status"],
            "message" => &["mcp.kind", "mcp.method", "mcp.name"],
            "server" => &["server.key"],
            "tls" => &["tls.host"],
            "dns" => &["dns.question"],
            _ => &["tool.kind", "tool.name"],
        };
        let value = |name: &&str| template::values(&Field::parse(name)?, &self.subject);
        let about: Vec<_> = fields.iter().filter_map(value).collect();
        let about = mask(&about.join(" "));
        format!("{on} {} of {} ({about})", self.number, self.of)
    }
}

/// What was recognised, and which rules match any of it.
fn overview(set: &RuleSet, subjects: &[Numbered<'_>]) -> String {
    let count = |on: On| subjects.iter().filter(|s| s.subject.on == on).count();
    let counts = On::ALL.into_iter().filter(|on| count(*on) > 0);
    let counts: Vec<_> = counts.map(|on| format!("{} {}", count(on), on.as_str())).collect();
    let seen = if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") };
    let hits = set.rules().iter().filter(|rule| rule.is_active());
    let hits = hits.filter(|rule| subjects.iter().any(|s| rule.holds(&s.subject)));
    let hits: Vec<_> = hits.map(|rule| rule.info.id.as_str()).collect();
    let hits = if hits.is_empty() { "none".to_owned() } else { hits.join(", ") };
    format!("recognised: {seen}\nmatching rules: {hits}\n")
}

/// The first subject that a rule matches, else the one with the most conditions that hold.
fn nearest<'n, 's>(rule: &Compiled, subjects: &[&'n Numbered<'s>]) -> Vec<&'n Numbered<'s>> {
    let holding = |numbered: &Numbered<'_>| {
        let tree = Tree::of(&rule.when, &Seen { subject: numbered.subject, mask: &str::to_owned });
        (rule.holds(&numbered.subject), tree.holding())
    };
    // Of equals the first: `max_by_key` would take the last.
    subjects.iter().rev().max_by_key(|numbered| holding(numbered)).copied().into_iter().collect()
}

fn write_rule(text: &mut String, rule: &Compiled, numbered: &Numbered<'_>, mask: Mask<'_>) {
    let subject = &numbered.subject;
    let facts = Seen { subject: *subject, mask };
    let holds = rule.holds(subject);
    let verb = if holds { "matches" } else { "does not match" };
    let idle = if rule.is_active() { "" } else { " (never loaded: draft or deprecated)" };
    let title = numbered.title(mask);
    let info = &rule.info;
    text.push_str(&format!("{} {}{idle}: {verb} {title}\n", info.id, info.title));
    let (known, wanted) = (evidence_name(subject.evidence), evidence_name(rule.evidence));
    let enough = mark(Some(subject.evidence >= rule.evidence));
    text.push_str(&format!("  {enough} evidence is {known}; the rule wants {wanted} or better\n"));
    if let Some(literals) = &rule.literals {
        let passes = mark(Some(RuleSet::passes_prefilter(rule, subject)));
        text.push_str(&format!("  {passes} prefilter: {literals}\n"));
    }
    Tree::of(&rule.when, &facts).write(text, 1);
    if !holds {
        return;
    }
    for (case, severity) in &rule.raise {
        let tree = Tree::of(case, &facts);
        text.push_str(&format!("  {} raised to {}, if\n", mark(tree.holds), severity.as_str()));
        tree.write(text, 2);
    }
    if let Some(found) = rule.evaluate(subject) {
        let sentence = mask(&found.text());
        text.push_str(&format!("  severity {}: {sentence}\n", found.severity.as_str()));
    }
}

/// The sign of an outcome.
const fn mark(holds: Option<bool>) -> char {
    match holds {
        Some(true) => '✓',
        Some(false) => '✗',
        None => '?',
    }
}

/// A subject: everything is known of it.
struct Seen<'s, 'm> {
    subject: Subject<'s>,
    mask: Mask<'m>,
}

impl Facts for Seen<'_, '_> {
    fn test(&self, field: &Field, test: &super::condition::Test) -> (Option<bool>, Known) {
        let holds = describe::passes(field, test, &self.subject);
        let value = match template::values(field, &self.subject) {
            Some(value) => Known::Value((self.mask)(&value)),
            None => Known::Absent,
        };
        (Some(holds), value)
    }
}

#[cfg(test)]
mod tests;
