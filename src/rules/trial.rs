//! The inline tests of rules, run and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::check::assemble;
use super::columns::{Side, columns};
use super::problem::{Report, Source, plural};
use super::syntax::Want;
use super::testing::{self, Recognise};
use super::{Limits, RuleInfo};

/// What the tests of one rule gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Id of the rule.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Tests that want a hit.
    pub hits: usize,
    /// Tests that want none.
    pub spared: usize,
    /// Tests of known limits.
    pub known_misses: usize,
    /// Tests that failed.
    pub failed: usize,
}

/// What the tests of rules gave.
#[derive(Clone, Debug, Default)]
pub struct Trials {
    /// By rule id.
    pub rules: Vec<Trial>,
    /// Rules that could not be tested, because they do not compile.
    pub refused: Report,
    /// Tests that failed, with place and advice.
    pub failures: Report,
}

/// Runs the tests of every rule and correlation that compiles and whose id `wanted` takes.
pub fn test(
    sources: &[Source],
    limits: &Limits,
    recognise: &dyn Recognise,
    wanted: &dyn Fn(&str) -> bool,
) -> Trials {
    let (rules, _, tuning, mut refused) = assemble(sources, limits);
    let texts: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.name.as_str(), source)).collect();
    let mut trials = Trials::default();
    for rule in rules.iter().filter(|rule| wanted(&rule.info.id)) {
        let mut report = Report::default();
        if let Some(source) = texts.get(rule.file.as_str()) {
            testing::run(source, rule, recognise, &mut report);
        }
        let count = |want| rule.tests.iter().filter(|test| test.want.value == want).count();
        trials.rules.push(trial(&rule.info, count, &report));
        trials.failures.problems.append(&mut report.problems);
    }
    for correlation in tuning.correlations().iter().filter(|one| wanted(&one.info.id)) {
        let mut report = Report::default();
        if let Some(source) = texts.get(correlation.file.as_str()) {
            super::tuning::run(source, correlation, &mut report);
        }
        let count = |want| correlation.wants().filter(|wanted| *wanted == want).count();
        trials.rules.push(trial(&correlation.info, count, &report));
        trials.failures.problems.append(&mut report.problems);
    }
    trials.rules.sort_by(|a, b| a.id.cmp(&b.id));
    // Whether a list is used says nothing about tests.
    refused.problems.retain(|problem| problem.level == super::Level::Error);
    refused.sort();
    trials.refused = refused;
    trials.failures.sort();
    trials
}

fn trial(info: &RuleInfo, count: impl Fn(Want) -> usize, report: &Report) -> Trial {
    // One test can fail in two ways at one place.
    let places: BTreeSet<_> = report.problems.iter().map(|problem| problem.place).collect();
    Trial {
        id: info.id.clone(),
        title: info.title.clone(),
        hits: count(Want::Hit),
        spared: count(Want::None),
        known_misses: count(Want::KnownMiss),
        failed: places.len(),
    }
}

impl Trials {
    /// Whether every rule could be tested and every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.refused.problems.is_empty() && self.failures.problems.is_empty()
    }
}

/// A table with a row per rule, what failed, and the sum.
impl fmt::Display for Trials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["ID", "HIT", "NONE", "KNOWN MISS", "FAILED", "TITLE"].map(str::to_owned);
        let row = |trial: &Trial| {
            let number = |count: usize| count.to_string();
            [
                trial.id.clone(),
                number(trial.hits),
                number(trial.spared),
                number(trial.known_misses),
                number(trial.failed),
                trial.title.clone(),
            ]
        };
        let rows: Vec<_> = std::iter::once(header).chain(self.rules.iter().map(row)).collect();
        let (left, right) = (Side::Left, Side::Right);
        f.write_str(&columns([left, right, right, right, right, left], &rows))?;
        for problem in self.refused.problems.iter().chain(&self.failures.problems) {
            write!(f, "\n{problem}")?;
        }
        let sum = |of: fn(&Trial) -> usize| self.rules.iter().map(of).sum::<usize>();
        let tests = sum(|trial| trial.hits + trial.spared + trial.known_misses);
        let rules = plural(self.rules.len(), "rule");
        writeln!(f, "\n{rules}, {}: {} failed", plural(tests, "test"), sum(|trial| trial.failed))?;
        match self.refused.problems.len() {
            0 => Ok(()),
            count => writeln!(f, "{} kept files from being tested", plural(count, "problem")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::*;
    use crate::pipeline::Recogniser;

    #[test]
    fn shipped_rules_pass_and_every_test_is_counted_once() {
        let trials = test(&builtin(), &Limits::default(), &Recogniser, &|_| true);
        assert!(trials.passed(), "{trials}");
        for trial in &trials.rules {
            assert!(trial.hits > 0 && trial.spared > 0, "{}", trial.id);
        }
        let one = test(&builtin(), &Limits::default(), &Recogniser, &|id| id == "SMCP-3001");
        assert_eq!(one.rules.len(), 1);
        let trial = &one.rules[0];
        assert_eq!((trial.hits, trial.spared, trial.known_misses, trial.failed), (5, 5, 1, 0));
    }

    #[test]
    fn a_failing_test_is_counted_and_shown_with_its_place() {
        let mut files = builtin();
        let file = files.iter_mut().find(|file| file.text.contains("id: SMCP-1102")).unwrap();
        file.text = file.text.replacen("want: hit", "want: none", 1);
        let trials = test(&files, &Limits::default(), &Recogniser, &|id| id == "SMCP-1102");
        assert!(!trials.passed());
        assert_eq!(trials.rules[0].failed, 1);
        let shown = trials.to_string();
        assert!(shown.contains("--> rules/protocol/tools.yaml:"), "{shown}");
        assert!(shown.ends_with("1 rule, 10 tests: 1 failed\n"), "{shown}");
    }
}
