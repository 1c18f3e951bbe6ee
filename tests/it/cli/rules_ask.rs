//! Questions to rules: tested, explained, measured, asked why, matched to taxonomies, counted.

use super::{finish, folder, program, run_in};
use crate::run::{capture, root};

const NAME: &str = "sh-2025-06-py1124-py1124.pcap";

#[test]
fn tests_of_shipped_rules_are_counted_in_a_table() {
    for args in [&["rules", "test"][..], &["rules", "test", "rules/servers", "rules/lists"]] {
        let run = run_in(root(), args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        assert!(run.stdout.starts_with("ID         HIT  NONE  KNOWN MISS  FAILED  TITLE\n"));
        assert!(run.stdout.contains("SMCP-3001    5     5           1       0  Unapproved"));
        assert!(run.stdout.ends_with(": 0 failed\n"), "{}", run.stdout);
    }
    let run = run_in(root(), &["rules", "test", "--only", "smcp-1102", "--only", "SMCP-3001"]);
    assert!(run.stdout.ends_with("2 rules, 21 tests: 0 failed\n"), "{}", run.stdout);
    let run = run_in(root(), &["rules", "test", "--only", "SMCP-9999"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("no rule SMCP-9999 to test"), "{}", run.stderr);
}

#[test]
fn a_failing_test_ends_the_run_with_its_place_and_what_was_seen() {
    let folder = folder(&[]);
    let text = std::fs::read_to_string(root().join("rules/protocol/tools.yaml")).unwrap();
    let text = text.replacen(
        "method: tools/call, params: {name: add",
        "method: ping, params: {name: add",
        1,
    );
    std::fs::write(folder.path().join("own.yaml"), text).unwrap();
    let run = run_in(folder.path(), &["rules", "test", "own.yaml"]);
    assert_eq!(run.code, 2);
    for part in
        ["error[test-failed]: `call` should be a hit", "--> own.yaml:", "the evidence is `hint`"]
    {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stdout.ends_with("1 rule, 10 tests: 1 failed\n"), "{}", run.stdout);
    std::fs::write(folder.path().join("bad.yaml"), "schema: shadowtap/rule@1\n").unwrap();
    let run = run_in(folder.path(), &["rules", "test", "bad.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("1 problem kept files from being tested"), "{}", run.stdout);
}

#[test]
fn why_answers_for_every_event_of_a_replay() {
    let folder = folder(&[NAME]);
    let replay = run_in(folder.path(), &["replay", NAME, "--json", "--no-files"]);
    let mut asked = std::collections::BTreeSet::new();
    for line in replay.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = event["event_type"].as_str().unwrap().to_owned();
        let about = event["rule"]["id"].as_str().unwrap_or(&kind).to_owned();
        if !asked.insert(about.clone()) {
            continue;
        }
        let run = finish(program(folder.path(), &["rules", "why", "-"]), line.as_bytes());
        match kind.as_str() {
            "finding" => {
                assert_eq!(run.code, 0, "{}", run.stderr);
                assert!(run.stdout.starts_with(&format!("{about} ")), "{}", run.stdout);
                assert!(
                    !run.stdout.contains("  ✗ ") || run.stdout.contains(" of\n"),
                    "{}",
                    run.stdout
                );
            }
            "stats" | "flow" => {
                assert_eq!((run.code, run.stdout.as_str()), (2, ""));
                let said = format!("events of type {kind}");
                assert!(run.stderr.contains(&said), "{}", run.stderr);
            }
            _ => assert_eq!((run.code, run.stdout.is_empty()), (0, false), "{}", run.stderr),
        }
    }
    assert!(asked.len() >= 6, "{asked:?}");
    let run = finish(program(folder.path(), &["rules", "why", "-"]), replay.stdout.as_bytes());
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("give one event"), "{}", run.stderr);
}

#[test]
fn why_reads_an_example_and_shows_values_of_conditions() {
    let folder = folder(&[]);
    let example = "request:\n  body: {jsonrpc: \"2.0\", id: 1, method: tools/call, params: {name: add}}\n\
        response:\n  body: {jsonrpc: \"2.0\", id: 1, result: {content: []}}\n";
    std::fs::write(folder.path().join("x.yaml"), example).unwrap();
    let run = run_in(folder.path(), &["rules", "why", "x.yaml", "--rule", "smcp-1102"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    for part in [
        "matching rules: ",
        "SMCP-1102 MCP tool methods: matches message 1 of 2 (request tools/call add)",
        "✓ mcp.method is `tools/list` or `tools/call`",
        ": `tools/call`\n",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let all = run_in(folder.path(), &["rules", "why", "x.yaml"]);
    assert!(
        all.stdout.contains("SMCP-3001 Unapproved MCP server: matches server 1"),
        "{}",
        all.stdout
    );
    std::fs::write(folder.path().join("x.yaml"), "requst: {}\n").unwrap();
    let run = run_in(folder.path(), &["rules", "why", "x.yaml"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(
        run.stderr.contains("x.yaml:1:1") && run.stderr.contains("`request`"),
        "{}",
        run.stderr
    );
}

#[test]
fn explain_says_what_deciding_then_allows_and_which_literals_there_were() {
    let run = run_in(root(), &["rules", "explain", "SMCP-1102"]);
    let part = "decides     with the request body: can refuse inline at the request body";
    assert!(run.stdout.contains(part), "{}", run.stdout);
    assert!(!run.stdout.contains("\nCost\n"));
    let name = capture(NAME);
    let args = ["rules", "explain", "SMCP-1102", "--measure", name.to_str().unwrap()];
    let run = run_in(root(), &args);
    assert!(run.stdout.contains("\nCost\n  "), "{}", run.stdout);
    assert!(run.stdout.contains(" ns for one message of "), "{}", run.stdout);
}

#[test]
fn bench_measures_the_rules_whose_subjects_occur() {
    let folder = folder(&[NAME]);
    let run = run_in(folder.path(), &["rules", "bench", NAME]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let head = "ID         ON        SUBJECTS";
    assert!(run.stdout.starts_with(head), "{}", run.stdout);
    let row = run.stdout.lines().find(|line| line.starts_with("SMCP-1102")).unwrap();
    assert!(row.contains(" %"), "{row}");
    for part in ["nothing to look at for SMCP-2010", "all rules together: ", "compiled: "] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    std::fs::write(folder.path().join("empty.pcap"), "no capture").unwrap();
    let run = run_in(folder.path(), &["rules", "bench", "empty.pcap"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("nothing to look at"), "{}", run.stderr);
}

#[test]
fn the_matrix_names_gaps_as_markdown_and_json() {
    let run = run_in(root(), &["rules", "cover"]);
    assert_eq!(run.code, 0);
    for part in [
        "## OWASP MCP Top 10 (2025): ",
        "| MCP09:2025 Shadow MCP Servers | ",
        "SMCP-3001 Unapproved MCP server (alert, experimental)",
        "| MCP08:2025 Lack of Audit and Telemetry |  | out of reach: ",
        "\n## Gaps\n",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let run = run_in(root(), &["rules", "cover", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["standards"][0]["rows"].as_array().unwrap().len(), 10);
}

#[test]
fn stats_count_by_rule_and_name_those_that_never_fired() {
    let folder = folder(&[NAME]);
    assert_eq!(run_in(folder.path(), &["replay", NAME, "-q"]).code, 1);
    let file = "findings/sh-2025-06-py1124-py1124.ndjson";
    let run = run_in(folder.path(), &["rules", "stats", file]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(
        run.stdout.starts_with("ID         HITS  FINDINGS  SERVERS  TITLE\n"),
        "{}",
        run.stdout
    );
    let (fired, idle) = run.stdout.split_once(" never fired\n").unwrap();
    assert!(fired.contains("SMCP-3001") && idle.contains("SMCP-2013"), "{}", run.stdout);
    let run = run_in(folder.path(), &["rules", "stats", NAME]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("are no events"), "{}", run.stderr);
    let run = run_in(folder.path(), &["rules", "stats", "nope"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
}
