//! The table against the rows, the records against the published schemas, field by field.

mod encoder;
mod schema;

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::convert::{Cell, Form};
use super::table::{Fixed, Mapping};
use super::*;
use crate::sinks::rows::Micros;

const TS: Micros = Micros(1_795_334_400_123_456);

/// A finding of which everything is known.
fn full_finding() -> FindingRow {
    FindingRow {
        ts: TS,
        last_seen: Micros(TS.0 + 60_000_000),
        finding_id: "0123456789abcdef0123456789abcdef".into(),
        version: 13,
        state: "rose".into(),
        sensor: "edge-1".into(),
        rule_id: "SMCP-1001".into(),
        rule_name: "Unapproved \"server\" | a=b".into(),
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
        client_ip: "::ffff:10.0.0.1".parse().unwrap(),
        client_port: 40_000,
        server_ip: "2001:db8::1".parse().unwrap(),
        server_port: 8000,
        server_key: "http://mcp.example:8000/mcp".into(),
        server_host: "mcp.example".into(),
        transport: "tcp".into(),
        community_id: "1:LQU9qZlK+B5F3KDmev6m5PMibrg=".into(),
        user: "ada".into(),
        software: vec!["client agent 0.9".into(), "server tracker 1.2".into()],
        message: "10.0.0.1 called delete\nat\\once".into(),
        why: "Nobody answers for it.".into(),
        todo: vec!["Ask the owner.".into(), "Approve it or stop it.".into()],
        refs: vec!["https://owasp.org/".into()],
        matched: vec!["args.text@raw: x=1".into()],
        packets: vec!["day 1/a.pcap:17".into(), "day 1/a.pcap:21".into()],
        flows: vec!["1:LQU9qZlK+B5F3KDmev6m5PMibrg=".into()],
        document: "{}".into(),
        device: "ada-laptop".into(),
        groups: vec!["staff".into()],
        sources: vec!["packets".into(), "squid".into()],
    }
}

/// A message of which everything is known.
fn full_message() -> MessageRow {
    MessageRow {
        ts: TS,
        sensor: "edge-1".into(),
        client_ip: "2001:db8::7".parse().unwrap(),
        client_port: 40_000,
        server_ip: "::ffff:192.0.2.1".parse().unwrap(),
        server_port: 8000,
        server_key: "http://mcp.example:8000/mcp".into(),
        server_host: "mcp.example".into(),
        verdict: "approved".into(),
        client_software: "agent 0.9".into(),
        direction: "client_to_server".into(),
        kind: "request".into(),
        method: "tools/call".into(),
        name: "delete".into(),
        uri: "file:///notes".into(),
        rpc_id: "\"7\"".into(),
        protocol_version: "2025-06-18".into(),
        session: "0011223344556677".into(),
        error_code: Some(-32_601),
        http_status: 200,
        channel: "request_body".into(),
        size_bytes: 120,
        partial: true,
        ambiguous: false,
        capture_file: "a.pcap".into(),
        packet_number: 4,
    }
}

/// Findings as they come: all there, hardly anything there, in other words.
fn findings() -> Vec<FindingRow> {
    let full = full_finding();
    let addresses = FindingRow {
        server_host: "2001:db8::1".into(),
        server_key: "tls://[2001:db8::1]:8000".into(),
        transport: "udp".into(),
        state: "closed".into(),
        lane: "hunt".into(),
        severity: 1,
        confidence: 0,
        todo: Vec::new(),
        ..full.clone()
    };
    let bare = FindingRow {
        finding_id: full.finding_id.clone(),
        rule_id: full.rule_id.clone(),
        rule_name: full.rule_name.clone(),
        client_ip: full.client_ip,
        severity: 5,
        ..FindingRow::default()
    };
    vec![full, addresses, bare]
}

fn messages() -> Vec<MessageRow> {
    let full = full_message();
    let channels = ["response_body", "sse", "web_socket", "line"];
    let others = channels.into_iter().zip(["result", "error", "notification", "result"]);
    let others = others.map(|(channel, kind)| MessageRow {
        channel: channel.into(),
        kind: kind.into(),
        direction: "server_to_client".into(),
        ..full.clone()
    });
    let bare = MessageRow { server_key: full.server_key.clone(), ..MessageRow::default() };
    others.chain([full.clone(), bare]).collect()
}

fn record(row: impl Into<Row>, encoding: Encoding) -> String {
    let mut out = Vec::new();
    assert!(write(encoding, &row.into(), &mut out).unwrap());
    String::from_utf8(out).unwrap()
}

impl From<FindingRow> for Row {
    fn from(row: FindingRow) -> Self {
        Self::Finding(Box::new(row))
    }
}

impl From<MessageRow> for Row {
    fn from(row: MessageRow) -> Self {
        Self::Message(Box::new(row))
    }
}

fn json(row: impl Into<Row>, encoding: Encoding) -> Value {
    serde_json::from_str(&record(row, encoding)).unwrap()
}

/// What a column holds, as the row itself writes it.
fn as_row(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Time(time) => time.to_string().into(),
        Cell::Address(std::net::IpAddr::V4(ip)) => ip.to_ipv6_mapped().to_string().into(),
        Cell::List(items) => items.to_vec().into(),
        Cell::Nothing => "::".into(),
        Cell::Text(text) => text.into(),
        cell => Form::Same.apply(cell).unwrap_or_default(),
    }
}

fn same_columns<R: Serialize>(table: &[Mapping<R>], row: &R) {
    // The order of the struct, which a map of JSON does not keep.
    let text = serde_json::to_string(row).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(table.len(), object.len());
    let mut last = 0;
    for mapping in table {
        let at = text.find(&format!("\"{}\":", mapping.column)).unwrap();
        assert!(at > last, "{} is not in the order of the row", mapping.column);
        last = at;
        assert_eq!(as_row((mapping.cell)(row)), object[mapping.column], "{}", mapping.column);
    }
}

#[test]
fn the_table_has_every_column_and_reads_the_right_one() {
    same_columns(FINDING, &full_finding());
    same_columns(MESSAGE, &full_message());
}

/// Every path once, and none that leads through the value of another.
fn distinct<R>(table: &[Mapping<R>], format: Format, fixed: &[(&str, Fixed)]) {
    let placed = table.iter().flat_map(|mapping| mapping.places(format)).map(|(path, _)| *path);
    let mut seen = BTreeSet::new();
    for path in fixed.iter().map(|(path, _)| *path).chain(placed) {
        assert!(seen.insert(path) || path.ends_with("[]"), "{path} twice in {format:?}");
    }
    for path in &seen {
        let below = format!("{path}.");
        assert!(!seen.iter().any(|other| other.starts_with(&below)), "{path} in {format:?}");
    }
}

#[test]
fn no_value_takes_the_place_of_another() {
    for (format, finding, message) in [
        (Format::Ecs, ecs::FINDING, ecs::MESSAGE),
        (Format::Ocsf, ocsf::FINDING, ocsf::MESSAGE),
        (Format::Eve, eve::FINDING, eve::MESSAGE),
        (Format::Cef, &[][..], &[][..]),
    ] {
        distinct(FINDING, format, finding);
        distinct(MESSAGE, format, message);
    }
}

#[test]
fn every_column_but_the_whole_event_is_in_every_json_format() {
    for format in [Format::Ecs, Format::Ocsf, Format::Eve] {
        let left_out: Vec<_> = FINDING
            .iter()
            .filter(|mapping| mapping.places(format).is_empty())
            .map(|mapping| mapping.column)
            .chain(
                MESSAGE
                    .iter()
                    .filter(|mapping| mapping.places(format).is_empty())
                    .map(|mapping| mapping.column),
            )
            .collect();
        assert_eq!(left_out, ["document"], "{format:?}");
    }
}

/// Compares with a file of the repository, or rewrites it when `BLESS` is set.
fn golden(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(want == text, "{file} is stale: run this test with BLESS=1\n{text}");
}

/// The version of the program is no part of the goldens.
fn without_version(text: &str) -> String {
    text.replace(&format!("\"{}\"", env!("CARGO_PKG_VERSION")), "\"VERSION\"")
        .replace(&format!("|{}|", env!("CARGO_PKG_VERSION")), "|VERSION|")
}

#[test]
fn records_are_field_by_field_as_recorded() {
    for encoding in [Encoding::Ecs, Encoding::Ocsf, Encoding::Eve] {
        let name = encoding.name();
        for (event, value) in [
            ("finding", json(full_finding(), encoding)),
            ("message", json(full_message(), encoding)),
        ] {
            let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
            golden(&format!("tests/golden/encode/{event}.{name}.json"), &without_version(&text));
        }
    }
    let mut lines = String::new();
    for row in findings() {
        lines.push_str(&record(row, Encoding::Cef));
        lines.push('\n');
    }
    for row in messages() {
        lines.push_str(&record(row, Encoding::Cef));
        lines.push('\n');
    }
    golden("tests/golden/encode/records.cef", &without_version(&lines));
}

#[test]
fn the_page_of_the_mapping_is_the_mapping() {
    let page = markdown().replace(&format!("`{}`", env!("CARGO_PKG_VERSION")), "the program's");
    golden("deploy/outputs/MAPPING.md", &page);
}

/// Suricata writes these in every alert, and tools that read EVE ask for them.
#[test]
fn an_eve_alert_has_what_suricatas_have() {
    let value = json(full_finding(), Encoding::Eve);
    for key in [
        "timestamp",
        "flow_id",
        "event_type",
        "src_ip",
        "src_port",
        "dest_ip",
        "dest_port",
        "proto",
    ] {
        assert!(!value[key].is_null(), "{key}");
    }
    assert_eq!(value["event_type"], "alert");
    assert_eq!(value["alert"]["severity"], 2);
    assert_eq!(value["alert"]["signature_id"], 9_101_001);
    assert_eq!(value["alert"]["metadata"]["confidence"], serde_json::json!(["High"]));
    assert_eq!(value["http"]["hostname"], "mcp.example");
    assert_eq!((&value["proto"], &value["src_ip"]), (&"TCP".into(), &"10.0.0.1".into()));
    assert!(value["flow_id"].as_u64().unwrap() < 1 << 53);
    let message = json(full_message(), Encoding::Eve);
    assert_eq!(message["event_type"], "mcp");
    assert_eq!(message["mcp"]["method"], "tools/call");
}
