//! One Aho-Corasick automaton per field over the literals of all rules: which rules are worth
//! evaluating on a subject.
//!
//! Automata ignore ASCII case and look for whole literals anywhere in a value, so they may name
//! a rule that then does not match, but never leave out one that would. Two things follow from
//! that, and keep the cost of a message from growing with the number of rules:
//!
//! - Members of a family of fields (header fields, arguments by name) share one automaton when
//!   they are many, and each value is looked at once.
//! - Literals of a folded view are looked for in the raw text too. A text that folding changes in
//!   nothing but ASCII case then need not be folded.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::content;
use super::field::{Field, On, Value, View};
use super::literal::Literals;
use super::subject::Subject;

/// Members of one family of fields that have an automaton each; of more, all share one.
const MAX_MEMBERS: usize = 4;
/// Bytes of literals that a table is built of, which is fast, and of at most some kilobytes per
/// byte of literal; more are looked for in a compact form, at less than half the speed.
const MAX_TABLE_BYTES: usize = 16 * 1024;

/// A rule as the prefilter sees it.
pub(super) struct Candidate<'a> {
    /// What it is evaluated on.
    pub(super) on: On,
    /// Its literals; `None` when it is evaluated always.
    pub(super) literals: Option<&'a Literals>,
}

/// A set of rules by their index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(Vec<u64>);

impl Marks {
    fn new(rules: usize) -> Self {
        Self(vec![0; rules.div_ceil(64)])
    }

    fn add(&mut self, rule: usize) {
        if let Some(word) = self.0.get_mut(rule / 64) {
            *word |= 1 << (rule % 64);
        }
    }

    /// The rules in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// The automata of all subjects.
#[derive(Debug, Default)]
pub(super) struct Prefilter {
    plans: [Plan; On::ALL.len()],
}

/// What is looked for in one kind of subject.
#[derive(Debug, Default)]
struct Plan {
    filters: Vec<Filter>,
    always: Marks,
}

/// The literals of one field.
#[derive(Debug)]
struct Filter {
    field: Field,
    automaton: AhoCorasick,
    /// By literal: the rules that it belongs to.
    rules: Vec<Vec<usize>>,
}

impl Prefilter {
    /// Builds the automata. Worst-case memory: a few hundred bytes per byte of literal.
    ///
    /// # Errors
    ///
    /// When the literals are too many for an automaton.
    pub(super) fn new(
        candidates: &[Option<Candidate<'_>>],
    ) -> Result<Self, aho_corasick::BuildError> {
        let mut prefilter = Self::default();
        for (plan, on) in prefilter.plans.iter_mut().zip(On::ALL) {
            *plan = Plan::new(candidates, on)?;
        }
        Ok(prefilter)
    }

    /// Replaces `marks` by the rules that are worth evaluating on a subject.
    pub(super) fn mark(&self, subject: &Subject<'_>, marks: &mut Marks) {
        let Some(plan) = self.plans.get(subject.on as usize) else {
            return;
        };
        marks.0.clone_from(&plan.always.0);
        for filter in &plan.filters {
            filter.visit(subject, marks);
        }
    }
}

impl Plan {
    fn new(candidates: &[Option<Candidate<'_>>], on: On) -> Result<Self, aho_corasick::BuildError> {
        let mut always = Marks::new(candidates.len());
        let mut literals: Vec<Literal<'_>> = Vec::new();
        for (rule, candidate) in candidates.iter().enumerate() {
            match candidate {
                Some(Candidate { on: its, literals: None }) if *its == on => always.add(rule),
                Some(Candidate { on: its, literals: Some(wanted) }) if *its == on => {
                    let texts = wanted.entries.iter();
                    literals
                        .extend(texts.map(|(field, text)| (field.clone(), text.as_str(), rule)));
                }
                _ => {}
            }
        }
        join_families(&mut literals);
        let folded = literals.iter().filter(|(field, ..)| field.view() == View::Folded);
        let in_raw = folded.filter_map(|(field, text, rule)| Some((field.raw()?, *text, *rule)));
        let in_raw: Vec<_> = in_raw.collect();
        literals.extend(in_raw);
        literals.sort_unstable();
        literals.dedup();
        let by_field = literals.chunk_by(|a, b| a.0 == b.0);
        let filters = by_field.filter_map(Filter::new).collect::<Result<_, _>>()?;
        Ok(Self { filters, always })
    }
}

/// A literal: its field, and the rule that it belongs to.
type Literal<'a> = (Field, &'a str, usize);

/// Puts the whole family in the place of its members where they are many.
fn join_families(literals: &mut [Literal<'_>]) {
    let mut members: Vec<Field> = literals.iter().map(|(field, ..)| field.clone()).collect();
    members.retain(|field| field.header().is_some());
    members.sort_unstable();
    members.dedup();
    for (field, ..) in literals {
        let siblings = members.iter().filter(|other| other.key() == field.key());
        if let Some(family) = field.family()
            && siblings.take(MAX_MEMBERS + 1).count() > MAX_MEMBERS
        {
            *field = family;
        }
    }
}

impl Filter {
    /// The automaton of one field's literals, given sorted.
    fn new(literals: &[Literal<'_>]) -> Option<Result<Self, aho_corasick::BuildError>> {
        let field = literals.first()?.0.clone();
        let mut texts = Vec::new();
        let mut rules = Vec::new();
        for same in literals.chunk_by(|a, b| a.1 == b.1) {
            texts.extend(same.first().map(|(_, text, _)| *text));
            rules.push(same.iter().map(|(.., rule)| *rule).collect());
        }
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let table = (bytes <= MAX_TABLE_BYTES).then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder()
            .kind(table)
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(texts);
        Some(automaton.map(|automaton| Self { field, automaton, rules }))
    }

    fn visit(&self, subject: &Subject<'_>, marks: &mut Marks) {
        let area = self.field.area().filter(|_| self.field.view() == View::Folded);
        if let Some(area) = area {
            content::visit_reshaped(subject, area, &mut |text| self.mark(text, marks));
            return;
        }
        self.field.visit(subject, &mut |value| {
            if let Value::Text(text) = value {
                self.mark(text, marks);
            }
            false
        });
    }

    fn mark(&self, text: &str, marks: &mut Marks) {
        for found in self.automaton.find_overlapping_iter(text) {
            for rule in self.rules.get(found.pattern().as_usize()).into_iter().flatten() {
                marks.add(*rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_give_back_what_was_added_in_order() {
        let mut marks = Marks::new(130);
        for rule in [129, 0, 64, 63, 5, 1_000] {
            marks.add(rule);
        }
        assert_eq!(marks.iter().collect::<Vec<_>>(), [0, 5, 63, 64, 129]);
    }
}
