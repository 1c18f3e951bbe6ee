//! What rules cost on subjects of real traffic. The clock is the caller's.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use super::On;
use super::columns::{Side, columns};
use super::prefilter::{Candidate, Marks, Prefilter};
use super::set::{Compiled, RuleSet, Scratch};
use super::subject::Subject;

/// One rule is measured for this long, and its fastest round counts.
const ENOUGH: Duration = Duration::from_millis(3);

/// Rounds at least and at most.
const ROUNDS: std::ops::RangeInclusive<u32> = 3..=2_000;

/// Gives the time since some fixed moment.
pub type Clock<'c> = &'c mut dyn FnMut() -> Duration;

/// What one rule costs on a sample of its subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Id of the rule.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is evaluated on.
    pub on: On,
    /// Subjects of its kind in the sample.
    pub subjects: usize,
    /// Subjects in which a literal of the rule occurs; all of them for a rule without literals.
    pub passed: usize,
    /// Subjects that it matches.
    pub matched: usize,
    /// Time for the conditions on all that passed.
    pub time: Duration,
}

/// What the rules of a set cost on a sample.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    /// The most expensive first.
    pub rules: Vec<Cost>,
    /// Subjects in the sample.
    pub subjects: usize,
    /// Time of the whole set on the sample, prefilter included.
    pub whole: Duration,
}

/// Measures every active rule of a set, and the set as a whole.
pub fn costs(set: &RuleSet, subjects: &[Subject<'_>], clock: Clock<'_>) -> Costs {
    let active = set.rules().iter().filter(|rule| rule.is_active());
    let mut rules: Vec<_> = active.filter_map(|rule| cost(rule, subjects, clock)).collect();
    rules.sort_by(|a, b| b.per_subject().cmp(&a.per_subject()).then_with(|| a.id.cmp(&b.id)));
    let mut scratch = Scratch::default();
    let whole = fastest(clock, || {
        for subject in subjects {
            set.evaluate(black_box(subject), &mut scratch, |found| {
                black_box(found.severity);
            });
        }
    });
    Costs { rules, subjects: subjects.len(), whole }
}

/// Measures one rule; `None` when its literals are too many for an automaton.
pub fn cost(rule: &Compiled, subjects: &[Subject<'_>], clock: Clock<'_>) -> Option<Cost> {
    let candidate = Candidate { on: rule.on, literals: rule.literals.as_ref() };
    let prefilter = Prefilter::new(&[Some(candidate)]).ok()?;
    let mut marks = Marks::default();
    let of_kind: Vec<_> = subjects.iter().filter(|subject| subject.on == rule.on).collect();
    let mut passed = of_kind.clone();
    passed.retain(|subject| {
        prefilter.mark(subject, &mut marks);
        marks.iter().next().is_some()
    });
    let matched = passed.iter().filter(|subject| rule.holds(subject)).count();
    let time = fastest(clock, || {
        for subject in &passed {
            black_box(rule.evaluate(black_box(subject)).is_some());
        }
    });
    Some(Cost {
        id: rule.info.id.clone(),
        title: rule.info.title.clone(),
        on: rule.on,
        subjects: of_kind.len(),
        passed: passed.len(),
        matched,
        time,
    })
}

/// The fastest of several rounds: what else the machine does only ever adds.
fn fastest(clock: Clock<'_>, mut round: impl FnMut()) -> Duration {
    let begun = clock();
    let mut best = Duration::MAX;
    for count in 1..=*ROUNDS.end() {
        let start = clock();
        round();
        let end = clock();
        best = best.min(end.saturating_sub(start));
        if count >= *ROUNDS.start() && end.saturating_sub(begun) >= ENOUGH {
            break;
        }
    }
    best
}

impl Cost {
    /// Nanoseconds for one subject of its kind, on average.
    #[must_use]
    pub fn per_subject(&self) -> u128 {
        average(self.time, self.subjects)
    }

    /// Nanoseconds for one subject that passes the prefilter, on average.
    #[must_use]
    pub fn per_passed(&self) -> u128 {
        average(self.time, self.passed)
    }
}

fn average(time: Duration, count: usize) -> u128 {
    time.as_nanos().checked_div(count as u128).unwrap_or(0)
}

/// `12.5 %`, by whole numbers; `-` of nothing.
fn share(part: usize, whole: usize) -> String {
    match (part * 1_000).checked_div(whole) {
        Some(permille) => format!("{}.{} %", permille / 10, permille % 10),
        None => "-".into(),
    }
}

/// One line.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.subjects == 0 {
            return write!(f, "not measured: the captures have no {}", self.on.as_str());
        }
        write!(
            f,
            "{} ns for one {} of {}; a literal occurs in {}, it matches {}",
            self.per_subject(),
            self.on.as_str(),
            self.subjects,
            share(self.passed, self.subjects),
            share(self.matched, self.subjects)
        )
    }
}

/// A table with a row per rule whose subjects occurred, and the whole.
impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["ID", "ON", "SUBJECTS", "PASS", "HIT", "NS", "NS/PASS", "TITLE"];
        let mut rows = vec![header.map(str::to_owned)];
        for cost in self.rules.iter().filter(|cost| cost.subjects > 0) {
            rows.push([
                cost.id.clone(),
                cost.on.as_str().to_owned(),
                cost.subjects.to_string(),
                share(cost.passed, cost.subjects),
                share(cost.matched, cost.subjects),
                cost.per_subject().to_string(),
                cost.per_passed().to_string(),
                cost.title.clone(),
            ]);
        }
        let (left, right) = (Side::Left, Side::Right);
        let sides = [left, left, right, right, right, right, right, left];
        f.write_str(&columns(sides, &rows))?;
        let idle: Vec<_> =
            self.rules.iter().filter(|cost| cost.subjects == 0).map(|cost| &*cost.id).collect();
        if !idle.is_empty() {
            writeln!(f, "nothing to look at for {}", idle.join(", "))?;
        }
        let each = average(self.whole, self.subjects);
        writeln!(f, "all rules together: {each} ns for one of {} subjects", self.subjects)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Limits, OwnedSubject, Recognise as _, builtin, compile};
    use super::*;
    use crate::pipeline::Recogniser;

    #[test]
    fn counts_are_those_of_the_examples_and_the_slowest_comes_first() {
        let set = compile(&builtin(), &Limits::default()).unwrap().0;
        let tests = set.get("SMCP-1102").unwrap().tests.clone();
        let subjects = |test: &super::super::Test| {
            Recogniser.subjects(&Given { exchanges: test.give.clone(), approvals: None }).unwrap()
        };
        let owned: Vec<_> = tests.iter().flat_map(subjects).collect();
        let borrowed: Vec<_> = owned.iter().map(OwnedSubject::as_subject).collect();
        let mut now = 0;
        let mut clock = || {
            now += 1_000;
            Duration::from_micros(now)
        };
        let costs = costs(&set, &borrowed, &mut clock);
        let cost = costs.rules.iter().find(|cost| cost.id == "SMCP-1102").unwrap();
        assert!(cost.matched >= 3 && cost.passed >= cost.matched && cost.subjects > cost.passed);
        assert!(costs.rules.is_sorted_by_key(|cost| std::cmp::Reverse(cost.per_subject())));
        let shown = costs.to_string();
        assert!(shown.contains("SMCP-1102  message"), "{shown}");
        assert!(shown.contains("nothing to look at for SMCP-2010"), "{shown}");
    }

    #[test]
    fn shares_are_whole_permille() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(0, 0), "-");
    }
}
