use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::decode::{Tunnel, TunnelLayer, TunnelPath};
use crate::exchange::Visibility;
use crate::finding::{Finding, FlowTuple, Matched, PacketRef};
use crate::mcp::Evidence;
use crate::net::Direction;
use crate::observation::{Channel, Kind, MessageId, Software};
use crate::rules::{Lane, RuleInfo, Severity, Status};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// 2026-11-22T08:00:00Z and a second more for each step.
pub(in crate::sinks) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(1_795_334_400 + seconds, 0)
}

pub(in crate::sinks) fn sample_finding() -> Finding {
    let client = Endpoint::new("10.0.0.1".parse().unwrap(), 40_000);
    let server = Endpoint::new("192.0.2.1".parse().unwrap(), 8000);
    Finding {
        id: "0123456789abcdef0123456789abcdef".into(),
        rule: Arc::new(RuleInfo {
            id: "SMCP-1001".into(),
            rev: 2,
            title: "Unapproved \"server\"".into(),
            status: Status::Stable,
            lane: Lane::Alert,
            severity: Severity::Medium,
            confidence: 90,
            why: "Nobody answers for it.".into(),
            todo: vec!["Ask the owner.".into()],
            refs: vec!["https://owasp.org/".into()],
        }),
        severity: Severity::High,
        evidence: Evidence::Confirmed,
        verdict: Verdict::Unapproved,
        server_key: "http://mcp.example:8000/mcp".into(),
        server,
        per_server: false,
        client: client.ip,
        user: None,
        device: None,
        groups: Vec::new(),
        sources: vec!["packets".into()],
        approval: None,
        reason: "no approval covers this server".into(),
        software: vec!["client agent 0.9".into(), "server tracker 1.2".into()],
        visibility: Visibility::Body,
        text: "10.0.0.1 called delete\x1b[2J".into(),
        excerpt: vec![("method".into(), "tools/call".into())],
        matched: vec![Matched {
            field: "args.text".into(),
            view: "percent",
            text: "rm -rf /\x1b[2J".into(),
        }],
        told_apart: Vec::new(),
        count: 3,
        first_seen: at(0),
        last_seen: at(60),
        first_packet: 16,
        flows: vec![FlowTuple { client, server, protocol: 6 }],
        packets: vec![PacketRef { file: "day 1/a.pcap".into(), number: 17 }],
        tunnels: TunnelPath::default(),
    }
}

pub(in crate::sinks) fn sample_server() -> ServerEvent {
    let software =
        |name: &str, version: &str| Software { name: name.into(), version: version.into() };
    let period = Period { start: at(0), end: at(60) };
    ServerEvent {
        timestamp: at(0),
        mcp: true,
        evidence: Evidence::Confirmed,
        visibility: Visibility::Body,
        verdict: Verdict::Unapproved,
        reason: "no approval covers this server".into(),
        approval: None,
        server: ServerInfo {
            key: "http://mcp.example:8000/mcp".into(),
            address: "mcp.example".into(),
            domain: Some("mcp.example".into()),
            ip: Some("192.0.2.1".parse().unwrap()),
            port: 8000,
            path: "/mcp".into(),
            endpoints: vec![
                Endpoint::new("192.0.2.1".parse().unwrap(), 8000),
                Endpoint::new("2001:db8::1".parse().unwrap(), 8000),
            ],
            software: vec![software("tracker", "1.2")],
            names: Vec::new(),
            aliases: Vec::new(),
            via_proxy: false,
            proxies: Vec::new(),
            catalogued: None,
        },
        event: period,
        protocol_versions: vec!["2025-06-18".into()],
        eras: vec!["legacy".into()],
        transports: vec!["streamable-http".into()],
        methods: Directions {
            client_to_server: BTreeMap::from([("initialize".into(), 1), ("tools/call".into(), 3)]),
            server_to_client: BTreeMap::new(),
        },
        responses: Directions {
            client_to_server: Responses::default(),
            server_to_client: Responses { result: 3, input_required: 0, error: 1 },
        },
        outcomes: BTreeMap::from([(
            "tools/call".into(),
            Outcomes { result: 2, error: 1, ..Outcomes::default() },
        )]),
        tools_called: BTreeMap::from([("delete".into(), 1), ("search".into(), 2)]),
        definitions: Definitions {
            tools: vec![DefinitionRef {
                name: "search".into(),
                digest: Some("ab".into()),
                first: Some(at(2)),
            }],
            ..Definitions::default()
        },
        clients: vec![Client {
            ip: "10.0.0.1".parse().unwrap(),
            software: vec![software("agent", "0.9")],
            user_agents: vec!["node".into()],
            event: period,
            auth: vec!["none".into()],
            verdict: Verdict::Unapproved,
            reason: "no approval covers this server".into(),
            messages: 8,
            tools_called: BTreeMap::from([("delete".into(), 1), ("search".into(), 2)]),
        }],
        sessions: vec!["0011223344556677".into()],
        auth: vec!["none".into()],
        bytes: Directions { client_to_server: 900, server_to_client: 12_345 },
        http_status: BTreeMap::from([(200, 4), (202, 1)]),
        refused_attempts: 0,
        anomalies: BTreeMap::new(),
        tls: None,
    }
}

fn line(event: &Event<'_>) -> serde_json::Value {
    let mut out = Vec::new();
    crate::sinks::ndjson::write_event(&mut out, event).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.starts_with("{\"event_type\":"), "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_server_line_has_what_the_label_checker_reads() {
    let server = sample_server();
    let line = line(&Event::Server(&server));
    assert_eq!(line["event_type"], "server");
    assert_eq!(line["@timestamp"], "2026-11-22T08:00:00.000000Z");
    assert_eq!(line["mcp"], true);
    assert_eq!(line["evidence"], "confirmed");
    assert_eq!(line["server"]["key"], "http://mcp.example:8000/mcp");
    let endpoints = serde_json::json!(["192.0.2.1:8000", "[2001:db8::1]:8000"]);
    assert_eq!(line["server"]["endpoints"], endpoints);
    assert_eq!(line["protocol_versions"], serde_json::json!(["2025-06-18"]));
    assert_eq!(line["methods"]["client_to_server"]["tools/call"], 3);
    assert_eq!(line["methods"]["server_to_client"], serde_json::json!({}));
    assert_eq!(line["responses"]["server_to_client"]["result"], 3);
    assert_eq!(line["responses"]["client_to_server"]["error"], 0);
    assert_eq!(line["tools_called"]["search"], 2);
    assert_eq!(line["http_status"]["200"], 4);
    assert_eq!(line["clients"][0]["software"][0]["name"], "agent");
}

#[test]
fn a_finding_line_is_an_ecs_alert() {
    let event = FindingEvent::from(&sample_finding());
    let line = line(&Event::Finding(&event));
    assert_eq!(line["event_type"], "finding");
    assert_eq!(line["evidence"], "confirmed");
    assert_eq!(line["event"]["kind"], "alert");
    assert_eq!(line["event"]["severity"], 4);
    assert_eq!(line["event"]["severity_name"], "high");
    assert_eq!(line["event"]["count"], 3);
    assert_eq!(line["rule"]["id"], "SMCP-1001");
    assert_eq!(line["rule"]["version"], "2");
    assert_eq!(line["source"], serde_json::json!({"ip": "10.0.0.1", "port": 40_000}));
    assert_eq!(line["destination"], serde_json::json!({"ip": "192.0.2.1", "port": 8000}));
    assert_eq!(line["server"]["key"], "http://mcp.example:8000/mcp");
    assert_eq!(line["network"]["community_id"], line["flows"][0]["community_id"]);
    assert_eq!(line["packets"], serde_json::json!([{"file": "day 1/a.pcap", "number": 17}]));
    assert_eq!(line["verdict"], "unapproved");
    assert_eq!(line["todo"][0], "Ask the owner.");
    assert_eq!(line["excerpt"][0], serde_json::json!({"name": "method", "value": "tools/call"}));
}

#[test]
fn a_finding_line_answers_who_with_what_why_and_how_to_silence_it() {
    let mut finding = sample_finding();
    finding.user = Some("ada".into());
    finding.groups = vec!["staff".into()];
    finding.device = Some("ada-laptop".into());
    finding.approval = Some("tracker".into());
    let event = FindingEvent::from(&finding);
    let line = line(&Event::Finding(&event));
    assert_eq!(line["user"], serde_json::json!({"name": "ada", "groups": ["staff"]}));
    assert_eq!(line["device"], serde_json::json!({"name": "ada-laptop"}));
    assert_eq!(line["sources"], serde_json::json!(["packets"]));
    assert_eq!(line["approval"], serde_json::json!({"name": "tracker"}));
    assert_eq!(line["reason"], "no approval covers this server");
    assert_eq!(line["software"], serde_json::json!(["client agent 0.9", "server tracker 1.2"]));
    let matched =
        serde_json::json!([{"field": "args.text", "view": "percent", "text": "rm -rf /\u{1b}[2J"}]);
    assert_eq!(line["matched"], matched);
    let silence = line["silence"].as_str().unwrap();
    assert!(silence.starts_with("- name: \"SMCP-1001 0123456789ab\"\n  rule: SMCP-1001\n"));
    assert!(silence.ends_with("  expires: 2027-02-20\n"), "{silence}");
    let plain = FindingEvent::from(&sample_finding());
    let plain = serde_json::to_value(Event::Finding(&plain)).unwrap();
    assert!(plain.get("user").is_none() && plain.get("approval").is_none());
}

#[test]
fn a_finding_line_has_the_tunnels_outermost_first() {
    let outer = ("10.0.0.8".parse().unwrap(), "10.0.0.9".parse().unwrap());
    let layers = vec![
        TunnelLayer { kind: Tunnel::Vlan, id: Some(7), outer: None },
        TunnelLayer { kind: Tunnel::VxlanGpe, id: Some(42), outer: Some(outer) },
        TunnelLayer { kind: Tunnel::Ipip, id: None, outer: Some(outer) },
    ];
    let mut finding = sample_finding();
    let plain = line(&Event::Finding(&FindingEvent::from(&finding)));
    assert!(plain.get("tunnels").is_none());
    finding.tunnels = TunnelPath(layers);
    let line = line(&Event::Finding(&FindingEvent::from(&finding)));
    let expected = serde_json::json!([
        {"kind": "vlan", "id": 7},
        {"kind": "vxlan-gpe", "id": 42, "outer_src": "10.0.0.8", "outer_dst": "10.0.0.9"},
        {"kind": "ipip", "outer_src": "10.0.0.8", "outer_dst": "10.0.0.9"},
    ]);
    assert_eq!(line["tunnels"], expected);
    assert_eq!(line["network"], plain["network"]);
}

#[test]
fn a_message_line_leaves_out_what_is_not_known() {
    let event = MessageEvent {
        timestamp: at(1),
        packet: Some(Packet { file: "a.pcap".into(), number: 4 }),
        source: Endpoint::new("10.0.0.1".parse().unwrap(), 40_000).into(),
        destination: Endpoint::new("192.0.2.1".parse().unwrap(), 8000).into(),
        client: None,
        server: ServerKey { key: "http://mcp.example:8000/mcp".into() },
        verdict: Verdict::Unapproved,
        mcp: McpMessage {
            direction: Direction::ToServer,
            kind: Kind::Request,
            method: Some("tools/call".into()),
            id: Some(MessageId("\"1\"".into())),
            name: Some("search".into()),
            uri: None,
            protocol_version: None,
            session: None,
            error_code: None,
            http_status: None,
            channel: Channel::RequestBody,
            size: 120,
            partial: false,
            ambiguous: false,
        },
    };
    let line = line(&Event::Message(&event));
    assert_eq!(line["event_type"], "message");
    assert_eq!(line["mcp"]["direction"], "to_server");
    assert_eq!(line["mcp"]["id"], "\"1\"");
    assert!(line["mcp"].get("uri").is_none());
}

#[test]
fn coverage_is_full_only_when_nothing_is_missing() {
    let permille = |readable_bytes, payload_bytes| {
        Coverage { readable_bytes, payload_bytes, ..Coverage::default() }.permille()
    };
    assert_eq!(permille(0, 0), None);
    assert_eq!(permille(999_999, 1_000_000), Some(999));
    assert_eq!(permille(7, 7), Some(1000));
    assert_eq!(permille(9, 7), Some(1000));
    assert_eq!(permille(u64::MAX, u64::MAX), Some(1000));
}

#[test]
fn field_order_is_fixed() {
    let server = sample_server();
    let first = serde_json::to_string(&Event::Server(&server)).unwrap();
    assert_eq!(first, serde_json::to_string(&Event::Server(&server.clone())).unwrap());
    let want = r#"{"event_type":"server","@timestamp":"2026-11-22T08:00:00.000000Z","mcp":true,"evidence":"confirmed","visibility":"body","verdict":"unapproved","#;
    assert!(first.starts_with(want), "{first}");
}
