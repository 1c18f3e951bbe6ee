//! The examples that rules bring along, run through recognition.

use super::field::Field;
use super::problem::{Problem, Report, Source, plural};
use super::set::{Compiled, RuleSet};
use super::subject::{OwnedSubject, Subject};
use super::syntax::{Given, Test, Want};
use super::{On, Severity};

/// Turns the exchanges of an example into what rules are evaluated on: the same recognition as
/// for real traffic.
pub trait Recognise {
    /// The subjects of an example, in order.
    ///
    /// # Errors
    ///
    /// What is wrong with the example, such as approvals that cannot be read.
    fn subjects(&self, given: &Given) -> Result<Vec<OwnedSubject>, String>;
}

/// Runs all examples of a rule.
pub(super) fn run(
    source: &Source,
    rule: &Compiled,
    recognise: &dyn Recognise,
    report: &mut Report,
) {
    for test in &rule.tests {
        let given = Given { exchanges: test.give.clone(), approvals: test.approvals.clone() };
        match recognise.subjects(&given) {
            Ok(subjects) => outcome(source, rule, test, &subjects, report),
            Err(message) => {
                report.push(Problem::error(source, test.name.place, "bad-test", message));
            }
        }
    }
}

fn outcome(
    source: &Source,
    rule: &Compiled,
    test: &Test,
    subjects: &[OwnedSubject],
    report: &mut Report,
) {
    let borrowed: Vec<Subject<'_>> = subjects.iter().map(OwnedSubject::as_subject).collect();
    let hits = borrowed.iter().filter_map(|subject| rule.evaluate(subject));
    let severity: Option<Severity> = hits.map(|found| found.severity).max();
    let name = &test.name.value;
    let at = |code, message: String| Problem::error(source, test.want.place, code, message);
    match (test.want.value, severity) {
        (Want::Hit, None) => {
            report.push(
                at("test-failed", format!("`{name}` should be a hit, but nothing matched"))
                    .hint(closest(rule, &borrowed)),
            );
        }
        (Want::None, Some(_)) => {
            report.push(at("test-failed", format!("`{name}` should be spared, but it matched")));
        }
        (Want::KnownMiss, Some(_)) => {
            report.push(
                at("test-failed", format!("`{name}` is no longer missed"))
                    .hint("good: make it `want: hit`"),
            );
        }
        (Want::Hit, Some(found)) if test.severity.is_some_and(|wanted| wanted != found) => {
            let found = format!("{found:?}").to_lowercase();
            let message = format!("`{name}` is a hit, but with severity `{found}`");
            report.push(at("test-severity", message));
        }
        _ => {}
    }
    let mut missed = borrowed
        .iter()
        .filter(|subject| rule.holds(subject) && !RuleSet::passes_prefilter(rule, subject));
    if missed.next().is_some() {
        let message = format!("`{name}` matches, but the prefilter would leave it out");
        report.push(at("prefilter-misses", message).hint("correct the literals of `prefilter`"));
    }
}

/// What kept the rule from matching, for the subjects of its kind.
fn closest(rule: &Compiled, subjects: &[Subject<'_>]) -> String {
    let of_kind: Vec<_> = subjects.iter().filter(|subject| subject.on == rule.on).collect();
    let Some(subject) = of_kind.last() else {
        let found = |on: On| subjects.iter().filter(|subject| subject.on == on).count();
        return format!(
            "the example gives no {}; it gives {}, {}, {}, {}, {}",
            rule.on.as_str(),
            plural(found(On::Exchange), "exchange"),
            plural(found(On::Message), "message"),
            plural(found(On::Server), "server"),
            plural(found(On::Tls), "handshake"),
            plural(found(On::Dns), "DNS message")
        );
    };
    if of_kind.iter().all(|subject| subject.evidence < rule.evidence) {
        let name = super::field::evidence_name;
        return format!(
            "the evidence is `{}`, and the rule wants `{}`",
            name(subject.evidence),
            name(rule.evidence)
        );
    }
    let failures = of_kind.iter().filter_map(|subject| {
        let field: &Field = rule.when.first_failure(subject)?;
        Some(match field.first(subject) {
            Some(value) => format!("`{field}` is `{value}`"),
            None => format!("`{field}` is absent"),
        })
    });
    let mut failures: Vec<String> = failures.collect();
    failures.dedup();
    failures.truncate(4);
    failures.join("; ")
}
