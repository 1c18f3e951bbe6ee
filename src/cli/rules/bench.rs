//! `shadowtap rules bench`: what rules cost, by the clock on the wall.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::args::RuleSource;
use super::super::load::{self, Sources};
use super::super::{Exit, Failure, complain, print};
use crate::pipeline::{self, Config, Policy, Sample};
use crate::rules::{self, Compiled, Cost, RuleSet, Subject};

pub(super) fn run(captures: &[PathBuf], source: &RuleSource) -> Result<Exit, Failure> {
    let mut clock = clock();
    let begun = clock();
    let set = load::rules(source)?;
    let compiling = clock().saturating_sub(begun);
    let (sample, complete) = sample(captures, source)?;
    let subjects: Vec<Subject<'_>> = sample.subjects().collect();
    if subjects.is_empty() {
        return Err(Failure::new("the captures give rules nothing to look at"));
    }
    let costs = rules::costs(&set, &subjects, &mut clock);
    print(&costs.to_string())?;
    let micros = compiling.as_micros();
    print(&format!(
        "compiled: {} rules in {}.{} ms; sample: {} of {} subjects\n",
        set.rules().len(),
        micros / 1_000,
        micros / 100 % 10,
        subjects.len(),
        sample.seen()
    ))?;
    Ok(if complete { Exit::Clean } else { Exit::Damaged })
}

/// What one rule costs.
pub(super) fn one(
    rule: &Compiled,
    captures: &[PathBuf],
    source: &RuleSource,
) -> Result<Cost, Failure> {
    let (sample, _) = sample(captures, source)?;
    let subjects: Vec<Subject<'_>> = sample.subjects().collect();
    let cost = rules::cost(rule, &subjects, &mut clock());
    cost.ok_or_else(|| Failure::new("the literals of the rule are too many"))
}

/// A sample of what captures give, and whether they could be read to the end.
fn sample(captures: &[PathBuf], source: &RuleSource) -> Result<(Sample, bool), Failure> {
    let inputs = load::inputs(captures)?;
    // The rules themselves play no part.
    let without = RuleSource { rules: Vec::new(), no_builtin_rules: true, ..source.clone() };
    let policy = load::policy(&Sources { rules: Some(&without), ..Sources::default() })?;
    let policy = Policy { rules: RuleSet::default(), ..policy };
    let mut config = Config::default();
    // Whatever the rules read is there to be read.
    config.shards.mcp.keep_body_head = true;
    let (sample, troubles) = pipeline::sample(&config, policy, inputs).map_err(Failure::new)?;
    for trouble in &troubles {
        complain(&format!("warning: {trouble}"));
    }
    Ok((sample, troubles.is_empty()))
}

/// The time since now.
#[expect(clippy::disallowed_methods, reason = "an edge: measures how long this machine takes")]
fn clock() -> impl FnMut() -> Duration {
    let begun = Instant::now();
    move || begun.elapsed()
}
