//! Tuning as a whole: files in, admissions out.

mod correlations;
mod files;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::mcp::Contact;
use crate::rules::list::Lists;
use crate::rules::problem::Report;
use crate::rules::{self, GivenExchange, RuleSet, Source, Subject};

/// A loaded rule on servers that matches every host that begins so.
fn rule(id: &str, host: &str) -> String {
    format!(
        "{{schema: shadowtap/rule@1, id: {id}, rev: 1, title: t, status: experimental, lane: hunt, \
         severity: info, confidence: 1, why: w, refs: ['https://example.com'], on: server, \
         evidence: hint, when: {{server.host: {{starts_with: {host}}}}}, report: {{text: x}}, \
         tests: [{{name: a, give: {{}}, want: hit}}, {{name: b, give: {{}}, want: none}}]}}"
    )
}

/// SMCP-9001 matches every host with `a`, SMCP-9002 with `b`, and SMCP-9003 with both.
struct Bench {
    set: RuleSet,
    tuning: Tuning,
}

fn bench(files: &[&str]) -> Bench {
    let mut sources: Vec<Source> = [("9001", "a"), ("9002", "b"), ("9003", "c")]
        .map(|(id, host)| Source::new(format!("{id}.yaml"), rule(&format!("SMCP-{id}"), host)))
        .into();
    let limits = rules::Limits::default();
    let set = rules::compile(&sources, &limits).unwrap_or_else(|report| panic!("{report}")).0;
    sources.extend(
        files
            .iter()
            .enumerate()
            .map(|(index, text)| Source::new(format!("file-{index}.yaml"), *text)),
    );
    let parsed: Vec<_> = sources
        .iter()
        .map(|source| (source, rules::syntax::parse(source, &limits).unwrap()))
        .collect();
    let mut report = Report::default();
    let tuning = compile(
        Files {
            files: &parsed,
            rules: set.rules(),
            lists: &Lists::new(),
            limits: &limits,
            is_building_block: &|rule| rule.info.id == "SMCP-9003",
        },
        &mut report,
    );
    let errors: Vec<_> = report
        .problems
        .iter()
        .filter(|problem| problem.level == rules::Level::Error)
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{}", errors.concat());
    Bench { set, tuning }
}

/// A client's use of a server; `port` is a number that the server has.
fn contact(host: &str, client: u8, port: u16) -> Contact {
    let given = serde_json::json!({
        "client": format!("10.0.0.{client}"),
        "server": format!("192.0.2.1:{port}"),
        "contact": {"host": host, "evidence": "parsed"},
    });
    serde_json::from_value::<GivenExchange>(given).unwrap().bare_contact().unwrap().0
}

/// Gives every match of a contact to tuning; a letter per match, and the ids raised.
fn admit(
    bench: &Bench,
    state: &mut TuningState,
    contact: &Contact,
    (seconds, news): (i64, bool),
) -> String {
    let mut said = String::new();
    bench.set.evaluate_unfiltered(&Subject::server(contact, &[]), |found| {
        let at = Seen {
            time: Timestamp::from_parts(seconds, 0),
            server_key: &contact.key,
            client: contact.client,
            packet: u64::try_from(seconds).unwrap(),
            news,
            baselines: None,
        };
        let mut raised = Vec::new();
        let admission =
            bench.tuning.admit(state, &found, at, &mut |one| raised.push(one.info.id.clone()));
        said.push(match admission {
            Admission::Report => 'R',
            Admission::Excepted(_) => 'E',
            Admission::HeldBack => 'H',
            Admission::BuildingBlock => 'B',
        });
        for id in raised {
            said.push_str(&format!("!{id}"));
        }
    });
    said
}

/// The same for several hosts, at times.
fn run(bench: &Bench, state: &mut TuningState, hits: &[(&str, u8, i64)]) -> String {
    let each = hits.iter().map(|(host, client, seconds)| {
        admit(bench, state, &contact(host, *client, 80), (*seconds, false))
    });
    each.collect::<Vec<_>>().join(" ")
}

const DAY: i64 = 86_400;

#[test]
fn rules_without_tuning_are_reported() {
    let bench = bench(&[]);
    assert!(bench.tuning.plan(bench.set.get("SMCP-9001").unwrap()).is_none());
    let mut state = TuningState::default();
    assert_eq!(run(&bench, &mut state, &[("a", 1, 0), ("b", 1, 0), ("z", 1, 0)]), "R R ");
    assert!(Tuning::default().plan(bench.set.get("SMCP-9001").unwrap()).is_none());
}

#[test]
fn exceptions_hold_until_their_last_day_and_say_what_they_would_have_taken() {
    let bench = bench(&["{schema: shadowtap/exceptions@1, items: [
        {name: lab, rule: SMCP-9001, when: {client.ip: {in_net: 10.0.0.1}}, because: b, owner: o,
         expires: 1970-01-02},
        {name: all, rule: [SMCP-900*, SMCP-9001], when: {server.host: {starts_with: ax}},
         because: b, owner: o, expires: 1970-01-05}]}"]);
    let mut state = TuningState::default();
    let hits = [
        ("a", 1, 0),
        ("a", 2, 0),
        ("b", 1, 0),
        ("a", 1, 2 * DAY - 1),
        ("a", 1, 2 * DAY),
        ("ax", 1, 2 * DAY),
        ("ax", 2, 5 * DAY),
    ];
    assert_eq!(run(&bench, &mut state, &hits), "E R R E R E R");
    assert_eq!(admit(&bench, &mut state, &contact("a", 1, 80), (0, true)), "E");
    let counts = state.counts(&bench.tuning);
    let numbers = |index: usize| {
        let count = &counts.exceptions[index];
        (count.exception.name.as_str(), count.excepted, count.after_expiry)
    };
    assert_eq!(numbers(0), ("lab", 2, 2));
    assert_eq!(numbers(1), ("all", 1, 1));
    assert_eq!(
        counts.remarks(),
        [
            "exception lab expired on 1970-01-02 and would have taken 2 matches",
            "exception all expired on 1970-01-05 and would have taken 1 match",
        ]
    );
    let warnings = bench.tuning.warnings(Timestamp::from_parts(2 * DAY, 0));
    let kinds: Vec<_> = warnings.iter().map(|warning| (&*warning.name, warning.kind)).collect();
    assert_eq!(
        kinds,
        [("lab", WarningKind::Expired), ("all", WarningKind::ExpiresSoon { days: 3 })]
    );
    assert_eq!((warnings[0].file.as_str(), warnings[0].line), ("file-0.yaml", 2));
}

#[test]
fn exceptions_beyond_their_ceiling_raise_one_finding_a_window_and_go_on() {
    let bench = bench(&["{schema: shadowtap/exceptions@1, items: [
        {name: lab, rule: SMCP-9001, when: {server.host: {exists: true}}, because: b, owner: o,
         expires: 2030-01-01, ceiling: 2/m}]}"]);
    let mut state = TuningState::default();
    let at = |seconds| ("a", 1, seconds);
    let hits = [at(0), at(1), at(2), at(59), at(60), at(61), at(62), at(2), at(1)];
    assert_eq!(run(&bench, &mut state, &hits), "E E E!SMCP-0001 E E E E!SMCP-0001 E E");
    let counts = state.counts(&bench.tuning);
    assert_eq!((counts.excepted(), counts.exceptions[0].beyond_ceiling), (9, 5));
}

#[test]
fn what_a_ceiling_raises_names_the_exception() {
    let bench = bench(&["{schema: shadowtap/exceptions@1, items: [
        {name: lab, rule: SMCP-9*, when: {server.host: {exists: true}}, because: reason, owner: us,
         expires: 2030-01-01, ceiling: 1/day}]}"]);
    let mut state = TuningState::default();
    let contact = contact("a", 1, 80);
    let found = bench.set.rules()[0].evaluate(&Subject::server(&contact, &[])).unwrap();
    let at = Seen {
        time: Timestamp::EPOCH,
        server_key: &contact.key,
        client: contact.client,
        packet: 7,
        news: false,
        baselines: None,
    };
    let mut raised = Vec::new();
    for _ in 0..2 {
        bench.tuning.admit(&mut state, &found, at, &mut |one| raised.push(one));
    }
    let [raised] = raised.as_slice() else { panic!("{raised:?}") };
    assert_eq!(
        raised.text,
        "The exception `lab` of us has taken more than 1/day matches; the one beyond is of \
         SMCP-9001"
    );
    assert!(raised.excerpt.contains(&("exception.because".into(), "reason".into())));
    assert_eq!(raised.window, Duration::from_secs(86_400));
    assert_eq!((&*raised.server_key, raised.packets.as_slice()), (&*contact.key, &[7][..]));
}

#[test]
fn thresholds_count_by_what_they_name() {
    // Client and server of each hit, all at once: which pass a limit of one.
    let hits = [("a1", 1, 0), ("a1", 1, 0), ("a1", 2, 0), ("a2", 1, 0), ("a2", 2, 0)];
    for (per, want) in [
        ("pair", "R H R R R"),
        ("source", "R H R H H"),
        ("server", "R H H R H"),
        ("rule", "R H H H H"),
    ] {
        let file = format!(
            "{{schema: shadowtap/thresholds@1, items: [{{rule: SMCP-9*, type: limit, count: 1, \
             within: 1m, per: {per}}}]}}"
        );
        let bench = bench(&[&file]);
        let mut state = TuningState::default();
        assert_eq!(run(&bench, &mut state, &hits), want, "{per}");
        // Another rule has a counter of its own.
        assert_eq!(run(&bench, &mut state, &[("b1", 1, 0)]), "R", "{per}");
        let held = want.matches('H').count() as u64;
        assert_eq!(state.counts(&bench.tuning).held_back(), held);
    }
}

#[test]
fn a_match_passes_all_thresholds_in_the_order_of_the_files() {
    let bench = bench(&[
        "{schema: shadowtap/thresholds@1, items: [
            {rule: SMCP-9001, type: rate, count: 2, within: 1m, per: rule}]}",
        "{schema: shadowtap/thresholds@1, items: [
            {rule: SMCP-9001, type: limit, count: 1, within: 1m, per: rule}]}",
    ]);
    let mut state = TuningState::default();
    let hits = [("a", 1, 0); 6];
    assert_eq!(run(&bench, &mut state, &hits), "H R H H H H");
    let counts = state.counts(&bench.tuning);
    let held: Vec<_> = counts.thresholds.iter().map(|count| count.held_back).collect();
    assert_eq!(held, [3, 2]);
}

#[test]
fn news_is_not_counted_and_repeats_what_a_threshold_said_last() {
    let bench = bench(&["{schema: shadowtap/thresholds@1, items: [
        {rule: SMCP-9001, type: limit, count: 1, within: 1m, per: rule}]}"]);
    let mut state = TuningState::default();
    let contact = contact("a", 1, 80);
    let said: Vec<String> = [
        // News of something never seen counts, once.
        (0, true),
        (0, true),
        (1, false),
        (2, true),
        // After the window, too.
        (60, true),
        (61, false),
    ]
    .map(|at| admit(&bench, &mut state, &contact, at))
    .into();
    assert_eq!(said, ["R", "R", "H", "H", "R", "H"]);
    assert_eq!(state.counts(&bench.tuning).held_back(), 2);
}

#[test]
fn building_blocks_feed_correlations_and_make_no_findings() {
    let correlate = "{rules: [SMCP-9003], type: count, at_least: 2, within: 1m}";
    let file = correlations::file("SMCP-9100", correlate, "[]");
    let bench = bench(&[&file.replace("rule: SMCP-9001", "rule: SMCP-9003")]);
    let mut state = TuningState::default();
    assert!(bench.tuning.is_building_block(bench.set.get("SMCP-9003").unwrap()));
    assert_eq!(
        run(&bench, &mut state, &[("c", 1, 0), ("c", 1, 1), ("a", 1, 1)]),
        "B B!SMCP-9100 R"
    );
}

#[test]
fn the_state_goes_on_when_files_are_read_again_and_forgets_what_is_gone() {
    let exceptions = "{schema: shadowtap/exceptions@1, items: [
        {name: lab, rule: SMCP-9002, when: {server.host: {exists: true}}, because: b, owner: o,
         expires: 2030-01-01}]}";
    let limit = "{schema: shadowtap/thresholds@1, items: [
        {rule: SMCP-9001, type: limit, count: 1, within: 1m, per: rule}]}";
    let (first, second) = (bench(&[exceptions, limit]), bench(&[limit]));
    let mut state = TuningState::default();
    assert_eq!(run(&first, &mut state, &[("a", 1, 0), ("b", 1, 0)]), "R E");
    assert_eq!(run(&second, &mut state, &[("a", 1, 1), ("b", 1, 1)]), "H R");
    assert_eq!(state.exceptions.len(), 1);
    state.keep_only(&second.tuning);
    assert!(state.exceptions.is_empty());
    assert_eq!(state.counts(&second.tuning).held_back(), 1);
}

#[test]
fn windows_and_groups_are_bounded() {
    let bench = bench(&[
        "{schema: shadowtap/thresholds@1, items: [
            {rule: SMCP-9001, type: limit, count: 1, within: 1m, per: source}]}",
        &correlations::file(
            "SMCP-9100",
            "{rules: [SMCP-9001], type: count, at_least: 2, within: 1m, by: [client]}",
            "[]",
        ),
    ]);
    let mut state = TuningState::new(Limits { max_windows: 2, max_groups: 2, max_entries: 100 });
    let hits = [("a", 1, 0), ("a", 2, 0), ("a", 3, 0), ("a", 1, 0), ("a", 1, 0)];
    assert_eq!(run(&bench, &mut state, &hits), "R R R R H!SMCP-9100");
    let counts = state.counts(&bench.tuning);
    assert_eq!((counts.groups, counts.groups_dropped, counts.windows_dropped), (2, 2, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_is_reported_excepted_held_back_or_a_building_block(
        hits in prop::collection::vec(
            ("[abc]x?", 1_u8..4, 0_i64..300, prop::bool::weighted(0.2)), 1..120),
        kind in prop::sample::select(vec!["limit", "rate", "both"]),
        count in 1_u64..5,
        per in prop::sample::select(vec!["source", "server", "pair", "rule"]),
    ) {
        let thresholds = format!(
            "{{schema: shadowtap/thresholds@1, items: [{{rule: SMCP-9*, type: {kind}, \
             count: {count}, within: 1m, per: {per}}}]}}"
        );
        let bench = bench(&[
            &thresholds,
            "{schema: shadowtap/exceptions@1, items: [
                {name: x, rule: SMCP-9*, when: {server.host: {ends_with: x}}, because: b, owner: o,
                 expires: 1970-01-01, ceiling: 3/m}]}",
            &correlations::file("SMCP-9100", "{rules: [SMCP-9*], type: distinct_count, of: client, \
                at_least: 2, within: 1m, by: [server]}", "[]"),
        ]);
        let mut state = TuningState::default();
        let mut said: BTreeMap<char, u64> = BTreeMap::new();
        let mut all = 0;
        for (host, client, seconds, step_back) in hits {
            let seconds = if step_back { seconds / 4 } else { seconds };
            let letters = run(&bench, &mut state, &[(&host, client, seconds)]);
            all += 1;
            *said.entry(letters.chars().next().unwrap()).or_default() += 1;
        }
        let of = |letter| said.get(&letter).copied().unwrap_or(0);
        let counts = state.counts(&bench.tuning);
        prop_assert_eq!(of('R') + of('E') + of('H') + of('B'), all);
        prop_assert_eq!(of('E'), counts.excepted());
        prop_assert_eq!(of('H'), counts.held_back());
    }
}
