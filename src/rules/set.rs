//! A compiled set of rules, and its matches.
//!
//! A [`RuleSet`] is immutable and can be shared by threads; each keeps a [`Scratch`] of its own.

use std::sync::Arc;
use std::time::Duration;

use super::condition::Node;
use super::field::{Field, On, Phase};
use super::list::Lists;
use super::literal::Literals;
use super::prefilter::{Candidate, Marks, Prefilter};
use super::subject::Subject;
use super::syntax::{Taxonomy, Test};
use super::template::{self, Template};
use super::{RuleInfo, Severity, Status};
use crate::mcp::Evidence;

/// A rule, ready to be evaluated.
#[derive(Debug)]
pub struct Compiled {
    /// What findings repeat of it.
    pub info: Arc<RuleInfo>,
    /// Where it stands in public taxonomies.
    pub map: Taxonomy,
    /// What else can look like this.
    pub noise: Vec<String>,
    /// What it is evaluated on.
    pub on: On,
    /// Least evidence that the server speaks MCP.
    pub evidence: Evidence,
    /// The earliest point of an exchange at which it can decide.
    pub phase: Phase,
    /// What counts as the same finding again.
    pub group: Group,
    /// Its examples.
    pub tests: Vec<Test>,
    /// Name of its file.
    pub file: String,
    pub(super) when: Node,
    pub(super) raise: Vec<(Node, Severity)>,
    pub(super) text: Template,
    pub(super) keep: Vec<Field>,
    pub(super) literals: Option<Literals>,
    /// Why there are these literals, or none.
    pub(super) choice: Choice,
}

/// How the literals of a rule were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Taken from the conditions.
    Extracted,
    /// Named by the rule.
    Given,
    /// There are none; the rule is evaluated on every subject of its kind.
    Unfiltered,
}

/// What counts as the same finding again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Fields whose values tell findings apart.
    pub by: Vec<Field>,
    /// How long repeats are counted instead of reported.
    pub window: Duration,
}

/// A rule that holds for a subject.
#[derive(Clone, Debug)]
pub struct Match<'r> {
    /// The rule.
    pub rule: &'r Compiled,
    /// Its severity here.
    pub severity: Severity,
    /// What it says, placeholders filled in. Values are bounded and free of control characters,
    /// but secrets in them are not masked yet.
    pub text: String,
    /// Values that the finding keeps, by field name. Not masked yet.
    pub excerpt: Vec<(String, String)>,
    /// Values that tell findings of the rule apart, by field name.
    pub group: Vec<(String, String)>,
}

impl Compiled {
    /// Whether the engine evaluates it: drafts and deprecated rules are checked only.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.info.status, Status::Experimental | Status::Stable)
    }

    /// Whether it holds for a subject, which must be of its kind and known well enough.
    #[must_use]
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        subject.on == self.on && subject.evidence >= self.evidence && self.when.holds(subject)
    }

    /// The match of a subject that it holds for.
    fn found(&self, subject: &Subject<'_>) -> Match<'_> {
        let raised = self.raise.iter().filter(|(case, _)| case.holds(subject));
        let severity = raised.map(|(_, severity)| *severity).fold(self.info.severity, Ord::max);
        let values = |fields: &[Field]| {
            let value =
                |field: &Field| Some((field.to_string(), template::values(field, subject)?));
            fields.iter().filter_map(value).collect()
        };
        Match {
            rule: self,
            severity,
            text: self.text.render(subject),
            excerpt: values(&self.keep),
            group: values(&self.group.by),
        }
    }

    /// The match of a subject, evaluated without the prefilter.
    #[must_use]
    pub fn evaluate(&self, subject: &Subject<'_>) -> Option<Match<'_>> {
        self.holds(subject).then(|| self.found(subject))
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate { on: self.on, literals: self.literals.as_ref() }
    }
}

/// Rules, compiled together.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Compiled>,
    lists: Lists,
    prefilter: Prefilter,
}

/// What evaluation needs to write to; one per thread, of use with any set.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    marks: Marks,
}

impl RuleSet {
    /// Puts compiled rules, sorted by id, and their lists together.
    pub(super) fn new(
        rules: Vec<Compiled>,
        lists: Lists,
    ) -> Result<Self, aho_corasick::BuildError> {
        let candidate = |rule| Compiled::is_active(rule).then(|| rule.candidate());
        let candidates: Vec<_> = rules.iter().map(candidate).collect();
        let prefilter = Prefilter::new(&candidates)?;
        Ok(Self { rules, lists, prefilter })
    }

    /// All rules, by id; drafts and deprecated ones too.
    #[must_use]
    pub fn rules(&self) -> &[Compiled] {
        &self.rules
    }

    /// All lists, as name and file.
    pub fn lists(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lists.values().map(|list| (list.name.as_str(), list.file.as_str()))
    }

    /// The rule of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Compiled> {
        let index = self.rules.binary_search_by(|rule| rule.info.id.as_str().cmp(id)).ok()?;
        self.rules.get(index)
    }

    /// Adds to `out` the matches of all active rules, by id.
    pub fn evaluate<'r>(
        &'r self,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<Match<'r>>,
    ) {
        self.prefilter.mark(subject, &mut scratch.marks);
        let marked = scratch.marks.iter().filter_map(|rule| self.rules.get(rule));
        out.extend(marked.filter_map(|rule| rule.evaluate(subject)));
    }

    /// The same without the prefilter: slower, and with the same outcome.
    pub fn evaluate_unfiltered<'r>(&'r self, subject: &Subject<'_>, out: &mut Vec<Match<'r>>) {
        let active = self.rules.iter().filter(|rule| rule.is_active());
        out.extend(active.filter_map(|rule| rule.evaluate(subject)));
    }

    /// Whether the prefilter of a rule, alone, lets a subject through.
    pub(super) fn passes_prefilter(rule: &Compiled, subject: &Subject<'_>) -> bool {
        let mut marks = Marks::default();
        Prefilter::new(&[Some(rule.candidate())]).is_ok_and(|prefilter| {
            prefilter.mark(subject, &mut marks);
            marks.iter().next().is_some()
        })
    }
}
