//! What the shipped rules say of real traffic: they must not cry wolf.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{count, findings};
use crate::run::{Run, capture, replay_json, root};

fn replay(name: &str) -> Run {
    replay_json(&capture(name), &[])
}

/// Each capture and its run.
static RUNS: LazyLock<Vec<(String, Run)>> = LazyLock::new(|| {
    let run = |name: String| {
        let run = replay(&name);
        (name, run)
    };
    captures().into_iter().map(run).collect()
});

fn captures() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("captures")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".pcap") || name.ends_with(".pcapng")).collect();
    names.sort();
    names
}

#[test]
fn traffic_that_is_not_mcp_gives_hints_at_most() {
    let mut seen = 0;
    for (name, run) in RUNS.iter().filter(|(name, _)| name.starts_with("neg-")) {
        assert_eq!(run.code, 0, "{name}: {}", run.stdout);
        for finding in run.of_type("finding") {
            assert_eq!(finding["evidence"], "hint", "{name}: {finding}");
            assert_eq!(finding["event"]["severity_name"], "info", "{name}: {finding}");
        }
        seen += 1;
    }
    assert!(seen > 5);
}

#[test]
fn an_unapproved_server_is_said_once_for_each_client() {
    for (name, run) in RUNS.iter() {
        let mut said: BTreeMap<(String, String), usize> = BTreeMap::new();
        for finding in run.of_type("finding") {
            if finding["rule"]["id"] == "SMCP-3001" {
                let text = |pointer: &str| finding.pointer(pointer).unwrap().to_string();
                *said.entry((text("/server/key"), text("/source/ip"))).or_default() += 1;
            }
        }
        assert!(said.values().all(|count| *count == 1), "{name}: {said:?}");
    }
}

#[test]
fn sentences_have_no_holes() {
    for (name, run) in RUNS.iter() {
        for (rule, _, text) in findings(run) {
            let holes = ["  ", "()", " -", "--", " ,", "{", "}"];
            let hole = holes.iter().find(|hole| text.contains(**hole));
            assert_eq!(hole, None, "{name}: {rule}: {text}");
            assert!(!text.ends_with([' ', ':', ',']), "{name}: {rule}: {text}");
        }
    }
}

#[test]
fn mcp_in_the_clear_weighs_little_inside_and_nothing_on_loopback() {
    let inside = findings(&replay("sh-2025-06-py1124-py1124.pcap"));
    let clear: Vec<_> = inside.iter().filter(|(id, ..)| id == "SMCP-6003").collect();
    assert_eq!(clear.len(), 1);
    assert_eq!(clear[0].1, "low");
    let loopback = replay("ll-loopback-lo.pcap");
    let exposure = findings(&loopback).into_iter().filter(|(id, ..)| id.starts_with("SMCP-6"));
    assert_eq!(exposure.collect::<Vec<_>>(), []);
    assert_eq!(count(&loopback, "SMCP-3001"), 1);
}

#[test]
fn credentials_in_the_clear_are_high() {
    let run = replay("oauth-401-only.pcap");
    let of = |id: &str| findings(&run).into_iter().filter(|(rule, ..)| rule == id).count();
    assert_eq!(of("SMCP-6002"), 1);
    assert_eq!(of("SMCP-6001"), 0, "it asks for a token");
    assert!(findings(&run).iter().any(|(id, severity, _)| id == "SMCP-6002" && severity == "high"));
}
