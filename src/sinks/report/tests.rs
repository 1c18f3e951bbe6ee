use std::sync::Arc;

use super::super::event::tests::{at, sample_finding, sample_server};
use super::super::event::{ApprovalRef, CaptureFile, Period, TlsInfo};
use super::*;
use crate::decode::{Tunnel, TunnelLayer, TunnelPath};
use crate::exchange::Visibility;
use crate::mcp::Evidence;
use crate::rules::RuleInfo;

fn render(report: &Report<'_>, style: &Style) -> String {
    let mut out = Vec::new();
    report.write(&mut out, style).unwrap();
    String::from_utf8(out).unwrap()
}

fn servers() -> Vec<ServerEvent> {
    let mut approved = sample_server();
    approved.verdict = Verdict::Approved;
    approved.reason.clear();
    approved.approval = Some(ApprovalRef {
        name: "tracker".into(),
        owner: "team-itsm".into(),
        expires: "2027-03-01".into(),
        ticket: None,
    });
    approved.server.key = "https://mcp.tracker.example:443/v1/mcp".into();
    approved.server.catalogued = Some("Tracker Inc.".into());
    approved.auth = vec!["bearer".into()];
    approved.event = Period { start: at(0), end: at(86_400) };
    let mut hint = sample_server();
    hint.mcp = false;
    hint.evidence = Evidence::Hint;
    hint.verdict = Verdict::Undetermined;
    hint.server.key = "https://mcp.elsewhere.example:443/".into();
    let mut encrypted = hint.clone();
    encrypted.server.key = "https://mcp.asana.com:443".into();
    encrypted.server.catalogued = Some("Asana".into());
    encrypted.visibility = Visibility::Tls;
    encrypted.tls = Some(TlsInfo { flows: 3, ..TlsInfo::default() });
    let mut quiet = encrypted.clone();
    quiet.server.key = "https://mcp.notion.com:443".into();
    quiet.server.catalogued = None;
    quiet.verdict = Verdict::Approved;
    quiet.tls = Some(TlsInfo { flows: 1, ..TlsInfo::default() });
    let mut proxied = sample_server();
    proxied.server.key = "http://192.0.2.7:8000/mcp".into();
    proxied.server.names = vec!["files.example".into()];
    proxied.server.via_proxy = true;
    proxied.server.proxies = vec!["10.0.0.8".parse().unwrap()];
    vec![approved, sample_server(), hint, encrypted, quiet, proxied]
}

fn findings() -> Vec<Finding> {
    let other = |id: &str, severity| {
        let mut finding = sample_finding();
        finding.rule = Arc::new(RuleInfo { id: id.into(), ..(*finding.rule).clone() });
        finding.severity = severity;
        finding.count = 1;
        finding.text = "tools/list without credentials was answered".into();
        finding
    };
    vec![
        other("SMCP-3001", Severity::Info),
        other("SMCP-2001", Severity::Medium),
        sample_finding(),
        other("SMCP-3001", Severity::Info),
    ]
}

fn stats() -> StatsEvent {
    StatsEvent {
        captures: vec![CaptureFile {
            file: "a.pcap".into(),
            stopped: Some("the file ends inside packet 18".into()),
            ..CaptureFile::default()
        }],
        coverage: Coverage {
            packets: 1200,
            flows: 9,
            payload_bytes: 5_000_000,
            readable_bytes: 4_321_000,
            encrypted_flows: 1,
            encrypted_bytes: 600_000,
            gaps: 2,
            gap_bytes: 79_000,
            truncated_packets: 3,
            evictions: 1,
            ..Coverage::default()
        },
        ..StatsEvent::default()
    }
}

const GOLDEN: &str = "\
3 MCP servers, 2 not approved; 4 findings (1 high, 1 medium, 2 info); 3 hints

✗ NOT APPROVED  http://mcp.example:8000/mcp
    approval  no approval covers this server
    what      tracker 1.2, MCP 2025-06-18, Streamable HTTP
    where     192.0.2.1:8000, [2001:db8::1]:8000
    who       10.0.0.1 (agent 0.9)
    called    search ×2, delete ×1
    auth      none
    evidence  MCP requests and their answers were read
    seen      2026-11-22 08:00:00 to 08:01:00 UTC

✗ NOT APPROVED  http://192.0.2.7:8000/mcp
    approval  no approval covers this server
    what      tracker 1.2, MCP 2025-06-18, Streamable HTTP
    where     192.0.2.1:8000, [2001:db8::1]:8000, by DNS files.example, through the proxy 10.0.0.8
    who       10.0.0.1 (agent 0.9)
    called    search ×2, delete ×1
    auth      none
    evidence  MCP requests and their answers were read
    seen      2026-11-22 08:00:00 to 08:01:00 UTC

✓ approved  https://mcp.tracker.example:443/v1/mcp  Tracker Inc.
    approval  tracker, until 2027-03-01, owner team-itsm
    what      tracker 1.2, MCP 2025-06-18, Streamable HTTP
    where     192.0.2.1:8000, [2001:db8::1]:8000
    who       10.0.0.1 (agent 0.9)
    called    search ×2, delete ×1
    auth      bearer
    evidence  MCP requests and their answers were read
    seen      2026-11-22 08:00:00 to 2026-11-23 08:00:00 UTC

Hints, not proven
  ? https://mcp.elsewhere.example:443/: only a name, a path or an attempt, from 10.0.0.1
  ? https://mcp.asana.com:443 (Asana): 3 encrypted flows to a host of that name, from 10.0.0.1
  ? https://mcp.notion.com:443: 1 encrypted flow to a host of that name, approved, from 10.0.0.1

Findings
  HIGH      SMCP-1001 Unapproved \"server\"
            10.0.0.1 → http://mcp.example:8000/mcp: 10.0.0.1 called delete\\u{1b}[2J (3 times)
              look: day 1/a.pcap, frame.number == 17
              software: client agent 0.9, server tracker 1.2
              matched: args.text (percent): rm -rf /\\u{1b}[2J
              to silence it: shadowtap findings verdict 0123456789ab benign
            → Ask the owner.
  MEDIUM    SMCP-2001 Unapproved \"server\"
            10.0.0.1 → http://mcp.example:8000/mcp: tools/list without credentials was answered
              look: day 1/a.pcap, frame.number == 17
              software: client agent 0.9, server tracker 1.2
              matched: args.text (percent): rm -rf /\\u{1b}[2J
              to silence it: shadowtap findings verdict 0123456789ab benign
            → Ask the owner.
  info      2 findings not shown: SMCP-3001 ×2

Take note
  approval of tracker expires on 2027-03-01

Could not see
  the rest of a.pcap: the file ends inside packet 18
  1 encrypted flow without keys, 600.0 kB
  2 gaps in TCP streams, 79.0 kB missing
  3 packets cut by the snap length
  1 time something was pushed out of full memory
  servers over stdio, and what a tool does behind its server: never on the wire
  read 86.4 % of the payload (4.3 MB of 5.0 MB) in 1200 packets and 9 flows

Written: findings/a.ndjson, a\\u{7}.sarif
Exit code 1: findings at or above medium
";

#[test]
fn the_report_reads_well() {
    let (servers, findings, stats) = (servers(), findings(), stats());
    let report = Report {
        servers: &servers,
        findings: &findings,
        stats: &stats,
        notices: &["approval of tracker expires on 2027-03-01".to_owned()],
        written: &["findings/a.ndjson".to_owned(), "a\u{7}.sarif".to_owned()],
        exit_code: 1,
        exit_reason: "findings at or above medium",
    };
    assert_eq!(render(&report, &Style::default()), GOLDEN);
    let coloured = render(&report, &Style { colour: true, ..Style::default() });
    assert!(coloured.contains("\x1b["));
    let bare =
        regex::Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(&coloured, "").into_owned();
    assert_eq!(bare, GOLDEN);
}

#[test]
fn an_empty_capture_says_so_and_still_names_the_blind_spots() {
    let stats = StatsEvent::default();
    let report = Report {
        servers: &[],
        findings: &[],
        stats: &stats,
        notices: &[],
        written: &[],
        exit_code: 0,
        exit_reason: "nothing found",
    };
    let want = "\
no MCP server; no findings

Could not see
  servers over stdio, and what a tool does behind its server: never on the wire
  no TCP payload in the capture

Exit code 0: nothing found
";
    assert_eq!(render(&report, &Style::default()), want);
}

#[test]
fn nothing_from_the_network_reaches_the_terminal_raw() {
    let evil = "\x1b]0;x\x07\u{202e}\n\u{9b}2J";
    let mut server = sample_server();
    server.server.key = format!("http://a/{evil}");
    server.server.catalogued = Some(evil.into());
    server.server.software[0].name = evil.into();
    server.server.software[0].version = evil.into();
    server.protocol_versions = vec![evil.into()];
    server.transports = vec![evil.into()];
    server.reason = evil.into();
    server.auth = vec![evil.into()];
    server.server.names = vec![evil.into()];
    server.tools_called.insert(evil.into(), 9);
    server.clients[0].software.clear();
    server.clients[0].user_agents = vec![evil.into()];
    let mut hint = server.clone();
    hint.mcp = false;
    let mut finding = sample_finding();
    finding.text = evil.into();
    finding.server_key = evil.into();
    finding.packets[0].file = evil.into();
    finding.user = Some(evil.into());
    finding.software = vec![evil.into()];
    finding.matched[0].text = evil.into();
    finding.matched[0].view = evil;
    finding.id = evil.into();
    let mut stats = stats();
    stats.captures[0].file = evil.into();
    stats.captures[0].stopped = Some(evil.into());
    let report = Report {
        servers: &[server, hint],
        findings: &[finding],
        stats: &stats,
        notices: &[evil.to_owned()],
        written: &[],
        exit_code: 1,
        exit_reason: evil,
    };
    let text = render(&report, &Style::default());
    assert!(text.lines().count() < 60);
    let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(raw), "{text:?}");
}

#[test]
fn many_findings_of_one_rule_are_cut() {
    let findings = vec![sample_finding(); 25];
    let report = Report {
        servers: &[],
        findings: &findings,
        stats: &StatsEvent::default(),
        notices: &[],
        written: &[],
        exit_code: 1,
        exit_reason: "x",
    };
    let text = render(&report, &Style::default());
    assert_eq!(text.matches("look:").count(), 10);
    assert!(text.contains("and 15 more"));
    assert_eq!(text.matches("→ Ask the owner.").count(), 1);
}

#[test]
fn a_finding_says_what_its_packet_is_inside_of() {
    let outer = ("10.0.0.8".parse().unwrap(), "10.0.0.9".parse().unwrap());
    let mut finding = sample_finding();
    finding.tunnels = TunnelPath(vec![
        TunnelLayer { kind: Tunnel::Vlan, id: Some(7), outer: None },
        TunnelLayer { kind: Tunnel::Ipip, id: None, outer: Some(outer) },
    ]);
    let report = Report {
        servers: &[],
        findings: &[finding],
        stats: &StatsEvent::default(),
        notices: &[],
        written: &[],
        exit_code: 1,
        exit_reason: "x",
    };
    let text = render(&report, &Style::default());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "frame.number == 17, inside vlan 7, ipip (10.0.0.8 → 10.0.0.9)";
    assert!(text.contains(expected), "{text}");
}
