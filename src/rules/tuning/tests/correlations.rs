//! Correlations: what makes each type fire, by the examples that files bring along and in a run.

use super::*;
use crate::pipeline::Recogniser;

/// A loaded correlation with tests beside those that it must have.
pub(super) fn file(id: &str, correlate: &str, tests: &str) -> String {
    format!(
        "{{schema: shadowtap/correlation@1, id: {id}, rev: 1, title: t, status: draft, lane: hunt, \
         severity: low, confidence: 50, why: w, refs: ['https://example.com'], \
         correlate: {correlate}, tests: {tests}, group: {{for: 10m}}, \
         report: {{text: '{{count}} from {{client.ip}} to {{server.host}}', keep: [server.host]}}}}"
    )
    .replace("status: draft", "status: experimental")
    .replace(
        "tests: []",
        "tests: [{name: a, give: [{rule: SMCP-9001}], want: hit}, \
         {name: b, give: [{rule: SMCP-9001}], want: none}]",
    )
}

/// Whether the matches given make a correlation fire, by way of its own examples.
fn fires(correlate: &str, give: &str, limit: &str) -> bool {
    let on_message = |id: &str| {
        rule(id, "a")
            .replace("on: server, evidence: hint", "on: message")
            .replace("server.host: {starts_with: a}", "mcp.method: tools/call")
    };
    let mut sources: Vec<Source> =
        ["SMCP-9001", "SMCP-9002", "SMCP-9003"].map(|id| Source::new(id, on_message(id))).into();
    let wants = ["hit", "none"].map(|want| {
        let tests = format!(
            "[{{name: x, want: {want}, give: {give}{limit}}}, {{name: other, want: known_miss, \
             give: [{{rule: SMCP-9001}}]}}]"
        );
        let text = file("SMCP-9100", correlate, &tests).replace("experimental", "draft");
        sources.push(Source::new("c.yaml", text));
        let (_, report) = rules::check(&sources, &rules::Limits::default(), &Recogniser);
        sources.pop();
        let about = report.problems.iter().filter(|problem| problem.file == "c.yaml");
        let codes: Vec<_> = about.map(|problem| (problem.code, problem.to_string())).collect();
        for (code, text) in &codes {
            assert!(*code == "test-failed", "{text}");
        }
        codes.iter().any(|(_, text)| text.contains("`x`"))
    });
    // Wrong for exactly one of the two.
    assert_ne!(wants[0], wants[1], "{correlate} {give}");
    wants[1]
}

#[test]
fn counts_fire_within_the_window_and_the_group() {
    let count = "{rules: [SMCP-9001, SMCP-9002], type: count, at_least: 3, within: 1m, \
                 by: [client, mcp.name]}";
    for (give, want) in [
        ("[{rule: SMCP-9001, times: 2}]", false),
        ("[{rule: SMCP-9001, times: 3}]", true),
        ("[{rule: SMCP-9001, times: 2}, {rule: SMCP-9002}]", true),
        // The end of the window is not in it.
        ("[{rule: SMCP-9001, times: 2}, {rule: SMCP-9001, at: 59s}]", true),
        ("[{rule: SMCP-9001, times: 2}, {rule: SMCP-9001, at: 60s}]", false),
        // It slides: the first is gone, and two more come.
        (
            "[{rule: SMCP-9001}, {rule: SMCP-9001, at: 50s}, {rule: SMCP-9001, at: 1m}, \
             {rule: SMCP-9001, at: 109s}]",
            true,
        ),
        // Other groups.
        ("[{rule: SMCP-9001, times: 2}, {rule: SMCP-9001, client: 10.0.0.9}]", false),
        ("[{rule: SMCP-9001, times: 2}, {rule: SMCP-9001, fields: {mcp.name: t}}]", false),
        ("[{rule: SMCP-9001, times: 2}, {rule: SMCP-9001, server: other}]", true),
        // The clock steps back: a little, and by more than the window.
        ("[{rule: SMCP-9001, times: 2, at: 100s}, {rule: SMCP-9001, at: 41s}]", true),
        ("[{rule: SMCP-9001, times: 2, at: 100s}, {rule: SMCP-9001, at: 40s}]", false),
    ] {
        assert_eq!(fires(count, give, ""), want, "{give}");
    }
}

#[test]
fn distinct_counts_take_values_fields_clients_and_servers() {
    for (of, give, want) in [
        ("mcp.name", "[{rule: SMCP-9001, fields: {mcp.name: a}, times: 9}]", false),
        (
            "mcp.name",
            "[{rule: SMCP-9001, fields: {mcp.name: a}}, {rule: SMCP-9001, fields: {mcp.name: b}}]",
            true,
        ),
        ("mcp.name", "[{rule: SMCP-9001, times: 9}]", false),
        ("mcp.tool_names", "[{rule: SMCP-9001, fields: {mcp.tool_names: [a, b]}}]", true),
        ("mcp.tool_names", "[{rule: SMCP-9001, fields: {mcp.tool_names: [a, a]}}]", false),
        ("server", "[{rule: SMCP-9001, server: a}, {rule: SMCP-9001, server: b}]", true),
        ("server", "[{rule: SMCP-9001, server: a}, {rule: SMCP-9001, server: a}]", false),
        (
            "client",
            "[{rule: SMCP-9001, client: 10.0.0.1}, {rule: SMCP-9001, client: 10.0.0.2, at: 59s}]",
            true,
        ),
        (
            "client",
            "[{rule: SMCP-9001, client: 10.0.0.1}, {rule: SMCP-9001, client: 10.0.0.2, at: 1m}]",
            false,
        ),
    ] {
        let correlate = format!(
            "{{rules: [SMCP-9001], type: distinct_count, of: {of}, at_least: 2, within: 1m}}"
        );
        assert_eq!(fires(&correlate, give, ""), want, "{of} {give}");
    }
}

#[test]
fn sums_add_numbers_and_pass_over_what_is_not_there() {
    let sum = "{rules: [SMCP-9001], type: sum, of: mcp.size, at_least: 100, within: 1m}";
    for (give, want) in [
        ("[{rule: SMCP-9001, fields: {mcp.size: 99}}]", false),
        ("[{rule: SMCP-9001, fields: {mcp.size: 100}}]", true),
        ("[{rule: SMCP-9001, fields: {mcp.size: 50}, times: 2}]", true),
        (
            "[{rule: SMCP-9001, fields: {mcp.size: 99}}, {rule: SMCP-9001, times: 5}, \
             {rule: SMCP-9001, fields: {mcp.size: -5}}]",
            false,
        ),
        (
            "[{rule: SMCP-9001, fields: {mcp.size: 99}}, \
             {rule: SMCP-9001, fields: {mcp.size: 1}, at: 1m}]",
            false,
        ),
    ] {
        assert_eq!(fires(sum, give, ""), want, "{give}");
    }
}

#[test]
fn sequences_keep_order_window_and_what_joins() {
    let strict = "{rules: [SMCP-9002, SMCP-9001], type: sequence, within: 1m, by: [client]}";
    let any = "{rules: [SMCP-9002, SMCP-9001], type: sequence, order: any, within: 1m}";
    let same = "{rules: [SMCP-9002, SMCP-9001], type: sequence, within: 1m, join: mcp.tool_names}";
    let meet = "{rules: [SMCP-9002, SMCP-9001], type: sequence, within: 1m, \
                join: [mcp.tool_names, mcp.name]}";
    for (correlate, give, want) in [
        (strict, "[{rule: SMCP-9002}, {rule: SMCP-9001, at: 59s}]", true),
        (strict, "[{rule: SMCP-9002}, {rule: SMCP-9001, at: 60s}]", false),
        (strict, "[{rule: SMCP-9001}, {rule: SMCP-9002, at: 1s}]", false),
        (strict, "[{rule: SMCP-9002, client: 10.0.0.1}, {rule: SMCP-9001}]", false),
        (strict, "[{rule: SMCP-9002, times: 5}]", false),
        (any, "[{rule: SMCP-9001}, {rule: SMCP-9002, at: 59s}]", true),
        (any, "[{rule: SMCP-9001}, {rule: SMCP-9002, at: 60s}]", false),
        (
            same,
            "[{rule: SMCP-9002, fields: {mcp.tool_names: [a, b]}}, \
             {rule: SMCP-9001, fields: {mcp.tool_names: [c, b]}}]",
            true,
        ),
        (
            same,
            "[{rule: SMCP-9002, fields: {mcp.tool_names: [a, b]}}, \
             {rule: SMCP-9001, fields: {mcp.tool_names: [c]}}]",
            false,
        ),
        (same, "[{rule: SMCP-9002}, {rule: SMCP-9001}]", false),
        (
            meet,
            "[{rule: SMCP-9002, fields: {mcp.tool_names: [a, b]}}, \
             {rule: SMCP-9001, fields: {mcp.name: b}}]",
            true,
        ),
        (
            meet,
            "[{rule: SMCP-9002, fields: {mcp.name: b}}, {rule: SMCP-9001, fields: {mcp.name: b}}]",
            false,
        ),
    ] {
        assert_eq!(fires(correlate, give, ""), want, "{correlate} {give}");
    }
}

#[test]
fn baselines_are_silent_without_history_and_fire_beyond_the_limit() {
    let calls = "{rules: [SMCP-9001], type: baseline, measure: calls, floor: 3, factor: 2.5, \
                 within: 1h}";
    let bytes = calls.replace("calls", "bytes");
    for (correlate, give, limit, want) in [
        (calls, "[{rule: SMCP-9001, times: 1000}]", "", false),
        (calls, "[{rule: SMCP-9001, times: 10}]", ", limit: 10", false),
        (calls, "[{rule: SMCP-9001, times: 11}]", ", limit: 10", true),
        (calls, "[{rule: SMCP-9001, times: 3}]", ", limit: 0", false),
        (
            calls,
            "[{rule: SMCP-9001, times: 9}, {rule: SMCP-9001, times: 9, fields: {mcp.name: t}}]",
            ", limit: 10",
            false,
        ),
        (&bytes, "[{rule: SMCP-9001, fields: {mcp.size: 11}}]", ", limit: 10", true),
        (&bytes, "[{rule: SMCP-9001, fields: {mcp.size: 10}}]", ", limit: 10", false),
    ] {
        assert_eq!(fires(correlate, give, limit), want, "{correlate} {give}");
    }
}

/// Everything that is raised, with the times.
fn raised<'b>(
    bench: &'b Bench,
    state: &mut TuningState,
    hits: &[(&str, u8, i64)],
) -> Vec<(i64, Raised<'b>)> {
    let mut all = Vec::new();
    for (host, client, seconds) in hits {
        let contact = contact(host, *client, 80);
        bench.set.evaluate_unfiltered(&Subject::server(&contact, &[]), |found| {
            let at = Seen {
                time: Timestamp::from_parts(*seconds, 0),
                server_key: &contact.key,
                client: contact.client,
                packet: u64::try_from(*seconds).unwrap(),
                news: false,
                baselines: None,
            };
            bench.tuning.admit(state, &found, at, &mut |one| all.push((*seconds, one)));
        });
    }
    all
}

#[test]
fn a_group_fires_once_a_window_and_keeps_its_first_pair() {
    let bench = bench(&[&file(
        "SMCP-9100",
        "{rules: [SMCP-9001], type: distinct_count, of: server, at_least: 2, within: 1m, \
         by: [client]}",
        "[]",
    )]);
    let mut state = TuningState::default();
    let hosts = ["a0", "a1", "a2", "a3", "a4", "a5", "a6"];
    let hits: Vec<_> =
        (0..=140).map(|n: i64| (hosts[usize::try_from(n).unwrap() % 7], 1, n * 5)).collect();
    let all = raised(&bench, &mut state, &hits);
    let times: Vec<i64> = all.iter().map(|(seconds, _)| *seconds).collect();
    // The finding of a group is the same for ten minutes after it began.
    assert_eq!(times, [5, 65, 125, 185, 245, 305, 365, 425, 485, 545, 605, 665]);
    let key = contact("a1", 1, 80).key;
    for (seconds, one) in &all {
        assert_eq!(*one.server_key == key, *seconds < 605, "{seconds}");
        assert_eq!((one.window, one.group), (Duration::from_secs(600), all[0].1.group));
    }
    assert_eq!(all[0].1.text, "2 from 10.0.0.1 to a1");
    assert_eq!(all[0].1.packets, [0, 5]);
    let kept =
        [("server.host", "a1"), ("correlation.count", "2"), ("correlation.rules", "SMCP-9001")];
    assert_eq!(all[0].1.excerpt, kept.map(|(name, value)| (name.into(), value.into())));
    let counts = state.counts(&bench.tuning);
    assert_eq!((counts.correlations[0].fired, counts.correlations[0].rolled_up), (12, 128));
}

#[test]
fn groups_have_hashes_of_their_own_that_are_the_same_in_every_run() {
    let count = |group: &str| {
        bench(&[&file(
            "SMCP-9100",
            &format!("{{rules: [SMCP-9001], type: count, at_least: 1, within: 1m, by: [{group}]}}"),
            "[]",
        )])
    };
    let groups = |by: &str| -> Vec<u64> {
        let bench = count(by);
        let hits = [("a", 1, 0), ("a", 2, 0), ("ab", 1, 0)];
        let all = raised(&bench, &mut TuningState::default(), &hits);
        all.into_iter().map(|(_, one)| one.group).collect()
    };
    let by_client = groups("client");
    assert_eq!(by_client, groups("client"));
    assert_eq!(by_client.len(), 2);
    assert_ne!(by_client[0], by_client[1]);
    assert_eq!(groups("pair").len(), 3);
    assert_eq!(groups("server.host").len(), 2);
    assert_eq!(groups("").len(), 1);
}

#[test]
fn exceptions_come_before_correlations_and_thresholds_after() {
    let bench = bench(&[
        &file("SMCP-9100", "{rules: [SMCP-9001], type: count, at_least: 2, within: 1m}", "[]"),
        "{schema: shadowtap/exceptions@1, items: [
            {name: x, rule: SMCP-9001, when: {client.ip: {in_net: 10.0.0.9}}, because: b, owner: o,
             expires: 2030-01-01}]}",
        "{schema: shadowtap/thresholds@1, items: [
            {rule: SMCP-9001, type: both, count: 9, within: 1m, per: rule}]}",
    ]);
    let mut state = TuningState::default();
    let hits = [("a", 9, 0), ("a", 9, 0), ("a", 1, 0), ("a", 1, 0), ("a", 1, 0)];
    assert_eq!(run(&bench, &mut state, &hits), "E E H H!SMCP-9100 H");
}

#[test]
fn news_completes_sequences_but_adds_nothing_to_counts() {
    let bench = bench(&[
        &file("SMCP-9100", "{rules: [SMCP-9001], type: count, at_least: 2, within: 1m}", "[]"),
        &file("SMCP-9101", "{rules: [SMCP-9001, SMCP-9002], type: sequence, within: 1m}", "[]"),
    ]);
    let mut state = TuningState::default();
    let mut news = |host| admit(&bench, &mut state, &contact(host, 1, 80), (0, true));
    assert_eq!([news("a"), news("a"), news("b")], ["R", "R", "R!SMCP-9101"]);
}

#[test]
fn drafts_never_fire() {
    let text =
        file("SMCP-9100", "{rules: [SMCP-9001], type: count, at_least: 1, within: 1m}", "[]")
            .replace("experimental", "draft");
    let bench = bench(&[&text]);
    assert!(bench.tuning.correlation("SMCP-9100").is_some());
    assert_eq!(run(&bench, &mut TuningState::default(), &[("a", 1, 0)]), "R");
}
