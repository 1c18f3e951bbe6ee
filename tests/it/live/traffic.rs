//! What is watched is what a replay of it finds, whatever happens to the interface.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lab::{Lab, SENDER, WATCHED};
use crate::run::{capture, replay_json};

/// Rule, server, client, severity and count of findings.
pub fn essence(findings: &[Value]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for finding in findings {
        let part = |path: &str| finding.pointer(path).unwrap().to_string();
        let parts =
            ["/rule/id", "/server/key", "/source/ip", "/event/severity_name", "/event/count"];
        *found.entry(parts.map(part).join(" ")).or_default() += 1;
    }
    found
}

/// Findings as they were when they closed.
pub fn closed(findings: Vec<Value>) -> Vec<Value> {
    findings.into_iter().filter(|finding| finding["event"]["state"] == "closed").collect()
}

#[test]
fn a_capture_that_is_watched_gives_the_findings_of_its_replay() {
    let Some(lab) = Lab::new() else { return };
    let capture = capture("office-morning.pcap");
    let mut watch = lab.watch(&[]);
    lab.send(&capture);
    watch.wait_for_packets(806);
    assert_eq!(watch.stop(), 0, "{}", watch.stderr());
    let replayed = replay_json(&capture, &[]);
    let findings = watch.of_type("finding");
    let began = findings.iter().filter(|finding| finding["event"]["state"] == "began").count();
    let closed = closed(findings);
    assert_eq!(began, closed.len());
    assert_eq!(essence(&closed), essence(&replayed.of_type("finding")));
    assert_eq!(watch.of_type("message").len(), replayed.of_type("message").len());
    let stdout = watch.stdout();
    assert!(stdout.contains(" SMCP-3001 10.77.1.2 -> "), "a line as it was found: {stdout}");
    assert!(stdout.contains("MCP servers, "), "the report: {stdout}");
    assert!(stdout.ends_with("Exit code 0: stopped; findings do not fail this run\n"), "{stdout}");
    let stats = watch.of_type("stats");
    let live = &stats.last().unwrap()["live"];
    assert_eq!(live["interfaces"][0]["name"], WATCHED);
    for lost in ["dropped", "if_dropped"] {
        assert_eq!(live["interfaces"][0][lost]["total"], 0);
    }
    assert_eq!(live["shed"]["packets"]["total"], 0);
}

#[test]
fn streams_fragments_and_vlans_are_watched_as_they_are_replayed() {
    for name in [
        "sse-2024-ts104-everything.pcap",
        "st-2026-07-mixed-eras.pcap",
        "imp-ipfrag-client-side.pcap",
        "ll-qinq-a.pcap",
    ] {
        let Some(lab) = Lab::new() else { return };
        let capture = capture(name);
        let replayed = replay_json(&capture, &[]);
        let stats = replayed.of_type("stats");
        let mut watch = lab.watch(&[]);
        lab.send(&capture);
        watch.wait_for_packets(stats[0]["coverage"]["packets"].as_u64().unwrap());
        assert_eq!(watch.stop(), 0, "{name}: {}", watch.stderr());
        let findings = closed(watch.of_type("finding"));
        assert_eq!(essence(&findings), essence(&replayed.of_type("finding")), "{name}");
    }
}

#[test]
fn findings_can_fail_the_run() {
    let Some(lab) = Lab::new() else { return };
    let mut watch = lab.watch(&["--fail-on", "medium", "--no-files", "--quiet"]);
    lab.send(&capture("office-morning.pcap"));
    watch.wait_for_packets(806);
    assert_eq!(watch.stop(), 1);
    assert!(
        watch.stdout().contains("Exit code 1: there were findings of severity medium or above")
    );
    assert!(watch.events().is_empty());
}

#[test]
fn events_come_on_standard_output_while_the_run_goes_on() {
    let Some(lab) = Lab::new() else { return };
    let args = ["watch", "-i", WATCHED, "--json", "--no-files", "--stats-interval", "1s"];
    let mut command = lab.command(env!("CARGO_BIN_EXE_shadowtap"), &args);
    command.env("WATCHDOG_USEC", "1000000");
    let mut watch = lab.start(command);
    watch.wait_to_hear("WATCHDOG=1");
    lab.send(&capture("office-morning.pcap"));
    for kind in ["finding", "server", "message", "stats"] {
        let start = format!("{{\"event_type\":\"{kind}\"");
        watch.wait(kind, |watch| watch.stdout().lines().any(|line| line.starts_with(&start)));
    }
    watch.wait_to_hear("STATUS=1 of 1 interfaces up");
    watch.wait_to_hear("WATCHDOG=1");
    assert_eq!(watch.stop(), 0);
    let lines = watch.stdout();
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
}

#[test]
fn a_filter_lets_only_through_what_it_says() {
    let Some(lab) = Lab::new() else { return };
    let mut watch = lab.watch(&["--filter", "tcp port 3001"]);
    lab.send(&capture("office-morning.pcap"));
    watch.wait_for_packets(1);
    watch.stop();
    let servers = watch.of_type("server");
    assert!(!servers.is_empty());
    assert!(servers.iter().all(|server| server["server"]["port"] == 3001), "{servers:?}");
}

#[test]
fn an_interface_that_goes_down_and_up_is_read_further() {
    let Some(lab) = Lab::new() else { return };
    let mut watch = lab.watch(&[]);
    lab.set(WATCHED, "down");
    watch.wait("the interface to go down", |watch| {
        let stderr = watch.stderr();
        stderr.contains("vb: went down") || stderr.contains("vb: cannot be read")
    });
    lab.set(WATCHED, "up");
    watch.wait("the interface to come up", |watch| {
        let stderr = watch.stderr();
        stderr.contains("vb: is up again") || stderr.contains("vb: is read again")
    });
    lab.send(&capture("office-morning.pcap"));
    watch.wait_for_packets(806);
    assert_eq!(watch.stop(), 0);
    assert!(!closed(watch.of_type("finding")).is_empty());
}

#[test]
fn an_interface_that_disappears_is_opened_again_when_it_is_back() {
    let Some(lab) = Lab::new() else { return };
    let mut watch = lab.watch(&[]);
    assert!(lab.ip(&["link", "del", SENDER]));
    watch.wait_for_error_line("vb: cannot be read");
    lab.make_pair();
    watch.wait_for_error_line("vb: is read again");
    lab.send(&capture("office-morning.pcap"));
    watch.wait_for_packets(806);
    assert_eq!(watch.stop(), 0);
    assert!(!closed(watch.of_type("finding")).is_empty());
    let stats = watch.of_type("stats");
    assert_eq!(stats.last().unwrap()["live"]["interfaces"][0]["outages"], 1);
}

#[test]
fn an_interface_that_comes_later_is_waited_for() {
    let Some(lab) = Lab::new() else { return };
    assert!(lab.ip(&["link", "del", SENDER]));
    let mut watch = lab.watch(&["--wait-for-interface"]);
    watch.wait_for_error_line("vb: cannot be read");
    lab.make_pair();
    watch.wait_for_error_line("vb: is read again");
    assert_eq!(watch.stop(), 0);
}

#[test]
fn both_ends_of_a_wire_are_one_network() {
    let Some(lab) = Lab::new() else { return };
    let capture = capture("office-morning.pcap");
    // The sending end sees the packets go, the other one sees them come: everything twice.
    let mut watch = lab.watch(&["-i", SENDER]);
    lab.send(&capture);
    watch.wait_for_packets(2 * 806);
    assert_eq!(watch.stop(), 0);
    let findings = closed(watch.of_type("finding"));
    let replayed = replay_json(&capture, &[]);
    assert_eq!(essence(&findings), essence(&replayed.of_type("finding")));
}
