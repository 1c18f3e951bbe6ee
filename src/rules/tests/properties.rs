//! Properties of the engine: the prefilter changes nothing but speed, no text panics.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::pipeline::Recogniser;
use crate::rules::{
    Given, GivenExchange, Limits, Recognise, RuleSet, Scratch, Source, Subject, builtin, check,
    compile, explain,
};

fn both_ways(set: &RuleSet, subject: &Subject<'_>, scratch: &mut Scratch) -> usize {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    set.evaluate(subject, scratch, |found| with.push((&found.rule.info.id, found.severity)));
    set.evaluate_unfiltered(subject, |found| without.push((&found.rule.info.id, found.severity)));
    assert_eq!(with, without, "{subject:?}");
    with.len()
}

#[test]
fn every_example_matches_the_same_with_and_without_the_prefilter() {
    let (set, _) = compile(&builtin(), &Limits::default()).unwrap();
    let mut scratch = Scratch::default();
    let mut hits = 0;
    for test in set.rules().iter().flat_map(|rule| &rule.tests) {
        let given = Given { exchanges: test.give.clone(), approvals: None };
        for subject in Recogniser.subjects(&given).unwrap() {
            hits += both_ways(&set, &subject.as_subject(), &mut scratch);
        }
    }
    assert!(hits > set.rules().len());
}

/// Words of the shipped rules, so that random traffic often comes near to a match.
fn words() -> Vec<String> {
    let mut words = BTreeSet::new();
    for file in builtin() {
        let between = |c: char| c.is_whitespace() || "[]{},\"'`".contains(c);
        words.extend(file.text.split(between).filter(|word| word.contains('/')).map(str::to_owned));
    }
    words.extend(["initialize", "ping", "2025-06-18", "2026-07-28", "", "x"].map(str::to_owned));
    words.into_iter().collect()
}

fn traffic() -> impl Strategy<Value = GivenExchange> {
    let word = || {
        let cased = |word: String, upper: bool| if upper { word.to_uppercase() } else { word };
        (prop::sample::select(words()), prop::bool::weighted(0.1))
            .prop_map(move |(word, upper)| cased(word, upper))
    };
    let name = prop::sample::select(vec![
        "mcp-session-id",
        "MCP-Protocol-Version",
        "mcp-method",
        "Mcp-Name",
        "mcp-param-x",
        "authorization",
        "accept",
    ]);
    let headers = prop::collection::btree_map(name.prop_map(str::to_owned), word(), 0..4);
    let parts = (word(), word(), word(), headers, prop::option::of(200_u16..500), any::<bool>());
    parts.prop_map(|(method, name, target, headers, status, answered)| {
        let body = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": method,
            "params": {"name": name, "protocolVersion": name, "_meta": {method.as_str(): name}},
        });
        let mut exchange: GivenExchange = serde_json::from_value(serde_json::json!({})).unwrap();
        let request = serde_json::json!({"target": target, "headers": headers, "body": body});
        exchange.request = Some(serde_json::from_value(request).unwrap());
        exchange.response = status.map(|status| {
            let body =
                answered.then(|| serde_json::json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
            serde_json::from_value(serde_json::json!({"status": status, "body": body})).unwrap()
        });
        exchange
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_traffic_matches_the_same_with_and_without_the_prefilter(
        exchanges in prop::collection::vec(traffic(), 1..4),
    ) {
        thread_local! {
            static SET: RuleSet = compile(&builtin(), &Limits::default()).unwrap().0;
        }
        let subjects = Recogniser.subjects(&Given { exchanges, approvals: None }).unwrap();
        SET.with(|set| {
            let mut scratch = Scratch::default();
            for subject in subjects {
                both_ways(set, &subject.as_subject(), &mut scratch);
            }
        });
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}", cut in 0_usize..4_000) {
        let limits = Limits::default();
        let good = builtin().swap_remove(0).text;
        let end = (0..=cut.min(good.len())).rev().find(|end| good.is_char_boundary(*end)).unwrap();
        for text in [text.clone(), good.split_at(end).0.to_owned() + &text] {
            let source = Source::new("x.yaml", text);
            let (set, report) = check(&[source], &limits, &Recogniser);
            let shown = report.to_string();
            prop_assert!(!shown.is_empty());
            for rule in set.iter().flat_map(RuleSet::rules) {
                prop_assert!(!explain(rule).is_empty());
            }
        }
    }
}
