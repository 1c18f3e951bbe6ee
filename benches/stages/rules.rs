//! What rules cost: to compile, and per message by their number. A thousand rules are to cost a
//! message no more than one and a half times what fifty do.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use shadowtap::rules::{self, Content, RuleSet, Scratch, Source};

use crate::messages;

fn set(sources: &[Source]) -> RuleSet {
    rules::compile(sources, &rules::Limits::default()).unwrap_or_else(|report| panic!("{report}")).0
}

/// YAML into a set that evaluates; items are files.
#[divan::bench(args = ["shipped", "50", "1000"], sample_count = 10, sample_size = 1)]
fn compile(bencher: Bencher<'_, '_>, what: &str) {
    let sources = what.parse().map_or_else(|_| rules::builtin(), messages::rules);
    bencher.counter(ItemsCount::new(sources.len())).bench(|| set(black_box(&sources)));
}

/// Rules on a message whose texts nobody has read yet; items are messages.
fn per_message(bencher: Bencher<'_, '_>, rules: &RuleSet, what: &str) {
    let (owned, mut scratch) = (messages::message(what), Scratch::default());
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let (content, mut matches) = (Content::default(), 0_usize);
        let subject = owned.as_subject().with_content(&content);
        rules.evaluate(black_box(&subject), &mut scratch, |_| matches += 1);
        matches
    });
}

const COUNTS: [usize; 2] = [50, 1000];

/// A call with arguments of 300 bytes.
#[divan::bench(args = COUNTS, sample_size = 200)]
fn on_a_call(bencher: Bencher<'_, '_>, count: usize) {
    per_message(bencher, &set(&messages::rules(count)), "call");
}

/// An answer that lists 20 tools.
#[divan::bench(args = COUNTS, sample_size = 200)]
fn on_a_list(bencher: Bencher<'_, '_>, count: usize) {
    per_message(bencher, &set(&messages::rules(count)), "list");
}

/// A result of 10 kB.
#[divan::bench(args = COUNTS, sample_size = 200)]
fn on_a_result(bencher: Bencher<'_, '_>, count: usize) {
    per_message(bencher, &set(&messages::rules(count)), "result");
}

/// The rules that ship with the program.
#[divan::bench(args = ["call", "list", "result"], sample_size = 200)]
fn shipped(bencher: Bencher<'_, '_>, what: &str) {
    per_message(bencher, &set(&rules::builtin()), what);
}

/// The shipped rules on one call, with literals looked for first and without; items are messages.
#[divan::bench(args = [true, false], sample_size = 1000)]
fn with_prefilter(bencher: Bencher<'_, '_>, prefilter: bool) {
    let (rules, owned) = (set(&rules::builtin()), messages::message("call"));
    let (subject, mut scratch) = (owned.as_subject(), Scratch::default());
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        let mut matches = 0_usize;
        if prefilter {
            rules.evaluate(black_box(&subject), &mut scratch, |_| matches += 1);
        } else {
            rules.evaluate_unfiltered(black_box(&subject), |_| matches += 1);
        }
        matches
    });
}
