//! Files that stand outside of rules, against the rules. Everything wrong goes into the report.

mod correlation;
mod examples;
mod items;

use std::collections::{BTreeMap, BTreeSet};

use super::correlation::Correlation;
use super::{CEILING_ID, Exception, Plan, Threshold, Tuning, number};
use crate::rules::compile::Outside;
use crate::rules::field::{Field, On};
use crate::rules::list::Lists;
use crate::rules::problem::{Level, Located, Place, Problem, Report, Source};
use crate::rules::syntax::File;
use crate::rules::{Compiled, Limits};

/// What tuning is compiled from.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Files<'f> {
    /// All files, rules and lists too.
    pub(in crate::rules) files: &'f [(&'f Source, File)],
    /// The rules that compiled, sorted by id.
    pub(in crate::rules) rules: &'f [Compiled],
    pub(in crate::rules) lists: &'f Lists,
    pub(in crate::rules) limits: &'f Limits,
    /// Whether matches of a rule make no finding of their own.
    pub(in crate::rules) is_building_block: &'f dyn Fn(&Compiled) -> bool,
}

/// Compiles exceptions, thresholds and correlations.
pub(in crate::rules) fn compile(files: Files<'_>, report: &mut Report) -> Tuning {
    let mut compiler = Compiler {
        known: Known::of(&files),
        files,
        report,
        tuning: Tuning::default(),
        plans: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    for (source, file) in files.files {
        match file {
            File::Exceptions(exceptions) => {
                exceptions.items.iter().for_each(|item| compiler.exception(source, item));
            }
            File::Thresholds(thresholds) => {
                thresholds.items.iter().for_each(|item| compiler.threshold(source, item));
            }
            File::Correlation(correlation) => compiler.correlation(source, correlation),
            File::Rule(rule) if rule.id.value == CEILING_ID => {
                let message = format!("`{CEILING_ID}` is an id of the program itself");
                compiler.error(source, rule.id.place, "duplicate-id", message, "");
            }
            File::Rule(_) | File::List(_) => {}
        }
    }
    compiler.building_blocks();
    compiler.finish()
}

/// All ids, by what they are of.
struct Known<'f> {
    /// Of rules, also of those that did not compile.
    rules: BTreeMap<&'f str, &'f Source>,
    /// Of correlations, with the first file of each.
    correlations: BTreeMap<&'f str, &'f Source>,
}

impl<'f> Known<'f> {
    fn of(files: &Files<'f>) -> Self {
        let (mut rules, mut correlations) = (BTreeMap::new(), BTreeMap::new());
        for (source, file) in files.files {
            match file {
                File::Rule(rule) => {
                    rules.entry(rule.id.value.as_str()).or_insert(*source);
                }
                File::Correlation(correlation) => {
                    correlations.entry(correlation.id.value.as_str()).or_insert(*source);
                }
                File::List(_) | File::Exceptions(_) | File::Thresholds(_) => {}
            }
        }
        Self { rules, correlations }
    }
}

/// What compiling needs.
struct Compiler<'f, 'r> {
    files: Files<'f>,
    known: Known<'f>,
    report: &'r mut Report,
    tuning: Tuning,
    plans: BTreeMap<u16, Plan>,
    /// Names of exceptions, with the file of each.
    names: BTreeMap<&'f str, &'f Source>,
}

impl<'f> Compiler<'f, '_> {
    fn outside<'s>(&self, source: &'s Source) -> Outside<'s>
    where
        'f: 's,
    {
        Outside { source, lists: self.files.lists, limits: self.files.limits }
    }

    fn error(
        &mut self,
        source: &Source,
        place: Place,
        code: &'static str,
        message: impl Into<String>,
        hint: &str,
    ) {
        let problem = Problem::error(source, place, code, message);
        self.report.push(if hint.is_empty() { problem } else { problem.hint(hint) });
    }

    /// Whether there were errors since there were so many problems.
    fn failed_since(&self, problems: usize) -> bool {
        let new = self.report.problems.get(problems..).unwrap_or_default();
        new.iter().any(|problem| problem.level == Level::Error)
    }

    /// The rules that ids and patterns name, each once, in the order named.
    fn choose(
        &mut self,
        source: &Source,
        texts: &[Located<String>],
        place: Place,
    ) -> Vec<&'f Compiled> {
        if texts.is_empty() {
            self.error(source, place, "no-rule", "no rule is named", "");
        }
        let mut chosen: Vec<&'f Compiled> = Vec::new();
        let mut seen = BTreeSet::new();
        for text in texts {
            for rule in self.rules_of(source, text) {
                if seen.insert(rule.info.id.as_str()) {
                    chosen.push(rule);
                }
            }
        }
        chosen
    }

    /// The rules of one id or pattern. None is wrong unless the rule itself did not compile.
    fn rules_of(&mut self, source: &Source, text: &Located<String>) -> &'f [Compiled] {
        let rules = self.files.rules;
        let Located { value, place } = text;
        let (from, to) = match value.strip_suffix('*') {
            Some(start) => {
                let from = rules.partition_point(|rule| rule.info.id.as_str() < start);
                let rest = rules.get(from..).unwrap_or_default();
                (from, from + rest.partition_point(|rule| rule.info.id.starts_with(start)))
            }
            None => match rules.binary_search_by(|rule| rule.info.id.as_str().cmp(value)) {
                Ok(at) => (at, at + 1),
                Err(at) => (at, at),
            },
        };
        let found = rules.get(from..to).unwrap_or_default();
        let start = value.strip_suffix('*');
        let is_written = match start {
            Some(start) => self.known.rules.keys().any(|id| id.starts_with(start)),
            None => self.known.rules.contains_key(value.as_str()),
        };
        if found.is_empty() && !is_written {
            self.unknown_rule(source, value, *place);
        }
        found
    }

    fn unknown_rule(&mut self, source: &Source, id: &str, place: Place) {
        let problem = if self.known.correlations.contains_key(id) {
            let message = format!("`{id}` is a correlation, and a rule is wanted here");
            Problem::error(source, place, "not-a-rule", message)
                .hint("name the rules that it is made of")
        } else if id.ends_with('*') {
            let message = format!("no rule has an id that begins as `{id}`");
            Problem::error(source, place, "unknown-rule", message)
        } else {
            let message = format!("there is no rule `{id}`");
            Problem::error(source, place, "unknown-rule", message)
                .nearest(id, self.known.rules.keys().copied())
        };
        self.report.push(problem);
    }

    /// A field that every one of these kinds of subject has.
    fn field(
        &mut self,
        source: &'f Source,
        name: &Located<String>,
        ons: &BTreeSet<On>,
    ) -> Option<Field> {
        let outside = self.outside(source);
        let mut field = None;
        for on in ons {
            field = Some(outside.field(name, *on, self.report)?);
        }
        field
    }

    /// A length of time.
    fn span(&mut self, source: &Source, text: &Located<String>) -> Option<std::time::Duration> {
        let span = crate::rules::compile::parse_window(&text.value);
        if span.is_none() {
            let message = format!("`{}` is not a time span", text.value);
            let hint = "a number and `s`, `m`, `h` or `d`; at most `366d`";
            self.error(source, text.place, "bad-window", message, hint);
        }
        span
    }

    /// What concerns the matches of a rule.
    fn plan(&mut self, rule: &Compiled) -> Option<&mut Plan> {
        let rule = number(&rule.info.id)?;
        Some(self.plans.entry(rule).or_insert_with(|| Plan { rule, ..Plan::default() }))
    }

    /// Marks building blocks; one that feeds nothing is of no use.
    fn building_blocks(&mut self) {
        let rules = self.files.rules;
        for rule in rules.iter().filter(|rule| (self.files.is_building_block)(rule)) {
            let used = self.plan(rule).is_some_and(|plan| {
                plan.building_block = true;
                !plan.correlations.is_empty()
            });
            if !used && rule.is_active() {
                let message = format!("no correlation uses the building block {}", rule.info.id);
                let problem = Problem::of_file(&rule.file, "unused-building-block", message);
                self.report.push(problem.warning());
            }
        }
    }

    fn finish(self) -> Tuning {
        let mut tuning = self.tuning;
        if self.plans.is_empty() {
            return tuning;
        }
        tuning.numbers = vec![0; 10_000];
        for (number, plan) in self.plans {
            tuning.plans.push(plan);
            // There are at most as many plans as there are numbers.
            let slot = u16::try_from(tuning.plans.len()).unwrap_or(0);
            if let Some(entry) = tuning.numbers.get_mut(usize::from(number)) {
                *entry = slot;
            }
        }
        tuning
    }

    fn add_exception(&mut self, exception: Exception, rules: &[&Compiled]) {
        let index = self.tuning.exceptions.len();
        self.tuning.exceptions.push(exception);
        for rule in rules {
            if let Some(plan) = self.plan(rule) {
                plan.exceptions.push(index);
            }
        }
    }

    fn add_threshold(&mut self, threshold: Threshold, rules: &[&Compiled]) {
        let index = self.tuning.thresholds.len();
        self.tuning.thresholds.push(threshold);
        for rule in rules {
            if let Some(plan) = self.plan(rule) {
                plan.thresholds.push(index);
            }
        }
    }

    fn add_correlation(&mut self, correlation: Correlation, rules: &[&Compiled]) {
        let index = self.tuning.correlations.len();
        let active = correlation.is_active();
        self.tuning.correlations.push(correlation);
        for rule in rules.iter().filter(|_| active) {
            if let Some(plan) = self.plan(rule)
                && !plan.correlations.contains(&index)
            {
                plan.correlations.push(index);
            }
        }
    }
}

/// The kinds of subject of rules.
fn subjects(rules: &[&Compiled]) -> BTreeSet<On> {
    rules.iter().map(|rule| rule.on).collect()
}

/// One line, not empty.
fn is_line(text: &Located<String>) -> bool {
    !text.value.trim().is_empty() && !text.value.contains(['\n', '\r'])
}

/// The ids and patterns as written.
fn written(texts: &[Located<String>]) -> Vec<String> {
    texts.iter().map(|text| text.value.clone()).collect()
}
