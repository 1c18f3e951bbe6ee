//! A compiled set of rules, and its matches.
//!
//! A [`RuleSet`] is immutable and can be shared by threads; each keeps a [`Scratch`] of its own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::condition::Node;
use super::field::{Field, Key, On, Phase, Value};
use super::list::Lists;
use super::literal::Literals;
use super::prefilter::{Candidate, Marks, Prefilter};
use super::subject::Subject;
use super::syntax::{Taxonomy, Test};
use super::template::{self, Template};
use super::tuning::{Correlation, Tuning};
use super::{Dimension, RuleInfo, Severity, Status};
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
    /// Its matches are no findings: they feed correlations.
    pub building_block: bool,
    /// Which columns of the severity table apply.
    pub context: Vec<Dimension>,
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

/// What counts as the same finding again: the same rule, server and client, and what this adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Further fields whose values tell findings apart.
    pub by: Vec<Field>,
    /// How long repeats are counted instead of reported.
    pub window: Duration,
    /// It is about the server: clients do not tell findings apart.
    pub per_server: bool,
}

/// A text that passed a test of a rule.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Matched {
    /// Name of the field.
    pub field: String,
    /// View in which it passed: `raw`, `percent`, `folded`, `decoded`.
    pub view: &'static str,
    /// What passed, and a little around it.
    pub text: String,
}

/// A rule that holds for a subject. What a finding needs of it is made on demand, so that a
/// repeat costs no more than [`Match::hash_group`].
#[derive(Clone, Copy, Debug)]
pub struct Match<'r, 's> {
    /// The rule.
    pub rule: &'r Compiled,
    /// Its severity here.
    pub severity: Severity,
    pub(super) subject: Subject<'s>,
}

impl Match<'_, '_> {
    /// What the rule says, placeholders filled in. Values are bounded and free of control
    /// characters, but secrets in them are not masked yet.
    #[must_use]
    pub fn text(&self) -> String {
        self.rule.text.render(&self.subject)
    }

    /// Values that the finding keeps, by field name. Not masked yet.
    #[must_use]
    pub fn excerpt(&self) -> Vec<(String, String)> {
        self.values(&self.rule.keep)
    }

    /// What it rests on: texts of open fields that passed a test, and in which view. At most
    /// eight. Not masked yet.
    #[must_use]
    pub fn matched(&self) -> Vec<Matched> {
        const MAX_MATCHED: usize = 8;
        let mut found: Vec<Matched> = Vec::new();
        self.rule.when.witness(&self.subject, &mut |field, test, value| {
            let Value::Text(text) = value else { return };
            if found.len() < MAX_MATCHED && field.spec().values.is_empty() {
                let matched = Matched {
                    field: field.spec().name.to_owned(),
                    view: field.view().as_str(),
                    text: template::around(text, test.span(text)),
                };
                if !found.contains(&matched) {
                    found.push(matched);
                }
            }
        });
        found
    }

    /// The subject.
    #[must_use]
    pub const fn subject(&self) -> &Subject<'_> {
        &self.subject
    }

    /// Values that tell findings of the rule apart, by field name.
    #[must_use]
    pub fn group(&self) -> Vec<(String, String)> {
        self.values(&self.rule.group.by)
    }

    /// Hashes the values that tell findings of the rule apart beyond server and client.
    pub fn hash_group(&self, hasher: &mut impl Hasher) {
        for field in &self.rule.group.by {
            field.visit(&self.subject, &mut |value| {
                value.hash(hasher);
                false
            });
            // Ends the values of the field: two lists never run into each other.
            hasher.write_u8(0xff);
        }
    }

    fn values(&self, fields: &[Field]) -> Vec<(String, String)> {
        let value =
            |field: &Field| Some((field.to_string(), template::values(field, &self.subject)?));
        fields.iter().filter_map(value).collect()
    }
}

impl Compiled {
    /// Whether the engine evaluates it: drafts and deprecated rules are checked only.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.info.status, Status::Experimental | Status::Stable)
    }

    /// Whether its conditions read something of the response: asked about a request alone, it
    /// would take what has not come yet for what never comes.
    #[must_use]
    pub fn waits_for_response(&self) -> bool {
        let mut waits = false;
        self.when.fields(&mut |field| waits |= field.spec().phase == Phase::Response);
        waits
    }

    /// Whether it holds for a subject, which must be of its kind and known well enough.
    #[must_use]
    pub fn holds(&self, subject: &Subject<'_>) -> bool {
        subject.on == self.on && subject.evidence >= self.evidence && self.when.holds(subject)
    }

    /// The match of a subject, evaluated without the prefilter.
    #[must_use]
    pub fn evaluate<'s>(&self, subject: &Subject<'s>) -> Option<Match<'_, 's>> {
        if !self.holds(subject) {
            return None;
        }
        let raised = self.raise.iter().filter(|(case, _)| case.holds(subject));
        let severity = raised.map(|(_, severity)| *severity).fold(self.info.severity, Ord::max);
        Some(Match { rule: self, severity, subject: *subject })
    }

    /// Gives every field that it reads to `each`: for conditions, text, kept values and groups.
    fn fields(&self, each: &mut dyn FnMut(&Field)) {
        self.when.fields(each);
        self.raise.iter().for_each(|(case, _)| case.fields(each));
        self.text.fields().chain(&self.keep).chain(&self.group.by).for_each(each);
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
    tuning: Tuning,
}

/// What findings can come from: a rule or a correlation.
#[derive(Clone, Debug)]
pub struct Teller<'r> {
    /// What findings repeat of it.
    pub info: &'r Arc<RuleInfo>,
    /// Where it stands in public taxonomies.
    pub map: &'r Taxonomy,
    /// What else can look like this.
    pub noise: &'r [String],
    /// Severities that it can be raised to.
    pub raised: Vec<Severity>,
}

impl Teller<'_> {
    /// Whether its status lets it run.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.info.status, Status::Experimental | Status::Stable)
    }
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
        Ok(Self { rules, lists, prefilter, tuning: Tuning::default() })
    }

    /// The same set with what stands outside of its rules.
    pub(super) fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Exceptions, thresholds and correlations.
    #[must_use]
    pub const fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// All rules, by id; drafts and deprecated ones too.
    #[must_use]
    pub fn rules(&self) -> &[Compiled] {
        &self.rules
    }

    /// All that can make findings, by id: rules but building blocks, and correlations. Drafts and
    /// deprecated ones too.
    #[must_use]
    pub fn tellers(&self) -> Vec<Teller<'_>> {
        let rules = self.rules.iter().filter(|rule| !rule.building_block);
        let rules = rules.map(|Compiled { info, map, noise, raise, .. }| Teller {
            info,
            map,
            noise,
            raised: raise.iter().map(|(_, severity)| *severity).collect(),
        });
        let correlations = self.tuning.correlations().iter();
        let correlations = correlations.map(|Correlation { info, map, noise, .. }| Teller {
            info,
            map,
            noise,
            raised: Vec::new(),
        });
        let mut tellers: Vec<_> = rules.chain(correlations).collect();
        tellers.sort_by_key(|teller| &teller.info.id);
        tellers
    }

    /// All lists, as name and file.
    pub fn lists(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lists.values().map(|list| (list.name.as_str(), list.file.as_str()))
    }

    /// Whether an active rule, or an exception, reads `body.head`: only then has recognition to
    /// keep the first bytes of request bodies.
    #[must_use]
    pub fn reads_body_head(&self) -> bool {
        let mut reads = false;
        let mut look = |field: &Field| reads |= field.key() == Key::BodyHead;
        self.rules.iter().filter(|rule| rule.is_active()).for_each(|rule| rule.fields(&mut look));
        for exception in self.tuning.exceptions() {
            exception.conditions().for_each(|when| when.fields(&mut look));
        }
        reads
    }

    /// The rule of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Compiled> {
        let index = self.rules.binary_search_by(|rule| rule.info.id.as_str().cmp(id)).ok()?;
        self.rules.get(index)
    }

    /// Gives the matches of all active rules to `each`, by id.
    pub fn evaluate<'r, 's>(
        &'r self,
        subject: &Subject<'s>,
        scratch: &mut Scratch,
        mut each: impl FnMut(Match<'r, 's>),
    ) {
        self.prefilter.mark(subject, &mut scratch.marks);
        let marked = scratch.marks.iter().filter_map(|rule| self.rules.get(rule));
        marked.filter_map(|rule| rule.evaluate(subject)).for_each(&mut each);
    }

    /// The same without the prefilter: slower, and with the same outcome.
    pub fn evaluate_unfiltered<'r, 's>(
        &'r self,
        subject: &Subject<'s>,
        mut each: impl FnMut(Match<'r, 's>),
    ) {
        let active = self.rules.iter().filter(|rule| rule.is_active());
        active.filter_map(|rule| rule.evaluate(subject)).for_each(&mut each);
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

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::super::syntax::Exchange;
    use super::super::{Limits, Source, compile};
    use super::*;

    const RULE: &str = r#"
schema: shadowtap/rule@1
id: SMCP-9001
rev: 1
title: Test
status: experimental
lane: alert
severity: low
confidence: 50
why: test
refs: [https://example.com]
on: server
when: {server.methods: {starts_with: tools/}}
raise:
  - {if: {server.auth: bearer}, severity: medium}
  - {if: {server.auth: {exists: true}}, severity: high}
  - {if: {server.scheme: http}, severity: info}
report: {text: "{client.ip} {server.methods} {server.catalogued}", keep: [server.methods, server.auth]}
group: {by: [client.ip, server.methods], for: 5m}
tests:
  - {name: a, give: {contact: {methods: [tools/list]}}, want: hit}
  - {name: b, give: {contact: {}}, want: none}
"#;

    fn given(contact: serde_json::Value) -> (crate::mcp::Contact, Vec<String>) {
        let exchange = serde_json::json!({"contact": contact});
        serde_json::from_value::<Exchange>(exchange).unwrap().bare_contact().unwrap()
    }

    fn set() -> RuleSet {
        let source = Source::new("a.yaml", RULE);
        compile(&[source], &Limits::default()).unwrap_or_else(|report| panic!("{report}")).0
    }

    #[test]
    fn body_heads_are_read_where_an_active_rule_names_them() {
        let mut set = set();
        assert!(!set.reads_body_head());
        set.rules[0].keep.push(Field::parse("body.head").unwrap());
        assert!(set.reads_body_head());
        Arc::make_mut(&mut set.rules[0].info).status = Status::Draft;
        assert!(!set.reads_body_head());
    }

    #[test]
    fn a_match_fills_in_text_excerpt_group_and_the_highest_severity() {
        let set = set();
        let (contact, methods) = given(serde_json::json!(
            {"evidence": "parsed", "methods": ["ping", "tools/list"], "auth": ["cookie"]}
        ));
        let mut count = 0;
        set.evaluate(&Subject::server(&contact, &methods), &mut Scratch::default(), |found| {
            count += 1;
            assert_eq!(found.severity, Severity::High);
            assert_eq!(found.text(), "10.77.0.10 ping");
            let kept = [("server.methods", "ping, tools/list"), ("server.auth", "cookie")];
            assert_eq!(found.excerpt(), kept.map(|(name, value)| (name.into(), value.into())));
            assert_eq!(found.group()[0], ("client.ip".into(), "10.77.0.10".into()));
            assert_eq!(found.rule.group.window, Duration::from_secs(300));
        });
        assert_eq!(count, 1);
    }

    #[test]
    fn weak_evidence_and_other_subjects_do_not_match() {
        let set = set();
        let rule = set.get("SMCP-9001").unwrap();
        let (contact, methods) = given(serde_json::json!({"methods": ["tools/list"]}));
        let subject = Subject::server(&contact, &methods);
        assert!(!rule.holds(&subject));
        assert!(rule.holds(&Subject { evidence: Evidence::Parsed, ..subject }));
        assert!(!rule.holds(&Subject { evidence: Evidence::Parsed, on: On::Message, ..subject }));
    }

    #[test]
    fn group_hashes_differ_where_group_values_do() {
        let set = set();
        let hash = |methods: &[&str]| {
            let (contact, methods) =
                given(serde_json::json!({"evidence": "parsed", "methods": methods}));
            let found = set.rules()[0].evaluate(&Subject::server(&contact, &methods)).unwrap();
            let mut hasher = DefaultHasher::new();
            found.hash_group(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(&["tools/a"]), hash(&["tools/a"]));
        assert_ne!(hash(&["tools/a"]), hash(&["tools/b"]));
        assert_ne!(hash(&["tools/a", "b"]), hash(&["tools/ab"]));
    }
}
