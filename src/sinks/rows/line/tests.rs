use std::net::Ipv6Addr;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sinks::event::tests::{at, sample_finding, sample_server};
use crate::sinks::event::{Event, FindingEvent, StatsEvent};
use crate::sinks::rows::{FindingRow, FlowRow, MessageRow, Micros, StatsRow, ToolRow};

const SOURCE: Source<'_> = Source { sensor: "edge-1", run: "" };

fn read(line: &str) -> Result<Vec<Row>, LineError> {
    let mut found = Vec::new();
    rows(line.as_bytes(), &SOURCE, &mut |row| found.push(row))?;
    Ok(found)
}

fn one(line: &Value) -> Row {
    let mut found = read(&line.to_string()).unwrap();
    assert_eq!(found.len(), 1, "{line}");
    found.remove(0)
}

fn v4(text: &str) -> Ipv6Addr {
    text.parse::<std::net::Ipv4Addr>().unwrap().to_ipv6_mapped()
}

fn finding(line: &str) -> FindingRow {
    match read(line).unwrap().remove(0) {
        Row::Finding(row) => *row,
        row => panic!("{row:?}"),
    }
}

#[test]
fn a_finding_gives_a_row_with_all_that_it_says() {
    let mut told = sample_finding();
    told.user = Some("ada".into());
    told.device = Some("ada-laptop".into());
    told.groups = vec!["staff".into()];
    told.sources = vec!["packets".into(), "squid".into()];
    told.approval = Some("tracker".into());
    let line = serde_json::to_string(&Event::Finding(&FindingEvent::from(&told))).unwrap();
    let row = finding(&line);
    let community = crate::finding::community_id(&told.flows[0]);
    let want = FindingRow {
        ts: at(0).into(),
        last_seen: at(60).into(),
        finding_id: "0123456789abcdef0123456789abcdef".into(),
        version: 15,
        state: String::new(),
        sensor: "edge-1".into(),
        rule_id: "SMCP-1001".into(),
        rule_name: "Unapproved \"server\"".into(),
        rule_version: "2".into(),
        rule_status: "stable".into(),
        lane: "alert".into(),
        severity: 4,
        severity_name: "high".into(),
        confidence: 90,
        hits: 3,
        evidence: "confirmed".into(),
        visibility: "body".into(),
        verdict: "unapproved".into(),
        reason: "no approval covers this server".into(),
        approval: "tracker".into(),
        client_ip: v4("10.0.0.1"),
        client_port: 40_000,
        server_ip: v4("192.0.2.1"),
        server_port: 8000,
        server_key: "http://mcp.example:8000/mcp".into(),
        server_host: "mcp.example".into(),
        transport: "tcp".into(),
        community_id: community.clone(),
        user: "ada".into(),
        software: vec!["client agent 0.9".into(), "server tracker 1.2".into()],
        message: "10.0.0.1 called delete\x1b[2J".into(),
        why: "Nobody answers for it.".into(),
        todo: vec!["Ask the owner.".into()],
        refs: vec!["https://owasp.org/".into()],
        matched: vec!["args.text@percent: rm -rf /\x1b[2J".into()],
        packets: vec!["day 1/a.pcap:17".into()],
        flows: vec![community],
        document: line,
        device: "ada-laptop".into(),
        groups: vec!["staff".into()],
        sources: vec!["packets".into(), "squid".into()],
    };
    assert_eq!(row, want);
}

#[test]
fn a_finding_told_again_has_a_higher_version() {
    let told = |count: u64, state: &str| {
        let event = json!({"id": "ab", "count": count, "state": state});
        finding(&json!({"event_type": "finding", "event": event}).to_string()).version
    };
    let versions = [
        told(1, "began"),
        told(1, "rose"),
        told(2, "rose"),
        told(2, "closed"),
        told(7, "closed"),
        told(u64::MAX / 2, "closed"),
    ];
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[test]
fn a_document_that_is_too_long_is_replaced_by_one_that_says_so() {
    let line = |padding: usize| {
        let text = "x".repeat(padding);
        json!({"event_type": "finding", "event": {"id": "ab"}, "excerpt": text}).to_string()
    };
    let fits = line(MAX_DOCUMENT_BYTES - line(0).len());
    assert_eq!(finding(&fits).document, fits);
    let document = finding(&line(MAX_DOCUMENT_BYTES)).document;
    let document: Value = serde_json::from_str(&document).unwrap();
    let bytes = line(MAX_DOCUMENT_BYTES).len();
    let want = json!({"event_type": "finding", "event": {"id": "ab"}, "cut": {"bytes": bytes}});
    assert_eq!(document, want);
}

#[test]
fn a_message_gives_a_row() {
    let line = json!({
        "event_type": "message", "@timestamp": "2026-11-22T08:00:01.000002Z",
        "packet": {"file": "a.pcap", "number": 4},
        "source": {"ip": "2001:db8::7", "port": 40000}, "destination": {"ip": "192.0.2.1", "port": 8000},
        "server": {"key": "tcp://[2001:db8::1]:9000"}, "verdict": "unapproved",
        "client": {"software": "agent 0.9"},
        "mcp": {"direction": "to_client", "kind": "error", "method": "tools/call", "id": "\"1\"",
            "name": "search", "uri": "file:///x", "protocol_version": "2025-06-18",
            "session": "0011", "error_code": -32601, "http_status": 200, "channel": "sse",
            "size": 120, "partial": true, "ambiguous": true},
    });
    let want = MessageRow {
        ts: Micros(1_795_334_401_000_002),
        sensor: "edge-1".into(),
        client_ip: "2001:db8::7".parse().unwrap(),
        client_port: 40_000,
        server_ip: v4("192.0.2.1"),
        server_port: 8000,
        server_key: "tcp://[2001:db8::1]:9000".into(),
        server_host: "2001:db8::1".into(),
        verdict: "unapproved".into(),
        client_software: "agent 0.9".into(),
        direction: "server_to_client".into(),
        kind: "error".into(),
        method: "tools/call".into(),
        name: "search".into(),
        uri: "file:///x".into(),
        rpc_id: "\"1\"".into(),
        protocol_version: "2025-06-18".into(),
        session: "0011".into(),
        error_code: Some(-32_601),
        http_status: 200,
        channel: "sse".into(),
        size_bytes: 120,
        partial: true,
        ambiguous: true,
        capture_file: "a.pcap".into(),
        packet_number: 4,
    };
    assert_eq!(one(&line), Row::Message(Box::new(want)));
}

#[test]
fn a_flow_gives_a_row() {
    let line = json!({
        "event_type": "flow", "@timestamp": "2026-11-22T08:00:00Z",
        "event": {"start": "2026-11-22T08:00:00Z", "end": "2026-11-22T08:00:09Z"},
        "network": {"transport": "tcp", "community_id": "1:abc", "application": "tls"},
        "source": {"ip": "10.0.0.1", "port": 4, "bytes": 5, "packets": 6},
        "destination": {"ip": "192.0.2.1", "port": 443, "bytes": 7, "packets": 8},
        "tls": {"sni": "mcp.example", "alpn": ["h2", "http/1.1"], "ja4": "t13d"},
        "verdict": "undetermined", "evidence": "hint", "gaps": {"count": 1, "bytes": 2},
        "midstream": true, "finish": "fin",
        "tunnels": [{"kind": "vlan", "id": 7}, {"kind": "ipip", "outer_src": "10.0.0.8", "outer_dst": "10.0.0.9"},
            {"kind": "vxlan", "id": 42, "outer_src": "10.0.0.8", "outer_dst": "10.0.0.9"}],
    });
    let want = FlowRow {
        ts: at(0).into(),
        last_seen: at(9).into(),
        sensor: "edge-1".into(),
        community_id: "1:abc".into(),
        transport: "tcp".into(),
        app: "tls".into(),
        client_ip: v4("10.0.0.1"),
        client_port: 4,
        server_ip: v4("192.0.2.1"),
        server_port: 443,
        server_key: String::new(),
        server_host: "mcp.example".into(),
        sni: "mcp.example".into(),
        alpn: vec!["h2".into(), "http/1.1".into()],
        ja4: "t13d".into(),
        verdict: "undetermined".into(),
        evidence: "hint".into(),
        bytes_to_server: 5,
        bytes_to_client: 7,
        packets_to_server: 6,
        packets_to_client: 8,
        gaps: 1,
        gap_bytes: 2,
        midstream: true,
        finish: "fin".into(),
        tunnels: vec![
            "vlan 7".into(),
            "ipip 10.0.0.8 > 10.0.0.9".into(),
            "vxlan 42 10.0.0.8 > 10.0.0.9".into(),
        ],
    };
    assert_eq!(one(&line), Row::Flow(Box::new(want)));
}

#[test]
fn a_server_gives_a_row_for_each_definition() {
    let server = sample_server();
    let mut line = serde_json::to_value(Event::Server(&server)).unwrap();
    line["definitions"]["prompts"] = json!([{"name": "greet", "first": "2026-11-22T08:00:05Z"}, {"name": "part", "digest": "cd"}]);
    let tool = |first: i64, kind: &str, name: &str, digest: &str| {
        Row::Tool(Box::new(ToolRow {
            first_seen: at(first).into(),
            last_seen: at(60).into(),
            sensor: "edge-1".into(),
            server_key: "http://mcp.example:8000/mcp".into(),
            server_host: "mcp.example".into(),
            kind: kind.into(),
            name: name.into(),
            digest: digest.into(),
            verdict: "unapproved".into(),
            software: vec!["tracker 1.2".into()],
        }))
    };
    let want = [
        tool(2, "tool", "search", "ab"),
        tool(5, "prompt", "greet", ""),
        tool(0, "prompt", "part", "cd"),
    ];
    assert_eq!(read(&line.to_string()).unwrap(), want);
}

#[test]
fn statistics_of_a_live_run_are_summed_over_its_interfaces() {
    let grown = |total: u64, interval: u64| json!({"total": total, "interval": interval});
    let interface = |name: &str, state: &str, missed: u64| {
        json!({"name": name, "state": state, "packets": grown(10, 1), "bytes": grown(900, 90),
            "received": grown(12, 2), "dropped": grown(2, 1), "if_dropped": grown(3, 1),
            "rx_dropped": grown(9, 9), "rx_missed": grown(missed, 0)})
    };
    let line = json!({
        "event_type": "stats", "@timestamp": "2026-11-22T08:00:00Z", "sensor_version": "0.1.0",
        "captures": [{"file": "eth0", "packets": 10, "bytes": 900}, {"file": "eth1", "packets": 10, "bytes": 900}],
        "coverage": {"packets": 20, "flows": 3, "gaps": 4, "gap_bytes": 5, "encrypted_flows": 6},
        "counters": {"app.exchanges": 7}, "anomalies": {"tcp/gap": 8},
        "live": {"uptime_seconds": 60, "interval_millis": 10_000,
            "interfaces": [interface("eth0", "up", 1), interface("eth1", "gone", 30)],
            "shed": {"sixteenths": 4, "flows": grown(1, 0), "packets": grown(50, 5), "bytes": grown(60, 6),
                "overflow_packets": grown(7, 0)},
            "queued_batches": 2, "queue_capacity": 64, "out_of_order": grown(3, 3),
            "lost_events": grown(9, 1), "reloads": 1, "failed_reloads": 2},
    });
    let want = StatsRow {
        ts: at(0).into(),
        sensor: "edge-1".into(),
        sensor_version: "0.1.0".into(),
        run: "watch".into(),
        uptime_seconds: 60,
        interval_millis: 10_000,
        packets: 20,
        bytes: 1800,
        packets_interval: 2,
        bytes_interval: 180,
        kernel_dropped: 4,
        kernel_dropped_interval: 2,
        interface_dropped: 33,
        interface_dropped_interval: 2,
        shed_sixteenths: 4,
        shed_flows: 1,
        shed_packets: 50,
        shed_packets_interval: 5,
        shed_bytes: 60,
        overflow_packets: 7,
        queued_batches: 2,
        queue_capacity: 64,
        lost_events: 9,
        lost_events_interval: 1,
        flows: 3,
        gaps: 4,
        gap_bytes: 5,
        encrypted_flows: 6,
        out_of_order: 3,
        reloads: 1,
        failed_reloads: 2,
        interfaces_down: vec!["eth1".into()],
        counters: [("app.exchanges".to_owned(), 7)].into(),
        anomalies: [("tcp/gap".to_owned(), 8)].into(),
        ..StatsRow::default()
    };
    assert_eq!(one(&line), Row::Stats(Box::new(want)));
    let replay = serde_json::to_value(Event::Stats(&StatsEvent::default())).unwrap();
    let Row::Stats(row) = one(&replay) else { panic!("{replay}") };
    assert_eq!((&*row.run, row.ts), ("replay", Micros(0)));
}

#[test]
fn what_is_none_of_ours_says_why() {
    for (line, why) in [
        ("{", "EOF while parsing an object"),
        ("[]", "it is no JSON object"),
        ("[\"finding\"]", "it is no JSON object"),
        ("{}", "it has no event_type"),
        (r#"{"event_type":"alert"}"#, "the event_type \"alert\" is none of ours"),
        (r#"{ "event_type" : "no\nne" }"#, "the event_type \"no\\nne\" is none of ours"),
        (r#"{"event_type":"finding"}"#, "it has no event.id"),
        (r#"{"event_type":"message","mcp":{}}"#, "it has no mcp.kind"),
        (r#"{"event_type":"server"}"#, "it has no server.key"),
        (r#"{"event_type":"stats","counters":[]}"#, "invalid type: sequence, expected a map"),
        (r#"{"event_type":"flow","source":{"ip":"10.0.0"}}"#, "invalid IP address syntax"),
        (
            r#"{"event_type":"flow","@timestamp":"now"}"#,
            "`now` is no time, as 2026-11-16T08:00:00Z",
        ),
    ] {
        // JSON errors say where, too.
        let error = read(line).unwrap_err().to_string();
        assert_eq!(error.split(" at line").next(), Some(why), "{line}");
    }
    let refused = |line: &[u8]| rows(line, &SOURCE, &mut |row| panic!("{row:?}")).unwrap_err();
    assert_eq!(refused(b"{\"event_type\":\"\xff\"}"), LineError::NotUtf8(15));
    let long = vec![b' '; MAX_LINE_BYTES + 1];
    assert_eq!(refused(&long), LineError::TooLong(MAX_LINE_BYTES + 1));
}

#[test]
fn blank_lines_give_nothing_and_the_type_may_stand_anywhere() {
    for blank in ["", "  ", "\r\n"] {
        assert_eq!(read(blank).unwrap(), []);
    }
    let late =
        "{ \"later\": [1, {}], \"gaps\": {\"more\": 1}, \"event_type\": \"fl\\u006fw\" }\r\n";
    assert_eq!(read(late).unwrap().len(), 1);
}

#[test]
fn strings_lists_maps_and_times_are_bounded() {
    let long = format!("{}\u{20ac}", "x".repeat(MAX_STRING_BYTES - 1));
    let many: Vec<&str> = vec!["a"; MAX_ITEMS + 9];
    let line = json!({"event_type": "flow", "@timestamp": "9999-01-01T00:00:00Z", "finish": long,
        "event": {"end": "1900-01-01T00:00:00Z"}, "tls": {"alpn": many}});
    let Row::Flow(row) = one(&line) else { panic!("{line}") };
    assert_eq!(row.finish, "x".repeat(MAX_STRING_BYTES - 1));
    assert_eq!(row.alpn.len(), MAX_ITEMS);
    assert_eq!(row.ts.to_string(), "2262-04-11 23:47:16.854775");
    assert_eq!(row.last_seen, Micros(0));
    let counters: serde_json::Map<String, Value> =
        (0..MAX_COUNTERS + 9).map(|n| (format!("{n:05}"), n.into())).collect();
    let Row::Stats(row) = one(&json!({"event_type": "stats", "counters": counters})) else {
        panic!()
    };
    assert_eq!(row.counters.len(), MAX_COUNTERS);
    assert_eq!(row.counters.last_key_value().unwrap().0, "01023");
}

#[test]
fn a_line_cut_anywhere_is_refused() {
    let event = FindingEvent::from(&sample_finding());
    let line = serde_json::to_string(&Event::Finding(&event)).unwrap();
    assert_eq!(read(&line).unwrap().len(), 1);
    for cut in (1..line.len()).filter_map(|end| line.get(..end)) {
        assert!(read(cut).is_err(), "{cut}");
    }
}

#[test]
fn hosts_out_of_keys() {
    for (key, host) in [
        ("http://mcp.example:8000/mcp", "mcp.example"),
        ("https://[2001:db8::1]:443/a://b", "2001:db8::1"),
        ("tcp://192.0.2.7:9000", "192.0.2.7"),
        ("http://host", "host"),
        ("http://[2001", ""),
        ("nothing", ""),
        ("", ""),
    ] {
        assert_eq!(parts::host_of(key), host, "{key}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(rows(&line, &SOURCE, &mut |_| {}));
    }

    #[test]
    fn a_line_with_one_other_byte_is_refused_or_gives_rows_that_are_json(
        at in 0_usize..2_000, byte in any::<u8>()
    ) {
        let event = FindingEvent::from(&sample_finding());
        let mut line = serde_json::to_vec(&Event::Finding(&event)).unwrap();
        let at = at % line.len();
        line[at] = byte;
        drop(rows(&line, &SOURCE, &mut |row| {
            let text = serde_json::to_string(&row).unwrap();
            assert!(serde_json::from_str::<Value>(&text).is_ok());
        }));
    }
}
